//! Products of float matrices: what to pack, how to cut for the caches, and who does which part.

use super::lanes::{self, Float};
use super::matvec::MatVec;
use super::pack::{PackA, PackB};
use super::scratch::{Outcome, Scratch};
use super::tile::{Geometry, Operand, Sweep};
use super::{Mat, Onto, prepare};
use crate::cpu::cache;
use crate::cpu::simd::Isa;
use crate::cpu::{pool, simd};
use crate::error::Result;
use std::ops::Range;

/// Steps of k at a time. A constant: how sums are cut must depend on shapes alone.
const KC: usize = 512;
/// Bytes of a packed block of A, which stays in L2.
const A_BYTES: usize = 352 << 10;
/// Bytes of a packed block of B, which stays in L3.
const B_BYTES: usize = 4 << 20;
/// Above this an operand that is read again and again is packed.
const PACK_BYTES: usize = 128 << 10;
/// Columns up to which rows of A are read where they lie: they are read again too few times for a copy to pay.
const FEW_COLUMNS: usize = 256;
/// Columns from which on rows of A that take up most of a first cache are packed as well.
const MANY_COLUMNS: usize = 512;
/// Rows this far apart fall on the same cache sets.
const ALIASING: usize = 4096;
/// Floating point operations that are worth a worker.
const GRAIN: usize = 1 << 20;

/// C = A B + D.
///
/// # Safety
/// As `gemm`; `m`, `n` and `k` are not zero.
pub(crate) unsafe fn product<T: Float>(
    [m, n, k]: [usize; 3],
    mut a: Mat<T>,
    mut b: Mat<T>,
    (c, ldc): (*mut T, usize),
    onto: Onto<T>,
) -> Result<()> {
    // The stride of a dimension of one element says nothing: take the one that fits.
    if k == 1 {
        (a.col, b.row) = (1, n as isize);
    }
    if n == 1 {
        b.col = 1;
    }
    if m == 1 {
        a.row = k as isize;
    }
    if m == 1 || n == 1 {
        let accumulate = onto.is_some();
        let matvec = if n == 1 {
            let (x, x_step) = (b.ptr, b.row);
            MatVec { rows: m, k, matrix: a.ptr, row: a.row, col: a.col, x, x_step, y: c, y_step: ldc, accumulate }
        } else {
            let (x, x_step) = (a.ptr, a.col);
            MatVec { rows: n, k, matrix: b.ptr, row: b.col, col: b.row, x, x_step, y: c, y_step: 1, accumulate }
        };
        if matvec.fits() {
            // SAFETY: the caller's word.
            return unsafe {
                prepare([m, n], c, ldc, onto);
                matvec.run()
            };
        }
    }
    let isa = simd::isa();
    // SAFETY: `isa` names what this machine has.
    let (mr, nr) = unsafe { lanes::run::<T, _>(isa, Geometry) };
    let size = size_of::<T>();
    // Rows in place come from the second cache once for every panel of B.
    let stays_near = if n < MANY_COLUMNS { PACK_BYTES } else { PACK_BYTES / 4 };
    let far = |stride: isize| stride.unsigned_abs() * size >= ALIASING;
    let blocked = Blocked {
        isa,
        tile: (mr, nr),
        pack_a: n > if a.col == 1 { FEW_COLUMNS } else { 2 * nr }
            && m >= mr
            && ((a.col != 1 && a.row != 1) || m * k * size > stays_near || (far(a.row) && far(a.col.max(a.row)))),
        pack_b: b.col != 1 || (m > 2 * mr && (n * k * size > 2 * PACK_BYTES || far(b.row))),
        a,
        b,
        c,
        ldc,
    };
    let stays = if blocked.pack_a { m * k * size <= cache::second() / 2 } else { m * k.min(KC) * size <= A_BYTES };
    if blocked.pack_b && stays {
        // SAFETY: the caller's word.
        return unsafe { blocked.columns([m, n, k], onto) };
    }
    for p in (0..k).step_by(KC) {
        let kc = KC.min(k - p);
        let columns = if blocked.pack_b { (B_BYTES / size / kc / nr).max(1) * nr } else { n };
        for j in (0..n).step_by(columns) {
            // SAFETY: the caller's word.
            unsafe {
                let onto = if p > 0 { Some((c.cast_const(), ldc)) } else { onto };
                blocked.panel(m, (j, columns.min(n - j)), (p, kc), onto)?
            };
        }
    }
    Ok(())
}

struct Blocked<T> {
    isa: Isa,
    tile: (usize, usize),
    pack_a: bool,
    pack_b: bool,
    a: Mat<T>,
    b: Mat<T>,
    c: *mut T,
    ldc: usize,
}

