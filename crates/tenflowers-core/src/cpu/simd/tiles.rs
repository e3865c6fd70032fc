//! Tile registers (Intel AMX): whether this process may use them.

use std::sync::OnceLock;

/// Whether the machine multiplies tiles of bfloat16 and of bytes, and the system lets this process do so.
///
/// The system is asked the first time; what it grants holds for all threads and for children that fork.
pub(super) fn are_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| there() && granted())
}

/// Whether the processor has tiles, with the vectors for what is too small for them, and the system keeps their state.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn there() -> bool {
    use crate::cpu::simd::Isa;
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// # Safety
    /// The processor has XSAVE, and the system has turned it on.
    #[target_feature(enable = "xsave")]
    unsafe fn kept() -> u64 {
        // SAFETY: the caller's word.
        unsafe { _xgetbv(0) }
    }
    /// XSAVE is on (leaf 1, ECX).
    const OSXSAVE: u32 = 1 << 27;
    /// amx-bf16, amx-tile and amx-int8 (leaf 7, EDX).
    const TILES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    /// The configuration of the tiles, and what they hold (XCR0).
    const STATE: u64 = 1 << 17 | 1 << 18;

    let vectors =
        Isa::Avx512.is_available() && is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni");
    if !vectors {
        return false;
    }
    // Safe functions in newer versions of Rust.
    #[allow(unused_unsafe)]
    // SAFETY: a machine with AVX-512 has CPUID with a leaf 7; the state is read only where that is possible.
    unsafe {
        __cpuid_count(7, 0).edx & TILES == TILES && __cpuid(1).ecx & OSXSAVE != 0 && kept() & STATE == STATE
    }
}

/// Asks Linux for the use of tiles, which it keeps room for only in processes that want them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn there() -> bool {
    false
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn granted() -> bool {
    false
}
