//! The allocator: what it counts, and that too much is an error. One test, since the counters are the process's.
use tenflowers_core::{
    DType, Scalar, Tensor, TensorError, empty_cache, memory_stats, ops, reset_peak, set_memory_budget,
};

fn zeros(shape: &[usize]) -> tenflowers_core::Result<Tensor> {
    ops::full_of(shape, Scalar::ZERO, DType::F32)
}

#[test]
fn counters_and_budget() {
    let before = memory_stats();
    assert!(before.budget > 1 << 20, "what the machine has");
    let t = zeros(&[1 << 16]).unwrap();
    let bytes = 4 << 16;
    assert!(memory_stats().live >= before.live + bytes);
    // Views and handles take nothing.
    let live = memory_stats().live;
    let views = [t.transpose(0, 0).unwrap(), t.clone(), ops::narrow(&t, 0, 10, 20).unwrap(), t.detach()];
    assert_eq!(memory_stats().live, live);
    drop((t, views));
    assert!(memory_stats().live < live);

    drop(zeros(&[1 << 18]).unwrap());
    assert!(memory_stats().peak >= 4 << 18);
    reset_peak();
    assert_eq!(memory_stats().peak, memory_stats().live);

    // Sizes that no memory holds, and ones that no integer holds.
    for shape in [&[1usize << 45][..], &[1 << 40, 1 << 40], &[usize::MAX], &[usize::MAX, 2], &[1 << 62, 1]] {
        let e = zeros(shape).unwrap_err();
        assert!(matches!(e, TensorError::OutOfMemory { .. }), "{shape:?}: {e}");
    }
    assert_eq!(zeros(&[1 << 40, 0, 1 << 40]).map(|t| t.numel()).ok(), Some(0));

    let live = memory_stats().live;
    set_memory_budget(live + 1000);
    let e = zeros(&[1 << 10]).unwrap_err();
    assert_eq!(e, TensorError::OutOfMemory { bytes: 4096 });
    let text = e.to_string();
    assert!(text.starts_with("out of memory: 4096 bytes were asked for, "), "{text}");
    // An operation in the middle of its work fails as well, and leaves its input alone.
    let small = zeros(&[200]).unwrap();
    assert!(matches!(small.add(1.0), Err(TensorError::OutOfMemory { bytes: 800 })));
    assert!(small.add_(1.0).is_ok());
    assert_eq!(small.version(), 1);
    assert_eq!(memory_stats().live, live + 800);
    set_memory_budget(before.budget);
    assert!(small.add(1.0).is_ok());

    caches();
}

/// What was dropped serves the next tensor of its size, within bounds.
fn caches() {
    empty_cache();
    assert_eq!(memory_stats().cached, 0);
    drop(zeros(&[1 << 20]).unwrap());
    assert_eq!(memory_stats().cached, 4 << 20);
    // A little smaller is the same class; what lay there does not show in zeros.
    let ones = ops::full_of(&[(1 << 20) - 100], Scalar::ONE, DType::F32).unwrap();
    assert_eq!(memory_stats().cached, 0);
    drop(ones);
    let again = zeros(&[1 << 20]).unwrap();
    assert_eq!(memory_stats().cached, 0);
    assert!(again.clone().typed::<f32>().unwrap().to_vec().unwrap().iter().all(|&x| x == 0.0));
    drop(again);
    // In use and kept together stay within a quarter more than the most that was ever in use, and 64 MB.
    for i in 1..200 {
        drop(zeros(&[i << 16]).unwrap());
        let stats = memory_stats();
        assert!(stats.live + stats.cached <= (200 << 18) / 4 * 5 + (65 << 20), "{stats:?}");
    }
    // A budget holds for both.
    let budget = memory_stats().budget;
    let live = memory_stats().live;
    set_memory_budget(live + (8 << 20));
    assert!(memory_stats().cached <= 8 << 20);
    let t = zeros(&[1 << 20]).unwrap();
    drop(zeros(&[1 << 19]).unwrap());
    let stats = memory_stats();
    assert!(stats.live + stats.cached <= live + (8 << 20), "{stats:?}");
    drop(t);
    set_memory_budget(budget);
    empty_cache();
    // Threads come and go, and leave what they had to each other.
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..200).for_each(|i| drop(zeros(&[(i % 7 + 1) << 15]).unwrap())));
        }
    });
    let stats = memory_stats();
    assert!(stats.cached > 0 && stats.live == live, "{stats:?}");
    empty_cache();
    assert_eq!(memory_stats().cached, 0);
}
