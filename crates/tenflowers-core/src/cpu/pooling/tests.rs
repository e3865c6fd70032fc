use super::*;
use crate::cpu::number::Ordered;
use crate::cpu::pool::set_num_threads;
use crate::cpu::simd::tests::each_isa;

fn cases() -> Vec<Pool2d> {
    let mut cases = Vec::new();
    for (planes, input) in [(3, [7, 9]), (1, [4, 40]), (2, [5, 1]), (0, [4, 4]), (2, [26, 14])] {
        for (kernel, stride, padding, dilation) in [
            ([2, 2], [2, 2], [0, 0], [1, 1]),
            ([3, 3], [2, 2], [1, 1], [1, 1]),
            ([3, 2], [1, 1], [1, 0], [1, 1]),
            ([2, 3], [3, 4], [0, 1], [1, 1]),
            ([2, 3], [1, 2], [1, 1], [2, 1]),
            ([1, 1], [1, 1], [0, 0], [1, 1]),
            ([3, 3], [5, 3], [1, 1], [1, 2]),
            ([2, 3], [1 << 40, 1 << 40], [0, 1], [1, 1]),
        ] {
            for ceil in [false, true] {
                let size = |a: usize| {
                    let room: usize = input[a] + 2 * padding[a];
                    let room = room.checked_sub(dilation[a] * (kernel[a] - 1) + 1)?;
                    let n = if ceil { room.div_ceil(stride[a]) } else { room / stride[a] } + 1;
                    // A window must begin inside the input or the padding before it.
                    Some(if (n - 1) * stride[a] >= input[a] + padding[a] { n - 1 } else { n })
                };
                if let (Some(h), Some(w)) = (size(0), size(1)) {
                    cases.push(Pool2d { planes, input, kernel, stride, padding, dilation, output: [h, w] });
                }
            }
        }
    }
    assert!(cases.len() > 30);
    cases
}

/// The elements of a window: index in the plane, in order.
fn window(p: &Pool2d, row: usize, column: usize) -> Vec<usize> {
    let taps = (0..p.kernel[0]).flat_map(|i| (0..p.kernel[1]).map(move |j| (i, j)));
    taps.filter_map(|(i, j)| Some(p.at(0, row, i)? * p.input[1] + p.at(1, column, j)?)).collect()
}

fn outputs(p: &Pool2d) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    let [h, w] = p.output;
    (0..p.planes).flat_map(move |n| (0..h).flat_map(move |i| (0..w).map(move |j| (n, i, j))))
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 23) as f32 - 11.0).collect()
}

/// The maxima and their places; without the places they are the same.
fn maxima<T: Ordered + Send + Sync + Default + std::fmt::Debug>(p: &Pool2d, x: &[T]) -> (Vec<T>, Vec<i64>) {
    let n = outputs(p).count();
    let (mut values, mut indices, mut alone) = (vec![T::default(); n], vec![0; n], vec![T::default(); n]);
    p.max(x, &mut values, &mut indices).unwrap();
    p.largest(x, &mut alone).unwrap();
    assert_eq!(alone, values, "{p:?}");
    (values, indices)
}

#[test]
fn max_finds_the_first_maximum_and_its_place() {
    each_isa(|isa| {
        for p in cases() {
            let size = p.input[0] * p.input[1];
            let x = numbers(p.planes * size);
            let (values, indices) = maxima(&p, &x);
            let whole: Vec<i32> = x.iter().map(|&x| x as i32).collect();
            let (whole_values, whole_indices) = maxima(&p, &whole);
            for (o, (plane, i, j)) in outputs(&p).enumerate() {
                let mut best = (f32::NEG_INFINITY, 0);
                for at in window(&p, i, j) {
                    if x[plane * size + at] > best.0 {
                        best = (x[plane * size + at], at as i64);
                    }
                }
                assert_eq!((values[o], indices[o]), best, "{isa:?} {p:?} output {o}");
                if best.0.is_finite() {
                    assert_eq!((whole_values[o] as f32, whole_indices[o]), best);
                }
            }
        }
    });
}

