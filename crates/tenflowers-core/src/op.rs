//! What an operation is, and `apply`, the single door through which every one of them runs.
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{self, Back, CopySlices, Edges, History, Node, Saved, Slot};
use crate::host;
use crate::layout::{Layout, Shape};
use crate::ops;
use crate::storage::{Storage, lock, read_both};
use crate::tensor::{Tensor, ViewOf};
use smallvec::{SmallVec, smallvec};
use std::fmt::Debug;
use std::sync::Arc;

/// One operation, stated once: eager runs, the way back, graphs and exports all use this.
pub trait Op: Share + Debug + Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn class(&self) -> Class {
        Class::Opaque
    }
    /// Checks the inputs and says what comes out. Reads no elements.
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta>;
    /// Computes the outputs, which lie in one run unless the operation is elementwise.
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()>;
    /// What `vjp` reads, given which inputs need a gradient.
    fn keep(&self, needs: &[bool]) -> Keep;
    /// The gradient of each input that needs one, from those of the outputs that have one, in operations, so that it can be
    /// differentiated again. No default: an operation without a derivative says so with [`grad::none`].
    fn vjp(&self, back: &Back) -> Result<Grads>;
    /// About how many elements it works on, where that is more than the inputs and outputs have.
    fn cost(&self, _inputs: &[&Tensor]) -> usize {
        0
    }
}

/// Copies of an operation, made only where it is remembered; keeps `apply` free of type parameters.
pub trait Share {
    fn share(&self) -> Arc<dyn Op>;
    /// With what the view that it makes is a view of.
    fn view_of(&self, parent: &Tensor) -> Box<ViewOf>;
}

impl<T: Op + Clone> Share for T {
    fn share(&self) -> Arc<dyn Op> {
        Arc::new(self.clone())
    }
    fn view_of(&self, parent: &Tensor) -> Box<ViewOf> {
        Box::new(ViewOf::new(parent, self.clone()))
    }
}

/// What fusion and writes in place may do with an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Class {
    /// Each element depends on the same element of each input, so a kernel may write over what it has read.
    Elementwise,
    Opaque,
}

pub type Grads = SmallVec<[Option<Tensor>; 2]>;
pub type Outputs = SmallVec<[Tensor; 1]>;
pub type Metas = SmallVec<[(Shape, DType); 1]>;

/// What an operation makes, known before it runs.
pub enum Meta {
    New(Metas),
    /// One output of the shape of input 0.
    Like(DType),
    /// Another look at the storage of input 0.
    View(Layout),
    /// Another look, at elements of another type that the input's consist of.
    Part(Layout, DType),
}

impl Meta {
    pub fn one(shape: Shape, dtype: DType) -> Result<Self> {
        Ok(Meta::New(smallvec![(shape, dtype)]))
    }
    pub fn like(t: &Tensor) -> Result<Self> {
        Meta::one(SmallVec::from_slice(t.shape()), t.dtype())
    }
}

/// What an operation keeps for the way back.
pub type Keep = SmallVec<[Slot; 3]>;

/// Work from here on is done without the interpreter's lock: some fifty microseconds.
const LONG: usize = 1 << 16;

/// The single door: infer, run, record. Gives the first output.
pub fn apply(op: &dyn Op, inputs: &[&Tensor]) -> Result<Tensor> {
    match op.infer(inputs)? {
        Meta::View(layout) => Ok(Tensor::looking(op.view_of(inputs[0]), layout, inputs[0].dtype())),
        Meta::Part(layout, dtype) => Ok(Tensor::looking(op.view_of(inputs[0]), layout, dtype)),
        Meta::Like(dtype) if !recording(inputs) => run_alone(op, inputs, inputs[0].shape(), dtype),
        Meta::Like(dtype) => Ok(run_new(op, inputs, like(inputs, dtype))?.swap_remove(0)),
        Meta::New(metas) => match &metas[..] {
            [(shape, dtype)] if !recording(inputs) => run_alone(op, inputs, shape, *dtype),
            _ => Ok(run_new(op, inputs, metas)?.swap_remove(0)),
        },
    }
}

