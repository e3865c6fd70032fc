use super::*;
use crate::cpu::pool::set_num_threads;
use crate::cpu::simd::tests::each_isa;
use num_complex::Complex;

/// A convolution whose output is what the padding gives, the same on both sides.
fn case(sizes: [usize; 4], input: [usize; 2], kernel: [usize; 2], rest: [[usize; 2]; 3]) -> Conv2d {
    let [batch, in_channels, out_channels, groups] = sizes;
    let [stride, padding, dilation] = rest;
    let size = |a: usize| (input[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) / stride[a] + 1;
    let output = [size(0), size(1)];
    Conv2d { batch, in_channels, out_channels, groups, input, kernel, output, stride, padding, dilation }
}

fn cases() -> Vec<Conv2d> {
    let plain = [[1, 1], [0, 0], [1, 1]];
    let same = [[1, 1], [1, 1], [1, 1]];
    vec![
        case([2, 1, 3, 1], [5, 6], [3, 3], plain),
        case([3, 1, 16, 1], [8, 8], [3, 3], same),
        case([2, 16, 17, 1], [8, 8], [3, 3], same),
        case([2, 3, 30, 1], [9, 40], [3, 2], same),
        case([1, 4, 6, 2], [7, 5], [2, 3], plain),
        case([2, 6, 6, 6], [6, 7], [3, 3], same),
        case([2, 3, 4, 1], [9, 11], [3, 3], [[2, 2], [1, 1], [1, 1]]),
        case([2, 2, 5, 1], [10, 9], [3, 4], [[3, 2], [2, 1], [2, 1]]),
        case([1, 3, 2, 1], [9, 9], [2, 2], [[3, 3], [0, 0], [1, 1]]),
        case([1, 2, 3, 1], [11, 12], [3, 2], [[2, 1], [0, 2], [2, 3]]),
        // Strides that leave each position of dx as many rows of the kernel as there is code for windows of.
        case([2, 8, 1, 1], [18, 18], [6, 6], [[2, 2], [2, 2], [1, 1]]),
        case([2, 3, 2, 1], [19, 37], [5, 5], [[2, 2], [1, 2], [1, 1]]),
        case([1, 4, 3, 1], [27, 30], [9, 9], [[3, 3], [3, 3], [1, 1]]),
        case([1, 2, 2, 2], [19, 20], [6, 3], [[2, 1], [2, 1], [1, 1]]),
        // Vectors of dx whose neighbours belong to other rows of the kernel, and to none.
        case([3, 18, 21, 1], [32, 64], [3, 3], [[2, 2], [1, 1], [1, 1]]),
        case([2, 17, 5, 1], [33, 31], [2, 2], [[3, 2], [0, 0], [1, 1]]),
        case([2, 20, 16, 1], [16, 32], [1, 1], [[2, 2], [0, 0], [1, 1]]),
        // Channels that several parts are packed for, with few left for the last.
        case([1, 5, 170, 1], [9, 18], [3, 3], same),
        case([1, 30, 184, 1], [5, 9], [2, 2], [[2, 2], [0, 0], [1, 1]]),
        case([2, 5, 7, 1], [6, 6], [1, 1], plain),
        case([2, 4, 6, 2], [6, 6], [1, 1], plain),
        // Outputs that no cache has room for: images one by one.
        case([4, 2, 96, 1], [64, 64], [1, 1], plain),
        case([2, 5, 7, 1], [7, 6], [1, 1], [[2, 2], [0, 0], [1, 1]]),
        case([1, 2, 3, 1], [2, 2], [1, 1], [[1, 1], [2, 2], [1, 1]]),
        case([1, 70, 40, 1], [6, 20], [3, 3], same),
        case([1, 3, 3, 1], [1, 1], [3, 3], same),
        case([0, 3, 3, 1], [4, 4], [3, 3], same),
        case([2, 0, 3, 1], [4, 4], [3, 3], same),
        case([2, 3, 0, 1], [4, 4], [3, 3], same),
        // One channel, or a few, without stride: rows of several vectors, of parts of one, and all padding.
        case([3, 5, 5, 5], [19, 35], [3, 3], same),
        case([2, 3, 3, 3], [1, 16], [3, 3], same),
        case([2, 3, 3, 3], [7, 7], [3, 3], same),
        case([1, 2, 2, 2], [14, 14], [5, 5], [[1, 1], [2, 2], [1, 1]]),
        case([2, 4, 4, 4], [11, 7], [5, 5], [[1, 1], [2, 2], [1, 1]]),
        case([1, 3, 3, 3], [17, 20], [7, 7], [[1, 1], [3, 3], [1, 1]]),
        case([2, 2, 4, 2], [9, 33], [3, 3], [[1, 1], [1, 2], [1, 2]]),
        case([2, 3, 9, 1], [13, 18], [3, 3], same),
        case([2, 4, 4, 4], [5, 4], [3, 3], [[1, 1], [4, 4], [1, 1]]),
        case([2, 2, 2, 2], [0, 4], [3, 3], [[1, 1], [4, 4], [1, 1]]),
        Conv2d { output: [7, 20], ..case([2, 4, 4, 4], [9, 18], [3, 3], same) },
        // Padding behind the input that differs from that before it.
        Conv2d { output: [4, 5], ..case([2, 2, 3, 1], [4, 5], [2, 4], [[1, 1], [0, 1], [1, 1]]) },
        Conv2d { output: [3, 2], ..case([1, 2, 3, 1], [9, 9], [3, 3], [[2, 2], [0, 0], [1, 1]]) },
    ]
}

/// Calls `visit(y, x, w)` for every product of the convolution, numbers in the whole tensors.
fn terms(c: &Conv2d, mut visit: impl FnMut(usize, usize, usize)) {
    let [kh, kw] = c.kernel;
    let place = |axis: usize, output: usize, tap: usize| {
        let at = (output * c.stride[axis] + tap * c.dilation[axis]).checked_sub(c.padding[axis])?;
        (at < c.input[axis]).then_some(at)
    };
    for (n, o) in (0..c.batch).flat_map(|n| (0..c.out_channels).map(move |o| (n, o))) {
        for (row, column) in (0..c.output[0]).flat_map(|i| (0..c.output[1]).map(move |j| (i, j))) {
            let y = ((n * c.out_channels + o) * c.output[0] + row) * c.output[1] + column;
            for i in 0..c.group_in() {
                let channel = n * c.in_channels + o / c.group_out() * c.group_in() + i;
                for (a, b) in (0..kh).flat_map(|a| (0..kw).map(move |b| (a, b))) {
                    if let (Some(p), Some(q)) = (place(0, row, a), place(1, column, b)) {
                        let w = ((o * c.group_in() + i) * kh + a) * kw + b;
                        visit(y, (channel * c.input[0] + p) * c.input[1] + q, w);
                    }
                }
            }
        }
    }
}

/// Small whole numbers, so that sums are exact in any order.
fn values<T>(n: usize, seed: usize, from: impl Fn(i8) -> T) -> Vec<T> {
    (0..n).map(|i| from(((i + seed) * 7919 % 13) as i8 - 6)).collect()
}

fn check<T: Product + PartialEq + std::fmt::Debug>(c: &Conv2d, from: impl Fn(i8) -> T + Copy) {
    let x = values(c.batch * c.in_channels * c.plane_in(), 1, from);
    let w = values(c.out_channels * c.taps(), 2, from);
    let dy = values(c.batch * c.out_channels * c.plane_out(), 3, from);
    let bias = values(c.out_channels, 4, from);
    let (mut y, mut dx, mut dw) = (vec![T::ZERO; dy.len()], vec![T::ZERO; x.len()], vec![T::ZERO; w.len()]);
    terms(c, |i, j, k| {
        y[i] = y[i].plus(x[j].times(w[k]));
        dx[j] = dx[j].plus(dy[i].times(w[k]));
        dw[k] = dw[k].plus(dy[i].times(x[j]));
    });
    let dirt = from(5);
    let (mut got, mut got_dx, mut got_dw) = (vec![dirt; dy.len()], vec![dirt; x.len()], vec![dirt; w.len()]);
    c.forward(&x, &w, None, &mut got).unwrap();
    assert!(got == y, "forward {c:?}: {got:?} {y:?}");
    c.forward(&x, &w, Some(&bias), &mut got).unwrap();
    let plane = c.plane_out().max(1);
    y.iter_mut().enumerate().for_each(|(i, y)| *y = y.plus(bias[i / plane % c.out_channels]));
    assert!(got == y, "bias {c:?}");
    c.backward_input(&dy, &w, &mut got_dx).unwrap();
    assert!(got_dx == dx, "dx {c:?}: {got_dx:?} {dx:?}");
    c.backward_weight(&x, &dy, &mut got_dw).unwrap();
    assert!(got_dw == dw, "dw {c:?}: {got_dw:?} {dw:?}");
}

#[test]
fn floats_equal_the_sum_over_all_taps_for_every_isa() {
    each_isa(|_| {
        for c in cases() {
            check(&c, f32::from);
            check(&c, f64::from);
        }
    });
}

#[test]
fn images_that_need_several_stripes() {
    let same = [[1, 1], [1, 1], [1, 1]];
    check(&case([1, 3, 5, 1], [70, 280], [3, 3], same), f32::from);
    check(&case([1, 2, 3, 1], [200, 160], [3, 5], [[2, 2], [2, 2], [1, 1]]), f64::from);
    // Several blocks of images, whose gradients are products of matrices.
    check(&case([17, 64, 64, 1], [12, 12], [1, 1], [[1, 1], [0, 0], [1, 1]]), f32::from);
}

#[test]
fn the_ends_of_two_rows_share_a_vector() {
    each_isa(|_| {
        for (h, w) in [(5, 24), (4, 23), (1, 20), (7, 40), (3, 12), (2, 10), (5, 6)] {
            for (stride, size) in [(1, [h, w]), (2, [2 * h - 1, 2 * w]), (3, [3 * h, 3 * w - 1])] {
                let c = case([3, 5, 17, 1], size, [5, 5], [[stride, stride], [2, 2], [1, 1]]);
                check(&c, f32::from);
                check(&c, f64::from);
            }
        }
    });
}

#[test]
fn integers_and_complex_numbers() {
    for c in cases() {
        check(&c, i64::from);
        check(&c, |x| x as u8);
        check(&c, |x| Complex::new(f32::from(x), 1.0));
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let same = [[1, 1], [1, 1], [1, 1]];
    let cases = [
        case([9, 8, 20, 1], [14, 14], [3, 3], same),
        case([1, 64, 64, 1], [28, 28], [3, 3], same),
        case([9, 18, 21, 1], [28, 28], [3, 3], [[2, 2], [1, 1], [1, 1]]),
        case([16, 64, 128, 2], [12, 12], [1, 1], [[1, 1], [0, 0], [1, 1]]),
    ];
    for c in cases {
        let from = |x: i8| 1.0 / (f32::from(x) + 7.3);
        let x = values(c.batch * c.in_channels * c.plane_in(), 1, from);
        let w = values(c.out_channels * c.taps(), 2, from);
        let run = |threads| {
            set_num_threads(threads).unwrap();
            let (mut y, mut dx, mut dw) = (vec![0.0; c.batch * c.out_channels * c.plane_out()], x.clone(), w.clone());
            c.forward(&x, &w, None, &mut y).unwrap();
            c.backward_input(&y, &w, &mut dx).unwrap();
            c.backward_weight(&x, &y, &mut dw).unwrap();
            (y, dx, dw)
        };
        let one = run(1);
        assert!(run(2) == one && run(3) == one);
    }
    set_num_threads(0).unwrap();
}

/// 24 bits that follow no pattern (a linear congruential generator, Knuth's constants).
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 40) as usize
}

