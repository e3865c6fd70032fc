//! What each element type computes in its own way; integers wrap.
use crate::dtype::{C32, C64};
use half::{bf16, f16};

#[inline(always)]
pub fn from_bf16(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

/// To the nearest bfloat16, halves to the even one, without branches.
#[inline(always)]
pub fn to_bf16(x: f32) -> bf16 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff).wrapping_add(bits >> 16 & 1) >> 16;
    // What is not a number must not become one when its low bits are lost.
    let quiet = bits >> 16 | 0x40;
    bf16::from_bits(if x.is_nan() { quiet } else { nearest } as u16)
}

pub trait Number: Copy {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn negated(self) -> Self;
}

macro_rules! numbers {
    ($($t:ty)*: |$x:ident, $y:ident| $plus:expr, $minus:expr, $times:expr, $negated:expr) => {$(
        impl Number for $t {
            #[inline(always)]
            fn plus(self, other: Self) -> Self { let ($x, $y) = (self, other); $plus }
            #[inline(always)]
            fn minus(self, other: Self) -> Self { let ($x, $y) = (self, other); $minus }
            #[inline(always)]
            fn times(self, other: Self) -> Self { let ($x, $y) = (self, other); $times }
            #[inline(always)]
            fn negated(self) -> Self { let $x = self; $negated }
        }
    )*};
}
numbers!(u8 u16 u32 u64 i8 i16 i32 i64: |x, y| x.wrapping_add(y), x.wrapping_sub(y), x.wrapping_mul(y), x.wrapping_neg());
numbers!(f16 f32 f64 C32 C64: |x, y| x + y, x - y, x * y, -x);
numbers!(bf16: |x, y| to_bf16(from_bf16(x) + from_bf16(y)), to_bf16(from_bf16(x) - from_bf16(y)), to_bf16(from_bf16(x) * from_bf16(y)), -x);
numbers!(bool: |x, y| x | y, x ^ y, x & y, x);

/// Numbers that have an order.
pub trait Ordered: Copy + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;
    fn signum0(self) -> Self;
    fn absolute(self) -> Self;
    #[inline(always)]
    fn above(self, other: Self) -> bool {
        self > other
    }
    /// Whether it is not a number, which wins over every other.
    fn is_nothing(self) -> bool;
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other || self.is_nothing() { self } else { other }
    }
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other || self.is_nothing() { self } else { other }
    }
}
macro_rules! ordered {
    ($($t:ty)*: $lowest:ident $highest:ident |$x:ident| $signum:expr, $absolute:expr, $nothing:expr) => {$(
        impl Ordered for $t {
            const LOWEST: Self = <$t>::$lowest;
            const HIGHEST: Self = <$t>::$highest;
            #[inline(always)]
            fn signum0(self) -> Self { let $x = self; $signum }
            #[inline(always)]
            fn absolute(self) -> Self { let $x = self; $absolute }
            #[inline(always)]
            fn is_nothing(self) -> bool { let $x = self; $nothing }
        }
    )*};
}
ordered!(u8 u16 u32 u64: MIN MAX |x| Self::from(x != 0), x, { let _ = x; false });
ordered!(i8 i16 i32 i64: MIN MAX |x| x.signum(), x.wrapping_abs(), { let _ = x; false });
ordered!(f32 f64: NEG_INFINITY INFINITY |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 }, x.abs(), x.is_nan());

impl Ordered for bool {
    const LOWEST: bool = false;
    const HIGHEST: bool = true;
    fn signum0(self) -> bool {
        self
    }
    fn absolute(self) -> bool {
        self
    }
    fn above(self, other: bool) -> bool {
        self & !other
    }
    fn is_nothing(self) -> bool {
        false
    }
}
