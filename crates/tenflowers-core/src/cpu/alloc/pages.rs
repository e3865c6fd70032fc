//! Whole pages from the system.
use std::ptr::NonNull;

/// Memory of zeros, aligned to a page at least.
#[cfg(all(unix, not(miri)))]
pub fn map(len: usize) -> Option<NonNull<u8>> {
    /// What the system calls a huge page: one fault in place of 512.
    const HUGE: usize = 2 << 20;
    // What is cut off below makes the rest begin where a huge page does.
    let extra = if len < HUGE { 0 } else { HUGE };
    let total = len.checked_add(extra)?;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, wherever the system wants it.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), total, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start = start.cast::<u8>();
    if extra == 0 {
        return NonNull::new(start);
    }
    let before = start.addr().wrapping_neg() % HUGE;
    let ptr = start.wrapping_add(before);
    // SAFETY: parts of the mapping that was made above, which nobody uses.
    unsafe {
        if before > 0 {
            libc::munmap(start.cast(), before);
        }
        if extra > before {
            libc::munmap(ptr.wrapping_add(len).cast(), extra - before);
        }
        // Only advice: without it everything is right, and slower.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        libc::madvise(ptr.cast(), len, libc::MADV_HUGEPAGE);
    }
    NonNull::new(ptr)
}

/// Gives back what [`map`] gave for this length.
///
/// # Safety
/// Nobody uses it any more.
#[cfg(all(unix, not(miri)))]
pub unsafe fn unmap(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the caller's word.
    unsafe { libc::munmap(ptr.as_ptr().cast(), len) };
}

#[cfg(not(all(unix, not(miri))))]
const PAGE: usize = 4096;

/// Memory of zeros, aligned to a page at least.
#[cfg(not(all(unix, not(miri))))]
pub fn map(len: usize) -> Option<NonNull<u8>> {
    let layout = std::alloc::Layout::from_size_align(len, PAGE).ok()?;
    // SAFETY: lengths of blocks are not zero.
    NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
}

/// Gives back what [`map`] gave for this length.
///
/// # Safety
/// Nobody uses it any more.
#[cfg(not(all(unix, not(miri))))]
pub unsafe fn unmap(ptr: NonNull<u8>, len: usize) {
    // SAFETY: allocated in `map` with this size and alignment.
    unsafe { std::alloc::dealloc(ptr.as_ptr(), std::alloc::Layout::from_size_align_unchecked(len, PAGE)) }
}
