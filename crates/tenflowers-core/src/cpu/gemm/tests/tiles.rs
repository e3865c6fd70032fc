//! Products of bfloat16 and of bytes, with and without tile registers, at sizes around those of a tile.

use super::{bits, layout};
use crate::cpu::gemm::{Mat, Onto, Product, gemm_onto};
use crate::cpu::simd::tests::each_isa_and_tiles;
use crate::cpu::{pool, simd};
use half::bf16;

const SIZES: [usize; 13] = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257];

/// Every pair of sizes of C with some depth, every depth with whole and with odd tiles, sums that wait for each other, and
/// rows in several blocks.
fn dims() -> Vec<[usize; 3]> {
    let mut all = vec![[40, 70, 1100], [500, 40, 1100], [9, 300, 2050]];
    for (i, m) in SIZES.into_iter().enumerate() {
        all.extend(SIZES.into_iter().enumerate().map(|(j, n)| [m, n, SIZES[(5 * i + 3 * j) % SIZES.len()]]));
        all.extend([[17, 33, m], [64, 32, m]]);
    }
    all
}

/// Bits without any order, of which a number is made.
fn random<T>(from: impl Fn(u64) -> T) -> impl Fn(u64) -> T {
    let state = std::cell::Cell::new(7u64);
    move |_| {
        state.set(state.get().wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
        from(state.get() >> 33)
    }
}

/// Runs a product onto nothing, onto a row, onto C itself and onto another matrix: `right` gets what the products of an
/// element come to, what is added to them, and what was found.
fn check<T: Product + PartialEq + std::fmt::Debug, S: Default>(
    [m, n, k]: [usize; 3],
    kinds: (usize, usize),
    from: impl Fn(u64) -> T,
    sum: impl Fn(&[(T, T)]) -> S,
    right: impl Fn(&S, Option<T>, T) -> bool,
) {
    let (_a, a) = layout(m, k, kinds.0, 1, &from);
    let (_b, b) = layout(k, n, kinds.1, 2, &from);
    let ldc = n + 3;
    let before: Vec<T> = (0..m * ldc).map(|_| from(0)).collect();
    let other: Vec<T> = (0..m * (n + 1)).map(|_| from(0)).collect();
    let mut pairs = Vec::new();
    let mut results = Vec::new();
    for form in 0..4 {
        let mut c = before.clone();
        let onto: Onto<T> = match form {
            0 => None,
            1 => Some((other.as_ptr(), 0)),
            2 => Some((c.as_ptr(), ldc)),
            _ => Some((other.as_ptr(), n + 1)),
        };
        // SAFETY: the buffers hold all that is named.
        unsafe { gemm_onto([m, n, k], a, b, onto, c.as_mut_ptr(), ldc) }.unwrap();
        results.push(c);
    }
    for i in 0..m {
        for j in 0..ldc {
            let mut total = S::default();
            if j < n {
                pairs.clear();
                // SAFETY: elements of the matrices.
                pairs.extend((0..k).map(|p| unsafe { (*a.at(i, p), *b.at(p, j)) }));
                total = sum(&pairs);
            }
            let added = [None, Some(other[j.min(n)]), Some(before[i * ldc + j]), Some(other[i * (n + 1) + j.min(n)])];
            for (form, (c, added)) in results.iter().zip(added).enumerate() {
                let c = c[i * ldc + j];
                // Elements between the rows of C are left alone.
                let good = if j < n { right(&total, added, c) } else { c == before[i * ldc + j] };
                let (isa, tiles) = (simd::isa(), simd::tiles());
                assert!(good, "{:?}, {kinds:?}, onto {form}, {isa:?}, tiles {tiles}: {c:?} at {i}, {j}", [m, n, k]);
            }
        }
    }
}

#[test]
fn bfloat16_is_near_a_product_in_float64() {
    each_isa_and_tiles(|_| {
        for (i, dims) in dims().into_iter().enumerate() {
            let from = random(|bits| bf16::from_f32((bits % 4001) as f32 / 2000.0 - 1.0));
            let sum = |pairs: &[(bf16, bf16)]| {
                pairs
                    .iter()
                    .map(|&(a, b)| f64::from(a) * f64::from(b))
                    .fold((0.0, 0.0), |(x, y), p| (x + p, y + p.abs()))
            };
            check(dims, (i % 6, i / 6 % 6), from, sum, |&(sum, size), onto, c| {
                let sum = sum + onto.map_or(0.0, f64::from);
                (f64::from(c) - sum).abs() <= sum.abs() / 256.0 + size / f64::from(1 << 20)
            });
        }
    });
}

#[test]
fn bytes_wrap_around_exactly() {
    each_isa_and_tiles(|_| {
        for (i, dims) in dims().into_iter().enumerate() {
            let sum = |pairs: &[(i8, i8)]| pairs.iter().fold(0i8, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
            check(dims, (i % 6, i / 6 % 6), random(|bits| bits as i8), sum, |sum, onto, c| {
                c == sum.wrapping_add(onto.unwrap_or(0))
            });
        }
    });
}

#[test]
fn what_is_not_finite_stays_in_its_row_and_column() {
    each_isa_and_tiles(|_| {
        for [m, n, k] in [[33, 35, 70], [20, 40, 1100], [9, 17, 33], [3, 5, 700]] {
            let (mut a, mut b) = (vec![bf16::ONE; m * k], vec![bf16::ONE; k * n]);
            a[2 * k + k - 1] = bf16::INFINITY;
            a[k] = bf16::NAN;
            b[(k - 1) * n + n - 1] = bf16::NEG_INFINITY;
            let mut c = vec![bf16::ZERO; m * n];
            let mat = |x: &[bf16], row: usize| Mat { ptr: x.as_ptr(), row: row as isize, col: 1 };
            // SAFETY: the buffers are as large as the dimensions say.
            unsafe { gemm_onto([m, n, k], mat(&a, k), mat(&b, n), None, c.as_mut_ptr(), n) }.unwrap();
            for (i, row) in c.chunks(n).enumerate() {
                for (j, &x) in row.iter().enumerate() {
                    let right = match (i, j == n - 1) {
                        (1, _) => x.is_nan(),
                        (2, false) => x == bf16::INFINITY,
                        (_, true) => x == bf16::NEG_INFINITY,
                        _ => x == bf16::from_f32(k as f32),
                    };
                    assert!(right, "{:?}: {x} at {i}, {j}, tiles {}", [m, n, k], simd::tiles());
                }
            }
        }
    });
}

#[test]
fn threads_share_bfloat16_without_changing_a_bit() {
    for dims in [[300, 300, 1100], [40, 1500, 600], [1500, 40, 600], [20, 3000, 100]] {
        for kinds in [(0, 0), (1, 1), (0, 1)] {
            pool::set_num_threads(1).unwrap();
            let one = bits(dims, kinds, bf16::from_f32);
            for threads in [2, 3] {
                pool::set_num_threads(threads).unwrap();
                assert!(bits(dims, kinds, bf16::from_f32) == one, "{dims:?}, layouts {kinds:?}, {threads} threads");
            }
        }
    }
    pool::set_num_threads(0).unwrap();
}

/// The use of tiles is asked for once: it holds for threads that begin later, and for children that fork.
#[test]
#[cfg(target_os = "linux")]
fn threads_and_forked_children_multiply_as_well() {
    let product = || bits([48, 40, 70], (0, 0), bf16::from_f32);
    let expected = product();
    assert!(std::thread::spawn(product).join().unwrap() == expected);
    // SAFETY: the child computes on its one thread, and ends without running anything of its parent's.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::_exit(i32::from(product() != expected));
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0);
    }
}
