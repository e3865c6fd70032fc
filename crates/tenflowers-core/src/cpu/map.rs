//! Elementwise kernels: operands of any layout go through small blocks in the type that is computed in.
//!
//! The driver is compiled once; an operation adds only its inner loop over its operands. A run that is in the right type is
//! used where it lies, one value for a whole run stays a value, and others (strided, f16, the output that is also an
//! input) go by a buffer.
use super::math::OfRun;
use super::simd::{Lanes, vectorize, vectorize_reads};
use super::{View, ViewMut};
use crate::dtype::{C64, DType, Element};
use crate::error::Result;
pub use cases::{map_moderate, map_near};
use drive::{BLOCK, Buffer, INPUTS, strided};
pub(super) use drive::{Block, GRAIN, Rows, Run, drive};
use std::mem::MaybeUninit;

mod cases;
mod drive;
mod past;
mod tile;

/// Whether loops over this type are compiled for every instruction set: others are as good as the baseline, or rare.
pub(super) const fn wide<T: Element>() -> bool {
    matches!(T::ELEMENT, DType::F32 | DType::F64 | DType::BF16 | DType::I32 | DType::I64 | DType::U8 | DType::Bool)
}

/// The loop of `map`, where the bits of `FIXED` tell which operands are one value, and those of `SAME` which are the output.
///
/// # Safety
/// The operands that are not are runs of `n` elements, as is the output, which is none of them.
#[inline(always)]
unsafe fn each<T: Copy, U, const N: usize, const FIXED: usize, const SAME: usize>(
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
                if SAME >> k & 1 == 1 {
                    // By the pointer that is written through, so that it is seen to be no other element.
                    x[k] = *to.add(i).cast::<T>();
                } else if FIXED >> k & 1 == 0 {
                    x[k] = *from[k].add(i);
                }
            }
            to.add(i).write(f(lanes, x));
        }
    }
}

/// Which operands are one value, and which are the output.
#[inline(always)]
fn kinds(ins: &[Run], to: &Rows) -> (usize, usize) {
    ins.iter().rev().fold((0, 0), |(fixed, same), run| {
        let is_same = !run.fixed && std::ptr::eq(run.at, to.at);
        (fixed << 1 | usize::from(run.fixed), same << 1 | usize::from(is_same))
    })
}

/// Whether `run` has a loop for them.
#[inline(always)]
const fn has_loop(n: usize, (fixed, same): (usize, usize)) -> bool {
    matches!((fixed, same), (0, 0 | 1)) || n == 2 && matches!((fixed, same), (1 | 2, 0) | (2, 1))
}

/// The loop of `map` that suits the operands, for each run.
///
/// # Safety
/// The driver's word for its blocks, with elements of these types, and there is a loop for them.
#[inline(always)]
unsafe fn run<T: Copy, U, const N: usize>(lanes: Lanes, ins: &[Run], to: &Rows, f: impl Fn(Lanes, [T; N]) -> U + Copy) {
    let kinds = kinds(ins, to);
    for (row, start) in to.starts().enumerate() {
        let mut here = [std::ptr::null::<T>(); N];
        for (k, here) in here.iter_mut().enumerate() {
            *here = ins[k].nth(row).at.cast();
        }
        let start = start.cast::<U>();
        // SAFETY: the caller's word.
        unsafe {
            match kinds {
                (0, 0) => each::<T, U, N, 0, 0>(lanes, here, start, to.len, f),
                (0, _) if size_of::<T>() == size_of::<U>() => each::<T, U, N, 0, 1>(lanes, here, start, to.len, f),
                (1, _) if N == 2 => each::<T, U, N, 1, 0>(lanes, here, start, to.len, f),
                (_, 0) if N == 2 => each::<T, U, N, 2, 0>(lanes, here, start, to.len, f),
                _ if N == 2 && size_of::<T>() == size_of::<U>() => each::<T, U, N, 2, 1>(lanes, here, start, to.len, f),
                _ => unreachable!("there is a loop for them"),
            }
        }
    }
}

