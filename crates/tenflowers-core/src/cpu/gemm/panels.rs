//! Products by way of panels, for element types that are multiplied in another form than that of memory ([`Scheme`]).
//!
//! Sums stay in registers for the whole of k, so that they are rounded or cut off once.

use super::blocked::{Shared, cut};
use super::scheme::Scheme;
use super::scheme::complex::Pairs;
use super::scheme::halves::Widened;
use super::scheme::integers::{Array, Whole};
use super::scratch::{Outcome, Scratch};
use super::{Mat, Onto, Product, lanes::Float, pack};
use crate::cpu::pool;
use crate::cpu::simd::{self, Isa};
use crate::dtype::{C32, C64};
use crate::error::Result;
use half::{bf16, f16};
use std::mem::MaybeUninit;

/// Bytes of a packed block of A, which stays in L2.
const A_BYTES: usize = 256 << 10;
/// Bytes of a packed block of B, which stays in L3.
const B_BYTES: usize = 4 << 20;
/// Words of both operands that fit on the stack.
const NEAR: usize = 2048;
/// Multiplications that are worth a worker.
const GRAIN: usize = 1 << 20;
/// Steps of k above which panels would be too large.
const STEPS: usize = 1 << 16;

/// The instructions that a scheme is compiled for.
#[derive(Clone, Copy)]
pub(super) enum Code {
    #[cfg(target_arch = "x86_64")]
    Bf16,
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Baseline,
}

/// Runs `f`, and all that is inlined into it, compiled with the instructions of `code`.
///
/// # Safety
/// The machine has them.
#[inline]
unsafe fn enter<R>(code: Code, f: impl FnOnce() -> R) -> R {
    macro_rules! features {
        ($($name:ident $features:literal)*) => {$(
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = $features)]
            unsafe fn $name<R>(f: impl FnOnce() -> R) -> R {
                f()
            }
        )*};
    }
    features! {
        with_bf16 "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt"
        with_vnni "avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt"
        with_avx512 "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt"
        with_avx2 "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt"
    }
    // SAFETY: the caller's word.
    unsafe {
        match code {
            #[cfg(target_arch = "x86_64")]
            Code::Bf16 => with_bf16(f),
            #[cfg(target_arch = "x86_64")]
            Code::Vnni => with_vnni(f),
            #[cfg(target_arch = "x86_64")]
            Code::Avx512 => with_avx512(f),
            #[cfg(target_arch = "x86_64")]
            Code::Avx2 => with_avx2(f),
            Code::Baseline => f(),
        }
    }
}

/// The element types that are multiplied by way of panels.
pub(super) trait Panels: Product {
    /// # Safety
    /// As `gemm`, with no dimension of 0.
    unsafe fn by_panels(
        dims: [usize; 3],
        a: Mat<Self>,
        b: Mat<Self>,
        c: (*mut Self, usize),
        onto: Onto<Self>,
    ) -> Result<()>;
}

#[cfg(target_arch = "aarch64")]
type Base<T> = <T as Float>::Neon;
#[cfg(not(target_arch = "aarch64"))]
type Base<T> = <T as Float>::Portable;
#[cfg(target_arch = "x86_64")]
type Wide<T> = <T as Float>::Avx512;
#[cfg(target_arch = "x86_64")]
type Half<T> = <T as Float>::Avx2;

macro_rules! panels {
    ($($elem:ty: $baseline:ty, [$avx2:ty, $avx512:ty] $(, $code:ident $dots:ty)?;)*) => {$(
        impl Panels for $elem {
            unsafe fn by_panels(dims: [usize; 3], a: Mat<$elem>, b: Mat<$elem>, c: (*mut $elem, usize), onto: Onto<$elem>) -> Result<()> {
                let outer = Outer { dims, a, b, c: c.0, ldc: c.1, onto };
                // SAFETY: the caller's word; `isa` names what this machine has.
                unsafe {
                    match simd::isa() {
                        $(
                            #[cfg(target_arch = "x86_64")]
                            Isa::Avx512 if panels!(@has $code) => outer.product::<$dots>(Code::$code),
                        )?
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx512 => outer.product::<$avx512>(Code::Avx512),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx2 => outer.product::<$avx2>(Code::Avx2),
                        _ => outer.product::<$baseline>(Code::Baseline),
                    }
                }
            }
        }
    )*};
    (@has Bf16) => { is_x86_feature_detected!("avx512bf16") };
    (@has Vnni) => { is_x86_feature_detected!("avx512vnni") };
}
#[cfg(target_arch = "x86_64")]
use super::scheme::{
    halves::Dots,
    integers::x86::{Quads, Ymm, Zmm},
};
panels! {
    i8: Whole<Array, i8>, [Whole<Ymm, i8>, Whole<Zmm, i8>], Vnni Quads;
    i16: Whole<Array, i16>, [Whole<Ymm, i16>, Whole<Zmm, i16>];
    i32: Whole<Array, i32>, [Whole<Ymm, i32>, Whole<Zmm, i32>];
    i64: Whole<Array, i64>, [Whole<Ymm, i64>, Whole<Zmm, i64>];
    bf16: Widened<Base<f32>, Base<f64>, bf16>, [Widened<Half<f32>, Half<f64>, bf16>, Widened<Wide<f32>, Wide<f64>, bf16>], Bf16 Dots;
    f16: Widened<Base<f32>, Base<f64>, f16>, [Widened<Half<f32>, Half<f64>, f16>, Widened<Wide<f32>, Wide<f64>, f16>];
    C32: Pairs<Base<f32>, Base<f32>, Base<f64>>, [Pairs<Half<f32>, Half<f32>, Half<f64>>, Pairs<Wide<f32>, Wide<f32>, Wide<f64>>];
    C64: Pairs<Base<f64>, Base<f32>, Base<f64>>, [Pairs<Half<f64>, Half<f32>, Half<f64>>, Pairs<Wide<f64>, Wide<f32>, Wide<f64>>];
}

