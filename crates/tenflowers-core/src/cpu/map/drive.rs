//! Brings operands of any layout and dtype into runs that a block of code works on.
use super::super::convert::{Convert, converter};
use super::super::walk::Walk;
use super::super::{View, ViewMut, pool};
use super::past::{self, Past};
use super::tile;
use crate::dtype::{C64, DType};
use crate::error::Result;
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Elements a block: small enough for several to stay in the first cache, large enough to forget the calls around it.
pub(super) const BLOCK: usize = 512;
/// Elements a task of the pool.
pub const GRAIN: usize = 1 << 15;
/// Inputs of the largest elementwise operation.
pub(super) const INPUTS: usize = 3;

/// An operand of a block: runs of elements, or in each run one value that stands for all of them.
#[derive(Clone, Copy)]
pub struct Run {
    pub at: *const u8,
    pub fixed: bool,
    /// Bytes to the next run.
    pub next: isize,
}

impl Run {
    /// Not yet known.
    pub(super) const NONE: Run = Run { at: std::ptr::null(), fixed: false, next: 0 };

    /// That run after this one.
    #[inline(always)]
    pub fn nth(self, row: usize) -> Run {
        Run { at: self.at.wrapping_offset(row as isize * self.next), ..self }
    }
}

/// The runs of the output that a block writes.
pub struct Rows {
    pub at: *mut u8,
    /// Elements of a run.
    pub len: usize,
    pub count: usize,
    /// Bytes to the next run.
    pub next: isize,
}

impl Rows {
    /// Where the runs start.
    #[inline(always)]
    pub fn starts(&self) -> impl Iterator<Item = *mut u8> {
        (0..self.count as isize).map(|row| self.at.wrapping_offset(row * self.next))
    }
    pub(super) fn one(at: *mut u8, len: usize) -> Rows {
        Rows { at, len, count: 1, next: 0 }
    }
}

/// The code of an operation: reads runs of each input and writes those of the output, which may be an input.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub run: &'a (dyn Fn(&[Run], &Rows) + Sync),
    /// Whether it takes operands of one value; otherwise they are spread over a run.
    pub fixed: bool,
}

/// A buffer for one block of any type.
#[repr(align(64))]
pub(super) struct Buffer {
    // Not a power of two, so that the lines of several buffers lie in different sets of the cache.
    _bytes: [u8; BLOCK * 16 + 320],
}

/// # Safety
/// `block` reads `compute[i]`s and writes `into`s, every dtype converts to them, and there are at most `INPUTS` inputs.
pub unsafe fn drive(inputs: &[View], compute: &[DType], out: &mut ViewMut, into: DType, block: Block) -> Result<()> {
    let (shape, start, out_dtype) = (&out.layout.shape, out.start() as usize, out.dtype);
    let plain = |i: usize| {
        let v = &inputs[i];
        v.dtype == compute[i] && v.layout.shape == *shape && v.layout.is_contiguous()
    };
    if out_dtype == into && out.layout.is_contiguous() && (0..inputs.len()).all(plain) {
        // Everything lies as it is computed.
        let n = out.layout.numel();
        let past = past(block, inputs.iter().map(|v| (v.start(), v.dtype.size())), out, n);
        let task = |range: Range<usize>| {
            let mut ins = [Run::NONE; INPUTS];
            for (to, v) in ins.iter_mut().zip(inputs) {
                to.at = v.start().wrapping_add(range.start * v.dtype.size());
            }
            let (ins, to) = (&ins[..inputs.len()], (start as *mut u8).wrapping_add(range.start * out_dtype.size()));
            match &past {
                None => (block.run)(ins, &Rows::one(to, range.len())),
                Some(past) => past.run(ins, to, range.start, range.len()),
            }
        };
        ranges(n, task)?;
        if let Some(past) = past {
            past.end();
        }
        return Ok(());
    }
    let wide: SmallVec<[_; INPUTS]> = inputs.iter().map(|v| v.layout.broadcast_to(shape)).collect();
    let mut strides: SmallVec<[&[isize]; INPUTS + 1]> = SmallVec::new();
    strides.push(&out.layout.strides);
    strides.extend(wide.iter().map(|l| &l.strides[..]));
    // The order of the elements does not matter: runs go along the output's memory.
    let walk = Walk::along_first(shape, &strides);
    let operand = |dtype: DType, compute: DType, at: usize| Operand {
        at,
        size: dtype.size(),
        convert: converter(dtype, compute),
        same: dtype == compute,
    };
    let ins: SmallVec<[Operand; INPUTS]> =
        inputs.iter().zip(compute).map(|(v, &c)| operand(v.dtype, c, v.start() as usize)).collect();
    let mut to = operand(out_dtype, into, start);
    to.convert = converter(into, out_dtype);
    let inner = walk.inner();
    let past = if walk.numel() >= past::FEWEST && walk.shape().len() == 1 && are_direct(&ins, &to, inner, block) {
        let size = |step: isize, v: &View| if step == 0 { 0 } else { v.dtype.size() };
        past(block, inputs.iter().zip(&inner[1..]).map(|(v, &step)| (v.start(), size(step, v))), out, walk.numel())
    } else {
        None
    };
    let pass = Pass { ins: &ins, to, block, past };
    if let Some(planes) = Planes::new(&walk, &pass) {
        let task = |i| planes.run(i);
        return if planes.tasks() == 1 {
            task(0);
            Ok(())
        } else {
            pool::parallel(planes.tasks(), &task)
        };
    }
    if let Some(tiles) = tile::Tiles::new(&walk, &pass) {
        // SAFETY: the caller's word.
        return pool::parallel(tiles.tasks(), &|i| unsafe { tiles.run(i) });
    }
    // SAFETY: the caller's word.
    ranges(walk.numel(), |range| unsafe { pass.run(&walk, range) })?;
    if let Some(past) = &pass.past {
        past.end();
    }
    Ok(())
}

