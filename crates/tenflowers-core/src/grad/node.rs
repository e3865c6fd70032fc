//! One recorded operation, and what it keeps.
use super::{GradMeta, Hook, is_enabled, next_sequence};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::host;
use crate::op::{Grads, Metas, Op};
use crate::tensor::{Data, Tensor};
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, Weak};

pub type Edges = SmallVec<[Option<Edge>; 2]>;

/// One recorded operation: the way back from its outputs to its inputs.
pub struct Node {
    pub op: Arc<dyn Op>,
    pub inputs: Edges,
    /// `None` once the way back has used and freed them. A node that kept nothing can be used again.
    saved: Mutex<Option<Vec<Saved>>>,
    /// What a gradient has to look like before `vjp` sees it.
    pub outputs: Metas,
    pub sequence: u64,
    hooks: Mutex<Vec<(u32, u64, Hook)>>,
    /// The tensors, no leaves, that keep the gradient of an output.
    retained: Mutex<Vec<(u32, Weak<GradMeta>)>>,
}

/// Where a gradient goes: into a leaf, or to output `.1` of an operation.
#[derive(Clone)]
pub enum Edge {
    Leaf(Tensor),
    Node(Arc<Node>, u32),
}

impl Edge {
    pub(crate) fn number(&self) -> u64 {
        self.node().map_or(0, |(node, _)| node.sequence)
    }
    pub fn node(&self) -> Option<(&Arc<Node>, u32)> {
        if let Edge::Node(node, output) = self { Some((node, *output)) } else { None }
    }
    /// What a gradient has to look like to go here.
    pub fn meta(&self) -> (&[usize], DType) {
        match self {
            Edge::Leaf(t) => (t.shape(), t.dtype()),
            Edge::Node(node, output) => {
                let (shape, dtype) = &node.outputs[*output as usize];
                (shape, *dtype)
            }
        }
    }
}

/// Which tensor of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slot {
    Input(u8),
    Output(u8),
}

/// Elements kept for the way back, with the version that they had.
pub struct Saved {
    slot: Slot,
    version: u32,
    kept: Kept,
}

enum Kept {
    Leaf(Tensor),
    /// Never the tensor itself: its history may later become a node that keeps it.
    Data(Box<Data>, Option<Edge>),
}

impl Saved {
    pub fn new(slot: Slot, t: &Tensor, edge: Option<Edge>) -> Self {
        let kept = match edge {
            Some(Edge::Leaf(t)) => Kept::Leaf(t),
            edge => Kept::Data(Box::new(t.data().clone()), edge),
        };
        Saved { slot, version: t.version(), kept }
    }
    /// The tensor as it was, its history included: a kept output's is the node itself.
    fn unpack(&self, node: &Arc<Node>) -> Result<(Slot, Tensor)> {
        let (t, edge) = match &self.kept {
            Kept::Leaf(t) => (t.clone(), None),
            Kept::Data(data, edge) => (Tensor::of((**data).clone(), None), edge.as_ref()),
        };
        if t.version() != self.version {
            let what = format!(
                "a tensor of shape {:?} needed for the gradient was changed in place: it is at version {}, expected {}",
                t.shape(),
                t.version(),
                self.version
            );
            return Err(TensorError::Grad { op: node.op.name(), what });
        }
        let origin = match self.slot {
            Slot::Output(i) => t.dtype().is_differentiable().then_some((node, u32::from(i))),
            Slot::Input(_) => edge.and_then(Edge::node),
        };
        if let Some((node, output)) = origin.filter(|_| is_enabled()) {
            t.set_history(node.clone(), output, 0);
        }
        Ok((self.slot, t))
    }
    fn into_edge(self) -> Option<Edge> {
        if let Kept::Data(_, edge) = self.kept { edge } else { None }
    }
}

/// What `vjp` works from.
pub struct Back<'a> {
    pub(super) inputs: &'a [Option<Edge>],
    /// Whether the gradient of each input goes anywhere.
    pub(super) needs: &'a [bool],
    pub(super) saved: &'a [(Slot, Tensor)],
    pub(super) grads: &'a [Option<Tensor>],
    pub(super) outputs: &'a Metas,
    pub(super) op: &'static str,
}

