//! Tensors with a border: a value, or what they hold themselves.
use super::cast::fill_kernel;
use super::index_select;
use super::view::slice_to;
use crate::cpu::{View, ViewMut, movement};
use crate::dtype::{Category, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::Back;
use crate::layout::{Layout, Shape, checked_numel};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::tensor::Tensor;
use smallvec::smallvec;

ops! {
    [nn] {
        /// The tensor with `value` around it: `pad` holds the numbers before and after for the last dimension, then for the
        /// one before it, and so on; negative ones cut off.
        ///
        /// `value` is 0 unless given. Instead of it, `mode` "reflect" takes what lies on the other side of the edge, which is
        /// not repeated, "replicate" the edge itself, and "circular" what lies at the other end: for the last one to three
        /// dimensions of a tensor that has one or two before them. More than there is to take is an `ArgumentError`.
        ///
        /// ```python
        /// >>> F.pad(tf.tensor([[1, 2]]), (1, 2))
        /// tensor([[0, 1, 2, 0, 0]])
        /// >>> F.pad(tf.tensor([1, 2, 3]), (-1, 1), value=9)
        /// tensor([2, 3, 9])
        /// >>> F.pad(tf.tensor([[1, 2, 3]]), (2, 1), mode="reflect")
        /// tensor([[3, 2, 1, 2, 3, 2]])
        /// ```
        pub fn pad_constant as pad(input: &Tensor, pad: &[i64], mode: &str = "constant", value: Option<Scalar> = None::<Scalar>) -> Tensor {
            padded(input, pad, mode, value)
        }
    }
}

/// Where the border comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Border {
    Reflect,
    Replicate,
    Circular,
}

impl Border {
    /// `input` with its borders: each dimension in turn, by index.
    fn around(self, input: &Tensor, pad: &[i64]) -> Result<Tensor> {
        let (dims, rank) = (pad.len() / 2, input.rank());
        if !(1..=3).contains(&dims) || !(dims + 1..=dims + 2).contains(&rank) {
            let what = "the last one to three dimensions are padded, of a tensor that has one or two before them";
            let found = format!("{what}: {} numbers came for a shape {:?}", pad.len(), input.shape());
            return Err(TensorError::argument("pad", found));
        }
        pad.chunks_exact(2).enumerate().try_fold(input.clone(), |x, (i, sides)| self.along(&x, rank - 1 - i, sides))
    }
    fn along(self, x: &Tensor, dim: usize, sides: &[i64]) -> Result<Tensor> {
        let (before, after, n) = (sides[0], sides[1], x.shape()[dim] as i64);
        // What is cut off does not come round again.
        let (first, left) = ((-before).max(0), n + before.min(0) + after.min(0));
        let most = match self {
            Border::Reflect => n - 1,
            Border::Replicate if n == 0 => 0,
            Border::Replicate => i64::MAX,
            Border::Circular => left,
        };
        let total = n.checked_add(before).and_then(|t| t.checked_add(after)).unwrap_or(-1);
        if before > most || after > most || total < 1 {
            let what =
                format!("{before} and {after} elements cannot be put around dimension {dim} of size {n}: {self:?}");
            return Err(TensorError::argument("pad", what));
        }
        let place = |i: i64| match self {
            Border::Reflect if i < 0 => -i,
            Border::Reflect if i >= n => 2 * (n - 1) - i,
            Border::Reflect => i,
            Border::Replicate => i.clamp(0, n - 1),
            Border::Circular => first + (i - first).rem_euclid(left),
        };
        let mut index = crate::cpu::vec_for(total as usize)?;
        index.extend((-before..total - before).map(place));
        index_select(x, dim as i64, Tensor::from_vec(index, &[total as usize])?.erase())
    }
}

