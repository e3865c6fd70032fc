//! The methods of tensors in Rust, for typed and untyped handles alike, and the operators.
use crate::dtype::{DType, Dyn, Kind};
use crate::error::Result;
use crate::ops;
use crate::schema::{Operand, Size};
use crate::tensor::Tensor;

macro_rules! unary_methods {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {
        impl<K: Kind> Tensor<K> {$(
            $(#[doc = $doc])+
            pub fn $name(&self) -> Result<Self> {
                ops::$name(self.erase())?.kind()
            }
        )*}
    };
}
unary_methods! {
    /// See [`ops::neg`].
    neg
    /// See [`ops::sqrt`].
    sqrt
    /// See [`ops::rsqrt`].
    rsqrt
    /// See [`ops::reciprocal`].
    reciprocal
    /// See [`ops::exp`].
    exp
    /// See [`ops::log`].
    log
    /// See [`ops::log1p`].
    log1p
    /// See [`ops::sin`].
    sin
    /// See [`ops::cos`].
    cos
    /// See [`ops::tanh`].
    tanh
    /// See [`ops::sigmoid`].
    sigmoid
    /// See [`ops::erf`].
    erf
    /// See [`ops::relu`].
    relu
    /// See [`ops::t`].
    t
}

macro_rules! binary_methods {
    ($($(#[doc = $doc:literal])+ $name:ident($($extra:expr),*))*) => {
        impl<K: Kind> Tensor<K> {$(
            $(#[doc = $doc])+
            pub fn $name<'a>(&self, other: impl Into<Operand<'a>>) -> Result<Self> {
                ops::$name(self.erase().into(), other.into() $(, $extra)*)?.kind()
            }
        )*}
    };
}
binary_methods! {
    /// `self + other`, broadcast.
    add(crate::Scalar::ONE)
    /// `self - other`, broadcast.
    sub(crate::Scalar::ONE)
    /// `self * other`, broadcast.
    mul()
    /// `self / other`, broadcast.
    div(None)
    /// `self` to the power of `other`, broadcast.
    pow()
}

macro_rules! comparisons {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {
        impl<K: Kind> Tensor<K> {$(
            $(#[doc = $doc])+
            pub fn $name<'a>(&self, other: impl Into<Operand<'a>>) -> Result<Tensor<K::Bool>> {
                ops::$name(self.erase().into(), other.into())?.kind()
            }
        )*}
    };
}
comparisons! {
    /// Where `self` equals `other`.
    eq
    /// Where `self` differs from `other`.
    ne
    /// Where `self` is less than `other`.
    lt
    /// Where `self` is at most `other`.
    le
    /// Where `self` is greater than `other`.
    gt
    /// Where `self` is at least `other`.
    ge
}

impl<K: Kind> Tensor<K> {
    /// `other`, broadcast, added in place.
    pub fn add_<'a>(&self, other: impl Into<Operand<'a>>) -> Result<Self> {
        ops::add::to(Some(self.erase()), self.erase().into(), other.into(), crate::Scalar::ONE)?.kind()
    }
    /// Multiplied in place by `other`, broadcast.
    pub fn mul_<'a>(&self, other: impl Into<Operand<'a>>) -> Result<Self> {
        ops::mul::to(Some(self.erase()), self.erase().into(), other.into())?.kind()
    }
    /// The sum of all elements, or over dimensions.
    pub fn sum(&self, dim: Option<&[i64]>) -> Result<Self> {
        ops::sum(self.erase(), dim, false, self.fixed_dtype())?.kind()
    }
    /// The mean of all elements, or over dimensions.
    pub fn mean(&self, dim: Option<&[i64]>) -> Result<Self> {
        ops::mean(self.erase(), dim, false, None)?.kind()
    }
    /// Where the largest element is, along a dimension or in the flat tensor.
    pub fn argmax(&self, dim: Option<i64>) -> Result<Tensor<K::Index>> {
        ops::argmax(self.erase(), dim, false)?.kind()
    }
    /// The matrix product.
    pub fn matmul(&self, other: &Tensor<K>) -> Result<Self> {
        ops::matmul(self.erase(), other.erase())?.kind()
    }
    /// The same elements under another shape, one size of which may be -1.
    pub fn reshape(&self, shape: &[i64]) -> Result<Self> {
        ops::reshape(self.erase(), Size(shape))?.kind()
    }
    /// Two dimensions swapped.
    pub fn transpose(&self, dim0: i64, dim1: i64) -> Result<Self> {
        ops::transpose(self.erase(), dim0, dim1)?.kind()
    }
    /// A sum in the type that the handle promises.
    fn fixed_dtype(&self) -> Option<DType> {
        K::DTYPE
    }
}

impl Tensor<Dyn> {
    /// The absolute value of each element.
    pub fn abs(&self) -> Result<Tensor> {
        ops::abs(self)
    }
    /// The tensor in another dtype.
    pub fn to_dtype(&self, dtype: DType) -> Result<Tensor> {
        ops::to_dtype(self, dtype)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident)*) => {$(
        impl<'b, K: Kind, O: Into<Operand<'b>>> std::ops::$trait<O> for &Tensor<K> {
            type Output = Result<Tensor<K>>;
            fn $method(self, other: O) -> Self::Output {
                Tensor::$method(self, other)
            }
        }
        impl<'b, K: Kind> std::ops::$trait<&'b Tensor<K>> for Result<Tensor<K>> {
            type Output = Result<Tensor<K>>;
            fn $method(self, other: &'b Tensor<K>) -> Self::Output {
                Tensor::$method(&self?, other.erase())
            }
        }
    )*};
}
operators! { Add add Sub sub Mul mul Div div }

impl<K: Kind> std::ops::Neg for &Tensor<K> {
    type Output = Result<Tensor<K>>;
    fn neg(self) -> Self::Output {
        Tensor::neg(self)
    }
}

impl<'a, T: crate::Element> From<&'a Tensor<T>> for Operand<'a> {
    fn from(t: &'a Tensor<T>) -> Self {
        Operand::Tensor(t.erase())
    }
}
