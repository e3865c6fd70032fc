//! Elements moved by index. These kernels know the size of an element, not its dtype.
mod copy;

pub use copy::copy;

use super::walk::Walk;
use super::{View, ViewMut, number::Number, pool, vec_for};
use crate::dtype::Element;
use crate::error::{Result, TensorError};
use crate::layout::Strides;
use std::sync::Mutex;

const GRAIN: usize = 1 << 14;

/// Runs the body with `$T` bound to an unsigned integer of a size in bytes.
macro_rules! by_size {
    ($size:expr, $T:ident => $body:expr) => {
        match $size {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            8 => {
                type $T = u64;
                $body
            }
            // Complex128 is aligned to 8 bytes only.
            _ => {
                type $T = [u64; 2];
                $body
            }
        }
    };
}

use by_size;

/// An index along a dimension, which does not count from the end here.
fn place(op: &'static str, index: i64, dim: usize, size: usize) -> Result<usize> {
    if index < 0 { Err(TensorError::Index { op, index, dim, size }) } else { resolve(op, index, dim, size) }
}

/// An index as users give it, counted from the end where it is negative, as an offset in elements.
fn resolve(op: &'static str, index: i64, dim: usize, size: usize) -> Result<usize> {
    let at = if index < 0 { index + size as i64 } else { index };
    if (0..size as i64).contains(&at) { Ok(at as usize) } else { Err(TensorError::Index { op, index, dim, size }) }
}

/// Keeps the first error of several threads.
#[derive(Default)]
struct First(Mutex<Option<TensorError>>);

impl First {
    fn set(&self, e: TensorError) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
    }
    fn finish(self) -> Result<()> {
        self.0.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }
}

fn without(strides: &[isize], dim: usize) -> Strides {
    let mut strides: Strides = strides.into();
    if let Some(s) = strides.get_mut(dim) {
        *s = 0;
    }
    strides
}

/// `out[i][j] = x[index[i][j]][j]` along `dim`; `out` has the shape of `index`, which is nowhere larger than `x`.
pub fn gather(x: &View, dim: usize, index: &View, out: &mut ViewMut) -> Result<()> {
    let size = x.layout.shape.get(dim).copied().unwrap_or(1);
    let along = x.layout.strides.get(dim).copied().unwrap_or(0);
    let still = without(&x.layout.strides, dim);
    let walk = Walk::new(&index.layout.shape, &[&out.layout.strides, &index.layout.strides, &still]);
    let (first, to) = (First::default(), out.start() as usize);
    by_size!(x.dtype.size(), T => pool::ranges(walk.numel(), GRAIN, &|range| {
        walk.run(range, &mut |at, step, n| {
            for i in 0..n as isize {
                // SAFETY: the walk stays within the layouts, and the index was checked against the dimension.
                unsafe {
                    let k = *index.ptr::<i64>().offset(at[1] + i * step[1]);
                    match place("gather", k, dim, size) {
                        Ok(k) => {
                            let from = x.start().cast::<T>().offset(at[2] + i * step[2] + k as isize * along);
                            (to as *mut T).offset(at[0] + i * step[0]).write(*from);
                        }
                        Err(e) => first.set(e),
                    }
                }
            }
        });
    }))?;
    first.finish()
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
    let size = out.layout.shape.get(dim).copied().unwrap_or(1);
    let along = out.layout.strides.get(dim).copied().unwrap_or(0);
    let still = without(&out.layout.strides, dim);
    let walk = Walk::new(&index.layout.shape, &[&still, &index.layout.strides, &src.layout.strides]);
    let mut failed = Ok(());
    crate::storage_type!(out.dtype, T => {
        let (to, from) = (out.ptr::<T>(), src.ptr::<T>());
        walk.all(&mut |at, step, n| {
            for i in 0..n as isize {
                // SAFETY: the walk stays within the layouts, and the index was checked against the dimension.
                unsafe {
                    let k = *index.ptr::<i64>().offset(at[1] + i * step[1]);
                    match place("scatter", k, dim, size) {
                        Ok(k) => {
                            let value = *from.offset(at[2] + i * step[2]);
                            let place = to.offset(at[0] + i * step[0] + k as isize * along);
                            *place = match how {
                                Scatter::Set => value,
                                Scatter::Add => (*place).plus(value),
                                Scatter::Multiply => (*place).times(value),
                            };
                        }
                        Err(e) => failed = Err(e),
                    }
                }
            }
        });
    });
    failed
}

/// How index tensors of one shape pick from the first dimensions of a tensor.
struct Picks<'a> {
    op: &'static str,
    sizes: &'a [usize],
    strides: &'a [isize],
    indices: &'a [View<'a>],
}

