//! The thread pool: fork-join over chunks, in which the caller takes part.
//!
//! Work is cut into chunks by its shape only, never by the number of threads, so results do not depend on that number.
//! Each thread begins with its own part of them, the same part in job after job, so that it finds in its core's cache what
//! it left there; who is done takes from the others. Every other job begins at the end, where the one before it ended: of
//! tensors larger than a cache, it holds the parts that were touched last.
//!
//! This degrades gracefully when another process takes a core, which a static split with a barrier does not. What is left
//! then is a worker that loses its core in the middle of a chunk, for which all others wait: so workers let others run
//! between chunks, before the system makes them, and leave the core of the caller to the caller.

mod place;
mod share;

use crate::error::{Result, TensorError};
use crate::host;
use share::Shares;
use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long an idle worker, or a caller whose last chunks run elsewhere, looks for news before it sleeps.
const SPIN: Duration = Duration::from_micros(100);

/// How long a worker goes on before it lets others have its core: less than systems let a thread run while another waits.
const TURN: Duration = Duration::from_millis(2);

/// Threads that one job may use, the caller included; 0 until somebody asks.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The pool of this process. It is never freed: workers hold it, and a forked child leaves its parent's behind.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// Whether this thread runs a chunk now; a nested call then runs in place.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Whether the next job that this thread calls for begins with its last chunks.
    static BACKWARDS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work(i)` once for each `i` below `chunks`, on the calling thread and the workers.
///
/// A call from inside `work` runs in place. A panic in `work` reaches the caller once all running chunks have ended.
///
/// # Errors
/// `Interrupted` when the user asked to stop: the chunks not yet begun are left out.
pub fn parallel(chunks: usize, work: &(dyn Fn(usize) + Sync)) -> Result<()> {
    if INSIDE.get() {
        // The chunk around this call belongs to a caller who asks between chunks.
        (0..chunks).for_each(work);
        return Ok(());
    }
    if chunks < 2 || num_threads() == 1 {
        return serial(chunks, work);
    }
    // Shares count in 32 bits.
    for first in (0..chunks).step_by(share::MOST) {
        let chunks = share::MOST.min(chunks - first);
        if first == 0 {
            Pool::current().run(chunks, work)?
        } else {
            Pool::current().run(chunks, &|i| work(first + i))?
        }
    }
    Ok(())
}

/// Cuts `0..n` into pieces of `grain` (the last may be shorter) and runs `work` on each, as [`parallel`] does.
///
/// # Errors
/// `Interrupted`, as [`parallel`].
pub fn ranges(n: usize, grain: usize, work: &(dyn Fn(Range<usize>) + Sync)) -> Result<()> {
    let grain = grain.max(1);
    parallel(n.div_ceil(grain), &|i| work(i * grain..n.min((i + 1) * grain)))
}

/// A slice of which the chunks of [`parallel`] write different parts.
pub struct Parts<'a, T> {
    ptr: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: a part is as good as a `&mut [T]` sent to the thread that asks for it.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// Takes the slice over for as long as its parts are written.
    pub fn new(slice: &'a mut [T]) -> Self {
        Parts { ptr: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// One part; a range outside the slice panics.
    ///
    /// # Safety
    /// No two parts that are in use at the same time overlap.
    #[expect(clippy::mut_from_ref, reason = "the parts are disjoint, by the caller's word")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the slice, and nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(range.start), range.end - range.start) }
    }
}

/// The number of threads that work is shared by, the calling thread included.
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => {
            let n = default_threads();
            // Somebody else's choice, made meanwhile, stands.
            THREADS.compare_exchange(0, n, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|chosen| chosen, |_| n)
        }
        n => n,
    }
}

/// Sets the number of threads; 0 goes back to the default. Work that runs already is not affected.
///
/// # Errors
/// None today: workers that the system refuses to start are done without.
pub fn set_num_threads(n: usize) -> Result<()> {
    THREADS.store(if n == 0 { default_threads() } else { n }, Ordering::Relaxed);
    // Wakes the workers that are too many now, so that they end.
    Pool::current().announce();
    Ok(())
}

/// The number that `TF_NUM_THREADS` asks for, if it is set.
///
/// # Errors
/// A message when its value is not a positive integer; [`num_threads`] then goes by the machine.
pub fn requested() -> std::result::Result<Option<usize>, String> {
    match std::env::var("TF_NUM_THREADS") {
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(e) => Err(format!("TF_NUM_THREADS: {e}")),
        Ok(text) => match text.trim().parse() {
            Ok(n) if n > 0 => Ok(Some(n)),
            _ => Err(format!("TF_NUM_THREADS must be a positive integer, not {text:?}")),
        },
    }
}

/// What the environment asks for, or else a thread a core.
fn default_threads() -> usize {
    static DEFAULT: OnceLock<usize> = OnceLock::new();
    *DEFAULT.get_or_init(|| requested().ok().flatten().unwrap_or_else(cores))
}

/// What affinity and the cgroup's quota allow. Read once: it takes reading files.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, |n| n.get()))
}

/// Marks the thread as inside a chunk until dropped, by a panic too.
struct Inside(bool);

impl Inside {
    fn enter() -> Self {
        Inside(INSIDE.replace(true))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Whether the next job of this thread, of so many chunks, begins with the last of them.
fn turn_around(chunks: usize) -> bool {
    chunks > 1 && BACKWARDS.replace(!BACKWARDS.get())
}

fn serial(chunks: usize, work: &(dyn Fn(usize) + Sync)) -> Result<()> {
    let backwards = turn_around(chunks);
    let _inside = Inside::enter();
    for i in 0..chunks {
        if host::interrupted() {
            return Err(TensorError::Interrupted);
        }
        work(if backwards { chunks - 1 - i } else { i });
    }
    Ok(())
}

/// One call of [`parallel`]. Shared by count, so that a worker that comes late finds all claimed and no more.
struct Job {
    /// Lives in the caller's frame: may be called only for a claimed chunk, since the caller waits for those.
    work: *const (dyn Fn(usize) + Sync),
    chunks: usize,
    /// What nobody has claimed.
    shares: Shares,
    /// Chunks that have neither ended nor been called off.
    left: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
    /// The processor that the caller ran on.
    processor: Option<usize>,
}

// SAFETY: `work` points to a `Sync` closure, called only while the caller waits for the chunk; the rest is `Send +
// Sync`.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Claims a chunk, of the part of participant `me` first, and runs it; false when there is none left.
    fn step(&self, me: usize) -> bool {
        let Some(i) = self.shares.claim(me) else { return false };
        // SAFETY: chunk `i` is claimed and not yet counted off, so the caller still waits in `run` and `work` lives.
        let work = unsafe { &*self.work };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(i))) {
            lock(&self.panic).get_or_insert(payload);
            self.call_off();
        }
        self.count_off(1);
        true
    }

    /// Takes all chunks that nobody has claimed out of the job.
    fn call_off(&self) {
        self.count_off(self.shares.take_all());
    }

    fn count_off(&self, n: usize) {
        if n > 0 && self.left.fetch_sub(n, Ordering::AcqRel) == n {
            self.caller.unpark();
        }
    }

    fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

