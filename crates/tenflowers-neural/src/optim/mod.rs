//! Optimizers: rules that change parameters by their gradients. A step is one call into the core for all parameters.
mod adam;
mod sgd;

pub use adam::{Adam, AdamOptions, AdamW};
pub use sgd::{Sgd, SgdOptions};

use crate::layer::Float;
use std::ops::RangeBounds;
use tenflowers_core::{Dyn, Result, Tensor, TensorError};

/// A rule that changes parameters by their gradients.
pub trait Optimizer<K: Float = Dyn> {
    /// Changes the parameters that have a gradient, in place and unrecorded.
    ///
    /// # Errors
    /// If a gradient does not fit its parameter, or memory does not hold the optimizer's state.
    fn step(&mut self) -> Result<()>;
    /// What is changed: handles of the model's own parameters.
    fn parameters(&self) -> &[Tensor<K>];
    fn learning_rate(&self) -> f64;
    /// # Errors
    /// If the rate is negative or not a number.
    fn set_learning_rate(&mut self, rate: f64) -> Result<()>;
    /// Forgets the gradients.
    ///
    /// # Errors
    /// None, but for what a front end's parameters may add.
    fn zero_grad(&mut self) -> Result<()> {
        self.parameters().iter().try_for_each(|p| p.erase().set_grad(None))
    }
}

/// Handles of parameters, checked: leaves, each once.
fn collect<'a, K: Float>(op: &'static str, given: impl IntoIterator<Item = &'a Tensor<K>>) -> Result<Vec<Tensor<K>>> {
    let parameters: Vec<Tensor<K>> = given.into_iter().cloned().collect();
    for (i, p) in parameters.iter().enumerate() {
        if !p.erase().is_leaf() {
            return Err(TensorError::argument(op, format!("parameter {i} is the result of an operation, not a leaf")));
        }
        if parameters[..i].iter().any(|q| q.same(p.erase())) {
            return Err(TensorError::argument(op, format!("parameter {i} was given twice")));
        }
    }
    Ok(parameters)
}

/// The numbers of the parameters that have a gradient, with it.
fn with_gradients<K: Float>(parameters: &[Tensor<K>]) -> Vec<(usize, Tensor)> {
    let grad = |(i, p): (usize, &Tensor<K>)| p.erase().grad().map(|g| (i, g.detach()));
    parameters.iter().enumerate().filter_map(grad).collect()
}

fn check(op: &'static str, name: &str, value: f64, range: impl RangeBounds<f64>, says: &str) -> Result<f64> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(TensorError::argument(op, format!("{name} must be {says}, not {value}")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A leaf with a gradient that is set, not computed.
    pub fn leaf(value: &[f64], grad: &[f64]) -> Tensor<f64> {
        let t = Tensor::<f64>::from_vec(value.to_vec(), &[value.len()]).unwrap();
        t.erase().require_grad(true).unwrap();
        set_grad(&t, grad);
        t
    }
    pub fn set_grad(t: &Tensor<f64>, grad: &[f64]) {
        let g = Tensor::<f64>::from_vec(grad.to_vec(), &[grad.len()]).unwrap();
        t.erase().set_grad(Some(g.erase().clone())).unwrap();
    }
    pub fn close(t: &Tensor<f64>, expected: &[f64]) {
        let got = t.to_vec().unwrap();
        assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-12), "{got:?} is not {expected:?}");
    }

    #[test]
    fn what_is_no_parameter() {
        let p = leaf(&[1.0], &[1.0]);
        let e = Sgd::new([&p, &p], 0.1).unwrap_err().to_string();
        assert_eq!(e, "Sgd: parameter 1 was given twice");
        let y = p.mul(2.0).unwrap();
        let e = Adam::new([&y], 0.1).unwrap_err().to_string();
        assert_eq!(e, "Adam: parameter 0 is the result of an operation, not a leaf");
        let e = Sgd::new([&p], -1.0).unwrap_err().to_string();
        assert_eq!(e, "Sgd: the learning rate must be at least 0, not -1");
        assert!(AdamW::new([&p], f64::NAN).is_err());
        assert!(AdamW::with([&p], AdamOptions { beta1: 1.0, ..AdamOptions::default() }).is_err());
    }

    #[test]
    fn gradients_are_forgotten_and_parameters_without_one_left_alone() {
        let (p, q) = (leaf(&[1.0], &[1.0]), leaf(&[1.0], &[1.0]));
        q.erase().set_grad(None).unwrap();
        let mut sgd = Sgd::new([&p, &q], 0.5).unwrap();
        sgd.step().unwrap();
        close(&p, &[0.5]);
        close(&q, &[1.0]);
        sgd.zero_grad().unwrap();
        assert!(p.erase().grad().is_none());
        sgd.step().unwrap();
        close(&p, &[0.5]);
        // Steps are writes in place, and leave a leaf.
        assert!(p.erase().is_leaf() && p.version() == 1);
    }
}
