//! Rows picked, written and added up by index tensors.
//!
//! Indices are checked in a pass of their own, before anything is written. Sums into one place are taken in the order of the
//! indices, by one thread each, so that they do not depend on the number of threads.
use super::{by_pieces, by_size};
use crate::cpu::number::Number;
use crate::cpu::simd::vectorize;
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut, pool, vec_for};
use crate::error::{Result, TensorError};
use crate::layout::contiguous_strides;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Elements a task.
const GRAIN: usize = 1 << 14;

/// How index tensors of one shape pick from dimensions `lead..` of a tensor, one each.
pub struct Lookup<'a> {
    pub op: &'static str,
    /// Whether indices may count from the end.
    pub negative: bool,
    pub lead: usize,
    /// The dimension that messages name for the first of them.
    pub dim: usize,
    pub indices: &'a [View<'a>],
}

/// Where each index tuple points.
struct Offsets<'a> {
    values: Cow<'a, [i64]>,
    size: i64,
    stride: isize,
}

/// As `Offsets`, in registers.
#[derive(Clone, Copy)]
struct Reader {
    values: *const i64,
    size: i64,
    stride: isize,
}

impl Offsets<'_> {
    /// Of offsets in steps of `unit`.
    #[inline(always)]
    fn reader(&self, unit: usize) -> Reader {
        Reader { values: self.values.as_ptr(), size: self.size, stride: self.stride * unit as isize }
    }
}

impl Reader {
    /// # Safety
    /// `i` is below the number of indices.
    #[inline(always)]
    unsafe fn at(self, i: usize) -> isize {
        // SAFETY: the caller's word.
        let v = unsafe { *self.values.add(i) };
        (v + (self.size & (v >> 63))) as isize * self.stride
    }
}

/// The first value that does not lie in `low..high`.
pub(super) fn outside(values: &[i64], low: i64, high: i64) -> Result<Option<i64>> {
    let found = AtomicBool::new(false);
    let part = |values: &[i64]| {
        let bad = vectorize(
            #[inline(always)]
            |_| values.iter().fold(0, |bad, &v| bad | i64::from(v < low) | i64::from(v >= high)),
        );
        if bad != 0 {
            found.store(true, Relaxed);
        }
    };
    if values.len() <= GRAIN {
        part(values);
    } else {
        pool::ranges(values.len(), GRAIN * 4, &|r| part(&values[r]))?;
    }
    Ok(if found.into_inner() { values.iter().copied().find(|&v| v < low || v >= high) } else { None })
}

impl<'a> Lookup<'a> {
    fn checked(&self, d: usize, size: usize) -> Result<Cow<'a, [i64]>> {
        let values = self.indices[d].to_slice::<i64>()?;
        let low = if self.negative { -(size as i64) } else { 0 };
        match outside(&values, low, size as i64)? {
            Some(index) => Err(TensorError::Index { op: self.op, index, dim: self.dim + d, size }),
            None => Ok(values),
        }
    }
    /// Offsets by the strides of the dimensions that are indexed.
    fn offsets(&self, shape: &[usize], strides: &[isize]) -> Result<Offsets<'a>> {
        let (shape, strides) = (&shape[self.lead..], &strides[self.lead..]);
        if let [_] = self.indices {
            return Ok(Offsets { values: self.checked(0, shape[0])?, size: shape[0] as i64, stride: strides[0] });
        }
        let numel = self.indices.first().map_or(1, |v| v.layout.numel());
        let mut all = vec_for(numel)?;
        all.resize(numel, 0i64);
        for d in 0..self.indices.len() {
            let (values, size, stride) = (self.checked(d, shape[d])?, shape[d] as i64, strides[d] as i64);
            for (to, &v) in all.iter_mut().zip(&*values) {
                *to += (v + (size & (v >> 63))) * stride;
            }
        }
        Ok(Offsets { values: all.into(), size: 0, stride: 1 })
    }
}

/// Where each row of a tensor begins, whose first dimensions count the rows.
struct Heads {
    table: Vec<isize>,
    step: isize,
}

