//! What could break the design: writes in place and through views, several outputs, long chains, threads.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tenflowers_autograd::{Options, Tolerance, backward, grad, gradcheck, gradgradcheck};
use tenflowers_core::grad::{is_enabled, with_recording};
use tenflowers_core::schema::Size;
use tenflowers_core::{Result, Scalar, Tensor, ops};

type Numbers = (&'static [f64], &'static [usize]);
const X: Numbers = (&[0.3, -0.7, 1.1, 0.5], &[2, 2]);
const W: Numbers = (&[1.5, -0.4], &[2]);
const KEEP: Options = Options { retain_graph: true, create_graph: false };
const CREATE: Options = Options { retain_graph: true, create_graph: true };

fn new((data, shape): Numbers) -> Tensor {
    Tensor::<f64>::from_vec(data.to_vec(), shape).unwrap().erase().clone()
}
fn leaf(at: Numbers) -> Tensor {
    let t = new(at);
    t.require_grad(true).unwrap();
    t
}
fn value(t: &Tensor) -> Vec<f64> {
    t.clone().typed::<f64>().unwrap().to_vec().unwrap()
}
fn gradient(t: &Tensor) -> Vec<f64> {
    value(&t.grad().unwrap())
}
fn total(t: &Tensor) -> Result<Tensor> {
    t.exp()?.sum(None)
}
fn back(t: &Tensor) -> Result<()> {
    backward(std::slice::from_ref(t), &[None], Options::default(), None)
}
fn exp_(t: &Tensor) -> Result<Tensor> {
    ops::exp::to(Some(t), t)
}
fn set(target: &Tensor, source: &Tensor) -> Result<Tensor> {
    ops::assign::to(Some(target), target, source)
}
fn says<T>(result: Result<T>, text: &str) {
    let e = result.err().unwrap_or_else(|| panic!("no error, but expected: {text}")).to_string();
    assert!(e.contains(text), "'{e}' does not say '{text}'");
}

/// First and second derivatives of `f` against finite differences.
#[track_caller]
fn check(at: &[Numbers], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let inputs: Vec<Tensor> = at.iter().map(|&n| leaf(n)).collect();
    let mut f = |x: &[Tensor]| Ok(vec![f(x)?]);
    for (order, result) in [
        (1, gradcheck(&mut f, &inputs, Tolerance::default())),
        (2, gradgradcheck(&mut f, &inputs, Tolerance::default())),
    ] {
        if let Err(e) = result {
            panic!("derivatives of order {order}: {e}");
        }
    }
}

#[test]
fn broadcasts_in_the_middle_of_a_graph() {
    check(&[X, W], |x| total(&x[0].tanh()?.mul(&x[1])?));
    // A gradient is summed to its tensor's shape wherever it arrives, not only at leaves.
    check(&[W, X], |x| total(&ops::view(&x[0].tanh()?, Size(&[2, 1]))?.tanh()?.mul(&x[1])?));
    check(&[(&[0.4], &[]), X], |x| total(&x[0].sin()?.mul(&x[1].tanh()?)?.add(&x[0].exp()?)?));
    check(&[(&[0.4], &[1, 1]), X], |x| total(&x[1].div(&x[0].exp()?)?.sub(&x[0].tanh()?)?));
}

#[test]
fn outputs_without_a_gradient() {
    check(&[X], |x| total(&ops::max_dim(&x[0].tanh()?, 1, false)?.values));
    // Only one piece of three is used.
    check(&[(&[0.1, 0.2, 0.3, 0.4, 0.5], &[5])], |x| total(&ops::split(&x[0].tanh()?, 2, 0)?[1]));
    check(&[X], |x| total(&ops::unbind(&x[0].tanh()?, 1)?[1]));
}

