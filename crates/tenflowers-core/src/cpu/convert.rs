//! Conversion of runs of elements between any two dtypes, directly.
use super::number::{from_bf16, to_bf16};
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
    /// What floats below it in size become by one instruction; 0 where all are as good.
    const NEAR: f64 = 0.0;
    /// # Safety
    /// It is below `NEAR` in size.
    #[inline(always)]
    unsafe fn of_near_f32(x: f32) -> Self {
        Self::of_f32(x)
    }
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn of_near_f64(x: f64) -> Self {
        Self::of_f64(x)
    }
}

/// A number that becomes one of another type.
trait Source: Copy {
    /// Whether it is a float, of which some have no integer to become.
    const FLOAT: bool = false;
    fn convert<T: Target>(self) -> T;
    /// The same of what is near, anything of the rest, and whether it is.
    #[inline(always)]
    fn convert_near<T: Target>(self) -> (T, bool) {
        (self.convert(), true)
    }
}

macro_rules! targets {
    ($($t:ty: |$i:ident| $of_i:expr, |$f:ident| $of_f:expr $(, $near:literal by $by:ty)?;)*) => {$(
        impl Target for $t {
            #[inline(always)]
            fn of_i64($i: i64) -> Self { $of_i }
            #[inline(always)]
            fn of_u64($i: u64) -> Self { $of_i }
            #[inline(always)]
            fn of_f32($f: f32) -> Self { $of_f }
            #[inline(always)]
            fn of_f64($f: f64) -> Self { $of_f }
            $(
                const NEAR: f64 = $near;
                #[inline(always)]
                unsafe fn of_near_f32(x: f32) -> Self {
                    // SAFETY: the caller's word.
                    (unsafe { x.to_int_unchecked::<$by>() }) as Self
                }
                #[inline(always)]
                unsafe fn of_near_f64(x: f64) -> Self {
                    // SAFETY: the caller's word.
                    (unsafe { x.to_int_unchecked::<$by>() }) as Self
                }
            )?
        }
    )*};
}
// From floats to narrow integers by way of wider ones, so that 300.0 becomes 44 in uint8, as the rest of the field has it.
targets! {
    u8: |x| x as u8, |f| f as i64 as u8, 2_147_483_648.0 by i32;
    u16: |x| x as u16, |f| f as i64 as u16, 2_147_483_648.0 by i32;
    u32: |x| x as u32, |f| f as i64 as u32, 2_147_483_648.0 by i32;
    u64: |x| x as u64, |f| if f < 0.0 { f as i64 as u64 } else { f as u64 }, 9_223_372_036_854_775_808.0 by i64;
    i8: |x| x as i8, |f| f as i64 as i8, 2_147_483_648.0 by i32;
    i16: |x| x as i16, |f| f as i64 as i16, 2_147_483_648.0 by i32;
    i32: |x| x as i32, |f| f as i64 as i32, 2_147_483_648.0 by i32;
    i64: |x| x as i64, |f| f as i64, 9_223_372_036_854_775_808.0 by i64;
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
    bf16: |f| to_bf16(f);
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
    ($($t:ty: |$x:ident, $to:ident| $convert:expr $(, $near:ident of $wide:expr, $float:ty)?;)*) => {$(
        impl Source for $t {
            $(
                const FLOAT: bool = true;
                #[inline(always)]
                fn convert_near<T: Target>(self) -> (T, bool) {
                    let $x = self;
                    let x: $float = $wide;
                    let is_near = x.abs() < T::NEAR as $float;
                    // SAFETY: so near; not so what is not a number.
                    (unsafe { T::$near(if is_near { x } else { 0.0 }) }, is_near)
                }
            )?
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
    bf16: |x, T| T::of_f32(from_bf16(x)), of_near_f32 of from_bf16(x), f32;
    f32: |x, T| T::of_f32(x), of_near_f32 of x, f32;
    f64: |x, T| T::of_f64(x), of_near_f64 of x, f64;
    bool: |x, T| T::of_i64(x.into());
    C32: |x, T| T::of_c64(C64::new(x.re.into(), x.im.into()));
    C64: |x, T| T::of_c64(x);
}

/// The conversion between two dtypes.
pub fn converter(from: DType, to: DType) -> Convert {
    match (from, to) {
        (DType::F16, DType::F32) => widen_halves,
        (DType::F32, DType::F16) => narrow_halves,
        // By way of f32, which is exact.
        (DType::F16, _) if to != DType::F16 => storage_type!(to, T => widened::<T>),
        (DType::F64 | DType::C64 | DType::C128, _) => storage_type!(from, S => storage_type!(to, T => all::<S, T>)),
        (_, DType::F16) if from != DType::F16 => storage_type!(from, S => narrowed::<S>),
        _ => storage_type!(from, S => storage_type!(to, T => all::<S, T>)),
    }
}

/// Elements at a time where a run is gone over twice.
const PIECE: usize = 512;

/// float16 to any other type.
///
/// # Safety
/// As `Convert`.
unsafe fn widened<T: Target + Element>(from: *const u8, to: *mut u8, n: usize) {
    let mut wide = [0f32; PIECE];
    let (from, to) = (from.cast::<f16>(), to.cast::<T>());
    for i in (0..n).step_by(PIECE) {
        let m = PIECE.min(n - i);
        // SAFETY: the caller's word, and there is room for as many.
        unsafe {
            widen_halves(from.add(i).cast(), wide.as_mut_ptr().cast(), m);
            all::<f32, T>(wide.as_ptr().cast(), to.add(i).cast(), m);
        }
    }
}

/// Any other type to float16, which integers are rounded to twice.
///
/// # Safety
/// As `Convert`.
unsafe fn narrowed<S: Source + Element>(from: *const u8, to: *mut u8, n: usize) {
    let mut wide = [0f32; PIECE];
    let (from, to) = (from.cast::<S>(), to.cast::<f16>());
    for i in (0..n).step_by(PIECE) {
        let m = PIECE.min(n - i);
        // SAFETY: the caller's word, and there is room for as many.
        unsafe {
            all::<S, f32>(from.add(i).cast(), wide.as_mut_ptr().cast(), m);
            narrow_halves(wide.as_ptr().cast(), to.add(i).cast(), m);
        }
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
    /// How many were not near.
    #[inline(always)]
    unsafe fn each_near<S: Source, T: Target>(from: *const S, to: *mut T, n: usize) -> u32 {
        let mut far = 0u32;
        for i in 0..n {
            // SAFETY: the caller's word.
            unsafe {
                let (y, is_near) = (*from.add(i)).convert_near();
                to.add(i).write(y);
                far += u32::from(!is_near);
            }
        }
        far
    }
    let (from, to) = (from.cast::<S>(), to.cast::<T>());
    // SAFETY: the caller's word.
    unsafe {
        if const { S::FLOAT && T::NEAR > 0.0 } {
            for i in (0..n).step_by(PIECE) {
                let (from, to, m) = (from.add(i), to.add(i), PIECE.min(n - i));
                let far = vectorize(
                    #[inline(always)]
                    |_| each_near(from, to, m),
                );
                if far > 0 {
                    each(from, to, m);
                }
            }
        } else if const { super::map::wide::<S>() && super::map::wide::<T>() } {
            vectorize(
                #[inline(always)]
                |_| each(from, to, n),
            );
        } else {
            each(from, to, n);
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
