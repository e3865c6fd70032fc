//! The cross-entropy of logits, or the likelihood of their logarithms, against class numbers; and the way back.
use super::accumulate::{Summed, sum_of, top};
use super::math::Real;
use super::pool::{self, Parts};
use super::simd::{Lanes, vectorize};
use crate::error::Result;

/// Elements a task.
const GRAIN: usize = 1 << 14;
/// Samples side by side, and elements that go through the exponential together.
const COLUMNS: usize = 128;

/// The loss of a sample is `(1 - smoothing) w[t] (l - x[t]) + smoothing / classes * sum(w (l - x))`, with `t` its class and
/// `l` the logarithm of the sum of `exp(x)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    pub classes: usize,
    /// The samples that lie side by side.
    pub inner: usize,
    /// The class whose samples do not count.
    pub ignore: i64,
    pub smoothing: f64,
    /// Whether the input is logarithms of probabilities, of which `l` is 0.
    pub logs: bool,
}

impl CrossEntropy {
    /// The first target that is no class.
    pub fn stray(&self, target: &[i64]) -> Option<i64> {
        let class = |t: i64| usize::try_from(t).is_ok_and(|t| t < self.classes);
        target.iter().copied().find(|&t| t != self.ignore && !class(t))
    }

    /// The weight of each sample that counts, summed.
    pub fn total<T: Summed + Real>(&self, target: &[i64], weight: Option<&[T]>) -> f64 {
        let counted = target.iter().filter(|&&t| t != self.ignore);
        match weight {
            Some(w) => counted.map(|&t| w[t as usize].into()).sum(),
            None => counted.count() as f64,
        }
    }

    /// What a target class, and each of all classes, weighs in the loss of a sample.
    fn shares(&self) -> (f64, f64) {
        let smooth = if self.smoothing > 0.0 { self.smoothing / self.classes as f64 } else { 0.0 };
        (1.0 - self.smoothing, smooth)
    }

    /// The loss of each sample, and `l`. All targets are classes, or do not count.
    pub fn forward<T: Summed + Real>(
        &self,
        x: &[T],
        target: &[i64],
        weight: Option<&[T]>,
        losses: &mut [T],
        logs: &mut [T],
    ) -> Result<()> {
        let (sharp, smooth) = self.shares();
        let of_class = |c: usize| weight.map_or(1.0, |w| w[c].into());
        let all: f64 = if smooth > 0.0 { (0..self.classes).map(of_class).sum() } else { 0.0 };
        let (losses, logs) = (Parts::new(losses), Parts::new(logs));
        self.tiles(
            target.len(),
            #[inline(always)]
            |lanes, sample, at, width| {
                // SAFETY: each sample belongs to one task.
                let (losses, logs) =
                    unsafe { (losses.part(sample..sample + width), logs.part(sample..sample + width)) };
                if self.logs {
                    logs.fill(T::zero());
                } else {
                    self.log_sums(lanes, &x[at..], logs);
                }
                let mut spread = [0f64; COLUMNS];
                if smooth > 0.0 {
                    for c in 0..self.classes {
                        let w = of_class(c);
                        for (s, &x) in spread[..width].iter_mut().zip(&x[at + c * self.inner..]) {
                            *s += w * x.into();
                        }
                    }
                }
                for (i, (loss, &l)) in losses.iter_mut().zip(&*logs).enumerate() {
                    let t = target[sample + i];
                    *loss = if t == self.ignore {
                        T::zero()
                    } else {
                        let (l, t): (f64, usize) = (l.into(), t as usize);
                        let mut sum = sharp * of_class(t) * (l - x[at + t * self.inner + i].into());
                        if smooth > 0.0 {
                            sum += smooth * (all * l - spread[i]);
                        }
                        T::rounded(sum)
                    };
                }
            },
        )
    }

