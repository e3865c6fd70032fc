//! Conversion of runs of elements between any two dtypes, directly.
use super::simd::vectorize;
use crate::dtype::{C32, C64, DType, Element};
use crate::storage_type;
use half::{bf16, f16};

/// Converts a run of `n` elements.
///
/// # Safety
/// They are there, room for the results is there, and the two do not overlap.
pub type Convert = unsafe fn(*const u8, *mut u8, usize);

/// A number of any kind, in the type that it becomes.
trait Target: Copy {
    fn of_i64(x: i64) -> Self;
    fn of_u64(x: u64) -> Self;
    fn of_f32(x: f32) -> Self;
    fn of_f64(x: f64) -> Self;
    #[inline(always)]
    fn of_c64(x: C64) -> Self {
        Self::of_f64(x.re)
    }
}

/// A number that becomes one of another type.
trait Source: Copy {
    fn convert<T: Target>(self) -> T;
}

macro_rules! targets {
    ($($t:ty: |$i:ident| $of_i:expr, |$f:ident| $of_f:expr;)*) => {$(
        impl Target for $t {
            #[inline(always)]
            fn of_i64($i: i64) -> Self { $of_i }
            #[inline(always)]
            fn of_u64($i: u64) -> Self { $of_i }
            #[inline(always)]
            fn of_f32($f: f32) -> Self { $of_f }
            #[inline(always)]
            fn of_f64($f: f64) -> Self { $of_f }
        }
    )*};
}
// From floats to narrow integers by way of wider ones, so that 300.0 becomes 44 in uint8, as the rest of the field has it.
targets! {
    u8: |x| x as u8, |f| f as i64 as u8;
    u16: |x| x as u16, |f| f as i64 as u16;
    u32: |x| x as u32, |f| f as i64 as u32;
    u64: |x| x as u64, |f| if f < 0.0 { f as i64 as u64 } else { f as u64 };
    i8: |x| x as i8, |f| f as i64 as i8;
    i16: |x| x as i16, |f| f as i64 as i16;
    i32: |x| x as i32, |f| f as i64 as i32;
    i64: |x| x as i64, |f| f as i64;
    f32: |x| x as f32, |f| f as f32;
    f64: |x| x as f64, |f| f as f64;
    bool: |x| x != 0, |f| f != 0.0;
}

macro_rules! halves {
    ($($t:ty: |$f:ident| $of_f32:expr;)*) => {$(
        impl Target for $t {
            #[inline(always)]
            fn of_i64(x: i64) -> Self { Self::of_f32(x as f32) }
            #[inline(always)]
            fn of_u64(x: u64) -> Self { Self::of_f32(x as f32) }
            #[inline(always)]
            fn of_f32($f: f32) -> Self { $of_f32 }
            #[inline(always)]
            fn of_f64(x: f64) -> Self { <$t>::from_f64(x) }
        }
    )*};
}
halves! {
    f16: |f| f16::from_f32(f);
    bf16: |f| round(f);
}

macro_rules! complex {
    ($($t:ident: $part:ty;)*) => {$(
        impl Target for $t {
            #[inline(always)]
            fn of_i64(x: i64) -> Self { Self::new(x as $part, 0.0) }
            #[inline(always)]
            fn of_u64(x: u64) -> Self { Self::new(x as $part, 0.0) }
            #[inline(always)]
            fn of_f32(x: f32) -> Self { Self::new(x as $part, 0.0) }
            #[inline(always)]
            fn of_f64(x: f64) -> Self { Self::new(x as $part, 0.0) }
            #[inline(always)]
            fn of_c64(x: C64) -> Self { Self::new(x.re as $part, x.im as $part) }
        }
    )*};
}
complex! { C32: f32; C64: f64; }

