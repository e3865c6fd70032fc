//! Attention against its formula in double precision.

use super::*;
use crate::cpu::simd::tests::each_isa;

fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut x = vec![0.0; n];
    crate::cpu::philox::fill_normal_f64(seed, 0, &mut x);
    x
}

fn heads<T>(x: &[T], n: usize, rows: usize, size: usize) -> Heads<T> {
    let offsets = (0..n).map(|h| (h * rows * size) as isize).collect();
    Heads { ptr: x.as_ptr(), offsets, row: size as isize, col: 1 }
}

fn heads_mut<T>(x: &mut [T], n: usize, rows: usize, size: usize) -> HeadsMut<T> {
    let offsets = (0..n).map(|h| (h * rows * size) as isize).collect();
    HeadsMut { ptr: x.as_mut_ptr(), offsets, row: size }
}

/// The results and the gradients by the formula.
fn expected(s: &Attention, [q, k, v, g]: [&[f64]; 4]) -> [Vec<f64>; 4] {
    let mut out = vec![0.0; s.heads * s.rows * s.value_size];
    let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
    for h in 0..s.heads {
        for i in 0..s.rows {
            let r = h * s.rows + i;
            let seen = s.seen(i + 1, 0, s.keys);
            let dot = |x: &[f64], i: usize, y: &[f64], j: usize, n: usize| {
                (0..n).map(|e| x[i * n + e] * y[j * n + e]).sum::<f64>()
            };
            let weights: Vec<f64> = (0..seen).map(|j| (s.scale * dot(q, r, k, h * s.keys + j, s.size)).exp()).collect();
            let total: f64 = weights.iter().sum();
            let through: Vec<f64> = (0..seen).map(|j| dot(g, r, v, h * s.keys + j, s.value_size)).collect();
            let along: f64 = weights.iter().zip(&through).map(|(w, t)| w / total * t).sum();
            for j in 0..seen {
                let (c, p) = (h * s.keys + j, weights[j] / total);
                for e in 0..s.value_size {
                    out[r * s.value_size + e] += p * v[c * s.value_size + e];
                    dv[c * s.value_size + e] += p * g[r * s.value_size + e];
                }
                let slope = s.scale * p * (through[j] - along);
                for e in 0..s.size {
                    dq[r * s.size + e] += slope * k[c * s.size + e];
                    dk[c * s.size + e] += slope * q[r * s.size + e];
                }
            }
        }
    }
    [out, dq, dk, dv]
}

fn found<T: Score>(s: &Attention, inputs: [&[T]; 4]) -> [Vec<T>; 4] {
    let [q, k, v, g] = inputs;
    let nan = T::nan();
    let mut out = vec![nan; s.heads * s.rows * s.value_size];
    let mut log_sums = vec![nan; s.heads * s.rows];
    let (mut dq, mut dk, mut dv) = (vec![nan; q.len()], vec![nan; k.len()], vec![nan; v.len()]);
    let query = || heads(q, s.heads, s.rows, s.size);
    let key = || heads(k, s.heads, s.keys, s.size);
    let value = || heads(v, s.heads, s.keys, s.value_size);
    let forward = Forward {
        sizes: s,
        query: query(),
        key: key(),
        value: value(),
        mask: Mask::None,
        out: heads_mut(&mut out, s.heads, s.rows, s.value_size),
        log_sums: log_sums.as_mut_ptr(),
    };
    // SAFETY: the vectors have the sizes that `s` says.
    unsafe { forward.run().unwrap() };
    let backward = Backward {
        sizes: s,
        query: query(),
        key: key(),
        value: value(),
        mask: Mask::None,
        out: heads(&out, s.heads, s.rows, s.value_size),
        log_sums: log_sums.as_ptr(),
        grad: heads(g, s.heads, s.rows, s.value_size),
        query_grad: heads_mut(&mut dq, s.heads, s.rows, s.size),
        key_grad: heads_mut(&mut dk, s.heads, s.keys, s.size),
        value_grad: heads_mut(&mut dv, s.heads, s.keys, s.value_size),
        wanted: Wanted { query: true, key: true, value: true },
    };
    // SAFETY: as above.
    unsafe { backward.run().unwrap() };
    [out, dq, dk, dv]
}

fn sizes() -> impl Iterator<Item = Attention> {
    let shapes = [[2, 5, 7, 3, 4], [1, 40, 130, 16, 16], [2, 300, 290, 8, 20], [1, 33, 1, 33, 1], [3, 1, 129, 2, 64]];
    shapes.into_iter().flat_map(|[heads, rows, keys, size, value_size]| {
        [false, true].map(|causal| Attention { heads, rows, keys, size, value_size, scale: 0.37, causal })
    })
}

fn inputs(s: &Attention) -> [Vec<f64>; 4] {
    let lengths = [s.rows * s.size, s.keys * s.size, s.keys * s.value_size, s.rows * s.value_size];
    [0, 1, 2, 3].map(|i| numbers(s.heads * lengths[i], i as u64))
}

#[test]
fn tiles_give_the_formula_for_every_isa() {
    each_isa(|isa| {
        for s in sizes() {
            let wide = inputs(&s);
            let narrow = wide.each_ref().map(|x| x.iter().map(|&x| x as f32).collect::<Vec<f32>>());
            let want = expected(&s, wide.each_ref().map(|x| &x[..]));
            let double = found(&s, wide.each_ref().map(|x| &x[..]));
            let single = found(&s, narrow.each_ref().map(|x| &x[..]));
            for i in 0..4 {
                for at in 0..want[i].len() {
                    let w = want[i][at];
                    assert!((double[i][at] - w).abs() < 1e-12 * (1.0 + w.abs()), "{isa:?} {s:?} {i} {at}");
                    let f = f64::from(single[i][at]);
                    assert!((f - w).abs() < 2e-5 * (1.0 + w.abs()), "{isa:?} {s:?} {i} {at}: {f} {w}");
                }
            }
        }
    });
}

#[test]
fn results_are_the_same_for_any_number_of_threads() {
    let all = || sizes().flat_map(|s| found(&s, inputs(&s).each_ref().map(|x| &x[..]))).flatten().collect::<Vec<f64>>();
    let before = crate::cpu::pool::num_threads();
    let results = [1, 2, 5].map(|n| {
        crate::cpu::pool::set_num_threads(n).unwrap();
        all()
    });
    crate::cpu::pool::set_num_threads(before).unwrap();
    assert!(results.windows(2).all(|w| w[0] == w[1]));
}
