//! Results that no cache has room for, written past the caches: a line that is written whole need not be read before.
//!
//! Whether that is faster depends on the machine, and by a third either way: the first operations of that size do one half of
//! their elements each way, and take the time. The elements are the same either way.
use super::super::simd::{Isa, LINE, isa, prefetch};
use super::drive::{BLOCK, Block, Buffer, GRAIN, INPUTS, Rows, Run};
use std::mem::MaybeUninit;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// Bytes that an operation reads and writes from which on this is tried.
const LEAST: usize = 64 << 20;
/// Elements of the smallest such operation.
pub(super) const FEWEST: usize = LEAST / (16 * (INPUTS + 1));
/// Operations that are measured.
const MEASURED: usize = 4;

/// Operations measured so far.
static SEEN: AtomicUsize = AtomicUsize::new(0);
/// What the halves of the fastest of them took, through the caches and past them, in nanoseconds a mebibyte: others had to wait
/// for memory that was touched for the first time. The lock is only tried, so that a forked child need not wait for it.
static FASTEST: Mutex<[u64; 2]> = Mutex::new([u64::MAX / 2; 2]);

/// How an operation writes that does not go by way of the caches as others do.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Past,
    /// Elements below the number one way, the others the other way: past the caches first where that is said.
    Half(usize, bool),
}

/// An operation of `n` elements over runs.
pub(super) struct Past<'a> {
    block: Block<'a>,
    /// Sizes of elements, of the inputs and of the output.
    sizes: [usize; INPUTS],
    out_size: usize,
    way: Way,
    bytes: usize,
    /// Of the halves, in nanoseconds.
    times: [AtomicU64; 2],
}

impl<'a> Past<'a> {
    /// The operation, where it is large enough and the output is whole lines apart from the inputs, of which those of one
    /// value have size 0.
    pub fn new(
        block: Block<'a>,
        ins: &[(*const u8, usize)],
        (to, out_size): (*mut u8, usize),
        n: usize,
    ) -> Option<Self> {
        let bytes = n * (out_size + ins.iter().map(|(_, size)| size).sum::<usize>());
        let line = to.addr().is_multiple_of(LINE) && (GRAIN * out_size).is_multiple_of(LINE);
        if bytes < LEAST || !line || ins.iter().any(|(from, _)| from.addr() == to.addr()) || !supported() {
            return None;
        }
        let way = match SEEN.load(Relaxed) {
            seen if seen < MEASURED => Way::Half(n / 2 / GRAIN * GRAIN, seen.is_multiple_of(2)),
            // A little more has to be gained than chance gives.
            _ if FASTEST.try_lock().is_ok_and(|times| times[1] + times[1] / 32 < times[0]) => Way::Past,
            _ => return None,
        };
        let mut sizes = [0; INPUTS];
        for (to, (_, size)) in sizes.iter_mut().zip(ins) {
            *to = *size;
        }
        Some(Past { block, sizes, out_size, way, bytes, times: Default::default() })
    }

    /// `n` elements from `first` on, which are where the runs begin.
    pub fn run(&self, ins: &[Run], to: *mut u8, first: usize, n: usize) {
        match self.way {
            Way::Past => self.pieces(ins, to, n),
            Way::Half(half, past_first) => {
                let past = (first < half) == past_first;
                let start = Instant::now();
                if past {
                    self.pieces(ins, to, n);
                } else {
                    (self.block.run)(ins, &Rows::one(to, n));
                }
                self.times[usize::from(past)].fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
            }
        }
    }

    /// To be called when all is done.
    pub fn end(&self) {
        if matches!(self.way, Way::Half(..)) {
            let times = self.times.each_ref().map(|t| (t.load(Relaxed) << 20) / self.bytes as u64);
            if let Ok(mut fastest) = FASTEST.try_lock()
                && times[0] + times[1] < fastest[0].saturating_add(fastest[1])
            {
                *fastest = times;
            }
            SEEN.fetch_add(1, Relaxed);
        }
    }

    /// By way of a buffer that stays in the first cache.
    fn pieces(&self, ins: &[Run], to: *mut u8, n: usize) {
        let mut buffer = MaybeUninit::<Buffer>::uninit();
        let buffer = buffer.as_mut_ptr().cast::<u8>();
        let mut pieces = [Run::NONE; INPUTS];
        pieces[..ins.len()].copy_from_slice(ins);
        for done in (0..n).step_by(BLOCK) {
            let here = BLOCK.min(n - done);
            (self.block.run)(&pieces[..ins.len()], &Rows::one(buffer, here));
            // In place: to read whole what was written in parts would wait for all writes before it.
            for (piece, &size) in pieces.iter_mut().zip(&self.sizes) {
                let bytes = if piece.fixed { 0 } else { here * size };
                piece.at = piece.at.wrapping_add(bytes);
                // What is read next is on its way before the writes, which wait for memory.
                for line in (0..bytes).step_by(LINE) {
                    prefetch(piece.at.wrapping_add(line));
                }
            }
            // SAFETY: as many bytes are there on both sides, and the output begins with a line, as does every block of it.
            unsafe { copy(buffer, to.add(done * self.out_size), here * self.out_size) };
        }
        fence();
    }
}

