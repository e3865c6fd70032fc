//! The register tile: a block of C held in registers while k runs, and the sweep of it over a larger block.

use super::Onto;
use super::lanes::{Float, Lanes, Task};
use crate::cpu::simd::prefetch;

/// Rows and columns of the register tile.
pub(crate) struct Geometry;

impl<T: Float> Task<T> for Geometry {
    type Output = (usize, usize);

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) -> (usize, usize) {
        (V::MR, V::NV * V::LANES)
    }
}

/// Where the elements of step `p` of k begin, counted in elements.
pub(crate) trait Steps: Copy {
    /// How many steps before they are read the elements are asked for; 0 where that is left to the processor.
    const AHEAD: usize = 0;
    /// # Safety
    /// `p` is below the number of steps.
    unsafe fn at(self, p: usize) -> isize;
    /// Vector `v` of the step that begins at `p`: one follows the other.
    ///
    /// # Safety
    /// The instruction set of `V`; the lanes can be read.
    #[inline(always)]
    unsafe fn vector<V: Lanes>(&self, p: *const V::Elem, v: usize) -> V {
        // SAFETY: the caller's word.
        unsafe { V::load(p.add(v * V::LANES)) }
    }
}

/// Steps of one length.
#[derive(Clone, Copy)]
pub(crate) struct Stride(pub isize);

impl Steps for Stride {
    #[inline(always)]
    unsafe fn at(self, p: usize) -> isize {
        p as isize * self.0
    }
}

/// Steps of one length through a panel, which is longer than the first cache keeps.
#[derive(Clone, Copy)]
pub(crate) struct Panel<const AHEAD: usize>(pub isize);

impl<const AHEAD: usize> Steps for Panel<AHEAD> {
    const AHEAD: usize = AHEAD;
    #[inline(always)]
    unsafe fn at(self, p: usize) -> isize {
        p as isize * self.0
    }
}

/// Steps given by a table.
#[derive(Clone, Copy)]
pub(crate) struct Table(pub *const isize);

impl Steps for Table {
    #[inline(always)]
    unsafe fn at(self, p: usize) -> isize {
        // SAFETY: the table has an entry for each step.
        unsafe { *self.0.add(p) }
    }
}

/// As [`Table`], with vectors that begin each at a place of its own.
#[derive(Clone, Copy)]
pub(crate) struct Apart<const N: usize>(pub Table, pub [isize; N]);

impl<const N: usize> Steps for Apart<N> {
    #[inline(always)]
    unsafe fn at(self, p: usize) -> isize {
        // SAFETY: the caller's word.
        unsafe { self.0.at(p) }
    }
    #[inline(always)]
    unsafe fn vector<V: Lanes>(&self, p: *const V::Elem, v: usize) -> V {
        // SAFETY: the caller's word.
        unsafe { V::load(p.offset(self.1[v])) }
    }
}

/// As [`Apart`], with the upper half of the last vector at a place of its own.
#[derive(Clone, Copy)]
pub(crate) struct Halves<const N: usize>(pub Apart<N>, pub isize);

impl<const N: usize> Steps for Halves<N> {
    #[inline(always)]
    unsafe fn at(self, p: usize) -> isize {
        // SAFETY: the caller's word.
        unsafe { self.0.at(p) }
    }
    #[inline(always)]
    unsafe fn vector<V: Lanes>(&self, p: *const V::Elem, v: usize) -> V {
        // SAFETY: the caller's word.
        unsafe { if v + 1 == N { V::join(p.offset(self.0.1[v]), p.offset(self.1)) } else { self.0.vector(p, v) } }
    }
}

/// `R` rows of A times `N` vectors of columns of B, summed over `k` steps one after the other.
///
/// Each element of the result is one chain of fused steps, whatever `R` and `N` are, so how a product is cut into tiles
/// does not show in its result. If `PART`, only the first `last` lanes of the last vector are read.
///
/// # Safety
/// The instruction set of `V`; A readable at `rows[i] + a_steps`, B at `b_steps` for its lanes.
#[inline(always)]
pub(crate) unsafe fn tile<V: Lanes, const R: usize, const N: usize, const PART: bool>(
    k: usize,
    (a, rows, a_steps): (*const V::Elem, [isize; R], impl Steps),
    (b, b_steps): (*const V::Elem, impl Steps),
    last: usize,
) -> [[V; N]; R] {
    // SAFETY: the caller's word.
    unsafe {
        let mut acc = [[V::splat(V::Elem::ZERO); N]; R];
        for p in 0..k {
            ahead::<V, N, _>(b, b_steps, p);
            let b = b.offset(b_steps.at(p));
            let mut columns = acc[0];
            for (v, column) in columns.iter_mut().enumerate() {
                *column =
                    if PART && v + 1 == N { V::load_first(b.add(v * V::LANES), last) } else { b_steps.vector(b, v) };
            }
            ahead::<V, 1, _>(a, a_steps, p);
            let a = a.offset(a_steps.at(p));
            for i in 0..R {
                let x = V::splat(*a.offset(rows[i]));
                for v in 0..N {
                    acc[i][v] = acc[i][v].fma(x, columns[v]);
                }
            }
        }
        acc
    }
}

