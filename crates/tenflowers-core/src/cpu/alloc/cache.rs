//! Large blocks that nobody uses, by size class, kept for the next tensor.
//!
//! The lock is only ever tried: who finds it taken does without the cache, so that a child that was forked while another
//! thread held it goes on.
use super::pages;
use parking_lot::{Mutex, MutexGuard};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Blocks from here on are kept here.
pub const LEAST: usize = SMALLEST + 1;
const SMALLEST: usize = 1 << 16;
/// Classes of a doubling in size: at most an eighth of a block is not used.
const STEPS: usize = 8;
const CLASSES: usize = STEPS * (usize::BITS as usize - 1 - SMALLEST.ilog2() as usize);

/// What a block of some length takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeClass {
    index: usize,
    pub bytes: usize,
}

/// The class of a length of `LEAST` or more; none where it is beyond all memory.
pub fn size_class(len: usize) -> Option<SizeClass> {
    let power = (len - 1).ilog2();
    let step = (1usize << power) / STEPS;
    let bytes = len.checked_next_multiple_of(step).filter(|&b| b <= isize::MAX as usize)?;
    let index = STEPS * (power - SMALLEST.ilog2()) as usize + (bytes - (1 << power)) / step - 1;
    Some(SizeClass { index, bytes })
}

struct Kept {
    ptr: NonNull<u8>,
    bytes: usize,
    /// When it was given, in blocks given so far.
    at: u64,
}

struct Cache {
    /// The newest last: it may still be in the processor's cache.
    classes: [Vec<Kept>; CLASSES],
    given: u64,
}

// SAFETY: the blocks are owned.
unsafe impl Send for Cache {}

static CACHE: Mutex<Cache> = Mutex::new(Cache { classes: [const { Vec::new() }; CLASSES], given: 0 });
/// Bytes of all blocks in the cache.
static BYTES: AtomicUsize = AtomicUsize::new(0);

fn lock() -> Option<MutexGuard<'static, Cache>> {
    for _ in 0..200 {
        if let Some(cache) = CACHE.try_lock() {
            return Some(cache);
        }
        std::hint::spin_loop();
    }
    std::thread::yield_now();
    CACHE.try_lock()
}

pub fn bytes() -> usize {
    BYTES.load(Relaxed)
}

/// A block of this class, with anything in it.
pub fn take(class: SizeClass) -> Option<NonNull<u8>> {
    let kept = lock()?.classes[class.index].pop()?;
    BYTES.fetch_sub(kept.bytes, Relaxed);
    Some(kept.ptr)
}

/// Keeps a block that came from [`take`] or `pages::map` with this class's size.
pub fn give(ptr: NonNull<u8>, class: SizeClass) {
    if let Some(mut cache) = lock() {
        cache.given += 1;
        let at = cache.given;
        let list = &mut cache.classes[class.index];
        if list.try_reserve(1).is_ok() {
            list.push(Kept { ptr, bytes: class.bytes, at });
            BYTES.fetch_add(class.bytes, Relaxed);
            return;
        }
    }
    // SAFETY: the block is the caller's, who has no more use for it.
    unsafe { pages::unmap(ptr, class.bytes) }
}

/// Gives the blocks that have waited longest back to the system until at most `most` bytes are kept.
pub fn trim(most: usize) {
    if bytes() <= most {
        return;
    }
    let Some(mut cache) = lock() else { return };
    while bytes() > most {
        let waiting = cache.classes.iter_mut().filter(|list| !list.is_empty());
        let Some(list) = waiting.min_by_key(|list| list[0].at) else { break };
        let kept = list.remove(0);
        BYTES.fetch_sub(kept.bytes, Relaxed);
        // SAFETY: a block in the cache is nobody's.
        unsafe { pages::unmap(kept.ptr, kept.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_waste_an_eighth_at_most_and_number_upwards() {
        let mut last: Option<SizeClass> = None;
        let lengths =
            (LEAST..1 << 20).step_by(977).chain((21..46).flat_map(|p| [1usize << p, (1 << p) + 1, (1 << p) * 5 / 4]));
        for len in lengths {
            let class = size_class(len).unwrap();
            assert!(class.bytes >= len && class.bytes - len <= len / STEPS + STEPS, "{len}: {class:?}");
            assert_eq!(class.bytes % 4096, 0);
            assert_eq!(size_class(class.bytes), Some(class));
            if let Some(last) = last {
                assert!(class.index >= last.index && (class.index == last.index) == (class.bytes == last.bytes));
            }
            last = Some(class);
        }
        assert_eq!(size_class(LEAST).unwrap().index, 0);
        assert_eq!(size_class(usize::MAX), None);
        assert_eq!(size_class(isize::MAX as usize + 1), None);
    }
}