impl Heads {
    fn new(shape: &[usize], strides: &[isize]) -> Result<Self> {
        let walk = Walk::new(shape, &[strides]);
        if walk.is_one_run() {
            return Ok(Heads { table: vec![], step: walk.inner()[0] });
        }
        let mut table = vec_for(walk.numel())?;
        walk.all(&mut |at, step, n| table.extend((0..n as isize).map(|i| at[0] + i * step[0])));
        Ok(Heads { table, step: 0 })
    }
    #[inline(always)]
    fn at(&self, i: usize) -> isize {
        if self.table.is_empty() { i as isize * self.step } else { self.table[i] }
    }
}

/// `out[l, i..] = x[l, a[i], b[i], ..]`: the dimensions before those that are indexed stay before.
pub fn index(lookup: &Lookup, x: &View, out: &mut ViewMut) -> Result<()> {
    let (lead, k) = (lookup.lead, lookup.indices.len());
    let (shape, strides) = (&x.layout.shape, &x.layout.strides);
    let offsets = lookup.offsets(shape, strides)?;
    let heads = Heads::new(&shape[..lead], &strides[..lead])?;
    let (n, rest) = (offsets.values.len(), &shape[lead + k..]);
    let (leads, run): (usize, usize) = (shape[..lead].iter().product(), rest.iter().product());
    if n * leads * run == 0 {
        return Ok(());
    }
    let walk = Walk::new(rest, &[&contiguous_strides(rest), &strides[lead + k..]]);
    let whole = walk.is_one_run() && (walk.inner()[1] == 1 || run == 1);
    let (from, to, size) = (x.start() as usize, out.start() as usize, x.dtype.size());
    let task = |range: Range<usize>| {
        let mut at = range.start;
        while at < range.end {
            let (l, i) = (at / n, at % n);
            let picked = i..n.min(i + range.end - at);
            let from = (from as *const u8).wrapping_offset(heads.at(l) * size as isize);
            let to = (to as *mut u8).wrapping_add(at * run * size);
            at += picked.len();
            // SAFETY: the indices were checked, the walk stays within the rest, and these rows are nobody else's.
            unsafe {
                if whole {
                    rows(from, to, size, run, &offsets, picked);
                } else {
                    by_size!(size, T => scattered_rows(&walk, run, (from.cast::<T>(), to.cast::<T>()), &offsets, picked));
                }
            }
        }
    };
    let grain = (GRAIN / run).max(1);
    if n * leads <= grain {
        task(0..n * leads);
        return Ok(());
    }
    pool::ranges(n * leads, grain, &task)
}

/// Rows that lie in one run each.
///
/// # Safety
/// `run` elements of `size` bytes are at every offset, and room for the rows at `to`.
unsafe fn rows(from: *const u8, to: *mut u8, size: usize, run: usize, offsets: &Offsets, picked: Range<usize>) {
    let bytes = run * size;
    let (first, offsets) = (picked.start, offsets.reader(size));
    macro_rules! at {
        ($i:expr) => {
            from.wrapping_offset(offsets.at($i))
        };
    }
    macro_rules! pieces {
        ($T:ty) => {
            vectorize(
                #[inline(always)]
                |_| {
                    for i in picked {
                        // SAFETY: the caller's word.
                        unsafe { by_pieces::<$T>(at!(i), to.add((i - first) * bytes), bytes) };
                    }
                },
            )
        };
    }
    if run == 1 {
        by_size!(size, T => {
            for i in picked {
                // SAFETY: the caller's word.
                unsafe { to.cast::<T>().add(i - first).write(*at!(i).cast::<T>()) };
            }
        });
        return;
    }
    match bytes {
        0..4 => pieces!(u16),
        4..8 => pieces!(u32),
        8..16 => pieces!(u64),
        16..32 => pieces!([u64; 2]),
        32..64 => pieces!([u64; 4]),
        _ => pieces!([u64; 8]),
    }
}

