//! Derivatives of activations, each in one pass: `grad` times the slope, from the result where it is enough, or the input.
use super::binary::{Kept, binary, binary_row};
use super::full_like;
use super::unary::conj;
use crate::compute_type;
use crate::cpu::math::{GELU_CUBE, GELU_SCALE};
use crate::dtype::Scalar;
use crate::error::Result;
use crate::tensor::Tensor;
use smallvec::smallvec;

/// The derivative of a row of two operands: in `grad` it is the row again, in the other `grad * g` times the second slope.
macro_rules! slopes {
    ($($name:ident $row:ident $f:ident $lanes:ident |$x:ident, $y:ident| $kernel:expr, |$p:ident| $second:expr;)*) => {$(
        binary_row!($name $row [] false false { [float]: $lanes |$x, $y| $kernel }
            |g| [y] $f(g, tensor(y))?, [x y] {
                let $p = tensor(y);
                g.mul(x)?.mul(&$second)?
            });
        pub fn $f(g: &Tensor, y: &Tensor) -> Result<Tensor> {
            binary(&$row, g.into(), y.into(), None)
        }
    )*};
}

slopes! {
    sigmoid_backward SIGMOID real_sigmoid _lanes |g, y| g * (y * (1.0 - y)), |y| y.mul(-2.0)?.add(1.0)?;
    tanh_backward TANH real_tanh _lanes |g, y| g * (1.0 - y * y), |y| y.mul(-2.0)?;
    threshold_backward RELU of_relu _lanes |g, y| if y <= 0.0 { 0.0 } else { g }, |y| full_like(y, y.shape(), Scalar::ZERO)?;
    silu_backward SILU real_silu lanes |g, x| {
        let s = lanes.sigmoid(x);
        g * (s * (1.0 + x * (1.0 - s)))
    }, |x| silu_bend(x)?;
    logsigmoid_backward LOG_SIGMOID of_log_sigmoid lanes |g, x| g * lanes.sigmoid(-x), |x| log_sigmoid_bend(x)?;
    gelu_backward GELU of_gelu lanes |g, x| g * lanes.gelu_slope(x), |x| gelu_bend(x)?;
    gelu_backward GELU_TANH of_gelu_tanh lanes |g, x| {
        // Beyond, the slope is 0 or 1.
        let x = if x > 30.0 { 30.0 } else { x };
        let x = if x < -30.0 { -30.0 } else { x };
        let scale = (2.0 * GELU_SCALE) as T;
        let cube = GELU_CUBE as T * (x * x);
        let s = lanes.sigmoid(scale * (x + x * cube));
        g * (s * (1.0 + (1.0 - s) * x * (scale * (1.0 + 3.0 * cube))))
    }, |x| gelu_tanh_bend(x)?;
}

/// What is kept: no operand of these is a number.
fn tensor(y: &Kept) -> &Tensor {
    match y {
        Kept::Tensor(t) => t,
        Kept::Scalar(_) => unreachable!("both operands are tensors"),
    }
}

pub fn of_sigmoid(g: &Tensor, y: &Tensor) -> Result<Tensor> {
    if y.dtype().is_complex() { g.mul(&conj(&y.neg()?.add(1.0)?.mul(y)?)?) } else { real_sigmoid(g, y) }
}

pub fn of_tanh(g: &Tensor, y: &Tensor) -> Result<Tensor> {
    if y.dtype().is_complex() { g.mul(&conj(&y.mul(y)?.neg()?.add(1.0)?)?) } else { real_tanh(g, y) }
}

pub fn of_silu(g: &Tensor, x: &Tensor) -> Result<Tensor> {
    if !x.dtype().is_complex() {
        return real_silu(g, x);
    }
    let s = x.sigmoid()?;
    g.mul(&conj(&s.neg()?.add(1.0)?.mul(x)?.add(1.0)?.mul(&s)?)?)
}

/// `-s (1 - s)` for s the sigmoid of x.
fn log_sigmoid_bend(x: &Tensor) -> Result<Tensor> {
    let s = x.sigmoid()?;
    s.sub(1.0)?.mul(&s)
}

/// `s (1 - s) (2 + x (1 - 2 s))` for s the sigmoid of x.
fn silu_bend(x: &Tensor) -> Result<Tensor> {
    let s = x.sigmoid()?;
    let bell = s.neg()?.add(1.0)?.mul(&s)?;
    s.mul(-2.0)?.add(1.0)?.mul(x)?.add(2.0)?.mul(&bell)
}

/// `(2 - x^2) exp(-x^2 / 2) / sqrt(2 pi)`.
fn gelu_bend(x: &Tensor) -> Result<Tensor> {
    let square = x.mul(x)?;
    let density = square.mul(-0.5)?.exp()?.mul(0.398_942_280_401_432_7)?;
    square.neg()?.add(2.0)?.mul(&density)
}

/// `(1 - t^2) (u' + x (u'' - 2 t u'^2) / 2)` for t the tanh of `u = SCALE (x + CUBE x^3)`.
fn gelu_tanh_bend(x: &Tensor) -> Result<Tensor> {
    let square = x.mul(x)?;
    let t = square.mul(GELU_CUBE)?.add(1.0)?.mul(x)?.mul(GELU_SCALE)?.tanh()?;
    let first = square.mul(3.0 * GELU_CUBE)?.add(1.0)?.mul(GELU_SCALE)?;
    let second = x.mul(6.0 * GELU_CUBE * GELU_SCALE)?;
    let inner = second.sub(&first.mul(&first)?.mul(&t)?.mul(2.0)?)?.mul(x)?.mul(0.5)?;
    t.mul(&t)?.neg()?.add(1.0)?.mul(&first.add(&inner)?)
}
