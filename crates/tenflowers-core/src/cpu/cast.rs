//! Conversion of operands of any layout between any two dtypes.
use super::map::{Block, GRAIN, Rows, Run, drive};
use super::{View, ViewMut, convert::converter, movement, pool};
use crate::error::Result;

/// `from`, broadcast, in the dtype and layout of `out`. They may overlap only where they are the same elements in the same
/// dtype.
pub fn cast(from: &View, out: &mut ViewMut) -> Result<()> {
    if from.dtype == out.dtype {
        return movement::copy(from, out);
    }
    let size = out.dtype.size();
    if from.layout.shape == out.layout.shape && from.layout.is_contiguous() && out.layout.is_contiguous() {
        let convert = converter(from.dtype, out.dtype);
        let (source, to) = (from.start() as usize, out.start() as usize);
        let part = |r: std::ops::Range<usize>| {
            let (source, to) = (source + r.start * from.dtype.size(), to + r.start * size);
            // SAFETY: both are runs of as many elements, of different dtypes, so they do not overlap.
            unsafe { convert(source as *const u8, to as *mut u8, r.len()) };
        };
        let n = out.layout.numel();
        if n <= GRAIN {
            part(0..n);
            return Ok(());
        }
        return pool::ranges(n, GRAIN, &part);
    }
    let block = |ins: &[Run], to: &Rows| {
        for (row, start) in to.starts().enumerate() {
            // SAFETY: the driver hands over runs of as many elements, converted.
            unsafe { std::ptr::copy_nonoverlapping(ins[0].nth(row).at, start, to.len * size) };
        }
    };
    let block = Block { run: &block, fixed: false };
    // SAFETY: every dtype converts to every other, and the block copies the bytes of one.
    unsafe { drive(std::slice::from_ref(from), &[out.dtype], out, out.dtype, block) }
}
