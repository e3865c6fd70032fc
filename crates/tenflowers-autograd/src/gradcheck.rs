//! Derivatives against finite differences.
use crate::{Options, grad};
use tenflowers_core::grad::with_recording;
use tenflowers_core::ops::{self, copy, reshape_to, select};
use tenflowers_core::{C64, DType, Result, Scalar, Tensor, TensorError};

/// How far inputs are moved, and how close results have to be: `|a - b| <= absolute + relative * |b|`.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    pub step: f64,
    pub absolute: f64,
    pub relative: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { step: 1e-6, absolute: 1e-5, relative: 1e-3 }
    }
}

type Function<'a> = &'a mut dyn FnMut(&[Tensor]) -> Result<Vec<Tensor>>;

fn differentiable(outputs: Vec<Tensor>) -> Vec<Tensor> {
    outputs.into_iter().filter(|t| t.dtype().is_differentiable()).collect()
}

fn flat(t: &Tensor) -> Result<Vec<C64>> {
    Ok(t.to_scalars()?.into_iter().map(Scalar::as_complex).collect())
}

/// The directions in which an element is moved: along its real, and its imaginary part if it has one.
fn directions(t: &Tensor) -> &'static [C64] {
    const BOTH: [C64; 2] = [C64::new(1.0, 0.0), C64::new(0.0, 1.0)];
    if t.dtype().is_complex() { &BOTH } else { &BOTH[..1] }
}

/// Checks the first derivatives of `f` at `inputs`, of float64 or complex128, by central differences. Inputs that do not
/// require grad stay as they are; outputs that have no derivative are left out.
///
/// # Errors
/// The first element that differs, with both values; and what `f` says.
pub fn gradcheck(f: Function, inputs: &[Tensor], tolerance: Tolerance) -> Result<()> {
    let error = |what: String| TensorError::grad("gradcheck", what);
    let moved: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].requires_grad()).collect();
    if moved.is_empty() {
        return Err(error("no input requires grad".into()));
    }
    for &i in &moved {
        if !matches!(inputs[i].dtype(), DType::F64 | DType::C128) {
            return Err(error(format!("input {i} must be float64 or complex128, not {}", inputs[i].dtype())));
        }
        if inputs[i].layout().overlaps_itself() {
            return Err(error(format!("elements of input {i} share memory; clone it first")));
        }
    }
    let outputs = differentiable(f(inputs)?);
    let asked: Vec<Tensor> = moved.iter().map(|&i| inputs[i].clone()).collect();
    for (o, output) in outputs.iter().enumerate() {
        // Rows of the Jacobian: one way back for each element of the output, and for each of its parts.
        let n = output.numel();
        let mut rows: Vec<Vec<Vec<C64>>> = vec![];
        for k in 0..n {
            for &d in directions(output) {
                let zeros = ops::full_of(&[n], Scalar::ZERO, output.dtype())?;
                ops::fill(&select(&zeros, 0, k as i64)?, Scalar::Complex(d))?;
                let seed = reshape_to(&zeros, output.shape())?;
                let options = Options { retain_graph: true, create_graph: false };
                let row = match output.requires_grad() {
                    true => grad(std::slice::from_ref(output), &asked, &[Some(seed)], options, true)?,
                    false => vec![None; asked.len()],
                };
                let values = row.iter().zip(&asked).map(|(g, t)| match g {
                    Some(g) => flat(g),
                    None => Ok(vec![C64::default(); t.numel()]),
                });
                rows.push(values.collect::<Result<_>>()?);
            }
        }
        for (a, &i) in moved.iter().enumerate() {
            for j in 0..inputs[i].numel() {
                for &e in directions(&inputs[i]) {
                    let slope = difference(f, inputs, i, j, e, o, tolerance.step)?;
                    for k in 0..n {
                        for (p, &d) in directions(output).iter().enumerate() {
                            let row = &rows[k * directions(output).len() + p];
                            // The part of the slope along d, and of the gradient along e.
                            let (expected, got) = (along(slope[k], d), along(row[a][j], e));
                            let close =
                                (got - expected).abs() <= tolerance.absolute + tolerance.relative * expected.abs();
                            let same = close || got.is_nan() && expected.is_nan();
                            if !same {
                                return Err(error(format!(
                                    "the derivative of element {k} of output {o} by element {j} of input {i} is {got}, but the finite difference is {expected}"
                                )));
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn along(value: C64, direction: C64) -> f64 {
    (value * direction.conj()).re
}

/// The central difference of all elements of output `o` by element `j` of input `i` in the direction `e`.
fn difference(f: Function, inputs: &[Tensor], i: usize, j: usize, e: C64, o: usize, step: f64) -> Result<Vec<C64>> {
    let mut at = |h: f64| -> Result<Vec<C64>> {
        let mut near: Vec<Tensor> = inputs.to_vec();
        let t = copy(&inputs[i].detach())?;
        let element = select(&reshape_to(&t, &[t.numel()])?, 0, j as i64)?;
        ops::fill(&element, Scalar::Complex(element.item()?.as_complex() + e * h))?;
        t.require_grad(true)?;
        near[i] = t;
        let outputs = differentiable(f(&near)?);
        outputs.get(o).map_or_else(|| Err(TensorError::grad("gradcheck", "the number of outputs changed")), flat)
    };
    let (up, down) = (at(step)?, at(-step)?);
    Ok(up.iter().zip(&down).map(|(u, d)| (u - d) / (2.0 * step)).collect())
}

/// Checks the second derivatives of `f`: the first, weighed by fixed numbers, are checked as a function.
///
/// # Errors
/// As [`gradcheck`].
pub fn gradgradcheck(f: Function, inputs: &[Tensor], tolerance: Tolerance) -> Result<()> {
    let count = inputs.len();
    let outputs = differentiable(f(inputs)?);
    let mut all: Vec<Tensor> = inputs.to_vec();
    for (o, t) in outputs.iter().enumerate() {
        // Weights that differ from element to element, and are no round numbers.
        let weights = (0..t.numel()).map(|k| ((k * 7 + o * 3) % 11) as f64 * 0.17 - 0.81).collect::<Vec<f64>>();
        let n = weights.len();
        let seed = tenflowers_core::Tensor::<f64>::from_vec(weights, &[n])?;
        let seed = copy(&ops::to_dtype(&reshape_to(seed.erase(), t.shape())?, t.dtype())?)?;
        seed.require_grad(true)?;
        all.push(seed);
    }
    let mut first = |given: &[Tensor]| -> Result<Vec<Tensor>> {
        let (x, seeds) = given.split_at(count);
        with_recording(true, || {
            let outputs = differentiable(f(x)?);
            let (outputs, seeds): (Vec<Tensor>, Vec<Option<Tensor>>) = outputs
                .into_iter()
                .zip(seeds)
                .filter(|(t, _)| t.requires_grad())
                .map(|(t, s)| (t, Some(s.clone())))
                .unzip();
            let asked: Vec<Tensor> = x.iter().filter(|t| t.requires_grad()).cloned().collect();
            let options = Options { retain_graph: true, create_graph: true };
            let found = grad(&outputs, &asked, &seeds, options, true)?;
            Ok(found.into_iter().flatten().collect())
        })
    };
    gradcheck(&mut first, &all, tolerance)
}
