//! Elementwise kernels: operands of any layout go through small blocks in the type that is computed in.
//!
//! The driver is compiled once; an operation adds only its inner loop over three slices. A block that is in one run and in
//! the right type is used where it lies, others (strided, broadcast, f16, the output that is also an input) go by a buffer.
use super::walk::Walk;
use super::{View, ViewMut, pool, simd::vectorize};
use crate::dtype::{C32, C64, DType, Element};
use crate::error::Result;
use half::{bf16, f16};
use smallvec::SmallVec;

/// Elements a block: small enough for several to stay in the first cache, large enough to forget the calls around it.
const BLOCK: usize = 512;
/// Elements a task of the pool.
const GRAIN: usize = 1 << 15;

/// Copies `n` elements, a step apart in the source, to a run of the destination, or the other way round.
type Mover = unsafe fn(*const u8, isize, *mut u8, usize);

unsafe fn load<S: Copy, T>(from: *const u8, step: isize, to: *mut u8, n: usize, f: impl Fn(S) -> T) {
    let (from, to) = (from.cast::<S>(), to.cast::<T>());
    for i in 0..n {
        // SAFETY: the caller's operands have n elements there.
        unsafe { to.add(i).write(f(*from.offset(i as isize * step))) };
    }
}

unsafe fn store<S: Copy, T>(from: *const u8, step: isize, to: *mut u8, n: usize, f: impl Fn(S) -> T) {
    let (from, to) = (from.cast::<S>(), to.cast::<T>());
    for i in 0..n {
        // SAFETY: the caller's operands have n elements there.
        unsafe { to.offset(i as isize * step).write(f(*from.add(i))) };
    }
}

macro_rules! movers {
    ($side:ident, $size:expr, $from:expr, $to:expr, [$(($s:ident, $t:ident, $S:ty, $T:ty, $f:expr)),*]) => {
        match ($from, $to) {
            $((DType::$s, DType::$t) => |p, step, q, n| {
                // SAFETY: as the caller's.
                unsafe { $side::<$S, $T>(p, step, q, n, $f) }
            },)*
            _ => match $size {
                // SAFETY: as the caller's.
                1 => |p, step, q, n| unsafe { $side::<u8, u8>(p, step, q, n, |x| x) },
                // SAFETY: as the caller's.
                2 => |p, step, q, n| unsafe { $side::<u16, u16>(p, step, q, n, |x| x) },
                // SAFETY: as the caller's.
                4 => |p, step, q, n| unsafe { $side::<u32, u32>(p, step, q, n, |x| x) },
                // SAFETY: as the caller's.
                8 => |p, step, q, n| unsafe { $side::<u64, u64>(p, step, q, n, |x| x) },
                // SAFETY: as the caller's.
                _ => |p, step, q, n| unsafe { $side::<C64, C64>(p, step, q, n, |x| x) },
            },
        }
    };
}

fn loader(dtype: DType, compute: DType) -> Mover {
    movers!(
        load,
        dtype.size(),
        dtype,
        compute,
        [
            (F16, F32, f16, f32, f16::to_f32),
            (BF16, F32, bf16, f32, bf16::to_f32),
            (C64, C128, C32, C64, |c: C32| C64::new(c.re.into(), c.im.into()))
        ]
    )
}

fn storer(compute: DType, dtype: DType) -> Mover {
    movers!(
        store,
        dtype.size(),
        compute,
        dtype,
        [
            (F32, F16, f32, f16, f16::from_f32),
            (F32, BF16, f32, bf16, bf16::from_f32),
            (F64, F32, f64, f32, |x: f64| x as f32),
            (C128, C64, C64, C32, |c: C64| C32::new(c.re as f32, c.im as f32))
        ]
    )
}

/// A buffer for one block of any type.
#[repr(align(64))]
struct Buffer {
    _bytes: [u8; BLOCK * 16],
}

