//! Matrix products.
use super::view::{expand_to, reshape_to};
use super::{conj, transpose, unsqueeze};
use crate::cpu::gemm::{Mat, Product, gemm, gemm_batched};
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut};
use crate::dtype::{DType, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Shape, broadcast, checked_numel};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::tensor::Tensor;
use crate::{Element, ops};
use smallvec::smallvec;

/// Runs `$e` with the type of a dtype that has products.
macro_rules! product_type {
    ($op:literal, $dtype:expr, $T:ident => $e:expr) => {
        $crate::ops::matmul::product_type!(@match $op, $dtype, $T, $e;
            U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16, I32 i32, I64 i64,
            F16 ::half::f16, BF16 ::half::bf16, F32 f32, F64 f64, C64 $crate::C32, C128 $crate::C64)
    };
    (@match $op:literal, $dtype:expr, $T:ident, $e:expr; $($name:ident $t:ty),*) => {
        match $dtype {
            $($crate::DType::$name => {
                type $T = $t;
                $e
            })*
            $crate::DType::Bool => Err($crate::TensorError::dtype($op, $crate::DType::Bool)),
        }
    };
}
pub(super) use product_type;

/// `[.., m, k] x [.., k, n] -> [.., m, n]`; the leading dimensions agree.
#[derive(Debug, Clone)]
struct MatMul;

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (a, b) = (inputs[0], inputs[1]);
        let mut shape = a.layout().shape.clone();
        let last = shape.len() - 1;
        shape[last] = b.shape()[last];
        checked_numel(&shape)?;
        Meta::one(shape, a.dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (a, b, out) = (&inputs[0], &inputs[1], &mut outs[0]);
        product_type!("matmul", a.dtype, T => products::<T>(a, b, out))
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        let other = |i: usize| needs[i].then_some(Slot::Input(1 - i as u8));
        [other(0), other(1)].into_iter().flatten().collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let turned = |i: u8| conj(&transpose(back.input(i)?, -2, -1)?);
        let a = if back.needs(0) { Some(apply(&MatMul, &[g, &turned(1)?])?) } else { None };
        let b = if back.needs(1) { Some(apply(&MatMul, &[&turned(0)?, g])?) } else { None };
        Ok(smallvec![a, b])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        inputs[0].numel().saturating_mul(inputs[1].shape().last().copied().unwrap_or(1)) / 16
    }
}

fn products<T: Product + Element>(a: &View, b: &View, out: &mut ViewMut) -> Result<()> {
    let rank = a.layout.rank();
    let (m, k, n) = (a.layout.shape[rank - 2], a.layout.shape[rank - 1], b.layout.shape[rank - 1]);
    let mat = |v: &View| Mat { ptr: v.ptr::<T>(), row: v.layout.strides[rank - 2], col: v.layout.strides[rank - 1] };
    let (batch, c) = (rank - 2, out.ptr::<T>());
    if m * n == 0 {
        return Ok(());
    }
    if batch == 0 {
        // SAFETY: both are read within their layouts; the output is new and lies in one run.
        return unsafe { gemm([m, n, k], mat(a), mat(b), c, n, false) };
    }
    let mut offsets = vec![];
    let walk = Walk::new(&a.layout.shape[..batch], &[&a.layout.strides[..batch], &b.layout.strides[..batch]]);
    walk.all(&mut |at, step, n| {
        offsets.extend((0..n as isize).map(|i| (at[0] + i * step[0], at[1] + i * step[1])));
    });
    // SAFETY: both are read within their layouts; the output is new and lies in one run.
    unsafe { gemm_batched([m, n, k], mat(a), mat(b), c, &offsets) }
}

fn check(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dtype() != b.dtype() {
        let what = "expected operands of one dtype";
        return Err(TensorError::DType { op, what, left: a.dtype(), right: b.dtype() });
    }
    if a.dtype() == DType::Bool {
        return Err(TensorError::dtype(op, DType::Bool));
    }
    Ok(())
}

