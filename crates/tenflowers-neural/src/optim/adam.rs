//! Adam and AdamW.
use super::{Optimizer, check, collect, with_gradients};
use crate::layer::Float;
use tenflowers_core::grad::with_recording;
use tenflowers_core::{DType, Dyn, Result, Scalar, Tensor, ops};

/// What [`Adam`] and [`AdamW`] can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    pub lr: f64,
    /// How much of the mean of the gradients a step keeps.
    pub beta1: f64,
    /// How much of the mean of their squares a step keeps.
    pub beta2: f64,
    pub eps: f64,
    /// For Adam a multiple of the parameter that is added to its gradient; for AdamW the rate at which parameters shrink.
    pub weight_decay: f64,
    /// Divide by the largest mean of squares so far (Reddi et al., 2018).
    pub amsgrad: bool,
    /// Uphill, not down.
    pub maximize: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        AdamOptions {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
            maximize: false,
        }
    }
}

/// What is kept for one parameter.
#[derive(Debug, Clone)]
struct State {
    steps: u64,
    mean: Tensor,
    square: Tensor,
    /// The largest mean of squares, where it is kept.
    top: Option<Tensor>,
}

impl State {
    fn new(like: &Tensor, amsgrad: bool) -> Result<State> {
        let zeros = || ops::full_of(like.shape(), Scalar::ZERO, like.dtype());
        let top = if amsgrad { Some(zeros()?) } else { None };
        Ok(State { steps: 0, mean: zeros()?, square: zeros()?, top })
    }
}

/// What both rules share: only the core's call differs.
#[derive(Debug)]
struct Moments<K: Float> {
    op: &'static str,
    parameters: Vec<Tensor<K>>,
    options: AdamOptions,
    states: Vec<Option<State>>,
    decoupled: bool,
}

impl<K: Float> Moments<K> {
    fn new<'a>(
        op: &'static str,
        parameters: impl IntoIterator<Item = &'a Tensor<K>>,
        options: AdamOptions,
        decoupled: bool,
    ) -> Result<Self> {
        let AdamOptions { lr, beta1, beta2, eps, weight_decay, .. } = options;
        check(op, "the learning rate", lr, 0.0.., "at least 0")?;
        check(op, "beta1", beta1, 0.0..1.0, "at least 0 and below 1")?;
        check(op, "beta2", beta2, 0.0..1.0, "at least 0 and below 1")?;
        check(op, "eps", eps, 0.0.., "at least 0")?;
        check(op, "weight_decay", weight_decay, 0.0.., "at least 0")?;
        let parameters = collect(op, parameters)?;
        let states = vec![None; parameters.len()];
        Ok(Moments { op, parameters, options, states, decoupled })
    }
    fn step(&mut self) -> Result<()> {
        let AdamOptions { lr, beta1, beta2, eps, weight_decay, amsgrad, maximize } = self.options;
        let (at, grads): (Vec<usize>, Vec<Tensor>) = with_gradients(&self.parameters).into_iter().unzip();
        for &i in &at {
            if self.states[i].is_none() {
                self.states[i] = Some(State::new(self.parameters[i].erase(), amsgrad)?);
            }
        }
        let params: Vec<Tensor> = at.iter().map(|&i| self.parameters[i].erase().clone()).collect();
        let states = || at.iter().filter_map(|&i| self.states[i].as_ref());
        let means: Vec<Tensor> = states().map(|s| s.mean.clone()).collect();
        let squares: Vec<Tensor> = states().map(|s| s.square.clone()).collect();
        let tops: Vec<Tensor> = states().filter_map(|s| s.top.clone()).collect();
        let steps = states().map(|s| Tensor::scalar((s.steps + 1) as f64, DType::F64)).collect::<Result<Vec<_>>>()?;
        let rule = if self.decoupled { ops::fused_adamw } else { ops::fused_adam };
        with_recording(false, || {
            let (p, g) = (&params, &grads);
            rule(p, g, &means, &squares, &tops, &steps, lr, beta1, beta2, weight_decay, eps, amsgrad, maximize)
        })?;
        for i in at {
            if let Some(state) = &mut self.states[i] {
                state.steps += 1;
            }
        }
        Ok(())
    }
    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.options.lr = check(self.op, "the learning rate", rate, 0.0.., "at least 0")?;
        Ok(())
    }
}