/// Reads a block of each input, writes one of the output; all are runs of `n` elements, and the output is none of the inputs.
type Block<'a> = &'a (dyn Fn(&[*const u8], *mut u8, usize) + Sync);

/// Inputs of the largest elementwise operation.
const INPUTS: usize = 3;

/// # Safety
/// `block` reads `compute[i]`s and writes `into`s, every dtype converts to them, and there are at most `INPUTS` inputs.
unsafe fn drive(inputs: &[View], compute: &[DType], out: &mut ViewMut, into: DType, block: Block) -> Result<()> {
    let (shape, start, out_dtype) = (&out.layout.shape, out.start() as usize, out.dtype);
    let plain = |i: usize| {
        let v = &inputs[i];
        v.dtype == compute[i] && v.layout.shape == *shape && v.layout.is_contiguous() && v.start() as usize != start
    };
    if out_dtype == into && out.layout.is_contiguous() && (0..inputs.len()).all(plain) {
        // Everything lies as it is computed.
        let task = |range: std::ops::Range<usize>| {
            let mut ins = [std::ptr::null(); INPUTS];
            for (to, v) in ins.iter_mut().zip(inputs) {
                *to = v.start().wrapping_add(range.start * v.dtype.size());
            }
            let to = (start as *mut u8).wrapping_add(range.start * out_dtype.size());
            block(&ins[..inputs.len()], to, range.len());
        };
        return ranges(out.layout.numel(), &task);
    }
    let wide: SmallVec<[_; INPUTS]> = inputs.iter().map(|v| v.layout.broadcast_to(shape)).collect();
    let mut strides: SmallVec<[&[isize]; INPUTS + 1]> = SmallVec::new();
    strides.push(&out.layout.strides);
    strides.extend(wide.iter().map(|l| &l.strides[..]));
    let walk = Walk::new(shape, &strides);
    let pass = Pass { walk: &walk, inputs, compute, start, out_dtype, into, block };
    // SAFETY: the caller's word.
    ranges(walk.numel(), &|range| unsafe { pass.run(range) })
}

/// Small work at once, large work by the pool.
fn ranges(n: usize, task: &(dyn Fn(std::ops::Range<usize>) + Sync)) -> Result<()> {
    if n <= GRAIN {
        task(0..n);
        return Ok(());
    }
    pool::ranges(n, GRAIN, task)
}

/// One elementwise operation over operands of any layout.
struct Pass<'a> {
    walk: &'a Walk,
    inputs: &'a [View<'a>],
    compute: &'a [DType],
    start: usize,
    out_dtype: DType,
    into: DType,
    block: Block<'a>,
}

impl Pass<'_> {
    /// # Safety
    /// As `drive`.
    unsafe fn run(&self, range: std::ops::Range<usize>) {
        let mut buffers = [const { std::mem::MaybeUninit::<Buffer>::uninit() }; INPUTS + 1];
        let inner = self.walk.inner();
        let store = storer(self.into, self.out_dtype);
        let loaders: SmallVec<[Mover; INPUTS]> =
            self.inputs.iter().zip(self.compute).map(|(v, &c)| loader(v.dtype, c)).collect();
        // One value for a whole run is spread once.
        let mut spread: [(*const u8, usize); INPUTS] = [(std::ptr::null(), 0); INPUTS];
        self.walk.run(range, &mut |at, step, n| {
            for done in (0..n).step_by(BLOCK) {
                let m = BLOCK.min(n - done);
                let place = |k: usize, dtype: DType| (at[k] + done as isize * step[k]) * dtype.size() as isize;
                let to = (self.start as *mut u8).wrapping_offset(place(0, self.out_dtype));
                let (mut ins, mut aliased): (SmallVec<[*const u8; INPUTS]>, bool) = (SmallVec::new(), false);
                for (i, view) in self.inputs.iter().enumerate() {
                    let from = view.start().wrapping_offset(place(i + 1, view.dtype));
                    if step[i + 1] == 1 && view.dtype == self.compute[i] {
                        aliased |= std::ptr::eq(from, to);
                        ins.push(from);
                        continue;
                    }
                    let buffer = buffers[i].as_mut_ptr().cast::<u8>();
                    if !(inner[i + 1] == 0 && spread[i].0 == from && spread[i].1 >= m) {
                        // SAFETY: the walk stays within the view, and the buffer holds a block.
                        unsafe { loaders[i](from, step[i + 1], buffer, m) };
                        spread[i] = (from, m);
                    }
                    ins.push(buffer);
                }
                if step[0] == 1 && self.out_dtype == self.into && !aliased {
                    (self.block)(&ins, to, m);
                } else {
                    let buffer = buffers[INPUTS].as_mut_ptr().cast::<u8>();
                    (self.block)(&ins, buffer, m);
                    // SAFETY: the walk stays within the output, and `block` wrote `m` elements.
                    unsafe { store(buffer, step[0], to, m) };
                }
            }
        });
    }
}

