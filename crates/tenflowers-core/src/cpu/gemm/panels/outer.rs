//! A whole product: what is packed when, how it is cut for the caches, and who does which part.

use super::words::panel_of;
use super::{Code, Kernel, enter};
use crate::cpu::gemm::blocked::{Shared, cut};
use crate::cpu::gemm::scheme::Scheme;
use crate::cpu::gemm::scratch::{Outcome, Scratch};
use crate::cpu::gemm::{Mat, Onto};
use crate::cpu::pool;
use crate::error::Result;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Bytes of a packed block of B, which stays in L3.
const B_BYTES: usize = 4 << 20;
/// Bytes of panels of B that stay in L2 beside A.
const B_NEAR: usize = 512 << 10;
/// Words of both operands that fit on the stack.
const NEAR: usize = 2048;
/// Multiplications that are worth a worker.
const GRAIN: usize = 1 << 20;
/// Panels of B that are packed side by side, so that what is read of a row of B lies together.
const PANELS: usize = 8;
/// Groups of each of them at a time.
const TURN: usize = 16;

/// Both operands of a small product, from the beginning of a cache line.
#[repr(align(64))]
struct Near<W>([MaybeUninit<W>; NEAR]);

/// A whole product, by a kernel.
pub(super) struct Outer<S: Scheme, K> {
    dims: [usize; 3],
    a: Mat<S::Elem>,
    b: Mat<S::Elem>,
    c: *mut S::Elem,
    ldc: usize,
    onto: Onto<S::Elem>,
    kernel: PhantomData<K>,
}

// SAFETY: the pointers are good for the whole product, and tasks write different blocks of C.
unsafe impl<S: Scheme, K> Sync for Outer<S, K> {}

impl<S: Scheme, K: Kernel<S>> Outer<S, K> {
    /// Columns of a panel of B.
    const NR: usize = 2 * S::LANES;

    pub(super) fn new(
        dims: [usize; 3],
        a: Mat<S::Elem>,
        b: Mat<S::Elem>,
        (c, ldc): (*mut S::Elem, usize),
        onto: Onto<S::Elem>,
    ) -> Self {
        Outer { dims, a, b, c, ldc, onto, kernel: PhantomData }
    }

    /// Groups of a packed operand.
    fn groups(&self) -> usize {
        K::groups(self.dims[2])
    }

    /// # Safety
    /// The caller of `by_panels`'s word, and the machine has the instructions of `code`, which scheme and kernel need.
    pub(super) unsafe fn product(&self, code: Code) -> Result<()> {
        let [m, n, k] = self.dims;
        let (groups, panels) = (self.groups(), n.div_ceil(Self::NR));
        let rows = (m + K::MR) * groups;
        // SAFETY: the caller's word.
        unsafe {
            if panels * Self::NR * groups + rows <= NEAR {
                self.near(code);
                return Ok(());
            }
            let serial = m * n * k < GRAIN || pool::num_threads() == 1;
            if rows * size_of::<S::Word>() <= K::A_BYTES && (serial || panels >= 4 * pool::num_threads()) {
                return self.columns(code);
            }
            let columns = (B_BYTES / (groups * size_of::<S::Word>()) / Self::NR).max(1) * Self::NR;
            (0..n).step_by(columns).try_for_each(|j| self.block(code, j, columns.min(n - j)))
        }
    }

    /// All of C, with both operands on the stack.
    unsafe fn near(&self, code: Code) {
        let [m, n, _] = self.dims;
        let mut near = Near([const { MaybeUninit::<S::Word>::uninit() }; NEAR]);
        let b: *mut S::Word = near.0.as_mut_ptr().cast();
        let a = b.wrapping_add(n.next_multiple_of(Self::NR) * self.groups());
        // SAFETY: the caller's word; there is room for both.
        unsafe {
            self.pack_columns(code, (0, n), b);
            self.pack_rows(code, (0, m), a);
            self.sweep(code, (0, 0), [m, n], a, b);
        }
    }

    /// All of C for rows that stay in a cache: each panel of B is packed by whoever multiplies by it, just before.
    unsafe fn columns(&self, code: Code) -> Result<()> {
        let [m, n, k] = self.dims;
        let (nr, groups) = (Self::NR, self.groups());
        let packed = Scratch::<S::Word>::new((m + K::MR) * groups)?;
        // SAFETY: the caller's word; the scratch has room for all rows.
        unsafe { self.pack_rows(code, (0, m), packed.ptr()) };
        let (a, outcome) = (Shared(packed.ptr()), Outcome::default());
        // Several panels at a time while they stay in a cache, and leave enough for all threads.
        let room = B_NEAR / (nr * groups * size_of::<S::Word>());
        let share = if pool::num_threads() == 1 { PANELS } else { n.div_ceil(nr) / (4 * pool::num_threads()) };
        let side = room.min(share).clamp(1, PANELS);
        let task = |panels: Range<usize>| {
            outcome.with(side * nr * groups, |b: &mut Scratch<S::Word>| {
                for first in panels.clone().step_by(side) {
                    let (j, end) = (first * nr, panels.end.min(first + side) * nr);
                    let n = end.min(n) - j;
                    // SAFETY: the caller's word; the scratch has room for the panels.
                    unsafe {
                        self.pack_columns(code, (j, n), b.ptr());
                        self.sweep(code, (0, j), [m, n], a.add(0), b.ptr());
                    }
                }
            });
        };
        pool::ranges(n.div_ceil(nr), (4 * GRAIN / (m * nr * k)).max(1).next_multiple_of(side), &task)?;
        outcome.result()
    }