/// The operation as one whose results go past the caches, where there are enough of them.
#[inline]
fn past<'a>(
    block: Block<'a>,
    inputs: impl Iterator<Item = (*const u8, usize)>,
    out: &ViewMut,
    n: usize,
) -> Option<Past<'a>> {
    if n < past::FEWEST {
        return None;
    }
    Past::new(block, &inputs.collect::<SmallVec<[_; INPUTS]>>(), (out.start(), out.dtype.size()), n)
}

/// Small work at once, large work by the pool.
#[inline]
fn ranges(n: usize, task: impl Fn(Range<usize>) + Sync) -> Result<()> {
    if n <= GRAIN {
        task(0..n);
        return Ok(());
    }
    pool::ranges(n, GRAIN, &task)
}

/// Where an operand is, and how it gets into the type that is computed in, or out of it.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    pub at: usize,
    pub size: usize,
    pub convert: Convert,
    pub same: bool,
}

impl Operand {
    fn place(&self, index: isize) -> *mut u8 {
        (self.at as *mut u8).wrapping_offset(index * self.size as isize)
    }
}

/// Whether the block works on the operands where they lie, with these steps of the output and the inputs.
pub(super) fn are_direct(ins: &[Operand], to: &Operand, steps: &[isize], block: Block) -> bool {
    let direct = |(x, &step): (&Operand, &isize)| x.same && (step == 1 || step == 0 && block.fixed);
    to.same && steps[0] == 1 && ins.iter().zip(&steps[1..]).all(direct)
}

/// One elementwise operation over operands of any layout.
pub(super) struct Pass<'a> {
    pub ins: &'a [Operand],
    pub to: Operand,
    pub block: Block<'a>,
    past: Option<Past<'a>>,
}

/// Two dimensions that every operand goes through as it is, repeated over the others: rows that one call of a block does.
struct Planes<'a, 'b> {
    pass: &'a Pass<'b>,
    walk: &'a Walk,
    outer: Walk,
    rows: usize,
    columns: usize,
    /// Rows of a task, and tasks of a plane.
    panel: usize,
    panels: usize,
}

impl<'a, 'b> Planes<'a, 'b> {
    fn new(walk: &'a Walk, pass: &'a Pass<'b>) -> Option<Self> {
        let [.., rows, columns] = *walk.shape() else { return None };
        if !are_direct(pass.ins, &pass.to, walk.inner(), pass.block) {
            return None;
        }
        let last = walk.shape().len() - 1;
        let panel = (GRAIN / columns.max(1)).clamp(1, rows.max(1));
        let outer = walk.without(&[last - 1, last]);
        // Long rows are cut by the other way.
        (columns <= GRAIN).then(|| Planes { pass, walk, outer, rows, columns, panel, panels: rows.div_ceil(panel) })
    }
    fn tasks(&self) -> usize {
        self.outer.numel() * self.panels
    }
    fn run(&self, task: usize) {
        let (plane, first) = (task / self.panels, task % self.panels * self.panel);
        let dim = self.walk.shape().len() - 2;
        self.outer.run(plane..plane + 1, &mut |at, _, _| {
            let row = |k: usize, x: &Operand| {
                let step = self.walk.step(dim, k);
                (x.place(at[k] + first as isize * step), step * x.size as isize)
            };
            let mut runs = [Run::NONE; INPUTS];
            for (i, x) in self.pass.ins.iter().enumerate() {
                let (at, next) = row(i + 1, x);
                runs[i] = Run { at, fixed: self.walk.inner()[i + 1] == 0, next };
            }
            let (at, next) = row(0, &self.pass.to);
            let to = Rows { at, len: self.columns, count: self.panel.min(self.rows - first), next };
            (self.pass.block.run)(&runs[..self.pass.ins.len()], &to);
        });
    }
}

/// Room for the operands that are not used where they lie.
pub(super) type Buffers = [MaybeUninit<Buffer>; INPUTS + 2];