/// What most calls on small tensors are: one output, without lists and history.
#[inline]
fn run_alone(op: &dyn Op, inputs: &[&Tensor], shape: &[usize], dtype: DType) -> Result<Tensor> {
    let out = Tensor::empty(shape, dtype)?;
    // SAFETY: the locks are held to the end of the kernel.
    locked(inputs, || unsafe { kernel(op, inputs, std::slice::from_ref(&out)) })?;
    Ok(out)
}

fn like(inputs: &[&Tensor], dtype: DType) -> Metas {
    smallvec![(SmallVec::from_slice(inputs[0].shape()), dtype)]
}

/// As [`apply`], with all outputs.
pub fn apply_all(op: &dyn Op, inputs: &[&Tensor]) -> Result<Outputs> {
    match op.infer(inputs)? {
        Meta::View(layout) => Ok(smallvec![Tensor::looking(op.view_of(inputs[0]), layout, inputs[0].dtype())]),
        Meta::Part(layout, dtype) => Ok(smallvec![Tensor::looking(op.view_of(inputs[0]), layout, dtype)]),
        Meta::Like(dtype) => run_new(op, inputs, like(inputs, dtype)),
        Meta::New(metas) => run_new(op, inputs, metas),
    }
}

/// Runs `work` while nobody writes the inputs. What an operation makes is nobody else's yet, and needs no lock.
#[inline]
fn locked<R>(inputs: &[&Tensor], work: impl FnOnce() -> R) -> R {
    match inputs {
        [a] => {
            let _lock = a.storage().read();
            work()
        }
        [a, b] => {
            let _locks = read_both(a.storage(), b.storage());
            work()
        }
        _ => {
            let _locks = lock(&inputs.iter().map(|t| t.storage()).collect::<SmallVec<[&Storage; 4]>>(), &[]);
            work()
        }
    }
}

fn run_new(op: &dyn Op, inputs: &[&Tensor], metas: Metas) -> Result<Outputs> {
    let edges: Option<Edges> = recording(inputs).then(|| inputs.iter().map(|t| t.edge()).collect());
    let outs: Outputs = match &metas[..] {
        [(shape, dtype)] => smallvec![Tensor::empty(shape, *dtype)?],
        several => several.iter().map(|(shape, dtype)| Tensor::empty(shape, *dtype)).collect::<Result<_>>()?,
    };
    locked(inputs, || {
        // SAFETY: the locks are held to the end of the kernel.
        unsafe { kernel(op, inputs, &outs)? };
        if let Some(edges) = edges {
            // Under the locks: the versions noted are those that the kernel read.
            record(op, inputs, edges, &outs, metas);
        }
        Ok(())
    })?;
    Ok(outs)
}

/// Whether an operation on these is written down for the way back.
pub fn recording(inputs: &[&Tensor]) -> bool {
    grad::is_enabled() && inputs.iter().any(|t| t.requires_grad())
}

/// # Safety
/// The storages are locked, or new.
#[inline]
unsafe fn kernel(op: &dyn Op, inputs: &[&Tensor], outs: &[Tensor]) -> Result<()> {
    let long = |t: &Tensor| t.numel() >= LONG;
    let long = outs.iter().any(long) || inputs.iter().any(|t| long(t)) || op.cost(inputs) >= LONG;
    // SAFETY: the caller's word.
    if long { host::detached(|| unsafe { compute(op, inputs, outs) }) } else { unsafe { compute(op, inputs, outs) } }
}

