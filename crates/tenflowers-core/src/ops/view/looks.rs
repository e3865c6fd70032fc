//! How views look at the elements of their input, and what that makes of gradients.
use crate::cpu::{View, ViewMut};
use crate::dtype::Scalar;
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, Node};
use crate::layout::{Layout, Shape};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops::{assign, copy, full_like, reduce::sum_to};
use crate::tensor::Tensor;
use smallvec::smallvec;

/// An operation that looks at its input's elements in another way.
pub(super) trait Look: Op + Sized {
    /// How, as a layout that has no dimensions yet.
    fn layout(&self, from: &Layout, to: &mut Layout) -> Result<()>;
    /// What `apply` makes, without a copy of the operation.
    fn of(self, input: &Tensor) -> Result<Tensor> {
        input.view_by(self, Self::layout)
    }
}

/// One row a view: how it looks at its input's elements, and its derivative.
macro_rules! views {
    ($($(#[doc = $doc:literal])+ $op:ident($($field:ident: $t:ty),*) $name:literal:
        |$s:ident, $layout:ident, $to:ident| $infer:expr; |$s2:ident, $back:ident| $vjp:expr;)*
    ) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        pub(super) struct $op { $(pub(super) $field: $t),* }
        impl Op for $op {
            fn name(&self) -> &'static str {
                $name
            }
            fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
                let mut to = Layout::default();
                self.layout(inputs[0].layout(), &mut to)?;
                Ok(Meta::View(to))
            }
            fn cpu(&self, _: &[View], _: &mut [ViewMut]) -> Result<()> {
                Err(TensorError::unsupported($name, "a kernel: it is a view"))
            }
            fn keep(&self, _: &[bool]) -> Keep {
                Keep::new()
            }
            fn vjp(&self, $back: &Back) -> Result<Grads> {
                let $s2 = self;
                Ok(smallvec![Some($vjp)])
            }
        }
        impl Look for $op {
            #[inline]
            fn layout(&self, $layout: &Layout, $to: &mut Layout) -> Result<()> {
                let $s = self;
                $infer;
                Ok(())
            }
        }
    )*};
}

views! {
    /// Two dimensions swapped.
    Transpose(a: usize, b: usize) "transpose": |s, layout, to| {
        *to = layout.clone();
        to.swap(s.a, s.b);
    }; |s, back| apply(s, &[back.grad()?])?;

    /// The dimensions in another order.
    Permute(dims: Shape) "permute": |s, layout, to| {
        let (shape, strides) = s.dims.iter().map(|&d| (layout.shape[d], layout.strides[d])).unzip();
        *to = Layout { shape, strides, offset: layout.offset };
    }; |s, back| {
        let mut inverse = s.dims.clone();
        s.dims.iter().enumerate().for_each(|(i, &d)| inverse[d] = i);
        Permute { dims: inverse }.of(back.grad()?)?
    };

    /// Dimensions widened by repeating what is there.
    Expand(to: Shape) "expand": |s, layout, to| *to = layout.broadcast_to(&s.to);
        |_s, back| sum_to(back.grad()?, back.shape(0))?;

    /// The same elements in the same order under another shape.
    Reshape(to: Shape) "view": |s, layout, to| {
        if !layout.reshape_to(&s.to, to) {
            let what = "the strides of the tensor do not allow a view of that shape; use reshape";
            return Err(TensorError::shape("view", what, &layout.shape, &s.to));
        }
    }; |_s, back| reshape_to(back.grad()?, back.shape(0))?;

    /// Some indices of a dimension, `step` apart.
    Narrow(dim: usize, start: usize, length: usize, step: isize) "slice":
        |s, layout, to| *to = layout.narrow(s.dim, s.start, s.length, s.step);
        |s, back| embed(s, back)?;

    /// One index of a dimension, which is dropped.
    Select(dim: usize, index: usize) "select": |s, layout, to| layout.select_to(s.dim, s.index, to);
        |s, back| embed(s, back)?;

    /// The diagonal of two dimensions, as the last one.
    Diagonal(a: usize, b: usize, row: usize, column: usize, length: usize) "diagonal": |s, layout, to| {
        *to = layout.clone();
        if s.length > 0 {
            let start = s.row as isize * layout.strides[s.a] + s.column as isize * layout.strides[s.b];
            to.offset = (layout.offset as isize + start) as usize;
        }
        for d in [s.a.max(s.b), s.a.min(s.b)] {
            to.shape.remove(d);
            to.strides.remove(d);
        }
        to.shape.push(s.length);
        to.strides.push(layout.strides[s.a] + layout.strides[s.b]);
    }; |s, back| embed(s, back)?;

    /// Any look at the elements of the storage that `from` is a look at.
    AsStrided(to: Layout, from: Layout) "as_strided": |s, _layout, to| *to = s.to.clone();
        |s, back| as_strided_vjp(s, back.grad()?)?;
}

