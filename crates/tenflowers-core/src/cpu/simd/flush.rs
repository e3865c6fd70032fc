//! Numbers below the normal range, which x86 processors take many times as long for.

/// While it lives, subnormal numbers are zero on this thread, as operands and as results.
///
/// A network that has learned its data well has gradients full of them. The compiler takes the state for the default one,
/// but moves no access to memory over its changes, nor with it what is computed from memory to memory between them.
pub(crate) struct Flush {
    #[cfg(target_arch = "x86_64")]
    before: u32,
}

#[cfg(target_arch = "x86_64")]
impl Flush {
    /// The bits of MXCSR: results (FTZ), and operands (DAZ), which every x86-64 processor with SSE3 has.
    const BITS: u32 = 1 << 15 | 1 << 6;

    #[inline(always)]
    pub(crate) fn start() -> Flush {
        let mut before = 0u32;
        // SAFETY: reads the state.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut before, options(nostack)) };
        Self::set(before | Self::BITS);
        Flush { before }
    }

    #[inline(always)]
    fn set(state: u32) {
        // SAFETY: the state is one that was read, but for the two bits; `start` says where it holds.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &state, options(nostack)) };
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for Flush {
    #[inline(always)]
    fn drop(&mut self) {
        Self::set(self.before);
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Flush {
    #[inline(always)]
    pub(crate) fn start() -> Flush {
        Flush {}
    }
}
