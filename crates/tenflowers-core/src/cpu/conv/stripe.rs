//! A stripe of an image, copied with its padding so that every tap of every output is at a fixed distance.

use super::Conv2d;
use crate::cpu::gemm::lanes::{Float, Lanes};
use crate::error::Result;
use std::ops::Range;

/// Elements behind a buffer that vectors may reach: the widest tile is 8 vectors of 16.
pub(super) const SLACK: usize = 128;

/// One direction of a convolution: output `t` of a grid reads, for each tap, the padded position
/// `(t + offset) * stride + phase`.
#[derive(Clone)]
pub(super) struct Axis {
    /// Positions of the source.
    pub source: usize,
    /// Where the source begins among the padded positions; negative if its first ones are not read.
    pub pad: isize,
    pub stride: usize,
    /// Outputs.
    pub grid: usize,
    /// Positions of the target, and how many of them, one after the other, each output of the grid stands for.
    pub target: usize,
    pub spread: usize,
    /// The remainders of padded positions that taps read; each gets a plane of its own, without the others between.
    pub phases: Vec<usize>,
    pub taps: Vec<Tap>,
}

#[derive(Clone, Copy)]
pub(super) struct Tap {
    /// Its place in the kernel.
    pub kernel: usize,
    /// Which of the phases it reads.
    pub phase: usize,
    pub offset: usize,
    /// Which of the output's positions in the target it goes to.
    pub to: usize,
}

impl Axis {
    /// As the convolution reads x.
    pub fn forward(c: &Conv2d, axis: usize) -> Axis {
        let stride = c.stride[axis];
        let mut phases = Vec::new();
        let taps = (0..c.kernel[axis]).map(|kernel| {
            let at = kernel * c.dilation[axis];
            let phase = phases.iter().position(|&p| p == at % stride).unwrap_or_else(|| {
                phases.push(at % stride);
                phases.len() - 1
            });
            Tap { kernel, phase, offset: at / stride, to: 0 }
        });
        let (taps, grid) = (taps.collect(), c.output[axis]);
        let (source, pad) = (c.input[axis], c.padding[axis] as isize);
        Axis { source, pad, stride, grid, target: grid, spread: 1, phases, taps }
    }

    /// As dx reads dy: `dx[stride * t + to]` is a sum over the taps that have met it, of dy at `t` plus a constant.
    pub fn backward(c: &Conv2d, axis: usize) -> Axis {
        let (target, spread) = (c.input[axis], c.stride[axis]);
        let met = (0..c.kernel[axis]).filter_map(|kernel| {
            let reach = c.padding[axis] as isize - (kernel * c.dilation[axis]) as isize;
            let to = (-reach).rem_euclid(spread as isize);
            ((to as usize) < target).then_some((kernel, (to + reach) / spread as isize, to as usize))
        });
        let lowest = met.clone().map(|(_, at, _)| at).min().unwrap_or(0);
        let taps = met.map(|(kernel, at, to)| Tap { kernel, phase: 0, offset: (at - lowest) as usize, to });
        Axis {
            source: c.output[axis],
            pad: -lowest,
            stride: 1,
            grid: target.div_ceil(spread),
            target,
            spread,
            phases: vec![0],
            taps: taps.collect(),
        }
    }

    /// What goes to position `to` of each output alone.
    pub fn only(&self, to: usize) -> Axis {
        let taps = self.taps.iter().filter(|tap| tap.to == to).copied().collect();
        Axis { grid: self.target.saturating_sub(to).div_ceil(self.spread), taps, ..self.clone() }
    }

    /// How many places the taps of one output read, some of them perhaps for several positions of the target.
    pub fn reads(&self) -> usize {
        let place = |tap: &Tap| (tap.phase, tap.offset);
        let first =
            |(i, tap): &(usize, &Tap)| self.taps.iter().position(|other| place(other) == place(tap)) == Some(*i);
        self.taps.iter().enumerate().filter(first).count()
    }

    /// How many padded positions of a phase lie beyond the last output's.
    pub fn reach(&self) -> usize {
        self.taps.iter().map(|t| t.offset).max().unwrap_or(0)
    }

