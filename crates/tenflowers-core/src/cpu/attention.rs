//! Scaled dot product attention by tiles, with an online softmax: no matrix of rows by keys is ever made (Dao et al., 2022).
//!
//! A row's scores are met in blocks of keys of a constant size, so how rows are given to threads does not show in results.

mod backward;
mod forward;
mod scores;

use crate::cpu::gemm::Mat;
use crate::cpu::gemm::lanes::{self, Float, Lanes, Task};
use crate::cpu::gemm::pack::{PackB, panel};
use crate::cpu::gemm::tile::{Geometry, Operand, Sweep};
use crate::cpu::math::Real;
use crate::cpu::simd::{self, Isa};

pub(crate) use backward::{Backward, Wanted};
pub(crate) use forward::Forward;

/// Rows of a block of scores: as many as a causal mask treats alike, up to padding.
const ROWS: usize = WIDE;
/// Keys of a block of scores. A constant: how sums are cut must depend on shapes alone.
const KEYS: usize = 128;
/// Rows that share the packed keys.
const GROUP: usize = 256;
/// Floating point operations that are worth a worker.
const GRAIN: usize = 1 << 20;
/// Rows this far apart fall on the same cache sets.
const ALIASING: usize = 4096;
/// Elements that loops over scores take at a time; blocks and rows of scores are padded to it.
const WIDE: usize = 16;

/// The sizes of attention: for each head, rows of queries against keys.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    /// How many heads, over the whole batch.
    pub heads: usize,
    pub rows: usize,
    pub keys: usize,
    /// Elements of a query and of a key.
    pub size: usize,
    /// Elements of a value.
    pub value_size: usize,
    /// What the product of a query and a key is multiplied by.
    pub scale: f64,
    /// Whether row `i` sees only the keys up to number `i`.
    pub causal: bool,
}

impl Attention {
    /// How many of `n` keys from number `first` on the rows before number `end` see.
    fn seen(&self, end: usize, first: usize, n: usize) -> usize {
        if self.causal { n.min(end.saturating_sub(first)) } else { n }
    }
    /// Multiplications of one head's forward pass.
    fn work(&self) -> usize {
        2 * self.rows * self.keys * (self.size + self.value_size)
    }
}

/// The element types with kernels.
pub(crate) trait Score: Float + Real + crate::Element {
    fn narrow(x: f64) -> Self;
}
impl Score for f32 {
    fn narrow(x: f64) -> f32 {
        x as f32
    }
}
impl Score for f64 {
    fn narrow(x: f64) -> f64 {
        x
    }
}

/// A matrix for each head, of any strides.
pub(crate) struct Heads<T> {
    pub ptr: *const T,
    /// Where each head begins, in elements.
    pub offsets: Vec<isize>,
    pub row: isize,
    pub col: isize,
}

// SAFETY: threads only read through it.
unsafe impl<T: Sync> Sync for Heads<T> {}

impl<T> Heads<T> {
    fn row(&self, head: usize, row: usize) -> *const T {
        self.ptr.wrapping_offset(self.offsets[head] + row as isize * self.row)
    }
    fn from(&self, head: usize, row: usize) -> Mat<T> {
        Mat { ptr: self.row(head, row), row: self.row, col: self.col }
    }
    /// Whether rows can be read fast where they are.
    fn is_handy(&self) -> bool {
        self.col == 1 && self.row.unsigned_abs() * size_of::<T>() < ALIASING
    }
}

/// A matrix for each head, whose rows are in one run each.
pub(crate) struct HeadsMut<T> {
    pub ptr: *mut T,
    pub offsets: Vec<isize>,
    pub row: usize,
}

// SAFETY: threads write different rows.
unsafe impl<T: Send> Sync for HeadsMut<T> {}

impl<T> HeadsMut<T> {
    fn row(&self, head: usize, row: usize) -> *mut T {
        self.ptr.wrapping_offset(self.offsets[head] + (row * self.row) as isize)
    }
}

/// What is added to the scores before the softmax, for each head a matrix of rows by keys.
pub(crate) enum Mask<T> {
    None,
    /// True where a row sees a key.
    Keep(Heads<bool>),
    /// Numbers.
    Add(Heads<T>),
}

