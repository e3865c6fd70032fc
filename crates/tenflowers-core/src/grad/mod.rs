//! What a tensor knows of its own history. The engine that walks it is the autograd crate.
mod copy_slices;
mod mode;
mod node;

pub use copy_slices::CopySlices;
pub use mode::{is_enabled, next_sequence, set_enabled, with_recording};
pub use node::{Back, Edge, Edges, Node, Saved, Slot, none};

use crate::error::{Result, TensorError};
use crate::host;
use crate::tensor::{Tensor, ViewOf};
use smallvec::{SmallVec, smallvec};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// What the derivative knows of a tensor: made on demand.
#[derive(Default)]
pub struct GradMeta {
    requires_grad: AtomicBool,
    grad: Mutex<Option<Tensor>>,
    history: Mutex<Option<History>>,
    hooks: Mutex<Vec<(u64, Hook)>>,
    retains: AtomicBool,
}

/// The operation that a tensor came from.
#[derive(Clone)]
pub struct History {
    pub node: Arc<Node>,
    pub output: u32,
    /// For a view: the number of its base's history that this was derived from.
    pub of: u64,
}

/// Sees a gradient on its way, and may give another in its place.
pub type Hook = Arc<dyn Fn(&Tensor) -> Result<Option<Tensor>> + Send + Sync>;

/// Where hooks for the gradient of one tensor are kept.
pub enum HookList {
    Leaf(Weak<GradMeta>),
    Node(Weak<Node>),
}

impl HookList {
    /// Takes a hook away; nothing happens where it is gone already.
    pub fn remove(&self, id: u64) {
        match self {
            HookList::Leaf(meta) => {
                if let Some(meta) = meta.upgrade() {
                    host::lock(&meta.hooks).retain(|h| h.0 != id);
                }
            }
            HookList::Node(node) => {
                if let Some(node) = node.upgrade() {
                    node.remove_hook(id);
                }
            }
        }
    }
}

static HOOK: AtomicU64 = AtomicU64::new(1);

impl GradMeta {
    pub fn history(&self) -> MutexGuard<'_, Option<History>> {
        host::lock(&self.history)
    }
    /// The accumulated gradient. Held while one is added, so that old + new is one step.
    pub fn grad(&self) -> MutexGuard<'_, Option<Tensor>> {
        host::lock(&self.grad)
    }
    fn set_grad(&self, grad: Tensor) {
        *self.grad() = Some(grad);
    }
    /// Runs a leaf's hooks on the gradient that came together for it.
    pub fn run_hooks(&self, grad: Tensor) -> Result<Tensor> {
        let hooks: Vec<Hook> = host::lock(&self.hooks).iter().map(|h| h.1.clone()).collect();
        hooks.iter().try_fold(grad, |g, hook| Ok(hook(&g)?.unwrap_or(g)))
    }
}

