//! The way back in two runs over a row: what it sums, and its gradient. Several rows go together where each element has a
//! parameter of its own, so that the parameters and their sums are loaded once for all of them.
use super::super::accumulate::{LANES, Summed, quarter, sum};
use super::super::simd::Lanes;

/// Elements that come together in the precision of the rows.
const PART: usize = 64 * LANES;

/// What a row is worked on with.
#[derive(Clone, Copy)]
pub(super) struct Row<'a, T> {
    pub g: &'a [T],
    pub x: &'a [T],
    pub mean: T,
    pub scale: T,
}

/// The parameters of all rows at work: their weight, and the sums that its gradient and the bias's are made of.
pub(super) struct Parameters<'a, T> {
    pub weight: &'a [T],
    pub dw: &'a mut [T],
    pub db: &'a mut [T],
}

#[inline(always)]
fn total<T: Summed>(a: &[T; LANES]) -> f64 {
    let four = quarter(a, sum);
    ((four[0] + four[2]) + (four[1] + four[3])).into()
}

/// The sums of `v` and of `v (x - mean)` of each row, where `v` is the gradient times the weight. If `AFFINE`, adds to the
/// sums of the parameters; otherwise there are none. A part of the row is summed in the precision of `A`.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "indices keep the accumulators in registers")]
pub(super) fn sums<T: Summed + Into<A>, A: Summed, const R: usize, const AFFINE: bool>(
    lanes: Lanes,
    rows: &[Row<T>; R],
    parameters: &mut Parameters<T>,
) -> [[f64; 2]; R] {
    let n = rows[0].g.len();
    let mut found = [[0.0; 2]; R];
    for start in (0..n).step_by(PART) {
        let part = start..n.min(start + PART);
        let mine = if AFFINE { part.clone() } else { 0..0 };
        let (w, w_rest) = parameters.weight[mine.clone()].as_chunks::<LANES>();
        let (dw, dw_rest) = parameters.dw[mine.clone()].as_chunks_mut::<LANES>();
        let (db, db_rest) = parameters.db[mine].as_chunks_mut::<LANES>();
        let mut g: [&[[T; LANES]]; R] = [&[]; R];
        let mut x = g;
        for k in 0..R {
            g[k] = rows[k].g[part.clone()].as_chunks().0;
            x[k] = rows[k].x[part.clone()].as_chunks().0;
        }
        let (mut level, mut along) = ([[A::zero(); LANES]; R], [[A::zero(); LANES]; R]);
        for j in 0..part.len() / LANES {
            let none = [T::zero(); LANES];
            let (w, mut a, mut b) = if AFFINE { (w[j], dw[j], db[j]) } else { (none, none, none) };
            for k in 0..R {
                let (g, x, mean, scale) = (&g[k][j], &x[k][j], rows[k].mean, rows[k].scale);
                for i in 0..LANES {
                    let apart = x[i] - mean;
                    let v = if AFFINE { g[i] * w[i] } else { g[i] };
                    level[k][i] = level[k][i] + v.into();
                    along[k][i] = lanes.fma(v.into(), apart.into(), along[k][i]);
                    if AFFINE {
                        a[i] = lanes.fma(g[i] * scale, apart, a[i]);
                        b[i] = b[i] + g[i];
                    }
                }
            }
            if AFFINE {
                (dw[j], db[j]) = (a, b);
            }
        }
        // By way of memory, or else the narrow end makes LLVM narrow the vectors of the loop.
        let (level, along) = std::hint::black_box((level, along));
        let rest = part.end - part.len() % LANES..part.end;
        for (k, found) in found.iter_mut().enumerate() {
            let row = &rows[k];
            found[0] += total(&level[k]);
            found[1] += total(&along[k]);
            for (i, (&g, &x)) in row.g[rest.clone()].iter().zip(&row.x[rest.clone()]).enumerate() {
                let apart = x - row.mean;
                let v = if AFFINE { g * w_rest[i] } else { g };
                found[0] += Into::<f64>::into(v);
                found[1] += Into::<f64>::into(v * apart);
                if AFFINE {
                    dw_rest[i] = lanes.fma(g * row.scale, apart, dw_rest[i]);
                    db_rest[i] = db_rest[i] + g;
                }
            }
        }
    }
    found
}

/// `dx = scale (v - level - (x - mean) slope)`.
#[inline(always)]
pub(super) fn input<T: Summed, const AFFINE: bool>(
    lanes: Lanes,
    row: Row<T>,
    weight: &[T],
    level: T,
    slope: T,
    dx: &mut [T],
) {
    let Row { g, x, mean, scale } = row;
    // With both signs turned, two fused steps are left.
    let (level, slope) = (-(level * scale), -(slope * scale));
    if AFFINE {
        for (((d, &g), &x), &w) in dx.iter_mut().zip(g).zip(x).zip(weight) {
            *d = lanes.fma(x - mean, slope, lanes.fma(g * w, scale, level));
        }
    } else {
        for ((d, &g), &x) in dx.iter_mut().zip(g).zip(x) {
            *d = lanes.fma(x - mean, slope, lanes.fma(g, scale, level));
        }
    }
}