#[test]
fn kept_outputs_have_second_derivatives() {
    for f in [ops::exp, ops::tanh, ops::sigmoid, ops::sqrt, ops::rsqrt, ops::reciprocal] {
        check(&[W], |x| f(&x[0].mul(&x[0])?.add(0.5)?));
    }
    check(&[X], |x| ops::softmax(&x[0], Some(1), 3, None)?.mul(&x[0]));
    check(&[X], |x| ops::log_softmax(&x[0], Some(0), 3, None)?.mul(&x[0]));
    check(&[X], |x| ops::logsumexp(&x[0], &[1], false));
    check(&[X], |x| ops::prod(&x[0], None));
    check(&[X], |x| ops::norm(&x[0], Some(Scalar::Int(2)), None, false, None));
    // By hand: the third derivative of x^4 and of exp.
    let x = leaf((&[2.0], &[]));
    let mut y = x.mul(&x).unwrap().mul(&x).unwrap().mul(&x).unwrap().add(&x.exp().unwrap()).unwrap();
    for _ in 0..3 {
        y = grad(&[y], std::slice::from_ref(&x), &[None], CREATE, false).unwrap()[0].clone().unwrap();
    }
    assert!((value(&y)[0] - (48.0 + 2f64.exp())).abs() < 1e-12);
}

#[test]
fn in_place() {
    check(&[X, W], |x| {
        let y = x[0].mul(0.3)?;
        y.mul_(&x[1])?.mul_(&y)?.add_(&y)?.mul_(&y.transpose(0, 1)?)?;
        exp_(&y)?;
        total(&y)
    });
    // A tensor that needed no gradient takes one over, and what is overwritten keeps none.
    check(&[W], |x| {
        let y = new(W);
        y.mul_(&x[0])?;
        set(&y, &x[0].tanh()?)?;
        y.mul_(&y)
    });
    check(&[X, X], |x| {
        let y = x[0].sin()?;
        ops::fill(&y, Scalar::Float(0.25))?;
        y.add_(&x[1])?.mul_(&x[1])
    });
    check(&[X], |x| {
        let y = x[0].mul(1.0)?;
        let mask = new(X).gt(0.4)?;
        ops::masked_fill::to(Some(&y), &y, &mask, 2.0.into())?;
        y.mul(&x[0])
    });
}

type Look = fn(&Tensor) -> Result<Tensor>;

/// Every kind of view, of a base `[2, 2]`, onto two elements or more, none twice.
const VIEWS: &[(&str, Look)] = &[
    ("select", |t| ops::select(t, 0, 1)),
    ("select of the last dimension", |t| ops::select(t, 1, -1)),
    ("slice", |t| ops::narrow(t, 0, 1, 1)),
    ("slice of all", |t| ops::narrow(t, 1, 0, 2)),
    ("transpose", |t| ops::transpose(t, 0, 1)),
    ("permute", |t| ops::permute(t, Size(&[1, 0]))),
    ("diagonal", |t| ops::diagonal(t, 0, 0, 1)),
    ("reshape", |t| ops::reshape(t, Size(&[4]))),
    ("view", |t| ops::view(t, Size(&[1, 4, 1]))),
    ("unsqueeze", |t| ops::unsqueeze(t, 1)),
    ("squeeze", |t| ops::squeeze(&ops::unsqueeze(t, 0)?)),
    ("flatten", |t| ops::flatten(t, 0, -1)),
    ("expand to the same size", |t| ops::expand(t, Size(&[1, 2, 2]))),
    ("as_strided", |t| ops::as_strided(t, &[2], &[3], Some(0))),
    ("as_strided of a part", |t| ops::as_strided(t, &[2], &[1], Some(1))),
    ("a piece of split", |t| Ok(ops::split(t, 1, 1)?.swap_remove(1))),
    ("a piece of chunk", |t| Ok(ops::chunk(t, 2, 0)?.swap_remove(0))),
    ("a piece of unbind", |t| Ok(ops::unbind(t, 1)?.swap_remove(0))),
    ("a view of a view of a view", |t| ops::select(&ops::unsqueeze(&ops::transpose(t, 0, 1)?, 1)?, 0, 1)),
    ("a diagonal of a reshape", |t| {
        ops::diagonal(&ops::reshape(&ops::transpose(t, 0, 1)?, Size(&[2, 1, 2]))?, 0, 0, 2)
    }),
];

