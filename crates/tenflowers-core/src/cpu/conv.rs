//! 2-d convolution (as the field says: correlation) of contiguous NCHW tensors, forward and both ways back.
//!
//! f32 and f64 run the register tile over a zero-padded copy of one image's stripe (`direct`, `weights`): the rows of B
//! are the copy at the offset of each tap, so nothing is unrolled into columns. Integers and complex numbers go through
//! columns of one image (`columns`). A 1x1 kernel of stride 1 is a matrix product as it stands.

mod columns;
mod direct;
mod pieces;
mod places;
mod planes;
mod region;
mod stripe;
mod terms;
mod weights;
mod windows;
mod winograd;

pub use winograd::{set_winograd, winograd};

use crate::cpu::cache;
use crate::cpu::gemm::{Mat, Product, gemm, gemm_batched};
use crate::cpu::pool::{Parts, num_threads, ranges};
use crate::error::Result;
use std::any::TypeId;

/// The sizes of a convolution; pairs are (vertical, horizontal).
///
/// x is `batch x in_channels x input`, w is `out_channels x in_channels / groups x kernel`, y is
/// `batch x out_channels x output`, all contiguous. Padding behind the input is what `output` asks for.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// Images.
    pub batch: usize,
    /// Channels of x.
    pub in_channels: usize,
    /// Channels of y.
    pub out_channels: usize,
    /// Groups that the channels of both sides are divided into.
    pub groups: usize,
    /// Size of a plane of x.
    pub input: [usize; 2],
    /// Taps of the kernel.
    pub kernel: [usize; 2],
    /// Size of a plane of y.
    pub output: [usize; 2],
    /// From one output to the next.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub padding: [usize; 2],
    /// From one tap to the next.
    pub dilation: [usize; 2],
}

impl Conv2d {
    /// y = x * w + bias; writes all of y.
    ///
    /// # Errors
    /// `OutOfMemory` where there is no room for scratch, `Interrupted`; y then holds anything.
    pub fn forward<T: Product>(&self, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) -> Result<()> {
        self.check(x.len(), w.len(), y.len());
        assert!(bias.is_none_or(|b| b.len() == self.out_channels));
        if y.is_empty() {
            return Ok(());
        }
        if self.taps() == 0 {
            y.fill(T::ZERO);
            return add_bias(bias, self.plane_out(), y);
        }
        if self.is_product() {
            return self.product(x, w, bias, y);
        }
        if !is_float::<T>() {
            columns::forward(self, x, w, y)?;
            return add_bias(bias, self.plane_out(), y);
        }
        as_float(x, w, y, |x: &[f32], w, y| {
            let forward = if winograd::pays(self) { winograd::forward } else { direct::forward };
            forward(self, x, w, bias.map(cast), y)
        })
        .or_else(|| as_float(x, w, y, |x: &[f64], w, y| direct::forward(self, x, w, bias.map(cast), y)))
        .unwrap_or(Ok(()))
    }

