//! Folds of one run of elements by accumulators side by side: what sums, extremes, softmax and norms have in common.
//!
//! All is inlined into the code that `vectorize` compiles, as the functions of `math` are.
use super::simd::Lanes;
use num_traits::Float;

/// Accumulators side by side, in each of four groups, so that no addition waits for the one before.
const LANES: usize = 16;

/// Elements that accumulators see before they are merged into others, or that stay in the first cache for a second look.
pub const BLOCK: usize = 4096;

/// Elements after which sums go on in double precision.
const LONG: usize = 16 * BLOCK;

/// A real number that sums are made of in its own precision, a block at a time, and in double across blocks.
pub trait Summed: Float + Into<f64> + Send + Sync + 'static {
    fn rounded(x: f64) -> Self;
}

impl Summed for f32 {
    #[inline(always)]
    fn rounded(x: f64) -> f32 {
        x as f32
    }
}

impl Summed for f64 {
    #[inline(always)]
    fn rounded(x: f64) -> f64 {
        x
    }
}

/// Everything in `x` folded into one. Each accumulator sees 64 elements before it is merged with others, which keeps long
/// sums in single precision accurate.
#[inline(always)]
pub fn fold<T: Copy, A: Copy>(x: &[T], start: A, step: impl Fn(A, T) -> A, merge: impl Fn(A, A) -> A) -> A {
    if x.len() < LANES {
        let mut all = start;
        for &x in x {
            all = step(all, x);
        }
        return all;
    }
    // Each array is small enough for LLVM to keep it in registers.
    let (mut a, mut b, mut c, mut d) = ([start; LANES], [start; LANES], [start; LANES], [start; LANES]);
    let (main, rest) = x.as_chunks::<{ 4 * LANES }>();
    for block in main.chunks(BLOCK / (4 * LANES)) {
        let (mut e, mut f, mut g, mut h) = ([start; LANES], [start; LANES], [start; LANES], [start; LANES]);
        for four in block {
            for i in 0..LANES {
                e[i] = step(e[i], four[i]);
                f[i] = step(f[i], four[LANES + i]);
                g[i] = step(g[i], four[2 * LANES + i]);
                h[i] = step(h[i], four[3 * LANES + i]);
            }
        }
        for i in 0..LANES {
            a[i] = merge(a[i], e[i]);
            b[i] = merge(b[i], f[i]);
            c[i] = merge(c[i], g[i]);
            d[i] = merge(d[i], h[i]);
        }
    }
    let (ones, rest) = rest.as_chunks::<LANES>();
    for one in ones {
        for i in 0..LANES {
            a[i] = step(a[i], one[i]);
        }
    }
    // By way of memory, or else the narrow end of the tree makes LLVM narrow the vectors of the loops.
    let [mut a, b, c, d] = std::hint::black_box([a, b, c, d]);
    for i in 0..LANES {
        a[i] = merge(merge(a[i], b[i]), merge(c[i], d[i]));
    }
    let a = std::hint::black_box(a);
    let four = |i: usize| merge(merge(a[i], a[i + 8]), merge(a[i + 4], a[i + 12]));
    let all = merge(merge(four(0), four(2)), merge(four(1), four(3)));
    let mut last = start;
    for &x in rest {
        last = step(last, x);
    }
    merge(all, last)
}

/// The sum of what `of` makes of each element.
#[inline(always)]
pub fn sum_of<T: Copy, U: Summed>(x: &[T], of: impl Fn(T) -> U) -> f64 {
    let mut total = 0.0;
    for part in x.chunks(LONG) {
        total += fold(part, U::zero(), |a, x| a + of(x), |a, b| a + b).into();
    }
    total
}

/// The largest element; one that is not a number may be passed over.
#[inline(always)]
pub fn top<T: Float>(x: &[T]) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    fold(x, T::neg_infinity(), larger, larger)
}

/// How many elements, their mean, and the squares of their distances from it, summed (Chan et al., 1979).
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// Of any number of elements: read once from memory, a block at a time, and twice from the cache.
    #[inline(always)]
    pub fn of<T: Summed>(_: Lanes, x: &[T]) -> Moments {
        let mut all = Moments::default();
        for block in x.chunks(BLOCK) {
            let n = block.len() as f64;
            let add = |a: T, b: T| a + b;
            let mean = fold(block, T::zero(), add, add).into() / n;
            let near = T::rounded(mean);
            let square = |a: T, x: T| a + (x - near) * (x - near);
            let squares: f64 = fold(block, T::zero(), square, add).into();
            let off = mean - near.into();
            all = all.merged(Moments { count: n, mean, squares: not_below_zero(squares - off * off * n) });
        }
        all
    }

    #[inline(always)]
    pub fn merged(self, other: Moments) -> Moments {
        if self.count == 0.0 {
            return other;
        }
        if other.count == 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        Moments {
            count,
            mean: self.mean + apart * (other.count / count),
            squares: self.squares + other.squares + apart * apart * (self.count * other.count / count),
        }
    }
}

/// What rounding may have brought below zero; not a number stays so.
#[inline(always)]
pub fn not_below_zero(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// Asks for the cache lines of the elements from `at` on that the next loop will read, where there are as many.
#[inline(always)]
pub fn prefetch<T>(x: &[T], at: usize, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for i in (at..x.len().min(at + n)).step_by(64 / size_of::<T>()) {
        // SAFETY: within the slice; a hint has no effect on memory.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(x.as_ptr().add(i).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, at, n);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::{tests::each_isa, vectorize};

    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919) % 10007) as f32 / 5000.0 - 0.5).collect()
    }

    #[test]
    fn sums_are_as_exact_as_their_type_allows() {
        each_isa(|isa| {
            for n in [0, 1, 15, 16, 63, 64, 65, 1000, 4096, 4097, 70_000] {
                let x = values(n);
                let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
                let found = vectorize(
                    #[inline(always)]
                    |_| sum_of(&x, |x| x),
                );
                let size = exact.abs().max((n as f64).sqrt());
                assert!((found - exact).abs() <= 2e-7 * size, "{isa:?} {n}: {found} {exact}");
                let found = vectorize(
                    #[inline(always)]
                    |_| top(&x),
                );
                assert_eq!(found, x.iter().copied().fold(f32::NEG_INFINITY, f32::max), "{isa:?} {n}");
            }
        });
    }

    #[test]
    fn moments_far_from_zero() {
        each_isa(|isa| {
            let x: Vec<f32> = values(10_000).iter().map(|x| x + 1000.0).collect();
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e4;
            let squares: f64 = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
            let found = vectorize(
                #[inline(always)]
                |lanes| Moments::of(lanes, &x),
            );
            assert_eq!(found.count, 1e4);
            assert!((found.mean - mean).abs() < 1e-4, "{isa:?}: {} {mean}", found.mean);
            assert!((found.squares / squares - 1.0).abs() < 1e-5, "{isa:?}: {} {squares}", found.squares);
        });
    }
}