/// # Safety
/// As `kernel`.
#[inline]
unsafe fn compute<'a>(op: &dyn Op, inputs: &[&'a Tensor], outs: &'a [Tensor]) -> Result<()> {
    // SAFETY: tensors lie within their storages.
    let view = |t: &'a Tensor| unsafe { View::new(t.storage().as_ptr(), t.layout(), t.dtype()) };
    // SAFETY: as above.
    let view_mut = |t: &'a Tensor| unsafe { ViewMut::new(t.storage().as_ptr(), t.layout(), t.dtype()) };
    match (inputs, outs) {
        // What most operations have, without lists of unknown length.
        ([a], [out]) => op.cpu(&[view(a)], &mut [view_mut(out)]),
        ([a, b], [out]) => op.cpu(&[view(a), view(b)], &mut [view_mut(out)]),
        _ => {
            let views: SmallVec<[_; 3]> = inputs.iter().map(|t| view(t)).collect();
            let mut outs: SmallVec<[_; 3]> = outs.iter().map(view_mut).collect();
            op.cpu(&views, &mut outs)
        }
    }
}

#[cold]
fn record(op: &dyn Op, inputs: &[&Tensor], edges: Edges, outs: &[Tensor], metas: Metas) {
    let differentiable = |t: &Tensor| t.dtype().is_differentiable();
    if !outs.iter().any(differentiable) {
        return;
    }
    let needs: SmallVec<[bool; 4]> = edges.iter().map(Option::is_some).collect();
    let save = |slot: &Slot| match *slot {
        Slot::Input(i) => Saved::new(*slot, inputs[i as usize], edges[i as usize].clone()),
        Slot::Output(i) => Saved::new(*slot, &outs[i as usize], None),
    };
    let saved = op.keep(&needs).iter().map(save).collect();
    let node = Node::new(op.share(), edges, saved, metas);
    for (i, out) in outs.iter().enumerate().filter(|(_, t)| differentiable(t)) {
        out.set_history(node.clone(), i as u32, 0);
    }
}

/// `apply`, its result written into `target`: input 0 for an operation in place, any tensor for `out=`.
pub fn apply_to(op: &dyn Op, inputs: &[&Tensor], target: Option<&Tensor>) -> Result<Tensor> {
    match target {
        None => apply(op, inputs),
        Some(target) => write_to(op, inputs, target),
    }
}

fn check_target(op: &dyn Op, inputs: &[&Tensor], target: &Tensor) -> Result<DType> {
    let metas = match op.infer(inputs)? {
        Meta::New(metas) => metas,
        Meta::Like(dtype) => like(inputs, dtype),
        _ => return Err(TensorError::argument(op.name(), "a view cannot be written into a tensor")),
    };
    let (shape, left, right) = (&metas[0].0, metas[0].1, target.dtype());
    if shape[..] != *target.shape() {
        return Err(TensorError::shape(op.name(), "the result does not fit the target", shape, target.shape()));
    }
    if !left.can_cast(right) {
        let what = "the result cannot be cast to the dtype of the target";
        return Err(TensorError::DType { op: op.name(), what, left, right });
    }
    if target.layout().overlaps_itself() {
        let what = "two indices of the target are one element in memory; clone it first";
        return Err(TensorError::argument(op.name(), what));
    }
    Ok(left)
}