/// Values between -0.5 and 0.5 that follow no pattern.
fn noise(n: usize, mut seed: u64) -> Vec<f32> {
    (0..n).map(|_| random(&mut seed) as f32 / (1 << 24) as f32 - 0.5).collect()
}

#[test]
fn sizes_taken_at_random_equal_the_sum_over_all_taps() {
    let mut state = 1;
    let mut within = |low: usize, high: usize| low + random(&mut state) % (high + 1 - low);
    let mut done = 0;
    while done < 120 {
        let groups = within(1, 3);
        // Few channels on one side take other ways than many.
        let most = if within(0, 1) == 0 { 3 } else { 24 };
        let sizes = [within(1, 3), groups * within(1, most), groups * within(1, 24), groups];
        let kernel = [within(1, 6), within(1, 6)];
        let (stride, dilation) = ([within(1, 3), within(1, 3)], [within(1, 2), within(1, 2)]);
        let padding = [within(0, kernel[0]), within(0, kernel[1])];
        let input = [within(1, 20), within(1, 36)];
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1);
        if (0..2).any(|axis| input[axis] + 2 * padding[axis] <= reach(axis)) {
            continue;
        }
        let c = case(sizes, input, kernel, [stride, padding, dilation]);
        if c.batch * c.out_channels * c.plane_out() * c.taps() < 1 << 21 {
            check(&c, f32::from);
            done += 1;
        }
    }
}

