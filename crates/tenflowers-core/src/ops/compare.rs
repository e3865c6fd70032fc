//! Comparisons, logic and bits.
use super::binary::{binary, binary_row};
use crate::cpu::map::map;
use crate::error::{Result, TensorError};
use crate::schema::Operand;
use crate::tensor::Tensor;
use crate::{compute_type, ops};

macro_rules! binary_rows {
    ($($(#[doc = $doc:literal])+ $name:ident $row:ident $why:literal ($($spec:tt)*);)*) => {
        $(binary_row!($name $row [$why] $($spec)*);)*
        ops! {
            [tf method] {$(
                $(#[doc = $doc])+
                pub fn $name(input: Operand<'_>, other: Operand<'_>) into target no_grad $why -> Tensor {
                    check(stringify!($name), input, other)?;
                    binary(&$row, input, other, target)
                }
            )*}
        }
    };
}

binary_rows! {
    /// Where `input` equals `other`, broadcast.
    eq EQ "the result is boolean" (true false { [bool int float complex] -> bool: |x, y| x == y });
    /// Where `input` differs from `other`, broadcast.
    ne NE "the result is boolean" (true false { [bool int float complex] -> bool: |x, y| x != y });
    /// Where `input` is less than `other`, broadcast.
    lt LT "the result is boolean" (true false { [int float] -> bool: |x, y| x < y, [bool]: |x, y| !x & y });
    /// Where `input` is less than or equal to `other`, broadcast.
    le LE "the result is boolean" (true false { [int float] -> bool: |x, y| x <= y, [bool]: |x, y| !x | y });
    /// Where `input` is greater than `other`, broadcast.
    gt GT "the result is boolean" (true false { [int float] -> bool: |x, y| x > y, [bool]: |x, y| x & !y });
    /// Where `input` is greater than or equal to `other`, broadcast.
    ge GE "the result is boolean" (true false { [int float] -> bool: |x, y| x >= y, [bool]: |x, y| x | !y });
    /// Where both are not zero, broadcast.
    logical_and LOGICAL_AND "the result is boolean"
        (true false { [int float complex] -> bool: |x, y| (x != T::default()) & (y != T::default()), [bool]: |x, y| x & y });
    /// Where one of them is not zero, broadcast.
    logical_or LOGICAL_OR "the result is boolean"
        (true false { [int float complex] -> bool: |x, y| (x != T::default()) | (y != T::default()), [bool]: |x, y| x | y });
    /// Where exactly one of them is not zero, broadcast.
    logical_xor LOGICAL_XOR "the result is boolean"
        (true false { [int float complex] -> bool: |x, y| (x != T::default()) ^ (y != T::default()), [bool]: |x, y| x ^ y });
    /// The bits that both have, of integers or bools; broadcast.
    bitwise_and BITWISE_AND "integers have no derivative" (false false { [int bool]: |x, y| x & y });
    /// The bits that one of them has, of integers or bools; broadcast.
    bitwise_or BITWISE_OR "integers have no derivative" (false false { [int bool]: |x, y| x | y });
    /// The bits that exactly one of them has, of integers or bools; broadcast.
    bitwise_xor BITWISE_XOR "integers have no derivative" (false false { [int bool]: |x, y| x ^ y });
}

/// Numbers stand where PyTorch lets them, and complex ones have no order.
fn check(op: &'static str, input: Operand, other: Operand) -> Result<()> {
    let number = |o: Operand| matches!(o, Operand::Scalar(_));
    if !op.starts_with("bitwise") && (number(input) || number(other) && op.starts_with("logical")) {
        return Err(TensorError::call(op, "a tensor is needed, not a number"));
    }
    let complex = |o: &Operand| match o {
        Operand::Tensor(t) => Some(t.dtype()).filter(|d| d.is_complex()),
        Operand::Scalar(s) => Some(s.dtype()).filter(|d| d.is_complex()),
    };
    match [input, other].iter().find_map(complex) {
        Some(dtype) if matches!(op, "lt" | "le" | "gt" | "ge") => Err(TensorError::dtype(op, dtype)),
        _ => Ok(()),
    }
}