/// The derivative of looking at distinct elements: the gradient in their place, zero elsewhere.
fn embed(op: &dyn Op, back: &Back) -> Result<Tensor> {
    let all = full_like(back.grad()?, back.shape(0), Scalar::ZERO)?;
    let view = apply(op, &[&all])?;
    assign::to(Some(&view), &view, back.grad()?)?;
    Ok(all)
}

/// By way of the storage: every element of the look adds its gradient to the place that it reads.
fn as_strided_vjp(op: &AsStrided, g: &Tensor) -> Result<Tensor> {
    let reach = |l: &Layout| l.reach().map_or(0, |(_, high)| high as usize + 1);
    let size = reach(&op.to).max(reach(&op.from));
    let places = crate::ops::arange(Scalar::ZERO, (size as i64).into(), Scalar::ONE, None, None, false)?;
    let look = |t: &Tensor, to: &Layout| AsStrided { to: to.clone(), from: t.layout().clone() }.of(t);
    let index = reshape_to(&look(&places, &op.to)?, &[op.to.numel()])?;
    let flat = full_like(g, &[size], Scalar::ZERO)?;
    let storage = crate::ops::scatter_add(&flat, 0, &index, &reshape_to(g, &[op.to.numel()])?)?;
    look(&storage, &op.from)
}

/// Pieces of a tensor along a dimension, which share this as their history, so that their gradients meet in one `cat`.
#[derive(Debug, Clone)]
pub(super) struct Split {
    pub(super) dim: usize,
    /// Whether the pieces have lost the dimension.
    pub(super) unbound: bool,
}

impl Op for Split {
    fn name(&self) -> &'static str {
        if self.unbound { "unbind" } else { "split" }
    }
    fn infer(&self, _: &[&Tensor]) -> Result<Meta> {
        Err(TensorError::unsupported(self.name(), "a second run: it is history only"))
    }
    fn cpu(&self, _: &[View], _: &mut [ViewMut]) -> Result<()> {
        Err(TensorError::unsupported(self.name(), "a second run: it is history only"))
    }
    fn keep(&self, _: &[bool]) -> Keep {
        Keep::new()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let pieces = back.pieces(|shape, dtype| crate::ops::full_of(shape, Scalar::ZERO, dtype))?;
        let dim = self.dim as i64;
        Ok(smallvec![Some(if self.unbound {
            crate::ops::stack(&pieces, dim)?
        } else {
            crate::ops::cat(&pieces, dim)?
        })])
    }
}

/// More pieces than memory has room for are an error before they are begun.
pub(super) fn few(count: usize) -> Result<()> {
    crate::cpu::vec_for::<[Tensor; 32]>(count).map(drop)
}

pub(super) fn pieces(input: &Tensor, op: Split, views: impl Iterator<Item = Result<Tensor>>) -> Result<Vec<Tensor>> {
    let pieces = views.collect::<Result<Vec<_>>>()?;
    // Where the base is written later, each piece makes its history anew by its own view.
    if grad::is_enabled()
        && let Some(edge) = input.edge()
        && let Some(of) = input.base().edge().map(|e| e.number())
        && pieces.len() > 1
    {
        let node = Node::new(
            std::sync::Arc::new(op),
            smallvec![Some(edge)],
            vec![],
            pieces.iter().map(Tensor::meta).collect(),
        );
        for (i, piece) in pieces.iter().enumerate() {
            piece.set_history(node.clone(), i as u32, of);
        }
    }
    Ok(pieces)
}

pub(in crate::ops) fn expand_to(input: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if input.shape() == shape { Ok(input.clone()) } else { Expand { to: shape.into() }.of(input) }
}

/// The same elements under another shape of as many: a view where strides allow, otherwise of a copy.
pub fn reshape_to(input: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if input.shape() == shape {
        return Ok(input.clone());
    }
    let op = Reshape { to: shape.into() };
    if input.layout().reshaped(shape).is_some() { op.of(input) } else { op.of(&copy(input)?) }
}

pub(in crate::ops) fn permute_to(input: &Tensor, dims: &[usize]) -> Result<Tensor> {
    Permute { dims: dims.into() }.of(input)
}

/// Indices `start`, `start + step`, … of a dimension; the step may be negative.
pub(in crate::ops) fn slice_to(input: &Tensor, dim: usize, start: usize, length: usize, step: isize) -> Result<Tensor> {
    Narrow { dim, start, length, step }.of(input)
}

pub(in crate::ops) fn select_to(input: &Tensor, dim: usize, index: usize) -> Result<Tensor> {
    Select { dim, index }.of(input)
}

/// Another tensor of the same elements.
pub(in crate::ops) fn alias(input: &Tensor) -> Result<Tensor> {
    Reshape { to: input.shape().into() }.of(input)
}