impl Back<'_> {
    /// The number of inputs.
    pub fn arity(&self) -> usize {
        self.inputs.len()
    }
    /// Whether the gradient of an input is asked for.
    pub fn needs(&self, input: usize) -> bool {
        self.needs.get(input) == Some(&true)
    }
    /// The shape of an input that needs a gradient.
    pub fn shape(&self, input: usize) -> &[usize] {
        self.inputs.get(input).and_then(Option::as_ref).map_or(&[], |e| e.meta().0)
    }
    /// The gradient of output 0.
    pub fn grad(&self) -> Result<&Tensor> {
        self.grad_of(0).ok_or_else(|| TensorError::grad(self.op, "no gradient came for its result"))
    }
    pub fn grad_of(&self, output: usize) -> Option<&Tensor> {
        self.grads.get(output).and_then(Option::as_ref)
    }
    /// The gradients of all outputs, with `missing` for those that have none.
    pub(crate) fn pieces(&self, missing: impl Fn(&[usize], DType) -> Result<Tensor>) -> Result<Vec<Tensor>> {
        let piece = |(g, (shape, dtype)): (&Option<Tensor>, &(crate::layout::Shape, DType))| match g {
            Some(g) => Ok(g.clone()),
            None => missing(shape, *dtype),
        };
        self.grads.iter().zip(self.outputs).map(piece).collect()
    }
    pub fn saved(&self, slot: Slot) -> Result<&Tensor> {
        let found = self.saved.iter().find(|(s, _)| *s == slot).map(|(_, t)| t);
        found.ok_or_else(|| TensorError::grad(self.op, "did not keep what its derivative reads"))
    }
    /// A kept input.
    pub fn input(&self, i: u8) -> Result<&Tensor> {
        self.saved(Slot::Input(i))
    }
    /// A kept output.
    pub fn output(&self, i: u8) -> Result<&Tensor> {
        self.saved(Slot::Output(i))
    }
}

/// What the derivative of an operation that has none says.
pub fn none<T>(op: &'static str, why: &str) -> Result<T> {
    Err(TensorError::grad(op, format!("has no derivative: {why}")))
}

impl Node {
    pub fn new(op: Arc<dyn Op>, inputs: Edges, saved: Vec<Saved>, outputs: Metas) -> Arc<Node> {
        let (saved, hooks, retained) = (Mutex::new(Some(saved)), Mutex::new(vec![]), Mutex::new(vec![]));
        Arc::new(Node { op, inputs, saved, outputs, sequence: next_sequence(), hooks, retained })
    }
    /// The gradients of the inputs, those whose edges are `of_use`, from those of the outputs.
    pub fn vjp(
        self: &Arc<Self>,
        grads: &[Option<Tensor>],
        retain: bool,
        of_use: impl Fn(&Edge) -> bool,
    ) -> Result<Grads> {
        let mut slot = host::lock(&self.saved);
        let Some(kept) = &*slot else {
            let what = "its saved tensors were freed by an earlier way back; use retain_graph=True there";
            return Err(TensorError::grad(self.op.name(), what));
        };
        let saved = kept.iter().map(|s| s.unpack(self)).collect::<Result<SmallVec<[_; 2]>>>()?;
        let freed = if retain || kept.is_empty() { None } else { slot.take() };
        drop((slot, freed));
        let op = self.op.name();
        let needs: SmallVec<[bool; 4]> = self.inputs.iter().map(|e| e.as_ref().is_some_and(&of_use)).collect();
        self.op.vjp(&Back { inputs: &self.inputs, needs: &needs, saved: &saved, grads, outputs: &self.outputs, op })
    }
    pub(super) fn add_hook(&self, output: u32, id: u64, hook: Hook) {
        host::lock(&self.hooks).push((output, id, hook));
    }
    pub(super) fn remove_hook(&self, id: u64) {
        host::lock(&self.hooks).retain(|h| h.1 != id);
    }
    pub(super) fn retain(&self, output: u32, meta: &Arc<GradMeta>) {
        host::lock(&self.retained).push((output, Arc::downgrade(meta)));
    }
    pub(super) fn release(&self, meta: &Arc<GradMeta>) {
        host::lock(&self.retained).retain(|(_, m)| !std::ptr::eq(m.as_ptr(), Arc::as_ptr(meta)));
    }
    /// Runs the hooks of the outputs on the gradients that came together for them; what comes of it is kept where asked.
    pub fn run_hooks(&self, grads: &mut [Option<Tensor>]) -> Result<()> {
        let hooks: SmallVec<[_; 1]> = host::lock(&self.hooks).iter().map(|h| (h.0, h.2.clone())).collect();
        for (output, hook) in hooks {
            if let Some(g) = &mut grads[output as usize]
                && let Some(new) = hook(g)?
            {
                *g = new;
            }
        }
        let retained: SmallVec<[_; 1]> = host::lock(&self.retained).iter().cloned().collect();
        for (output, meta) in retained {
            if let (Some(meta), Some(g)) = (meta.upgrade(), &grads[output as usize]) {
                meta.set_grad(g.clone());
            }
        }
        Ok(())
    }
}

impl Drop for Node {
    /// A chain of a million nodes is dropped in a loop, not by recursion.
    fn drop(&mut self) {
        fn take(node: &mut Node, chain: &mut Vec<Arc<Node>>) {
            let saved = node.saved.get_mut().unwrap_or_else(|e| e.into_inner()).take().unwrap_or_default();
            let edges = std::mem::take(&mut node.inputs).into_iter().flatten();
            let edges = edges.chain(saved.into_iter().filter_map(Saved::into_edge));
            chain.extend(edges.filter_map(|e| if let Edge::Node(n, _) = e { Some(n) } else { None }));
        }
        let mut chain = vec![];
        take(self, &mut chain);
        while let Some(node) = chain.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                take(&mut node, &mut chain);
            }
        }
    }
}
