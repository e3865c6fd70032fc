//! Scratch memory of kernels: kept by each thread for the next call, bounded, and an error where there is none.

use crate::error::{Result, TensorError};
use std::alloc::Layout;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A thread keeps this many buffers ...
const KEPT: usize = 4;
/// ... of this many bytes at most; larger ones go back to the system at once.
const KEPT_BYTES: usize = 8 << 20;
/// A cache line, and the widest vector.
const ALIGN: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Raw memory from the global allocator.
struct Block {
    ptr: *mut u8,
    layout: Layout,
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `ptr` came from `alloc` with this layout.
        unsafe { std::alloc::dealloc(self.ptr, self.layout) }
    }
}

/// Room for elements of a plain number type, uninitialised.
pub(crate) struct Scratch<T> {
    block: Option<Block>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Copy> Scratch<T> {
    /// Room for `len` elements, 64-byte aligned.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(TensorError::OutOfMemory { bytes: usize::MAX })?;
        if bytes == 0 {
            return Ok(Scratch { block: None, len, element: PhantomData });
        }
        let kept = FREE.with_borrow_mut(|free| {
            let fits = |b: &Block| b.layout.size() >= bytes;
            let i = (0..free.len()).filter(|&i| fits(&free[i])).min_by_key(|&i| free[i].layout.size())?;
            Some(free.swap_remove(i))
        });
        let block = match kept {
            Some(block) => block,
            None => {
                let size = if bytes <= KEPT_BYTES { bytes.next_power_of_two().max(4096) } else { bytes };
                let layout = Layout::from_size_align(size, ALIGN).map_err(|_| TensorError::OutOfMemory { bytes })?;
                // SAFETY: the size is not zero.
                let ptr = unsafe { std::alloc::alloc(layout) };
                if ptr.is_null() {
                    return Err(TensorError::OutOfMemory { bytes });
                }
                Block { ptr, layout }
            }
        };
        Ok(Scratch { block: Some(block), len, element: PhantomData })
    }

    /// Room for `len` elements, each of them `value`.
    pub(crate) fn filled(len: usize, value: T) -> Result<Self> {
        let scratch = Self::new(len)?;
        for i in 0..len {
            // SAFETY: `i` is below the length.
            unsafe { scratch.ptr().add(i).write(value) };
        }
        Ok(scratch)
    }

    /// The first element.
    pub(crate) fn ptr(&self) -> *mut T {
        self.block.as_ref().map_or(std::ptr::dangling_mut(), |b| b.ptr.cast())
    }

    /// All elements.
    ///
    /// # Safety
    /// All of them have been written.
    pub(crate) unsafe fn slice_mut(&mut self) -> &mut [T] {
        // SAFETY: the memory holds `len` elements, is aligned for any number, and is this value's own.
        unsafe { std::slice::from_raw_parts_mut(self.ptr(), self.len) }
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        if block.layout.size() > KEPT_BYTES {
            return;
        }
        // At the end of a thread its list may be gone already; the block is then simply freed.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() == KEPT
                && let Some(i) = (0..KEPT).min_by_key(|&i| free[i].layout.size())
            {
                free.swap_remove(i);
            }
            free.push(block);
        });
    }
}

/// Carries a failed allocation out of the chunks of a parallel region.
#[derive(Default)]
pub(crate) struct Outcome(AtomicUsize);

impl Outcome {
    /// Runs `work` with room for `len` elements, or notes that there is none.
    pub(crate) fn with<T: Copy>(&self, len: usize, work: impl FnOnce(&mut Scratch<T>)) {
        match Scratch::new(len) {
            Ok(mut scratch) => work(&mut scratch),
            Err(e) => self.note(e),
        }
    }

    /// Notes a failure inside a chunk.
    pub(crate) fn note(&self, error: TensorError) {
        if let TensorError::OutOfMemory { bytes } = error {
            self.0.store(bytes.max(1), Ordering::Relaxed);
        }
    }

    /// The failure that a chunk noted, if any.
    pub(crate) fn result(self) -> Result<()> {
        match self.0.into_inner() {
            0 => Ok(()),
            bytes => Err(TensorError::OutOfMemory { bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_reused_and_bounded() {
        let first = Scratch::<f32>::new(5000).unwrap();
        let ptr = first.ptr();
        assert_eq!(ptr as usize % ALIGN, 0);
        let second = Scratch::<f32>::filled(100, 3.0).unwrap();
        assert_ne!(second.ptr(), ptr);
        drop(first);
        assert_eq!(Scratch::<f64>::new(2000).unwrap().ptr().cast(), ptr);
        assert!(Scratch::<u8>::new(0).is_ok());
        (0..20).map(|i| Scratch::<u8>::new(i << 12).unwrap()).for_each(drop);
        let many: Vec<_> = (0..20).map(|_| Scratch::<u8>::new(10).unwrap()).collect();
        drop(many);
        assert!(FREE.with_borrow(Vec::len) <= KEPT);
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(matches!(Scratch::<f64>::new(usize::MAX / 4), Err(TensorError::OutOfMemory { .. })));
        let outcome = Outcome::default();
        outcome.with::<u8>(isize::MAX as usize - 5, |_| unreachable!());
        assert_eq!(outcome.result(), Err(TensorError::OutOfMemory { bytes: isize::MAX as usize - 5 }));
    }
}
