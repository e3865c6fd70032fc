//! Layers put together, and how they learn.
use crate::layer::{Float, Layer};
use crate::loss::Loss;
use crate::optim::Optimizer;
use tenflowers_autograd::{Options, backward};
use tenflowers_core::{Dyn, Result, Tensor, TensorError};

/// A layer that can be trained: it knows its loss.
pub trait Model<K: Float = Dyn>: Layer<K> {
    /// How far an output is from its target: one number.
    ///
    /// # Errors
    /// If they do not go together.
    fn loss(&self, output: &Tensor<K>, target: &Tensor<K>) -> Result<Tensor<K>>;
    /// One step of training on a batch, in the mode that the model is in. Gives the loss before the step, without history.
    ///
    /// # Errors
    /// As [`Layer::forward`], [`Model::loss`] and [`Optimizer::step`].
    fn train_step(
        &mut self,
        input: &Tensor<K>,
        target: &Tensor<K>,
        optimizer: &mut dyn Optimizer<K>,
    ) -> Result<Tensor<K>> {
        learn(optimizer, self.forward(input).and_then(|output| self.loss(&output, target))?)
    }
    /// One step of training by another loss than the model's own, a function of the output: for targets of another kind.
    ///
    /// # Errors
    /// As [`Model::train_step`].
    fn train_step_with(
        &mut self,
        input: &Tensor<K>,
        loss: &dyn Fn(&Tensor<K>) -> Result<Tensor<K>>,
        optimizer: &mut dyn Optimizer<K>,
    ) -> Result<Tensor<K>> {
        learn(optimizer, loss(&self.forward(input)?)?)
    }
}

fn learn<K: Float>(optimizer: &mut dyn Optimizer<K>, loss: Tensor<K>) -> Result<Tensor<K>> {
    optimizer.zero_grad()?;
    backward(&[loss.erase().clone()], &[None], Options::default(), None)?;
    optimizer.step()?;
    K::typed(loss.erase().detach())
}

/// Layers one after another; a layer itself.
///
/// ```
/// use tenflowers_core::{Generator, Tensor};
/// use tenflowers_neural::{Dense, Dropout, Layer, Sequential};
/// let generator = Generator::new(0);
/// let mut model = Sequential::<f32>::new()
///     .then(Dense::new(4, 8, &generator)?)
///     .then(Dropout::new(0.5)?)
///     .then(Dense::new(8, 2, &generator)?);
/// model.set_training(false);
/// let y = model.forward(&Tensor::<f32>::from_vec(vec![1.0; 12], &[3, 4])?)?;
/// assert_eq!(y.shape(), [3, 2]);
/// assert_eq!(model.parameters().len(), 4);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
pub struct Sequential<K: Float = Dyn> {
    layers: Vec<Box<dyn Layer<K>>>,
    loss: Option<Loss>,
    training: bool,
}

impl<K: Float> Sequential<K> {
    pub fn new() -> Self {
        Sequential { layers: vec![], loss: None, training: true }
    }
    /// The layers so far, and one more.
    pub fn then(mut self, layer: impl Layer<K> + 'static) -> Self {
        self.push(Box::new(layer));
        self
    }
    /// Adds a layer, which goes into the mode of the others.
    pub fn push(&mut self, mut layer: Box<dyn Layer<K>>) {
        layer.set_training(self.training);
        self.layers.push(layer);
    }
    /// What [`Model::train_step`] makes small.
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.loss = Some(loss);
        self
    }
    pub fn layers(&self) -> &[Box<dyn Layer<K>>] {
        &self.layers
    }
}

impl<K: Float> Default for Sequential<K> {
    fn default() -> Self {
        Sequential::new()
    }
}

impl<K: Float> Layer<K> for Sequential<K> {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        self.layers.iter().try_fold(input.clone(), |x, layer| layer.forward(&x))
    }
    fn parameters(&self) -> Vec<&Tensor<K>> {
        self.layers.iter().flat_map(|l| l.parameters()).collect()
    }
    fn set_training(&mut self, training: bool) {
        self.training = training;
        self.layers.iter_mut().for_each(|l| l.set_training(training));
    }
    fn training(&self) -> bool {
        self.training
    }
}