/// Asks for the elements of a later step, which may be beyond the last.
#[inline(always)]
unsafe fn ahead<V: Lanes, const N: usize, S: Steps>(at: *const V::Elem, steps: S, p: usize) {
    if S::AHEAD > 0 {
        // SAFETY: steps of one length go on for ever.
        let at = at.wrapping_offset(unsafe { steps.at(p + S::AHEAD) });
        for v in 0..N {
            prefetch(at.wrapping_add(v * V::LANES));
        }
    }
}

/// Writes a tile to rows of C that are `ldc` apart, or adds it to them.
///
/// # Safety
/// The instruction set of `V`; C writable for the lanes, and initialised if it is added to.
#[inline(always)]
pub(crate) unsafe fn store<V: Lanes, const R: usize, const N: usize, const PART: bool>(
    acc: [[V; N]; R],
    (c, ldc): (*mut V::Elem, usize),
    last: usize,
    accumulate: bool,
) {
    let onto = if accumulate { Some((c.cast_const(), ldc)) } else { None };
    // SAFETY: the caller's word.
    unsafe { store_onto::<V, R, N, PART>(acc, (c, ldc), last, onto) }
}

/// Writes a tile, and what `onto` holds added to it, to rows of C that are `ldc` apart.
///
/// # Safety
/// The instruction set of `V`; C writable for the lanes, and the rows of `onto` readable.
#[inline(always)]
pub(crate) unsafe fn store_onto<V: Lanes, const R: usize, const N: usize, const PART: bool>(
    acc: [[V; N]; R],
    (c, ldc): (*mut V::Elem, usize),
    last: usize,
    onto: Onto<V::Elem>,
) {
    // SAFETY: the caller's word.
    unsafe {
        // By reference: an iterator over arrays by value keeps them in memory.
        for (i, row) in acc.iter().enumerate() {
            for (v, &x) in row.iter().enumerate() {
                let mut x = x;
                let c = c.add(i * ldc + v * V::LANES);
                let part = PART && v + 1 == N;
                if let Some((d, ldd)) = onto {
                    let d = d.add(i * ldd + v * V::LANES);
                    x = x.add(if part { V::load_first(d, last) } else { V::load(d) });
                }
                if part {
                    x.store_first(c, last);
                } else {
                    x.store(c);
                }
            }
        }
    }
}

