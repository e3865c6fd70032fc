//! Philox 4x32-10: random numbers as a pure function of (key, counter), after Salmon et al., "Parallel random numbers:
//! as easy as 1, 2, 3" (2011).
//!
//! A block of four words comes from each counter, so pieces of one tensor can be filled in any order, by any number of
//! threads. The floating point helpers use no fused steps and no library calls: every instruction set gives the same
//! bits.

use crate::cpu::simd::vectorize;
use std::ops::{Add, Mul};

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The four words of one counter; counter and key are little-endian, word 0 lowest.
#[inline]
pub fn block(key: u64, counter: u128) -> [u32; 4] {
    rounds(split(counter), key)
}

#[inline(always)]
fn split(counter: u128) -> [u32; 4] {
    [counter as u32, (counter >> 32) as u32, (counter >> 64) as u32, (counter >> 96) as u32]
}

#[inline(always)]
fn rounds(mut words: [u32; 4], key: u64) -> [u32; 4] {
    let mut key = [key as u32, (key >> 32) as u32];
    for _ in 0..ROUNDS {
        words = round(words, key);
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    words
}

#[inline(always)]
fn round([a, b, c, d]: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (x, y) = (u64::from(a) * u64::from(MULTIPLIERS[0]), u64::from(c) * u64::from(MULTIPLIERS[1]));
    [(y >> 32) as u32 ^ b ^ key[0], y as u32, (x >> 32) as u32 ^ d ^ key[1], x as u32]
}

/// `out[i]` is word `i % 4` of the block of `counter + i / 4`.
pub fn fill_u32(key: u64, counter: u128, out: &mut [u32]) {
    fill(key, counter, out, words);
}

/// Uniform in [0, 1), multiples of 2^-24: `out[i]` comes from word `i % 4` of `counter + i / 4`.
pub fn fill_uniform_f32(key: u64, counter: u128, out: &mut [f32]) {
    fill(key, counter, out, uniforms_f32);
}

/// Uniform in [0, 1), multiples of 2^-53: `out[i]` comes from half `i % 2` of the block of `counter + i / 2`.
pub fn fill_uniform_f64(key: u64, counter: u128, out: &mut [f64]) {
    fill(key, counter, out, uniforms_f64);
}

/// Standard normal: `out[i]` comes from the words of the block of `counter + i / 4`.
pub fn fill_normal_f32(key: u64, counter: u128, out: &mut [f32]) {
    fill(key, counter, out, normals_f32);
}

/// Standard normal: `out[i]` comes from the words of the block of `counter + i / 2`.
pub fn fill_normal_f64(key: u64, counter: u128, out: &mut [f64]) {
    fill(key, counter, out, normals_f64);
}

#[inline(always)]
fn words(w: [u32; 4]) -> [u32; 4] {
    w
}

#[inline(always)]
fn uniforms_f32(w: [u32; 4]) -> [f32; 4] {
    [uniform_f32(w[0]), uniform_f32(w[1]), uniform_f32(w[2]), uniform_f32(w[3])]
}

#[inline(always)]
fn uniforms_f64(w: [u32; 4]) -> [f64; 2] {
    [uniform_f64(join(w[0], w[1])), uniform_f64(join(w[2], w[3]))]
}

#[inline(always)]
fn normals_f32(w: [u32; 4]) -> [f32; 4] {
    let ([a, b], [c, d]) = (normal_f32(w[0], w[1]), normal_f32(w[2], w[3]));
    [a, b, c, d]
}

#[inline(always)]
fn normals_f64(w: [u32; 4]) -> [f64; 2] {
    normal_f64(join(w[0], w[1]), join(w[2], w[3]))
}

#[inline(always)]
fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The upper 24 bits as a number in [0, 1).
#[inline(always)]
pub fn uniform_f32(word: u32) -> f32 {
    // Through i32: the conversion that every instruction set has.
    (word >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32)
}

/// The upper 53 bits as a number in [0, 1).
#[inline(always)]
pub fn uniform_f64(word: u64) -> f64 {
    (word >> 11) as i64 as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Two independent standard normals from two words, by Box and Muller.
#[inline(always)]
pub fn normal_f32(radius: u32, angle: u32) -> [f32; 2] {
    // In (0, 1]: all 32 bits, so that the tail reaches 6.7 and not 5.7.
    let u = (radius as f32 + 0.5) * (1.0 / (1u64 << 32) as f32);
    let r = (-2.0 * ln_f32(u)).sqrt();
    // The nearest quarter turn, and what is left of the angle, in +-pi/4.
    let quarter = angle.wrapping_add(1 << 29) >> 30;
    let rest = angle.wrapping_sub(quarter << 30) as i32 as f32 * (std::f32::consts::PI / (1u32 << 31) as f32);
    let z = rest * rest;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 0.166_666_55) * z * rest + rest;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    // Turned by quarters, in bits, since branches would keep the loop from becoming vectors: an odd number swaps sine
    // and cosine and negates the new cosine, two negate both.
    let swap = (sin.to_bits() ^ cos.to_bits()) & (quarter & 1).wrapping_neg();
    let c = f32::from_bits(cos.to_bits() ^ swap ^ ((quarter & 1) << 31));
    let s = f32::from_bits(sin.to_bits() ^ swap);
    let r = f32::from_bits(r.to_bits() ^ ((quarter & 2) << 30));
    [r * c, r * s]
}

/// Two independent standard normals from two words, by Box and Muller.
#[inline(always)]
pub fn normal_f64(radius: u64, angle: u64) -> [f64; 2] {
    // In (0, 1].
    let u = ((radius >> 11) as i64 as f64 + 1.0) * (1.0 / (1u64 << 53) as f64);
    let r = (-2.0 * ln_f64(u)).sqrt();
    let quarter = angle.wrapping_add(1 << 61) >> 62;
    let rest = angle.wrapping_sub(quarter << 62) as i64 as f64 * (std::f64::consts::PI / (1u64 << 63) as f64);
    let z = rest * rest;
    let sin = polynomial(
        z,
        [
            1.589_623_015_765_465_7e-10,
            -2.505_074_776_285_780_7e-8,
            2.755_731_362_138_572_5e-6,
            -1.984_126_982_958_954e-4,
            8.333_333_333_322_118e-3,
            -0.166_666_666_666_666_3,
        ],
    ) * z
        * rest
        + rest;
    let cos = polynomial(
        z,
        [
            -1.135_853_652_138_768_2e-11,
            2.087_570_084_197_473e-9,
            -2.755_731_417_929_674e-7,
            2.480_158_728_885_170_4e-5,
            -1.388_888_888_887_305_6e-3,
            4.166_666_666_666_659e-2,
        ],
    ) * z
        * z
        - 0.5 * z
        + 1.0;
    // Turned by quarters, in bits, since branches would keep the loop from becoming vectors: an odd number swaps sine
    // and cosine and negates the new cosine, two negate both.
    let swap = (sin.to_bits() ^ cos.to_bits()) & (quarter & 1).wrapping_neg();
    let c = f64::from_bits(cos.to_bits() ^ swap ^ ((quarter & 1) << 63));
    let s = f64::from_bits(sin.to_bits() ^ swap);
    let r = f64::from_bits(r.to_bits() ^ ((quarter & 2) << 62));
    [r * c, r * s]
}

#[inline(always)]
fn polynomial<T: Copy + Add<Output = T> + Mul<Output = T>, const N: usize>(x: T, coefficients: [T; N]) -> T {
    let mut y = coefficients[0];
    for c in &coefficients[1..] {
        y = y * x + *c;
    }
    y
}

/// The logarithm of a normal number in (0, 1]: Cephes' polynomial around 1, the exponent apart.
#[inline(always)]
fn ln_f32(x: f32) -> f32 {
    // The mantissa goes to [sqrt(1/2), sqrt(2)): 0x3f3504f3 is sqrt(1/2).
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = (bits as i32 >> 23) as f32;
    let x = f32::from_bits((bits & 0x007f_ffff) + 0x3f35_04f3) - 1.0;
    let z = x * x;
    let y = polynomial(
        x,
        [
            7.037_683_6e-2,
            -0.115_146_1,
            0.116_769_99,
            -0.124_201_41,
            0.142_493_23,
            -0.166_680_58,
            0.200_007_14,
            -0.249_999_94,
            0.333_333_3,
        ],
    );
    x + (y * x * z - 2.121_944_4e-4 * e - 0.5 * z) + 0.693_359_4 * e
}

/// As [`ln_f32`], with Cephes' rational function.
#[inline(always)]
fn ln_f64(x: f64) -> f64 {
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits().wrapping_sub(ROOT);
    let e = (bits as i64 >> 52) as f64;
    let x = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + ROOT) - 1.0;
    let z = x * x;
    let p = polynomial(
        x,
        [
            1.018_756_638_045_809_3e-4,
            0.497_494_994_976_747,
            4.705_791_198_788_817,
            14.498_922_534_161_093,
            17.936_867_850_781_983,
            7.708_387_337_558_854,
        ],
    );
    let q = polynomial(
        x,
        [
            1.0,
            11.287_358_718_916_746,
            45.227_914_583_753_225,
            82.987_526_691_277_67,
            71.154_475_061_856_39,
            23.125_162_012_676_533,
        ],
    );
    x + (x * (z * p / q) - e * 2.121_944_400_546_905_8e-4 - 0.5 * z) + e * 0.693_359_375
}

