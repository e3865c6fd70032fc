//! Norms, and parts of complex numbers.
use super::promote::cast;
use super::reduce::{dims_of, squeezed};
use super::{conj, sgn, to_dtype, where_};
use crate::cpu::number::Ordered;
use crate::cpu::reduce::{Fold, Plan};
use crate::cpu::{View, ViewMut};
use crate::dtype::{C64, DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::ops::reduce::{computed, widened};
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};

/// `(sum |x|^p)^(1/p)` over dimensions that stay as ones of size 1.
#[derive(Debug, Clone)]
struct Norm {
    p: f64,
    dims: SmallVec<[usize; 6]>,
}

impl Op for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (mut shape, dtype) = inputs[0].meta();
        let empty = self.dims.iter().any(|&d| shape[d] == 0);
        if empty && (self.p.is_infinite() || self.p < 0.0) {
            let what = format!("of order {} has no value without elements; the shape is {:?}", self.p, &shape[..]);
            return Err(TensorError::Argument { op: "norm", what });
        }
        self.dims.iter().for_each(|&d| shape[d] = 1);
        Meta::one(shape, dtype.to_real())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, p) = (&inputs[0], self.p);
        let plan = |x: &View| Plan::new(x, &self.dims, false);
        // Sizes in double precision, of what any of the types holds; each order has loops of its own.
        macro_rules! folded {
            ($start:expr, |$s:ident| $size:expr, |$a:ident, $b:ident| $join:expr, |$f:ident| $finish:expr) => {
                computed::<f64>(&mut outs[0], |to| {
                    let to = to as usize;
                    let write = |first: usize, found: &[f64]| {
                        for (i, &$f) in found.iter().enumerate() {
                            // SAFETY: outputs are numbered, and each is written once.
                            unsafe { (to as *mut f64).add(first + i).write($finish) }
                        }
                    };
                    macro_rules! by {
                        ($x:expr, |$e:ident: $t:ty| $absolute:expr) => {
                            Fold::new(
                                $start,
                                #[inline(always)]
                                |$a: f64, $e: $t| {
                                    let $s = $absolute;
                                    let $b = $size;
                                    $join
                                },
                                #[inline(always)]
                                |$a: f64, $b: f64| $join,
                            )
                            .run($x, &plan($x), &write)
                        };
                    }
                    match x.dtype {
                        DType::C64 | DType::C128 => widened::<C64, _>(x, |x| by!(x, |e: C64| e.norm())),
                        DType::F64 => by!(x, |e: f64| e.abs()),
                        _ => widened::<f32, _>(x, |x| by!(x, |e: f32| f64::from(e.abs()))),
                    }
                })
            };
        }
        let infinity = f64::INFINITY;
        match p {
            0.0 => folded!(0.0, |s| if s == 0.0 { 0.0 } else { 1.0 }, |a, b| a + b, |a| a),
            1.0 => folded!(0.0, |s| s, |a, b| a + b, |a| a),
            2.0 => folded!(0.0, |s| s * s, |a, b| a + b, |a| a.sqrt()),
            f64::INFINITY => folded!(0.0, |s| s, |a, b| a.larger(b), |a| a),
            f64::NEG_INFINITY => folded!(infinity, |s| s, |a, b| a.smaller(b), |a| a),
            _ => folded!(0.0, |s| s.powf(p), |a, b| a + b, |a| a.powf(1.0 / p)),
        }
    }
    fn keep(&self, _: &[bool]) -> Keep {
        smallvec![Slot::Input(0), Slot::Output(0)]
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, x, norm, p) = (back.grad()?, back.input(0)?, back.output(0)?, self.p);
        let zero_where = |mask: &Tensor, t: &Tensor| where_(mask, Scalar::ZERO.into(), t.into());
        // The slope at zero, which is not there for p of at most 2, is taken as zero.
        let flat = norm.eq(0)?;
        let safe = where_(&flat, Scalar::ONE.into(), norm.into())?;
        Ok(smallvec![Some(match p {
            0.0 => super::full_like(x, x.shape(), Scalar::ZERO)?,
            1.0 => sgn(x)?.mul(g)?,
            2.0 => x.mul(&zero_where(&flat, &g.div(&safe)?)?)?,
            _ if p.is_infinite() => {
                let hit = to_dtype(&x.abs()?.eq(norm)?, g.dtype())?;
                let count = super::sum(&hit, Some(&self.signed_dims()), true, None)?;
                sgn(x)?.mul(&hit.mul(&g.div(&count)?)?)?
            }
            _ => {
                let size = x.abs()?;
                let scaled = if p < 2.0 {
                    let power = size.pow(p - 1.0)?;
                    let power = if p < 1.0 { zero_where(&size.eq(0)?, &power)? } else { power };
                    sgn(x)?.mul(&power)?
                } else {
                    x.mul(&size.pow(p - 2.0)?)?
                };
                scaled.mul(&zero_where(&flat, &g.div(&safe.pow(p - 1.0)?)?)?)?
            }
        })])
    }
}

impl Norm {
    fn signed_dims(&self) -> SmallVec<[i64; 6]> {
        self.dims.iter().map(|&d| d as i64).collect()
    }
}

