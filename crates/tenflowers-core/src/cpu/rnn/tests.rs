use super::*;
use crate::cpu::pool::set_num_threads;
use crate::cpu::simd::tests::each_isa;

const CELLS: [Cell; 4] = [Cell::Tanh, Cell::Relu, Cell::Lstm, Cell::Gru];

/// Numbers between -1 and 1 that repeat late.
fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f64 / 1001.0 - 1.0).collect()
}

struct Case {
    cell: Cell,
    input: usize,
    hidden: usize,
    batches: Vec<usize>,
    reverse: bool,
    biases: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for cell in CELLS {
        for (input, hidden, batches) in [
            (3, 5, vec![2, 2, 2]),
            (2, 19, vec![4, 3, 3, 1]),
            (5, 35, vec![16, 16]),
            (1, 1, vec![1]),
            (4, 64, vec![17]),
        ] {
            for (reverse, biases) in [(false, true), (true, true), (true, false)] {
                cases.push(Case { cell, input, hidden, batches: batches.clone(), reverse, biases });
            }
        }
    }
    cases
}

/// All that goes in, one after the other, so that finite differences are simple.
fn inputs(c: &Case) -> Vec<Vec<f64>> {
    let (g, rows) = (c.cell.gates() * c.hidden, c.batches.iter().sum::<usize>());
    let bias = if c.biases { g } else { 0 };
    let states = c.batches[0] * c.hidden;
    let cells = if c.cell == Cell::Lstm { states } else { 0 };
    [rows * c.input, g * c.input, g * c.hidden, bias, bias, states, cells]
        .iter()
        .enumerate()
        .map(|(seed, &n)| numbers(n, seed).into_iter().map(|x| x * 0.7).collect())
        .collect()
}

/// Outputs and last states, one row of one step at a time.
fn plain(c: &Case, given: &[Vec<f64>]) -> [Vec<f64>; 3] {
    let (h, g) = (c.hidden, c.cell.gates());
    let [x, ih, hh, b_ih, b_hh, h0, c0] = given else { unreachable!() };
    let rows: usize = c.batches.iter().sum();
    let (mut out, mut state, mut cell) = (vec![0.0; rows * h], h0.clone(), c0.clone());
    let mut steps: Vec<(usize, usize)> =
        c.batches.iter().scan(0, |row, &b| Some((b, std::mem::replace(row, *row + b)))).collect();
    if c.reverse {
        steps.reverse();
    }
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (b, first) in steps {
        for r in 0..b {
            let row = first + r;
            let of = |w: &[f64], v: &[f64], bias: &[f64], j: usize| {
                let n = v.len();
                v.iter().zip(&w[j * n..]).map(|(a, b)| a * b).sum::<f64>() + bias.get(j).unwrap_or(&0.0)
            };
            let before = state[r * h..][..h].to_vec();
            let a: Vec<f64> = (0..g * h).map(|j| of(ih, &x[row * c.input..][..c.input], b_ih, j)).collect();
            let b: Vec<f64> = (0..g * h).map(|j| of(hh, &before, b_hh, j)).collect();
            for u in 0..h {
                let s = |q: usize| a[q * h + u] + b[q * h + u];
                let new = match c.cell {
                    Cell::Tanh => s(0).tanh(),
                    Cell::Relu => s(0).max(0.0),
                    Cell::Lstm => {
                        let next = sigmoid(s(1)) * cell[r * h + u] + sigmoid(s(0)) * s(2).tanh();
                        cell[r * h + u] = next;
                        sigmoid(s(3)) * next.tanh()
                    }
                    Cell::Gru => {
                        let n = (a[2 * h + u] + sigmoid(s(0)) * b[2 * h + u]).tanh();
                        let z = sigmoid(s(1));
                        (1.0 - z) * n + z * before[u]
                    }
                };
                state[r * h + u] = new;
                out[row * h + u] = new;
            }
        }
    }
    [out, state, cell]
}

