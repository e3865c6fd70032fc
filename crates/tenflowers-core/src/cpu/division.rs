//! Division that rounds down, and what it leaves, which has the divisor's sign: of floats as in CPython and PyTorch.
//!
//! The truncated quotient of two floats is off by one at most, which the sign of the rest tells, and the rest is exact, as
//! long as the quotient is far from where floats are an integer apart. Integers are divided as floats that hold them.
use super::math::Real;
use super::simd::Lanes;

/// Numbers that are divided. Those called near are right where `is_near` holds, and have no branches.
pub trait Divided: Copy {
    fn floored_quotient(self, by: Self) -> Self;
    fn floored_rest(self, by: Self) -> Self;
    fn whole_quotient(self, by: Self) -> Self;
    fn is_near(self, by: Self) -> bool;
    fn near_floored_quotient(self, by: Self, lanes: Lanes) -> Self;
    fn near_floored_rest(self, by: Self, lanes: Lanes) -> Self;
    fn near_whole_quotient(self, by: Self, lanes: Lanes) -> Self;
}

/// The truncated quotient and the rest, which has the sign of `x`.
#[inline(always)]
fn truncated<T: Real>(lanes: Lanes, x: T, by: T) -> (T, T) {
    let quotient = (x / by).trunc();
    let rest = if lanes.is_fused() {
        lanes.fma(-quotient, by, x)
    } else {
        let (high, low) = quotient.exact_product(by, lanes);
        x - high - low
    };
    // The quotient was rounded up to an integer.
    let over = (rest < T::zero()) & (x > T::zero()) | (rest > T::zero()) & (x < T::zero());
    let one = T::one().copysign(quotient);
    let quotient = if over { quotient - one } else { quotient };
    let rest = if over { rest + by.abs().copysign(x) } else { rest };
    (quotient, rest.copysign(x))
}

#[inline(always)]
fn floored<T: Real>(lanes: Lanes, x: T, by: T) -> (T, T) {
    let (quotient, rest) = truncated(lanes, x, by);
    let down = (rest != T::zero()) & ((rest < T::zero()) != (by < T::zero()));
    let rest = if down { rest + by } else { rest };
    (if down { quotient - T::one() } else { quotient }, rest)
}

macro_rules! floats {
    ($($t:ty, $most:literal;)*) => {$(
        impl Divided for $t {
            /// Exact where the quotient is near an integer.
            #[inline(always)]
            fn floored_quotient(self, by: Self) -> Self {
                if by == 0.0 { return self / by; }
                let rem = self % by;
                let mut div = (self - rem) / by;
                if rem != 0.0 && (by < 0.0) != (rem < 0.0) { div -= 1.0; }
                if div == 0.0 { return (0.0 as $t).copysign(self / by); }
                let floor = div.floor();
                if div - floor > 0.5 { floor + 1.0 } else { floor }
            }
            #[inline(always)]
            fn floored_rest(self, by: Self) -> Self {
                let r = self % by;
                if r != 0.0 && (r < 0.0) != (by < 0.0) { r + by } else { r }
            }
            #[inline(always)]
            fn whole_quotient(self, by: Self) -> Self { (self / by).trunc() }
            #[inline(always)]
            fn is_near(self, by: Self) -> bool {
                (self.abs() <= by.abs() * $most) & (by.abs() < <$t>::INFINITY) & (by != 0.0)
            }
            #[inline(always)]
            fn near_floored_quotient(self, by: Self, lanes: Lanes) -> Self {
                let (quotient, _) = floored(lanes, self, by);
                if quotient == 0.0 { (0.0 as $t).copysign(self / by) } else { quotient }
            }
            #[inline(always)]
            fn near_floored_rest(self, by: Self, lanes: Lanes) -> Self { floored(lanes, self, by).1 }
            #[inline(always)]
            fn near_whole_quotient(self, by: Self, _: Lanes) -> Self { (self / by).trunc() }
        }
    )*};
}
// Quotients below 2^20.
floats! { f32, 1_048_576.0; f64, 1_048_576.0; }