/// Whether there are instructions for it.
fn supported() -> bool {
    // Narrower ones fill a line in too many steps.
    cfg!(all(target_arch = "x86_64", not(miri))) && matches!(isa(), Isa::Avx512 | Isa::Avx2)
}

/// # Safety
/// `supported`; `n` bytes are there on both sides, which are apart; each begins with a line.
unsafe fn copy(from: *const u8, to: *mut u8, n: usize) {
    let whole = n / LINE * LINE;
    // SAFETY: the caller's word.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match isa() {
            Isa::Avx512 => x86::lines::<true>(from, to, whole),
            _ => x86::lines::<false>(from, to, whole),
        }
        std::ptr::copy_nonoverlapping(from.add(whole), to.add(whole), n - whole);
    }
}

/// What was written past the caches is seen by others before what is written from now on.
fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every machine of the target has it.
    unsafe {
        std::arch::x86_64::_mm_sfence()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::LINE;
    use std::arch::x86_64::*;

    /// # Safety
    /// As `copy`, with the instruction set.
    pub unsafe fn lines<const WIDE: bool>(from: *const u8, to: *mut u8, n: usize) {
        #[target_feature(enable = "avx512f")]
        unsafe fn wide(from: *const u8, to: *mut u8, n: usize) {
            for i in (0..n).step_by(LINE) {
                // SAFETY: the caller's word.
                unsafe { _mm512_stream_si512(to.add(i).cast(), _mm512_load_si512(from.add(i).cast())) };
            }
        }
        #[target_feature(enable = "avx2")]
        unsafe fn halves(from: *const u8, to: *mut u8, n: usize) {
            for i in (0..n).step_by(LINE / 2) {
                // SAFETY: the caller's word.
                unsafe { _mm256_stream_si256(to.add(i).cast(), _mm256_load_si256(from.add(i).cast())) };
            }
        }
        // SAFETY: the caller's word.
        unsafe { if WIDE { wide(from, to, n) } else { halves(from, to, n) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::alloc::Block as Memory;

    #[test]
    fn every_way_writes_the_same() {
        let n = 3 * GRAIN + 1234;
        let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let double = |ins: &[Run], to: &Rows| {
            for i in 0..to.len {
                // SAFETY: runs of as many elements.
                unsafe { to.at.cast::<f32>().add(i).write(2.0 * *ins[0].at.cast::<f32>().add(i)) };
            }
        };
        if !supported() {
            return;
        }
        for way in [Way::Past, Way::Half(GRAIN, true), Way::Half(2 * GRAIN, false)] {
            let memory = Memory::new(n * 4, false).unwrap();
            let to = memory.as_ptr();
            let past = Past {
                block: Block { run: &double, fixed: false },
                sizes: [4; INPUTS],
                out_size: 4,
                way,
                bytes: 8 * n,
                times: Default::default(),
            };
            for start in (0..n).step_by(GRAIN) {
                let run = Run { at: x[start..].as_ptr().cast(), ..Run::NONE };
                past.run(&[run], to.wrapping_add(4 * start), start, GRAIN.min(n - start));
            }
            // SAFETY: just written.
            let found = unsafe { std::slice::from_raw_parts(to.cast::<f32>(), n) };
            assert!(found.iter().zip(&x).all(|(y, x)| *y == 2.0 * x), "{way:?}");
        }
    }

    #[test]
    fn only_large_outputs_of_whole_lines_apart_from_the_inputs() {
        let none = |_: &[Run], _: &Rows| {};
        let block = Block { run: &none, fixed: false };
        let (x, to) = (4096 as *const u8, (1usize << 40) as *mut u8);
        let n = LEAST / 8;
        let measured = SEEN.load(Relaxed) < MEASURED;
        assert!(Past::new(block, &[(x, 4)], (to, 4), n).is_some() || !supported() || !measured);
        assert!(Past::new(block, &[(x, 4)], (to, 4), n - 1).is_none());
        assert!(Past::new(block, &[(x, 4)], (to.wrapping_add(4), 4), n).is_none());
        assert!(Past::new(block, &[(x, 4), (to.cast_const(), 4)], (to, 4), n).is_none());
    }
}