fn inner(op: &'static str, a: &Tensor, b: &Tensor, k: usize, l: usize) -> Result<()> {
    if k == l {
        return Ok(());
    }
    Err(TensorError::shape_note(op, "inner dimensions differ", a.shape(), b.shape(), format!("{k} != {l}")))
}

/// The product as NumPy defines it for any numbers of dimensions.
fn product(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(op, a, b)?;
    if a.rank() == 0 || b.rank() == 0 {
        let what = "both need at least one dimension; use mul for a number";
        return Err(TensorError::shape(op, what, a.shape(), b.shape()));
    }
    if a.rank() == 2 && b.rank() == 2 {
        inner(op, a, b, a.shape()[1], b.shape()[0])?;
        return apply(&MatMul, &[a, b]);
    }
    let (row, column) = (a.rank() == 1, b.rank() == 1);
    let x = if row { unsqueeze(a, 0)? } else { a.clone() };
    let y = if column { unsqueeze(b, 1)? } else { b.clone() };
    let (k, l) = (x.shape()[x.rank() - 1], y.shape()[y.rank() - 2]);
    inner(op, a, b, k, l)?;
    let (m, n) = (x.shape()[x.rank() - 2], y.shape()[y.rank() - 1]);
    // One large product instead of many, where the second operand is the same for all.
    let mut shape: Shape;
    let result = if y.rank() == 2 && x.rank() > 2 {
        shape = x.shape()[..x.rank() - 1].into();
        let rows = shape.iter().product();
        shape.push(n);
        apply(&MatMul, &[&reshape_to(&x, &[rows, k])?, &y])?
    } else {
        let batch = broadcast(op, &x.shape()[..x.rank() - 2], &y.shape()[..y.rank() - 2])
            .map_err(|_| TensorError::shape(op, "the leading dimensions cannot be broadcast", a.shape(), b.shape()))?;
        let wide = |t: &Tensor, p: usize, q: usize| {
            let to: Shape = batch.iter().copied().chain([p, q]).collect();
            expand_to(t, &to)
        };
        shape = batch.iter().copied().chain([m, n]).collect();
        apply(&MatMul, &[&wide(&x, m, k)?, &wide(&y, k, n)?])?
    };
    if column {
        shape.pop();
    }
    if row {
        shape.remove(shape.len() - 1 - usize::from(!column));
    }
    reshape_to(&result, &shape)
}

fn ranks(op: &'static str, a: &Tensor, b: &Tensor, expected: [usize; 2]) -> Result<()> {
    if [a.rank(), b.rank()] == expected {
        return Ok(());
    }
    let [p, q] = expected;
    let what = format!("tensors of {p} and {q} dimensions are needed, not {} and {}", a.rank(), b.rank());
    Err(TensorError::shape(op, what, a.shape(), b.shape()))
}