// SAFETY: the pointers are good for the whole product, and tasks write different blocks of C.
unsafe impl<T: Sync> Sync for Blocked<T> {}

/// A pointer that tasks share.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub *mut T);
// SAFETY: tasks write different parts, and read only after all are written.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(super) fn add(&self, n: usize) -> *mut T {
        self.0.wrapping_add(n)
    }
}

impl<T: Float> Blocked<T> {
    /// All of C for rows that stay in the second cache: each panel of B is packed by whoever multiplies by it, just before.
    unsafe fn columns(&self, [m, n, k]: [usize; 3], onto: Onto<T>) -> Result<()> {
        let (nr, panels) = (self.tile.1, n.div_ceil(self.tile.1));
        let small = 2 * m * n * k < 2 * GRAIN;
        // SAFETY: the caller's word.
        let rows = if self.pack_a { Some(unsafe { self.packed_rows(m, k)? }) } else { None };
        let rows = SharedOperand(match &rows {
            None => Operand::Strided(self.a.ptr, self.a.row, self.a.col),
            Some(rows) => Operand::Packed(rows.ptr().cast_const()),
        });
        let outcome = Outcome::default();
        let onto = SharedOnto(onto);
        let task = |panels: Range<usize>| {
            outcome.with(nr * k.min(KC), |packed: &mut Scratch<T>| {
                let to = packed.ptr();
                for j in panels.map(|panel| panel * nr) {
                    let c = self.c.wrapping_add(j);
                    let mut onto = onto.get().map(|(d, ldd)| (d.wrapping_add(j), ldd));
                    for p in (0..k).step_by(KC) {
                        let (columns, k) = (nr.min(n - j), KC.min(k - p));
                        let a = match rows.get() {
                            Operand::Strided(_, row, col) => Operand::Strided(self.a.at(0, p), row, col),
                            Operand::Packed(a) => Operand::Packed(a.wrapping_add(m * p)),
                        };
                        let b = Operand::Packed(to.cast_const());
                        let sweep = Sweep { dims: [m, columns, k], a, b, c, ldc: self.ldc, onto };
                        let pack = PackB { columns, k, b: self.b.at(p, j), row: self.b.row, col: self.b.col, to };
                        // SAFETY: the caller's word; the scratch has room for a panel.
                        unsafe {
                            lanes::run(self.isa, pack);
                            lanes::run(self.isa, sweep);
                        }
                        onto = Some((c.cast_const(), self.ldc));
                    }
                }
            });
        };
        if small {
            task(0..panels);
        } else {
            // What is cut depends on the number of threads, but no sum is cut by it.
            let parts =
                if pool::num_threads() == 1 { 1 } else { (2 * m * n * k / GRAIN).clamp(2, 4 * pool::num_threads()) };
            pool::ranges(panels, panels.div_ceil(parts), &task)?;
        }
        outcome.result()
    }

    /// All of A, packed; the steps from `p` on begin at `m * p`.
    unsafe fn packed_rows(&self, m: usize, k: usize) -> Result<Scratch<T>> {
        let packed = Scratch::<T>::new(m * k)?;
        let (to, (mr, _)) = (Shared(packed.ptr()), self.tile);
        let pack = |panels: Range<usize>| {
            let first = panels.start * mr;
            let rows = (panels.len() * mr).min(m - first);
            for p in (0..k).step_by(KC) {
                let (k, a) = (KC.min(k - p), self.a.at(first, p));
                let to = to.add(m * p + first * k);
                // SAFETY: the caller's word; the scratch has room for all rows.
                unsafe { lanes::run(self.isa, PackA { rows, k, a, row: self.a.row, col: self.a.col, to }) };
            }
        };
        pool::ranges(m.div_ceil(mr), ((1 << 16) / (mr * k)).max(1), &pack)?;
        Ok(packed)
    }

