//! Comparisons, logic and bits.
use super::binary::{binary, binary_row};
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
    ///
    /// The result is a bool tensor.
    ///
    /// ```python
    /// >>> tf.eq(tf.tensor([1, 2, 3]), tf.tensor([3, 2, 1]))
    /// tensor([False,  True, False])
    /// ```
    eq EQ "the result is boolean" (true false { [bool int float complex] -> bool: |x, y| x == y });
    /// Where `input` differs from `other`, broadcast.
    ///
    /// The result is a bool tensor.
    ///
    /// ```python
    /// >>> tf.ne(tf.tensor([1, 2, 3]), tf.tensor([3, 2, 1]))
    /// tensor([ True, False,  True])
    /// ```
    ne NE "the result is boolean" (true false { [bool int float complex] -> bool: |x, y| x != y });
    /// Where `input` is less than `other`, broadcast.
    ///
    /// The result is a bool tensor. Complex tensors are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.lt(tf.tensor([1, 2, 3]), 2)
    /// tensor([ True, False, False])
    /// ```
    lt LT "the result is boolean" (true false { [int float] -> bool: |x, y| x < y, [bool]: |x, y| !x & y });
    /// Where `input` is less than or equal to `other`, broadcast.
    ///
    /// The result is a bool tensor. Complex tensors are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.le(tf.tensor([1, 2, 3]), 2)
    /// tensor([ True,  True, False])
    /// ```
    le LE "the result is boolean" (true false { [int float] -> bool: |x, y| x <= y, [bool]: |x, y| !x | y });
    /// Where `input` is greater than `other`, broadcast.
    ///
    /// The result is a bool tensor. Complex tensors are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.gt(tf.tensor([1, 2, 3]), 2)
    /// tensor([False, False,  True])
    /// ```
    gt GT "the result is boolean" (true false { [int float] -> bool: |x, y| x > y, [bool]: |x, y| x & !y });
    /// Where `input` is greater than or equal to `other`, broadcast.
    ///
    /// The result is a bool tensor. Complex tensors are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.ge(tf.tensor([1, 2, 3]), 2)
    /// tensor([False,  True,  True])
    /// ```
    ge GE "the result is boolean" (true false { [int float] -> bool: |x, y| x >= y, [bool]: |x, y| x | !y });
    /// Where both are not zero, broadcast.
    ///
    /// The result is a bool tensor, whatever the dtypes.
    ///
    /// ```python
    /// >>> tf.logical_and(tf.tensor([0, 0, 2, 2]), tf.tensor([False, True, False, True]))
    /// tensor([False, False, False,  True])
    /// ```
    logical_and LOGICAL_AND "the result is boolean"
        (true false { [int float complex] -> bool: |x, y| (x != T::default()) & (y != T::default()), [bool]: |x, y| x & y });
    /// Where one of them is not zero, broadcast.
    ///
    /// The result is a bool tensor, whatever the dtypes.
    ///
    /// ```python
    /// >>> tf.logical_or(tf.tensor([0, 0, 2, 2]), tf.tensor([False, True, False, True]))
    /// tensor([False,  True,  True,  True])
    /// ```
    logical_or LOGICAL_OR "the result is boolean"
        (true false { [int float complex] -> bool: |x, y| (x != T::default()) | (y != T::default()), [bool]: |x, y| x | y });
    /// Where exactly one of them is not zero, broadcast.
    ///
    /// The result is a bool tensor, whatever the dtypes.
    ///
    /// ```python
    /// >>> tf.logical_xor(tf.tensor([0, 0, 2, 2]), tf.tensor([False, True, False, True]))
    /// tensor([False,  True,  True, False])
    /// ```
    logical_xor LOGICAL_XOR "the result is boolean"
        (true false { [int float complex] -> bool: |x, y| (x != T::default()) ^ (y != T::default()), [bool]: |x, y| x ^ y });
    /// The bits that both have, of integers or bools; broadcast.
    ///
    /// Other dtypes are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.bitwise_and(tf.tensor([12, 10]), 6)
    /// tensor([4, 2])
    /// ```
    bitwise_and BITWISE_AND "integers have no derivative" (false false { [int bool]: |x, y| x & y });
    /// The bits that one of them has, of integers or bools; broadcast.
    ///
    /// Other dtypes are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.bitwise_or(tf.tensor([12, 10]), 6)
    /// tensor([14, 14])
    /// ```
    bitwise_or BITWISE_OR "integers have no derivative" (false false { [int bool]: |x, y| x | y });
    /// The bits that exactly one of them has, of integers or bools; broadcast.
    ///
    /// Other dtypes are an `UnsupportedError`.
    ///
    /// ```python
    /// >>> tf.bitwise_xor(tf.tensor([12, 10]), 6)
    /// tensor([10, 12])
    /// ```
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
