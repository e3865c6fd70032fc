//! Sizes of the processor's caches.
use std::sync::OnceLock;

/// Bytes of a core's second cache, where the system says; 1 MiB elsewhere.
pub fn second() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| asked().unwrap_or(1 << 20))
}

fn asked() -> Option<usize> {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    {
        // SAFETY: no pointers.
        let bytes = unsafe { libc::sysconf(libc::_SC_LEVEL2_CACHE_SIZE) };
        usize::try_from(bytes).ok().filter(|&n| n > 0)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
    None
}