/// Whether panels pay: a product with a vector reads its matrix once.
pub(super) fn fit([m, n, k]: [usize; 3]) -> bool {
    m > 1 && n > 1 && k <= STEPS
}

/// A whole product.
#[derive(Clone, Copy)]
struct Outer<T> {
    dims: [usize; 3],
    a: Mat<T>,
    b: Mat<T>,
    c: *mut T,
    ldc: usize,
    onto: Onto<T>,
}

// SAFETY: the pointers are good for the whole product, and tasks write different blocks of C.
unsafe impl<T: Sync> Sync for Outer<T> {}

impl<T: Product> Outer<T> {
    /// # Safety
    /// The caller of `by_panels`'s word, and the machine has the instructions of `code`, which the scheme needs.
    unsafe fn product<S: Scheme<Elem = T>>(&self, code: Code) -> Result<()> {
        let [_, n, k] = self.dims;
        let (nr, deep) = (2 * S::LANES, k.div_ceil(S::GROUP) * size_of::<S::Word>());
        let columns = (B_BYTES / deep / nr).max(1) * nr;
        (0..n).step_by(columns).try_for_each(|j| {
            // SAFETY: the caller's word.
            unsafe { self.block::<S>(code, j, columns.min(n - j)) }
        })
    }

    /// All rows of C, columns `j..j + n`.
    unsafe fn block<S: Scheme<Elem = T>>(&self, code: Code, j: usize, n: usize) -> Result<()> {
        let [m, _, k] = self.dims;
        let (nr, groups) = (2 * S::LANES, k.div_ceil(S::GROUP));
        let small = m * n * k < GRAIN;
        let serial = small || pool::num_threads() == 1;
        let words = n.next_multiple_of(nr) * groups;
        if words + (m + S::MR) * groups <= NEAR {
            let mut near = [const { MaybeUninit::<S::Word>::uninit() }; NEAR];
            let b: *mut S::Word = near.as_mut_ptr().cast();
            // SAFETY: the caller's word; there is room for both.
            unsafe {
                for first in (0..n).step_by(nr) {
                    self.pack_columns::<S>(code, (j + first, nr.min(n - first)), b.add(first * groups));
                }
                self.rows_of::<S>(code, (0, j), [m, n], b.add(words), b);
            }
            return Ok(());
        }
        let packed = Scratch::<S::Word>::new(words)?;
        let to = Shared(packed.ptr());
        let pack = |panels: std::ops::Range<usize>| {
            for first in panels.map(|panel| panel * nr) {
                // SAFETY: the caller's word; the scratch has room for all panels.
                unsafe { self.pack_columns::<S>(code, (j + first, nr.min(n - first)), to.add(first * groups)) };
            }
        };
        let panels = n.div_ceil(nr);
        if serial {
            pack(0..panels)
        } else {
            pool::ranges(panels, ((1 << 16) / (nr * k)).max(1), &pack)?
        }
        let most = (A_BYTES / (groups * size_of::<S::Word>()) / S::MR).max(1) * S::MR;
        let (rows, columns) = cut([m, n, k], (S::MR, nr), most, serial);
        let across = n.div_ceil(columns);
        let outcome = Outcome::default();
        let task = |t: usize| {
            let (i0, j0) = (t / across * rows, t % across * columns);
            let (m, n) = (rows.min(m - i0), columns.min(n - j0));
            outcome.with((m + S::MR) * groups, |a: &mut Scratch<S::Word>| {
                // SAFETY: the caller's word; the scratch has room for the rows of the block.
                unsafe { self.rows_of::<S>(code, (i0, j + j0), [m, n], a.ptr(), to.add(j0 * groups)) };
            });
        };
        let tasks = m.div_ceil(rows) * across;
        if small {
            (0..tasks).for_each(task)
        } else {
            pool::parallel(tasks, &task)?
        }
        outcome.result()
    }