/// # Safety
/// The walk's elements are at every offset, and room for the rows at the second pointer.
unsafe fn scattered_rows<T: Copy>(
    walk: &Walk,
    run: usize,
    (from, to): (*const T, *mut T),
    offsets: &Offsets,
    picked: Range<usize>,
) {
    let (first, offsets) = (picked.start, offsets.reader(1));
    for i in picked {
        // SAFETY: the caller's word.
        let at = unsafe { offsets.at(i) };
        let (from, to) = (from.wrapping_offset(at), to.wrapping_add((i - first) * run));
        walk.all(&mut |at, step, n| {
            for j in 0..n as isize {
                // SAFETY: the caller's word.
                unsafe { to.offset(at[0] + j * step[0]).write(*from.offset(at[1] + j * step[1])) };
            }
        });
    }
}

/// `n` values written to, or added to, a row; steps of the row and of the values.
///
/// # Safety
/// All those elements are there.
#[inline(always)]
unsafe fn put_row<T: Number>(to: *mut T, from: *const T, n: usize, steps: [isize; 2], add: bool) {
    macro_rules! each {
        (|$j:ident| $to:expr, $from:expr) => {
            if add {
                for $j in 0..n as isize {
                    // SAFETY: the caller's word.
                    unsafe { *$to = (*$to).plus($from) };
                }
            } else {
                for $j in 0..n as isize {
                    // SAFETY: the caller's word.
                    unsafe { *$to = $from };
                }
            }
        };
    }
    match steps {
        _ if n == 1 => each!(|_j| to, *from),
        [1, 1] => each!(|j| to.offset(j), *from.offset(j)),
        [1, 0] => {
            // SAFETY: the caller's word; there is one element at least.
            let value = unsafe { *from };
            each!(|j| to.offset(j), value);
        }
        [a, b] => each!(|j| to.offset(j * a), *from.offset(j * b)),
    }
}

/// What is put where: the rows of `values`, which has the shape of what the indices pick.
struct Rows<'a> {
    offsets: Offsets<'a>,
    heads: Heads,
    /// Over one row, in the destination and in the values.
    walk: Walk,
    run: usize,
    add: bool,
}

impl Rows<'_> {
    /// Puts the rows that `order` names, in its order; `head` is added to them to find their values.
    ///
    /// # Safety
    /// Nobody else reads or writes the places that they name.
    #[inline(always)]
    unsafe fn put<T: Number>(&self, to: *mut T, from: *const T, head: usize, order: impl Iterator<Item = usize>) {
        let (step, offsets) = ([self.walk.inner()[0], self.walk.inner()[1]], self.offsets.reader(1));
        let place = |i: usize| {
            // SAFETY: `order` stays below the number of indices.
            let at = unsafe { offsets.at(i) };
            (to.wrapping_offset(at), from.wrapping_offset(self.heads.at(head + i)))
        };
        if self.walk.is_one_run() {
            let (run, add) = (self.run, self.add);
            vectorize(
                #[inline(always)]
                |_| {
                    for i in order {
                        let (to, from) = place(i);
                        // SAFETY: the indices were checked, and the layouts hold the rows.
                        unsafe { put_row(to, from, run, step, add) };
                    }
                },
            );
            return;
        }
        for i in order {
            let (to, from) = place(i);
            self.walk.all(&mut |at, _, n| {
                // SAFETY: as above.
                unsafe { put_row(to.offset(at[0]), from.offset(at[1]), n, step, self.add) };
            });
        }
    }
}

/// `out[a[i], b[i], ..] = values[i..]`, or added there, in order. `values` has the shape of the indices and the rest; there are
/// no leading dimensions.
pub fn index_put(lookup: &Lookup, out: &mut ViewMut, values: &View, add: bool) -> Result<()> {
    let k = lookup.indices.len();
    let offsets = lookup.offsets(&out.layout.shape, &out.layout.strides)?;
    let (n, rank) = (offsets.values.len(), lookup.indices.first().map_or(0, |v| v.layout.rank()));
    let rest = &out.layout.shape[k..];
    let run: usize = rest.iter().product();
    if n * run == 0 {
        return Ok(());
    }
    let heads = Heads::new(&values.layout.shape[..rank], &values.layout.strides[..rank])?;
    let walk = Walk::new(rest, &[&out.layout.strides[k..], &values.layout.strides[rank..]]);
    let rows = Rows { offsets, heads, walk, run, add };
    crate::storage_type!(out.dtype, T => {
        // SAFETY: the output is the kernel's alone.
        unsafe { rows.put(out.ptr::<T>(), values.ptr::<T>(), 0, 0..n) };
    });
    Ok(())
}

