//! Which handles are live. A freed or foreign pointer is found out here, before anybody reads through it.
use super::status::{Failure, TF_Code};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// The addresses of the live handles of one type. They are kept inverted, so that tools that look for leaks do not take
/// this table for their owner.
pub struct Live([Mutex<BTreeSet<usize>>; SHARDS]);

impl Live {
    pub const fn new() -> Self {
        Live([const { Mutex::new(BTreeSet::new()) }; SHARDS])
    }
    fn shard(&self, address: usize) -> MutexGuard<'_, BTreeSet<usize>> {
        self.0[(address >> 5) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What C holds by a pointer that it cannot look through.
pub trait Handle: Send + Sync + Sized + 'static {
    const TYPE: &'static str;
    fn live() -> &'static Live;
}

/// Hands a value to C.
pub fn give<T: Handle>(value: T) -> *mut T {
    let pointer = Box::into_raw(Box::new(value));
    T::live().shard(pointer.addr()).insert(!pointer.addr());
    pointer
}

/// The table with the handle in it, or why there is none. `entry` and `what` name the function called and its argument.
fn find<T: Handle>(
    pointer: *const T,
    entry: &str,
    what: &str,
) -> Result<MutexGuard<'static, BTreeSet<usize>>, Failure> {
    if pointer.is_null() {
        return Err(Failure::null(entry, what));
    }
    let shard = T::live().shard(pointer.addr());
    if shard.contains(&!pointer.addr()) {
        return Ok(shard);
    }
    let text = format!("{entry}: '{what}' is no live {}: it was freed, or never was one", T::TYPE);
    Err(Failure::new(TF_Code::TF_INVALID_HANDLE, text))
}

/// Reads through a handle.
pub fn with<T: Handle, R>(pointer: *const T, entry: &str, what: &str, f: impl FnOnce(&T) -> R) -> Result<R, Failure> {
    let _live = find(pointer, entry, what)?;
    // SAFETY: a live address is that of a `T` made by `give`, freed only after it left the table, whose lock is held.
    Ok(f(unsafe { &*pointer }))
}

/// Frees what a handle stands for, where `last` says that nobody else holds it; NULL is nothing to free.
pub fn release<T: Handle>(
    pointer: *mut T,
    entry: &str,
    what: &str,
    last: impl FnOnce(&T) -> bool,
) -> Result<(), Failure> {
    if pointer.is_null() {
        return Ok(());
    }
    let mut live = find(pointer, entry, what)?;
    // SAFETY: as in `with`.
    if last(unsafe { &*pointer }) {
        live.remove(&!pointer.addr());
        // What is dropped may be large, and may come back here.
        drop(live);
        // SAFETY: made by `give`; this thread took the address out of the table, and so owns it.
        drop(unsafe { Box::from_raw(pointer) });
    }
    Ok(())
}
