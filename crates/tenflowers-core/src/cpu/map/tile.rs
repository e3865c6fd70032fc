//! Operands whose memory runs along another dimension than the output's: tiles, so that cache lines are used whole.
use super::super::gemm::lanes::{self, Lanes as Vector, Task};
use super::super::simd::isa;
use super::super::walk::Walk;
use super::drive::{BLOCK, Buffers, Operand, Pass};
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Elements of a tile along the output's memory.
const WIDTH: usize = 256;
/// Bytes of a tile along the operand's memory: a cache line.
const DEPTH: usize = 64;

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
                let mut turned: [Option<*const u8>; 3] = [None; 3];
                let mut used = 0;
                for (i, x) in ins.iter().enumerate() {
                    let k = i + 1;
                    if self.row_steps[k] == 1 && !matches!(self.column_steps[k], 0 | 1) && x.size <= 8 && used < 2 {
                        let tile = tiles[used].as_mut_ptr().cast::<u8>();
                        used += 1;
                        // SAFETY: the tile is within the operand, and has room in the buffer.
                        unsafe { turn(x.size, place(k, x, 0), self.column_steps[k], tile, depth, width) };
                        turned[i] = Some(tile);
                    }
                }
                for row in 0..depth {
                    let mut runs = [(std::ptr::null::<u8>(), 0); 3];
                    for (i, x) in ins.iter().enumerate() {
                        runs[i] = match turned[i] {
                            Some(tile) => (tile.wrapping_add(row * WIDTH * x.size), 1),
                            None => (place(i + 1, x, row).cast_const(), self.column_steps[i + 1]),
                        };
                    }
                    let to = (place(0, &self.pass.to, row), self.column_steps[0]);
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

/// `to[i][j] = from[j * step + i]` for `i < depth` and `j < width`; rows of `to` are `WIDTH` long.
///
/// # Safety
/// All of them are there.
unsafe fn turn(size: usize, from: *const u8, step: isize, to: *mut u8, depth: usize, width: usize) {
    unsafe fn each<T: Copy>(
        from: *const T,
        step: isize,
        to: *mut T,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) {
        for j in columns {
            for i in rows.clone() {
                // SAFETY: the caller's word.
                unsafe { to.add(i * WIDTH + j).write(*from.offset(j as isize * step + i as isize)) };
            }
        }
    }
    struct Turn<T> {
        from: *const T,
        step: isize,
        to: *mut T,
        depth: usize,
        width: usize,
    }
    impl<T: lanes::Float> Task<T> for Turn<T> {
        type Output = ();
        #[inline(always)]
        unsafe fn run<V: Vector<Elem = T>>(self) {
            let (rows, columns) = (self.depth - self.depth % V::SIDE, self.width - self.width % V::SIDE);
            // SAFETY: the caller's word.
            unsafe {
                for j in (0..columns).step_by(V::SIDE) {
                    for i in (0..rows).step_by(V::SIDE) {
                        let from = self.from.offset(j as isize * self.step + i as isize);
                        V::transpose(from, self.step, self.to.add(i * WIDTH + j), WIDTH);
                    }
                }
                each(self.from, self.step, self.to, rows..self.depth, 0..columns);
                each(self.from, self.step, self.to, 0..self.depth, columns..self.width);
            }
        }
    }
    // SAFETY: the caller's word; bits move unchanged, whatever they mean.
    unsafe {
        match size {
            1 => each(from, step, to, 0..depth, 0..width),
            2 => each(from.cast::<u16>(), step, to.cast(), 0..depth, 0..width),
            4 => lanes::run::<f32, _>(isa(), Turn { from: from.cast(), step, to: to.cast(), depth, width }),
            _ => lanes::run::<f64, _>(isa(), Turn { from: from.cast(), step, to: to.cast(), depth, width }),
        }
    }
}
