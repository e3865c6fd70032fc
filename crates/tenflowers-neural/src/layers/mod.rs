//! The layers.
mod activation;
mod batch_norm;
mod conv2d;
mod dense;
mod dropout;
mod flatten;

pub use activation::{Activation, ActivationFunction};
pub use batch_norm::BatchNorm;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
