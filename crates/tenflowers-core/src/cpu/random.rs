//! Random numbers into tensors. Element `i` depends on the seed, the place in the stream and `i` alone.
use super::sequence::{BLOCK, by_parts};
use super::simd::vectorize;
use super::walk::Walk;
use super::{View, ViewMut, philox, pool};
use crate::dtype::{C32, C64, DType, Element, bf16, f16};
use crate::error::{Result, TensorError};
use crate::rng::Counters;
use std::ops::Range;

/// How elements are drawn.
#[derive(Debug, Clone, Copy)]
pub enum Draw {
    /// In [low, high).
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// Integers in [low, low + span); all of them where the span is 0.
    Integer {
        low: i64,
        span: u64,
    },
    /// True with a probability.
    Coin {
        p: f64,
    },
    /// The integers below the number of elements, each once.
    Permutation,
}

/// Elements of one task.
const GRAIN: usize = 1 << 14;

/// Fills an output, which lies in one run.
pub fn fill(draw: Draw, counters: Counters, out: &mut ViewMut) -> Result<()> {
    let (key, double) = (counters.seed, out.dtype == DType::F64);
    match draw {
        Draw::Uniform { low, high } if double => runs(counters, out, 2, |counter, run: &mut [f64]| {
            philox::fill_uniform_f64(key, counter, run);
            if (low, high) != (0.0, 1.0) {
                let top = high.next_down().max(low);
                each(
                    run,
                    #[inline(always)]
                    |x| (low + x * (high - low)).min(top),
                );
            }
        }),
        Draw::Uniform { low, high } => {
            // What rounds up to the end in a narrower type is kept below it.
            let below = |high: f64| match out.dtype {
                DType::F16 => f32::from(f16::from_f64(high)) * (1.0 - 1.0 / 1024.0),
                DType::BF16 => f32::from(bf16::from_f64(high)) * (1.0 - 1.0 / 128.0),
                _ => (high as f32).next_down(),
            };
            let unit = out.dtype == DType::F32 && (low, high) == (0.0, 1.0);
            let (bottom, width) = (low as f32, (high - low) as f32);
            let top = if high > 0.0 { below(high) } else { (high as f32).next_down() }.max(bottom);
            runs(counters, out, 4, |counter, run: &mut [f32]| {
                philox::fill_uniform_f32(key, counter, run);
                if !unit {
                    each(
                        run,
                        #[inline(always)]
                        |x| (bottom + x * width).min(top),
                    );
                }
            })
        }
        Draw::Normal { mean, std } if double => runs(counters, out, 2, |counter, run: &mut [f64]| {
            philox::fill_normal_f64(key, counter, run);
            if (mean, std) != (0.0, 1.0) {
                each(
                    run,
                    #[inline(always)]
                    |x| x * std + mean,
                );
            }
        }),
        Draw::Normal { mean, std } => runs(counters, out, 4, |counter, run: &mut [f32]| {
            philox::fill_normal_f32(key, counter, run);
            if (mean, std) != (0.0, 1.0) {
                let (mean, std) = (mean as f32, std as f32);
                each(
                    run,
                    #[inline(always)]
                    |x| x * std + mean,
                );
            }
        }),
        Draw::Integer { low, span } => runs(counters, out, 2, |counter, run: &mut [i64]| {
            integers(key, counter, run, low, span);
        }),
        Draw::Permutation => {
            permutation(counters, out.fresh::<i64>());
            Ok(())
        }
        Draw::Coin { p } => runs(counters, out, 4, |counter, run: &mut [bool]| {
            // A 33rd bit, so that 1 is always true.
            let limit = (p * (1u64 << 32) as f64).round() as u64;
            words(key, counter, run.len(), |at, words| {
                let run = &mut run[at];
                vectorize(
                    #[inline(always)]
                    |_| run.iter_mut().zip(words).for_each(|(x, &w)| *x = u64::from(w) < limit),
                );
            });
        }),
    }
}

