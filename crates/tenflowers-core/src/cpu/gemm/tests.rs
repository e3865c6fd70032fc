use super::*;
use crate::cpu::{pool, simd};

mod tiles;

/// Small whole numbers, so that sums are exact in every type and order.
fn values<T: Product>(n: usize, seed: u64, from: impl Fn(u64) -> T) -> Vec<T> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % 7
    };
    (0..n).map(|_| from(next())).collect()
}

/// A matrix of `rows x cols` in one of six layouts: its memory, first element, strides.
fn layout<T: Product>(rows: usize, cols: usize, kind: usize, seed: u64, from: &impl Fn(u64) -> T) -> (Vec<T>, Mat<T>) {
    let (r, c) = (rows.max(1), cols.max(1));
    let (len, start, row, col) = match kind {
        0 => (r * c, 0, c as isize, 1),
        1 => (r * c, 0, 1, r as isize),
        2 => (r * (c + 3), 0, c as isize + 3, 1),
        3 => (2 * r * c, 0, 2 * c as isize, 2),
        4 => (r * c, r * c - 1, -(c as isize), -1),
        _ => (c, 0, 0, 1),
    };
    let memory = values(len, seed, from);
    let ptr = memory[start..].as_ptr();
    (memory, Mat { ptr, row, col })
}

fn naive<T: Product>([m, n, k]: [usize; 3], a: Mat<T>, b: Mat<T>, c: &mut [T], ldc: usize, accumulate: bool) {
    for i in 0..m {
        for j in 0..n {
            let mut sum = if accumulate { c[i * ldc + j] } else { T::ZERO };
            for p in 0..k {
                // SAFETY: elements of the matrices.
                sum = sum.plus(unsafe { (*a.at(i, p)).times(*b.at(p, j)) });
            }
            c[i * ldc + j] = sum;
        }
    }
}

fn check<T: Product + PartialEq + std::fmt::Debug>(dims: [usize; 3], kinds: (usize, usize), from: impl Fn(u64) -> T) {
    let [m, n, k] = dims;
    let (_a, a) = layout(m, k, kinds.0, 1, &from);
    let (_b, b) = layout(k, n, kinds.1, 2, &from);
    for (extra, accumulate) in [(0, false), (5, true)] {
        let ldc = n + extra;
        let mut expected = values(m * ldc, 3, &from);
        let mut c = expected.clone();
        naive(dims, a, b, &mut expected, ldc, accumulate);
        // SAFETY: `layout` made room for all elements, and `c` is a buffer of its own.
        unsafe { gemm(dims, a, b, c.as_mut_ptr(), ldc, accumulate) }.unwrap();
        // Elements between the rows of C must be left alone too.
        assert!(c == expected, "{dims:?}, layouts {kinds:?}, accumulate {accumulate}, {:?}", simd::isa());
    }
    // One row is added to every row of the product.
    let row = values(n, 4, &from);
    let mut expected: Vec<T> = row.iter().copied().cycle().take(m * n).collect();
    naive(dims, a, b, &mut expected, n, true);
    let mut c = values(m * n, 3, &from);
    // SAFETY: as above.
    unsafe { gemm_onto(dims, a, b, Some((row.as_ptr(), 0)), c.as_mut_ptr(), n) }.unwrap();
    assert!(c == expected, "{dims:?}, layouts {kinds:?}, onto a row, {:?}", simd::isa());
}

const SHAPES: [[usize; 3]; 20] = [
    [0, 3, 2],
    [3, 0, 2],
    [3, 2, 0],
    [1, 1, 1],
    [1, 1, 40],
    [1, 33, 9],
    [1, 150, 70],
    [33, 1, 9],
    [150, 1, 70],
    [2, 3, 4],
    [5, 7, 3],
    [13, 31, 17],
    [14, 32, 16],
    [15, 33, 18],
    [28, 64, 1],
    [29, 65, 37],
    [7, 10, 128],
    [64, 10, 33],
    [31, 40, 530],
    [260, 5, 70],
];

#[test]
fn floats_equal_a_naive_product_for_every_isa_shape_and_layout() {
    simd::tests::each_isa_and_tiles(|_| {
        for dims in SHAPES {
            for kinds in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 3), (3, 2), (4, 5), (5, 4)] {
                check(dims, kinds, |x| x as f32 - 3.0);
            }
            for kinds in [(0, 1), (1, 2), (3, 4)] {
                check(dims, kinds, |x| x as f64 - 3.0);
            }
        }
    });
}

/// Rows are cut into tiles where they are packed, and again where they are read.
#[test]
fn any_number_of_rows_is_read_as_it_was_packed() {
    simd::tests::each_isa(|_| {
        for rows in 90..=150 {
            check([rows, 300, 70], (rows % 2, 0), |x| x as f32 - 3.0);
        }
        for rows in [112, 126, 128, 142, 144] {
            check([rows, 512, 512], (rows / 2 % 2, 0), |x| x as f32 - 3.0);
        }
    });
}