/// Rows that are as short are added up by one thread.
const SHORT: usize = 8;

/// The derivative of [`index`]: zeros, with `g[l, i..]` added at `[l, a[i], b[i], ..]`. The output lies in one run; indices
/// equal to `skip` count for nothing, where there is one index tensor.
pub fn index_sum(lookup: &Lookup, g: &View, out: &mut ViewMut, skip: Option<i64>) -> Result<()> {
    let (lead, k) = (lookup.lead, lookup.indices.len());
    let shape = &out.layout.shape;
    let offsets = lookup.offsets(shape, &out.layout.strides)?;
    let (n, rest) = (offsets.values.len(), &shape[lead + k..]);
    let (leads, run): (usize, usize) = (shape[..lead].iter().product(), rest.iter().product());
    let slots: usize = shape[lead..lead + k].iter().product();
    if leads * slots * run == 0 {
        return Ok(());
    }
    let rank = g.layout.rank() - rest.len();
    let heads = Heads::new(&g.layout.shape[..rank], &g.layout.strides[..rank])?;
    let walk = Walk::new(rest, &[&contiguous_strides(rest), &g.layout.strides[rank..]]);
    let rows = Rows { offsets, heads, walk, run, add: true };
    let skipped = |i: usize| skip.is_some_and(|s| rows.offsets.values[i] == s);
    let (start, total) = (out.start() as usize, slots * run);
    crate::storage_type!(out.dtype, T => {
        let from = g.start() as usize;
        let to = |at: usize| (start as *mut T).wrapping_add(at);
        let from = || from as *const T;
        // SAFETY: zero bytes are a zero of every dtype; every part is written by one task.
        let zero = |r: Range<usize>| unsafe { to(r.start).write_bytes(0, r.len()) };
        if leads > 1 || run < SHORT || total + n * run <= GRAIN || n > u32::MAX as usize {
            // Each leading index has places of its own.
            let task = |l: usize| {
                zero(l * total..(l + 1) * total);
                // SAFETY: as above.
                unsafe { rows.put(to(l * total), from(), l * n, (0..n).filter(|&i| !skipped(i))) };
            };
            let grain = (GRAIN / (total + n * run)).max(1);
            if leads <= grain {
                (0..leads).for_each(task);
                return Ok(());
            }
            return pool::ranges(leads, grain, &|r| r.for_each(task));
        }
        // Sorted by where they go, into buckets that keep their order.
        let wide = slots.div_ceil(slots.min((total + n * run).div_ceil(GRAIN * 2)));
        let buckets = slots.div_ceil(wide);
        let mut ends = vec![0u32; buckets + 1];
        let reader = rows.offsets.reader(1);
        // SAFETY: called for numbers of indices.
        let bucket = |i: usize| unsafe { reader.at(i) } as usize / (run * wide);
        (0..n).for_each(|i| ends[bucket(i) + 1] += 1);
        (0..buckets).for_each(|b| ends[b + 1] += ends[b]);
        let mut order = vec_for(n)?;
        order.resize(n, 0u32);
        for i in 0..n {
            let place = &mut ends[bucket(i)];
            order[*place as usize] = i as u32;
            *place += 1;
        }
        pool::parallel(buckets, &|b| {
            zero(b * wide * run..total.min((b + 1) * wide * run));
            let first = if b == 0 { 0 } else { ends[b - 1] };
            let mine = &order[first as usize..ends[b] as usize];
            // SAFETY: the places of a bucket are written by one task.
            unsafe { rows.put(to(0), from(), 0, mine.iter().map(|&i| i as usize).filter(|&i| !skipped(i))) };
        })
    })
}
