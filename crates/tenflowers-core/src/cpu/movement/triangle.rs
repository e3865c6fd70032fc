//! Triangles of matrices.
use super::copy;
use crate::cpu::{View, ViewMut, pool};
use crate::error::Result;

/// Bytes a task.
const GRAIN: usize = 1 << 17;

/// The lower triangle of the last two dimensions up to `diagonal`, or the upper one from it on; zeros elsewhere. The output lies
/// in one run.
pub fn triangle(x: &View, diagonal: i64, lower: bool, out: &mut ViewMut) -> Result<()> {
    let whole = x.layout.is_contiguous();
    if !whole {
        copy(x, out)?;
    }
    let shape = &out.layout.shape;
    let (n, columns, size) = (shape[shape.len() - 2], shape[shape.len() - 1], out.dtype.size());
    let total = out.layout.numel();
    if total == 0 {
        return Ok(());
    }
    let (from, to) = (x.start() as usize, out.start() as usize);
    let row = |i: usize| {
        // The first column beyond the lower triangle, or of the upper one.
        let edge = ((i % n) as i64).saturating_add(diagonal).saturating_add(i64::from(lower)).clamp(0, columns as i64)
            as usize;
        let (kept, cleared) = if lower { (0..edge, edge..columns) } else { (edge..columns, 0..edge) };
        let at = |column: usize| (i * columns + column) * size;
        // SAFETY: rows of the output, which nobody else writes, and of the input, where it lies in one run too.
        unsafe {
            if whole {
                let from = (from + at(kept.start)) as *const u8;
                std::ptr::copy(from, (to + at(kept.start)) as *mut u8, kept.len() * size);
            }
            ((to + at(cleared.start)) as *mut u8).write_bytes(0, cleared.len() * size);
        }
    };
    pool::ranges(total / columns, GRAIN / (columns * size), &|rows| rows.for_each(row))
}