#[test]
fn large_floats_are_packed_and_shared_rightly() {
    for kinds in [(0, 0), (1, 1), (3, 4)] {
        check([60, 130, 600], kinds, |x| x as f32 - 3.0);
        check([130, 70, 300], kinds, |x| x as f64 - 3.0);
    }
    // Rows that share cache sets, and few of them.
    check([30, 130, 1024], (0, 1), |x| x as f32 - 3.0);
    check([20, 70, 640], (0, 1), |x| x as f64 - 3.0);
    // A matrix that passes by sums that wait, and one of whose rows not all are whole vectors.
    check([1, 1100, 301], (0, 0), |x| x as f32 - 3.0);
    check([1201, 1, 303], (1, 0), |x| x as f64 - 3.0);
    // B in several blocks.
    check([3, 2100, 513], (0, 1), |x| x as f32 - 3.0);
}

#[test]
fn integers_wrap_and_complex_numbers_multiply() {
    simd::tests::each_isa_and_tiles(|_| {
        for dims in SHAPES.into_iter().chain([[44, 70, 129]]) {
            for kinds in [(0, 0), (1, 1), (3, 4), (5, 5), (4, 2)] {
                check(dims, kinds, |x| (x as i8).wrapping_mul(100));
                check(dims, kinds, |x| x.wrapping_mul(u64::MAX / 3));
                check(dims, kinds, |x| (x as i32 - 3) << 20);
                check(dims, kinds, |x| (x as u16) << 13);
                check(dims, kinds, |x| Complex::new(x as f32, 2.0 - x as f32));
            }
        }
        check([20, 300, 150], (0, 1), |x| x as i64 - (1 << 60));
        check([20, 300, 150], (1, 0), |x| x.wrapping_mul(41) as u8);
        check([20, 300, 150], (1, 0), |x| Complex::new(x as f64 - 3.0, 1.0));
    });
    // More steps than panels are made for.
    check([2, 3, 70_000], (0, 1), |x| x as i32 - 3);
}

/// Sums of whole numbers are exact in float32, and rounded once.
fn check_halves<T: Product + PartialEq + std::fmt::Debug>(
    [m, n, k]: [usize; 3],
    kinds: (usize, usize),
    widen: impl Fn(T) -> f32,
    narrow: impl Fn(f32) -> T,
) {
    let from = |x: u64| narrow(x as f32 * 3.0 - 8.0);
    let (_a, a) = layout(m, k, kinds.0, 1, &from);
    let (_b, b) = layout(k, n, kinds.1, 2, &from);
    let row = values(n, 4, from);
    for (onto, ldc) in [(None, n), (Some((row.as_ptr(), 0)), n + 3)] {
        let mut c = values(m * ldc, 3, from);
        let mut expected = c.clone();
        for i in 0..m {
            for j in 0..n {
                // SAFETY: elements of the matrices.
                let products = (0..k).map(|p| unsafe { widen(*a.at(i, p)) * widen(*b.at(p, j)) });
                let first = if onto.is_some() { widen(row[j]) } else { 0.0 };
                expected[i * ldc + j] = narrow(products.fold(first, |sum, x| sum + x));
            }
        }
        // SAFETY: the buffers hold all that is named.
        unsafe { gemm_onto([m, n, k], a, b, onto, c.as_mut_ptr(), ldc) }.unwrap();
        assert!(c == expected, "{:?}, layouts {kinds:?}, {:?}", [m, n, k], simd::isa());
    }
}

#[test]
fn halves_are_summed_in_float32_and_rounded_once() {
    simd::tests::each_isa_and_tiles(|_| {
        for dims in SHAPES.into_iter().chain([[44, 70, 129]]) {
            for kinds in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 3), (4, 5)] {
                check_halves(dims, kinds, f16::to_f32, f16::from_f32);
                check_halves(dims, kinds, bf16::to_f32, bf16::from_f32);
            }
        }
    });
}

#[test]
fn halves_that_are_not_finite_stay_so() {
    simd::tests::each_isa_and_tiles(|_| {
        let a = [bf16::INFINITY, bf16::ONE, bf16::NAN, bf16::ONE, bf16::INFINITY, bf16::NEG_INFINITY].map(|x| [x; 2]);
        let b = [bf16::ONE; 4];
        let mut c = [bf16::ZERO; 6];
        let row = |ptr: *const bf16, row| Mat { ptr, row, col: 1 };
        // SAFETY: three rows of four, and four rows of two that are the same.
        unsafe { gemm([3, 2, 4], row(a.as_ptr().cast(), 4), row(b.as_ptr(), 0), c.as_mut_ptr(), 2, false) }.unwrap();
        assert!(c[0] == bf16::INFINITY && c[1] == bf16::INFINITY && c[2..].iter().all(|x| x.is_nan()), "{c:?}");
    });
}

