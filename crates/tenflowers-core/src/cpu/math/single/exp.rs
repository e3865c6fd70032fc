//! The exponential: `x = n ln 2 + r`, a polynomial in r, and n added to the exponent (Cody and Waite, 1980).
use super::Lanes;

/// Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts: an integer of 14 bits times the first is exact.
pub const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// `exp(r)` for `|r| <= ln(2) / 2`.
const OF_REST: [f32; 7] = [1.0, 1.0, 0.5, 0.166_665_15, 0.041_666_377, 0.008_369_394, 0.001_394_292_2];
/// `(exp(r) - 1 - r) / r^2` there.
const TAIL_RELATIVE: [f32; 6] = [0.5, 0.166_666_66, 0.041_666_485, 0.008_333_541, 0.001_393_322_8, 0.000_197_669_94];

/// 2^64, by which a result is kept too large until the end where it alone may not be a normal number.
pub const LIFT: f32 = 18_446_744_073_709_551_616.0;

/// The nearest integer to `x / ln 2`, and 2 to its power times `2^lift`, which must be a normal number.
#[inline(always)]
pub fn power_of_two(lanes: Lanes, x: f32, lift: f32) -> (f32, f32) {
    // The exponent's bias comes with the rounding, and a shift puts it into its place.
    let round = ROUND + 127.0 + lift;
    let t = lanes.fma(x, std::f32::consts::LOG2_E, round);
    (t - round, f32::from_bits(t.to_bits() << 23))
}

#[inline(always)]
fn rest(lanes: Lanes, x: f32, n: f32) -> f32 {
    lanes.fma(n, -LN_2[1], lanes.fma(n, -LN_2[0], x))
}

#[inline(always)]
pub fn of_rest(lanes: Lanes, r: f32) -> f32 {
    if lanes.is_fused() {
        return lanes.polynomial(r, OF_REST);
    }
    // With a rounding for each product: the small parts first.
    let [_, _, tail @ ..] = OF_REST;
    (lanes.polynomial(r, tail) * (r * r) + r) + 1.0
}

/// `exp(x + low) * 2^lift`, which must be a normal number, for `low` below 3 in size; `plus_low` adds it exactly.
#[inline(always)]
pub fn lifted(lanes: Lanes, x: f32, low: f32, lift: f32, plus_low: impl Fn(f32) -> f32) -> f32 {
    let (n, power) = power_of_two(lanes, x + low, lift);
    of_rest(lanes, plus_low(rest(lanes, x, n))) * power
}

#[inline(always)]
pub fn exp(lanes: Lanes, x: f32) -> f32 {
    // Beyond these the result is infinite or 0 for sure; a NaN passes both comparisons.
    let x = if x > 89.0 { 89.0 } else { x };
    let none = x < -104.0;
    let x = if none { -104.0 } else { x };
    // 2^n alone may not be a normal number: 2^64 more of it below 0, 2^64 less above, made from the sign without a choice.
    let sign = x.to_bits() & (1 << 31);
    let lift = f32::from_bits((-64f32).to_bits() ^ sign);
    let back = f32::from_bits(LIFT.to_bits() - (sign >> 1));
    // A product that comes out too small is a hundred times slower than one with 0: -inf is what masks are made of.
    let back = if none { 0.0 } else { back };
    let (n, power) = power_of_two(lanes, x, lift);
    of_rest(lanes, rest(lanes, x, n)) * power * back
}

#[inline(always)]
pub fn exp_moderate(lanes: Lanes, x: f32) -> f32 {
    lifted(
        lanes,
        x,
        0.0,
        0.0,
        #[inline(always)]
        |r| r,
    )
}

/// e to the power of `x` for x in -87..=88, by powers of 2 in one factor: a little less exact than `exp`, and faster.
#[inline(always)]
pub fn quick(lanes: Lanes, x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    let t = lanes.fma(x, LOG2_E, ROUND + 127.0);
    let f = lanes.fma(x, LOG2_E, ROUND + 127.0 - t);
    // What LOG2_E is short of log2(e).
    let f = lanes.fma(x, 1.925_963e-8, f);
    // 2^f between -1/2 and 1/2, by a minimax polynomial.
    let p = lanes.polynomial(f, [1.0, 0.693_146_94, 0.240_222_42, 5.550_734e-2, 9.671_513e-3, 1.326_472_7e-3]);
    // A product, since that keeps every NaN.
    p * f32::from_bits(t.to_bits() << 23)
}

#[inline(always)]
pub fn exp_nonpositive(lanes: Lanes, x: f32) -> f32 {
    let least = -87.0;
    let y = quick(lanes, if x < least { least } else { x });
    if x < least { 0.0 } else { y }
}

/// `exp(x) - 1` for x in -60..=88.
#[inline(always)]
pub fn minus_one(lanes: Lanes, x: f32, lift: f32) -> f32 {
    let (n, power) = power_of_two(lanes, x, lift);
    let r = rest(lanes, x, n);
    let p = lanes.fma(lanes.polynomial(r, TAIL_RELATIVE), r * r, r);
    let one = if lift == 0.0 { 1.0 } else { 0.5 };
    lanes.fma(p, power, power - one)
}

#[inline(always)]
pub fn exp_m1(lanes: Lanes, x: f32) -> f32 {
    let inside = if x > 89.0 { 89.0 } else { x };
    let inside = if inside < -30.0 { -30.0 } else { inside };
    // Half of it, since the power of two may be above the largest number.
    let y = 2.0 * minus_one(lanes, inside, -1.0);
    // Also the sign of 0, and what halving would cost numbers that are not normal.
    if x.abs() < 1e-8 { x } else { y }
}