/// Runs `block` on pieces of operands that are neither one value nor the output: copies, where they were.
#[inline(never)]
fn apart(size: usize, ins: &[Run], to: &Rows, to_size: usize, block: &dyn Fn(&[Run], &Rows)) {
    let mut buffers = [const { MaybeUninit::<Buffer>::uninit() }; INPUTS];
    for (row, start) in to.starts().enumerate() {
        for done in (0..to.len).step_by(BLOCK) {
            let n = BLOCK.min(to.len - done);
            let start = start.wrapping_add(done * to_size);
            let mut pieces = [Run::NONE; INPUTS];
            for ((piece, run), buffer) in pieces.iter_mut().zip(ins).zip(&mut buffers) {
                let at = run.nth(row).at;
                piece.at = at.wrapping_add(if run.fixed { 0 } else { done * size });
                if run.fixed || std::ptr::eq(piece.at, start) {
                    let buffer = buffer.as_mut_ptr().cast::<u8>();
                    // SAFETY: as many elements are there, or one, and a buffer has room for them.
                    unsafe { strided(size, piece.at, isize::from(!run.fixed), buffer, 1, n) };
                    piece.at = buffer;
                }
            }
            block(&pieces[..ins.len()], &Rows::one(start, n));
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
    let plain = |ins: &[Run], to: &Rows| {
        // SAFETY: the driver hands over runs of n elements of these types, and there is a loop for them.
        unsafe {
            if const { wide::<T>() } {
                // Operations of several operands mostly do little but read and write.
                let places = if N > 1 && to.count > 1 { to.at.addr() | to.next.unsigned_abs() } else { 0 };
                vectorize_reads(
                    places,
                    #[inline(always)]
                    |lanes| run(lanes, ins, to, f),
                );
            } else {
                run(Lanes::baseline(), ins, to, f);
            }
        }
    };
    let block = |ins: &[Run], to: &Rows| match to.len {
        0 => {}
        _ if has_loop(N, kinds(ins, to)) => plain(ins, to),
        _ => apart(size_of::<T>(), ins, to, size_of::<U>(), &plain),
    };
    // SAFETY: the types are those of the block, which knows operands of one value as long as there are two.
    unsafe { drive(&views, &[T::ELEMENT; N], out, U::ELEMENT, Block { run: &block, fixed: N <= 2 }) }
}

/// As `map` of one input, by a function of runs.
///
/// # Safety
/// The function is right for this machine.
pub unsafe fn map_runs<T: Element>(input: &View, out: &mut ViewMut, f: OfRun<T>) -> Result<()> {
    let block = |ins: &[Run], to: &Rows| {
        for (row, start) in to.starts().enumerate() {
            // SAFETY: the driver hands over runs of as many elements of this type, and the caller's word.
            unsafe { f(ins[0].nth(row).at.cast(), start.cast(), to.len) };
        }
    };
    // SAFETY: the types are those of the block.
    unsafe { drive(&[*input], &[T::ELEMENT], out, T::ELEMENT, Block { run: &block, fixed: false }) }
}

/// What stands for the elements of one size.
trait Word: Copy {
    fn choose(condition: bool, a: Self, b: Self) -> Self;
}

/// By bits: of `if`, LLVM may make a branch to one of two loads, which nothing foresees.
macro_rules! words {
    ($($t:ty)*) => {$(
        impl Word for $t {
            #[inline(always)]
            fn choose(condition: bool, a: $t, b: $t) -> $t {
                b ^ ((a ^ b) & <$t>::from(condition).wrapping_neg())
            }
        }
    )*};
}
words!(u8 u16 u32 u64);

impl Word for C64 {
    #[inline(always)]
    fn choose(condition: bool, a: C64, b: C64) -> C64 {
        if condition { a } else { b }
    }
}

/// `condition ? a : b`, by element size alone.
pub fn select(condition: &View, a: &View, b: &View, out: &mut ViewMut) -> Result<()> {
    fn pick<T: Word>(ins: &[Run], to: &Rows) {
        vectorize(
            #[inline(always)]
            |_| {
                for (row, start) in to.starts().enumerate() {
                    let [c, a, b] = [0, 1, 2].map(|k| ins[k].nth(row).at);
                    let (a, b, start) = (a.cast::<T>(), b.cast::<T>(), start.cast::<T>());
                    for i in 0..to.len {
                        // SAFETY: the driver hands over runs of as many elements of this size.
                        unsafe {
                            start.add(i).write(T::choose(*c.add(i) != 0, *a.add(i), *b.add(i)));
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
