//! Channels that are normalised over the batch: batch normalisation.
use super::super::accumulate::{Moments, Summed};
use super::super::pool::{self, Parts};
use super::super::reduce::column_moments;
use super::super::simd::vectorize;
use super::back::{self, Parameters, Row};
use super::{GRAIN, Gradients};
use crate::error::Result;

/// Channels side by side, where each has one element a sample.
const COLUMNS: usize = 64;

/// A batch of `channels` channels of `inner` elements each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channels {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
}

impl Channels {
    fn tasks(&self, work: &(dyn Fn(std::ops::Range<usize>) + Sync)) -> Result<()> {
        let grain = (GRAIN / (self.batch * self.inner).max(1)).max(1);
        pool::ranges(self.channels, if self.inner == 1 { grain.max(COLUMNS) } else { grain }, work)
    }
    fn segment(&self, sample: usize, channel: usize) -> std::ops::Range<usize> {
        let at = (sample * self.channels + channel) * self.inner;
        at..at + self.inner
    }

    /// The mean of each channel, and its variance over all elements.
    pub fn statistics<T: Summed>(&self, x: &[T], means: &mut [T], variances: &mut [T]) -> Result<()> {
        let count = (self.batch * self.inner) as f64;
        let (means, variances) = (Parts::new(means), Parts::new(variances));
        let write = |c: usize, m: Moments| {
            // SAFETY: each channel belongs to one task.
            let (mean, variance) = unsafe { (means.part(c..c + 1), variances.part(c..c + 1)) };
            (mean[0], variance[0]) = (T::rounded(m.mean), T::rounded(m.squares / count));
        };
        self.tasks(&|range| {
            if self.inner == 1 {
                for first in range.clone().step_by(COLUMNS) {
                    let width = COLUMNS.min(range.end - first);
                    let mut found = [Moments::default(); COLUMNS];
                    let row = |k: usize| &x[k * self.channels + first..][..width];
                    column_moments(self.batch, &row, &mut found[..width]);
                    found[..width].iter().enumerate().for_each(|(i, &m)| write(first + i, m));
                }
                return;
            }
            for c in range {
                write(c, self.channel(x, c));
            }
        })
    }

    fn channel<T: Summed>(&self, x: &[T], c: usize) -> Moments {
        const ROOM: usize = 1024;
        let of = |run: &[T]| {
            vectorize(
                #[inline(always)]
                |lanes| Moments::exact(lanes, run),
            )
        };
        let (mut all, mut buffer, mut held) = (Moments::default(), [T::zero(); ROOM], 0);
        for sample in 0..self.batch {
            let run = &x[self.segment(sample, c)];
            if run.len() >= ROOM / 4 {
                all = all.merged(of(run));
                continue;
            }
            if held + run.len() > ROOM {
                all = all.merged(of(&buffer[..held]));
                held = 0;
            }
            buffer[held..held + run.len()].copy_from_slice(run);
            held += run.len();
        }
        if held > 0 { all.merged(of(&buffer[..held])) } else { all }
    }

