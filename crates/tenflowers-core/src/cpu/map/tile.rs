//! Operands whose memory runs along another dimension than the output's: tiles, so that cache lines are used whole.
use super::super::transpose;
use super::super::walk::Walk;
use super::drive::{BLOCK, Buffers, INPUTS, Operand, Pass, Rows, Run, are_direct};
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Elements of a tile along the output's memory.
const WIDTH: usize = 256;
/// Bytes of a tile along the operand's memory: two lines of the cache, since most of one is in two.
const DEPTH: usize = 128;

/// A plane of two dimensions of the walk, repeated over the others.
pub(super) struct Tiles<'a, 'b> {
    pass: &'a Pass<'b>,
    outer: Walk,
    /// The dimension along which some operands have their memory, and the output's.
    rows: usize,
    columns: usize,
    row_steps: SmallVec<[isize; 4]>,
    column_steps: SmallVec<[isize; 4]>,
    depth: usize,
    panels: usize,
}

impl<'a, 'b> Tiles<'a, 'b> {
    /// Where an input goes along another dimension and both are long enough.
    pub fn new(walk: &Walk, pass: &'a Pass<'b>) -> Option<Self> {
        let (shape, inner) = (walk.shape(), walk.inner());
        let last = shape.len() - 1;
        if shape[last] < 16 || inner[0] != 1 {
            return None;
        }
        let dimension = (1..=pass.ins.len()).find_map(|k| {
            let crosswise = inner[k] != 0 && inner[k] != 1 && pass.ins[k - 1].size <= 8;
            let d = crosswise.then(|| (0..last).find(|&d| walk.step(d, k) == 1 && shape[d] >= 8))?;
            d.map(|d| (d, pass.ins[k - 1].size))
        });
        let (d, size) = dimension?;
        let operands = pass.ins.len() + 1;
        let steps = |d: usize| (0..operands).map(|k| walk.step(d, k)).collect::<SmallVec<[isize; 4]>>();
        let depth = DEPTH / size;
        Some(Tiles {
            pass,
            rows: shape[d],
            columns: shape[last],
            row_steps: steps(d),
            column_steps: steps(last),
            outer: walk.without(&[d, last]),
            depth,
            panels: shape[d].div_ceil(depth),
        })
    }

    /// Parts that can be done by different threads.
    pub fn tasks(&self) -> usize {
        self.outer.numel() * self.panels
    }

    /// # Safety
    /// As `drive`.
    pub unsafe fn run(&self, task: usize) {
        let (plane, panel) = (task / self.panels, task % self.panels);
        let mut buffers: Buffers = [const { MaybeUninit::uninit() }; _];
        let mut tiles: [MaybeUninit<Tile>; 2] = [const { MaybeUninit::uninit() }; 2];
        let first = panel * self.depth;
        let depth = self.depth.min(self.rows - first);
        self.outer.run(plane..plane + 1, &mut |at, _, _| {
            for column in (0..self.columns).step_by(WIDTH) {
                let width = WIDTH.min(self.columns - column);
                let place = |k: usize, x: &Operand, row: usize| {
                    let row = (first + row) as isize * self.row_steps[k];
                    let index = at[k] + row + column as isize * self.column_steps[k];
                    (x.at as *mut u8).wrapping_offset(index * x.size as isize)
                };
                let ins = &self.pass.ins;
                // The first two that lie across are turned.
                let mut turned: [Option<*const u8>; INPUTS] = [None; INPUTS];
                let mut used = 0;
                let mut steps = self.column_steps.clone();
                for (i, x) in ins.iter().enumerate() {
                    let k = i + 1;
                    if self.row_steps[k] == 1 && !matches!(self.column_steps[k], 0 | 1) && x.size <= 8 && used < 2 {
                        let tile = tiles[used].as_mut_ptr().cast::<u8>();
                        used += 1;
                        let from = (place(k, x, 0).cast_const(), self.column_steps[k]);
                        // SAFETY: the tile is within the operand, and has room in the buffer.
                        unsafe { transpose::block(x.size, from, (tile, WIDTH), (width, depth), 0) };
                        (turned[i], steps[k]) = (Some(tile.cast_const()), 1);
                    }
                }
                if are_direct(ins, &self.pass.to, &steps, self.pass.block) {
                    let mut runs = [Run::NONE; INPUTS];
                    for (i, x) in ins.iter().enumerate() {
                        runs[i] = match turned[i] {
                            Some(at) => Run { at, fixed: false, next: (WIDTH * x.size) as isize },
                            None => {
                                let next = self.row_steps[i + 1] * x.size as isize;
                                Run { at: place(i + 1, x, 0), fixed: steps[i + 1] == 0, next }
                            }
                        };
                    }
                    let (to, next) = (&self.pass.to, self.row_steps[0] * self.pass.to.size as isize);
                    let rows = Rows { at: place(0, to, 0), len: width, count: depth, next };
                    (self.pass.block.run)(&runs[..ins.len()], &rows);
                    continue;
                }
                for row in 0..depth {
                    let mut runs = [(std::ptr::null::<u8>(), 0); INPUTS];
                    for (i, x) in ins.iter().enumerate() {
                        runs[i] = match turned[i] {
                            Some(tile) => (tile.wrapping_add(row * WIDTH * x.size), 1),
                            None => (place(i + 1, x, row).cast_const(), steps[i + 1]),
                        };
                    }
                    let to = (place(0, &self.pass.to, row), steps[0]);
                    // SAFETY: the rows are within the operands.
                    unsafe { self.pass.row(&runs[..ins.len()], to, width, &mut buffers) };
                }
            }
        });
    }
}

/// Room for a tile of any size of elements.
#[repr(align(64))]
struct Tile {
    _bytes: [u8; WIDTH * DEPTH],
}
const _: () = assert!(WIDTH <= BLOCK);