#[inline(always)]
fn each<T: Copy>(run: &mut [T], f: impl Fn(T) -> T) {
    vectorize(
        #[inline(always)]
        |_| run.iter_mut().for_each(|x| *x = f(*x)),
    );
}

/// Hands `n` words to `f` by blocks, with the places they are for.
fn words(key: u64, counter: u128, n: usize, mut f: impl FnMut(Range<usize>, &[u32])) {
    let mut buffer = [0; BLOCK];
    for at in (0..n).step_by(BLOCK) {
        let words = &mut buffer[..BLOCK.min(n - at)];
        philox::fill_u32(key, counter + (at / 4) as u128, words);
        f(at..at + words.len(), words);
    }
}

fn integers(key: u64, counter: u128, run: &mut [i64], low: i64, span: u64) {
    words(key, counter, run.len() * 2, |at, words| {
        let run = &mut run[at.start / 2..at.end / 2];
        let (pairs, _) = words.as_chunks::<2>();
        vectorize(
            #[inline(always)]
            |_| {
                let pairs = run.iter_mut().zip(pairs).map(|(x, w)| (x, u64::from(w[0]), u64::from(w[1])));
                // The high half of the product with 64 random bits is uniform up to span / 2^64.
                if span == 0 {
                    pairs.for_each(|(x, a, b)| *x = low.wrapping_add((a | b << 32) as i64));
                } else if span < 1 << 32 {
                    let narrow = u64::from(span as u32);
                    pairs.for_each(|(x, a, b)| {
                        *x = low.wrapping_add(((b * narrow + ((a * narrow) >> 32)) >> 32) as i64)
                    });
                } else {
                    pairs.for_each(|(x, a, b)| {
                        *x = low.wrapping_add(((u128::from(a | b << 32) * u128::from(span)) >> 64) as i64);
                    });
                }
            },
        );
    });
}

/// Fills an output by parts, of which `per` elements come from a counter.
fn runs<T: Element>(
    counters: Counters,
    out: &mut ViewMut,
    per: usize,
    part: impl Fn(u128, &mut [T]) + Sync,
) -> Result<()> {
    by_parts(out, |at, run| part(u128::from(counters.offset) + (at / per) as u128, run))
}

/// Each index below the length once, by Durstenfeld's shuffle from the inside out (1964), whose order is one thread's.
fn permutation(counters: Counters, out: &mut [i64]) {
    let mut places = [0i64; BLOCK];
    for first in (0..out.len()).step_by(BLOCK) {
        let n = BLOCK.min(out.len() - first);
        words(counters.seed, u128::from(counters.offset) + (first / 2) as u128, n * 2, |at, words| {
            let (pairs, _) = words.as_chunks::<2>();
            for ((i, to), w) in (first + at.start / 2..).zip(&mut places[at.start / 2..]).zip(pairs) {
                let word = u64::from(w[0]) | u64::from(w[1]) << 32;
                *to = ((u128::from(word) * (i as u128 + 1)) >> 64) as i64;
            }
        });
        for (i, &j) in (first..).zip(&places[..n]) {
            // Written first: the output is memory that nobody has written yet, and `j` may be `i`.
            out[i] = i as i64;
            out.swap(i, j as usize);
        }
    }
}

