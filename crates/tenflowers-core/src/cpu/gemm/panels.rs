//! Products by way of panels, for element types that are multiplied in another form than that of memory ([`Scheme`]).
//!
//! Sums stay in registers for the whole of k, so that they are rounded or cut off once.

mod outer;
mod registers;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod words;

use self::outer::Outer;
use self::registers::Registers;
#[cfg(target_arch = "x86_64")]
use self::tiles::Tiles;
use super::scheme::Scheme;
use super::scheme::complex::Pairs;
use super::scheme::halves::Widened;
use super::scheme::integers::{Array, Whole};
use super::{Mat, Onto, Product, lanes::Float};
use crate::cpu::simd::{self, Isa};
use crate::dtype::{C32, C64};
use crate::error::Result;
use half::{bf16, f16};

/// Steps of k above which panels would be too large.
pub(super) const STEPS: usize = 1 << 16;

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
                // SAFETY: the caller's word; `isa` names what this machine has.
                unsafe {
                    match simd::isa() {
                        $(
                            #[cfg(target_arch = "x86_64")]
                            Isa::Avx512 if simd::tiles() && tiles::pay::<$dots>(dims) => Outer::<$dots, Tiles>::new(dims, a, b, c, onto).product(Code::$code),
                            #[cfg(target_arch = "x86_64")]
                            Isa::Avx512 if panels!(@has $code) => Outer::<$dots, Registers>::new(dims, a, b, c, onto).product(Code::$code),
                        )?
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx512 => Outer::<$avx512, Registers>::new(dims, a, b, c, onto).product(Code::Avx512),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx2 => Outer::<$avx2, Registers>::new(dims, a, b, c, onto).product(Code::Avx2),
                        _ => Outer::<$baseline, Registers>::new(dims, a, b, c, onto).product(Code::Baseline),
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

/// How rows of A are packed, and multiplied by packed columns of B, which are `[group][two vectors of words]`.
///
/// # Safety
/// Every method needs the instructions that the scheme and the kernel are for, and pointers good for what it reads and
/// writes.
trait Kernel<S: Scheme> {
    /// Rows of a panel of A.
    const MR: usize;
    /// Groups that it takes together: both operands are zeros from the last group up to a multiple of it.
    const DEPTH: usize;
    /// Bytes of a packed block of A, which stays in L2.
    const A_BYTES: usize;

    /// Groups of a packed operand.
    fn groups(k: usize) -> usize {
        k.div_ceil(S::GROUP).next_multiple_of(Self::DEPTH)
    }

    /// Packs `m` rows into room for the next multiple of `MR`.
    unsafe fn pack_rows(m: usize, k: usize, a: (*const S::Elem, isize, isize), to: *mut S::Word);
    /// C = A B + D for packed blocks of A and B.
    unsafe fn sweep(
        dims: [usize; 3],
        a: *const S::Word,
        b: *const S::Word,
        c: (*mut S::Elem, usize),
        onto: Onto<S::Elem>,
    );
}

/// What the sums of a tile come to, of which each row has `width`.
///
/// # Safety
/// As of [`Kernel`].
#[inline(always)]
unsafe fn finish<S: Scheme>(
    width: usize,
    (rows, columns): (usize, usize),
    sums: *const S::Total,
    (c, ldc): (*mut S::Elem, usize),
    onto: Onto<S::Elem>,
) {
    for i in 0..rows {
        let onto = onto.map(
            #[inline(always)]
            |(d, ldd)| d.wrapping_add(i * ldd),
        );
        // SAFETY: the caller's word.
        unsafe {
            let (sums, c) = (sums.add(i * width), c.add(i * ldc));
            // A whole row is of a length that the compiler knows.
            if columns == width {
                S::finish(sums, onto, c, width);
            } else {
                S::finish(sums, onto, c, columns);
            }
        }
    }
}

/// Whether panels pay: a product with a vector reads its matrix once.
pub(super) fn fit([m, n, k]: [usize; 3]) -> bool {
    m > 1 && n > 1 && k <= STEPS
}