    /// Columns `j..j + n` of B, not more than a panel.
    unsafe fn pack_columns<S: Scheme<Elem = T>>(&self, code: Code, (j, n): (usize, usize), to: *mut S::Word) {
        let from = (self.b.at(0, j), self.b.col, self.b.row);
        // The tile does not read a vector that no column falls into.
        let padded = n.next_multiple_of(S::LANES);
        // SAFETY: the caller's word.
        unsafe {
            enter(
                code,
                #[inline(always)]
                || panel_of::<S>((n, padded), self.dims[2], from, (to, 2 * S::LANES)),
            );
        }
    }

    /// The block of C at `i`, `j`, of `m x n`, from packed columns of B; rows of A are packed into `a`.
    unsafe fn rows_of<S: Scheme<Elem = T>>(
        &self,
        code: Code,
        (i, j): (usize, usize),
        [m, n]: [usize; 2],
        a: *mut S::Word,
        b: *const S::Word,
    ) {
        let k = self.dims[2];
        let from = (self.a.at(i, 0), self.a.row, self.a.col);
        let c = (self.c.wrapping_add(i * self.ldc + j), self.ldc);
        let onto = self.onto.map(|(d, ldd)| (d.wrapping_add(i * ldd + j), ldd));
        // SAFETY: the caller's word.
        unsafe {
            enter(
                code,
                #[inline(always)]
                || {
                    pack_rows::<S>(m, k, from, a);
                    sweep::<S>([m, n, k.div_ceil(S::GROUP)], a, b, c, onto);
                },
            );
        }
    }
}

/// Rows of the tile for `left` rows: the next of a few sizes, of which the last rows may be left over.
#[inline(always)]
fn height(mr: usize, left: usize) -> usize {
    match left {
        0..=2 => left,
        3..=4 => mr.min(4),
        5..=8 => mr.min(8),
        _ => mr,
    }
}

#[inline(always)]
unsafe fn pack_rows<S: Scheme>(m: usize, k: usize, (a, row, col): (*const S::Elem, isize, isize), to: *mut S::Word) {
    let groups = k.div_ceil(S::GROUP);
    for i in (0..m).step_by(S::MR) {
        let pitch = height(S::MR, m - i);
        let from = (a.wrapping_offset(i as isize * row), row, col);
        // SAFETY: the caller's word; the panels before this one hold `i * groups` words.
        unsafe { panel_of::<S>((pitch.min(m - i), pitch), k, from, (to.add(i * groups), pitch)) };
    }
}

/// `to[g * pitch + i]` = the word of `from[i * across + p * along]` for `p` of group `g`; words from `width` to `padded` are those
/// of nothing.
#[inline(always)]
unsafe fn panel_of<S: Scheme>(
    (width, padded): (usize, usize),
    k: usize,
    (from, across, along): (*const S::Elem, isize, isize),
    (to, pitch): (*mut S::Word, usize),
) {
    /// Words of a row that are moved together.
    const CHUNK: usize = 64;
    let groups = k.div_ceil(S::GROUP);
    let nothing = S::word(
        #[inline(always)]
        |_| S::Elem::ZERO,
    );
    // SAFETY: all elements named above are the caller's word, and nothing else is touched.
    unsafe {
        if width < padded {
            for g in 0..groups {
                for i in width..padded {
                    to.add(g * pitch + i).write(nothing);
                }
            }
        }
        if S::SAME {
            return turned::<S>((width, groups), (from.cast(), across, along), (to, pitch));
        }
        if across == 1 {
            for g in 0..groups {
                let p = g * S::GROUP;
                S::across(from.offset(p as isize * along), along, S::GROUP.min(k - p), width, to.add(g * pitch));
            }
            return;
        }
        if along == 1 && width <= 32 {
            let mut rows = [const { MaybeUninit::<S::Word>::uninit() }; 32 * CHUNK];
            let rows: *mut S::Word = rows.as_mut_ptr().cast();
            for g in (0..groups).step_by(CHUNK) {
                let (p, n) = (g * S::GROUP, CHUNK.min(groups - g));
                for i in 0..width {
                    let from = from.offset(i as isize * across + p as isize);
                    S::along(from, (k - p).min(n * S::GROUP), rows.add(i * CHUNK));
                }
                turned::<S>((width, n), (rows.cast_const(), CHUNK as isize, 1), (to.add(g * pitch), pitch));
            }
            return;
        }
        for g in 0..groups {
            for i in 0..width {
                let p = g * S::GROUP;
                let from = from.offset(i as isize * across + p as isize * along);
                let word = S::word(
                    #[inline(always)]
                    |q| if p + q < k { *from.offset(q as isize * along) } else { S::Elem::ZERO },
                );
                to.add(g * pitch + i).write(word);
            }
        }
    }
}

