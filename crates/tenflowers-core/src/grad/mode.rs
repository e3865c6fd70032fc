//! Whether operations are recorded, for each thread by itself.
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local!(static ENABLED: Cell<bool> = const { Cell::new(true) });
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// Numbers that grow: a node's is above those of all nodes that it depends on.
pub fn next_sequence() -> u64 {
    SEQUENCE.fetch_add(1, Ordering::Relaxed)
}

pub fn is_enabled() -> bool {
    ENABLED.get()
}

/// Sets the mode of this thread, and gives the one before.
pub fn set_enabled(on: bool) -> bool {
    ENABLED.replace(on)
}

/// Runs `f` with recording on or off, and puts the mode back.
pub fn with_recording<R>(on: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ENABLED.set(self.0)
        }
    }
    let _restore = Restore(ENABLED.replace(on));
    f()
}
