//! Softmax and its logarithm, a row at a time.
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut, pool, simd::vectorize};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Layout, axis};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::ops::reduce::{computed, widened};
use crate::ops::{reshape_to, sum, to_dtype};
use crate::tensor::Tensor;
use smallvec::smallvec;

#[derive(Debug, Clone)]
struct Softmax {
    dim: usize,
    log: bool,
}

/// One row, whose elements are copied to one run before and after where they are apart.
trait Row: crate::Element {
    fn run(row: &mut [Self], log: bool);
}

macro_rules! rows {
    ($($t:ty)*) => {$(
        impl Row for $t {
            #[inline(always)]
            fn run(row: &mut [$t], log: bool) {
                let mut top = <$t>::NEG_INFINITY;
                for &x in row.iter() {
                    top = if x > top || x.is_nan() { x } else { top };
                }
                // A row of -inf alone has no share to give: nan, as 0 / 0.
                if log {
                    let mut total = 0.0f64;
                    for &x in row.iter() {
                        total += f64::from((x - top).exp());
                    }
                    let log = total.ln() as $t;
                    for x in row.iter_mut() {
                        *x = (*x - top) - log;
                    }
                } else {
                    let mut total = 0.0f64;
                    for x in row.iter_mut() {
                        *x = (*x - top).exp();
                        total += f64::from(*x);
                    }
                    let share = (1.0 / total) as $t;
                    for x in row.iter_mut() {
                        *x *= share;
                    }
                }
            }
        }
    )*};
}
rows!(f32 f64);

impl Softmax {
    fn rows<T: Row>(&self, x: &View, out: &mut ViewMut) -> Result<()> {
        widened::<T, _>(x, |x| {
            let layout = Layout::contiguous(&x.layout.shape);
            computed::<T>(out, |to| {
                let n = x.layout.shape[self.dim];
                if layout.numel() == 0 {
                    return Ok(());
                }
                let (from, into) = (x.layout.strides[self.dim], layout.strides[self.dim]);
                let heads = x.layout.narrow(self.dim, 0, 1, 1);
                let walk = Walk::new(&heads.shape, &[&x.layout.strides, &layout.strides]);
                let to = to as usize;
                pool::ranges(walk.numel(), ((1 << 13) / n).max(1), &|range| {
                    let mut row = vec![T::default(); n];
                    walk.run(range, &mut |at, step, m| {
                        for i in 0..m as isize {
                            let p = x.ptr::<T>().wrapping_offset(at[0] + i * step[0]);
                            let q = (to as *mut T).wrapping_offset(at[1] + i * step[1]);
                            for (k, place) in row.iter_mut().enumerate() {
                                // SAFETY: the walk and the dimension stay within the layout.
                                *place = unsafe { *p.offset(k as isize * from) };
                            }
                            vectorize(
                                #[inline(always)]
                                |_| T::run(&mut row, self.log),
                            );
                            for (k, &value) in row.iter().enumerate() {
                                // SAFETY: as above.
                                unsafe { q.offset(k as isize * into).write(value) };
                            }
                        }
                    });
                })
            })
        })
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        if !inputs[0].dtype().is_float() {
            return Err(TensorError::dtype(self.name(), inputs[0].dtype()));
        }
        Meta::like(inputs[0])
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.rows::<f64>(&inputs[0], &mut outs[0]),
            _ => self.rows::<f32>(&inputs[0], &mut outs[0]),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Output(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, out, dim) = (back.grad()?, back.output(0)?, [self.dim as i64]);
        let total = |t: &Tensor| sum(t, Some(&dim), true, None);
        Ok(smallvec![Some(if self.log {
            g.sub(&out.exp()?.mul(&total(g)?)?)?
        } else {
            let part = g.mul(out)?;
            part.sub(&out.mul(&total(&part)?)?)?
        })])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel() * 8
    }
}

/// The dimension that is meant where none is given, as it has been since the first version of PyTorch.
fn implicit(rank: usize) -> i64 {
    if matches!(rank, 0 | 1 | 3) { 0 } else { 1 }
}

fn rows_of(op: &'static str, input: &Tensor, dim: Option<i64>, dtype: Option<DType>, log: bool) -> Result<Tensor> {
    let dim = axis(op, dim.unwrap_or_else(|| implicit(input.rank())), input.rank())?;
    let x = match dtype {
        Some(dtype) => to_dtype(input, dtype)?,
        None => input.clone(),
    };
    let op = Softmax { dim, log };
    if x.rank() == 0 {
        return reshape_to(&apply(&op, &[&reshape_to(&x, &[1])?])?, &[]);
    }
    apply(&op, &[&x])
}

ops! {
    [tf method nn] {
        /// `exp(input)` along `dim`, divided by its sum there.
        ///
        /// Integers need a floating point `dtype`, which the input is converted to first.
        ///
        /// ```python
        /// >>> tf.softmax(tf.tensor([[0.0, 1.0], [5.0, 5.0]]), dim=1)
        /// tensor([[0.2689, 0.7311],
        ///         [0.5000, 0.5000]])
        /// ```
        pub fn softmax(input: &Tensor, dim: Option<i64> = None::<i64>, _stacklevel: i64 = 3, dtype: Option<DType> = None::<DType>) -> Tensor {
            // Where in a call stack a warning would point that is not given here.
            let _ = _stacklevel;
            rows_of("softmax", input, dim, dtype, false)
        }
        /// The logarithm of `softmax`, exact where that is close to 0.
        ///
        /// Integers need a floating point `dtype`, which the input is converted to first.
        ///
        /// ```python
        /// >>> tf.log_softmax(tf.tensor([0.0, 1.0]), dim=0)
        /// tensor([-1.3133, -0.3133])
        /// ```
        pub fn log_softmax(input: &Tensor, dim: Option<i64> = None::<i64>, _stacklevel: i64 = 3, dtype: Option<DType> = None::<DType>) -> Tensor {
            let _ = _stacklevel;
            rows_of("log_softmax", input, dim, dtype, true)
        }
    }
}