    /// All rows of C, columns `j..j + n`, steps `p..p + k`.
    unsafe fn panel(&self, m: usize, (j, n): (usize, usize), (p, k): (usize, usize), onto: Onto<T>) -> Result<()> {
        let (_, nr) = self.tile;
        let small = 2 * m * n * k < 2 * GRAIN;
        let serial = small || pool::num_threads() == 1;
        let packed = if self.pack_b { Some(Scratch::<T>::new(n.next_multiple_of(nr) * k)?) } else { None };
        let operand = match &packed {
            None => Operand::Strided(self.b.at(p, j), self.b.row, self.b.col),
            Some(packed) => {
                let to = Shared(packed.ptr());
                let (row, col) = (self.b.row, self.b.col);
                let pack = |panels: Range<usize>| {
                    let first = panels.start * nr;
                    let columns = (panels.len() * nr).min(n - first);
                    let b = self.b.at(p, j + first);
                    // SAFETY: the caller's word; the scratch has room for all panels.
                    unsafe { lanes::run(self.isa, PackB { columns, k, b, row, col, to: to.add(first * k) }) }
                };
                let panels = n.div_ceil(nr);
                if serial {
                    pack(0..panels)
                } else {
                    pool::ranges(panels, ((1 << 16) / (nr * k)).max(1), &pack)?
                }
                Operand::Packed(packed.ptr().cast_const())
            }
        };
        let most = (A_BYTES / size_of::<T>() / k / self.tile.0).max(1) * self.tile.0;
        let blocks = cut([m, n, k], self.tile, most, serial);
        let b = SharedOperand(operand);
        let onto = SharedOnto(onto);
        let outcome = Outcome::default();
        let task = |t: usize| {
            let (i0, j0) = blocks.start(m, t);
            let dims = [blocks.rows.min(m - i0), blocks.columns.min(n - j0), k];
            let b = match b.get() {
                Operand::Strided(b, row, col) => Operand::Strided(b.wrapping_add(j0), row, col),
                Operand::Packed(b) => Operand::Packed(b.wrapping_add(j0 * k)),
            };
            let (a, row, col) = (self.a.at(i0, p), self.a.row, self.a.col);
            let c = self.c.wrapping_add(i0 * self.ldc + j + j0);
            let onto = onto.get().map(|(d, ldd)| (d.wrapping_add(i0 * ldd + j + j0), ldd));
            let sweep = |a| Sweep { dims, a, b, c, ldc: self.ldc, onto };
            // SAFETY: the caller's word; the scratch has room for the rows of the block.
            unsafe {
                if self.pack_a {
                    outcome.with(dims[0] * k, |to| {
                        lanes::run(self.isa, PackA { rows: dims[0], k, a, row, col, to: to.ptr() });
                        lanes::run(self.isa, sweep(Operand::Packed(to.ptr().cast_const())));
                    });
                } else {
                    lanes::run(self.isa, sweep(Operand::Strided(a, row, col)));
                }
            }
        };
        let tasks = blocks.count(m, n);
        // Also on one thread by way of the pool, which asks between tasks whether to stop.
        if small {
            (0..tasks).for_each(task);
        } else {
            pool::parallel(tasks, &task)?;
        }
        outcome.result()
    }
}

/// The blocks that the tasks of a product make, all of one size but the last.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    pub rows: usize,
    pub columns: usize,
}

impl Blocks {
    /// How many there are in `m` rows of `n` columns.
    pub(super) fn count(self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows) * n.div_ceil(self.columns)
    }

    /// The first row and column of block `t`: a thread stays with the columns whose panels are in its cache, as long as there
    /// are rows.
    pub(super) fn start(self, m: usize, t: usize) -> (usize, usize) {
        let down = m.div_ceil(self.rows);
        (t % down * self.rows, t / down * self.columns)
    }
}

/// Rows and columns of one task: blocks of at most `most` rows for the caches, cut further while there are too few for
/// the threads. This may depend on their number, as no sum is cut by it.
pub(super) fn cut([m, n, k]: [usize; 3], (mr, nr): (usize, usize), most: usize, serial: bool) -> Blocks {
    let mut columns = n.next_multiple_of(nr);
    let mut rows = most.min(m.next_multiple_of(mr));
    if serial {
        return Blocks { rows, columns };
    }
    // Blocks of equal height rather than a thin last one.
    rows = m.div_ceil(m.div_ceil(rows)).next_multiple_of(mr);
    let wanted = 4 * pool::num_threads();
    while (Blocks { rows, columns }).count(m, n) < wanted && rows * columns * k > GRAIN {
        // The side of more tiles; half of it in whole tiles.
        let (down, across) = (rows.div_ceil(mr), columns.div_ceil(nr));
        if across >= down && across > 1 {
            columns = across.div_ceil(2) * nr;
        } else if down > 1 {
            rows = down.div_ceil(2) * mr;
        } else {
            break;
        }
    }
    Blocks { rows, columns }
}

struct SharedOperand<T>(Operand<T>);
// SAFETY: tasks only read through it.
unsafe impl<T> Sync for SharedOperand<T> {}

impl<T: Copy> SharedOperand<T> {
    fn get(&self) -> Operand<T> {
        self.0
    }
}

struct SharedOnto<T>(Onto<T>);
// SAFETY: each task reads the part that belongs to what it writes.
unsafe impl<T> Sync for SharedOnto<T> {}

impl<T: Copy> SharedOnto<T> {
    fn get(&self) -> Onto<T> {
        self.0
    }
}
