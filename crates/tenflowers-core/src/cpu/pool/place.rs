//! Where a thread runs, and how a worker makes room for the thread that it works for. Only Linux is asked: elsewhere the
//! system's choice stands.

/// The processor that this thread runs on, where the system says.
pub(super) fn processor() -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: no arguments.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Moves this thread to another of the processors that it may run on, if there is one. It may come back later.
pub(super) fn leave_processor() {
    #[cfg(target_os = "linux")]
    // SAFETY: sets of processors are bits, of which none is a set as well; pointers to them are good for the calls.
    unsafe {
        let mut all: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size, &mut all) != 0 {
            return;
        }
        let mut others = all;
        let Some(here) = processor().filter(|&cpu| cpu < 8 * size) else { return };
        libc::CPU_CLR(here, &mut others);
        if libc::CPU_COUNT(&others) > 0 && libc::sched_setaffinity(0, size, &others) == 0 {
            libc::sched_setaffinity(0, size, &all);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn allowed() -> Vec<usize> {
        // SAFETY: as above.
        unsafe {
            let mut all: libc::cpu_set_t = std::mem::zeroed();
            assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut all), 0);
            (0..8 * size_of::<libc::cpu_set_t>()).filter(|&cpu| libc::CPU_ISSET(cpu, &all)).collect()
        }
    }

    #[test]
    fn a_thread_moves_and_may_run_where_it_might_before() {
        let before = allowed();
        let from = processor().unwrap();
        assert!(before.contains(&from));
        leave_processor();
        assert_eq!(allowed(), before);
        assert!(before.contains(&processor().unwrap()));
    }
}