    /// All rows of C, columns `j..j + n`.
    unsafe fn block(&self, code: Code, j: usize, n: usize) -> Result<()> {
        let [m, _, k] = self.dims;
        let (nr, groups) = (Self::NR, self.groups());
        let small = m * n * k < GRAIN;
        let serial = small || pool::num_threads() == 1;
        let packed = Scratch::<S::Word>::new(n.next_multiple_of(nr) * groups)?;
        let to = Shared(packed.ptr());
        let pack = |panels: Range<usize>| {
            let first = panels.start * nr;
            // SAFETY: the caller's word; the scratch has room for all panels.
            unsafe { self.pack_columns(code, (j + first, (panels.len() * nr).min(n - first)), to.add(first * groups)) };
        };
        let panels = n.div_ceil(nr);
        if serial {
            pack(0..panels)
        } else {
            let share = (panels / (4 * pool::num_threads())).clamp(1, PANELS);
            pool::ranges(panels, ((1 << 16) / (nr * k)).max(share), &pack)?
        }
        let most = (K::A_BYTES / (groups * size_of::<S::Word>()) / K::MR).max(1) * K::MR;
        let blocks = cut([m, n, k], (K::MR, nr), most, serial);
        let outcome = Outcome::default();
        let task = |t: usize| {
            let (i0, j0) = blocks.start(m, t);
            let (m, n) = (blocks.rows.min(m - i0), blocks.columns.min(n - j0));
            outcome.with((m + K::MR) * groups, |a: &mut Scratch<S::Word>| {
                // SAFETY: the caller's word; the scratch has room for the rows of the block.
                unsafe {
                    self.pack_rows(code, (i0, m), a.ptr());
                    self.sweep(code, (i0, j + j0), [m, n], a.ptr(), to.add(j0 * groups));
                }
            });
        };
        let tasks = blocks.count(m, n);
        if small {
            (0..tasks).for_each(task)
        } else {
            pool::parallel(tasks, &task)?
        }
        outcome.result()
    }

    /// Columns `j..j + n` of B, from the beginning of a panel.
    unsafe fn pack_columns(&self, code: Code, (j, n): (usize, usize), to: *mut S::Word) {
        let (nr, groups) = (Self::NR, self.groups());
        let (side, turn) = if self.b.col == 1 { (PANELS * nr, TURN) } else { (nr, groups) };
        // SAFETY: the caller's word.
        unsafe {
            enter(
                code,
                #[inline(always)]
                || {
                    for first in (0..n).step_by(side) {
                        for g in (0..groups).step_by(turn) {
                            for i in (first..n.min(first + side)).step_by(nr) {
                                let size = (nr.min(n - i), turn.min(groups - g));
                                self.pack_part((g, j + i), size, to.add(i * groups + g * nr));
                            }
                        }
                    }
                },
            );
        }
    }

    /// Some groups, from `g`, of a panel of B.
    #[inline(always)]
    unsafe fn pack_part(&self, (g, j): (usize, usize), (n, groups): (usize, usize), to: *mut S::Word) {
        let k = self.dims[2];
        let p = (g * S::GROUP).min(k);
        let from = (self.b.at(p, j), self.b.col, self.b.row);
        // The tile does not read a vector that no column falls into.
        let columns = (n, n.next_multiple_of(S::LANES));
        // SAFETY: the caller's word.
        unsafe { panel_of::<S>(columns, ((k - p).min(groups * S::GROUP), groups), from, (to, Self::NR)) }
    }

    /// Rows `i..i + m` of A.
    unsafe fn pack_rows(&self, code: Code, (i, m): (usize, usize), to: *mut S::Word) {
        let from = (self.a.at(i, 0), self.a.row, self.a.col);
        // SAFETY: the caller's word.
        unsafe {
            enter(
                code,
                #[inline(always)]
                || K::pack_rows(m, self.dims[2], from, to),
            );
        }
    }

    /// The block of C at `i`, `j`, of `m x n`, from packed rows of A and columns of B.
    unsafe fn sweep(
        &self,
        code: Code,
        (i, j): (usize, usize),
        [m, n]: [usize; 2],
        a: *const S::Word,
        b: *const S::Word,
    ) {
        let c = (self.c.wrapping_add(i * self.ldc + j), self.ldc);
        let onto = self.onto.map(|(d, ldd)| (d.wrapping_add(i * ldd + j), ldd));
        // SAFETY: the caller's word.
        unsafe {
            enter(
                code,
                #[inline(always)]
                || K::sweep([m, n, self.groups()], a, b, c, onto),
            );
        }
    }
}