/// The largest difference between the three results in float32 and in float64, relative to the largest value.
fn errors(c: &Conv2d) -> [f64; 3] {
    let x = noise(c.batch * c.in_channels * c.plane_in(), 1);
    let w = noise(c.out_channels * c.taps(), 2);
    let dy = noise(c.batch * c.out_channels * c.plane_out(), 3);
    let bias = noise(c.out_channels, 4);
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
    let (mut exact_y, mut exact_dx, mut exact_dw) = (wide(&y), wide(&dx), wide(&dw));
    c.forward(&x, &w, Some(&bias), &mut y).unwrap();
    c.backward_input(&dy, &w, &mut dx).unwrap();
    c.backward_weight(&x, &dy, &mut dw).unwrap();
    c.forward(&wide(&x), &wide(&w), Some(&wide(&bias)), &mut exact_y).unwrap();
    c.backward_input(&wide(&dy), &wide(&w), &mut exact_dx).unwrap();
    c.backward_weight(&wide(&x), &wide(&dy), &mut exact_dw).unwrap();
    [(y, exact_y), (dx, exact_dx), (dw, exact_dw)].map(|(got, exact)| {
        let largest = exact.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let worst = got.iter().zip(&exact).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
        assert!(got.iter().all(|x| x.is_finite()));
        worst / largest
    })
}

