//! Trains a small network to tell two spirals apart: `cargo run --release -p tenflowers-neural --example spirals`.
use std::f32::consts::PI;
use std::process::ExitCode;
use tenflowers_core::schema::Size;
use tenflowers_core::{DType, Generator, Result, Tensor, ops};
use tenflowers_neural::{ActivationFunction, Adam, Dense, Layer, Model, Optimizer, Reduction, Sequential, loss};

const POINTS: usize = 200;
const STEPS: usize = 400;

/// Points `[2 * POINTS, 2]` on two arms that wind around each other one and a half times, and the number of each one's arm.
fn spirals(generator: &Generator) -> Result<(Tensor<f32>, Tensor<i64>)> {
    let noise = ops::randn(Size(&[2 * POINTS as i64, 2]), Some(generator), Some(DType::F32), None, false)?;
    let mut points = noise.mul(0.03)?.typed::<f32>()?.to_vec()?;
    for (i, point) in points.chunks_mut(2).enumerate() {
        let radius = 0.1 + 0.9 * (i / 2) as f32 / POINTS as f32;
        let angle = 3.0 * PI * radius + PI * (i % 2) as f32;
        point[0] += radius * angle.cos();
        point[1] += radius * angle.sin();
    }
    let arms = (0..2 * POINTS as i64).map(|i| i % 2).collect();
    Ok((Tensor::from_vec(points, &[2 * POINTS, 2])?, Tensor::from_vec(arms, &[2 * POINTS])?))
}

fn accuracy(model: &Sequential<f32>, points: &Tensor<f32>, arms: &Tensor<i64>) -> Result<f64> {
    let found = model.forward(points)?.argmax(Some(1))?.to_vec()?;
    let right = found.iter().zip(arms.to_vec()?).filter(|(found, arm)| **found == *arm).count();
    Ok(right as f64 / found.len() as f64)
}

fn main() -> Result<ExitCode> {
    let generator = Generator::new(7);
    let (points, arms) = spirals(&generator)?;
    let (unseen, unseen_arms) = spirals(&generator)?;
    let mut model = Sequential::<f32>::new()
        .then(Dense::new(2, 32, &generator)?.with_activation(ActivationFunction::Tanh))
        .then(Dense::new(32, 32, &generator)?.with_activation(ActivationFunction::Tanh))
        .then(Dense::new(32, 2, &generator)?);
    let mut adam = Adam::new(model.parameters(), 0.02)?;
    for step in 1..=STEPS {
        let by_arm = |logits: &Tensor<f32>| loss::cross_entropy(logits, &arms, Reduction::Mean);
        let loss = model.train_step_with(&points, &by_arm, &mut adam)?.to_vec()?[0];
        if step == STEPS / 2 {
            adam.set_learning_rate(0.005)?;
        }
        if step % 50 == 0 {
            println!("step {step:3}: loss {loss:.4}, accuracy {:.3}", accuracy(&model, &points, &arms)?);
        }
    }
    model.set_training(false);
    let reached = accuracy(&model, &unseen, &unseen_arms)?;
    println!("accuracy on points of the same spirals not seen in training: {reached:.3}");
    Ok(if reached > 0.95 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