/// So many blocks are made one by one.
const FEW: usize = 8;

/// Fills `out` with what `make` gives for each block, `PER` elements from each.
fn fill<T: Copy, const PER: usize>(
    key: u64,
    mut counter: u128,
    out: &mut [T],
    make: impl Fn([u32; 4]) -> [T; PER] + Copy,
) {
    let (mut blocks, rest) = out.as_chunks_mut::<PER>();
    // A vector of counters costs more than a few of them.
    while blocks.len() < FEW && !blocks.is_empty() {
        let (now, later) = blocks.split_at_mut(1);
        now[0] = make(block(key, counter));
        counter = counter.wrapping_add(1);
        blocks = later;
    }
    while !blocks.is_empty() {
        // As far as only the lowest word of the counter changes.
        let run = blocks.len().min((u32::MAX - counter as u32) as usize + 1);
        let (now, later) = blocks.split_at_mut(run);
        vectorize(
            #[inline(always)]
            |_| same_upper_words(key, counter, now, make),
        );
        counter = counter.wrapping_add(run as u128);
        blocks = later;
    }
    if !rest.is_empty() {
        let last = make(block(key, counter));
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// A loop without branches, which LLVM turns into vectors of counters.
#[inline(always)]
fn same_upper_words<T, const PER: usize>(
    key: u64,
    counter: u128,
    out: &mut [[T; PER]],
    make: impl Fn([u32; 4]) -> [T; PER],
) {
    let [low, upper @ ..] = split(counter);
    let mut words = [[0; 4]; 64];
    for (group, out) in out.chunks_mut(words.len()).enumerate() {
        let low = low.wrapping_add((group * words.len()) as u32);
        for (lane, words) in words.iter_mut().enumerate() {
            *words = rounds([low.wrapping_add(lane as u32), upper[0], upper[1], upper[2]], key);
        }
        // A loop of its own: together with the rounds it is too much for LLVM.
        for (out, words) in out.iter_mut().zip(&words) {
            *out = make(*words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;

    #[test]
    fn published_known_answers() {
        assert_eq!(block(0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block(u64::MAX, u128::MAX), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let counter = 0x0370_7344_1319_8a2e_85a3_08d3_243f_6a88;
        assert_eq!(block(0x299f_31d0_a409_3822, counter), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn bulk_equals_blocks_for_every_isa_length_and_carry() {
        each_isa(|isa| {
            for start in [0, 7, u128::from(u32::MAX) - 20, u128::from(u64::MAX) - 3, u128::MAX - 9] {
                for n in (0..10).chain([63, 128, 259, 1001]) {
                    let at = |i: usize, per: usize| block(99, start.wrapping_add((i / per) as u128));
                    let mut words = vec![0; n];
                    fill_u32(99, start, &mut words);
                    assert!((0..n).all(|i| words[i] == at(i, 4)[i % 4]), "{isa:?} {start} {n}");
                    let mut x = vec![0.0; n];
                    fill_uniform_f32(99, start, &mut x);
                    assert!((0..n).all(|i| x[i] == uniforms_f32(at(i, 4))[i % 4]), "{isa:?} {start} {n}");
                    fill_normal_f32(99, start, &mut x);
                    assert!((0..n).all(|i| x[i] == normals_f32(at(i, 4))[i % 4]), "{isa:?} {start} {n}");
                    let mut x = vec![0.0; n];
                    fill_uniform_f64(99, start, &mut x);
                    assert!((0..n).all(|i| x[i] == uniforms_f64(at(i, 2))[i % 2]), "{isa:?} {start} {n}");
                    fill_normal_f64(99, start, &mut x);
                    assert!((0..n).all(|i| x[i] == normals_f64(at(i, 2))[i % 2]), "{isa:?} {start} {n}");
                }
            }
        });
    }

    #[test]
    fn uniform_covers_the_half_open_interval() {
        assert_eq!(uniform_f32(0), 0.0);
        assert_eq!(uniform_f32(u32::MAX), 1.0 - f32::EPSILON / 2.0);
        assert_eq!(uniform_f64(0), 0.0);
        assert_eq!(uniform_f64(u64::MAX), 1.0 - f64::EPSILON / 2.0);
    }

    #[test]
    fn normal_is_box_muller() {
        let corners = [0, 1, 1 << 29, (1 << 29) - 1, 1 << 30, 3 << 30, (1 << 31) + 12345, u32::MAX];
        for (i, angle) in corners.into_iter().chain((0..1000).map(|i| block(1, i)[0])).enumerate() {
            for radius in [0, 77, 1 << 16, 1 << 31, u32::MAX, block(2, i as u128)[0]] {
                let r = (-2.0 * ((f64::from(radius) + 0.5) / 4294967296.0).ln()).max(0.0).sqrt();
                let t = f64::from(angle) / 4294967296.0 * std::f64::consts::TAU;
                let [x, y] = normal_f32(radius, angle);
                // Close to 1 the logarithm of a rounded number is all error: hence the square root.
                let close =
                    |a: f32, b: f64| (f64::from(a) - b).abs() < 4e-4f64.min(1e-6 * (1.0 + r) + 1e-7 / r.max(1e-9));
                assert!(close(x, r * t.cos()) && close(y, r * t.sin()), "{radius} {angle}: {x} {y}");

                let (radius, angle) = (u64::from(radius) << 32 | 0x1234_5678, u64::from(angle) << 32 | 0x9abc_def0);
                let r = (-2.0 * (((radius >> 11) as f64 + 1.0) / (1u64 << 53) as f64).ln()).sqrt();
                let t = angle as f64 / 18446744073709551616.0 * std::f64::consts::TAU;
                let [x, y] = normal_f64(radius, angle);
                let close = |a: f64, b: f64| (a - b).abs() < 5e-15 * (1.0 + r) + 1e-16 / r.max(1e-8);
                assert!(close(x, r * t.cos()) && close(y, r * t.sin()), "{radius} {angle}: {x} {y} {r} {t}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let n = 1 << 16;
        let (mut x, mut y) = (vec![0.0f32; n], vec![0.0f64; n]);
        let moments = |x: &mut dyn Iterator<Item = f64>| {
            let (mut s, mut q, mut f) = (0.0, 0.0, 0.0);
            x.for_each(|x| (s, q, f) = (s + x, q + x * x, f + x * x * x * x));
            [s / n as f64, q / n as f64, f / n as f64]
        };
        let near = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.05);
        fill_normal_f32(5, 0, &mut x);
        assert!(near(moments(&mut x.iter().map(|&x| f64::from(x))), [0.0, 1.0, 3.0]));
        fill_normal_f64(5, 0, &mut y);
        assert!(near(moments(&mut y.iter().copied()), [0.0, 1.0, 3.0]));
        fill_uniform_f32(5, 0, &mut x);
        assert!(near(moments(&mut x.iter().map(|&x| f64::from(x))), [0.5, 1.0 / 3.0, 0.2]));
        fill_uniform_f64(5, 0, &mut y);
        assert!(near(moments(&mut y.iter().copied()), [0.5, 1.0 / 3.0, 0.2]));
    }
}
