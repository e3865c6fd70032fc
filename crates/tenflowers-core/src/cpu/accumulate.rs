//! Folds of one run of elements by accumulators side by side: what sums, extremes, softmax and norms have in common.
//!
//! All is inlined into the code that `vectorize` compiles, as the functions of `math` are.
use super::simd::{self, Lanes};
use num_traits::Float;
use std::ops::Range;

/// Accumulators side by side, in each of four groups, so that no addition waits for the one before.
pub const LANES: usize = 16;

/// Elements that stay in the first cache for a second look.
pub const BLOCK: usize = 4096;

/// Elements that one accumulator sees before it is merged into another, which sees as many of those: chains this short keep
/// sums in single precision as accurate as pairwise ones.
pub const CHAIN: usize = 16;

/// The longest rows that `fold_four` is for.
pub const FOUR: usize = 512;

/// Elements after which sums go on in double precision, or by other means.
pub const LONG: usize = CHAIN * CHAIN * 4 * LANES;

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

/// One element to each accumulator.
#[inline(always)]
fn step_all<T: Copy, A: Copy>(x: &[T; 4 * LANES], [a, b, c, d]: [&mut [A; LANES]; 4], step: impl Fn(A, T) -> A + Copy) {
    for i in 0..LANES {
        a[i] = step(a[i], x[i]);
        b[i] = step(b[i], x[LANES + i]);
        c[i] = step(c[i], x[2 * LANES + i]);
        d[i] = step(d[i], x[3 * LANES + i]);
    }
}