ops! {
    [tf method] {
        /// The matrix product of the last two dimensions, the leading ones broadcast; vectors as NumPy has it.
        ///
        /// Both have one dtype, not bool, and at least one dimension; inner sizes that differ are a `ShapeError`.
        ///
        /// ```python
        /// >>> tf.matmul(tf.tensor([[1.0, 2.0], [3.0, 4.0]]), tf.tensor([1.0, 1.0]))
        /// tensor([3., 7.])
        /// >>> tf.matmul(tf.ones(5, 1, 2, 3), tf.ones(4, 3, 6)).shape
        /// tenflowers.Size([5, 4, 2, 6])
        /// ```
        pub fn matmul(input: &Tensor, other: &Tensor) -> Tensor {
            product("matmul", input, other)
        }
        /// The product of two matrices.
        ///
        /// `[m, k] x [k, n]`, both of one dtype, not bool.
        ///
        /// ```python
        /// >>> tf.mm(tf.tensor([[1, 2], [3, 4]]), tf.tensor([[0, 1], [1, 0]]))
        /// tensor([[2, 1],
        ///         [4, 3]])
        /// ```
        pub fn mm(input: &Tensor, mat2: &Tensor) -> Tensor {
            ranks("mm", input, mat2, [2, 2])?;
            product("mm", input, mat2)
        }
        /// The products of two batches of matrices of one size: `[b, m, k] x [b, k, n]`.
        ///
        /// Both have one dtype, not bool.
        ///
        /// ```python
        /// >>> tf.bmm(tf.ones(10, 2, 3), tf.ones(10, 3, 4)).shape
        /// tenflowers.Size([10, 2, 4])
        /// ```
        pub fn bmm(input: &Tensor, mat2: &Tensor) -> Tensor {
            ranks("bmm", input, mat2, [3, 3])?;
            if input.shape()[0] != mat2.shape()[0] {
                return Err(TensorError::shape("bmm", "the numbers of matrices differ", input.shape(), mat2.shape()));
            }
            product("bmm", input, mat2)
        }
        /// The product of a matrix and a vector.
        ///
        /// `[m, k] x [k]`, both of one dtype, not bool.
        ///
        /// ```python
        /// >>> tf.mv(tf.tensor([[1.0, 2.0], [3.0, 4.0]]), tf.tensor([1.0, -1.0]))
        /// tensor([-1., -1.])
        /// ```
        pub fn mv(input: &Tensor, vec: &Tensor) -> Tensor {
            ranks("mv", input, vec, [2, 1])?;
            product("mv", input, vec)
        }
        /// The sum of the products of two vectors of one size.
        ///
        /// Both have one dtype, not bool.
        ///
        /// ```python
        /// >>> tf.dot(tf.tensor([1, 2, 3]), tf.tensor([4, 5, 6]))
        /// tensor(32)
        /// ```
        pub fn dot(input: &Tensor, tensor: &Tensor) -> Tensor {
            ranks("dot", input, tensor, [1, 1])?;
            if input.shape() != tensor.shape() {
                return Err(TensorError::shape("dot", "the vectors differ in size", input.shape(), tensor.shape()));
            }
            product("dot", input, tensor)
        }
        /// `beta * input + alpha * (mat1 @ mat2)`, `input` broadcast to the product.
        ///
        /// `[m, k] x [k, n]`, all of one dtype, not bool. With `beta` 0 whatever `input` holds is left out.
        ///
        /// ```python
        /// >>> tf.addmm(tf.ones(2), tf.eye(2), tf.tensor([[1.0, 2.0], [3.0, 4.0]]), beta=10)
        /// tensor([[11., 12.],
        ///         [13., 14.]])
        /// ```
        pub fn addmm(input: &Tensor, mat1: &Tensor, mat2: &Tensor; beta: Scalar = Scalar::ONE, alpha: Scalar = Scalar::ONE) into target -> Tensor {
            ranks("addmm", mat1, mat2, [2, 2])?;
            check("addmm", mat1, mat2)?;
            check("addmm", input, mat1)?;
            inner("addmm", mat1, mat2, mat1.shape()[1], mat2.shape()[0])?;
            let shape = [mat1.shape()[0], mat2.shape()[1]];
            if broadcast("addmm", input.shape(), &shape).ok().as_deref() != Some(&shape[..]) {
                return Err(TensorError::shape("addmm", "the input cannot be broadcast to the product", input.shape(), &shape));
            }
            let factor = |op: &'static str, s: Scalar| {
                let refused = input.dtype().is_integral() && s.category() > crate::Category::Integer;
                let what = || format!("{op} must be an integer for a tensor of {}, not {s:?}", input.dtype());
                if refused { Err(TensorError::argument("addmm", what())) } else { Ok(s) }
            };
            let (alpha, beta) = (factor("alpha", alpha)?, factor("beta", beta)?);
            let product = product("addmm", mat1, mat2)?;
            let product = if alpha == Scalar::ONE { product } else { product.mul(alpha)? };
            // beta = 0 leaves the input out, whatever it holds.
            let sum = if beta.is_zero() {
                product
            } else if beta == Scalar::ONE {
                product.add(input)?
            } else {
                product.add(&input.mul(beta)?)?
            };
            match target {
                Some(target) => super::promote::written("addmm", target, &sum),
                None => Ok(sum),
            }
        }
    }
}