    /// dx, the gradient of x; writes all of it.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn backward_input<T: Product>(&self, dy: &[T], w: &[T], dx: &mut [T]) -> Result<()> {
        self.check(dx.len(), w.len(), dy.len());
        if dx.is_empty() {
            return Ok(());
        }
        if self.taps() == 0 || self.group_out() == 0 || self.plane_out() == 0 {
            dx.fill(T::ZERO);
            return Ok(());
        }
        if self.is_product() {
            let (a, b) = (matrix(w, self.taps(), true), matrix(dy, self.plane_in(), false));
            return self.products([self.group_in(), self.plane_in(), self.group_out()], a, b, dx, |c, n, g| {
                (g * c.group_out() * c.taps(), (n * c.out_channels + g * c.group_out()) * c.plane_in())
            });
        }
        as_float(dy, w, dx, |dy: &[f32], w, dx| {
            let backward = if winograd::pays(self) { winograd::backward_input } else { direct::backward };
            backward(self, dy, w, dx)
        })
        .or_else(|| as_float(dy, w, dx, |dy: &[f64], w, dx| direct::backward(self, dy, w, dx)))
        .unwrap_or_else(|| columns::backward_input(self, dy, w, dx))
    }

    /// dx + bias, a bias for each channel of x: the transposed convolution of dy.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn transposed<T: Product>(&self, dy: &[T], w: &[T], bias: Option<&[T]>, dx: &mut [T]) -> Result<()> {
        assert!(bias.is_none_or(|b| b.len() == self.in_channels));
        self.backward_input(dy, w, dx)?;
        add_bias(bias, self.plane_in(), dx)
    }

    /// dw, the gradient of w; writes all of it. Images are summed in fixed blocks, in order.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn backward_weight<T: Product>(&self, x: &[T], dy: &[T], dw: &mut [T]) -> Result<()> {
        self.check(x.len(), dw.len(), dy.len());
        if dw.is_empty() {
            return Ok(());
        }
        if self.batch * self.plane_out() == 0 {
            dw.fill(T::ZERO);
            return Ok(());
        }
        as_float(x, dy, dw, |x: &[f32], dy, dw| {
            let backward = if winograd::pays(self) { winograd::backward_weight } else { weights::backward };
            backward(self, x, dy, dw)
        })
        .or_else(|| as_float(x, dy, dw, |x: &[f64], dy, dw| weights::backward(self, x, dy, dw)))
        .unwrap_or_else(|| columns::backward_weight(self, x, dy, dw))
    }

    /// y as products of w and x: so many images at a time that their outputs are still in a cache for the bias.
    fn product<T: Product>(&self, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) -> Result<()> {
        let (image, output) = (self.in_channels * self.plane_in(), self.out_channels * self.plane_out());
        let room = num_threads() * cache::second() / 4;
        let near = (room / (output * size_of::<T>())).clamp(1, self.batch);
        let together = if bias.is_some() { near } else { self.batch };
        for (x, y) in x.chunks(together * image).zip(y.chunks_mut(together * output)) {
            let some = Conv2d { batch: y.len() / output, ..*self };
            let (a, b) = (matrix(w, self.taps(), false), matrix(x, self.plane_in(), false));
            some.products([self.group_out(), self.plane_in(), self.taps()], a, b, y, |c, n, g| {
                (g * c.group_out() * c.taps(), (n * c.in_channels + g * c.group_in()) * c.plane_in())
            })?;
            add_bias(bias, self.plane_out(), y)?;
        }
        Ok(())
    }

    /// Matrix products, one for each image and group: `offsets` gives the first elements of A and B.
    fn products<T: Product>(
        &self,
        dims: [usize; 3],
        a: Mat<T>,
        b: Mat<T>,
        c: &mut [T],
        offsets: impl Fn(&Self, usize, usize) -> (usize, usize),
    ) -> Result<()> {
        let each = (0..self.batch).flat_map(|n| (0..self.groups).map(move |g| (n, g)));
        let offsets: Vec<_> = each.map(|(n, g)| offsets(self, n, g)).map(|(a, b)| (a as isize, b as isize)).collect();
        // SAFETY: `check` has compared the lengths with the sizes.
        unsafe { gemm_batched(dims, a, b, c.as_mut_ptr(), &offsets) }
    }

    /// Whether y is a matrix product of w and x.
    fn is_product(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.output == self.input
    }

    fn group_in(&self) -> usize {
        self.in_channels / self.groups
    }

    fn group_out(&self) -> usize {
        self.out_channels / self.groups
    }

    fn plane_in(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn plane_out(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Terms of one output: channels of a group times taps of the kernel.
    fn taps(&self) -> usize {
        self.group_in() * self.kernel[0] * self.kernel[1]
    }

    fn check(&self, x: usize, w: usize, y: usize) {
        assert!(
            self.groups > 0
                && self.in_channels.is_multiple_of(self.groups)
                && self.out_channels.is_multiple_of(self.groups)
        );
        assert_eq!(x, self.batch * self.in_channels * self.plane_in());
        assert_eq!(w, self.out_channels * self.taps());
        assert_eq!(y, self.batch * self.out_channels * self.plane_out());
    }
}

/// Adds a bias for each channel to planes of `size` elements.
fn add_bias<T: Product>(bias: Option<&[T]>, size: usize, y: &mut [T]) -> Result<()> {
    let Some(bias) = bias.filter(|_| size > 0) else { return Ok(()) };
    let planes = y.len() / size;
    let y = Parts::new(y);
    ranges(planes, (1 << 14) / size + 1, &|planes| {
        for plane in planes {
            let b = bias[plane % bias.len()];
            // SAFETY: each plane is taken once.
            unsafe { y.part(plane * size..(plane + 1) * size) }.iter_mut().for_each(|y| *y = y.plus(b));
        }
    })
}

/// A contiguous matrix of rows of `columns`, or its transpose.
fn matrix<T>(x: &[T], columns: usize, transposed: bool) -> Mat<T> {
    let columns = columns as isize;
    let (row, col) = if transposed { (1, columns) } else { (columns, 1) };
    Mat { ptr: x.as_ptr(), row, col }
}

fn is_float<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<f32>() || TypeId::of::<T>() == TypeId::of::<f64>()
}

/// A slice of what is known to be the same type under another name.
fn cast<T: 'static, U: 'static>(x: &[T]) -> &[U] {
    assert_eq!(TypeId::of::<T>(), TypeId::of::<U>());
    // SAFETY: the types are one.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// Runs the kernel for `U` if that is what `T` is.
fn as_float<T: 'static, U: 'static>(
    a: &[T],
    b: &[T],
    c: &mut [T],
    kernel: impl FnOnce(&[U], &[U], &mut [U]) -> Result<()>,
) -> Option<Result<()>> {
    if TypeId::of::<T>() != TypeId::of::<U>() {
        return None;
    }
    // SAFETY: the types are one.
    let c = unsafe { std::slice::from_raw_parts_mut(c.as_mut_ptr().cast(), c.len()) };
    Some(kernel(cast(a), cast(b), c))
}

#[cfg(test)]
mod tests;
