//! First values of parameters, drawn from a [`Generator`]. Weights are `[out, in, ..]`: what follows are kernel sizes, which
//! count for both fans.
use crate::layer::Float;
use tenflowers_core::schema::Size;
use tenflowers_core::{Generator, Result, Tensor, TensorError, ops};

/// A leaf that requires grad, of numbers from [-bound, bound).
pub(crate) fn uniform<K: Float>(shape: &[usize], bound: f64, generator: &Generator) -> Result<Tensor<K>> {
    let t = ops::empty(Size(&sizes(shape)), Some(K::dtype()), None, false)?;
    ops::uniform_(&t, -bound, bound, Some(generator))?;
    parameter(t)
}

/// A leaf that requires grad, all of one number.
pub(crate) fn constant<K: Float>(shape: &[usize], value: f64) -> Result<Tensor<K>> {
    parameter(ops::full_of(shape, value.into(), K::dtype())?)
}

pub(crate) fn parameter<K: Float>(t: Tensor) -> Result<Tensor<K>> {
    t.require_grad(true)?;
    K::typed(t)
}

pub(crate) fn sizes(shape: &[usize]) -> Vec<i64> {
    // A size beyond i64 becomes a negative one, which the operation refuses.
    shape.iter().map(|&n| n as i64).collect()
}

/// How many numbers go into an output, and how many outputs an input reaches.
fn fans(op: &'static str, shape: &[usize]) -> Result<(usize, usize)> {
    let [out, inp, kernel @ ..] = shape else {
        return Err(TensorError::one_shape(op, "a weight has at least two dimensions, out and in", shape));
    };
    let area = kernel.iter().try_fold(1usize, |a, &n| a.checked_mul(n));
    let times = |n: usize| area.and_then(|a| a.checked_mul(n)).ok_or_else(|| TensorError::no_memory(usize::MAX));
    Ok((times(*inp)?, times(*out)?))
}

/// The bound of a uniform distribution with the standard deviation `gain / sqrt(fan)`.
fn bound(gain: f64, fan: f64) -> f64 {
    if fan > 0.0 { gain * (3.0 / fan).sqrt() } else { 0.0 }
}

/// Numbers whose variance keeps that of the signal through a layer followed by an activation of this `gain` (He et al.,
/// 2015): uniform within `gain * sqrt(3 / fan_in)`. The gain of ReLU is `sqrt(2)`.
///
/// ```
/// use tenflowers_core::Generator;
/// use tenflowers_neural::init::kaiming_uniform;
/// let weight = kaiming_uniform::<f32>(&[4, 6], 2f64.sqrt(), &Generator::new(1))?;
/// assert!(weight.to_vec()?.iter().all(|w| w.abs() <= 1.0));
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
///
/// # Errors
/// If the shape has fewer than two dimensions, or more elements than memory holds.
pub fn kaiming_uniform<K: Float>(shape: &[usize], gain: f64, generator: &Generator) -> Result<Tensor<K>> {
    let (fan_in, _) = fans("kaiming_uniform", shape)?;
    uniform(shape, bound(gain, fan_in as f64), generator)
}

/// Numbers whose variance keeps that of the signal both ways (Glorot and Bengio, 2010): uniform within
/// `gain * sqrt(6 / (fan_in + fan_out))`.
///
/// # Errors
/// As [`kaiming_uniform`].
pub fn xavier_uniform<K: Float>(shape: &[usize], gain: f64, generator: &Generator) -> Result<Tensor<K>> {
    let (fan_in, fan_out) = fans("xavier_uniform", shape)?;
    uniform(shape, bound(gain, (fan_in as f64 + fan_out as f64) / 2.0), generator)
}

/// A layer's weight and, if asked for, its bias, as PyTorch's layers begin: within `1 / sqrt(fan_in)`.
pub(crate) fn affine<K: Float>(
    shape: &[usize],
    bias: bool,
    generator: &Generator,
) -> Result<(Tensor<K>, Option<Tensor<K>>)> {
    let (fan_in, _) = fans("init", shape)?;
    let bound = if fan_in > 0 { 1.0 / (fan_in as f64).sqrt() } else { 0.0 };
    let weight = uniform(shape, bound, generator)?;
    let bias = if bias { Some(uniform(&shape[..1], bound, generator)?) } else { None };
    Ok((weight, bias))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest size and the variance of the elements.
    fn spread(t: &Tensor<f64>) -> (f64, f64) {
        let v = t.to_vec().unwrap();
        (v.iter().fold(0.0, |a: f64, x| a.max(x.abs())), v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64)
    }

    #[test]
    fn the_variance_is_that_of_the_rule() {
        let generator = Generator::new(3);
        // 40 x 25 x 2 x 2: a fan-in of 100 and a fan-out of 160.
        let shape = [40, 25, 2, 2];
        let (most, variance) = spread(&kaiming_uniform(&shape, 2f64.sqrt(), &generator).unwrap());
        assert!(most <= (6.0 / 100.0f64).sqrt() && (variance - 0.02).abs() < 0.002, "{most} {variance}");
        let (most, variance) = spread(&xavier_uniform(&shape, 1.0, &generator).unwrap());
        assert!(most <= (6.0 / 260.0f64).sqrt() && (variance - 2.0 / 260.0).abs() < 0.0008, "{most} {variance}");
    }

    #[test]
    fn a_seed_fixes_the_numbers() {
        let draw = || kaiming_uniform::<f32>(&[3, 2], 1.0, &Generator::new(9)).unwrap();
        assert_eq!(draw().to_vec().unwrap(), draw().to_vec().unwrap());
        assert!(draw().erase().requires_grad() && draw().erase().is_leaf());
    }

    #[test]
    fn a_vector_has_no_fans() {
        let e = xavier_uniform::<f32>(&[3], 1.0, &Generator::new(0)).unwrap_err();
        assert!(e.to_string().starts_with("xavier_uniform: a weight has at least two dimensions"), "{e}");
    }
}