#[test]
fn writes_through_every_kind_of_view_show_in_the_base() {
    for (name, look) in VIEWS {
        let base = new(X);
        let v = look(&base).unwrap();
        let seen = value(&v);
        v.mul_(10.0).unwrap();
        let times: Vec<f64> = seen.iter().map(|x| x * 10.0).collect();
        assert_eq!(value(&v), times, "{name}");
        let changed = value(&base).iter().zip(X.0).filter(|(now, before)| now != before).count();
        assert_eq!(changed, seen.len(), "{name}");
        assert_eq!((base.version(), v.version()), (1, 1), "{name}");
        assert!(v.base().same(&base), "{name}");
    }
}

/// `f`, checked for every kind of view; the name of the kind goes into the message.
fn for_views(f: impl Fn(&[Tensor], Look) -> Result<Tensor>) {
    for_each(VIEWS.iter(), f);
}
fn for_each<'a>(views: impl Iterator<Item = &'a (&'static str, Look)>, f: impl Fn(&[Tensor], Look) -> Result<Tensor>) {
    for (name, look) in views {
        let inputs = [leaf(X), leaf((&[0.8], &[1]))];
        let mut g = |x: &[Tensor]| Ok(vec![f(x, *look)?]);
        let first = gradcheck(&mut g, &inputs, Tolerance::default());
        let both = first.and_then(|()| gradgradcheck(&mut g, &inputs, Tolerance::default()));
        if let Err(e) = both {
            panic!("{name}: {e}");
        }
    }
}

#[test]
fn a_view_written() {
    for_views(|x, look| {
        let y = x[0].mul(2.0)?;
        look(&y)?.mul_(&x[1])?;
        total(&y)
    });
    for_views(|x, look| {
        let y = x[0].sin()?;
        exp_(&look(&y)?)?;
        y.mul(&x[1])
    });
    // Overwritten: what was there has no gradient.
    for_views(|x, look| {
        let y = x[0].sin()?;
        ops::fill(&look(&y)?, Scalar::Float(0.5))?;
        y.mul(&x[1])
    });
    for_views(|x, look| {
        let y = x[0].mul(2.0)?;
        let v = look(&y)?;
        set(&v, &ops::expand_as(&x[1].tanh()?, &v)?)?;
        total(&y)
    });
}

#[test]
fn a_view_of_a_base_that_needed_no_gradient() {
    for_views(|x, look| {
        let y = new(X);
        let (before, v) = (look(&y)?, look(&y)?);
        v.mul_(&x[1])?;
        exp_(&y)?.sum(None)?.add(&before.mul(&before)?.sum(None)?)?.add(&total(&x[0])?)
    });
}

#[test]
fn a_view_made_before_the_write_and_used_after_it() {
    for_views(|x, look| {
        let y = x[0].mul(2.0)?;
        let before = look(&y)?;
        y.mul_(&x[1])?;
        total(&before)
    });
    for_views(|x, look| {
        let y = x[0].mul(2.0)?;
        let (before, row) = (look(&y)?, ops::select(&y, 0, 0)?);
        row.mul_(&x[1])?;
        total(&before)?.add(&total(&row)?)
    });
}

#[test]
fn base_and_view_written_in_every_order() {
    let base = |y: &Tensor, x: &[Tensor]| y.mul_(&x[1]).map(drop);
    let view = |v: &Tensor, x: &[Tensor]| v.mul_(&x[1].exp()?)?.add_(&x[1]).map(drop);
    let chain = |v: &Tensor| ops::sin::to(Some(v), v).map(drop);
    for order in 0..27 {
        // Every order, and every kind of view in several of them.
        for_each(VIEWS.iter().skip(order % 5).step_by(5), |x, look| {
            let y = x[0].sin()?;
            let (v, w) = (look(&y)?, look(&y)?);
            let mut digits = order;
            for _ in 0..3 {
                match digits % 3 {
                    0 => base(&y, x)?,
                    1 => view(&v, x)?,
                    _ => chain(&w)?,
                }
                digits /= 3;
            }
            y.sum(None)?.add(&v.mul(&w)?.sum(None)?)
        });
    }
}

