//! Chains of a million nodes and views: differentiated and dropped without recursion, within seconds. A file of its own, so
//! that nothing else runs beside what is timed.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tenflowers_autograd::{Options, backward, grad};
use tenflowers_core::{Result, Tensor, ops};

const W: &[f64] = &[1.5, -0.4];
const CREATE: Options = Options { retain_graph: true, create_graph: true };

/// Held by the one test that runs.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
fn leaf(data: &[f64]) -> Tensor {
    let t = Tensor::<f64>::from_vec(data.to_vec(), &[data.len()]).unwrap().erase().clone();
    t.require_grad(true).unwrap();
    t
}
fn gradient(t: &Tensor) -> Vec<f64> {
    t.grad().unwrap().typed::<f64>().unwrap().to_vec().unwrap()
}
fn back(t: &Tensor) -> Result<()> {
    backward(std::slice::from_ref(t), &[None], Options::default(), None)
}

#[test]
fn long_chains() {
    let count = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let _alone = alone();
    let start = Instant::now();
    let b = leaf(W);
    let mut y = b.mul(1.0).unwrap();
    for _ in 0..count {
        y = y.add(1.0).unwrap();
    }
    let other = y.mul(1.0).unwrap();
    back(&y.sum(None).unwrap()).unwrap();
    assert_eq!(gradient(&b), [1.0, 1.0]);
    drop((y, other));
    let taken = start.elapsed();
    assert!(cfg!(debug_assertions) || taken.as_secs_f64() < 3.0, "{taken:?}");
}

#[test]
fn long_chains_of_views() {
    let count = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let _alone = alone();
    let start = Instant::now();
    let b = leaf(W);
    let y = b.mul(1.0).unwrap();
    let mut v = y.clone();
    for _ in 0..count {
        v = v.transpose(0, 0).unwrap();
    }
    assert!(v.base().same(&y) && v.edge().is_some());
    back(&v.sum(None).unwrap()).unwrap();
    assert_eq!(gradient(&b), [1.0, 1.0]);
    // Written at the base, every view's history is stale; and dropped without having been used again.
    y.mul_(2.0).unwrap();
    back(&v.sum(None).unwrap()).unwrap();
    assert_eq!(gradient(&b), [3.0, 3.0]);
    drop((v, y));
    let taken = start.elapsed();
    assert!(cfg!(debug_assertions) || taken.as_secs_f64() < 3.0, "{taken:?}");
}

#[test]
fn long_chains_of_writes_and_of_second_order() {
    let count = if cfg!(debug_assertions) { 30_000 } else { 100_000 };
    let _alone = alone();
    let b = leaf(W);
    let y = b.mul(1.0).unwrap();
    let half = ops::narrow(&y, 0, 0, 1).unwrap();
    for _ in 0..count {
        ops::sin::to(Some(&half), &half).unwrap();
        y.add_(0.5).unwrap();
    }
    drop((y, half));
    let y = b.mul(1.0).unwrap();
    for _ in 0..count {
        y.mul_(1.0).unwrap();
    }
    back(&y.sum(None).unwrap()).unwrap();
    assert_eq!(gradient(&b), [1.0, 1.0]);
    let mut y = b.clone();
    for _ in 0..count {
        y = y.tanh().unwrap();
    }
    let g = grad(&[y.sum(None).unwrap()], &[b], &[None], CREATE, false).unwrap();
    drop((y, g));
}
