//! Operands in the type that a kernel computes in, and in one run where it works on slices: as they lie, or converted.
use super::alloc::Block;
use super::cast::cast;
use super::{View, ViewMut};
use crate::dtype::Element;
use crate::error::Result;
use crate::layout::Layout;

/// A place for the results of a kernel in the type that it computes in, which go to the output converted.
pub fn computed<U: Element>(out: &mut ViewMut, kernel: impl FnOnce(*mut U) -> Result<()>) -> Result<()> {
    if out.dtype == U::ELEMENT {
        return kernel(out.ptr::<U>());
    }
    let layout = Layout::contiguous(&out.layout.shape);
    let block = Block::new(layout.numel() * size_of::<U>(), false)?;
    kernel(block.as_ptr().cast())?;
    // SAFETY: the kernel filled the block.
    cast(&unsafe { View::new(block.as_ptr(), &layout, U::ELEMENT) }, out)
}

/// The input in the type that a kernel computes in: itself, or a converted copy.
pub fn widened<T: Element, R>(x: &View, kernel: impl FnOnce(&View) -> Result<R>) -> Result<R> {
    if x.dtype == T::ELEMENT { kernel(x) } else { copied::<T, R>(x, kernel) }
}

fn copied<T: Element, R>(x: &View, kernel: impl FnOnce(&View) -> Result<R>) -> Result<R> {
    let layout = Layout::contiguous(&x.layout.shape);
    let block = Block::new(layout.numel() * size_of::<T>(), false)?;
    // SAFETY: a block of this size, which nobody else has.
    cast(x, &mut unsafe { ViewMut::new(block.as_ptr(), &layout, T::ELEMENT) })?;
    // SAFETY: just filled.
    kernel(&unsafe { View::new(block.as_ptr(), &layout, T::ELEMENT) })
}

/// The input as a slice: as it lies, or a copy.
pub fn read<T: Element, R>(x: &View, kernel: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    if x.dtype == T::ELEMENT
        && let Some(all) = x.slice::<T>()
    {
        return kernel(all);
    }
    copied::<T, R>(x, |x| kernel(x.slice::<T>().expect("a copy lies in one run")))
}

/// As [`read`], but only one row of `n` elements where all rows are the same memory, as in the gradient of a sum.
pub fn read_rows<T: Element, R>(x: &View, n: usize, kernel: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let (shape, strides) = (&x.layout.shape, &x.layout.strides);
    let (mut first, mut size) = (shape.len(), 1);
    while first > 0 && size < n {
        first -= 1;
        size *= shape[first];
    }
    let same = (0..first).all(|d| strides[d] == 0 || shape[d] == 1);
    if size != n || !same || shape.contains(&0) {
        return read(x, kernel);
    }
    let row = Layout { shape: shape[first..].into(), strides: strides[first..].into(), offset: x.layout.offset };
    // SAFETY: the first row of the view.
    read(&unsafe { View::new(x.ptr, &row, x.dtype) }, kernel)
}

/// The inputs that are there, as slices.
pub fn read_option<T: Element, R>(x: Option<&View>, kernel: impl FnOnce(Option<&[T]>) -> Result<R>) -> Result<R> {
    match x {
        Some(x) => read::<T, R>(x, |x| kernel(Some(x))),
        None => kernel(None),
    }
}

/// The output, which lies in one run, as a slice in the type that a kernel computes in.
pub fn write<U: Element>(out: &mut ViewMut, kernel: impl FnOnce(&mut [U]) -> Result<()>) -> Result<()> {
    let n = out.layout.numel();
    // SAFETY: the output lies in one run, or its stand-in does; either is the kernel's alone.
    computed::<U>(out, |to| kernel(if n == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(to, n) } }))
}