/// The instruction set, with the width of its packed panels.
#[derive(Clone, Copy)]
struct Machine {
    isa: Isa,
    width: usize,
}

impl Machine {
    fn new<T: Float>() -> Self {
        let isa = simd::isa();
        // SAFETY: `isa` names what this machine has.
        let (_, width) = unsafe { lanes::run::<T, _>(isa, Geometry) };
        Machine { isa, width }
    }
    /// Elements of `columns` of `k` elements, packed.
    fn packed(self, columns: usize, k: usize) -> usize {
        columns.next_multiple_of(self.width) * k
    }
    /// C = A B, or C += A B; B is packed, or has rows in one run.
    ///
    /// # Safety
    /// As `Sweep`.
    unsafe fn product<T: Float>(
        self,
        dims: [usize; 3],
        a: Mat<T>,
        b: Operand<T>,
        (c, ldc): (*mut T, usize),
        accumulate: bool,
    ) {
        let a = Operand::Strided(a.ptr, a.row, a.col);
        // SAFETY: the caller's word.
        unsafe { lanes::run(self.isa, Sweep { dims, a, b, c, ldc, onto: accumulate.then_some((c.cast_const(), ldc)) }) }
    }
    /// The transpose of `n` rows of `k` elements, packed as the second operand of a product.
    ///
    /// # Safety
    /// The rows can be read, and `to` has the room that `packed` says.
    unsafe fn pack_transposed<T: Float>(self, m: Mat<T>, n: usize, k: usize, to: *mut T) -> Operand<T> {
        // SAFETY: the caller's word.
        unsafe { lanes::run(self.isa, PackB { columns: n, k, b: m.ptr, row: m.col, col: m.row, to }) };
        Operand::Packed(to)
    }
    /// Packed columns times a factor.
    ///
    /// # Safety
    /// `columns` of `k` elements have been packed there.
    unsafe fn scale<T: Score>(self, packed: *mut T, (columns, k): (usize, usize), factor: T) {
        let whole = columns / self.width * self.width;
        simd::vectorize(
            #[inline(always)]
            |_| {
                // SAFETY: the caller's word; the last panel has less than its width.
                unsafe {
                    (0..whole * k).for_each(|i| *packed.add(i) = *packed.add(i) * factor);
                    for p in 0..if whole < columns { k } else { 0 } {
                        let row = packed.add(whole * k + p * self.width);
                        (0..columns - whole).for_each(|i| *row.add(i) = *row.add(i) * factor);
                    }
                }
            },
        );
    }
    /// `n` rows of `k` elements, copied so that they follow one another.
    ///
    /// # Safety
    /// The rows can be read, and `to` has room for them.
    unsafe fn gather<T: Float>(self, from: Mat<T>, n: usize, k: usize, to: *mut T) -> Mat<T> {
        // SAFETY: the caller's word.
        unsafe { lanes::run(self.isa, Gather { from, n, k, to }) };
        Mat { ptr: to, row: k as isize, col: 1 }
    }
}

fn operand<T>(m: Mat<T>) -> Operand<T> {
    Operand::Strided(m.ptr, m.row, m.col)
}

struct Gather<T> {
    from: Mat<T>,
    n: usize,
    k: usize,
    to: *mut T,
}

impl<T: Float> Task<T> for Gather<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        // SAFETY: the caller's word.
        unsafe { panel::<V>((self.k, self.n), (self.from.ptr, self.from.col, self.from.row), (self.to, self.k)) }
    }
}

/// Hands out parts of one run of memory, each on a cache line.
struct Room<T> {
    next: *mut T,
    left: usize,
}

impl<T> Room<T> {
    /// What a part of `n` elements takes.
    const fn of(n: usize) -> usize {
        n.next_multiple_of(64)
    }
    fn take(&mut self, n: usize) -> *mut T {
        let (part, n) = (self.next, Self::of(n));
        assert!(n <= self.left, "room for all parts");
        self.next = part.wrapping_add(n);
        self.left -= n;
        part
    }
}

#[cfg(test)]
mod tests;