fn bits<T: Product>(dims: [usize; 3], kinds: (usize, usize), from: impl Fn(f32) -> T) -> Vec<T> {
    let [m, n, k] = dims;
    let from = |x: u64| from(1.0 / (x as f32 + 1.7));
    let (_a, a) = layout(m, k, kinds.0, 1, &from);
    let (_b, b) = layout(k, n, kinds.1, 2, &from);
    let mut c = vec![T::ZERO; m * n];
    // SAFETY: as in `check`.
    unsafe { gemm(dims, a, b, c.as_mut_ptr(), n, false) }.unwrap();
    c
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    fn same<T: Product + PartialEq>(dims: [usize; 3], kinds: (usize, usize), from: impl Fn(f32) -> T) {
        pool::set_num_threads(1).unwrap();
        let one = bits(dims, kinds, &from);
        for threads in [2, 3] {
            pool::set_num_threads(threads).unwrap();
            assert!(bits(dims, kinds, &from) == one, "{dims:?}, layouts {kinds:?}, {threads} threads");
        }
    }
    for dims in [[200, 190, 600], [1, 3000, 300], [3000, 1, 300], [64, 64, 64], [33, 700, 600], [30, 300, 700]] {
        for kinds in [(0, 0), (0, 1), (1, 0)] {
            same(dims, kinds, |x| x);
            same(dims, kinds, bf16::from_f32);
            same(dims, kinds, |x| Complex::new(x, 1.0 - x));
        }
    }
    pool::set_num_threads(0).unwrap();
}

#[test]
fn not_a_number_and_infinity_are_multiplied() {
    let (a, b) = ([0.0, 1.0], [f32::INFINITY, 1.0, f32::NAN, 2.0]);
    let mut c = [0.0f32; 2];
    let mat = |x: &[f32], row| Mat { ptr: x.as_ptr(), row, col: 1 };
    // SAFETY: the arrays are as large as the dimensions say.
    unsafe { gemm([1, 2, 2], mat(&a, 2), mat(&b, 2), c.as_mut_ptr(), 2, false) }.unwrap();
    assert!(c[0].is_nan() && c[1] == 2.0, "{c:?}");
}

#[test]
fn batches_take_their_offsets() {
    for (dims, count) in [([3, 4, 5], 7), ([20, 30, 40], 60), ([0, 3, 2], 4), ([2, 3, 0], 4), ([180, 180, 160], 2)] {
        let [m, n, k] = dims;
        let a = values(m * k * count + 1, 1, |x| x as f32 - 3.0);
        let b = values(k * n + 1, 2, |x| x as f32 - 3.0);
        // A moves on, backwards; B is the same for all.
        let offsets: Vec<_> = (0..count).rev().map(|i| ((i * m * k) as isize, 1)).collect();
        let (a, b) =
            (Mat { ptr: a.as_ptr(), row: k as isize, col: 1 }, Mat { ptr: b.as_ptr(), row: n as isize, col: 1 });
        let mut c = vec![9.0f32; m * n * count];
        // SAFETY: the buffers hold all that the offsets reach.
        unsafe { gemm_batched(dims, a, b, c.as_mut_ptr(), &offsets) }.unwrap();
        for (i, c) in c.chunks(m * n + usize::from(m * n == 0)).enumerate() {
            let mut expected = vec![0.0; m * n];
            let a = Mat { ptr: a.ptr.wrapping_offset(offsets[i].0), ..a };
            naive(dims, a, Mat { ptr: b.ptr.wrapping_offset(1), ..b }, &mut expected, n, false);
            assert_eq!(c, expected, "{dims:?}, product {i}");
        }
    }
}

/// Subnormal numbers are zero where the processor would take long for them, and only there.
#[cfg(target_arch = "x86_64")]
#[test]
fn subnormal_numbers_are_zero_and_cost_nothing() {
    let seconds = |a: &[f32], b: &[f32], c: &mut [f32], n: usize| {
        let matrix = |m: &[f32]| Mat { ptr: m.as_ptr(), row: n as isize, col: 1 };
        let once = |_| {
            let start = std::time::Instant::now();
            // SAFETY: square matrices of n rows.
            unsafe { gemm([n, n, n], matrix(a), matrix(b), c.as_mut_ptr(), n, false) }.unwrap();
            start.elapsed().as_secs_f64()
        };
        (0..5).map(once).fold(f64::INFINITY, f64::min)
    };
    simd::tests::each_isa(|isa| {
        let n = 96;
        let normal: Vec<f32> = (0..n * n).map(|i| (i % 13) as f32 - 6.0).collect();
        let mixed: Vec<f32> = normal.iter().map(|&x| if x > 0.0 { x * 1e-39 } else { x }).collect();
        let flushed: Vec<f32> = normal.iter().map(|&x| x.min(0.0)).collect();
        let (mut c, mut expected) = (vec![0.0; n * n], vec![0.0; n * n]);
        let slow = seconds(&mixed, &normal, &mut c, n);
        let usual = seconds(&flushed, &normal, &mut expected, n);
        assert_eq!(c, expected, "{isa:?}");
        assert!(slow < 4.0 * usual, "{isa:?}: {slow} s beside {usual}");
        let tiny = std::hint::black_box(1e-40f32);
        assert_eq!((tiny * std::hint::black_box(0.5)).to_bits(), 0.5e-40f32.to_bits(), "outside of products they stay");
    });
}
