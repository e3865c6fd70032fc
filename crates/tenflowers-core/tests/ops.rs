//! Values of operations, for all kinds of dtypes and layouts, and what they refuse. References by hand.
use tenflowers_core::dtype::{bf16, f16};
use tenflowers_core::ops::Index;
use tenflowers_core::schema::{Operand, Size};
use tenflowers_core::{C32, C64, DType, Element, Generator, Result, Scalar, Tensor, ops};

fn of<T: Element>(data: &[T], shape: &[usize]) -> Tensor {
    Tensor::from_vec(data.to_vec(), shape).unwrap().erase().clone()
}
#[track_caller]
fn values<T: Element>(t: Result<Tensor>) -> Vec<T> {
    t.unwrap().typed::<T>().unwrap().to_vec().unwrap()
}
#[track_caller]
fn close(t: Result<Tensor>, expected: &[f64]) {
    let got: Vec<f64> = t.unwrap().to_scalars().unwrap().into_iter().map(Scalar::as_f64).collect();
    assert_eq!(got.len(), expected.len());
    let near = |(g, e): (&f64, &f64)| (g - e).abs() <= 1e-6 * e.abs().max(1.0) || g == e || g.is_nan() && e.is_nan();
    assert!(got.iter().zip(expected).all(near), "{got:?} is not {expected:?}");
}
#[track_caller]
fn says<T>(result: Result<T>, text: &str) {
    let e = result.err().unwrap_or_else(|| panic!("no error, but expected: {text}")).to_string();
    assert!(e.contains(text), "'{e}' does not say '{text}'");
}
fn counting(n: usize, shape: &[usize]) -> Tensor {
    of(&(0..n).map(|i| i as f32).collect::<Vec<_>>(), shape)
}

#[test]
fn integers_are_exact_and_wrap() {
    let big = (1i64 << 53) + 1;
    assert_eq!(values::<i64>(of(&[big, -big], &[2]).add(&of(&[2i64], &[1]))), [big + 2, 2 - big]);
    assert_eq!(values::<i64>(of(&[big], &[1]).mul(3)), [3 * big]);
    assert_eq!(values::<i64>(ops::sum(&of(&[big, 1, 1], &[3]), None, false, None)), [big + 2]);
    assert_eq!(values::<u64>(of(&[u64::MAX], &[1]).add(1)), [0]);
    assert_eq!(values::<u64>(ops::max(&of(&[u64::MAX - 1, u64::MAX], &[2]))), [u64::MAX]);
    assert_eq!(values::<u8>(of(&[200u8, 7], &[2]).add(&of(&[100u8], &[]))), [44, 107]);
    assert_eq!(values::<i8>(of(&[-128i8], &[1]).neg()), [-128]);
    assert_eq!(values::<i8>(ops::abs(&of(&[-128i8, -3], &[2]))), [-128, 3]);
    assert_eq!(values::<i64>(of(&[3i64, -2, 0], &[3]).pow(3)), [27, -8, 0]);
    assert_eq!(values::<i32>(of(&[i32::MIN], &[1]).sub(1)), [i32::MAX]);
    let (a, b) = (of(&[7i32, -7, 7, -7], &[4]), of(&[2i32, 2, -2, -2], &[4]));
    assert_eq!(values::<i32>(ops::floor_divide((&a).into(), (&b).into())), [3, -4, -4, 3]);
    assert_eq!(values::<i32>(ops::remainder((&a).into(), (&b).into())), [1, 1, -1, -1]);
    assert_eq!(values::<i32>(ops::div((&a).into(), (&b).into(), Some("trunc"))), [3, -3, -3, 3]);
    close(a.div(&b), &[3.5, -3.5, -3.5, 3.5]);
    says(ops::floor_divide((&a).into(), 0.into()), "zero");
    says(a.pow(-1), "integers to negative integer powers");
    assert_eq!(values::<i64>(ops::sum(&of(&[true, true, false], &[3]), None, false, None)), [2]);
}

