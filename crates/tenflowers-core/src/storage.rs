//! The bytes that tensors look at, with their lock and version.
use crate::cpu::alloc::Block;
use crate::error::Result;
use crate::host;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use smallvec::SmallVec;
use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use triomphe::Arc;

/// Bytes on the CPU. A kernel runs under the lock; `version` counts the writes in place.
pub struct Storage {
    memory: Memory,
    lock: RwLock<()>,
    version: AtomicU32,
}

enum Memory {
    /// A few bytes, which are not worth an allocation of their own, nor a place in the statistics.
    Small(Small, usize),
    Owned(Block),
    /// Somebody else's, for instance a NumPy array's, which `_owner` keeps.
    Foreign {
        ptr: *mut u8,
        len: usize,
        _owner: Box<dyn Any + Send + Sync>,
    },
}

/// The most bytes that lie in the storage itself.
const SMALL: usize = 64;

/// Aligned as the largest element is; more would take the allocator's slow path.
#[repr(align(8))]
struct Small(UnsafeCell<[MaybeUninit<u8>; SMALL]>);

// SAFETY: the memory is reached under the lock only; for foreign memory, whoever handed it over keeps the order.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Storage {
    #[inline(always)]
    fn of(memory: Memory) -> Arc<Self> {
        Arc::new(Storage { memory, lock: RwLock::new(()), version: AtomicU32::new(0) })
    }
    /// Bytes that the kernel they are made for writes before anybody reads them.
    #[inline]
    pub fn uninit(len: usize) -> Result<Arc<Self>> {
        if len <= SMALL {
            return Ok(Storage::of(Memory::Small(Small(UnsafeCell::new([MaybeUninit::uninit(); SMALL])), len)));
        }
        Ok(Storage::of(Memory::Owned(Block::new(len, false)?)))
    }
    pub fn zeroed(len: usize) -> Result<Arc<Self>> {
        if len <= SMALL {
            return Ok(Storage::of(Memory::Small(Small(UnsafeCell::new([MaybeUninit::zeroed(); SMALL])), len)));
        }
        Ok(Storage::of(Memory::Owned(Block::new(len, true)?)))
    }
    /// Memory of somebody else.
    ///
    /// # Safety
    /// `ptr` is valid for reads and writes of `len` bytes as long as `owner` lives, and aligned to its elements.
    pub unsafe fn foreign(ptr: *mut u8, len: usize, owner: Box<dyn Any + Send + Sync>) -> Arc<Self> {
        Storage::of(Memory::Foreign { ptr, len, _owner: owner })
    }
    /// To be read and written through under the lock. Valid as long as the storage is there.
    pub fn as_ptr(&self) -> *mut u8 {
        match &self.memory {
            Memory::Small(small, _) => small.0.get().cast(),
            Memory::Owned(block) => block.as_ptr(),
            Memory::Foreign { ptr, .. } => *ptr,
        }
    }
    /// The number of bytes.
    pub fn len(&self) -> usize {
        match &self.memory {
            Memory::Small(_, len) => *len,
            Memory::Owned(block) => block.len(),
            Memory::Foreign { len, .. } => *len,
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }
    pub fn written(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }
    /// Nobody waits with the interpreter's lock in hand.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.try_read().unwrap_or_else(|| host::detached(|| self.lock.read()))
    }
    fn write(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.try_write().unwrap_or_else(|| host::detached(|| self.lock.write()))
    }
}

pub enum Guard<'a> {
    Read { _lock: RwLockReadGuard<'a, ()> },
    Write { _lock: RwLockWriteGuard<'a, ()> },
}

/// [`lock`] of two that are read, which may be one, without a list.
#[inline]
pub fn read_both<'a>(a: &'a Storage, b: &'a Storage) -> (RwLockReadGuard<'a, ()>, Option<RwLockReadGuard<'a, ()>>) {
    if std::ptr::eq(a, b) {
        return (a.read(), None);
    }
    let (first, second) = if std::ptr::from_ref(a) < std::ptr::from_ref(b) { (a, b) } else { (b, a) };
    let first = first.read();
    (first, Some(second.read()))
}

pub type Guards<'a> = SmallVec<[Guard<'a>; 3]>;

/// Locks each distinct storage once (a second read lock may wait for ever behind a writer), in address order, so that two
/// operations cannot wait for each other.
pub fn lock<'a>(reads: &[&'a Storage], writes: &[&'a Storage]) -> Guards<'a> {
    let mut order: SmallVec<[&Storage; 4]> = SmallVec::new();
    for s in reads.iter().chain(writes).copied() {
        let at = order.iter().position(|o| std::ptr::from_ref(*o) >= std::ptr::from_ref(s)).unwrap_or(order.len());
        if order.get(at).is_none_or(|o| !std::ptr::eq(*o, s)) {
            order.insert(at, s);
        }
    }
    let written = |s: &Storage| writes.iter().any(|w| std::ptr::eq(*w, s));
    let guard = |s: &'a Storage| {
        if written(s) { Guard::Write { _lock: s.write() } } else { Guard::Read { _lock: s.read() } }
    };
    order.iter().copied().map(guard).collect()
}
