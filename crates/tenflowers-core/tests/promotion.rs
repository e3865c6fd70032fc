//! Which dtype comes out, by PyTorch's rules: category first, then width; tensors with dimensions before 0-d tensors before
//! numbers.
use tenflowers_core::{C64 as Complex128, DType, Scalar, Tensor, ops};

/// `torch.promote_types` for all pairs, in the order of `DType::ALL`; `-` where it refuses.
const PAIRS: [&str; 15] = [
    "01---56789abcde",
    "11---66789abcde",
    "--2------9abc--",
    "---3-----9abc--",
    "----4----9abc--",
    "56---56789abcde",
    "66---66789abcde",
    "77---77789abcde",
    "88---88889abcde",
    "9999999999bbcde",
    "aaaaaaaaababcde",
    "bbbbbbbbbbbbcde",
    "cccccccccccccee",
    "dd---dddddddede",
    "ee---eeeeeeeeee",
];

fn of(dtype: DType, shape: &[usize]) -> Tensor {
    ops::full_of(shape, Scalar::ONE, dtype).unwrap()
}

#[test]
fn all_pairs() {
    for (a, row) in DType::ALL.into_iter().zip(PAIRS) {
        for (b, symbol) in DType::ALL.into_iter().zip(row.chars()) {
            let expected = symbol.to_digit(16).map(|i| DType::ALL[i as usize]);
            assert_eq!(a.promote(b).ok(), expected, "{a} and {b}");
            let sum = of(a, &[2]).add(&of(b, &[1])).map(|t| t.dtype());
            assert_eq!(sum.ok(), expected, "add of {a} and {b}");
        }
    }
    let e = DType::U16.promote(DType::I8).unwrap_err().to_string();
    assert_eq!(e, "promote_types: uint16, uint32 and uint64 do not promote with this type: uint16 and int8");
}

#[test]
fn tensors_of_no_dimensions_and_numbers_count_for_less() {
    use DType::*;
    for (tensor, zero, expected) in [
        (U8, I64, U8),
        (Bool, I32, I32),
        (F16, F64, F16),
        (BF16, I64, BF16),
        (I32, F16, F16),
        (I8, F64, F64),
        (F32, C128, C64),
        (F64, C64, C128),
        (C64, C128, C64),
        (I16, C128, C128),
    ] {
        for sum in [of(tensor, &[1]).add(&of(zero, &[])), of(zero, &[]).add(&of(tensor, &[1]))] {
            assert_eq!(sum.unwrap().dtype(), expected, "{tensor} of one dimension and {zero} of none");
        }
    }
    let (int, float, complex) = (Scalar::Int(2), Scalar::Float(0.5), Scalar::Complex(Complex128::new(0.0, 1.0)));
    for (tensor, number, expected) in [
        (Bool, Scalar::Bool(true), Bool),
        (Bool, int, I64),
        (U8, int, U8),
        (U64, int, U64),
        (I16, float, F32),
        (F16, float, F16),
        (F64, float, F64),
        (I64, complex, C64),
        (F32, complex, C64),
        (F64, complex, C128),
        (C64, float, C64),
    ] {
        for shape in [&[][..], &[3]] {
            let product = of(tensor, shape).mul(number).unwrap();
            assert_eq!(product.dtype(), expected, "{tensor} and {number:?}");
        }
    }
}

#[test]
fn results_of_their_own_dtype() {
    use DType::*;
    for (dtype, sum, mean, quotient, compared) in [
        (U8, I64, None, F32, Bool),
        (Bool, I64, None, F32, Bool),
        (F16, F16, Some(F16), F16, Bool),
        (C64, C64, Some(C64), C64, Bool),
    ] {
        let t = of(dtype, &[2]);
        assert_eq!(ops::sum(&t, None, false, None).unwrap().dtype(), sum);
        assert_eq!(ops::mean(&t, None, false, None).ok().map(|t| t.dtype()), mean);
        assert_eq!(t.div(&t).unwrap().dtype(), quotient);
        assert_eq!(t.eq(&t).unwrap().dtype(), compared);
        assert_eq!(ops::exp(&t).unwrap().dtype(), quotient);
    }
    assert_eq!(ops::abs(&of(C128, &[2])).unwrap().dtype(), F64);
    assert_eq!(ops::argmax(&of(F16, &[2]), None, false).unwrap().dtype(), I64);
}

#[test]
fn writes_cast_where_a_cast_is_safe() {
    let (int, float, complex) = (of(DType::I32, &[2]), of(DType::F32, &[2]), of(DType::C64, &[2]));
    assert_eq!(float.add_(&int).unwrap().to_scalars().unwrap(), [Scalar::Float(2.0); 2]);
    assert_eq!(float.add_(&of(DType::F64, &[2])).unwrap().dtype(), DType::F32);
    for (to, from) in [(&int, &float), (&float, &complex), (&of(DType::Bool, &[2]), &int)] {
        let e = to.add_(from).unwrap_err().to_string();
        assert!(e.starts_with("add: the result cannot be cast to the dtype of the target"), "{e}");
    }
    // A refused write changes nothing.
    assert_eq!(int.to_scalars().unwrap(), [Scalar::Int(1); 2]);
    assert_eq!(int.version(), 0);
}