fn padded(input: &Tensor, pad: &[i64], mode: &str, value: Option<Scalar>) -> Result<Tensor> {
    let border = match mode {
        "constant" => None,
        "reflect" => Some(Border::Reflect),
        "replicate" => Some(Border::Replicate),
        "circular" => Some(Border::Circular),
        other => {
            let what = format!("mode must be 'constant', 'reflect', 'replicate' or 'circular', not '{other}'");
            return Err(TensorError::argument("pad", what));
        }
    };
    if pad.len() % 2 == 1 || pad.len() / 2 > input.rank() {
        let what = format!(
            "{} numbers for a tensor of {} dimensions: two for each dimension are needed",
            pad.len(),
            input.rank()
        );
        return Err(TensorError::argument("pad", what));
    }
    let value = value.unwrap_or(Scalar::ZERO);
    if let Some(border) = border {
        if !value.is_zero() {
            return Err(TensorError::argument("pad", format!("mode='{mode}' takes no value, and {value:?} was given")));
        }
        return border.around(input, pad);
    }
    if value.category() == Category::Complex && !input.dtype().is_complex() {
        return Err(TensorError::argument(
            "pad",
            format!("a complex value cannot be put into a tensor of {}", input.dtype()),
        ));
    }
    let mut shape: Shape = input.shape().into();
    let mut x = input.clone();
    // Where the input begins in the result.
    let mut starts: Shape = smallvec::smallvec![0; shape.len()];
    for (i, sides) in pad.chunks_exact(2).enumerate() {
        let d = input.rank() - 1 - i;
        let (before, after, n) = (sides[0], sides[1], input.shape()[d] as i64);
        let total = n
            .checked_add(before)
            .and_then(|t| t.checked_add(after))
            .ok_or_else(|| TensorError::no_memory(usize::MAX))?;
        if total < 0 {
            let what = format!("padding {before} and {after} leaves nothing of dimension {d} of size {n}");
            return Err(TensorError::argument("pad", what));
        }
        shape[d] = total as usize;
        starts[d] = before.max(0) as usize;
        let (cut, keep) = (before.min(0).unsigned_abs() as usize, n + before.min(0) + after.min(0));
        if keep < n {
            x = slice_to(&x, d, cut.min(n as usize), keep.max(0) as usize, 1)?;
        }
    }
    checked_numel(&shape)?;
    apply(&Pad { starts, shape, value }, &[&x])
}

/// A tensor with a value around it.
#[derive(Debug, Clone)]
struct Pad {
    /// Where the input begins in the result.
    starts: Shape,
    shape: Shape,
    value: Scalar,
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        Meta::one(self.shape.clone(), inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outs[0]);
        let (base, dtype) = (out.start(), out.dtype);
        // The part that is left, in which each dimension's sides are filled in turn.
        let mut middle = Layout { offset: 0, ..out.layout.clone() };
        let at = |mut part: Layout, write: &mut dyn FnMut(&mut ViewMut) -> Result<()>| {
            let from = base.wrapping_add(std::mem::take(&mut part.offset) * dtype.size());
            // SAFETY: a part of the output, written by nobody else.
            write(&mut unsafe { ViewMut::new(from, &part, dtype) })
        };
        for (d, (&start, &n)) in self.starts.iter().zip(&x.layout.shape).enumerate() {
            for (first, length) in [(0, start), (start + n, self.shape[d] - start - n)] {
                if length > 0 {
                    at(middle.narrow(d, first, length, 1), &mut |part| fill_kernel(self.value, part))?;
                }
            }
            middle = middle.narrow(d, start, n, 1);
        }
        at(middle, &mut |part| movement::copy(x, part))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let (g, shape) = (back.grad()?, back.shape(0));
        let part = |t: Tensor, d: usize| slice_to(&t, d, self.starts[d], shape[d], 1);
        let changed = |d: &usize| shape[*d] != self.shape[*d];
        Ok(smallvec![Some((0..shape.len()).filter(changed).try_fold(g.clone(), part)?)])
    }
}