/// What holds integers exactly: those below a limit, or all of a type.
macro_rules! integers {
    ($($t:ty as $float:ty: |$x:ident, $y:ident| $near:expr, |$i:ident| $to:expr, |$f:ident| $from:expr;)*) => {$(
        impl Divided for $t {
            #[inline(always)]
            fn floored_quotient(self, by: Self) -> Self {
                let q = self.wrapping_div(by);
                if self.wrapping_rem(by) != 0 && (self ^ by) < <$t>::default() { q.wrapping_sub(1) } else { q }
            }
            #[inline(always)]
            fn floored_rest(self, by: Self) -> Self {
                let r = self.wrapping_rem(by);
                if r != 0 && (r ^ by) < <$t>::default() { r.wrapping_add(by) } else { r }
            }
            #[inline(always)]
            fn whole_quotient(self, by: Self) -> Self { self.wrapping_div(by) }
            #[inline(always)]
            fn is_near(self, by: Self) -> bool { let ($x, $y) = (self, by); $near }
            #[inline(always)]
            fn near_floored_quotient(self, by: Self, lanes: Lanes) -> Self {
                let $i = self; let x: $float = $to; let $i = by; let y: $float = $to;
                let $f = floored(lanes, x, y).0;
                $from
            }
            #[inline(always)]
            fn near_floored_rest(self, by: Self, lanes: Lanes) -> Self {
                let $i = self; let x: $float = $to; let $i = by; let y: $float = $to;
                let $f = floored(lanes, x, y).1;
                $from
            }
            #[inline(always)]
            fn near_whole_quotient(self, by: Self, lanes: Lanes) -> Self {
                let $i = self; let x: $float = $to; let $i = by; let y: $float = $to;
                let $f = truncated(lanes, x, y).0;
                $from
            }
        }
    )*};
}
/// Added to an integer below 2^51 in size, it puts that into the low bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;

#[inline(always)]
#[expect(clippy::manual_range_contains, reason = "two comparisons without a branch, so that loops vectorise")]
fn to_i32(f: f64) -> i32 {
    // The lowest number by -1 wraps.
    let inside = if (f >= -2_147_483_648.0) & (f <= 2_147_483_647.0) { f } else { -2_147_483_648.0 };
    // SAFETY: within the range.
    unsafe { inside.to_int_unchecked() }
}
#[inline(always)]
fn to_u32(f: f64) -> u32 {
    (f + SHIFT).to_bits() as u32
}
/// Quotients and rests of integers of 16 bits.
#[inline(always)]
fn to_short(f: f32) -> i32 {
    let inside = if f.abs() <= 65_536.0 { f } else { 0.0 };
    // SAFETY: within the range.
    unsafe { inside.to_int_unchecked() }
}
#[inline(always)]
fn is_small(x: i64) -> bool {
    (x as u64).wrapping_add(1 << 51) < 1 << 52
}
integers! {
    u8 as f32: |_x, _y| true, |i| i.into(), |f| to_short(f) as u8;
    i8 as f32: |_x, _y| true, |i| i.into(), |f| to_short(f) as i8;
    u16 as f32: |_x, _y| true, |i| i.into(), |f| to_short(f) as u16;
    i16 as f32: |_x, _y| true, |i| i.into(), |f| to_short(f) as i16;
    i32 as f64: |_x, _y| true, |i| i.into(), |f| to_i32(f);
    u32 as f64: |_x, _y| true, |i| i.into(), |f| to_u32(f);
    i64 as f64: |x, y| is_small(x) & is_small(y), |i| f64::from_bits(SHIFT.to_bits().wrapping_add(i as u64)) - SHIFT,
        |f| (f + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i64;
    u64 as f64: |x, y| (x | y) < 1 << 51, |i| f64::from_bits(SHIFT.to_bits().wrapping_add(i)) - SHIFT,
        |f| (f + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits());
}