    /// Which of `count` positions of a phase from number `first` on are not padding, and where in the source the first
    /// of them is.
    fn inside(&self, phase: usize, first: usize, count: usize) -> (Range<usize>, usize) {
        let begin = self.pad - (phase + first * self.stride) as isize;
        let low = (begin.max(0) as usize).div_ceil(self.stride).min(count);
        let high = ((begin + self.source as isize).max(0) as usize).div_ceil(self.stride).clamp(low, count);
        (low..high, ((low * self.stride) as isize - begin) as usize)
    }
}

/// How a stripe of some channels lies in its buffer: `[channel][row phase][column phase][row][column]`.
pub(super) struct Stripe<'a> {
    pub axes: &'a [Axis; 2],
    /// Rows of the grid, at most.
    pub rows: usize,
    /// From one row of the buffer to the next.
    pub pitch: usize,
    /// For each column phase the columns that are not padding, and where in the source the first of them is.
    columns: Vec<(Range<usize>, usize)>,
}

impl<'a> Stripe<'a> {
    /// The rows of the grid, up to `most`, for which `channels` channels fit into `room` elements; one at least.
    pub fn fit(axes: &'a [Axis; 2], channels: usize, room: usize, most: usize) -> Self {
        let pitch = axes[1].grid + axes[1].reach();
        let line = channels * axes[0].phases.len() * axes[1].phases.len() * pitch;
        let rows = (room / line).saturating_sub(axes[0].reach()).min(most).clamp(1, axes[0].grid);
        // Stripes of equal height rather than a thin last one.
        let rows = axes[0].grid.div_ceil(axes[0].grid.div_ceil(rows));
        let columns = axes[1].phases.iter().map(|&phase| axes[1].inside(phase, 0, pitch));
        Stripe { axes, rows, pitch, columns: columns.collect() }
    }

    /// The rows of the grid in each stripe.
    pub fn bands(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, grid) = (self.rows, self.axes[0].grid);
        (0..grid).step_by(rows).map(move |t| t..grid.min(t + rows))
    }

    fn plane(&self) -> usize {
        (self.rows + self.axes[0].reach()) * self.pitch
    }

    /// Elements of one channel.
    pub fn channel(&self) -> usize {
        self.axes[0].phases.len() * self.axes[1].phases.len() * self.plane()
    }

    /// Elements of the buffer; the tile may read `slack` beyond the last output.
    pub fn size(&self, channels: usize, slack: usize) -> usize {
        channels * self.channel() + slack
    }

    /// Where each (channel, tap) of the first output stands.
    pub fn offsets(&self, channels: usize) -> Vec<isize> {
        let taps = self.axes[0].taps.iter().flat_map(|i| self.axes[1].taps.iter().map(move |j| (i, j)));
        (0..channels).flat_map(|channel| taps.clone().map(move |(i, j)| self.offset(channel, i, j))).collect()
    }

    /// Where the tap at `i` down and `j` across of a channel stands for the first output.
    pub fn offset(&self, channel: usize, i: &Tap, j: &Tap) -> isize {
        let plane = i.phase * self.axes[1].phases.len() + j.phase;
        (channel * self.channel() + plane * self.plane() + i.offset * self.pitch + j.offset) as isize
    }

    /// Fills the buffer for grid rows from `first` on; `source` holds the channels' planes one after the other. Zeros
    /// are written behind it, `slack` of them: `SLACK`, or 0 if another buffer follows that is filled after this one.
    ///
    /// # Safety
    /// The instruction set of `V`; the planes can be read, and as many elements as `size` says written, `SLACK` more
    /// than that if `slack` is 0.
    #[inline(always)]
    pub unsafe fn fill<V: Lanes>(
        &self,
        source: *const V::Elem,
        channels: usize,
        first: usize,
        buffer: *mut V::Elem,
        slack: usize,
    ) {
        let [vertical, horizontal] = self.axes;
        let rows = self.plane() / self.pitch;
        let mut to = buffer;
        // SAFETY: `to` runs through the buffer once, and `inside` gives positions of the source only. Vectors that reach
        // beyond a row are written over by the next, or by the zeros behind the last.
        unsafe {
            for channel in 0..channels {
                for &phase in &vertical.phases {
                    let (lines, y) = vertical.inside(phase, first, rows);
                    let from = source.add((channel * vertical.source + y) * horizontal.source);
                    let step = vertical.stride * horizontal.source;
                    for (columns, x) in &self.columns {
                        if columns.is_empty() {
                            zeros::<V>(to, self.plane());
                            to = to.add(self.plane());
                            continue;
                        }
                        zeros::<V>(to, lines.start * self.pitch);
                        to = to.add(lines.start * self.pitch);
                        let mut from = from.wrapping_add(*x);
                        for _ in lines.clone() {
                            zeros::<V>(to, columns.start);
                            let done = copy::<V>(from, horizontal.stride, to.add(columns.start), columns.len());
                            let done = columns.start + done;
                            zeros::<V>(to.add(done), self.pitch.saturating_sub(done));
                            to = to.add(self.pitch);
                            from = from.wrapping_add(step);
                        }
                        zeros::<V>(to, (rows - lines.end) * self.pitch);
                        to = to.add((rows - lines.end) * self.pitch);
                    }
                }
            }
            zeros::<V>(to, slack);
        }
    }
}

