//! The instruction set, chosen once a process, and code compiled for each of them.

mod flush;
mod tiles;

pub(crate) use flush::Flush;

use std::sync::OnceLock;

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// What every machine of the target has: SSE2 on x86-64.
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ, VL and CD, over AVX2.
    Avx512,
    /// NEON of 64-bit Arm.
    Neon,
}

impl Isa {
    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512cd")
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
}

/// What `TF_ISA` names: an instruction set, and whether products may use tile registers beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    name: &'static str,
    isa: Isa,
    tiles: bool,
}

/// The best first.
const ALL: [Choice; 5] = [
    Choice { name: "amx", isa: Isa::Avx512, tiles: true },
    Choice { name: "avx512", isa: Isa::Avx512, tiles: false },
    Choice { name: "avx2", isa: Isa::Avx2, tiles: false },
    Choice { name: "neon", isa: Isa::Neon, tiles: false },
    Choice { name: "portable", isa: Isa::Portable, tiles: false },
];

impl Choice {
    fn is_available(self) -> bool {
        self.isa.is_available() && (!self.tiles || tiles::are_available())
    }
}

fn best() -> Choice {
    ALL.into_iter().find(|choice| choice.is_available()).unwrap_or(ALL[ALL.len() - 1])
}

fn asked() -> Result<Choice, String> {
    match std::env::var("TF_ISA") {
        Err(std::env::VarError::NotPresent) => Ok(best()),
        Err(e) => Err(format!("TF_ISA: {e}")),
        Ok(text) => named(&text),
    }
}

fn named(text: &str) -> Result<Choice, String> {
    match ALL.into_iter().find(|choice| choice.name == text.trim()) {
        None => Err(format!("TF_ISA must be portable, avx2, avx512, amx or neon, not {text:?}")),
        Some(choice) if choice.is_available() => Ok(choice),
        Some(Choice { name, .. }) => Err(format!("TF_ISA={name}: this machine does not have it")),
    }
}

/// The instruction set that `TF_ISA` asks for, or the best of this machine when it is not set.
///
/// `amx` is AVX-512 with tile registers for products of bfloat16 and of bytes; `avx512` is without them.
///
/// # Errors
/// A message when the name is unknown or this machine lacks the instruction set; [`isa`] then takes the best one.
pub fn forced() -> Result<Isa, String> {
    asked().map(|choice| choice.isa)
}

#[inline]
fn chosen() -> Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    #[cfg(test)]
    if let Some(choice) = tests::OVERRIDE.get() {
        return choice;
    }
    *CHOICE.get_or_init(|| asked().unwrap_or_else(|_| best()))
}

/// The instruction set that kernels use in this process.
#[inline]
pub fn isa() -> Isa {
    chosen().isa
}

/// Whether products use tile registers beside [`isa`], which is `Avx512` then, with AVX512-BF16 and VNNI.
#[inline]
pub fn tiles() -> bool {
    chosen().tiles
}

/// What the code inside a call of [`vectorize`] is compiled for: constants, once it is inlined there.
///
/// The functions of `math` are its methods.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    fused: bool,
}

impl Lanes {
    /// What code outside of [`vectorize`] is compiled for.
    #[inline(always)]
    pub fn baseline() -> Lanes {
        Lanes { fused: cfg!(target_arch = "aarch64") }
    }

    /// `a * b + c`, in one rounding where the machine has an instruction for it: elsewhere `mul_add` is a slow library call.
    #[inline(always)]
    pub fn fma<T: num_traits::Float>(self, a: T, b: T, c: T) -> T {
        if self.fused { a.mul_add(b, c) } else { a * b + c }
    }

    /// Whether `fma` rounds once.
    #[inline(always)]
    pub fn is_fused(self) -> bool {
        self.fused
    }
}