fn write_to(op: &dyn Op, inputs: &[&Tensor], target: &Tensor) -> Result<Tensor> {
    let dtype = check_target(op, inputs, target)?;
    let error = |what: &str| Err(TensorError::grad(op.name(), what));
    let recording =
        recording(inputs) || grad::is_enabled() && inputs.iter().any(|t| t.same(target)) && target.requires_grad();
    let base = target.base();
    if grad::is_enabled() {
        if recording && !inputs.iter().any(|t| t.same(target)) {
            return error("out= takes no part in gradients; use no_grad");
        }
        if [base, target].iter().any(|t| t.requires_grad() && t.is_leaf()) {
            return error("a leaf that requires grad is changed in place; use no_grad");
        }
        if (recording || base.requires_grad()) && target.view_of().is_some_and(|v| !v.tracked) {
            return error("a view made under no_grad is changed in place where gradients are recorded");
        }
    }
    // Through `assign`, whose kernel converts, where this kernel cannot write there as it runs.
    if op.class() != Class::Elementwise
        || dtype != target.dtype()
        || !inputs.first().is_some_and(|t| t.same(target)) && recording
    {
        return ops::assign::to(Some(target), target, &apply(op, inputs)?);
    }
    let shared = |t: &Tensor| t.shares_storage(target);
    // An elementwise kernel may write where it has just read; an overlap in another order is copied first.
    let other_order = |t: &Tensor| shared(t) && (t.layout() != target.layout() || t.dtype() != target.dtype());
    let inputs = inputs.iter().map(|t| if other_order(t) { ops::copy(t) } else { Ok((*t).clone()) });
    let inputs = inputs.collect::<Result<SmallVec<[Tensor; 3]>>>()?;
    let inputs: SmallVec<[&Tensor; 3]> = inputs.iter().collect();
    let mut edges: Edges = inputs.iter().map(|t| if recording { t.edge() } else { None }).collect();
    let needs: SmallVec<[bool; 4]> = edges.iter().map(Option::is_some).collect();
    let keep = if recording { op.keep(&needs) } else { Keep::new() };
    let doomed = |s: &Slot| matches!(*s, Slot::Input(i) if shared(inputs[i as usize]));
    let mut saved = vec![];
    for slot in keep.iter().filter(|s| doomed(s)) {
        let Slot::Input(i) = *slot else { continue };
        let kept = ops::copy(inputs[i as usize])?;
        saved.push(Saved::new(*slot, &kept, kept.edge()));
    }
    // From the old history to the new one nobody else may write. Histories are locked before storages, everywhere.
    let mut history = recording.then(|| base.grad_meta_or_init().history());
    if let Some(history) = &history {
        edges[0] = needs[0].then(|| base.edge_from(history));
    }
    let reads: SmallVec<[&Storage; 3]> = inputs.iter().map(|t| t.storage()).collect();
    let _locks = lock(&reads, &[target.storage()]);
    // SAFETY: the locks are held.
    unsafe { kernel(op, &inputs, std::slice::from_ref(target))? };
    target.written();
    if let Some(history) = &mut history {
        saved.extend(keep.iter().filter(|s| !doomed(s)).map(|slot| match *slot {
            Slot::Input(i) => Saved::new(*slot, inputs[i as usize], edges[i as usize].clone()),
            Slot::Output(_) => Saved::new(*slot, base, None),
        }));
        let op = if target.view_of().is_some() { CopySlices::new(op, target).share() } else { op.share() };
        let node = Node::new(op, edges, saved, smallvec![base.meta()]);
        base.retain_from(history.as_ref(), &node);
        **history = Some(History { node, output: 0, of: 0 });
        base.set_requires_grad(true);
    }
    Ok(target.clone())
}

/// Runs a kernel that writes into several tensors at once, without history: the steps of optimizers. The first tensors of
/// `targets` are the outputs that the kernel sees, in order.
///
/// # Errors
/// Where a target requires grad and gradients are recorded.
pub fn apply_into(op: &dyn Op, inputs: &[&Tensor], targets: &[&Tensor]) -> Result<()> {
    if recording(inputs) || recording(targets) {
        return Err(TensorError::grad(op.name(), "changes tensors that require grad in place; use no_grad"));
    }
    if targets.iter().any(|t| t.layout().overlaps_itself()) {
        let what = "two indices of a target are one element in memory; clone it first";
        return Err(TensorError::argument(op.name(), what));
    }
    op.infer(inputs)?;
    let storages =
        |ts: &[&Tensor]| ts.iter().map(|t| t.data().storage.clone()).collect::<Vec<triomphe::Arc<Storage>>>();
    let (reads, writes) = (storages(inputs), storages(targets));
    let (reads, writes): (Vec<&Storage>, Vec<&Storage>) =
        (reads.iter().map(|s| &**s).collect(), writes.iter().map(|s| &**s).collect());
    let _locks = lock(&reads, &writes);
    let outs: Vec<Tensor> = targets.iter().map(|t| (*t).clone()).collect();
    // SAFETY: the locks are held.
    unsafe { kernel(op, inputs, &outs)? };
    targets.iter().for_each(|t| t.written());
    Ok(())
}