#[test]
fn halves_round_to_nearest() {
    let half = |v: &[f32]| of(&v.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>(), &[v.len()]);
    let brain = |v: &[f32]| of(&v.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(), &[v.len()]);
    // Between 2048 and 4096 halves lie 2 apart, and ties go to the even neighbour.
    close(half(&[1.0, 2048.0, 2050.0, 65504.0]).add(1.0), &[2.0, 2048.0, 2052.0, 65504.0]);
    close(half(&[65504.0]).mul(2.0), &[f64::INFINITY]);
    close(brain(&[1.0, 256.0, 258.0]).add(1.0), &[2.0, 256.0, 260.0]);
    // Sums of halves are kept in single precision and rounded once.
    close(ops::sum(&half(&vec![1.0; 5000]), None, false, None), &[5000.0]);
    close(ops::matmul(&brain(&vec![1.0; 300]), &brain(&vec![1.0; 300])), &[300.0]);
    close(ops::exp(&half(&[0.0])), &[1.0]);
    assert_eq!(half(&[1.0]).add(&brain(&[1.0])).unwrap().dtype(), DType::F32);
}

#[test]
fn complex_numbers() {
    let (a, b) = (of(&[C64::new(1.0, 2.0), C64::new(0.0, -1.0)], &[2]), of(&[C64::new(3.0, -1.0)], &[]));
    assert_eq!(values::<C64>(a.mul(&b)), [C64::new(5.0, 5.0), C64::new(-1.0, -3.0)]);
    assert_eq!(values::<C64>(ops::conj_public(&a)), [C64::new(1.0, -2.0), C64::new(0.0, 1.0)]);
    close(ops::abs(&of(&[C32::new(3.0, -4.0)], &[1])), &[5.0]);
    let e = values::<C64>(ops::exp(&of(&[C64::new(0.0, std::f64::consts::PI)], &[])))[0];
    assert!((e - C64::new(-1.0, 0.0)).norm() < 1e-15, "{e}");
    assert_eq!(
        values::<C64>(ops::matmul(&of(&[C64::i(), C64::new(1.0, 0.0)], &[1, 2]), &of(&[C64::i(), C64::i()], &[2, 1]))),
        [C64::new(-1.0, 1.0)]
    );
    assert_eq!(values::<C64>(ops::sum(&a, None, false, None)), [C64::new(1.0, 1.0)]);
    assert_eq!(values::<bool>(a.eq(&a)), [true, true]);
    says(a.lt(&b), "complex128");
    says(ops::max(&a), "complex128");
    says(ops::floor_divide((&a).into(), (&b).into()), "complex128");
}

#[test]
fn functions_of_one_number() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = of(&[-1.0, 0.0, 0.5, inf, nan], &[5]);
    close(ops::exp(&x), &[(-1f64).exp(), 1.0, 0.5f64.exp(), inf, nan]);
    close(ops::log(&x), &[nan, -inf, 0.5f64.ln(), inf, nan]);
    close(ops::sqrt(&x), &[nan, 0.0, 0.5f64.sqrt(), inf, nan]);
    close(ops::relu(&x), &[0.0, 0.0, 0.5, inf, nan]);
    // As in PyTorch, the sign of what is no number is none.
    close(ops::sign(&x), &[-1.0, 0.0, 1.0, 1.0, 0.0]);
    close(ops::sigmoid(&x), &[1.0 / (1.0 + 1f64.exp()), 0.5, 1.0 / (1.0 + (-0.5f64).exp()), 1.0, nan]);
    close(ops::erf(&x), &[-0.842_700_792_949_715, 0.0, 0.520_499_877_813_046_5, 1.0, nan]);
    close(ops::round(&of(&[0.5, 1.5, -2.5, 2.4], &[4]), 0), &[0.0, 2.0, -2.0, 2.0]);
    assert_eq!(values::<bool>(ops::isnan(&x)), [false, false, false, false, true]);
    assert_eq!(values::<bool>(ops::isfinite(&x)), [true, true, true, false, false]);
    close(ops::expm1(&of(&[1e-12], &[])), &[1e-12]);
    assert!((values::<f64>(ops::expm1(&of(&[1e-12], &[])))[0] / 1e-12 - 1.0).abs() < 1e-9);
    close(ops::maximum(&x, &of(&[0.0], &[])), &[0.0, 0.0, 0.5, inf, nan]);
    close(
        ops::clamp(&x, Some(Scalar::Float(-0.5).into()), Some(Scalar::Float(0.25).into())),
        &[-0.5, 0.0, 0.25, 0.25, nan],
    );
}