/// Runs `f` compiled with the instructions of [`isa`].
///
/// Only what is inlined into `f` is compiled with them, so `f` is a closure marked `#[inline(always)]`, and so is all
/// that it calls: `vectorize(#[inline(always)] |lanes| kernel(lanes, x, y))`. Without the mark LLVM leaves a large closure
/// outside. Enter once a chunk of work, never once an element.
#[inline]
pub fn vectorize<R>(f: impl FnOnce(Lanes) -> R) -> R {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa` names only what this machine has.
        Isa::Avx512 => unsafe { with_avx512(f) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { with_avx2(f) },
        _ => f(Lanes::baseline()),
    }
}

/// Bytes that the processor gets from memory together.
pub const LINE: usize = 64;

/// Asks for the line of the cache around `p`, whatever is there.
#[inline(always)]
pub fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which has no effect on memory.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// As [`prefetch`], for a line that is going to be written.
#[inline(always)]
pub fn prefetch_to_write<T>(p: *mut T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(p.cast_const().cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// As [`vectorize`], for loops that do little but read: with 256 bits a vector at most where `places`, the bits of addresses
/// and steps in bytes, say that most of the wider vectors would lie in two lines of the cache.
#[inline]
pub fn vectorize_reads<R>(places: usize, f: impl FnOnce(Lanes) -> R) -> R {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a machine with AVX-512 has AVX2.
        Isa::Avx512 if !places.is_multiple_of(LINE) => unsafe { with_avx2(f) },
        _ => vectorize(f),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx512<R>(f: impl FnOnce(Lanes) -> R) -> R {
    f(Lanes { fused: true })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx2<R>(f: impl FnOnce(Lanes) -> R) -> R {
    f(Lanes { fused: true })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// Stands for what the process has chosen on this thread, so that tests reach every variant.
        pub(super) static OVERRIDE: Cell<Option<Choice>> = const { Cell::new(None) };
    }

    /// Runs `test` on this thread, with one thread of work, for each instruction set of this machine.
    pub(crate) fn each_isa(test: impl Fn(Isa)) {
        each(|choice| choice == best() || !choice.tiles && choice.isa != best().isa, test);
    }

    /// As [`each_isa`], and for AVX-512 both with and without tiles.
    pub(crate) fn each_isa_and_tiles(test: impl Fn(Isa)) {
        each(|_| true, test);
    }

    fn each(wanted: impl Fn(Choice) -> bool, test: impl Fn(Isa)) {
        for choice in ALL.into_iter().filter(|&choice| choice.is_available() && wanted(choice)) {
            OVERRIDE.set(Some(choice));
            test(choice.isa);
        }
        OVERRIDE.set(None);
    }

    #[inline(always)]
    fn saxpy(a: f32, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += a * x;
        }
    }

    #[test]
    fn vectorized_code_computes_the_same() {
        each_isa(|_| {
            let x: Vec<f32> = (0..1000).map(|i| i as f32).collect();
            let mut y = vec![1.0; 1000];
            vectorize(
                #[inline(always)]
                |_| saxpy(2.0, &x, &mut y),
            );
            assert!(y.iter().enumerate().all(|(i, y)| *y == 2.0 * i as f32 + 1.0));
        });
    }

    #[test]
    fn portable_is_always_there() {
        assert!(Isa::Portable.is_available());
        assert!(isa().is_available());
        assert_eq!(Isa::Neon.is_available(), cfg!(target_arch = "aarch64"));
        assert!(!tiles() || isa() == Isa::Avx512);
    }

    #[test]
    fn names_are_those_of_what_the_machine_has() {
        for choice in ALL {
            match named(choice.name) {
                Ok(found) => assert!(found == choice && choice.is_available()),
                Err(e) => assert!(!choice.is_available() && e.ends_with("this machine does not have it"), "{e}"),
            }
        }
        assert!(named("avx512").is_ok_and(|choice| !choice.tiles) || !Isa::Avx512.is_available());
        let wrong = named("sse").unwrap_err();
        assert!(ALL.iter().all(|choice| wrong.contains(choice.name)), "{wrong}");
    }
}