/// `to[p * pitch + i] = from[i * across + p * along]`, words as they are.
#[inline(always)]
unsafe fn turned<S: Scheme>(
    (width, n): (usize, usize),
    (from, across, along): (*const S::Word, isize, isize),
    (to, pitch): (*mut S::Word, usize),
) {
    // SAFETY: the caller's word; floats of the same size move the bits of a word.
    unsafe {
        match size_of::<S::Word>() {
            4 => pack::panel::<S::Four>((width, n), (from.cast(), across, along), (to.cast(), pitch)),
            8 => pack::panel::<S::Eight>((width, n), (from.cast(), across, along), (to.cast(), pitch)),
            _ => {
                for p in 0..n {
                    for i in 0..width {
                        *to.add(p * pitch + i) = *from.offset(i as isize * across + p as isize * along);
                    }
                }
            }
        }
    }
}

/// C = A B + D for packed blocks of A and B.
#[inline(always)]
unsafe fn sweep<S: Scheme>(
    [m, n, groups]: [usize; 3],
    a: *const S::Word,
    b: *const S::Word,
    (c, ldc): (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
) {
    let width = 2 * S::LANES;
    for j in (0..n).step_by(width) {
        for i in (0..m).step_by(S::MR) {
            let c = (c.wrapping_add(i * ldc + j), ldc);
            let onto = onto.map(|(d, ldd)| (d.wrapping_add(i * ldd + j), ldd));
            let (a, b) = (a.wrapping_add(i * groups), b.wrapping_add(j * groups));
            let size = ((m - i).min(S::MR), (n - j).min(width));
            // SAFETY: the caller's word for the whole block, of which this is a part.
            unsafe {
                match height(S::MR, m - i) {
                    14 if S::MR == 14 => tile::<S, 14>(groups, a, b, size, c, onto),
                    8 if S::MR >= 8 => tile::<S, 8>(groups, a, b, size, c, onto),
                    6 if S::MR == 6 => tile::<S, 6>(groups, a, b, size, c, onto),
                    4 if S::MR >= 4 => tile::<S, 4>(groups, a, b, size, c, onto),
                    3 if S::MR == 3 => tile::<S, 3>(groups, a, b, size, c, onto),
                    2 => tile::<S, 2>(groups, a, b, size, c, onto),
                    _ => tile::<S, 1>(groups, a, b, size, c, onto),
                }
            }
        }
    }
}

/// A tile of `R` rows, of which `size` are wanted.
#[inline(always)]
unsafe fn tile<S: Scheme, const R: usize>(
    groups: usize,
    a: *const S::Word,
    b: *const S::Word,
    size: (usize, usize),
    c: (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
) {
    // SAFETY: the caller's word.
    unsafe {
        if size.1 > S::LANES {
            strip::<S, R, 2>(groups, a, b, size, c, onto);
        } else {
            strip::<S, R, 1>(groups, a, b, size, c, onto);
        }
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "an iterator over an array of registers puts it into memory")]
unsafe fn strip<S: Scheme, const R: usize, const N: usize>(
    groups: usize,
    a: *const S::Word,
    b: *const S::Word,
    (rows, columns): (usize, usize),
    (c, ldc): (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
) {
    // SAFETY: the caller's word; the buffer has room for 14 rows of two vectors of 16 lanes.
    unsafe {
        let mut sums = [[S::zero(); N]; R];
        for g in 0..groups {
            let b = b.add(g * 2 * S::LANES);
            let mut along = [S::load(b); N];
            for (v, along) in along.iter_mut().enumerate() {
                *along = S::load(b.add(v * S::LANES));
            }
            for i in 0..R {
                let a = a.add(g * R + i);
                for v in 0..N {
                    sums[i][v] = S::step(sums[i][v], a, along[v]);
                }
            }
        }
        let mut totals = [const { MaybeUninit::<S::Total>::uninit() }; 14 * 32];
        let totals: *mut S::Total = totals.as_mut_ptr().cast();
        for i in 0..R {
            for v in 0..N {
                S::totals(sums[i][v], totals.add((i * N + v) * S::LANES));
            }
        }
        for i in 0..rows {
            let onto = onto.map(
                #[inline(always)]
                |(d, ldd)| d.add(i * ldd),
            );
            let (totals, c) = (totals.add(i * N * S::LANES), c.add(i * ldc));
            // A whole row is of a length that the compiler knows.
            if columns == N * S::LANES {
                S::finish(totals, onto, c, N * S::LANES);
            } else {
                S::finish(totals, onto, c, columns);
            }
        }
    }
}