#[test]
fn pieces_of_one_split_written() {
    check(&[(&[0.1, 0.2, 0.3, 0.4, 0.5], &[5]), W], |x| {
        let y = x[0].sin()?;
        let pieces = ops::split(&y, 2, 0)?;
        pieces[0].mul_(&x[1])?;
        let sum = pieces[1].mul_(&x[1])?.add_(&pieces[0])?.sum(None)?;
        y.mul(&y)?.sum(None)?.add(&sum)?.add(&pieces[2].sum(None)?.exp()?)
    });
    check(&[X, W], |x| {
        let y = x[0].mul(1.0)?;
        let rows = ops::unbind(&y, 0)?;
        set(&rows[0], &x[1])?;
        y.mul_(&x[0])?;
        rows[0].mul(&rows[1])
    });
}

#[test]
fn views_of_both_kinds_together() {
    // One view made before the write, one after, all used at the end.
    check(&[X, W], |x| {
        let y = x[0].mul(2.0)?;
        let before = ops::select(&y, 1, 0)?;
        let v = ops::select(&y, 0, 0)?.mul_(&x[1])?;
        let after = y.transpose(0, 1)?;
        total(&y)?.add(&total(&before.mul(&v)?)?)?.add(&total(&after.tanh()?)?)
    });
    // A view of a view, of a base that needed no gradient before; with elements that are overwritten.
    check(&[W, W], |x| {
        let y = new(X);
        set(&ops::select(&y, 0, 1)?, &x[1])?;
        let v = ops::select(&y.transpose(0, 1)?, 0, 1)?.mul_(&x[0])?;
        exp_(&v)?;
        total(&y)
    });
    // A source that is part of what it is written into.
    check(&[X], |x| {
        let y = x[0].mul(1.5)?;
        ops::select(&y, 0, 0)?.mul_(&ops::select(&y, 0, 1)?)?;
        ops::select(&y, 1, 0)?.add_(&ops::select(&y, 0, 0)?)?;
        total(&y)
    });
}

#[test]
fn a_leaf_written_under_no_grad_stays_a_leaf() {
    let x = leaf(X);
    let v = ops::select(&x, 0, 0).unwrap();
    with_recording(false, || x.mul_(2.0).map(drop)).unwrap();
    assert!(x.is_leaf() && x.requires_grad());
    back(&total(&v).unwrap()).unwrap();
    assert_eq!(gradient(&x), [0.6f64.exp(), (-1.4f64).exp(), 0.0, 0.0]);
}

#[test]
fn errors_where_a_gradient_would_be_wrong() {
    let x = leaf(X);
    says(x.mul_(2.0), "mul: a leaf that requires grad is changed in place");
    for (_, look) in VIEWS {
        says(look(&x).unwrap().mul_(2.0), "mul: a leaf that requires grad is changed in place");
    }
    says(set(&x, &new(X)), "a leaf that requires grad is changed in place");
    assert_eq!(value(&x), X.0);
    let y = x.mul(2.0).unwrap();
    for (_, look) in VIEWS {
        says(with_recording(false, || look(&y)).unwrap().mul_(2.0), "a view made under no_grad");
    }
    // A kept input, a kept output, and both through a view.
    let cases: [(&str, Look); 4] =
        [("exp", ops::exp), ("mul", |t| t.mul(t)), ("sin", ops::sin), ("matmul", |t| t.matmul(t))];
    for (name, f) in cases {
        for through_view in [false, true] {
            let y = x.mul(2.0).unwrap();
            let z = f(&y).unwrap();
            let loss = total(&z).unwrap();
            let changed = if name == "exp" { &z } else { &y };
            let changed = if through_view { ops::select(changed, 0, 0).unwrap() } else { changed.clone() };
            changed.add_(1.0).unwrap();
            // The sum's exponential kept its own output: the first complaint is of the operation asked for.
            let e = backward(&[loss], &[None], Options::default(), None).unwrap_err().to_string();
            assert!(e.contains("was changed in place") && e.starts_with(name), "{name}: {e}");
        }
    }
    assert!(x.grad().is_none());
}