/// Whether loops over this type are compiled for every instruction set: others are as good as the baseline, or rare.
pub(super) const fn wide<T: Element>() -> bool {
    matches!(T::ELEMENT, DType::F32 | DType::F64)
}

/// `out = f(inputs)` for each element; the inputs, of one type, are broadcast to the output. The output may be an input, in
/// the same layout.
///
/// # Panics
/// If a view's dtype is not computed in `T`, or the output's not in `U`.
pub fn map<T: Element, U: Element, const N: usize>(
    inputs: [&View; N],
    out: &mut ViewMut,
    f: impl Fn([T; N]) -> U + Sync,
) -> Result<()> {
    let views = inputs.map(|v| *v);
    let block = |ins: &[*const u8], to: *mut u8, n: usize| {
        // SAFETY: the driver hands over runs of n elements of these types, and the output is none of the inputs.
        let (ins, to) = unsafe {
            let ins: [&[T]; N] = std::array::from_fn(|k| std::slice::from_raw_parts(ins[k].cast::<T>(), n));
            (ins, std::slice::from_raw_parts_mut(to.cast::<U>(), n))
        };
        macro_rules! run {
            () => {
                for (i, to) in to.iter_mut().enumerate() {
                    // SAFETY: all are runs of n elements; a check here would keep the loop from being vectorised.
                    *to = f(std::array::from_fn(|k| unsafe { *ins[k].get_unchecked(i) }));
                }
            };
        }
        if const { wide::<T>() } {
            vectorize(
                #[inline(always)]
                |_| run!(),
            );
        } else {
            run!();
        }
    };
    // SAFETY: the types are those of the block.
    unsafe { drive(&views, &[T::ELEMENT; N], out, U::ELEMENT, &block) }
}

/// `condition ? a : b`, by element size alone.
pub fn select(condition: &View, a: &View, b: &View, out: &mut ViewMut) -> Result<()> {
    fn pick<T: Copy>(ins: &[*const u8], to: *mut u8, n: usize) {
        // SAFETY: the driver hands over runs of n elements of this size.
        let (c, a, b, to) = unsafe {
            let c = std::slice::from_raw_parts(ins[0].cast::<bool>(), n);
            let a = std::slice::from_raw_parts(ins[1].cast::<T>(), n);
            let b = std::slice::from_raw_parts(ins[2].cast::<T>(), n);
            (c, a, b, std::slice::from_raw_parts_mut(to.cast::<T>(), n))
        };
        for i in 0..n {
            to[i] = if c[i] { a[i] } else { b[i] };
        }
    }
    let block: Block = match out.dtype.size() {
        1 => &pick::<u8>,
        2 => &pick::<u16>,
        4 => &pick::<u32>,
        8 => &pick::<u64>,
        _ => &pick::<C64>,
    };
    let compute = [DType::Bool, a.dtype, b.dtype];
    // SAFETY: the sizes are those of the block.
    unsafe { drive(&[*condition, *a, *b], &compute, out, out.dtype, block) }
}
