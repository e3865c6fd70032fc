//! Stochastic gradient descent.
use super::{Optimizer, check, collect, with_gradients};
use crate::layer::Float;
use tenflowers_core::grad::with_recording;
use tenflowers_core::{Dyn, Result, Scalar, Tensor, TensorError, ops};

/// What [`Sgd`] can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    pub lr: f64,
    pub momentum: f64,
    /// How much of a gradient does not enter the momentum.
    pub dampening: f64,
    /// A multiple of the parameter that is added to its gradient.
    pub weight_decay: f64,
    pub nesterov: bool,
    /// Uphill, not down.
    pub maximize: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        SgdOptions { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false }
    }
}

/// Stochastic gradient descent, with momentum if wanted, as `torch.optim.SGD` defines it.
///
/// ```
/// use tenflowers_core::{Generator, Tensor};
/// use tenflowers_neural::{Dense, Layer, Optimizer, Sgd, SgdOptions};
/// let layer = Dense::<f32>::new(3, 2, &Generator::new(0))?;
/// let mut sgd = Sgd::with(layer.parameters(), SgdOptions { lr: 0.1, momentum: 0.9, ..SgdOptions::default() })?;
/// sgd.set_learning_rate(0.05)?;
/// sgd.step()?;
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug)]
pub struct Sgd<K: Float = Dyn> {
    parameters: Vec<Tensor<K>>,
    options: SgdOptions,
    buffers: Vec<Option<Tensor>>,
}

impl<K: Float> Sgd<K> {
    /// Plain descent by the learning rate `lr`.
    ///
    /// # Errors
    /// If a parameter is no leaf or comes twice, or the rate is negative.
    pub fn new<'a>(parameters: impl IntoIterator<Item = &'a Tensor<K>>, lr: f64) -> Result<Self> {
        Sgd::with(parameters, SgdOptions { lr, ..SgdOptions::default() })
    }
    /// # Errors
    /// As [`Sgd::new`], and for options that no step could be made with.
    pub fn with<'a>(parameters: impl IntoIterator<Item = &'a Tensor<K>>, options: SgdOptions) -> Result<Self> {
        let SgdOptions { lr, momentum, dampening, weight_decay, nesterov, .. } = options;
        check("Sgd", "the learning rate", lr, 0.0.., "at least 0")?;
        check("Sgd", "momentum", momentum, 0.0.., "at least 0")?;
        check("Sgd", "weight_decay", weight_decay, 0.0.., "at least 0")?;
        if nesterov && (momentum == 0.0 || dampening != 0.0) {
            return Err(TensorError::argument("Sgd", "nesterov needs momentum and no dampening"));
        }
        let parameters = collect("Sgd", parameters)?;
        let buffers = vec![None; parameters.len()];
        Ok(Sgd { parameters, options, buffers })
    }
    /// One call for the parameters `which`, whose momentum begins here if `first`.
    fn run(&mut self, which: Vec<(usize, Tensor)>, first: bool) -> Result<()> {
        if which.is_empty() {
            return Ok(());
        }
        let SgdOptions { lr, momentum, dampening, weight_decay, nesterov, maximize } = self.options;
        let params: Vec<Tensor> = which.iter().map(|(i, _)| self.parameters[*i].erase().clone()).collect();
        let buffer = |(i, p): (&usize, &Tensor)| match &self.buffers[*i] {
            Some(buffer) => Ok(buffer.clone()),
            None => ops::full_of(p.shape(), Scalar::ZERO, p.dtype()),
        };
        let buffers = match momentum == 0.0 {
            true => vec![],
            false => which.iter().map(|(i, _)| i).zip(&params).map(buffer).collect::<Result<Vec<_>>>()?,
        };
        let (at, grads): (Vec<usize>, Vec<Tensor>) = which.into_iter().unzip();
        let step = || {
            ops::fused_sgd(&params, &grads, &buffers, weight_decay, momentum, lr, dampening, nesterov, maximize, first)
        };
        with_recording(false, step)?;
        at.into_iter().zip(buffers).for_each(|(i, buffer)| self.buffers[i] = Some(buffer));
        Ok(())
    }
}

impl<K: Float> Optimizer<K> for Sgd<K> {
    fn step(&mut self) -> Result<()> {
        let all = with_gradients(&self.parameters);
        // The first gradient of a parameter is its momentum, whatever the dampening.
        let (old, new) = all.into_iter().partition(|(i, _)| self.buffers[*i].is_some());
        self.run(old, false)?;
        self.run(new, true)
    }
    fn parameters(&self) -> &[Tensor<K>] {
        &self.parameters
    }
    fn learning_rate(&self) -> f64 {
        self.options.lr
    }
    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.options.lr = check("Sgd", "the learning rate", rate, 0.0.., "at least 0")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{close, leaf, set_grad};
    use super::*;

    #[test]
    fn plain_steps_with_weight_decay() {
        let p = leaf(&[1.0, -2.0], &[0.5, 1.0]);
        let mut sgd = Sgd::with([&p], SgdOptions { lr: 0.1, weight_decay: 0.5, ..SgdOptions::default() }).unwrap();
        sgd.step().unwrap();
        // 1 - .1 (.5 + .5), -2 - .1 (1 - 1)
        close(&p, &[0.9, -2.0]);
        sgd.set_learning_rate(1.0).unwrap();
        assert_eq!(sgd.learning_rate(), 1.0);
        sgd.step().unwrap();
        close(&p, &[0.9 - 0.95, -2.0]);
        assert!(sgd.set_learning_rate(-1.0).is_err());
    }

    #[test]
    fn momentum() {
        let p = leaf(&[0.0], &[1.0]);
        let options = SgdOptions { lr: 1.0, momentum: 0.5, dampening: 0.25, ..SgdOptions::default() };
        let mut sgd = Sgd::with([&p], options).unwrap();
        sgd.step().unwrap();
        close(&p, &[-1.0]);
        set_grad(&p, &[2.0]);
        sgd.step().unwrap();
        // .5 * 1 + .75 * 2
        close(&p, &[-3.0]);
    }

    #[test]
    fn nesterov_uphill() {
        let p = leaf(&[0.0], &[1.0]);
        let options = SgdOptions { lr: 1.0, momentum: 0.5, nesterov: true, maximize: true, ..SgdOptions::default() };
        let mut sgd = Sgd::with([&p], options).unwrap();
        sgd.step().unwrap();
        // 1 + .5 * 1
        close(&p, &[1.5]);
        sgd.step().unwrap();
        // The momentum is .5 + 1; 1 + .5 * 1.5
        close(&p, &[3.25]);
        assert!(Sgd::with([&p], SgdOptions { nesterov: true, ..SgdOptions::default() }).is_err());
    }

    #[test]
    fn a_gradient_that_comes_later_begins_its_own_momentum() {
        let (p, q) = (leaf(&[0.0], &[1.0]), leaf(&[0.0], &[1.0]));
        q.erase().set_grad(None).unwrap();
        let options = SgdOptions { lr: 1.0, momentum: 0.5, dampening: 0.5, ..SgdOptions::default() };
        let mut sgd = Sgd::with([&p, &q], options).unwrap();
        sgd.step().unwrap();
        set_grad(&q, &[1.0]);
        sgd.step().unwrap();
        close(&p, &[-2.0]);
        close(&q, &[-1.0]);
    }
}
