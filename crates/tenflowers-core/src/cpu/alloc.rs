//! The one allocator of tensor memory: fallible, counted, and within a budget.
//!
//! Small blocks come from the global allocator, which keeps them by thread; large ones from the system, in whole pages, and
//! go to a cache when they are dropped: a page that is touched for the first time costs more than the work on it.
mod cache;
mod pages;

use super::pool;
use crate::error::{Result, TensorError};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A cache line, and the widest vector; small blocks do with what the allocator gives fastest.
const fn align(len: usize) -> usize {
    if len < 256 { 8 } else { 64 }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// As `PEAK`, but nobody sets it back.
static HIGHEST: AtomicUsize = AtomicUsize::new(0);
static BUDGET: OnceLock<AtomicUsize> = OnceLock::new();

fn budget() -> &'static AtomicUsize {
    BUDGET.get_or_init(|| AtomicUsize::new(machine_memory()))
}

/// What the machine has, or less where a control group says so.
fn machine_memory() -> usize {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let total = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
    };
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let most = groups.into_iter().filter_map(number).chain(total()).min();
    most.unwrap_or(isize::MAX as usize)
}

/// What a message about memory says of the rest of it.
pub fn usage() -> String {
    format!("{} of {} are in use", LIVE.load(Relaxed), budget().load(Relaxed))
}

/// Bytes of tensors: in use, at most so far, allowed, and kept for later tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStats {
    pub live: usize,
    pub peak: usize,
    pub budget: usize,
    pub cached: usize,
}

pub fn memory_stats() -> MemoryStats {
    let (live, peak, budget) = (LIVE.load(Relaxed), PEAK.load(Relaxed), budget().load(Relaxed));
    MemoryStats { live, peak, budget, cached: cache::bytes() }
}

/// Gives the memory that is kept for later tensors back to the system.
pub fn empty_cache() {
    cache::trim(0);
}

pub fn reset_peak() {
    PEAK.store(LIVE.load(Relaxed), Relaxed);
}

/// The most bytes that tensors may take together. What is in use already stays.
pub fn set_memory_budget(bytes: usize) {
    budget().store(bytes, Relaxed);
    cache::trim(bytes.saturating_sub(LIVE.load(Relaxed)));
}

/// Bytes that are in use and kept may exceed the most that were in use at once by a quarter and this much.
const SLACK: usize = 64 << 20;

/// What may be kept when so many bytes more are taken from the system.
fn keepable(more: usize) -> usize {
    let most = HIGHEST.load(Relaxed);
    let footprint = (most + most / 4).saturating_add(SLACK).min(budget().load(Relaxed));
    footprint.saturating_sub(LIVE.load(Relaxed)).saturating_sub(more)
}

/// An owned run of bytes.
pub struct Block {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is owned; who reaches it when is the storage's business.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Bytes that hold anything, or zeros.
    pub fn new(len: usize, zeroed: bool) -> Result<Block> {
        let live = LIVE.fetch_add(len, Relaxed).saturating_add(len);
        let taken = if live > budget().load(Relaxed) {
            None
        } else if len < cache::LEAST {
            small(len, zeroed).map(|ptr| (ptr, zeroed))
        } else {
            large(len)
        };
        let Some((ptr, clean)) = taken else {
            LIVE.fetch_sub(len, Relaxed);
            return Err(TensorError::no_memory(len));
        };
        if PEAK.fetch_max(live, Relaxed) < live {
            HIGHEST.fetch_max(live, Relaxed);
        }
        let block = Block { ptr, len };
        if zeroed && !clean {
            block.clear()?;
        }
        Ok(block)
    }
    fn clear(&self) -> Result<()> {
        let start = self.ptr.as_ptr() as usize;
        // SAFETY: a part of the block, which nobody else has yet.
        pool::ranges(self.len, 1 << 18, &|r| unsafe { ((start + r.start) as *mut u8).write_bytes(0, r.len()) })
    }
    pub fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        LIVE.fetch_sub(self.len, Relaxed);
        if self.len < cache::LEAST {
            // SAFETY: allocated in `small` with this size and alignment.
            unsafe { dealloc(self.as_ptr(), Layout::from_size_align_unchecked(self.len.max(1), align(self.len))) }
        } else if let Some(size) = cache::size_class(self.len) {
            cache::give(self.ptr, size);
        }
    }
}

fn small(len: usize, zeroed: bool) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(len.max(1), align(len)).ok()?;
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { if zeroed { alloc_zeroed(layout) } else { alloc(layout) } })
}

/// From the cache, or zeros from the system; which of them is the second.
fn large(len: usize) -> Option<(NonNull<u8>, bool)> {
    let size = cache::size_class(len)?;
    if let Some(ptr) = cache::take(size) {
        return Some((ptr, false));
    }
    cache::trim(keepable(size.bytes));
    let fresh = pages::map(size.bytes).or_else(|| {
        // The rest of the machine may have taken what the cache still holds.
        cache::trim(0);
        pages::map(size.bytes)
    });
    fresh.map(|ptr| (ptr, true))
}
