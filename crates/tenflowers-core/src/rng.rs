//! Random numbers by counter: the same seed gives the same tensor for any number of threads.
use crate::host;
use std::sync::{Arc, Mutex, OnceLock};

/// A stream of random numbers: a seed, and how many blocks of it were used. Clones share the stream.
#[derive(Clone)]
pub struct Generator(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    seed: u64,
    offset: u64,
}

/// Where the numbers of one tensor begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub seed: u64,
    /// The first counter; each gives four words of 32 bits.
    pub offset: u64,
}

/// What PyTorch's generators start with.
const DEFAULT_SEED: u64 = 67_280_421_310_721;

impl Default for Generator {
    fn default() -> Self {
        Generator::new(DEFAULT_SEED)
    }
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator(Arc::new(Mutex::new(State { seed, offset: 0 })))
    }
    /// Starts again from `seed`.
    pub fn manual_seed(&self, seed: u64) {
        *host::lock(&self.0) = State { seed, offset: 0 };
    }
    pub fn initial_seed(&self) -> u64 {
        host::lock(&self.0).seed
    }
    /// Takes `count` counters.
    pub fn take(&self, count: u64) -> Counters {
        let mut state = host::lock(&self.0);
        let counters = Counters { seed: state.seed, offset: state.offset };
        state.offset = state.offset.wrapping_add(count);
        counters
    }
    /// The seed and the offset, to go on from later.
    pub fn state(&self) -> [u64; 2] {
        let state = host::lock(&self.0);
        [state.seed, state.offset]
    }
    pub fn set_state(&self, [seed, offset]: [u64; 2]) {
        *host::lock(&self.0) = State { seed, offset };
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [seed, offset] = self.state();
        write!(f, "Generator(seed={seed}, offset={offset})")
    }
}

/// The generator that operations use where none is given.
pub fn default_generator() -> &'static Generator {
    static DEFAULT: OnceLock<Generator> = OnceLock::new();
    DEFAULT.get_or_init(Generator::default)
}
