//! Who does which chunks of a job.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most chunks of one job.
pub(super) const MOST: usize = u32::MAX as usize;

/// Parts that the chunks of a job are in. Where there are more threads, several begin with one part.
const PARTS: usize = 16;

/// Chunks from `start` on and below `end`, which are its low and its high half, alone in a line of the cache.
#[repr(align(64))]
struct Part(AtomicU64);

impl Part {
    /// Takes the first chunk, or the last, if there is one.
    fn take(&self, last: bool) -> Option<usize> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (start, end) = (seen as u32, (seen >> 32) as u32);
            if start >= end {
                return None;
            }
            let (taken, left) = if last { (end - 1, (start, end - 1)) } else { (start, (start + 1, end)) };
            match self.0.compare_exchange_weak(seen, pack(left), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(taken as usize),
                Err(now) => seen = now,
            }
        }
    }
}

fn pack((start, end): (u32, u32)) -> u64 {
    (u64::from(end) << 32) | u64::from(start)
}

fn length(part: u64) -> usize {
    ((part >> 32) as u32).saturating_sub(part as u32) as usize
}

/// The chunks of a job that nobody has claimed: a part for each participant, from one end of which it takes; who has
/// none left takes from the other end of another's.
pub(super) struct Shares {
    parts: [Part; PARTS],
    used: usize,
    /// Whether each begins at the end of its part, and takes from the front of another's.
    backwards: bool,
}

impl Shares {
    /// Chunks `0..chunks`, of which there are at most [`MOST`], for `threads` participants.
    pub(super) fn new(chunks: usize, threads: usize, backwards: bool) -> Shares {
        let used = threads.clamp(1, PARTS);
        let bound = |i: usize| (chunks as u128 * i.min(used) as u128 / used as u128) as u32;
        Shares { parts: std::array::from_fn(|i| Part(AtomicU64::new(pack((bound(i), bound(i + 1)))))), used, backwards }
    }

    /// A chunk that is now the caller's alone, if there is one left.
    pub(super) fn claim(&self, participant: usize) -> Option<usize> {
        let own = participant % self.used;
        let mut others = (1..self.used).map(|i| (own + i) % self.used);
        let back = self.backwards;
        self.parts[own].take(back).or_else(|| others.find_map(|i| self.parts[i].take(!back)))
    }

    /// Whether there is something left to claim, perhaps.
    pub(super) fn are_left(&self) -> bool {
        self.parts[..self.used].iter().any(|part| length(part.0.load(Ordering::Relaxed)) > 0)
    }

    /// Leaves nothing, and tells how many chunks there were.
    pub(super) fn take_all(&self) -> usize {
        self.parts.iter().map(|part| length(part.0.swap(0, Ordering::Relaxed))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_begins_with_its_own_part_and_goes_on_with_the_others_from_their_ends() {
        let shares = Shares::new(7, 2, false);
        let first: Vec<_> = (0..2).map(|me| shares.claim(me).unwrap()).collect();
        assert_eq!(first, [0, 3]);
        let rest: Vec<_> = std::iter::from_fn(|| shares.claim(0)).collect();
        assert_eq!(rest, [1, 2, 6, 5, 4]);
        assert!(!shares.are_left() && shares.claim(1).is_none());
        let shares = Shares::new(7, 2, true);
        let first: Vec<_> = (0..2).map(|me| shares.claim(me).unwrap()).collect();
        assert_eq!(first, [2, 6]);
        let rest: Vec<_> = std::iter::from_fn(|| shares.claim(0)).collect();
        assert_eq!(rest, [1, 0, 3, 4, 5]);
    }

    #[test]
    fn all_are_claimed_once_for_any_number_of_participants() {
        for (chunks, threads) in [(0, 2), (1, 2), (5, 3), (100, 40), (3, 16)] {
            let shares = Shares::new(chunks, threads, chunks % 2 == 1);
            let mut all: Vec<_> = (0..).map_while(|n| shares.claim(n % threads)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..chunks).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_called_off_is_counted() {
        let shares = Shares::new(10, 3, true);
        assert!(shares.claim(1).is_some() && shares.claim(5).is_some());
        assert_eq!(shares.take_all(), 8);
        assert!(shares.claim(0).is_none() && !shares.are_left());
        assert_eq!(Shares::new(MOST, 16, false).take_all(), MOST);
    }

    #[test]
    fn threads_claim_each_chunk_once() {
        let shares = Shares::new(10_000, 4, false);
        let claimed: Vec<AtomicU64> = (0..10_000).map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|s| {
            for me in 0..4 {
                let (shares, claimed) = (&shares, &claimed);
                s.spawn(move || {
                    while let Some(i) = shares.claim(me) {
                        claimed[i].fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(claimed.iter().all(|n| n.load(Ordering::Relaxed) == 1));
    }
}
