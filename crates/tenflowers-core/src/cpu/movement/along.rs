//! One element for each index along a dimension.
use super::by_size;
use super::index::outside;
use crate::cpu::number::Number;
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut, pool};
use crate::error::{Result, TensorError};
use crate::layout::{Strides, contiguous_strides};
use std::borrow::Cow;

/// Elements a task.
const GRAIN: usize = 1 << 14;

/// The indices in one run, all of them checked. They do not count from the end.
fn checked<'a>(op: &'static str, index: &View<'a>, dim: usize, size: usize) -> Result<Cow<'a, [i64]>> {
    let values = index.to_slice::<i64>()?;
    match outside(&values, 0, size as i64)? {
        Some(index) => Err(TensorError::Index { op, index, dim, size }),
        None => Ok(values),
    }
}

/// The strides with that of `dim` apart, and zero in its place.
fn apart(strides: &[isize], dim: usize) -> (Strides, isize) {
    let mut still: Strides = strides.into();
    let along = still.get_mut(dim).map_or(0, std::mem::take);
    (still, along)
}

/// `out[i][j] = x[index[i][j]][j]` along `dim`; `out` has the shape of `index`, which is nowhere larger than `x`.
pub fn gather(x: &View, dim: usize, index: &View, out: &mut ViewMut) -> Result<()> {
    let indices = checked("gather", index, dim, x.layout.shape.get(dim).copied().unwrap_or(1))?;
    let shape = &index.layout.shape;
    let (still, along) = apart(&x.layout.strides, dim);
    let walk = Walk::new(shape, &[&out.layout.strides, &contiguous_strides(shape), &still]);
    let (indices, from, to) = (&*indices, x.start() as usize, out.start() as usize);
    by_size!(x.dtype.size(), T => {
        let task = |range| {
            walk.run(range, &mut |at, step, n| {
                let from = (from as *const T).wrapping_offset(at[2]);
                let to = (to as *mut T).wrapping_offset(at[0]);
                // SAFETY: the walk over the indices is one over their run.
                let indices = unsafe { indices.get_unchecked(at[1] as usize..at[1] as usize + n) };
                for (i, &k) in indices.iter().enumerate() {
                    let i = i as isize;
                    // SAFETY: the walk stays within the layouts, and the indices were checked.
                    unsafe { to.offset(i * step[0]).write(*from.offset(i * step[2] + k as isize * along)) };
                }
            });
        };
        if walk.numel() <= GRAIN {
            task(0..walk.numel());
            return Ok(());
        }
        pool::ranges(walk.numel(), GRAIN, &task)
    })
}

/// What happens where a value is scattered to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scatter {
    Set,
    Add,
    Multiply,
}

/// `out[index[i][j]][j] = src[i][j]` along `dim`, in order, so that the last of several writes stays.
pub fn scatter(dim: usize, index: &View, src: &View, out: &mut ViewMut, how: Scatter) -> Result<()> {
    let indices = checked("scatter", index, dim, out.layout.shape.get(dim).copied().unwrap_or(1))?;
    let shape = &index.layout.shape;
    let (still, along) = apart(&out.layout.strides, dim);
    let dense = contiguous_strides(shape);
    // Cut across another dimension: every place is written by one task, in the order of its indices.
    let numel: usize = shape.iter().product();
    let across = (0..shape.len()).filter(|&d| d != dim).max_by_key(|&d| shape[d]);
    let width = across.map_or(1, |d| shape[d]);
    // Few and wide, since every piece goes through all the pages of the tensors.
    let pieces = (numel / (8 * GRAIN)).min(width / 16).max(1);
    crate::storage_type!(out.dtype, T => {
        let (to, from) = (out.ptr::<T>() as usize, src.ptr::<T>() as usize);
        let piece = |i: usize| {
            let mut shape = shape.clone();
            let mut starts = [0; 3];
            if let Some(d) = across {
                let (low, high) = (i * width / pieces, (i + 1) * width / pieces);
                shape[d] = high - low;
                starts = [still[d], dense[d], src.layout.strides[d]].map(|s| s * low as isize);
            }
            Walk::new(&shape, &[&still, &dense, &src.layout.strides]).all(&mut |at, step, n| {
                let to = (to as *mut T).wrapping_offset(at[0] + starts[0]);
                let from = (from as *const T).wrapping_offset(at[2] + starts[2]);
                let indices = indices.as_ptr().wrapping_offset(at[1] + starts[1]);
                macro_rules! each {
                    (|$old:ident, $new:ident| $value:expr) => {
                        for i in 0..n as isize {
                            // SAFETY: the walk stays within the layouts, and the indices were checked.
                            unsafe {
                                let place = to.offset(i * step[0] + *indices.offset(i * step[1]) as isize * along);
                                let ($old, $new) = (*place, *from.offset(i * step[2]));
                                *place = $value;
                            }
                        }
                    };
                }
                match how {
                    Scatter::Set => each!(|_old, new| new),
                    Scatter::Add => each!(|old, new| old.plus(new)),
                    Scatter::Multiply => each!(|old, new| old.times(new)),
                }
            });
        };
        if pieces == 1 {
            piece(0);
            return Ok(());
        }
        pool::parallel(pieces, &piece)
    })
}