impl Pass<'_> {
    /// # Safety
    /// As `drive`.
    // By itself: room for the buffers costs time even where they are not used.
    #[inline(never)]
    unsafe fn run(&self, walk: &Walk, range: Range<usize>) {
        let mut buffers: Buffers = [const { MaybeUninit::uninit() }; INPUTS + 2];
        walk.run(range, &mut |at, step, n| {
            let mut ins = [(std::ptr::null::<u8>(), 0); INPUTS];
            for (i, x) in self.ins.iter().enumerate() {
                ins[i] = (x.place(at[i + 1]).cast_const(), step[i + 1]);
            }
            // SAFETY: the walk stays within the operands.
            unsafe { self.row(&ins[..self.ins.len()], (self.to.place(at[0]), step[0]), n, &mut buffers) };
        });
    }

    /// Inputs and the output of `n` elements each, with their steps.
    ///
    /// # Safety
    /// As `drive`.
    pub unsafe fn row(&self, ins: &[(*const u8, isize)], to: (*mut u8, isize), n: usize, buffers: &mut Buffers) {
        // Once for all: to borrow them again would end the pointers into them.
        let places = buffers.each_mut().map(|b| b.as_mut_ptr().cast::<u8>());
        let mut runs = [Run::NONE; INPUTS];
        let direct_out = to.1 == 1 && self.to.same;
        let mut all = direct_out;
        for (i, (x, &(at, step))) in self.ins.iter().zip(ins).enumerate() {
            if step == 0 && self.block.fixed {
                let value = if x.same {
                    at
                } else {
                    let buffer = places[i];
                    // SAFETY: one element, and room for more.
                    unsafe { (x.convert)(at, buffer, 1) };
                    buffer
                };
                runs[i] = Run { at: value, fixed: true, next: 0 };
            } else {
                runs[i] = Run { at, ..Run::NONE };
                all &= step == 1 && x.same;
            }
        }
        if all {
            match &self.past {
                None => (self.block.run)(&runs[..ins.len()], &Rows::one(to.0, n)),
                Some(past) => {
                    past.run(&runs[..ins.len()], to.0, to.0.addr().wrapping_sub(self.to.at) / self.to.size, n)
                }
            }
            return;
        }
        for done in (0..n).step_by(BLOCK) {
            let m = BLOCK.min(n - done);
            for (i, (x, &(at, step))) in self.ins.iter().zip(ins).enumerate() {
                if runs[i].fixed {
                    continue;
                }
                let from = at.wrapping_offset(done as isize * step * x.size as isize);
                let buffer = places[i];
                runs[i].at = match (step, x.same) {
                    (1, true) => from,
                    // SAFETY: `m` elements are there, and a buffer has room for them.
                    (1, false) => unsafe {
                        (x.convert)(from, buffer, m);
                        buffer
                    },
                    // A value that was spread is there for the blocks to come.
                    (0, _) if done > 0 => buffer,
                    // SAFETY: as above.
                    (_, true) => unsafe {
                        strided(x.size, from, step, buffer, 1, m);
                        buffer
                    },
                    // SAFETY: as above.
                    (_, false) => unsafe {
                        let gather = places[INPUTS + 1];
                        strided(x.size, from, step, gather, 1, m);
                        (x.convert)(gather, buffer, m);
                        buffer
                    },
                };
            }
            let to_here = to.0.wrapping_offset(done as isize * to.1 * self.to.size as isize);
            if direct_out {
                (self.block.run)(&runs[..ins.len()], &Rows::one(to_here, m));
                continue;
            }
            let buffer = places[INPUTS];
            (self.block.run)(&runs[..ins.len()], &Rows::one(buffer, m));
            // SAFETY: the block wrote `m` elements, and as many are in the output.
            unsafe {
                match (to.1, self.to.same) {
                    (_, true) => strided(self.to.size, buffer, 1, to_here, to.1, m),
                    (1, false) => (self.to.convert)(buffer, to_here, m),
                    (_, false) => {
                        let gather = places[INPUTS + 1];
                        (self.to.convert)(buffer, gather, m);
                        strided(self.to.size, gather, 1, to_here, to.1, m);
                    }
                }
            }
        }
    }
}

/// Copies `n` elements of `size` bytes with steps on both sides.
///
/// # Safety
/// They are there, and do not overlap but for equal places.
pub(super) unsafe fn strided(size: usize, from: *const u8, from_step: isize, to: *mut u8, to_step: isize, n: usize) {
    unsafe fn all<T: Copy>(from: *const u8, from_step: isize, to: *mut u8, to_step: isize, n: usize) {
        let (from, to) = (from.cast::<T>(), to.cast::<T>());
        for i in 0..n as isize {
            // SAFETY: the caller's word.
            unsafe { to.offset(i * to_step).write(*from.offset(i * from_step)) };
        }
    }
    // SAFETY: the caller's word.
    unsafe {
        match size {
            _ if from_step == 1 && to_step == 1 => std::ptr::copy(from, to, n * size),
            1 => all::<u8>(from, from_step, to, to_step, n),
            2 => all::<u16>(from, from_step, to, to_step, n),
            4 => all::<u32>(from, from_step, to, to_step, n),
            8 => all::<u64>(from, from_step, to, to_step, n),
            _ => all::<C64>(from, from_step, to, to_step, n),
        }
    }
}
