//! Convolution of planes.
use crate::init;
use crate::layer::{Float, Layer, training_flag};
use tenflowers_core::{Dyn, Generator, Result, Tensor, TensorError, ops};

/// A convolution (as the field says; a cross-correlation) of `[batch, in, height, width]` with a weight
/// `[out, in / groups, height, width]`, plus a bias for each output channel.
///
/// ```
/// use tenflowers_core::{Generator, Tensor};
/// use tenflowers_neural::{Conv2d, Layer};
/// let layer = Conv2d::<f32>::new(1, 8, [3, 3], &Generator::new(0))?.with_stride([2, 2]).with_padding([1, 1]);
/// let y = layer.forward(&Tensor::<f32>::from_vec(vec![1.0; 64], &[1, 1, 8, 8])?)?;
/// assert_eq!(y.shape(), [1, 8, 4, 4]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Conv2d<K: Float = Dyn> {
    weight: Tensor<K>,
    bias: Option<Tensor<K>>,
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    training: bool,
}

impl<K: Float> Conv2d<K> {
    /// A layer with weight and bias drawn uniformly within `1 / sqrt(inputs * height * width)`.
    ///
    /// # Errors
    /// If memory does not hold the weight.
    pub fn new(inputs: usize, outputs: usize, kernel: [usize; 2], generator: &Generator) -> Result<Self> {
        Self::grouped(inputs, outputs, kernel, 1, generator)
    }
    /// A layer whose channels are cut into `groups`, each of which sees its own part of the input only.
    ///
    /// # Errors
    /// As [`Conv2d::new`], and if the channels do not divide.
    pub fn grouped(
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        groups: usize,
        generator: &Generator,
    ) -> Result<Self> {
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let what = format!("{inputs} input and {outputs} output channels cannot be cut into {groups} groups");
            return Err(TensorError::argument("Conv2d", what));
        }
        let (weight, bias) = init::affine(&[outputs, inputs / groups, kernel[0], kernel[1]], true, generator)?;
        Ok(Conv2d::with(weight, bias, groups))
    }
    /// A layer of a weight `[out, in / groups, height, width]` and a bias `[out]` that exist already.
    ///
    /// # Errors
    /// If the shapes do not go together.
    pub fn of(weight: Tensor<K>, bias: Option<Tensor<K>>, groups: usize) -> Result<Self> {
        let &[outputs, _, _, _] = weight.shape() else {
            let what = "a weight has four dimensions: out, in / groups, height and width";
            return Err(TensorError::one_shape("Conv2d", what, weight.shape()));
        };
        if let Some(b) = bias.as_ref().filter(|b| b.shape() != [outputs]) {
            return Err(TensorError::shape("Conv2d", "a bias has one element for each output", b.shape(), &[outputs]));
        }
        if groups == 0 || !outputs.is_multiple_of(groups) {
            return Err(TensorError::argument(
                "Conv2d",
                format!("{outputs} output channels cannot be cut into {groups} groups"),
            ));
        }
        Ok(Conv2d::with(weight, bias, groups))
    }
    fn with(weight: Tensor<K>, bias: Option<Tensor<K>>, groups: usize) -> Self {
        Conv2d { weight, bias, stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups, training: true }
    }
    /// How far the kernel moves from one output to the next.
    pub fn with_stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }
    /// Zeros on both sides of each dimension.
    pub fn with_padding(mut self, padding: [usize; 2]) -> Self {
        self.padding = padding;
        self
    }
    /// How far the elements of the kernel lie apart.
    pub fn with_dilation(mut self, dilation: [usize; 2]) -> Self {
        self.dilation = dilation;
        self
    }
    pub fn weight(&self) -> &Tensor<K> {
        &self.weight
    }
    pub fn bias(&self) -> Option<&Tensor<K>> {
        self.bias.as_ref()
    }
}

impl<K: Float> Layer<K> for Conv2d<K> {
    fn forward(&self, input: &Tensor<K>) -> Result<Tensor<K>> {
        let [stride, padding, dilation] = [self.stride, self.padding, self.dilation].map(|p| init::sizes(&p));
        let bias = self.bias.as_ref().map(Tensor::erase);
        let (x, w) = (input.erase(), self.weight.erase());
        K::typed(ops::conv2d(x, w, bias, &stride, &padding, &dilation, self.groups as i64)?)
    }
    fn parameters(&self) -> Vec<&Tensor<K>> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }
    training_flag!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenflowers_autograd::{Tolerance, gradcheck};

    fn tensor(data: Vec<f64>, shape: &[usize]) -> Tensor<f64> {
        Tensor::from_vec(data, shape).unwrap()
    }

    #[test]
    fn values() {
        let x = tensor((1..=9).map(f64::from).collect(), &[1, 1, 3, 3]);
        let weight = tensor(vec![1.0, 0.0, 0.0, -2.0], &[1, 1, 2, 2]);
        let layer = Conv2d::of(weight.clone(), Some(tensor(vec![0.5], &[1])), 1).unwrap();
        // x[i][j] - 2 x[i + 1][j + 1] + .5
        assert_eq!(layer.forward(&x).unwrap().to_vec().unwrap(), [-8.5, -9.5, -11.5, -12.5]);
        // Padded, every other output: the corners see -2 x and x alone.
        let layer = Conv2d::of(weight, None, 1).unwrap().with_padding([1, 1]).with_stride([3, 3]);
        assert_eq!(layer.forward(&x).unwrap().to_vec().unwrap(), [-2.0, 0.0, 0.0, 9.0]);
        // Two groups of one channel.
        let x = tensor(vec![1.0, 2.0, 3.0, 4.0], &[1, 2, 1, 2]);
        let layer = Conv2d::of(tensor(vec![1.0, 1.0, 2.0, -1.0], &[2, 1, 1, 2]), None, 2).unwrap();
        assert_eq!(layer.forward(&x).unwrap().to_vec().unwrap(), [3.0, 2.0]);
    }

    #[test]
    fn derivatives() {
        let leaf = |data: Vec<f64>, shape: &[usize]| {
            let t = tensor(data, shape).erase().clone();
            t.require_grad(true).unwrap();
            t
        };
        let wave = |n: i32| (0..n).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let at = [leaf(wave(32), &[1, 2, 4, 4]), leaf(wave(8), &[2, 1, 2, 2]), leaf(wave(2), &[2])];
        let mut f = |t: &[Tensor]| {
            let layer = Conv2d::<Dyn>::of(t[1].clone(), Some(t[2].clone()), 2)?;
            Ok(vec![layer.with_padding([1, 0]).with_dilation([2, 1]).with_stride([1, 2]).forward(&t[0])?])
        };
        gradcheck(&mut f, &at, Tolerance::default()).unwrap();
    }

    #[test]
    fn errors() {
        let g = Generator::new(0);
        let e = Conv2d::<f32>::grouped(3, 4, [1, 1], 2, &g).unwrap_err().to_string();
        assert_eq!(e, "Conv2d: 3 input and 4 output channels cannot be cut into 2 groups");
        let layer = Conv2d::<f64>::new(2, 1, [3, 3], &g).unwrap();
        assert!(layer.forward(&tensor(vec![0.0; 9], &[1, 1, 3, 3])).is_err());
        assert!(layer.with_stride([0, 1]).forward(&tensor(vec![0.0; 18], &[1, 2, 3, 3])).is_err());
    }
}
