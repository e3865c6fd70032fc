//! Steps of optimizers: one pass over a parameter, its gradient and its states.
use super::{View, ViewMut, pool, simd::vectorize};
use crate::Element;
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

macro_rules! rules {
    ($t:ty, $sgd:ident, $adam:ident) => {
        #[inline(always)]
        fn $sgd(s: &Sgd, g: &[$t], p: &mut [$t], mut m: Option<&mut [$t]>) {
            let [lr, decay, momentum] = [s.lr as $t, s.weight_decay as $t, s.momentum as $t];
            let fresh = if s.first { 1.0 } else { (1.0 - s.dampening) as $t };
            let kept = if s.first { 0.0 } else { momentum };
            let sign: $t = if s.maximize { -1.0 } else { 1.0 };
            for i in 0..p.len() {
                let mut d = sign * g[i] + decay * p[i];
                if let Some(m) = &mut m {
                    // A buffer that is new may hold anything.
                    let old = if s.first { 0.0 } else { kept * m[i] };
                    m[i] = old + fresh * d;
                    d = if s.nesterov { d + momentum * m[i] } else { m[i] };
                }
                p[i] -= lr * d;
            }
        }
        #[inline(always)]
        fn $adam(s: &Adam, step: f64, g: &[$t], p: &mut [$t], m: &mut [$t], v: &mut [$t], mut top: Option<&mut [$t]>) {
            let [b1, b2] = [s.beta1 as $t, s.beta2 as $t];
            // size * m / (sqrt(v) / root + eps), with one division.
            let root = (1.0 - s.beta2.powf(step)).sqrt();
            let (size, eps) = ((s.lr / (1.0 - s.beta1.powf(step)) * root) as $t, (s.eps * root) as $t);
            let sign: $t = if s.maximize { -1.0 } else { 1.0 };
            let (shrink, decay) =
                if s.decoupled { ((1.0 - s.lr * s.weight_decay) as $t, 0.0) } else { (1.0, s.weight_decay as $t) };
            for i in 0..p.len() {
                let d = sign * g[i] + decay * p[i];
                m[i] += (1.0 - b1) * (d - m[i]);
                v[i] = b2 * v[i] + (1.0 - b2) * d * d;
                let mut second = v[i];
                if let Some(top) = &mut top {
                    top[i] = if top[i] > second { top[i] } else { second };
                    second = top[i];
                }
                p[i] = p[i] * shrink - size * m[i] / (second.sqrt() + eps);
            }
        }
    };
}
rules!(f32, sgd_f32, adam_f32);
rules!(f64, sgd_f64, adam_f64);

impl Sgd {
    /// One step: `outs` are the parameter and, with momentum, its buffer, in one run each, of the gradient's dtype, f32 or f64.
    ///
    /// # Errors
    /// `Interrupted`; the step is then half done.
    pub fn step(&self, g: &View, outs: &mut [&mut ViewMut]) -> Result<()> {
        match g.dtype {
            DType::F64 => each(
                g,
                outs,
                #[inline(always)]
                |g, lists| {
                    let [p, rest @ ..] = lists else { return };
                    sgd_f64(self, g, p, rest.first_mut().map(|m| &mut **m));
                },
            ),
            _ => each(
                g,
                outs,
                #[inline(always)]
                |g, lists| {
                    let [p, rest @ ..] = lists else { return };
                    sgd_f32(self, g, p, rest.first_mut().map(|m| &mut **m));
                },
            ),
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
        match g.dtype {
            DType::F64 => each(
                g,
                outs,
                #[inline(always)]
                |g, lists| {
                    let [p, m, v, rest @ ..] = lists else { return };
                    adam_f64(self, at, g, p, m, v, rest.first_mut().map(|t| &mut **t));
                },
            ),
            _ => each(
                g,
                outs,
                #[inline(always)]
                |g, lists| {
                    let [p, m, v, rest @ ..] = lists else { return };
                    adam_f32(self, at, g, p, m, v, rest.first_mut().map(|t| &mut **t));
                },
            ),
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
        vectorize(
            #[inline(always)]
            |_| rule(&g[range.clone()], &mut parts),
        );
    })
}