impl<K: Float> Model<K> for Sequential<K> {
    fn loss(&self, output: &Tensor<K>, target: &Tensor<K>) -> Result<Tensor<K>> {
        let missing = || TensorError::argument("Sequential", "the model has no loss; give it one by with_loss");
        self.loss.ok_or_else(missing)?.of(output, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dense, Dropout, Sgd};

    fn tensor(data: &[f64], shape: &[usize]) -> Tensor<f64> {
        Tensor::from_vec(data.to_vec(), shape).unwrap()
    }
    fn line(weight: f64, bias: f64) -> Dense<f64> {
        let leaf = |t: Tensor<f64>| {
            t.erase().require_grad(true).unwrap();
            t
        };
        Dense::of(leaf(tensor(&[weight], &[1, 1])), Some(leaf(tensor(&[bias], &[1])))).unwrap()
    }

    #[test]
    fn one_step_by_hand() {
        // y = 3 (2 x + 1) - 1 at x = 1 is 8; (8 - 6)^2 = 4, and its derivative by y is 4.
        let mut model = Sequential::new().then(line(2.0, 1.0)).then(line(3.0, -1.0)).with_loss(Loss::MeanSquaredError);
        let mut sgd = Sgd::new(model.parameters(), 0.01).unwrap();
        let loss = model.train_step(&tensor(&[1.0], &[1, 1]), &tensor(&[6.0], &[1, 1]), &mut sgd).unwrap();
        assert_eq!(loss.to_vec().unwrap(), [4.0]);
        assert!(!loss.erase().requires_grad());
        let values: Vec<f64> = model.parameters().iter().map(|p| p.to_vec().unwrap()[0]).collect();
        // Derivatives by hand: 4 * 3 * x, 4 * 3, 4 * 3 (the inner line's value), 4.
        let expected = [2.0 - 0.12, 1.0 - 0.12, 3.0 - 0.12, -1.0 - 0.04];
        assert!(values.iter().zip(expected).all(|(v, e)| (v - e).abs() < 1e-12), "{values:?}");
    }

    #[test]
    fn a_second_step_begins_with_fresh_gradients() {
        let mut model = Sequential::new().then(line(1.0, 0.0));
        let mut sgd = Sgd::new(model.parameters(), 0.1).unwrap();
        let x = tensor(&[1.0], &[1, 1]);
        for expected in [0.9, 0.8] {
            // The loss is the output itself: the gradient is 1 both times.
            model.train_step_with(&x, &|y| y.sum(None), &mut sgd).unwrap();
            assert!((model.parameters()[0].to_vec().unwrap()[0] - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn modes_reach_the_layers() {
        let inner = Sequential::<f64>::new().then(Dropout::new(1.0).unwrap());
        let mut model = Sequential::new().then(inner);
        let x = tensor(&[5.0], &[1]);
        assert_eq!(model.forward(&x).unwrap().to_vec().unwrap(), [0.0]);
        model.set_training(false);
        assert_eq!(model.forward(&x).unwrap().to_vec().unwrap(), [5.0]);
        model.push(Box::new(Dropout::new(1.0).unwrap()));
        assert_eq!(model.forward(&x).unwrap().to_vec().unwrap(), [5.0]);
        assert_eq!(model.layers().len(), 2);
    }

    #[test]
    fn a_loss_has_to_be_named() {
        let mut model = Sequential::new().then(line(1.0, 0.0));
        let mut sgd = Sgd::new(model.parameters(), 0.1).unwrap();
        let x = tensor(&[1.0], &[1, 1]);
        let e = model.train_step(&x, &x, &mut sgd).unwrap_err().to_string();
        assert_eq!(e, "Sequential: the model has no loss; give it one by with_loss");
    }
}