    /// `(x - mean) scale + bias`, each of its channel.
    pub fn apply<T: Summed>(
        &self,
        x: &[T],
        means: &[T],
        scales: &[T],
        biases: Option<&[T]>,
        out: &mut [T],
    ) -> Result<()> {
        let (c, inner) = (self.channels, self.inner);
        if x.is_empty() {
            return Ok(());
        }
        let out = Parts::new(out);
        let unit = if inner == 1 { c } else { inner };
        pool::ranges(x.len() / unit, (GRAIN / unit).max(1), &|range| {
            // SAFETY: each segment belongs to one task.
            let to = unsafe { out.part(range.start * unit..range.end * unit) };
            let x = &x[range.start * unit..range.end * unit];
            vectorize(
                #[inline(always)]
                |_| {
                    for (i, (y, x)) in to.chunks_exact_mut(unit).zip(x.chunks_exact(unit)).enumerate() {
                        if inner == 1 {
                            for (((y, &x), &m), &s) in y.iter_mut().zip(x).zip(means).zip(scales) {
                                *y = (x - m) * s;
                            }
                            if let Some(b) = biases {
                                for (y, &b) in y.iter_mut().zip(b) {
                                    *y = *y + b;
                                }
                            }
                            continue;
                        }
                        let channel = (range.start + i) % c;
                        let (m, s) = (means[channel], scales[channel]);
                        let b = biases.map_or(T::zero(), |b| b[channel]);
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y = (x - m) * s + b;
                        }
                    }
                },
            );
        })
    }

    /// The way back, from the statistics and the factor `1 / sqrt(variance + eps)` of each channel; `fixed` where the
    /// statistics did not come from the input.
    pub fn backward<T: Summed>(
        &self,
        [g, x, means, scales]: [&[T]; 4],
        weight: Option<&[T]>,
        fixed: bool,
        gradients: Gradients<T>,
    ) -> Result<()> {
        let Gradients { input, weight: dw, bias: db } = gradients;
        let count = (self.batch * self.inner) as f64;
        let dx = Parts::new(input);
        let mut sums = vec![[0f64; 2]; self.channels];
        let parts = Parts::new(&mut sums);
        self.tasks(&|range| {
            // SAFETY: each channel belongs to one task.
            let sums = unsafe { parts.part(range.clone()) };
            if self.inner == 1 {
                self.sum_columns([g, x, means, scales], range.clone(), sums);
            } else {
                for (sum, c) in sums.iter_mut().zip(range.clone()) {
                    let (m, s) = (means[c], scales[c]);
                    let factor: f64 = s.into();
                    vectorize(
                        #[inline(always)]
                        |lanes| {
                            for sample in 0..self.batch {
                                let at = self.segment(sample, c);
                                let row = [Row { g: &g[at.clone()], x: &x[at], mean: m, scale: s }];
                                let none = &mut Parameters { weight: &[], dw: &mut [], db: &mut [] };
                                let [[level, along]] = back::sums::<T, f64, 1, false>(lanes, &row, none);
                                sum[0] += along * factor;
                                sum[1] += level;
                            }
                        },
                    );
                }
            }
            // Both runs over a channel in one task: the second is from the cache.
            let (mut factors, mut slopes, mut levels) =
                ([T::zero(); COLUMNS], [T::zero(); COLUMNS], [T::zero(); COLUMNS]);
            for (part, first) in sums.chunks(COLUMNS).zip(range.clone().step_by(COLUMNS)) {
                for (i, sum) in part.iter().enumerate() {
                    let c = first + i;
                    factors[i] = weight.map_or(scales[c], |w| w[c] * scales[c]);
                    let share = if fixed { 0.0 } else { 1.0 / count };
                    slopes[i] = scales[c] * T::rounded(sum[0] * share);
                    levels[i] = T::rounded(sum[1] * share);
                }
                for sample in 0..self.batch {
                    if self.inner == 1 {
                        let at = sample * self.channels + first;
                        let at = at..at + part.len();
                        // SAFETY: each channel belongs to one task.
                        let dx = unsafe { dx.part(at.clone()) };
                        let m = &means[first..first + part.len()];
                        for (i, d) in dx.iter_mut().enumerate() {
                            let (g, x) = (g[at.start + i], x[at.start + i]);
                            *d = (g - levels[i] - (x - m[i]) * slopes[i]) * factors[i];
                        }
                        continue;
                    }
                    for i in 0..part.len() {
                        let at = self.segment(sample, first + i);
                        // SAFETY: as above.
                        let dx = unsafe { dx.part(at.clone()) };
                        let row = Row { g: &g[at.clone()], x: &x[at], mean: means[first + i], scale: factors[i] };
                        vectorize(
                            #[inline(always)]
                            |lanes| back::input::<T, false>(lanes, row, &[], levels[i], slopes[i], dx),
                        );
                    }
                }
            }
        })?;
        for (to, k) in [(dw, 0), (db, 1)] {
            let Some(to) = to else { continue };
            to.iter_mut().zip(&sums).for_each(|(to, sum)| *to = T::rounded(sum[k]));
        }
        Ok(())
    }

    fn sum_columns<T: Summed>(&self, of: [&[T]; 4], range: std::ops::Range<usize>, sums: &mut [[f64; 2]]) {
        let [g, x, means, scales] = of;
        for (part, first) in sums.chunks_mut(COLUMNS).zip(range.step_by(COLUMNS)) {
            let width = part.len();
            let (m, s) = (&means[first..first + width], &scales[first..first + width]);
            for start in (0..self.batch).step_by(64) {
                let (mut along, mut level) = ([T::zero(); COLUMNS], [T::zero(); COLUMNS]);
                vectorize(
                    #[inline(always)]
                    |_| {
                        for sample in start..self.batch.min(start + 64) {
                            let at = sample * self.channels + first;
                            let (g, x) = (&g[at..at + width], &x[at..at + width]);
                            for i in 0..width {
                                along[i] = along[i] + g[i] * ((x[i] - m[i]) * s[i]);
                                level[i] = level[i] + g[i];
                            }
                        }
                    },
                );
                for i in 0..width {
                    part[i][0] += along[i].into();
                    part[i][1] += level[i].into();
                }
            }
        }
    }
}