struct State {
    /// Open jobs: more than one when several user threads call at the same time.
    jobs: Vec<Arc<Job>>,
    workers: usize,
    sleeping: usize,
}

struct Pool {
    pid: u32,
    state: Mutex<State>,
    wake: Condvar,
    /// Counts the announcements; a spinning worker watches it.
    news: AtomicU64,
    spinning: AtomicUsize,
}

impl Pool {
    /// The pool of this process; a forked child has none of its parent's workers and starts afresh.
    fn current() -> &'static Pool {
        let pid = std::process::id();
        let mut found = POOL.load(Ordering::Acquire);
        loop {
            // SAFETY: what `POOL` points to is never freed.
            if let Some(pool) = unsafe { found.as_ref() }
                && pool.pid == pid
            {
                return pool;
            }
            let fresh = Box::into_raw(Box::new(Pool {
                pid,
                state: Mutex::new(State { jobs: Vec::new(), workers: 0, sleeping: 0 }),
                wake: Condvar::new(),
                news: AtomicU64::new(0),
                spinning: AtomicUsize::new(0),
            }));
            match POOL.compare_exchange(found, fresh, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: published pools are never freed.
                Ok(_) => return unsafe { &*fresh },
                Err(other) => {
                    // SAFETY: nobody else has seen this box.
                    drop(unsafe { Box::from_raw(fresh) });
                    found = other;
                }
            }
        }
    }

    fn run(&'static self, chunks: usize, work: &(dyn Fn(usize) + Sync)) -> Result<()> {
        let job = Arc::new(Job {
            // SAFETY: only the lifetime changes; `run` returns after every claimed chunk has ended.
            work: unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) },
            chunks,
            shares: Shares::new(chunks, num_threads(), turn_around(chunks)),
            left: AtomicUsize::new(chunks),
            panic: Mutex::new(None),
            caller: thread::current(),
            processor: place::processor(),
        });
        self.publish(&job);
        let mut interrupted = false;
        {
            let _inside = Inside::enter();
            loop {
                if host::interrupted() {
                    interrupted = true;
                    job.call_off();
                    break;
                }
                if !job.step(0) {
                    break;
                }
            }
        }
        lock(&self.state).jobs.retain(|j| !Arc::ptr_eq(j, &job));
        if !spin(|| job.is_done()) {
            while !job.is_done() {
                thread::park();
            }
        }
        if let Some(payload) = lock(&job.panic).take() {
            resume_unwind(payload);
        }
        if interrupted { Err(TensorError::Interrupted) } else { Ok(()) }
    }

    fn publish(&'static self, job: &Arc<Job>) {
        let helpers = num_threads() - 1;
        let mut state = lock(&self.state);
        while state.workers < helpers {
            let (worker, me) = (thread::Builder::new().name("tenflowers".into()), state.workers + 1);
            if worker.spawn(move || self.serve(me)).is_err() {
                break;
            }
            state.workers += 1;
        }
        state.jobs.push(job.clone());
        self.news.fetch_add(1, Ordering::Release);
        // Waking costs microseconds each: only for chunks that no spinning worker will take.
        let wanted = helpers.min(job.chunks - 1).saturating_sub(self.spinning.load(Ordering::Relaxed));
        let sleeping = state.sleeping;
        drop(state);
        if wanted >= sleeping {
            if sleeping > 0 {
                self.wake.notify_all();
            }
        } else {
            (0..wanted).for_each(|_| self.wake.notify_one());
        }
    }

    /// Makes every worker look around once.
    fn announce(&self) {
        let state = lock(&self.state);
        self.news.fetch_add(1, Ordering::Release);
        drop(state);
        self.wake.notify_all();
    }

    /// The life of a worker, who is participant `me` of all jobs. Two may be the same for a while, where the number of threads
    /// changes.
    fn serve(&self, me: usize) {
        INSIDE.set(true);
        let mut may_sleep = false;
        let mut turn = Instant::now();
        let mut state = lock(&self.state);
        loop {
            if state.workers >= num_threads() {
                state.workers -= 1;
                return;
            }
            if let Some(job) = state.jobs.iter().find(|j| j.shares.are_left()).cloned() {
                drop(state);
                if job.processor.is_some() && job.processor == place::processor() {
                    place::leave_processor();
                }
                while job.step(me) {
                    if turn.elapsed() > TURN {
                        thread::yield_now();
                        turn = Instant::now();
                    }
                }
                may_sleep = false;
                state = lock(&self.state);
            } else if may_sleep {
                state.sleeping += 1;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.sleeping -= 1;
                turn = Instant::now();
                may_sleep = false;
            } else {
                let seen = self.news.load(Ordering::Acquire);
                self.spinning.fetch_add(1, Ordering::Relaxed);
                drop(state);
                may_sleep = !spin(|| self.news.load(Ordering::Acquire) != seen);
                state = lock(&self.state);
                self.spinning.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Waits for `ready` without sleeping, for [`SPIN`] at most. Where threads are more than cores it gives the core away now and
/// then; otherwise that would be to another process, for as long as the system lets it run.
fn spin(ready: impl Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        for _ in 0..64 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() > SPIN {
            return ready();
        }
        if num_threads() > cores() {
            thread::yield_now();
        }
    }
}

/// No code under these locks panics half-way, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn counts(chunks: usize) -> Vec<u32> {
        let counts: Vec<AtomicU32> = (0..chunks).map(|_| AtomicU32::new(0)).collect();
        parallel(chunks, &|i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        counts.into_iter().map(AtomicU32::into_inner).collect()
    }

    #[test]
    fn every_chunk_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 3, 7, 2, 1] {
            set_num_threads(threads).unwrap();
            for chunks in [0, 1, 2, 3, 17, 1000] {
                assert_eq!(counts(chunks), vec![1; chunks], "{threads} threads, {chunks} chunks");
            }
        }
        set_num_threads(0).unwrap();
    }

    #[test]
    fn ranges_cover_and_depend_on_shape_only() {
        let seen = Mutex::new(Vec::new());
        ranges(10, 4, &|r| lock(&seen).push(r)).unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_by_key(|r| r.start);
        assert_eq!(seen, [0..4, 4..8, 8..10]);
        ranges(0, 4, &|_| unreachable!()).unwrap();
        ranges(3, 0, &|r| assert_eq!(r.len(), 1)).unwrap();
    }

    #[test]
    fn nested_calls_run_in_place() {
        let sum = AtomicUsize::new(0);
        parallel(8, &|_| {
            let me = thread::current().id();
            parallel(5, &|i| {
                assert_eq!(thread::current().id(), me);
                sum.fetch_add(i, Ordering::Relaxed);
            })
            .unwrap();
        })
        .unwrap();
        assert_eq!(sum.into_inner(), 80);
    }

    #[test]
    fn panics_reach_the_caller_and_leave_the_pool_usable() {
        for _ in 0..20 {
            let caught = catch_unwind(|| parallel(64, &|i| assert!(i != 40, "chunk forty")));
            let payload = caught.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"chunk forty"));
            assert!(!INSIDE.get());
            assert_eq!(counts(9), [1; 9]);
        }
    }

    #[test]
    fn two_callers_at_once_while_the_number_of_threads_changes() {
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| (0..300).for_each(|n| assert_eq!(counts(n % 50), vec![1; n % 50])));
            }
            for n in 0..50 {
                set_num_threads(n % 5).unwrap();
                thread::yield_now();
            }
        });
        set_num_threads(0).unwrap();
    }
}