#[test]
fn winograd_is_as_good_as_float32_for_every_isa() {
    let with = |padding: [usize; 2]| [[1, 1], padding, [1, 1]];
    let cases = [
        case([3, 16, 16, 1], [16, 16], [3, 3], with([1, 1])),
        case([4, 17, 35, 1], [13, 19], [3, 3], with([0, 2])),
        case([2, 40, 24, 1], [61, 7], [3, 3], with([2, 1])),
        case([13, 33, 16, 1], [8, 9], [3, 3], with([1, 0])),
        // Padding behind the input that differs from that before it, and none that is read.
        Conv2d { output: [16, 14], ..case([4, 20, 20, 1], [16, 16], [3, 3], with([0, 1])) },
    ];
    each_isa(|_| {
        for c in &cases {
            assert!(winograd::pays(c), "{c:?}");
            assert!(errors(c).iter().all(|&e| e < 5e-6), "{c:?}: {:?}", errors(c));
        }
    });
    // The error grows with the channels no faster than that of a plain sum.
    let wide = |channels| case([1, channels, channels, 1], [28, 28], [3, 3], with([1, 1]));
    assert!(errors(&wide(64)).iter().all(|&e| e < 3e-6), "{:?}", errors(&wide(64)));
    assert!(errors(&wide(256)).iter().all(|&e| e < 6e-6), "{:?}", errors(&wide(256)));
    assert!(!winograd::pays(&case([1, 16, 16, 1], [16, 16], [3, 3], with([1, 1]))));
}

#[test]
fn winograd_is_the_same_for_any_number_of_threads() {
    let c = case([5, 32, 48, 1], [20, 20], [3, 3], [[1, 1], [1, 1], [1, 1]]);
    let (x, w) = (noise(5 * 32 * 400, 1), noise(48 * 32 * 9, 2));
    let run = |threads| {
        set_num_threads(threads).unwrap();
        let (mut y, mut dx, mut dw) = (vec![0.0; 5 * 48 * 400], x.clone(), w.clone());
        c.forward(&x, &w, None, &mut y).unwrap();
        c.backward_input(&y, &w, &mut dx).unwrap();
        c.backward_weight(&x, &y, &mut dw).unwrap();
        (y, dx, dw)
    };
    let one = run(1);
    assert!(run(2) == one && run(3) == one);
    set_num_threads(0).unwrap();
}