#[test]
fn writes_to_shared_elements_are_noticed() {
    let x = leaf(X);
    let y = x.sin().unwrap();
    let loss = total(&y.mul(&y).unwrap()).unwrap();
    y.detach().mul_(2.0).unwrap();
    says(back(&loss), "mul: a tensor of shape [2, 2] needed for the gradient was changed in place");
    // A view made under no_grad, of a base without gradient, takes none over.
    let base = new(X);
    let v = with_recording(false, || ops::select(&base, 0, 0)).unwrap();
    says(v.mul_(&leaf(W)), "a view made under no_grad");
    assert!(!base.requires_grad());
    says(ops::sin::to(Some(&base), &x).map(drop), "out= takes no part in gradients");
}

#[test]
fn what_the_engine_refuses() {
    let x = leaf(X);
    says(back(&x.mul(2.0).unwrap()), "outputs of one element only, not of shape [2, 2]");
    says(back(&new((&[1.0], &[]))), "does not require grad and has no history");
    says(backward(&[x.sum(None).unwrap()], &[], Options::default(), None), "1 outputs and 0 gradients");
    says(
        backward(&[x.mul(2.0).unwrap()], &[Some(new(W))], Options::default(), None),
        "a gradient has the shape of its output: [2, 2] x [2]",
    );
    let loss = total(&x).unwrap();
    back(&loss).unwrap();
    says(back(&loss), "were freed by an earlier way back");
    says(ops::argmax(&x, None, false).unwrap().require_grad(true), "not int64");
    says(x.mul(2.0).unwrap().require_grad(false), "only be changed for leaf tensors");
    let floor = ops::floor_divide((&x).into(), 0.3.into()).unwrap().sum(None).unwrap();
    says(back(&floor), "floor_divide: has no derivative");
}

#[test]
fn gradients_of_inner_tensors_and_unused_ones() {
    let (x, unused) = (leaf(W), leaf(X));
    let inner = x.mul(3.0).unwrap();
    let y = inner.mul(&inner).unwrap().sum(None).unwrap();
    let one = |t: &Tensor| std::slice::from_ref(t).to_vec();
    let g = grad(&one(&y), &[inner.clone(), x.clone(), y.clone()], &[None], KEEP, false).unwrap();
    for (g, expected) in g.iter().zip([vec![9.0, -2.4], vec![27.0, -7.2], vec![1.0]]) {
        let got = value(g.as_ref().unwrap());
        assert!(got.iter().zip(&expected).all(|(g, e)| (g - e).abs() < 1e-12), "{got:?} is not {expected:?}");
    }
    assert!(x.grad().is_none());
    says(grad(&one(&y), &one(&unused), &[None], KEEP, false), "do not depend on input 0");
    assert!(grad(&one(&y), &one(&unused), &[None], KEEP, true).unwrap()[0].is_none());
    says(grad(&one(&y), &[new(W)], &[None], KEEP, true), "does not require grad");
    // The same input twice gets its gradient twice.
    let twice = grad(&one(&y), &[x.clone(), x.clone()], &[None], KEEP, false).unwrap();
    assert_eq!(value(twice[0].as_ref().unwrap()), value(twice[1].as_ref().unwrap()));
    // Two outputs, weighed.
    let (a, b) = (x.mul(2.0).unwrap(), x.mul(&x).unwrap());
    let seeds = [Some(new((&[1.0, 10.0], &[2]))), Some(new((&[100.0, 0.0], &[2])))];
    let g = grad(&[a, b], &one(&x), &seeds, Options::default(), false).unwrap();
    assert_eq!(value(g[0].as_ref().unwrap()), [302.0, 20.0]);
    // backward to some inputs only.
    let y = x.mul(&unused).unwrap().sum(None).unwrap();
    backward(&one(&y), &[None], Options::default(), Some(&one(&x))).unwrap();
    assert!(unused.grad().is_none());
    assert_eq!(gradient(&x), [0.3 + 1.1, -0.7 + 0.5]);
}