fn run<T: Unit>(c: &Case, given: &[Vec<T>], grads: Option<&[Vec<T>; 3]>) -> (Vec<Vec<T>>, Vec<Vec<T>>) {
    let layer = Layer { cell: c.cell, input: c.input, hidden: c.hidden, batches: &c.batches, reverse: c.reverse };
    let [x, ih, hh, bias_ih, bias_hh, h0, c0] = given else { unreachable!() };
    let (rows, zero) = (layer.rows(), T::zero());
    let mut gates = vec![zero; rows * layer.pitch()];
    let cells = if c.cell == Cell::Lstm { rows * c.hidden } else { 0 };
    let (mut out, mut cells) = (vec![zero; rows * c.hidden], vec![zero; cells]);
    let (mut h, mut last) = (h0.clone(), c0.clone());
    let w = Weights { ih, hh, bias_ih, bias_hh };
    let start = States { h: h0, c: c0 };
    let to = Outputs { out: &mut out, h: &mut h, c: &mut last, gates: &mut gates, cells: &mut cells };
    layer.forward(x, &w, start, to).unwrap();
    let mut found: Vec<Vec<T>> = given.iter().map(|v| vec![zero; v.len()]).collect();
    if let Some([g, gh, gc]) = grads {
        let kept = Kept { out: &out, gates: &gates, cells: &cells, grad_out: g, grad_last: States { h: gh, c: gc } };
        let [x_, ih, hh, bias_ih, bias_hh, h, c] = &mut found[..] else { unreachable!() };
        layer.backward(x, &w, start, kept, Gradients { x: x_, ih, hh, bias_ih, bias_hh, h, c }).unwrap();
    }
    (vec![out, h, last], found)
}

#[test]
fn layers_agree_with_one_row_at_a_time() {
    each_isa(|isa| {
        for c in cases() {
            let given = inputs(&c);
            let (found, _) = run(&c, &given, None);
            for (found, expected) in found.iter().zip(plain(&c, &given)) {
                assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{isa:?} {:?}", c.cell);
            }
            let single: Vec<Vec<f32>> = given.iter().map(|v| v.iter().map(|&x| x as f32).collect()).collect();
            let (found, _) = run(&c, &single, None);
            for (found, expected) in found.iter().zip(plain(&c, &given)) {
                let close = found.iter().zip(&expected).all(|(&a, b)| (f64::from(a) - b).abs() < 2e-5);
                assert!(close, "{isa:?} {:?}", c.cell);
            }
        }
    });
}

#[test]
fn the_way_back_agrees_with_finite_differences() {
    each_isa(|isa| {
        for c in cases().into_iter().filter(|c| c.hidden < 30) {
            let given = inputs(&c);
            let grads = plain(&c, &given).map(|v| numbers(v.len(), 11));
            let (_, found) = run(&c, &given, Some(&grads));
            let loss = |given: &[Vec<f64>]| -> f64 {
                let outs = plain(&c, given);
                outs.iter().zip(&grads).map(|(o, g)| o.iter().zip(g).map(|(a, b)| a * b).sum::<f64>()).sum()
            };
            for (k, gradient) in found.iter().enumerate() {
                for at in (0..gradient.len()).step_by(gradient.len() / 7 + 1) {
                    let mut moved = given.clone();
                    moved[k][at] += 1e-6;
                    let above = loss(&moved);
                    moved[k][at] -= 2e-6;
                    let expected = (above - loss(&moved)) / 2e-6;
                    let error = (gradient[at] - expected).abs();
                    assert!(error < 1e-6 * (1.0 + expected.abs()), "{isa:?} {:?} {k} {at}: {error}", c.cell);
                }
            }
        }
    });
}

#[test]
fn threads_do_not_change_a_bit() {
    for cell in CELLS {
        let c = Case { cell, input: 40, hidden: 130, batches: vec![40, 40, 33, 20], reverse: false, biases: true };
        let given: Vec<Vec<f32>> = inputs(&c).iter().map(|v| v.iter().map(|&x| x as f32 * 0.3).collect()).collect();
        let cells = if cell == Cell::Lstm { 40 * 130 } else { 0 };
        let grads = [133 * 130, 40 * 130, cells].map(|n| vec![0.1f32; n]);
        let at = |threads| {
            set_num_threads(threads).unwrap();
            run(&c, &given, Some(&grads))
        };
        let one = at(1);
        assert!(at(2) == one && at(3) == one);
    }
    set_num_threads(0).unwrap();
}