/// Everything in `x`, of [`LONG`] elements at most where the order of sums counts, folded into one.
#[inline(always)]
pub fn fold<T: Copy, A: Copy>(
    x: &[T],
    start: A,
    step: impl Fn(A, T) -> A + Copy,
    merge: impl Fn(A, A) -> A + Copy,
) -> A {
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
    for block in main.chunks(CHAIN) {
        let (mut e, mut f, mut g, mut h) = ([start; LANES], [start; LANES], [start; LANES], [start; LANES]);
        for four in block {
            step_all(four, [&mut e, &mut f, &mut g, &mut h], step);
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
    let mut four = quarter(&std::hint::black_box(a), merge);
    let (fours, rest) = rest.as_chunks::<4>();
    for x in fours {
        for i in 0..4 {
            four[i] = step(four[i], x[i]);
        }
    }
    let four = std::hint::black_box(four);
    let mut all = merge(merge(four[0], four[2]), merge(four[1], four[3]));
    for &x in rest {
        all = step(all, x);
    }
    all
}

/// Accumulators merged until four are left.
#[inline(always)]
pub fn quarter<A: Copy>(a: &[A; LANES], merge: impl Fn(A, A) -> A + Copy) -> [A; 4] {
    let mut eight = [a[0]; 8];
    for i in 0..8 {
        eight[i] = merge(a[i], a[i + 8]);
    }
    let mut four = [a[0]; 4];
    for i in 0..4 {
        four[i] = merge(eight[i], eight[i + 4]);
    }
    four
}

/// Four rows of one length, each folded into one: what is left of the four at the end comes together at once, which is
/// most of the work where rows are short. For rows of up to [`FOUR`] elements, since each accumulator sees a 16th of them.
///
/// The rows are no array, and are read by index: neither goes by way of memory.
#[inline(always)]
#[allow(clippy::too_many_arguments, clippy::needless_range_loop, reason = "as above")]
pub fn fold_four<T: Copy, A: Copy>(
    a: &[T],
    b: &[T],
    c: &[T],
    d: &[T],
    start: A,
    step: impl Fn(A, T) -> A + Copy,
    merge: impl Fn(A, A) -> A + Copy,
) -> [A; 4] {
    let n = a.len();
    let ((xa, a), (xb, b)) = (a.as_chunks::<LANES>(), b[..n].as_chunks::<LANES>());
    let ((xc, c), (xd, d)) = (c[..n].as_chunks::<LANES>(), d[..n].as_chunks::<LANES>());
    let (mut e, mut f, mut g, mut h) = ([start; LANES], [start; LANES], [start; LANES], [start; LANES]);
    for k in 0..xa.len() {
        let (a, b, c, d) = (&xa[k], &xb[k], &xc[k], &xd[k]);
        for i in 0..LANES {
            e[i] = step(e[i], a[i]);
            f[i] = step(f[i], b[i]);
            g[i] = step(g[i], c[i]);
            h[i] = step(h[i], d[i]);
        }
    }
    let (mut e, mut f) = (quarter(&e, merge), quarter(&f, merge));
    let (mut g, mut h) = (quarter(&g, merge), quarter(&h, merge));
    let ((xa, a), (xb, b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let ((xc, c), (xd, d)) = (c.as_chunks::<4>(), d.as_chunks::<4>());
    for k in 0..xa.len() {
        let (a, b, c, d) = (&xa[k], &xb[k], &xc[k], &xd[k]);
        for i in 0..4 {
            e[i] = step(e[i], a[i]);
            f[i] = step(f[i], b[i]);
            g[i] = step(g[i], c[i]);
            h[i] = step(h[i], d[i]);
        }
    }
    // As in `fold`; each by itself, since a load of what several stores wrote has to wait for them.
    let (e, f) = (std::hint::black_box(e), std::hint::black_box(f));
    let (g, h) = (std::hint::black_box(g), std::hint::black_box(h));
    let p = [merge(e[0], e[2]), merge(e[1], e[3]), merge(f[0], f[2]), merge(f[1], f[3])];
    let q = [merge(g[0], g[2]), merge(g[1], g[3]), merge(h[0], h[2]), merge(h[1], h[3])];
    let (mut e, mut f) = (merge(p[0], p[1]), merge(p[2], p[3]));
    let (mut g, mut h) = (merge(q[0], q[1]), merge(q[2], q[3]));
    for k in 0..a.len() {
        (e, f) = (step(e, a[k]), step(f, b[k]));
        (g, h) = (step(g, c[k]), step(h, d[k]));
    }
    [e, f, g, h]
}

/// Folds rows of `n` elements: short ones four at a time.
#[inline(always)]
pub fn fold_rows<'a, T: Copy + 'a, A: Copy>(
    row: impl Fn(usize) -> &'a [T],
    n: usize,
    start: A,
    step: impl Fn(A, T) -> A + Copy,
    merge: impl Fn(A, A) -> A + Copy,
    found: &mut [A],
) {
    let rows = found.len();
    let mut r = 0;
    while (LANES / 2..=FOUR).contains(&n) && r < rows {
        let at = |i: usize| row((r + i).min(rows - 1));
        let four = fold_four(at(0), at(1), at(2), at(3), start, step, merge);
        for (found, a) in found[r..].iter_mut().zip(four) {
            *found = a;
        }
        r += 4;
    }
    while r < rows {
        found[r] = fold(row(r), start, step, merge);
        r += 1;
    }
}

/// Folds `m` rows, column by column, and merges that into what there is: chains of [`CHAIN`] rows at most.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "as `fold_four`")]
pub fn fold_columns<'a, T: Copy + 'a, A: Copy>(
    found: &mut [A],
    row: impl Fn(usize) -> &'a [T],
    m: usize,
    start: A,
    step: impl Fn(A, T) -> A + Copy,
    merge: impl Fn(A, A) -> A + Copy,
) {
    for first in (0..m).step_by(CHAIN) {
        let rows = first..m.min(first + CHAIN);
        let (main, rest) = found.as_chunks_mut::<{ 4 * LANES }>();
        for (k, found) in main.iter_mut().enumerate() {
            // As in `fold`.
            let (mut a, mut b, mut c, mut d) = ([start; LANES], [start; LANES], [start; LANES], [start; LANES]);
            for j in rows.clone() {
                let x = &row(j).as_chunks::<{ 4 * LANES }>().0[k];
                step_all(x, [&mut a, &mut b, &mut c, &mut d], step);
            }
            for i in 0..LANES {
                found[i] = merge(found[i], a[i]);
                found[LANES + i] = merge(found[LANES + i], b[i]);
                found[2 * LANES + i] = merge(found[2 * LANES + i], c[i]);
                found[3 * LANES + i] = merge(found[3 * LANES + i], d[i]);
            }
        }
        let row = |j| row(j).as_chunks::<{ 4 * LANES }>().1;
        let rest = fold_chunks::<T, A, LANES>(rest, row, rows.clone(), start, step, merge);
        let row = |j| row(j).as_chunks::<LANES>().1;
        let rest = fold_chunks::<T, A, 4>(rest, row, rows.clone(), start, step, merge);
        fold_chunks::<T, A, 1>(rest, |j| row(j).as_chunks::<4>().1, rows, start, step, merge);
    }
}

/// As `fold_columns`, for columns in chunks of `W`; gives those that are left.
#[inline(always)]
fn fold_chunks<'a, 'b, T: Copy + 'a, A: Copy, const W: usize>(
    found: &'b mut [A],
    row: impl Fn(usize) -> &'a [T],
    rows: Range<usize>,
    start: A,
    step: impl Fn(A, T) -> A + Copy,
    merge: impl Fn(A, A) -> A + Copy,
) -> &'b mut [A] {
    let (main, rest) = found.as_chunks_mut::<W>();
    for (k, found) in main.iter_mut().enumerate() {
        let mut a = [start; W];
        for j in rows.clone() {
            let x = &row(j).as_chunks::<W>().0[k];
            for i in 0..W {
                a[i] = step(a[i], x[i]);
            }
        }
        for i in 0..W {
            found[i] = merge(found[i], a[i]);
        }
    }
    rest
}

/// The sum of what `of` makes of each element.
#[inline(always)]
pub fn sum_of<T: Copy, U: Summed>(x: &[T], of: impl Fn(T) -> U + Copy) -> f64 {
    let mut total = 0.0;
    for part in x.chunks(LONG) {
        total += fold(
            part,
            U::zero(),
            #[inline(always)]
            |a, x| a + of(x),
            sum,
        )
        .into();
    }
    total
}

/// The largest element; one that is not a number may be passed over.
#[inline(always)]
pub fn top<T: Float>(x: &[T]) -> T {
    fold(x, T::neg_infinity(), larger, larger)
}

#[inline(always)]
pub fn larger<T: Float>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

#[inline(always)]
pub fn sum<T: Float>(a: T, b: T) -> T {
    a + b
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
    pub fn of<T: Summed>(lanes: Lanes, x: &[T]) -> Moments {
        Moments::summed::<T, T>(lanes, x)
    }

    /// As `of`, with the mean as exact as double precision makes it.
    #[inline(always)]
    pub fn exact<T: Summed>(lanes: Lanes, x: &[T]) -> Moments {
        Moments::summed::<T, f64>(lanes, x)
    }

    /// With the sum for the mean in the precision of `A`.
    #[inline(always)]
    fn summed<T: Summed + Into<A>, A: Summed>(lanes: Lanes, x: &[T]) -> Moments {
        let mut all = Moments::default();
        for block in x.chunks(BLOCK) {
            let total: A = fold(
                block,
                A::zero(),
                #[inline(always)]
                |a, x: T| a + x.into(),
                sum,
            );
            let n = block.len() as f64;
            let mean = total.into() / n;
            let near = T::rounded(mean);
            let squares: f64 = fold(
                block,
                T::zero(),
                #[inline(always)]
                |a, x| lanes.fma(x - near, x - near, a),
                sum,
            )
            .into();
            let off = mean - Into::<f64>::into(near);
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
    for i in (at..x.len().min(at + n)).step_by(simd::LINE / size_of::<T>()) {
        simd::prefetch(x.as_ptr().wrapping_add(i));
    }
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
    fn rows_together_come_to_what_each_does() {
        each_isa(|isa| {
            for n in [1, 3, 8, 15, 16, 17, 31, 49, 64, 100, 1000, 1023, 1024, 1025] {
                let x = values(7 * n);
                let mut found = [0.0; 7];
                vectorize(
                    #[inline(always)]
                    |_| fold_rows(|r| &x[r * n..][..n], n, 0.0, |a: f32, x: f32| a + x, |a, b| a + b, &mut found),
                );
                for (r, a) in found.into_iter().enumerate() {
                    let exact: f64 = x[r * n..(r + 1) * n].iter().map(|&x| f64::from(x)).sum();
                    let size = exact.abs().max((n as f64).sqrt());
                    assert!((f64::from(a) - exact).abs() <= 3e-7 * size, "{isa:?} {n} {r}: {a} {exact}");
                }
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
