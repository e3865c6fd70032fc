//! mimalloc as the allocator of everything that is no large tensor.
use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

/// Unlike the `mimalloc` crate's, it asks for an alignment only where the natural one is not enough: mimalloc's aligned
/// entry takes its slow path for every size that is no power of two, half of what a tiny tensor costs.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Every block is aligned to a word at least.
const NATURAL: usize = size_of::<usize>();

// SAFETY: mimalloc keeps the contract of `malloc`, whose memory this hands on with the alignment that is asked for.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size and power of two is allowed.
        unsafe {
            if layout.align() <= NATURAL {
                mi_malloc(layout.size()).cast()
            } else {
                mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }
    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, _: Layout) {
        // SAFETY: the caller's word that it came from here.
        unsafe { mi_free(ptr.cast()) }
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as `alloc`.
        unsafe {
            if layout.align() <= NATURAL {
                mi_zalloc(layout.size()).cast()
            } else {
                mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }
    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as `alloc`, and the caller's word that the block came from here.
        unsafe {
            if layout.align() <= NATURAL {
                mi_realloc(ptr.cast(), size).cast()
            } else {
                mi_realloc_aligned(ptr.cast(), size, layout.align()).cast()
            }
        }
    }
}