    /// The gradient of the input, from the gradient of each loss, or one of all of them, times `factor`.
    #[allow(clippy::too_many_arguments, reason = "all that a loss is made of")]
    pub fn backward<T: Summed + Real>(
        &self,
        g: &[T],
        factor: f64,
        x: &[T],
        target: &[i64],
        weight: Option<&[T]>,
        logs: &[T],
        dx: &mut [T],
    ) -> Result<()> {
        let (sharp, smooth) = self.shares();
        let of_class = |c: usize| weight.map_or(1.0, |w| w[c].into());
        let all: f64 = if smooth > 0.0 { (0..self.classes).map(of_class).sum() } else { 0.0 };
        let dx = Parts::new(dx);
        let inner = self.inner;
        self.tiles(
            target.len(),
            #[inline(always)]
            |lanes, sample, at, width| {
                let (mut scales, mut shares) = ([T::zero(); COLUMNS], [T::zero(); COLUMNS]);
                for i in 0..width {
                    let (t, g) = (target[sample + i], if g.len() == 1 { g[0] } else { g[sample + i] });
                    if t != self.ignore {
                        scales[i] = T::rounded(g.into() * factor);
                        let share = sharp * of_class(t as usize) + smooth * all;
                        shares[i] = if self.logs { T::zero() } else { T::rounded(share) * scales[i] };
                    }
                }
                if inner == 1 {
                    // SAFETY: each sample belongs to one task.
                    let dx = unsafe { dx.part(at..at + self.classes) };
                    let (l, scale, share) = (logs[sample], scales[0], shares[0]);
                    if share == T::zero() {
                        dx.fill(T::zero());
                    } else {
                        for (d, &x) in dx.iter_mut().zip(&x[at..]) {
                            *d = lanes.exp_nonpositive(x - l) * share;
                        }
                    }
                    if smooth > 0.0 {
                        for (c, d) in dx.iter_mut().enumerate() {
                            *d = *d - scale * T::rounded(smooth * of_class(c));
                        }
                    }
                } else {
                    let logs = &logs[sample..sample + width];
                    for c in 0..self.classes {
                        let at = at + c * inner;
                        // SAFETY: as above.
                        let dx = unsafe { dx.part(at..at + width) };
                        let less = T::rounded(smooth * of_class(c));
                        for ((((d, &x), &l), &share), &scale) in
                            dx.iter_mut().zip(&x[at..]).zip(logs).zip(&shares).zip(&scales)
                        {
                            let p = lanes.exp_nonpositive(x - l) * share;
                            *d = if share == T::zero() { T::zero() } else { p } - less * scale;
                        }
                    }
                }
                for i in 0..width {
                    let t = target[sample + i];
                    if t != self.ignore {
                        let at = at + t as usize * inner + i;
                        // SAFETY: as above.
                        let d = unsafe { dx.part(at..at + 1) };
                        d[0] = d[0] - T::rounded(sharp * of_class(t as usize)) * scales[i];
                    }
                }
            },
        )
    }

    /// Runs `tile(lanes, first sample, its first element, samples)` on each sample, or on samples side by side.
    fn tiles(&self, samples: usize, tile: impl Fn(Lanes, usize, usize, usize) + Sync) -> Result<()> {
        let (n, inner) = (self.classes, self.inner);
        if samples == 0 {
            return Ok(());
        }
        let across = inner.div_ceil(COLUMNS);
        let grain = (GRAIN / (n * inner.min(COLUMNS)).max(1)).max(1);
        pool::ranges(samples / inner * across, grain, &|range| {
            vectorize(
                #[inline(always)]
                |lanes| {
                    for task in range {
                        let (outer, first) = (task / across, task % across * COLUMNS);
                        tile(lanes, outer * inner + first, outer * n * inner + first, COLUMNS.min(inner - first));
                    }
                },
            );
        })
    }

    #[inline(always)]
    fn log_sums<T: Summed + Real>(&self, lanes: Lanes, x: &[T], logs: &mut [T]) {
        if self.inner == 1 {
            let row = &x[..self.classes];
            let top = top(row);
            let (mut powers, mut total) = ([T::zero(); COLUMNS], 0f64);
            for part in row.chunks(COLUMNS) {
                for (p, &x) in powers.iter_mut().zip(part) {
                    *p = lanes.exp_nonpositive(x - top);
                }
                total += sum_of(&powers[..part.len()], |p| p);
            }
            logs[0] = T::rounded(total.ln() + top.into());
            return;
        }
        let width = logs.len();
        let (mut tops, mut totals) = ([T::neg_infinity(); COLUMNS], [0f64; COLUMNS]);
        for c in 0..self.classes {
            for (t, &x) in tops[..width].iter_mut().zip(&x[c * self.inner..]) {
                *t = if x > *t { x } else { *t };
            }
        }
        for c in 0..self.classes {
            for ((s, &x), &t) in totals[..width].iter_mut().zip(&x[c * self.inner..]).zip(&tops) {
                *s += lanes.exp_nonpositive(x - t).into();
            }
        }
        for ((l, s), t) in logs.iter_mut().zip(totals).zip(tops) {
            *l = T::rounded(s.ln() + t.into());
        }
    }
}