/// The same elements in memory in other ways: turned, with gaps, with an offset, widened.
fn layouts(t: &Tensor) -> Vec<Tensor> {
    let turned = ops::contiguous(&t.transpose(0, 1).unwrap()).unwrap().transpose(0, 1).unwrap();
    let [rows, columns] = [t.shape()[0], t.shape()[1]];
    let room = ops::full_of(&[rows + 2, 2 * columns + 1], Scalar::Float(-99.0), t.dtype()).unwrap();
    let every = Index::Slice { start: Some(1), stop: None, step: 2 };
    let part =
        ops::get(&room, &[Index::Slice { start: Some(1), stop: Some(rows as i64 + 1), step: 1 }, every]).unwrap();
    ops::assign::to(Some(&part), &part, t).unwrap();
    vec![t.clone(), turned, part]
}

#[test]
fn layouts_do_not_matter() {
    let x = counting(6, &[2, 3]);
    for a in layouts(&x) {
        close(a.mul(2.0), &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        close(ops::sum(&a, Some(&[0]), false, None), &[3.0, 5.0, 7.0]);
        close(ops::sum(&a, Some(&[-1]), true, None), &[3.0, 12.0]);
        close(ops::cumsum(&a, 1, None), &[0.0, 1.0, 3.0, 3.0, 7.0, 12.0]);
        close(ops::max_dim(&a, 0, false).map(|f| f.values), &[3.0, 4.0, 5.0]);
        close(ops::softmax(&a, Some(0), 3, None).and_then(|s| ops::sum(&s, Some(&[0]), false, None)), &[1.0; 3]);
        close(ops::reshape(&a, Size(&[3, 2])), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        close(ops::flip(&a, Size(&[0])), &[3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
        close(ops::cat(&[a.clone(), x.clone()], 1), &[0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0]);
        for b in layouts(&x) {
            close(a.add(&b), &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
            close(ops::matmul(&a, &b.transpose(0, 1).unwrap()), &[5.0, 14.0, 14.0, 50.0]);
        }
        // In place, with an input that lies over the target in another order.
        let square = ops::narrow(&a, 1, 0, 2).unwrap();
        square.add_(&square.transpose(0, 1).unwrap()).unwrap();
        close(Ok(square), &[0.0, 4.0, 4.0, 8.0]);
        ops::assign::to(Some(&a), &a, &counting(6, &[2, 3])).unwrap();
    }
}

#[test]
fn nothing_and_one() {
    let empty = of::<f32>(&[], &[0, 3]);
    close(empty.add(&of(&[1.0f32], &[])), &[]);
    assert_eq!(ops::sum(&empty, Some(&[0]), false, None).unwrap().shape(), [3]);
    close(ops::sum(&empty, None, false, None), &[0.0]);
    close(ops::prod(&empty, None), &[1.0]);
    close(ops::mean(&empty, None, false, None), &[f64::NAN]);
    assert_eq!(values::<bool>(ops::all(&empty, None, false)), [true]);
    assert_eq!(values::<bool>(ops::any(&empty, None, false)), [false]);
    says(ops::max(&empty), "max");
    says(ops::argmax(&empty, None, false), "argmax");
    close(ops::matmul(&of::<f32>(&[], &[2, 0]), &of::<f32>(&[], &[0, 2])), &[0.0; 4]);
    assert_eq!(ops::cat(&[empty.clone(), counting(3, &[1, 3])], 0).unwrap().shape(), [1, 3]);
    assert_eq!(ops::nonzero_tuple(&empty).unwrap()[0].shape(), [0]);
    let one = of(&[2.0f32], &[]);
    close(one.mul(&one), &[4.0]);
    close(ops::sum(&one, Some(&[0]), false, None), &[2.0]);
    close(ops::cumsum(&one, 0, None), &[2.0]);
    close(ops::flatten(&one, 0, -1), &[2.0]);
    assert_eq!(one.item().unwrap(), Scalar::Float(2.0));
    says(counting(2, &[2]).item(), "2 elements cannot be converted to a number");
    says(one.transpose(0, 1), "dimension 1 is out of range");
}

#[test]
fn reductions() {
    let x = of(&[1.0, 4.0, 2.0, 8.0], &[2, 2]);
    close(ops::var(&x, None, true, false, None), &[9.583_333_333_333_334]);
    close(ops::var(&x, Some(&[1]), false, false, None), &[2.25, 9.0]);
    close(ops::std(&x, Some(&[0]), true, true, None), &[0.5f64.sqrt(), 8f64.sqrt()]);
    close(ops::prod_dim(&x, 0, false, None), &[2.0, 32.0]);
    close(ops::logsumexp(&x, &[1], false), &[4.0 + (-3f64).exp().ln_1p(), 8.0 + (-6f64).exp().ln_1p()]);
    close(ops::norm(&x, Some(Scalar::Int(2)), None, false, None), &[85f64.sqrt()]);
    close(ops::norm(&x, Some(Scalar::Float(f64::INFINITY)), Some(&[1]), false, None), &[4.0, 8.0]);
    close(ops::amin(&x, &[0], false), &[1.0, 4.0]);
    // The first of equal elements, and a number that is none above all.
    let found = ops::max_dim(&of(&[3.0, 3.0, f64::NAN, 1.0], &[2, 2]), 1, false).unwrap();
    close(Ok(found.values), &[3.0, f64::NAN]);
    assert_eq!(values::<i64>(Ok(found.indices)), [0, 0]);
    assert_eq!(values::<i64>(ops::argmin(&x, Some(0), false)), [0, 0]);
    says(ops::sum(&x, Some(&[0, 0]), false, None), "sum");
    says(
        ops::sum(&x, Some(&[2]), false, None),
        "sum: dimension 2 is out of range for a tensor of 2 dimensions (expected -2 to 1)",
    );
    // Many elements: pairwise or in blocks, a float32 sum stays near.
    let many = ops::full_of(&[1 << 20], Scalar::Float(0.1), DType::F32).unwrap();
    let sum = ops::sum(&many, None, false, None).unwrap().item().unwrap().as_f64();
    assert!((sum / 104_857.6 - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn products() {
    let (a, b) = (counting(6, &[2, 3]), counting(3, &[3]));
    close(ops::matmul(&a, &b), &[5.0, 14.0]);
    close(ops::matmul(&b, &a.transpose(0, 1).unwrap()), &[5.0, 14.0]);
    close(ops::matmul(&b, &b), &[5.0]);
    let batch = ops::matmul(&counting(12, &[2, 1, 2, 3]), &counting(6, &[3, 2])).unwrap();
    assert_eq!(batch.shape(), [2, 1, 2, 2]);
    close(Ok(batch), &[10.0, 13.0, 28.0, 40.0, 46.0, 67.0, 64.0, 94.0]);
    close(
        ops::addmm(&of(&[1.0f32, 2.0], &[2]), &a, &a.transpose(0, 1).unwrap(), Scalar::Int(10), Scalar::Int(-1)),
        &[5.0, 6.0, -4.0, -30.0],
    );
    assert_eq!(
        values::<i64>(ops::matmul(&of(&[(1i64 << 53) + 1, 1], &[1, 2]), &of(&[1i64, 1], &[2, 1]))),
        [(1 << 53) + 2]
    );
    says(ops::matmul(&a, &counting(8, &[4, 2])), "[2, 3] x [4, 2]");
    says(ops::matmul(&a, &ops::to_dtype(&b, DType::F64).unwrap()), "float32 and float64");
    says(ops::mm(&a, &b), "mm");
    says(ops::matmul(&of(&[1.0f32], &[]), &b), "matmul");
}

#[test]
fn indices() {
    let x = counting(12, &[3, 4]);
    let slice = |start, stop, step| Index::Slice { start, stop, step };
    close(ops::get(&x, &[Index::Int(-1), slice(Some(1), None, 2)]), &[9.0, 11.0]);
    close(ops::get(&x, &[Index::Ellipsis, Index::Int(0)]), &[0.0, 4.0, 8.0]);
    assert_eq!(ops::get(&x, &[Index::NewAxis, Index::Ellipsis]).unwrap().shape(), [1, 3, 4]);
    close(ops::get(&x, &[Index::Tensor(of(&[2i64, -3], &[2])), Index::Tensor(of(&[0i64, 1], &[2]))]), &[8.0, 1.0]);
    close(ops::get(&x, &[Index::Tensor(x.gt(8.5).unwrap())]), &[9.0, 10.0, 11.0]);
    let y = ops::copy(&x).unwrap();
    ops::set(
        &y,
        &[slice(None, None, 2), Index::Tensor(of(&[3i64, 0], &[2]))],
        Operand::Tensor(&of(&[-1.0f32, -2.0], &[2])),
    )
    .unwrap();
    close(Ok(y.clone()), &[-2.0, 1.0, 2.0, -1.0, 4.0, 5.0, 6.0, 7.0, -2.0, 9.0, 10.0, -1.0]);
    ops::set(&y, &[Index::Tensor(y.lt(0.0).unwrap())], 0.5.into()).unwrap();
    close(ops::sum(&y, None, false, None), &[46.0]);
    says(ops::get(&x, &[Index::Int(3)]), "index: index 3 is out of range for dimension 0 of size 3");
    says(ops::get(&x, &[Index::Int(0), Index::Int(0), Index::Int(0)]), "too many indices (3)");
    says(ops::get(&x, &[Index::Tensor(of(&[3i64], &[1]))]), "3");
    let index = of(&[0i64, 2, 1, 1], &[2, 2]);
    close(ops::gather(&x, 1, &index, false), &[0.0, 2.0, 5.0, 5.0]);
    close(
        ops::scatter_add(&counting(4, &[2, 2]), 0, &of(&[1i64, 1], &[1, 2]), &of(&[10.0f32, 20.0], &[1, 2])),
        &[0.0, 1.0, 12.0, 23.0],
    );
    close(ops::index_select(&x, 0, &of(&[2i64, 0], &[2])), &[8.0, 9.0, 10.0, 11.0, 0.0, 1.0, 2.0, 3.0]);
    says(ops::gather(&x, 1, &of(&[4i64], &[1, 1]), false), "4");
    close(ops::masked_select(&x, &x.le(1.0).unwrap()), &[0.0, 1.0]);
}

#[test]
fn joined_and_moved() {
    let x = counting(4, &[2, 2]);
    close(ops::stack(&[x.clone(), x.mul(10.0).unwrap()], 2), &[0.0, 0.0, 1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    close(ops::repeat(&x, Size(&[1, 2])), &[0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0]);
    close(ops::roll(&x, &[1], None), &[3.0, 0.0, 1.0, 2.0]);
    close(ops::roll(&x, &[1], Some(&[0])), &[2.0, 3.0, 0.0, 1.0]);
    close(ops::tril(&x, 0), &[0.0, 0.0, 2.0, 3.0]);
    close(ops::triu(&x, 1), &[0.0, 1.0, 0.0, 0.0]);
    close(
        ops::pad_constant(&x, &[1, 0, 0, 1], "constant", Some(Scalar::Int(9))),
        &[9.0, 0.0, 1.0, 9.0, 2.0, 3.0, 9.0, 9.0, 9.0],
    );
    close(ops::diagonal(&counting(6, &[2, 3]), 1, 0, 1), &[1.0, 5.0]);
    says(ops::cat(&[x.clone(), counting(3, &[1, 3])], 0), "cat");
    says(ops::cat(&[], 0), "cat");
    says(ops::reshape(&x, Size(&[3, -1])), "shape [3, -1] does not hold the 4 elements");
    says(ops::reshape(&x, Size(&[-1, -1])), "only one size can be -1");
    says(ops::view(&x.transpose(0, 1).unwrap(), Size(&[4])), "use reshape");
    says(ops::expand(&x, Size(&[3, 2])), "expand");
    says(ops::as_strided(&x, &[2], &[3], Some(1)), "reach element 4 of a storage of 4");
    says(ops::permute(&x, Size(&[0, 0])), "permute");
    says(x.add(&counting(3, &[3])), "[2, 2] x [3]");
    says(ops::expand(&counting(1, &[1]), Size(&[3])).unwrap().add_(1.0), "two indices of the target are one element");
}

#[test]
fn parts_of_complex_numbers_are_views() {
    let z = of(&[C64::new(1.0, 2.0), C64::new(3.0, -4.0)], &[2]);
    ops::real(&z).unwrap().mul_(10.0).unwrap();
    ops::imag(&z).unwrap().add_(1.0).unwrap();
    assert_eq!(values::<C64>(Ok(z.clone())), [C64::new(10.0, 3.0), C64::new(30.0, -3.0)]);
    assert_eq!(z.version(), 2);
}

#[test]
fn layers_and_losses() {
    let x = of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1, 1, 3, 3]);
    close(ops::conv2d(&x, &of(&[1.0, 0.0, 0.0, -1.0], &[1, 1, 2, 2]), None, &[1], &[0], &[1], 1), &[-4.0; 4]);
    close(ops::avg_pool2d(&x, &[2], Some(&[1]), &[0], false, true, None), &[3.0, 4.0, 6.0, 7.0]);
    close(ops::layer_norm(&of(&[1.0, 3.0], &[1, 2]), &[2], None, None, 0.0), &[-1.0, 1.0]);
    let (logits, classes) = (of(&[0.0, 3f64.ln()], &[1, 2]), of(&[1i64], &[1]));
    close(ops::cross_entropy(&logits, &classes, None, None, -100, None, "mean", 0.0), &[(4f64 / 3.0).ln()]);
    close(
        ops::embedding(&of(&[1i64, 0], &[2]), &of(&[1.0, 2.0, 3.0, 4.0], &[2, 2]), None, None, 2.0, false, false),
        &[3.0, 4.0, 1.0, 2.0],
    );
    says(ops::mse_loss(&logits, &logits, None, None, "median", None), "median");
    says(ops::conv2d(&x, &of(&[0.0; 18], &[1, 2, 3, 3]), None, &[1], &[0], &[1], 1), "conv2d");
}

#[test]
fn random_numbers_follow_their_seed() {
    let draw = |g: &Generator| values::<f32>(ops::randn(Size(&[1000]), Some(g), Some(DType::F32), None, false));
    let (a, b) = (Generator::new(5), Generator::new(5));
    let first = draw(&a);
    assert_eq!(first, draw(&b));
    assert_ne!(first, draw(&a));
    let mean = first.iter().sum::<f32>() / 1000.0;
    let variance = first.iter().map(|x| x * x).sum::<f32>() / 1000.0;
    assert!(mean.abs() < 0.12 && (variance - 1.0).abs() < 0.2, "{mean} {variance}");
    let state = a.state();
    let next = draw(&a);
    a.set_state(state);
    assert_eq!(next, draw(&a));
    let mut order = values::<i64>(ops::randperm(50, Some(&a), None, None, false));
    assert_ne!(order, (0..50).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
    let whole = values::<i64>(ops::randint(-2, 3, &[500], Some(&a), None, None, false));
    assert!((-2..3).all(|k| whole.contains(&k)) && whole.iter().all(|k| (-2..3).contains(k)));
}

#[test]
fn typed_handles_know_their_dtype() {
    let t = Tensor::<f32>::from_vec(vec![1.0, 2.0], &[2]).unwrap();
    let chained = (&t + &t) * &t - &t;
    assert_eq!(chained.unwrap().to_vec().unwrap(), [1.0, 6.0]);
    assert_eq!((&t / 2.0).unwrap().to_vec().unwrap(), [0.5, 1.0]);
    assert_eq!((-&t).unwrap().to_vec().unwrap(), [-1.0, -2.0]);
    let mask: Tensor<bool> = t.gt(1.5).unwrap();
    assert_eq!(mask.to_vec().unwrap(), [false, true]);
    let at: Tensor<i64> = t.argmax(None).unwrap();
    assert_eq!(at.to_vec().unwrap(), [1]);
    says(t.erase().clone().typed::<f64>(), "typed: dtypes differ: float32 and float64");
    says(Tensor::<f32>::from_vec(vec![1.0], &[2]), "from_vec: elements do not fill the shape: [1] x [2]");
    // A result of another dtype is an error, not another type under a false name.
    says(Tensor::<i64>::from_vec(vec![1], &[1]).unwrap().div(2.0), "typed: dtypes differ");
}
