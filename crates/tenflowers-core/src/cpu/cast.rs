//! Conversion between any two dtypes, through a carrier that holds every value of the source exactly.
use super::walk::Walk;
use super::{View, ViewMut, movement, pool};
use crate::dtype::{C32, C64, DType};
use crate::error::Result;
use half::{bf16, f16};

const BLOCK: usize = 256;

/// A type that goes through one of the carriers.
trait Carried: Copy {
    fn of_i64(x: i64) -> Self;
    fn of_u64(x: u64) -> Self;
    fn of_f64(x: f64) -> Self;
    fn of_c64(x: C64) -> Self {
        Self::of_f64(x.re)
    }
}

macro_rules! carried {
    ($($t:ty: |$i:ident| $of_i:expr, |$f:ident| $of_f:expr;)*) => {$(
        impl Carried for $t {
            fn of_i64($i: i64) -> Self { $of_i }
            fn of_u64($i: u64) -> Self { $of_i }
            fn of_f64($f: f64) -> Self { $of_f }
        }
    )*};
}
// From floats to narrow integers by way of i64, so that 300.0 becomes 44 in uint8, as the rest of the field has it.
carried! {
    u8: |x| x as u8, |f| f as i64 as u8;
    u16: |x| x as u16, |f| f as i64 as u16;
    u32: |x| x as u32, |f| f as i64 as u32;
    u64: |x| x as u64, |f| if f < 0.0 { f as i64 as u64 } else { f as u64 };
    i8: |x| x as i8, |f| f as i64 as i8;
    i16: |x| x as i16, |f| f as i64 as i16;
    i32: |x| x as i32, |f| f as i64 as i32;
    i64: |x| x as i64, |f| f as i64;
    f16: |x| f16::from_f32(x as f32), |f| f16::from_f64(f);
    bf16: |x| bf16::from_f32(x as f32), |f| bf16::from_f64(f);
    f32: |x| x as f32, |f| f as f32;
    f64: |x| x as f64, |f| f;
}
impl Carried for bool {
    fn of_i64(x: i64) -> Self {
        x != 0
    }
    fn of_u64(x: u64) -> Self {
        x != 0
    }
    fn of_f64(x: f64) -> Self {
        x != 0.0
    }
    fn of_c64(x: C64) -> Self {
        x.re != 0.0 || x.im != 0.0
    }
}
impl Carried for C64 {
    fn of_i64(x: i64) -> Self {
        C64::new(x as f64, 0.0)
    }
    fn of_u64(x: u64) -> Self {
        C64::new(x as f64, 0.0)
    }
    fn of_f64(x: f64) -> Self {
        C64::new(x, 0.0)
    }
    fn of_c64(x: C64) -> Self {
        x
    }
}
impl Carried for C32 {
    fn of_i64(x: i64) -> Self {
        C32::new(x as f32, 0.0)
    }
    fn of_u64(x: u64) -> Self {
        C32::new(x as f32, 0.0)
    }
    fn of_f64(x: f64) -> Self {
        C32::new(x as f32, 0.0)
    }
    fn of_c64(x: C64) -> Self {
        C32::new(x.re as f32, x.im as f32)
    }
}

#[derive(Clone, Copy)]
enum Carrier {
    I64,
    U64,
    F64,
    C64,
}

fn carrier(dtype: DType) -> Carrier {
    match dtype {
        DType::U64 => Carrier::U64,
        d if d.is_integral() => Carrier::I64,
        d if d.is_complex() => Carrier::C64,
        _ => Carrier::F64,
    }
}

/// # Safety
/// `n` elements of the dtype are there, `step` apart, and `to` holds as many of its carrier.
unsafe fn load(dtype: DType, from: *const u8, step: isize, to: *mut u8, n: usize) {
    macro_rules! all {
        ($S:ty => $T:ty: $f:expr) => {
            for i in 0..n {
                // SAFETY: as above.
                unsafe { to.cast::<$T>().add(i).write($f(*from.cast::<$S>().offset(i as isize * step))) };
            }
        };
    }
    match dtype {
        DType::Bool => all!(bool => i64: i64::from),
        DType::U8 => all!(u8 => i64: i64::from),
        DType::U16 => all!(u16 => i64: i64::from),
        DType::U32 => all!(u32 => i64: i64::from),
        DType::U64 => all!(u64 => u64: |x| x),
        DType::I8 => all!(i8 => i64: i64::from),
        DType::I16 => all!(i16 => i64: i64::from),
        DType::I32 => all!(i32 => i64: i64::from),
        DType::I64 => all!(i64 => i64: |x| x),
        DType::F16 => all!(f16 => f64: f16::to_f64),
        DType::BF16 => all!(bf16 => f64: bf16::to_f64),
        DType::F32 => all!(f32 => f64: f64::from),
        DType::F64 => all!(f64 => f64: |x| x),
        DType::C64 => all!(C32 => C64: |c: C32| C64::new(c.re.into(), c.im.into())),
        DType::C128 => all!(C64 => C64: |x| x),
    }
}

/// # Safety
/// `n` elements of the carrier are there, and `to` has room for as many `T`s, `step` apart.
unsafe fn store<T: Carried>(carrier: Carrier, from: *const u8, to: *mut u8, step: isize, n: usize) {
    macro_rules! all {
        ($S:ty, $f:ident) => {
            for i in 0..n {
                // SAFETY: as above.
                unsafe { to.cast::<T>().offset(i as isize * step).write(T::$f(*from.cast::<$S>().add(i))) };
            }
        };
    }
    match carrier {
        Carrier::I64 => all!(i64, of_i64),
        Carrier::U64 => all!(u64, of_u64),
        Carrier::F64 => all!(f64, of_f64),
        Carrier::C64 => all!(C64, of_c64),
    }
}

/// `from`, broadcast, in the dtype and layout of `out`. They may overlap only where they are the same elements in the same
/// dtype.
pub fn cast(from: &View, out: &mut ViewMut) -> Result<()> {
    if from.dtype == out.dtype {
        return movement::copy(from, out);
    }
    let wide = from.layout.broadcast_to(&out.layout.shape);
    let walk = Walk::new(&out.layout.shape, &[&out.layout.strides, &wide.strides]);
    let (start, dtype) = (out.start() as usize, out.dtype);
    let source = from.start() as usize;
    let carrier = carrier(from.dtype);
    let task = |range: std::ops::Range<usize>| {
        let mut buffer = [C64::default(); BLOCK];
        let buffer = buffer.as_mut_ptr().cast::<u8>();
        walk.run(range, &mut |at, step, n| {
            for done in (0..n).step_by(BLOCK) {
                let m = BLOCK.min(n - done);
                let place = |k: usize, dtype: DType| (at[k] + done as isize * step[k]) * dtype.size() as isize;
                let p = (source as *const u8).wrapping_offset(place(1, from.dtype));
                let q = (start as *mut u8).wrapping_offset(place(0, dtype));
                // SAFETY: the walk stays within both layouts, and the buffer holds a block of the widest carrier.
                unsafe {
                    load(from.dtype, p, step[1], buffer, m);
                    crate::storage_type!(dtype, T => store::<T>(carrier, buffer, q, step[0], m));
                }
            }
        });
    };
    pool::ranges(walk.numel(), 1 << 15, &task)
}