#[test]
fn accumulation_and_separate_gradients() {
    let (a, b) = (leaf(W), leaf(W));
    let seed = new(W);
    let y = a.add(&b).unwrap();
    backward(&[y], &[Some(seed.clone())], Options::default(), None).unwrap();
    a.grad().unwrap().mul_(0.0).unwrap();
    assert_eq!((gradient(&b), value(&seed)), (W.0.to_vec(), W.0.to_vec()));
    backward(&[b.mul(1.0).unwrap()], &[Some(seed.clone())], Options::default(), None).unwrap();
    assert_eq!(gradient(&b), [3.0, -0.8]);
    assert_eq!(value(&seed), W.0);
    // A gradient fits its leaf's dtype, whatever came between.
    let h = Tensor::<f32>::from_vec(vec![2.0], &[1]).unwrap().erase().clone();
    h.require_grad(true).unwrap();
    back(&ops::to_dtype(&h, tenflowers_core::DType::F64).unwrap().mul(&new((&[3.0], &[1]))).unwrap()).unwrap();
    assert_eq!(h.grad().unwrap().typed::<f32>().unwrap().to_vec().unwrap(), [3.0]);
    assert!(!h.grad().unwrap().requires_grad() && is_enabled());
}

#[test]
fn hooks_and_kept_gradients() {
    let x = leaf(W);
    let y = x.mul(2.0).unwrap();
    y.retain_grad().unwrap();
    y.retain_grad().unwrap();
    let seen = Arc::new(Mutex::new(vec![]));
    let log = seen.clone();
    let (first, list) = y
        .register_hook(Arc::new(move |g| {
            log.lock().unwrap().push(value(g));
            g.mul(10.0).map(Some)
        }))
        .unwrap();
    let log = seen.clone();
    x.register_hook(Arc::new(move |g| {
        log.lock().unwrap().push(value(g));
        Ok(None)
    }))
    .unwrap();
    let loss = y.sum(None).unwrap().add(&y.sum(None).unwrap()).unwrap();
    backward(std::slice::from_ref(&loss), &[None], KEEP, None).unwrap();
    // Once each, after the gradients have come together.
    assert_eq!(*seen.lock().unwrap(), [vec![2.0, 2.0], vec![40.0, 40.0]]);
    assert!(y.retains_grad() && !x.retains_grad());
    assert_eq!(gradient(&x), [40.0, 40.0]);
    list.remove(first);
    list.remove(first);
    backward(std::slice::from_ref(&loss), &[None], KEEP, None).unwrap();
    assert_eq!(gradient(&x), [44.0, 44.0]);
    // An error in a hook ends the way back.
    y.register_hook(Arc::new(|_| Err(tenflowers_core::TensorError::Callback("stop".into())))).unwrap();
    says(backward(&[loss], &[None], KEEP, None), "stop");
    says(new(W).register_hook(Arc::new(|_| Ok(None))).map(drop), "does not require grad");
    says(new(W).retain_grad(), "does not require grad");
}

/// As in PyTorch: what the hooks left, in whichever order they came, and of the tensor as it is after a write in place.
#[test]
fn what_a_retained_gradient_sees() {
    for retain_first in [false, true] {
        let x = leaf(W);
        let y = x.mul(2.0).unwrap();
        if retain_first {
            y.retain_grad().unwrap();
        }
        y.register_hook(Arc::new(|g| g.mul(10.0).map(Some))).unwrap();
        y.retain_grad().unwrap();
        back(&y.sum(None).unwrap()).unwrap();
        assert_eq!(gradient(&y), [10.0, 10.0], "retain_grad before the hook: {retain_first}");
        assert_eq!(gradient(&x), [20.0, 20.0]);
    }
}