macro_rules! sources {
    ($($t:ty: |$x:ident, $to:ident| $convert:expr;)*) => {$(
        impl Source for $t {
            #[inline(always)]
            fn convert<$to: Target>(self) -> $to { let $x = self; $convert }
        }
    )*};
}
sources! {
    u8: |x, T| T::of_i64(x.into());
    u16: |x, T| T::of_i64(x.into());
    u32: |x, T| T::of_i64(x.into());
    u64: |x, T| T::of_u64(x);
    i8: |x, T| T::of_i64(x.into());
    i16: |x, T| T::of_i64(x.into());
    i32: |x, T| T::of_i64(x.into());
    i64: |x, T| T::of_i64(x);
    f16: |x, T| T::of_f32(x.to_f32());
    bf16: |x, T| T::of_f32(f32::from_bits(u32::from(x.to_bits()) << 16));
    f32: |x, T| T::of_f32(x);
    f64: |x, T| T::of_f64(x);
    bool: |x, T| T::of_i64(x.into());
    C32: |x, T| T::of_c64(C64::new(x.re.into(), x.im.into()));
    C64: |x, T| T::of_c64(x);
}

/// To the nearest bfloat16, halves to the even one, without branches.
#[inline(always)]
pub(super) fn round(x: f32) -> bf16 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff).wrapping_add(bits >> 16 & 1) >> 16;
    // What is not a number must not become one when its low bits are lost.
    let quiet = bits >> 16 | 0x40;
    bf16::from_bits(if x.is_nan() { quiet } else { nearest } as u16)
}

/// The conversion between two dtypes.
pub fn converter(from: DType, to: DType) -> Convert {
    match (from, to) {
        (DType::F16, DType::F32) => widen_halves,
        (DType::F32, DType::F16) => narrow_halves,
        _ => storage_type!(from, S => storage_type!(to, T => all::<S, T>)),
    }
}

/// # Safety
/// As `Convert`.
unsafe fn all<S: Source + Element, T: Target + Element>(from: *const u8, to: *mut u8, n: usize) {
    #[inline(always)]
    unsafe fn each<S: Source, T: Target>(from: *const S, to: *mut T, n: usize) {
        for i in 0..n {
            // SAFETY: the caller's word.
            unsafe { to.add(i).write((*from.add(i)).convert()) };
        }
    }
    const fn wide<T: Element>() -> bool {
        super::map::wide::<T>() || matches!(T::ELEMENT, DType::BF16)
    }
    // SAFETY: the caller's word.
    unsafe {
        if const { wide::<S>() && wide::<T>() } {
            vectorize(
                #[inline(always)]
                |_| each(from.cast::<S>(), to.cast::<T>(), n),
            );
        } else {
            each(from.cast::<S>(), to.cast::<T>(), n);
        }
    }
}

/// float16 to float32.
///
/// # Safety
/// As `Convert`.
unsafe fn widen_halves(from: *const u8, to: *mut u8, n: usize) {
    let done = match () {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: both instruction sets have F16C; the caller's word.
        () if x86::has_halves() => unsafe { x86::widen(from.cast(), to.cast(), n) },
        () => 0,
    };
    // SAFETY: the caller's word.
    unsafe { all::<f16, f32>(from.add(2 * done), to.add(4 * done), n - done) };
}

/// float32 to float16.
///
/// # Safety
/// As `Convert`.
unsafe fn narrow_halves(from: *const u8, to: *mut u8, n: usize) {
    let done = match () {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: both instruction sets have F16C; the caller's word.
        () if x86::has_halves() => unsafe { x86::narrow(from.cast(), to.cast(), n) },
        () => 0,
    };
    // SAFETY: the caller's word.
    unsafe { all::<f32, f16>(from.add(4 * done), to.add(2 * done), n - done) };
}

/// Eight at a time; they tell how many are done.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::cpu::simd::{Isa, isa};
    use std::arch::x86_64::*;

    pub fn has_halves() -> bool {
        matches!(isa(), Isa::Avx2 | Isa::Avx512)
    }
    #[target_feature(enable = "avx2,f16c")]
    pub unsafe fn widen(from: *const u16, to: *mut f32, n: usize) -> usize {
        for i in (0..n / 8).map(|i| i * 8) {
            // SAFETY: the caller's word.
            unsafe { _mm256_storeu_ps(to.add(i), _mm256_cvtph_ps(_mm_loadu_si128(from.add(i).cast()))) };
        }
        n - n % 8
    }
    #[target_feature(enable = "avx2,f16c")]
    pub unsafe fn narrow(from: *const f32, to: *mut u16, n: usize) -> usize {
        for i in (0..n / 8).map(|i| i * 8) {
            // SAFETY: the caller's word.
            unsafe {
                let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.add(i)));
                _mm_storeu_si128(to.add(i).cast(), half);
            }
        }
        n - n % 8
    }
}