impl Picks<'_> {
    /// The offset that each index tuple names, in the order of the index tensors.
    fn offsets(&self) -> Result<Vec<isize>> {
        let numel = self.indices.first().map_or(1, |v| v.layout.numel());
        let mut offsets = vec_for(numel)?;
        offsets.resize(numel, 0isize);
        for (d, index) in self.indices.iter().enumerate() {
            let mut k = 0;
            let mut failed = Ok(());
            Walk::new(&index.layout.shape, &[&index.layout.strides]).all(&mut |at, step, n| {
                for i in 0..n as isize {
                    // SAFETY: the walk stays within the layout.
                    let value = unsafe { *index.ptr::<i64>().offset(at[0] + i * step[0]) };
                    match resolve(self.op, value, d, self.sizes[d]) {
                        Ok(value) => offsets[k] += value as isize * self.strides[d],
                        Err(e) => failed = Err(e),
                    }
                    k += 1;
                }
            });
            failed?;
        }
        Ok(offsets)
    }
}

/// `out[i..] = x[a[i], b[i], ..]` for index tensors of one shape over the first dimensions of `x`.
pub fn index(op: &'static str, x: &View, indices: &[View], out: &mut ViewMut) -> Result<()> {
    let k = indices.len();
    let picks = Picks { op, sizes: &x.layout.shape[..k], strides: &x.layout.strides[..k], indices };
    let offsets = picks.offsets()?;
    let rest = &x.layout.shape[k..];
    let run: usize = rest.iter().product();
    let contiguous = crate::layout::contiguous_strides(rest);
    let walk = Walk::new(rest, &[&contiguous, &x.layout.strides[k..]]);
    let to = out.start() as usize;
    by_size!(x.dtype.size(), T => pool::ranges(offsets.len(), (GRAIN / run.max(1)).max(1), &|range| {
        for i in range {
            let base = x.start().cast::<T>().wrapping_offset(offsets[i]);
            let to = (to as *mut T).wrapping_add(i * run);
            walk.all(&mut |at, step, n| {
                // SAFETY: the walk stays within both, and the indices were checked.
                unsafe {
                    if step == [1, 1] {
                        std::ptr::copy_nonoverlapping(base.offset(at[1]), to.offset(at[0]), n);
                        return;
                    }
                    for j in 0..n as isize {
                        to.offset(at[0] + j * step[0]).write(*base.offset(at[1] + j * step[1]));
                    }
                }
            });
        }
    }))
}

/// `out[a[i], b[i], ..] = values[i..]`, or added there, in order. `values` has the shape of the indices and the rest.
pub fn index_put(op: &'static str, out: &mut ViewMut, indices: &[View], values: &View, add: bool) -> Result<()> {
    let k = indices.len();
    let picks = Picks { op, sizes: &out.layout.shape[..k], strides: &out.layout.strides[..k], indices };
    let offsets = picks.offsets()?;
    let rank = indices.first().map_or(0, |v| v.layout.rank());
    let heads = Walk::new(&values.layout.shape[..rank], &[&values.layout.strides[..rank]]);
    let rest = &out.layout.shape[k..];
    let walk = Walk::new(rest, &[&out.layout.strides[k..], &values.layout.strides[rank..]]);
    crate::storage_type!(out.dtype, T => {
        let (to, from) = (out.ptr::<T>(), values.ptr::<T>());
        let mut i = 0;
        heads.all(&mut |head, head_step, n| {
            for h in 0..n as isize {
                let from = from.wrapping_offset(head[0] + h * head_step[0]);
                let to = to.wrapping_offset(offsets[i]);
                i += 1;
                walk.all(&mut |at, step, n| {
                    for j in 0..n as isize {
                        // SAFETY: the walk stays within both, and the indices were checked.
                        unsafe {
                            let (place, value) = (to.offset(at[0] + j * step[0]), *from.offset(at[1] + j * step[1]));
                            *place = if add { (*place).plus(value) } else { value };
                        }
                    }
                });
            }
        });
    });
    Ok(())
}

/// The indices of the elements that are not zero, one row each, in row-major order.
pub fn nonzero<T: Element>(x: &View) -> Result<Vec<i64>> {
    let rank = x.layout.rank();
    let (mut found, mut full) = (vec![], false);
    let mut index = vec![0i64; rank];
    let zero = T::default();
    Walk::new(&x.layout.shape, &[&x.layout.strides]).all(&mut |at, step, n| {
        for i in 0..n as isize {
            // SAFETY: the walk stays within the layout.
            if !full && unsafe { *x.ptr::<T>().offset(at[0] + i * step[0]) } != zero {
                full = found.try_reserve(rank).is_err();
                if !full {
                    found.extend_from_slice(&index);
                }
            }
            for d in (0..rank).rev() {
                index[d] += 1;
                if (index[d] as usize) < x.layout.shape[d] {
                    break;
                }
                index[d] = 0;
            }
        }
    });
    if full { Err(TensorError::no_memory(found.len().saturating_mul(16))) } else { Ok(found) }
}
