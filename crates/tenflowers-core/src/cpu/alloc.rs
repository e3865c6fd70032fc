//! The one allocator of tensor memory: fallible, counted, and within a budget.
use crate::error::{Result, TensorError};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A cache line, and the widest vector; small blocks do with what the allocator gives fastest.
const fn align(len: usize) -> usize {
    if len < 256 { 16 } else { 64 }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
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

/// Bytes of tensors: in use, at most so far, and allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStats {
    pub live: usize,
    pub peak: usize,
    pub budget: usize,
}

pub fn memory_stats() -> MemoryStats {
    MemoryStats { live: LIVE.load(Relaxed), peak: PEAK.load(Relaxed), budget: budget().load(Relaxed) }
}

pub fn reset_peak() {
    PEAK.store(LIVE.load(Relaxed), Relaxed);
}

/// The most bytes that tensors may take together. What is in use already stays.
pub fn set_memory_budget(bytes: usize) {
    budget().store(bytes, Relaxed);
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
        let layout = Layout::from_size_align(len.max(1), align(len)).map_err(|_| TensorError::no_memory(len))?;
        let live = LIVE.fetch_add(len, Relaxed).saturating_add(len);
        let ptr = if live > budget().load(Relaxed) {
            None
        } else {
            // SAFETY: the size is not zero.
            NonNull::new(unsafe { if zeroed { alloc_zeroed(layout) } else { alloc(layout) } })
        };
        let Some(ptr) = ptr else {
            LIVE.fetch_sub(len, Relaxed);
            return Err(TensorError::no_memory(len));
        };
        PEAK.fetch_max(live, Relaxed);
        Ok(Block { ptr, len })
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
        // SAFETY: allocated in `new` with this size and alignment.
        unsafe { dealloc(self.as_ptr(), Layout::from_size_align_unchecked(self.len.max(1), align(self.len))) }
    }
}