/// Writes `n` zeros and up to a vector more.
#[inline(always)]
unsafe fn zeros<V: Lanes>(to: *mut V::Elem, n: usize) {
    // SAFETY: the caller's word.
    unsafe {
        // Mostly one vector, for which a call of `memset`, as which a loop is compiled, is much.
        if n > 0 {
            V::splat(V::Elem::ZERO).store(to);
        }
        for i in (V::LANES..n).step_by(V::LANES) {
            V::splat(V::Elem::ZERO).store(to.add(i));
        }
    }
}

/// `to[i] = from[i * stride]` for `i` below `n`, and zeros up to the number that it returns.
#[inline(always)]
unsafe fn copy<V: Lanes>(from: *const V::Elem, stride: usize, to: *mut V::Elem, n: usize) -> usize {
    // SAFETY: the caller's word.
    unsafe {
        match stride {
            1 => {
                let whole = n / V::LANES * V::LANES;
                for i in (0..whole).step_by(V::LANES) {
                    V::load(from.add(i)).store(to.add(i));
                }
                if whole < n {
                    V::load_first(from.add(whole), n - whole).store(to.add(whole));
                }
                return n.next_multiple_of(V::LANES);
            }
            2 => {
                // Every second one of arrays, which LLVM makes shuffles of.
                let whole = n / 16 * 16;
                for i in (0..whole).step_by(16) {
                    // The second ends with the last one that is wanted: what follows may not be there.
                    let (a, b) = (from.add(2 * i), from.add(2 * i + 15));
                    let a = a.cast::<[V::Elem; 16]>().read_unaligned();
                    let b = b.cast::<[V::Elem; 16]>().read_unaligned();
                    let mut even = [V::Elem::ZERO; 16];
                    for j in 0..8 {
                        (even[j], even[8 + j]) = (a[2 * j], b[2 * j + 1]);
                    }
                    to.add(i).cast::<[V::Elem; 16]>().write_unaligned(even);
                }
                if whole < n {
                    let mut pairs = [V::Elem::ZERO; 32];
                    for v in (0..32).step_by(V::LANES) {
                        let left = (2 * (n - whole) - 1).saturating_sub(v).min(V::LANES);
                        V::load_first(from.wrapping_add(2 * whole + v), left).store(pairs.as_mut_ptr().add(v));
                    }
                    let mut even = [V::Elem::ZERO; 16];
                    for (j, even) in even.iter_mut().enumerate() {
                        *even = pairs[2 * j];
                    }
                    to.add(whole).cast::<[V::Elem; 16]>().write_unaligned(even);
                }
                return n.next_multiple_of(16);
            }
            s => (0..n).for_each(|i| *to.add(i) = *from.add(s * i)),
        }
    }
    n
}

/// How many of `channels` a buffer takes at a time, given the taps of each.
pub(super) fn channels_at_once(channels: usize, taps: usize, limit: usize) -> usize {
    let most = (limit / taps.max(1)).clamp(1, channels);
    channels.div_ceil(channels.div_ceil(most))
}

/// Notes what ran out inside a parallel region.
pub(super) fn noting(outcome: &crate::cpu::gemm::Outcome, done: Result<()>) {
    if let Err(e) = done {
        outcome.note(e);
    }
}
