//! Convolution with 3x3 kernels of stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray, 2016), forward and both ways back.
//!
//! A tile of 4x4 outputs reads 6x6 inputs; transformed, it is 36 products instead of 144, and over channels each of the
//! 36 is a matrix product. Interpolation is at 0, +-1/sqrt(2), +-sqrt(2) and infinity, which are better conditioned than
//! the whole numbers. All is float32; errors are some units in the last place more than those of a plain sum, and a NaN
//! or an infinity reaches all outputs of the tiles that read it.

mod apply;
mod points;
mod tiles;
mod weights;

pub(super) use apply::{backward_input, forward};
pub(super) use weights::backward_weight;

use super::Conv2d;
use std::sync::atomic::{AtomicBool, Ordering};

/// Values of a transformed tile.
const POINTS: usize = 36;
/// Outputs of a tile down and across, and inputs.
const SIDE: usize = 4;
const REACH: usize = 6;
/// Bytes of transformed tiles that stay in L2 beside what they are multiplied with.
const TILE_BYTES: usize = 400 << 10;

static ON: AtomicBool = AtomicBool::new(true);

/// Whether convolutions of float32 may go through Winograd's transforms.
pub fn winograd() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Allows Winograd's transforms in convolutions of float32 (the default), or takes plain sums always.
pub fn set_winograd(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// Whether the transforms pay for themselves: tiles enough for the transformed weights, channels enough for the products.
pub(super) fn pays(c: &Conv2d) -> bool {
    winograd()
        && c.kernel == [3, 3]
        && [c.stride, c.dilation] == [[1, 1]; 2]
        && c.groups == 1
        && c.padding.iter().all(|&p| p <= 2)
        && c.in_channels.min(c.out_channels) >= 16
        && c.output.iter().chain(&c.input).all(|&n| n >= 6)
        && c.batch * c.output[0].div_ceil(SIDE) * c.output[1].div_ceil(SIDE) >= 48
}

/// The tiles of all images: rows of tiles are numbered image after image.
#[derive(Clone, Copy)]
struct Tiling {
    down: usize,
    across: usize,
    rows: usize,
}

impl Tiling {
    fn new(batch: usize, output: [usize; 2]) -> Self {
        let down = output[0].div_ceil(SIDE);
        Tiling { down, across: output[1].div_ceil(SIDE), rows: batch * down }
    }

    /// How many rows of tiles go together, so that their values of so many channels fit into `TILE_BYTES`.
    fn together(&self, channels: usize) -> usize {
        let tiles = (TILE_BYTES / (POINTS * channels * size_of::<f32>())).clamp(14, 56);
        (tiles / self.across).clamp(1, self.rows)
    }
}
