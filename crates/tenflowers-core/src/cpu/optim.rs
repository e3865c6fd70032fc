//! Steps of optimizers: one pass over a parameter, its gradient and its states, with subnormal numbers taken for zero.
use super::accumulate::Summed;
use super::{View, ViewMut, pool};
use crate::Element;
use crate::cpu::simd::{Flush, vectorize};
use crate::dtype::DType;
use crate::error::Result;

/// Elements of one task.
const GRAIN: usize = 1 << 14;

/// The rule of stochastic gradient descent, as `torch.optim.SGD` defines it.
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    pub lr: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub dampening: f64,
    pub nesterov: bool,
    pub maximize: bool,
    /// Whether the buffer of the momentum is new, and holds anything.
    pub first: bool,
}

/// Kingma and Ba (2015); with `decoupled`, Loshchilov and Hutter (2019).
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub eps: f64,
    pub amsgrad: bool,
    pub maximize: bool,
    pub decoupled: bool,
}

impl Sgd {
    /// One step: `outs` are the parameter and, with momentum, its buffer, in one run each, of the gradient's dtype, f32 or f64.
    ///
    /// # Errors
    /// `Interrupted`; the step is then half done.
    pub fn step(&self, g: &View, outs: &mut [&mut ViewMut]) -> Result<()> {
        if g.dtype == DType::F64 { self.all::<f64>(g, outs) } else { self.all::<f32>(g, outs) }
    }

    fn all<T: Element + Summed>(&self, g: &View, outs: &mut [&mut ViewMut]) -> Result<()> {
        each::<T>(
            g,
            outs,
            #[inline(always)]
            |g, lists| {
                let [p, rest @ ..] = lists else { return };
                self.part(g, p, rest.first_mut().map(|m| &mut **m));
            },
        )
    }

    #[inline(always)]
    fn part<T: Summed>(&self, g: &[T], p: &mut [T], mut m: Option<&mut [T]>) {
        let [lr, decay, momentum] = [self.lr, self.weight_decay, self.momentum].map(T::rounded);
        let fresh = T::rounded(if self.first { 1.0 } else { 1.0 - self.dampening });
        let sign = if self.maximize { -T::one() } else { T::one() };
        for i in 0..p.len() {
            let mut d = sign * g[i] + decay * p[i];
            if let Some(m) = &mut m {
                // A buffer that is new may hold anything.
                let old = if self.first { T::zero() } else { momentum * m[i] };
                m[i] = old + fresh * d;
                d = if self.nesterov { d + momentum * m[i] } else { m[i] };
            }
            p[i] = p[i] - lr * d;
        }
    }
}

impl Adam {
    /// Step number `at`: `outs` are the parameter, its two moments and, with `amsgrad`, the largest second one, as
    /// [`Sgd::step`] takes them.
    ///
    /// # Errors
    /// As [`Sgd::step`].
    pub fn step(&self, at: f64, g: &View, outs: &mut [&mut ViewMut]) -> Result<()> {
        if g.dtype == DType::F64 { self.all::<f64>(at, g, outs) } else { self.all::<f32>(at, g, outs) }
    }

    fn all<T: Element + Summed>(&self, at: f64, g: &View, outs: &mut [&mut ViewMut]) -> Result<()> {
        each::<T>(
            g,
            outs,
            #[inline(always)]
            |g, lists| {
                let [p, m, v, rest @ ..] = lists else { return };
                self.part(at, g, p, m, v, rest.first_mut().map(|t| &mut **t));
            },
        )
    }

    #[inline(always)]
    fn part<T: Summed>(&self, at: f64, g: &[T], p: &mut [T], m: &mut [T], v: &mut [T], mut top: Option<&mut [T]>) {
        let [b1, b2] = [self.beta1, self.beta2].map(T::rounded);
        // size * m / (sqrt(v) / root + eps), with one division.
        let root = (1.0 - self.beta2.powf(at)).sqrt();
        let size = T::rounded(self.lr / (1.0 - self.beta1.powf(at)) * root);
        let eps = T::rounded(self.eps * root);
        let sign = if self.maximize { -T::one() } else { T::one() };
        let (shrink, decay) =
            if self.decoupled { (1.0 - self.lr * self.weight_decay, 0.0) } else { (1.0, self.weight_decay) };
        let (shrink, decay) = (T::rounded(shrink), T::rounded(decay));
        for i in 0..p.len() {
            let d = sign * g[i] + decay * p[i];
            m[i] = m[i] + (T::one() - b1) * (d - m[i]);
            v[i] = b2 * v[i] + (T::one() - b2) * d * d;
            let mut second = v[i];
            if let Some(top) = &mut top {
                top[i] = if top[i] > second { top[i] } else { second };
                second = top[i];
            }
            p[i] = p[i] * shrink - size * m[i] / (second.sqrt() + eps);
        }
    }
}

/// Runs a rule on the elements of a gradient and of what it changes, part by part.
fn each<T: Element>(g: &View, outs: &mut [&mut ViewMut], rule: impl Fn(&[T], &mut [&mut [T]]) + Sync) -> Result<()> {
    let n = g.layout.numel();
    let g = g.to_slice::<T>()?;
    let places: Vec<usize> = outs.iter_mut().map(|o| o.ptr::<T>() as usize).collect();
    pool::ranges(n, GRAIN, &|range| {
        // SAFETY: outputs lie in one run each, were told apart, and ranges do not overlap.
        let part = |&p: &usize| unsafe { std::slice::from_raw_parts_mut((p as *mut T).add(range.start), range.len()) };
        let mut parts: Vec<&mut [T]> = places.iter().map(part).collect();
        let _flush = Flush::start();
        vectorize(
            #[inline(always)]
            |_| rule(&g[range.clone()], &mut parts),
        );
    })
}