macro_rules! adams {
    ($($(#[doc = $doc:literal])+ $name:ident decoupled: $decoupled:literal, decay: $decay:literal)*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $name<K: Float = Dyn>(Moments<K>);

        impl<K: Float> $name<K> {
            /// The usual options, with the learning rate `lr`.
            ///
            /// # Errors
            /// If a parameter is no leaf or comes twice, or the rate is negative.
            pub fn new<'a>(parameters: impl IntoIterator<Item = &'a Tensor<K>>, lr: f64) -> Result<Self> {
                Self::with(parameters, AdamOptions { lr, weight_decay: $decay, ..AdamOptions::default() })
            }
            /// # Errors
            /// As [`Self::new`], and for options that no step could be made with.
            pub fn with<'a>(parameters: impl IntoIterator<Item = &'a Tensor<K>>, options: AdamOptions) -> Result<Self> {
                Moments::new(stringify!($name), parameters, options, $decoupled).map(Self)
            }
        }

        impl<K: Float> Optimizer<K> for $name<K> {
            fn step(&mut self) -> Result<()> {
                self.0.step()
            }
            fn parameters(&self) -> &[Tensor<K>] {
                &self.0.parameters
            }
            fn learning_rate(&self) -> f64 {
                self.0.options.lr
            }
            fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
                self.0.set_learning_rate(rate)
            }
        }
    )*};
}
adams! {
    /// Steps by the mean of the gradients over the root of the mean of their squares (Kingma and Ba, 2015).
    ///
    /// ```
    /// use tenflowers_core::Generator;
    /// use tenflowers_neural::{Adam, Dense, Layer, Optimizer};
    /// let layer = Dense::<f32>::new(3, 2, &Generator::new(0))?;
    /// let mut adam = Adam::new(layer.parameters(), 1e-3)?;
    /// adam.step()?;
    /// # Ok::<(), tenflowers_core::TensorError>(())
    /// ```
    Adam decoupled: false, decay: 0.0
    /// Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019); 0.01 by [`AdamW::new`].
    ///
    /// ```
    /// use tenflowers_core::Generator;
    /// use tenflowers_neural::{AdamOptions, AdamW, Dense, Layer};
    /// let layer = Dense::<f32>::new(3, 2, &Generator::new(0))?;
    /// let adamw = AdamW::with(layer.parameters(), AdamOptions { weight_decay: 0.1, ..AdamOptions::default() })?;
    /// # Ok::<(), tenflowers_core::TensorError>(())
    /// ```
    AdamW decoupled: true, decay: 0.01
}

#[cfg(test)]
mod tests {
    use super::super::tests::{close, leaf, set_grad};
    use super::*;

    /// The rule as the paper states it, on one number.
    fn by_hand(o: AdamOptions, decoupled: bool, start: f64, grads: &[f64]) -> f64 {
        let (mut p, mut m, mut v, mut top) = (start, 0.0, 0.0, 0.0f64);
        for (t, g) in (1..).zip(grads) {
            let mut g = if o.maximize { -g } else { *g };
            if decoupled {
                p -= o.lr * o.weight_decay * p;
            } else {
                g += o.weight_decay * p;
            }
            m = o.beta1 * m + (1.0 - o.beta1) * g;
            v = o.beta2 * v + (1.0 - o.beta2) * g * g;
            top = top.max(v);
            let mean = m / (1.0 - o.beta1.powi(t));
            let square = if o.amsgrad { top } else { v } / (1.0 - o.beta2.powi(t));
            p -= o.lr * mean / (square.sqrt() + o.eps);
        }
        p
    }

    #[test]
    fn as_the_papers_state_it() {
        let plain = AdamOptions { lr: 0.1, beta1: 0.8, beta2: 0.9, eps: 1e-3, ..AdamOptions::default() };
        let grads = [0.5, -2.0, 0.1, 0.05];
        for options in [
            plain,
            AdamOptions { weight_decay: 0.3, ..plain },
            AdamOptions { amsgrad: true, ..plain },
            AdamOptions { maximize: true, weight_decay: 0.3, amsgrad: true, ..plain },
        ] {
            let (a, w) = (leaf(&[2.0, -1.0], &[0.0; 2]), leaf(&[2.0, -1.0], &[0.0; 2]));
            let mut adam = Adam::with([&a], options).unwrap();
            let mut adamw = AdamW::with([&w], options).unwrap();
            for g in grads {
                set_grad(&a, &[g, -g]);
                set_grad(&w, &[g, -g]);
                adam.step().unwrap();
                adamw.step().unwrap();
            }
            let back = grads.map(|g| -g);
            close(&a, &[by_hand(options, false, 2.0, &grads), by_hand(options, false, -1.0, &back)]);
            close(&w, &[by_hand(options, true, 2.0, &grads), by_hand(options, true, -1.0, &back)]);
        }
    }

    #[test]
    fn a_gradient_that_comes_later_counts_its_own_steps() {
        let options = AdamOptions { lr: 0.1, ..AdamOptions::default() };
        let (p, q) = (leaf(&[0.0], &[1.0]), leaf(&[0.0], &[1.0]));
        q.erase().set_grad(None).unwrap();
        let mut adam = Adam::with([&p, &q], options).unwrap();
        adam.step().unwrap();
        set_grad(&q, &[3.0]);
        adam.step().unwrap();
        close(&p, &[by_hand(options, false, 0.0, &[1.0, 1.0])]);
        close(&q, &[by_hand(options, false, 0.0, &[3.0])]);
        adam.set_learning_rate(0.0).unwrap();
        adam.step().unwrap();
        close(&q, &[by_hand(options, false, 0.0, &[3.0])]);
    }

    #[test]
    fn halves_are_stepped_too() {
        use tenflowers_core::dtype::bf16;
        let p = Tensor::<bf16>::from_vec(vec![bf16::from_f32(1.0)], &[1]).unwrap();
        p.erase().require_grad(true).unwrap();
        p.erase().set_grad(Some(p.erase().detach().mul(1.0).unwrap())).unwrap();
        let mut adam = AdamW::with([&p], AdamOptions { lr: 0.5, ..AdamOptions::default() }).unwrap();
        adam.step().unwrap();
        assert_eq!(p.to_vec().unwrap()[0].to_f32(), 0.5);
    }
}