/// How many of `left` rows the next tile takes, where a whole one has `mr`.
#[inline(always)]
pub(crate) fn piece(mr: usize, left: usize) -> usize {
    match left {
        _ if left >= mr => mr,
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// An operand of [`Sweep`].
#[derive(Clone, Copy)]
pub(crate) enum Operand<T> {
    /// In place, with its strides.
    Strided(*const T, isize, isize),
    /// Packed into panels by `pack`.
    Packed(*const T),
}

/// C = A B + D for a block of which A stays in a cache; B, if not packed, has contiguous rows.
pub(crate) struct Sweep<T> {
    pub dims: [usize; 3],
    pub a: Operand<T>,
    pub b: Operand<T>,
    pub c: *mut T,
    pub ldc: usize,
    pub onto: Onto<T>,
}

impl<T: Float> Task<T> for Sweep<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes<Elem = T>>(self) {
        let [m, n, k] = self.dims;
        let width = V::NV * V::LANES;
        for j in (0..n).step_by(width) {
            let (b, b_step) = match self.b {
                Operand::Strided(b, row, _) => (b.wrapping_add(j), row),
                Operand::Packed(b) => (b.wrapping_add(j * k), width as isize),
            };
            let mut i = 0;
            while i < m {
                let rows = match self.a {
                    // Two rows alone are slow: too few sums for the latency of a step. Packed rows lie as they were packed.
                    Operand::Strided(..) if V::MR == 14 && m - i == 16 => 8,
                    _ => piece(V::MR, m - i),
                };
                let (a, packed) = match self.a {
                    Operand::Strided(a, row, col) => ((a.wrapping_offset(i as isize * row), row, col), false),
                    Operand::Packed(a) => ((a.wrapping_add(i * k), 1, rows as isize), true),
                };
                let c = self.c.wrapping_add(i * self.ldc + j);
                let onto = self.onto.map(|(d, ldd)| (d.wrapping_add(i * ldd + j), ldd));
                let strip = Strip { k, a, b: (b, b_step), c: (c, self.ldc), columns: n - j, onto };
                // SAFETY: the caller's word for the whole block, of which this is a part.
                unsafe {
                    match rows {
                        14 if V::MR == 14 && packed => strip.tile::<V, 14, true>(),
                        14 if V::MR == 14 => strip.tile::<V, 14, false>(),
                        8 if V::MR == 8 && packed => strip.tile::<V, 8, true>(),
                        8 if V::MR >= 8 => strip.tile::<V, 8, false>(),
                        6 if V::MR == 6 && packed => strip.tile::<V, 6, true>(),
                        6 if V::MR == 6 => strip.tile::<V, 6, false>(),
                        4 => strip.tile::<V, 4, false>(),
                        2 => strip.tile::<V, 2, false>(),
                        _ => strip.tile::<V, 1, false>(),
                    }
                }
                i += rows;
            }
        }
    }
}

/// One tile's worth of [`Sweep`].
struct Strip<T> {
    k: usize,
    a: (*const T, isize, isize),
    b: (*const T, isize),
    c: (*mut T, usize),
    /// Columns from here on; the tile takes what it can.
    columns: usize,
    onto: Onto<T>,
}

impl<T: Float> Strip<T> {
    /// `PACKED`: a whole panel of A, whose strides are then constants of the code.
    #[inline(always)]
    unsafe fn tile<V: Lanes<Elem = T>, const R: usize, const PACKED: bool>(self) {
        // SAFETY: the caller's word.
        unsafe {
            if self.columns >= V::NV * V::LANES {
                if V::NV == 3 {
                    if PACKED { self.packed::<V, R, 3>() } else { self.finish::<V, R, 3, false>() }
                } else if PACKED {
                    self.packed::<V, R, 2>()
                } else {
                    self.finish::<V, R, 2, false>()
                }
            } else if V::NV == 3 && self.columns > 2 * V::LANES {
                self.finish::<V, R, 3, true>()
            } else if self.columns > V::LANES {
                self.finish::<V, R, 2, true>()
            } else {
                self.finish::<V, R, 1, true>()
            }
        }
    }

    #[inline(always)]
    unsafe fn packed<V: Lanes<Elem = T>, const R: usize, const N: usize>(self) {
        // SAFETY: the caller's word.
        unsafe {
            // The rows of C are far apart, and not needed before the products are there.
            for i in 0..R {
                for v in 0..N {
                    prefetch(self.c.0.wrapping_add(i * self.c.1 + v * V::LANES));
                }
            }
            let rows = rows_of(1);
            let a = (self.a.0, rows, Panel::<16>(R as isize));
            let acc = tile::<V, R, N, false>(self.k, a, (self.b.0, Panel::<8>(self.b.1)), 0);
            store_onto::<V, R, N, false>(acc, self.c, 0, self.onto);
        }
    }

    #[inline(always)]
    unsafe fn finish<V: Lanes<Elem = T>, const R: usize, const N: usize, const PART: bool>(self) {
        let last = self.columns.wrapping_sub((N - 1) * V::LANES);
        // SAFETY: the caller's word.
        unsafe {
            let a = (self.a.0, rows_of(self.a.1), Stride(self.a.2));
            let acc = tile::<V, R, N, PART>(self.k, a, (self.b.0, Stride(self.b.1)), last);
            store_onto::<V, R, N, PART>(acc, self.c, last, self.onto);
        }
    }
}

/// The offsets of rows that are `row` apart.
#[inline(always)]
pub(crate) fn rows_of<const R: usize>(row: isize) -> [isize; R] {
    let mut rows = [0; R];
    for (i, at) in rows.iter_mut().enumerate() {
        *at = i as isize * row;
    }
    rows
}