/// 1 with the probability that each element says, else 0, in the dtype of both.
pub fn bernoulli(counters: Counters, p: &View, out: &mut ViewMut) -> Result<()> {
    fn flip<T: Element>(counters: Counters, p: &View, out: &mut ViewMut, f: impl Fn(T) -> f64 + Sync) -> Result<()> {
        let p = &*p.to_slice::<T>()?;
        let bad = |part: &[T]| {
            vectorize(
                #[inline(always)]
                |_| part.iter().fold(false, |bad, &p| bad | !(0.0..=1.0).contains(&f(p))),
            )
        };
        if p.chunks(BLOCK).any(bad) {
            return Err(TensorError::argument("bernoulli", "probabilities are between 0 and 1"));
        }
        let (one, zero) = (T::of(true.into()), T::default());
        by_parts(out, |first, run: &mut [T]| {
            words(counters.seed, u128::from(counters.offset) + (first / 4) as u128, run.len(), |at, words| {
                let p = &p[first + at.start..first + at.end];
                let run = &mut run[at];
                vectorize(
                    #[inline(always)]
                    |_| {
                        for ((x, &w), &p) in run.iter_mut().zip(words).zip(p) {
                            *x = if f64::from(w) < f(p) * (1u64 << 32) as f64 { one } else { zero };
                        }
                    },
                );
            });
        })
    }
    match out.dtype {
        DType::F32 => flip::<f32>(counters, p, out, f64::from),
        DType::F64 => flip::<f64>(
            counters,
            p,
            out,
            #[inline(always)]
            |p| p,
        ),
        DType::F16 => flip::<f16>(counters, p, out, f16::to_f64),
        DType::BF16 => flip::<bf16>(counters, p, out, bf16::to_f64),
        other => Err(TensorError::dtype("bernoulli", other)),
    }
}

/// Each element times 0 with probability `p`, else times `1 / (1 - p)`. The output may be the input.
pub fn dropout(p: f64, counters: Counters, x: &View, out: &mut ViewMut) -> Result<()> {
    // Of 24 bits, as of a uniform number that is compared with p.
    let limit = (p * (1 << 24) as f64).ceil() as u32;
    let scale = 1.0 / (1.0 - p);
    let single = scale as f32;
    macro_rules! masked {
        ($T:ty, |$x:ident, $kept:ident| $value:expr) => {
            drop_out::<$T>(
                counters,
                limit,
                x,
                out,
                #[inline(always)]
                |$x, $kept| $value,
            )
        };
    }
    match out.dtype {
        DType::F32 => masked!(f32, |x, kept| x * if kept { single } else { 0.0 }),
        DType::F64 => masked!(f64, |x, kept| x * if kept { scale } else { 0.0 }),
        DType::F16 => masked!(f16, |x, kept| f16::from_f32(x.to_f32() * if kept { single } else { 0.0 })),
        DType::BF16 => masked!(bf16, |x, kept| bf16::from_f32(x.to_f32() * if kept { single } else { 0.0 })),
        DType::C64 => masked!(C32, |x, kept| x * if kept { single } else { 0.0 }),
        DType::C128 => masked!(C64, |x, kept| x * if kept { scale } else { 0.0 }),
        other => Err(TensorError::dtype("dropout", other)),
    }
}

fn drop_out<T: Element>(
    counters: Counters,
    limit: u32,
    x: &View,
    out: &mut ViewMut,
    f: impl Fn(T, bool) -> T + Sync,
) -> Result<()> {
    let walk = Walk::new(&out.layout.shape, &[&out.layout.strides, &x.layout.strides]);
    let (to, from) = (out.ptr::<T>() as usize, x.ptr::<T>() as usize);
    let task = |range: Range<usize>| {
        let counter = u128::from(counters.offset) + (range.start / 4) as u128;
        words(counters.seed, counter, range.len(), |part, words| {
            let mut words = words;
            walk.run(range.start + part.start..range.start + part.end, &mut |at, step, n| {
                let (to, from) = ((to as *mut T).wrapping_offset(at[0]), (from as *const T).wrapping_offset(at[1]));
                let (now, later) = words.split_at(n);
                words = later;
                macro_rules! each {
                    ($i:ident: $to:expr, $from:expr) => {
                        for ($i, w) in (0isize..).zip(now) {
                            // SAFETY: the walk stays within both, of which the output is the kernel's alone.
                            unsafe { to.offset($to).write(f(*from.offset($from), w >> 8 >= limit)) };
                        }
                    };
                }
                match *step {
                    [1, 1] => vectorize(
                        #[inline(always)]
                        |_| each!(i: i, i),
                    ),
                    [a, b] => each!(i: i * a, i * b),
                    _ => {}
                }
            });
        });
    };
    let n = walk.numel();
    if n <= GRAIN {
        task(0..n);
        return Ok(());
    }
    pool::ranges(n, GRAIN, &task)
}