#[test]
fn a_retained_gradient_after_a_write_in_place() {
    let x = leaf(W);
    let y = x.mul(2.0).unwrap();
    let v = ops::narrow(&y, 0, 0, 1).unwrap();
    y.retain_grad().unwrap();
    v.retain_grad().unwrap();
    y.mul_(3.0).unwrap();
    back(&y.sum(None).unwrap().add(&v.sum(None).unwrap()).unwrap()).unwrap();
    assert_eq!(gradient(&x), [12.0, 6.0]);
    assert_eq!(gradient(&y), [2.0, 1.0]);
    assert_eq!(gradient(&v), [1.0]);
}

/// A hook stays with the tensor as it was: after a write in place it sees the gradient of the old elements.
#[test]
fn hooks_before_and_after_a_write_in_place() {
    let x = leaf((&[0.5], &[1]));
    let seen = Arc::new(Mutex::new(vec![]));
    let log = |name: &'static str| -> tenflowers_core::grad::Hook {
        let seen = seen.clone();
        Arc::new(move |g| {
            seen.lock().unwrap().push((name, value(g)[0]));
            Ok(None)
        })
    };
    let y = x.mul(2.0).unwrap();
    y.register_hook(log("old")).unwrap();
    y.mul_(3.0).unwrap();
    y.register_hook(log("new")).unwrap();
    back(&y.sum(None).unwrap()).unwrap();
    assert_eq!(*seen.lock().unwrap(), [("new", 1.0), ("old", 3.0)]);
}

/// As in PyTorch: the gradient that `grad` gives of an inner tensor is the one before its hooks, of a leaf the one after.
#[test]
fn gradients_asked_for_and_hooks() {
    let x = leaf(W);
    x.register_hook(Arc::new(|g| g.mul(100.0).map(Some))).unwrap();
    let y = x.mul(2.0).unwrap();
    y.register_hook(Arc::new(|g| g.mul(10.0).map(Some))).unwrap();
    let g = grad(&[y.sum(None).unwrap()], &[y, x], &[None], KEEP, false).unwrap();
    let g: Vec<Vec<f64>> = g.into_iter().flatten().map(|g| value(&g)).collect();
    assert_eq!(g, [[1.0, 1.0], [2000.0, 2000.0]]);
}

#[test]
fn outputs_that_are_leaves() {
    let x = leaf((&[3.0], &[1]));
    back(&x).unwrap();
    assert_eq!(gradient(&x), [1.0]);
    let g = grad(&[x.clone(), x.clone()], std::slice::from_ref(&x), &[None, None], KEEP, false).unwrap();
    assert_eq!(value(g[0].as_ref().unwrap()), [2.0]);
}

#[test]
fn nothing_is_left_after_writes_in_place() {
    let (a, b) = (leaf(W), leaf(W));
    // Another tensor over the same memory: it is the only one once nothing else is left.
    let held = a.detach();
    let y = a.mul(2.0).unwrap();
    let written = y.detach();
    y.mul_(&y.mul(&a).unwrap()).unwrap();
    exp_(&y).unwrap();
    ops::select(&y, 0, 0).unwrap().mul_(&ops::select(&y, 0, 1).unwrap()).unwrap();
    exp_(&ops::narrow(&y, 0, 0, 1).unwrap()).unwrap();
    let parts = ops::split(&y, 1, 0).unwrap();
    parts[0].mul_(&parts[1]).unwrap();
    drop((a, parts));
    assert!(!held.is_sole());
    drop(y);
    assert!(held.is_sole() && written.is_sole());
    // Nor after a way back, with history of its own.
    let y = b.mul(2.0).unwrap();
    let (kept, leaf) = (y.detach(), b.detach());
    exp_(&y).unwrap();
    let g = grad(&[y.sum(None).unwrap()], std::slice::from_ref(&b), &[None], CREATE, false).unwrap();
    drop((y, g));
    assert!(kept.is_sole());
    drop(b);
    assert!(leaf.is_sole());
}