/// The real or the imaginary parts of complex numbers, where they lie.
#[derive(Debug, Clone)]
struct Part {
    imaginary: bool,
}

impl Op for Part {
    fn name(&self) -> &'static str {
        if self.imaginary { "imag" } else { "real" }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        // The parts are numbers of half the size, two apart.
        let mut layout = inputs[0].layout().clone();
        layout.strides.iter_mut().for_each(|s| *s *= 2);
        layout.offset = layout.offset * 2 + usize::from(self.imaginary);
        Ok(Meta::Part(layout, inputs[0].dtype().to_real()))
    }
    fn cpu(&self, _: &[View], _: &mut [ViewMut]) -> Result<()> {
        Err(TensorError::unsupported(self.name(), "a kernel: it is a view"))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = to_dtype(back.grad()?, back.grad()?.dtype().to_complex())?;
        Ok(smallvec![Some(if self.imaginary { g.mul(Scalar::Complex(C64::new(0.0, 1.0)))? } else { g })])
    }
}

/// The square root of what is not negative; its slope at zero is taken as zero.
pub(super) fn root_with_zero(x: &Tensor) -> Result<Tensor> {
    if !x.requires_grad() {
        return x.sqrt();
    }
    let zero = x.eq(0)?;
    let safe = where_(&zero, Scalar::ONE.into(), x.into())?;
    where_(&zero, Scalar::ZERO.into(), (&safe.sqrt()?).into())
}

fn norm_of(input: &Tensor, p: f64, dim: Option<&[i64]>, keepdim: bool, dtype: Option<DType>) -> Result<Tensor> {
    let dtype = dtype.unwrap_or(input.dtype());
    if !dtype.is_differentiable() {
        let what = format!("a floating point or complex dtype is needed, not {dtype}");
        return Err(TensorError::argument("norm", what));
    }
    let dims = dims_of("norm", dim, input.rank())?;
    let kept = apply(&Norm { p, dims: dims.clone() }, &[&*cast(input, dtype)?])?;
    squeezed(&kept, &dims, keepdim)
}

ops! {
    [tf method] {
        /// The vector norm of order `p` over all dimensions or over `dim`: `(sum |x|^p)^(1/p)`, the largest size for infinity.
        ///
        /// Order 0 counts what is not zero. Integers and bools are an error.
        ///
        /// ```python
        /// >>> tf.norm(tf.tensor([3.0, 4.0]))
        /// tensor(5.)
        /// >>> tf.norm(tf.tensor([[3.0, 4.0], [-6.0, 0.0]]), float("inf"), dim=1)
        /// tensor([4., 6.])
        /// ```
        pub fn norm(input: &Tensor, p: Option<Scalar> = Some(Scalar::Int(2)), dim: Option<&[i64]> = None::<&[i64]>, keepdim: bool = false; dtype: Option<DType> = None::<DType>) -> Tensor {
            let p = p.unwrap_or(Scalar::Int(2));
            if matches!(p, Scalar::Complex(_)) {
                return Err(TensorError::argument("norm", "the order must be a real number"));
            }
            norm_of(input, p.as_f64(), dim, keepdim, dtype)
        }
        /// The Frobenius norm (`p="fro"`), which is the vector norm of order 2.
        ///
        /// ```python
        /// >>> tf.norm(tf.tensor([[3.0, 0.0], [0.0, 4.0]]), "fro")
        /// tensor(5.)
        /// ```
        pub fn norm_named as norm(input: &Tensor, p: &str, dim: Option<&[i64]> = None::<&[i64]>, keepdim: bool = false; dtype: Option<DType> = None::<DType>) -> Tensor {
            match p {
                "fro" => norm_of(input, 2.0, dim, keepdim, dtype),
                "nuc" => Err(TensorError::unsupported("norm", "p='nuc'")),
                other => Err(TensorError::argument("norm", format!("p must be a number, 'fro' or 'nuc', not '{other}'"))),
            }
        }
        /// The complex conjugate; a real tensor as it is.
        ///
        /// ```python
        /// >>> tf.conj(tf.tensor([1 + 2j]))
        /// tensor([1.-2.j])
        /// ```
        pub fn conj_public as conj(input: &Tensor) -> Tensor {
            conj(input)
        }
    }
    [tf] {
        /// The real part of each element, which shares memory with `input`; a real tensor as it is.
        ///
        /// ```python
        /// >>> tf.real(tf.tensor([1 + 2j, 3j]))
        /// tensor([1., 0.])
        /// ```
        pub fn real(input: &Tensor) -> Tensor {
            if input.dtype().is_complex() { apply(&Part { imaginary: false }, &[input]) } else { Ok(input.clone()) }
        }
        /// The imaginary part of each element of a complex tensor, which shares memory with it.
        ///
        /// A tensor that is not complex is an error.
        ///
        /// ```python
        /// >>> tf.imag(tf.tensor([1 + 2j, 3j]))
        /// tensor([2., 3.])
        /// ```
        pub fn imag(input: &Tensor) -> Tensor {
            if input.dtype().is_complex() {
                return apply(&Part { imaginary: true }, &[input]);
            }
            Err(TensorError::argument("imag", format!("a complex tensor is needed, not {}", input.dtype())))
        }
    }
}
