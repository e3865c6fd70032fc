//! Layers, models, losses and optimizers.
//!
//! ```
//! use tenflowers_core::{Generator, Tensor};
//! use tenflowers_neural::{ActivationFunction, Adam, Dense, Layer, Loss, Model, Sequential};
//!
//! let generator = Generator::new(0);
//! let mut model = Sequential::<f32>::new()
//!     .then(Dense::new(2, 8, &generator)?.with_activation(ActivationFunction::Tanh))
//!     .then(Dense::new(8, 1, &generator)?)
//!     .with_loss(Loss::BinaryCrossEntropy);
//! let mut optimizer = Adam::new(model.parameters(), 0.05)?;
//!
//! let x = Tensor::<f32>::from_vec(vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], &[4, 2])?;
//! let exclusive_or = Tensor::<f32>::from_vec(vec![0.0, 1.0, 1.0, 0.0], &[4, 1])?;
//! for _ in 0..300 {
//!     model.train_step(&x, &exclusive_or, &mut optimizer)?;
//! }
//! let logits = model.forward(&x)?.to_vec()?;
//! assert_eq!(logits.iter().map(|&l| l > 0.0).collect::<Vec<_>>(), [false, true, true, false]);
//! # Ok::<(), tenflowers_core::TensorError>(())
//! ```
//!
//! Everything is typed by the kind of its tensors: `Dense<f32>` takes and gives `Tensor<f32>`; `Dense`, short for
//! `Dense<Dyn>`, takes tensors whose dtype is known at run time, and makes parameters of the default dtype. Parameters are
//! leaves that require grad, and handles: an optimizer that was given a model's parameters changes the model.
pub mod init;
pub mod layer;
pub mod layers;
pub mod loss;
pub mod model;
pub mod optim;

pub use layer::{Float, Layer};
pub use layers::{Activation, ActivationFunction, BatchNorm, Conv2d, Dense, Dropout, Flatten};
pub use loss::{Loss, Reduction};
pub use model::{Model, Sequential};
pub use optim::{Adam, AdamOptions, AdamW, Optimizer, Sgd, SgdOptions};