#[test]
fn a_gradient_with_history_on_its_own_leaf_can_be_dropped() {
    let x = leaf(W);
    let held = x.detach();
    backward(&[x.mul(&x).unwrap().sum(None).unwrap()], &[None], CREATE, None).unwrap();
    assert!(x.grad().unwrap().requires_grad());
    // The gradient's history holds the leaf, which holds the gradient: users break this ring.
    x.set_grad(None).unwrap();
    drop(x);
    assert!(held.is_sole());
}

#[test]
fn the_node_of_a_view_outlives_one_way_back() {
    let b = leaf(W);
    let v = b.transpose(0, 0).unwrap();
    for _ in 0..2 {
        back(&v.mul(&v).unwrap().sum(None).unwrap()).unwrap();
    }
    assert_eq!(gradient(&b), [6.0, -1.6]);
}

#[test]
fn threads_that_share_leaves() {
    let (x, a, b) = (leaf((&[0.5; 4], &[2, 2])), new(X), new(X));
    let y = x.mul(0.0).unwrap();
    let hooks = Arc::new(AtomicUsize::new(0));
    let count = hooks.clone();
    x.register_hook(Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }))
    .unwrap();
    let work = |p: &Tensor, q: &Tensor| -> Result<()> {
        for _ in 0..500 {
            back(&x.mul(&x)?.sum(None)?)?;
            y.add_(&x)?;
            with_recording(false, || p.add_(&q.transpose(0, 1)?)?.mul_(p)?.mul_(0.1).map(drop))?;
        }
        Ok(())
    };
    std::thread::scope(|s| {
        s.spawn(|| work(&a, &b).unwrap());
        s.spawn(|| work(&b, &a).unwrap());
    });
    // No gradient is lost, and no recorded write.
    assert_eq!(gradient(&x), [1000.0; 4]);
    assert_eq!(hooks.load(Ordering::Relaxed), 1000);
    let g = grad(&[y.sum(None).unwrap()], std::slice::from_ref(&x), &[None], Options::default(), false).unwrap();
    assert_eq!(value(g[0].as_ref().unwrap()), [1000.0; 4]);
}

#[test]
fn one_graph_differentiated_by_two_threads() {
    let x = leaf(X);
    let inner = x.mul(&x).unwrap();
    let y = inner.exp().unwrap().sum(None).unwrap();
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                for _ in 0..200 {
                    backward(std::slice::from_ref(&y), &[None], KEEP, None).unwrap();
                }
            });
        }
    });
    for (g, x) in gradient(&x).iter().zip(X.0) {
        let expected = 400.0 * 2.0 * x * (x * x).exp();
        assert!((g - expected).abs() < 1e-9 * expected.abs().max(1.0), "{g} is not {expected}");
    }
}

#[test]
fn recording_is_each_threads_own() {
    let x = leaf(W);
    with_recording(false, || {
        let other = std::thread::scope(|s| s.spawn(|| x.mul(2.0).unwrap().requires_grad()).join().unwrap());
        assert!(other && !x.mul(2.0).unwrap().requires_grad());
        assert!(with_recording(true, || x.mul(2.0)).unwrap().requires_grad());
    });
    let stopped = std::panic::catch_unwind(|| with_recording(false, || panic!("in the middle")));
    assert!(stopped.is_err() && is_enabled());
}

#[test]
fn exchanged_elements() {
    let x = leaf(W);
    let y = x.mul(&x).unwrap().sum(None).unwrap();
    let moved = x.with_data(&new((&[10.0, 20.0], &[2])));
    back(&y).unwrap();
    // One tensor to the derivative: the new handle has the gradient.
    assert_eq!(gradient(&moved), [3.0, -0.8]);
    moved.set_grad(None).unwrap();
    back(&moved.mul(&moved).unwrap().sum(None).unwrap()).unwrap();
    assert_eq!(gradient(&moved), [20.0, 40.0]);
}