#[test]
fn nan_and_the_lowest_value_win_as_they_should() {
    let p = Pool2d {
        planes: 1,
        input: [2, 6],
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
        dilation: [1, 1],
        output: [1, 3],
    };
    let (low, nan) = (f32::NEG_INFINITY, f32::NAN);
    let x = [low, low, nan, 5.0, 1.0, 3.0, low, low, 9.0, nan, 3.0, 2.0];
    let (mut values, mut indices) = ([0.0; 3], [0; 3]);
    p.max(&x, &mut values, &mut indices).unwrap();
    assert!(values[0] == low && values[1].is_nan() && values[2] == 3.0, "{values:?}");
    assert_eq!(indices, [0, 9, 5]);
    let mut alone = [0.0; 3];
    p.largest(&x, &mut alone).unwrap();
    assert!(alone[0] == low && alone[1].is_nan() && alone[2] == 3.0, "{alone:?}");
    // Both taps of a dilated window lie in the padding.
    let p = Pool2d { input: [1, 4], kernel: [1, 2], stride: [1, 1], padding: [0, 1], dilation: [1, 5], ..p };
    let p = Pool2d { output: [1, 1], ..p };
    p.max(&x[2..6], &mut values[..1], &mut indices[..1]).unwrap();
    assert_eq!((values[0], indices[0]), (low, 0));
}

#[test]
fn max_backward_adds_up_where_the_maximum_was() {
    for p in cases() {
        let size = p.input[0] * p.input[1];
        let x = numbers(p.planes * size);
        let (_, indices) = maxima(&p, &x);
        let dy = numbers(indices.len());
        let (mut dx, mut expected) = (vec![7.0; x.len()], vec![0.0; x.len()]);
        spread(p.planes, &dy, &indices, &mut dx).unwrap();
        for (o, (plane, ..)) in outputs(&p).enumerate() {
            expected[plane * size + indices[o] as usize] += dy[o];
        }
        assert_eq!(dx, expected, "{p:?}");
    }
}

#[test]
fn averages_count_as_they_should_and_go_back() {
    each_isa(|_| {
        for p in cases().into_iter().filter(|p| p.dilation == [1, 1]) {
            for (include, divisor) in [(true, None), (false, None), (true, Some(3)), (false, Some(-2))] {
                let size = p.input[0] * p.input[1];
                let x: Vec<f64> = numbers(p.planes * size).into_iter().map(f64::from).collect();
                let dy: Vec<f64> = numbers(outputs(&p).count()).into_iter().map(f64::from).collect();
                let (mut y, mut dx, mut expected) = (dy.clone(), vec![9.0; x.len()], vec![0.0; x.len()]);
                p.average(&x, &mut y, include, divisor).unwrap();
                p.average_backward(&dy, &mut dx, include, divisor).unwrap();
                for (o, (plane, i, j)) in outputs(&p).enumerate() {
                    let window = window(&p, i, j);
                    let span = |a: usize, n: usize| {
                        let start = n * p.stride[a];
                        (start + p.kernel[a]).min(p.input[a] + 2 * p.padding[a]) - start
                    };
                    let count = if include { span(0, i) * span(1, j) } else { window.len().max(1) };
                    let count = divisor.map_or(count as f64, |d| d as f64);
                    let sum: f64 = window.iter().map(|at| x[plane * size + at]).sum();
                    assert!((y[o] - sum / count).abs() < 1e-12, "{p:?} {include} {divisor:?}");
                    window.iter().for_each(|at| expected[plane * size + at] += dy[o] / count);
                }
                assert!(dx.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{p:?} {include} {divisor:?}");
            }
        }
    });
}

#[test]
fn threads_do_not_change_a_bit() {
    let p = Pool2d {
        planes: 40,
        input: [33, 70],
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        dilation: [1, 1],
        output: [17, 35],
    };
    let x = numbers(40 * 33 * 70);
    let n = 40 * 17 * 35;
    let run = |threads| {
        set_num_threads(threads).unwrap();
        let (mut values, mut indices, mut y, mut dx) = (vec![0.0; n], vec![0; n], vec![0.0; n], vec![0.0; x.len()]);
        p.max(&x, &mut values, &mut indices).unwrap();
        p.average(&x, &mut y, false, None).unwrap();
        p.average_backward(&y, &mut dx, false, None).unwrap();
        (values, indices, y, dx)
    };
    let one = run(1);
    assert!(run(2) == one && run(3) == one);
    set_num_threads(0).unwrap();
}