impl Tensor {
    /// The view record of a view whose history is its base's, not its own.
    fn derived(&self) -> Option<&ViewOf> {
        self.view_of().filter(|v| v.tracked && v.base().requires_grad())
    }
    fn own_flag(&self) -> bool {
        self.grad_meta().is_some_and(|m| m.requires_grad.load(Ordering::Relaxed))
    }
    /// Whether this is a view that was told itself to require a gradient, which its base does not.
    pub(crate) fn is_leaf_view(&self) -> bool {
        self.view_of().is_some() && self.own_flag() && self.derived().is_none()
    }
    pub fn requires_grad(&self) -> bool {
        self.own_flag() || self.derived().is_some()
    }
    /// Sets the flag as it stands, without the checks of [`Tensor::require_grad`].
    pub(crate) fn set_requires_grad(&self, on: bool) {
        self.grad_meta_or_init().requires_grad.store(on, Ordering::Relaxed)
    }
    /// Asks for this tensor's gradient, or no longer.
    ///
    /// # Errors
    /// For dtypes without derivatives, and where a tensor that was computed would lose its history.
    pub fn require_grad(&self, on: bool) -> Result<()> {
        if on && !self.dtype().is_differentiable() {
            let what =
                format!("only tensors of floating point and complex dtype can require gradients, not {}", self.dtype());
            return Err(TensorError::grad("requires_grad_", what));
        }
        if !on && !self.is_leaf() {
            let what = "the flag can only be changed for leaf tensors; use detach() for one without history";
            return Err(TensorError::grad("requires_grad_", what));
        }
        if on != self.requires_grad() {
            self.set_requires_grad(on);
        }
        Ok(())
    }
    pub fn set_history(&self, node: Arc<Node>, output: u32, of: u64) {
        let meta = self.grad_meta_or_init();
        // A view follows its base in this too.
        meta.requires_grad.store(self.derived().is_none(), Ordering::Relaxed);
        *meta.history() = Some(History { node, output, of });
    }
    /// Forgets the operation that made this tensor, and that it requires grad.
    ///
    /// # Errors
    /// For a view, whose history is its base's.
    pub fn detach_in_place(&self) -> Result<()> {
        if self.derived().is_some() {
            return Err(TensorError::grad("detach_", "a view cannot be detached in place; use detach()"));
        }
        if let Some(meta) = self.grad_meta() {
            *meta.history() = None;
            meta.requires_grad.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
    /// Whether no recorded operation made this tensor.
    pub fn is_leaf(&self) -> bool {
        self.derived().is_none() && self.grad_meta().is_none_or(|m| m.history().is_none())
    }
    pub fn grad(&self) -> Option<Tensor> {
        self.grad_meta()?.grad().clone()
    }
    /// Puts `grad` in the place of the accumulated gradient.
    ///
    /// # Errors
    /// If it does not look like this tensor.
    pub fn set_grad(&self, grad: Option<Tensor>) -> Result<()> {
        if let Some(g) = &grad {
            if g.shape() != self.shape() {
                return Err(TensorError::shape(
                    "grad",
                    "a gradient has the shape of its tensor",
                    self.shape(),
                    g.shape(),
                ));
            }
            if g.dtype() != self.dtype() {
                let what = "a gradient has the dtype of its tensor";
                return Err(TensorError::DType { op: "grad", what, left: self.dtype(), right: g.dtype() });
            }
        } else if self.grad_meta().is_none() {
            return Ok(());
        }
        *self.grad_meta_or_init().grad() = grad;
        Ok(())
    }
    /// Whether `.grad` is kept for a tensor that is no leaf.
    pub fn retains_grad(&self) -> bool {
        !self.is_leaf() && self.grad_meta().is_some_and(|m| m.retains.load(Ordering::Relaxed))
    }
    /// Keeps the gradient of a tensor that is no leaf.
    ///
    /// # Errors
    /// If it does not require grad.
    pub fn retain_grad(&self) -> Result<()> {
        if !self.requires_grad() {
            return Err(TensorError::grad("retain_grad", "the tensor does not require grad"));
        }
        if self.is_leaf() || self.grad_meta_or_init().retains.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(Edge::Node(node, output)) = self.edge() {
            node.retain(output, self.shared_grad_meta());
        }
        Ok(())
    }
    /// Has the gradient kept that comes to this tensor by `node`, its history from now on, and no longer by the one before.
    pub(crate) fn retain_from(&self, before: Option<&History>, node: &Arc<Node>) {
        if let Some(meta) = self.inner_grad_meta().filter(|m| m.retains.load(Ordering::Relaxed)) {
            if let Some(before) = before {
                before.node.release(meta);
            }
            node.retain(0, meta);
        }
    }
    /// Has `hook` see, and perhaps change, the gradient of this tensor in every way back.
    ///
    /// # Errors
    /// If the tensor does not require grad.
    pub fn register_hook(&self, hook: Hook) -> Result<(u64, HookList)> {
        let Some(edge) = self.edge() else {
            return Err(TensorError::grad("register_hook", "the tensor does not require grad"));
        };
        let id = HOOK.fetch_add(1, Ordering::Relaxed);
        let list = match edge {
            Edge::Leaf(t) => {
                let meta = t.shared_grad_meta();
                host::lock(&meta.hooks).push((id, hook));
                HookList::Leaf(Arc::downgrade(meta))
            }
            Edge::Node(node, output) => {
                node.add_hook(output, id, hook);
                HookList::Node(Arc::downgrade(&node))
            }
        };
        Ok((id, list))
    }
    pub(crate) fn edge_from(&self, history: &Option<History>) -> Edge {
        history.as_ref().map_or_else(|| Edge::Leaf(self.clone()), |h| Edge::Node(h.node.clone(), h.output))
    }
    /// Where the gradient of this tensor goes, or `None` if it needs none.
    pub fn edge(&self) -> Option<Edge> {
        let Some(view) = self.derived() else {
            return self.own_flag().then(|| self.edge_from(&self.grad_meta_or_init().history()));
        };
        // Down to the base or a view that is up to date, then up again: a chain of views may be long.
        let base = view.base().edge()?;
        let fresh = |t: &Tensor| {
            let history = t.grad_meta()?.history();
            history.as_ref().filter(|h| h.of == base.number()).map(|h| Edge::Node(h.node.clone(), h.output))
        };
        let mut stale: SmallVec<[&Tensor; 2]> = smallvec![];
        let mut at = self;
        let mut edge = loop {
            let Some(at_view) = at.view_of().filter(|_| !at.same(view.base())) else { break base.clone() };
            if let Some(edge) = fresh(at) {
                break edge;
            }
            stale.push(at);
            at = &at_view.parent;
        };
        while let Some(t) = stale.pop() {
            let view = t.view_of()?;
            let node = Node::new(view.op.share(), smallvec![Some(edge)], vec![], smallvec![t.meta()]);
            let before = t.grad_meta().and_then(|m| m.history().clone());
            t.retain_from(before.as_ref(), &node);
            t.set_history(node.clone(), 0, base.number());
            edge = Edge::Node(node, 0);
        }
        Some(edge)
    }
}
