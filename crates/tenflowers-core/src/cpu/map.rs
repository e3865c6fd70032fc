//! Elementwise kernels: operands of any layout go through small blocks in the type that is computed in.
//!
//! The driver is compiled once; an operation adds only its inner loop over its operands. A run that is in the right type is
//! used where it lies, one value for a whole run stays a value, and others (strided, f16, the output that is also an
//! input) go by a buffer.
use super::simd::{Lanes, vectorize};
use super::{View, ViewMut};
use crate::dtype::{C64, DType, Element};
use crate::error::Result;
pub(super) use drive::{Block, GRAIN, Rows, Run, drive};

mod drive;
mod tile;

/// Whether loops over this type are compiled for every instruction set: others are as good as the baseline, or rare.
pub(super) const fn wide<T: Element>() -> bool {
    matches!(T::ELEMENT, DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U8 | DType::Bool)
}

/// The loop of `map` where the bits of `FIXED` tell which operands are one value.
///
/// # Safety
/// The operands that are not are runs of `n` elements, as is the output, which is none of them.
#[inline(always)]
unsafe fn each<T: Copy, U, const N: usize, const FIXED: usize>(
    lanes: Lanes,
    from: [*const T; N],
    to: *mut U,
    n: usize,
    f: impl Fn(Lanes, [T; N]) -> U + Copy,
) {
    // SAFETY: the caller's word; `i < n`.
    unsafe {
        let mut x = [*from[0]; N];
        for k in 1..N {
            x[k] = *from[k];
        }
        for i in 0..n {
            for k in 0..N {
                if FIXED >> k & 1 == 0 {
                    x[k] = *from[k].add(i);
                }
            }
            to.add(i).write(f(lanes, x));
        }
    }
}

/// The loop of `map` that suits the operands, for each run.
///
/// # Safety
/// The driver's word for its blocks, with elements of these types.
#[inline(always)]
unsafe fn run<T: Copy, U, const N: usize>(lanes: Lanes, ins: &[Run], to: Rows, f: impl Fn(Lanes, [T; N]) -> U + Copy) {
    let fixed = ins.iter().rev().fold(0, |bits, run| bits << 1 | usize::from(run.fixed));
    for (row, start) in to.starts().enumerate() {
        let mut here = [std::ptr::null::<T>(); N];
        for (k, here) in here.iter_mut().enumerate() {
            *here = ins[k].nth(row).at.cast();
        }
        let start = start.cast::<U>();
        // SAFETY: the caller's word.
        unsafe {
            match fixed {
                0 => each::<T, U, N, 0>(lanes, here, start, to.len, f),
                1 => each::<T, U, N, 1>(lanes, here, start, to.len, f),
                2 if N == 2 => each::<T, U, N, 2>(lanes, here, start, to.len, f),
                _ if N == 2 => each::<T, U, N, 3>(lanes, here, start, to.len, f),
                _ => unreachable!("more operands are never one value"),
            }
        }
    }
}

/// `out = f(lanes, inputs)` for each element; the inputs, of one type, are broadcast to the output. The output may be an
/// input, in the same layout.
///
/// # Panics
/// If a view's dtype is not computed in `T`, or the output's not in `U`.
pub fn map<T: Element, U: Element, const N: usize>(
    inputs: [&View; N],
    out: &mut ViewMut,
    f: impl Fn(Lanes, [T; N]) -> U + Sync + Copy,
) -> Result<()> {
    let views = inputs.map(|v| *v);
    let block = |ins: &[Run], to: Rows| {
        if to.len == 0 {
            return;
        }
        // SAFETY: the driver hands over runs of n elements of these types, and the output is none of the inputs.
        unsafe {
            if const { wide::<T>() } {
                vectorize(
                    #[inline(always)]
                    |lanes| run(lanes, ins, to, f),
                );
            } else {
                run(Lanes::baseline(), ins, to, f);
            }
        }
    };
    // SAFETY: the types are those of the block, which knows operands of one value as long as there are two.
    unsafe { drive(&views, &[T::ELEMENT; N], out, U::ELEMENT, Block { run: &block, fixed: N <= 2 }) }
}

/// The loop of `map_near`, and for how many elements it is not right. All comes by value, so that nothing has to be read
/// again after a store.
///
/// # Safety
/// Both are runs of `n` elements, and do not overlap.
#[inline(always)]
unsafe fn each_near<T: Copy, U>(
    lanes: Lanes,
    from: *const T,
    to: *mut U,
    n: usize,
    near: impl Fn(T) -> bool,
    f: impl Fn(Lanes, T) -> U,
) -> u32 {
    let mut far_ones = 0u32;
    // SAFETY: the caller's word.
    unsafe {
        for i in 0..n {
            to.add(i).write(f(lanes, *from.add(i)));
        }
        for i in 0..n {
            far_ones = far_ones.wrapping_add(u32::from(!near(*from.add(i))));
        }
    }
    far_ones
}

/// As `map`, of one input, for an `f` that is right where `near` holds: elements elsewhere are computed by `far`, one by one.
pub fn map_near<T: Element, U: Element>(
    input: &View,
    out: &mut ViewMut,
    near: impl Fn(T) -> bool + Sync + Copy,
    f: impl Fn(Lanes, T) -> U + Sync + Copy,
    far: impl Fn(T) -> U + Sync,
) -> Result<()> {
    let block = |ins: &[Run], to: Rows| {
        for (row, start) in to.starts().enumerate() {
            let (from, start) = (ins[0].nth(row).at.cast::<T>(), start.cast::<U>());
            let far_ones = vectorize(
                #[inline(always)]
                // SAFETY: the driver hands over runs of as many elements.
                |lanes| unsafe { each_near(lanes, from, start, to.len, near, f) },
            );
            for i in 0..if far_ones == 0 { 0 } else { to.len } {
                // SAFETY: as above.
                unsafe {
                    if !near(*from.add(i)) {
                        start.add(i).write(far(*from.add(i)));
                    }
                }
            }
        }
    };
    // SAFETY: the types are those of the block.
    unsafe { drive(&[*input], &[T::ELEMENT], out, U::ELEMENT, Block { run: &block, fixed: false }) }
}

/// `condition ? a : b`, by element size alone.
pub fn select(condition: &View, a: &View, b: &View, out: &mut ViewMut) -> Result<()> {
    fn pick<T: Copy>(ins: &[Run], to: Rows) {
        vectorize(
            #[inline(always)]
            |_| {
                for (row, start) in to.starts().enumerate() {
                    let [c, a, b] = [0, 1, 2].map(|k| ins[k].nth(row).at);
                    let (a, b, start) = (a.cast::<T>(), b.cast::<T>(), start.cast::<T>());
                    for i in 0..to.len {
                        // SAFETY: the driver hands over runs of as many elements of this size. Both are read, so that
                        // there is no branch.
                        unsafe {
                            let (x, y) = (*a.add(i), *b.add(i));
                            start.add(i).write(if *c.add(i) != 0 { x } else { y });
                        }
                    }
                }
            },
        );
    }
    let run = match out.dtype.size() {
        1 => pick::<u8>,
        2 => pick::<u16>,
        4 => pick::<u32>,
        8 => pick::<u64>,
        _ => pick::<C64>,
    };
    let compute = [DType::Bool, a.dtype, b.dtype];
    // SAFETY: the sizes are those of the block.
    unsafe { drive(&[*condition, *a, *b], &compute, out, out.dtype, Block { run: &run, fixed: false }) }
}
