//! Weights that are packed once a sequence, and multiplied at each of its steps.

use super::Unit;
use crate::cpu::gemm::Scratch;
use crate::cpu::gemm::lanes;
use crate::cpu::gemm::pack::PackB;
use crate::cpu::gemm::tile::{Geometry, Operand, Sweep};
use crate::cpu::simd::{Isa, isa};
use crate::error::Result;

/// Several matrices of one size, one below the other in memory, in panels as wide as the register tile.
pub(super) struct Panels<T> {
    packed: Scratch<T>,
    isa: Isa,
    tile: (usize, usize),
    k: usize,
    /// Elements of one matrix.
    size: usize,
}

// SAFETY: tasks only read what was packed.
unsafe impl<T: Sync> Sync for Panels<T> {}

impl<T: Unit> Panels<T> {
    /// Packs `count` matrices of `k x columns`, each `k * columns` elements after the one before.
    pub(super) fn new(m: &[T], (row, col): (isize, isize), k: usize, count: usize, columns: usize) -> Result<Self> {
        assert_eq!(m.len(), k * columns * count);
        let isa = isa();
        // SAFETY: `isa` names what this machine has.
        let tile = unsafe { lanes::run::<T, _>(isa, Geometry) };
        let size = columns.next_multiple_of(tile.1) * k;
        let packed = Scratch::<T>::new(size * count)?;
        for i in 0..count {
            let (b, to) = (m[i * k * columns..].as_ptr(), packed.ptr().wrapping_add(i * size));
            // SAFETY: the strides name elements of matrix `i`, and the scratch has room for its panels.
            unsafe { lanes::run(isa, PackB { columns, k, b, row, col, to }) };
        }
        Ok(Panels { packed, isa, tile, k, size })
    }

    /// Columns of a panel.
    pub(super) fn width(&self) -> usize {
        self.tile.1
    }

    /// C = A B, or C += A B, for `m` rows and the columns `first..first + n` of matrix `i`; `first` begins a panel. Each
    /// element is one chain of sums, however rows and columns are cut.
    ///
    /// # Safety
    /// A has `m` rows of `k` elements, and C `m` of `n`; what A reads overlaps nothing that is written.
    pub(super) unsafe fn multiply(
        &self,
        i: usize,
        (a, lda): (*const T, usize),
        m: usize,
        (first, n): (usize, usize),
        (c, ldc): (*mut T, usize),
        accumulate: bool,
    ) {
        assert!(first.is_multiple_of(self.tile.1) && (first + n) * self.k <= self.size);
        let b = Operand::Packed(self.packed.ptr().wrapping_add(i * self.size + first * self.k).cast_const());
        let mut row = 0;
        while row < m {
            // Two strips of eight rows rather than one of fourteen and one of two, which waits for its few sums.
            let rows = if self.tile.0 == 14 && m - row == 16 { 8 } else { (m - row).min(self.tile.0) };
            let a = Operand::Strided(a.wrapping_add(row * lda), lda as isize, 1);
            let c = c.wrapping_add(row * ldc);
            let onto = accumulate.then_some((c.cast_const(), ldc));
            let sweep = Sweep { dims: [rows, n, self.k], a, b, c, ldc, onto };
            // SAFETY: the caller's word.
            unsafe { lanes::run::<T, _>(self.isa, sweep) };
            row += rows;
        }
    }
}
