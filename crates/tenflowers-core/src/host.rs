//! What the program around the library has to say: letting go of an interpreter's lock, and stopping early.
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant};

/// Set once by a front end that runs inside an interpreter.
pub struct Hooks {
    /// Runs the work without the interpreter's lock.
    pub detached: fn(&mut dyn FnMut()),
    /// Whether the user asked to stop. Called at most every fifty milliseconds, from threads that called an operation.
    pub interrupted: fn() -> bool,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();
const INTERVAL: Duration = Duration::from_millis(50);

thread_local!(static LAST: Cell<Option<Instant>> = const { Cell::new(None) });

pub fn install(hooks: Hooks) {
    HOOKS.get_or_init(|| hooks);
}

/// Runs `work` without the interpreter's lock, for what takes long or waits.
pub fn detached<R>(work: impl FnOnce() -> R) -> R {
    let Some(hooks) = HOOKS.get() else { return work() };
    let (mut work, mut result) = (Some(work), None);
    (hooks.detached)(&mut || result = work.take().map(|w| w()));
    match result {
        Some(r) => r,
        // The hook contract is to call its argument.
        None => unreachable!("the hook runs what it is given"),
    }
}

/// A lock that another thread may hold while it waits for the interpreter, so nobody waits for it with the interpreter's
/// lock in hand.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(e)) => e.into_inner(),
        Err(TryLockError::WouldBlock) => detached(|| mutex.lock().unwrap_or_else(|e| e.into_inner())),
    }
}

/// Whether the user asked to stop: for loops of long kernels, on the thread that called the operation.
pub fn interrupted() -> bool {
    let Some(hooks) = HOOKS.get() else { return false };
    let now = Instant::now();
    match LAST.get() {
        Some(last) if now.duration_since(last) < INTERVAL => false,
        None => {
            LAST.set(Some(now));
            false
        }
        Some(_) => {
            LAST.set(Some(now));
            (hooks.interrupted)()
        }
    }
}
