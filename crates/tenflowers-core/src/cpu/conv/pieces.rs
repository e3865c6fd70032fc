//! The outputs of a tile as pieces of rows of the grid, and how they are read.

use super::region::Region;
use crate::cpu::gemm::lanes::{Float, Lanes};

/// Gathering for a tile costs about as much as its sums for so many target channels.
const GATHERED: usize = 10;
/// The most elements of a row of the tile.
pub(super) const WIDTH: usize = 32;

/// How the vectors of a tile are read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reading {
    /// From panels, where outputs were gathered.
    Panels,
    /// Where they are, each from one row of the grid.
    Vectors,
    /// Where they are, the last of a tile with its halves from the ends of two rows if need be.
    Halves,
}

impl Reading {
    /// What the places of a row of the grid are a multiple of.
    pub(super) fn unit<V: Lanes>(self) -> usize {
        match self {
            Reading::Panels => 1,
            Reading::Vectors => V::LANES,
            Reading::Halves => V::LANES / 2,
        }
    }
}

/// The outputs of a tile, as pieces of rows of the grid.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    pub(super) count: usize,
    /// Places of the tile that are taken.
    pub(super) width: usize,
    /// Read in place, there is one for each vector, and behind those one for the upper half of the last.
    pub(super) pieces: [Piece; WIDTH],
    /// Whether the last vector has halves.
    pub(super) halves: bool,
}

impl Pieces {
    pub(super) const NONE: Pieces = {
        let piece = Piece { at: 0, outputs: 0, from: 0, to: 0, room: [0; 2] };
        Pieces { count: 0, width: 0, pieces: [piece; WIDTH], halves: false }
    };

    fn add(&mut self, piece: Piece) {
        self.pieces[self.count] = piece;
        self.count += 1;
    }
}

#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// Where it begins in the tile.
    pub(super) at: usize,
    pub(super) outputs: usize,
    /// Where the first output reads its first term, and where its first position stands in the first target channel.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Positions of the target from there on, down and across.
    pub(super) room: [usize; 2],
}

impl<T: Float> Region<'_, T> {
    /// Vectors are read where they are, those at the ends of rows with lanes that come to nothing, where that costs less
    /// than to gather what whole ones read.
    #[inline(always)]
    pub(super) fn reading<V: Lanes<Elem = T>>(&self) -> Reading {
        let grid = self.pass.axes[1].grid;
        let rest = grid % V::LANES;
        let halves = V::HALVES && V::NV == 2 && grid > V::LANES && rest > 0 && rest <= V::LANES / 2;
        let reading = if halves { Reading::Halves } else { Reading::Vectors };
        let idle = grid.next_multiple_of(reading.unit::<V>()) - grid;
        if idle * self.pass.to <= GATHERED * grid { reading } else { Reading::Panels }
    }

    /// Cuts the tile that begins at place `at` into pieces; a row of the grid takes `row` places.
    #[inline(always)]
    pub(super) fn cut<V: Lanes<Elem = T>>(&self, at: usize, places: usize, row: usize, result: &mut Pieces) {
        (result.count, result.width) = (0, (V::NV * V::LANES).min(places - at));
        result.halves = false;
        if self.reading::<V>() == Reading::Halves {
            return self.cut_pairs::<V>(at, places / row, row, result);
        }
        let longest = if self.reading::<V>() == Reading::Vectors { V::LANES } else { WIDTH };
        let (mut line, mut column, mut done) = (at / row, at % row, 0);
        while done < result.width {
            let n = (result.width - done).min(row - column).min(longest);
            result.add(self.piece(done, line, column, n));
            done += n;
            column += n;
            if column == row {
                (line, column) = (line + 1, 0);
            }
        }
    }

    /// As `cut`: of two rows of the grid, which have an odd number of vectors together, the one that both have a half of
    /// stands where it is the last of a tile of two.
    #[inline(always)]
    fn cut_pairs<V: Lanes<Elem = T>>(&self, at: usize, lines: usize, row: usize, result: &mut Pieces) {
        let (whole, half) = (row / V::LANES, V::LANES / 2);
        let mut upper = None;
        for v in 0..result.width.div_ceil(V::LANES) {
            let number = at / V::LANES + v;
            let (line, number) = (number / (2 * whole + 1) * 2, number % (2 * whole + 1));
            let shared = 1 - line / 2 % 2;
            if number == shared {
                result.add(self.piece(v * V::LANES, line, whole * V::LANES, half));
                let there = line + 1 < lines;
                let other = self.piece(v * V::LANES + half, line + usize::from(there), whole * V::LANES, half);
                upper = Some(Piece { outputs: if there { other.outputs } else { 0 }, ..other });
            } else {
                let number = number - usize::from(number > shared);
                let (line, column) = (line + number / whole, number % whole * V::LANES);
                result.add(self.piece(v * V::LANES, line, column, V::LANES));
            }
        }
        if let Some(upper) = upper {
            result.add(upper);
            result.halves = true;
        }
    }

    /// `n` places at place `at` of a tile, for the outputs of a line of the images' bands from `column` on.
    #[inline(always)]
    fn piece(&self, at: usize, line: usize, column: usize, n: usize) -> Piece {
        let pass = self.pass;
        let ([down, across], steps) = (pass.axes, pass.steps());
        let (slot, in_band) = (line / self.band.len(), line % self.band.len());
        let plane = ((self.images.start + slot) * pass.groups + self.group) * pass.to;
        let start = self.band.start + in_band;
        Piece {
            at,
            outputs: n.min(across.grid - column),
            from: slot * self.stripe.size(self.channels, 0) + in_band * self.stripe.pitch + column,
            to: plane * pass.target_plane() + start * steps[0] + column * steps[1],
            room: [down.target - start * down.spread, across.target - column * across.spread],
        }
    }
}
