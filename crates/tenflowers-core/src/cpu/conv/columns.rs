//! Convolution by columns: what each output reads, one row a tap, for one image at a time. For types without a tile.

use super::{Conv2d, gemm, matrix};
use crate::cpu::gemm::{Outcome, Product, Scratch};
use crate::cpu::pool::{Parts, ranges};
use crate::error::Result;

/// Calls `visit(tap, output, input)` for every tap of every output that is not padding; numbers within group and image.
fn walk(c: &Conv2d, mut visit: impl FnMut(usize, usize, usize)) {
    let mut tap = 0;
    for channel in 0..c.group_in() {
        for (i, j) in (0..c.kernel[0]).flat_map(|i| (0..c.kernel[1]).map(move |j| (i, j))) {
            for row in 0..c.output[0] {
                let at = |axis: usize, output: usize, tap: usize| {
                    let padded = output * c.stride[axis] + tap * c.dilation[axis];
                    padded.checked_sub(c.padding[axis]).filter(|&i| i < c.input[axis])
                };
                let Some(y) = at(0, row, i) else { continue };
                for column in 0..c.output[1] {
                    if let Some(x) = at(1, column, j) {
                        visit(tap, row * c.output[1] + column, (channel * c.input[0] + y) * c.input[1] + x);
                    }
                }
            }
            tap += 1;
        }
    }
}

/// Runs `work(image, group, columns)` for each image and group, in parallel.
fn each<T: Product>(c: &Conv2d, work: impl Fn(usize, usize, &mut [T]) -> Result<()> + Sync) -> Result<()> {
    let outcome = Outcome::default();
    ranges(c.batch * c.groups, 1, &|range| {
        let scratch = Scratch::filled(c.taps() * c.plane_out(), T::ZERO);
        let done = scratch.and_then(|mut scratch| {
            // SAFETY: `filled` wrote all of it.
            let columns = unsafe { scratch.slice_mut() };
            range.clone().try_for_each(|i| work(i / c.groups, i % c.groups, columns))
        });
        if let Err(e) = done {
            outcome.note(e);
        }
    })?;
    outcome.result()
}

pub(super) fn forward<T: Product>(c: &Conv2d, x: &[T], w: &[T], y: &mut [T]) -> Result<()> {
    let (image, size) = (c.group_in() * c.plane_in(), c.group_out() * c.plane_out());
    let y = Parts::new(y);
    each(c, |n, g, columns: &mut [T]| {
        let x = &x[(n * c.groups + g) * image..][..image];
        walk(c, |tap, output, input| columns[tap * c.plane_out() + output] = x[input]);
        let dims = [c.group_out(), c.plane_out(), c.taps()];
        let w = &w[g * dims[0] * dims[2]..][..dims[0] * dims[2]];
        // SAFETY: one image and group is one part; the matrices have the sizes of their slices.
        unsafe {
            let y = y.part((n * c.groups + g) * size..(n * c.groups + g + 1) * size);
            gemm(dims, matrix(w, dims[2], false), matrix(columns, dims[1], false), y.as_mut_ptr(), dims[1], false)
        }
    })
}

pub(super) fn backward_input<T: Product>(c: &Conv2d, dy: &[T], w: &[T], dx: &mut [T]) -> Result<()> {
    let (image, size) = (c.group_in() * c.plane_in(), c.group_out() * c.plane_out());
    let dx = Parts::new(dx);
    each(c, |n, g, columns: &mut [T]| {
        let dy = &dy[(n * c.groups + g) * size..][..size];
        let dims = [c.taps(), c.plane_out(), c.group_out()];
        let w = &w[g * dims[0] * dims[2]..][..dims[0] * dims[2]];
        let (w, dy) = (matrix(w, dims[0], true), matrix(dy, dims[1], false));
        // SAFETY: one image and group is one part; the matrices have the sizes of their slices.
        let dx = unsafe {
            gemm(dims, w, dy, columns.as_mut_ptr(), dims[1], false)?;
            dx.part((n * c.groups + g) * image..(n * c.groups + g + 1) * image)
        };
        dx.fill(T::ZERO);
        walk(c, |tap, output, input| dx[input] = dx[input].plus(columns[tap * c.plane_out() + output]));
        Ok(())
    })
}

/// One image after the other into each group's weights: the sum is in the order of images.
pub(super) fn backward_weight<T: Product>(c: &Conv2d, x: &[T], dy: &[T], dw: &mut [T]) -> Result<()> {
    let (image, size) = (c.group_in() * c.plane_in(), c.group_out() * c.plane_out());
    let dims = [c.group_out(), c.taps(), c.plane_out()];
    let mut scratch = Scratch::filled(c.taps() * c.plane_out(), T::ZERO)?;
    // SAFETY: `filled` wrote all of it.
    let columns = unsafe { scratch.slice_mut() };
    for n in 0..c.batch {
        for g in 0..c.groups {
            let (x, dy) = (&x[(n * c.groups + g) * image..][..image], &dy[(n * c.groups + g) * size..][..size]);
            walk(c, |tap, output, input| columns[tap * c.plane_out() + output] = x[input]);
            let dw = &mut dw[g * dims[0] * dims[1]..][..dims[0] * dims[1]];
            let (dy, columns) = (matrix(dy, dims[2], false), matrix(columns, dims[2], true));
            // SAFETY: the matrices have the sizes of their slices.
            unsafe { gemm(dims, dy, columns, dw.as_mut_ptr(), dims[1], n > 0)? };
        }
    }
    Ok(())
}
