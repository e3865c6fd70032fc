//! The engine: walks recorded history from outputs back to leaves.
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tenflowers_core::grad::{Edge, GradMeta, Node, is_enabled, with_recording};
use tenflowers_core::ops::{copy, full_of, to_dtype, unbroadcast};
use tenflowers_core::{Result, Scalar, Tensor, TensorError};

/// What becomes of the recorded history.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep what was saved, for another way back.
    pub retain_graph: bool,
    /// Record the way back itself, for higher derivatives.
    pub create_graph: bool,
}

/// Adds the gradient of the outputs, weighed by `seeds` (ones where an output has one element), to `.grad` of every leaf that
/// they came from, or of `inputs` alone.
///
/// # Errors
/// If an output does not require grad, a seed is missing or does not fit, history was freed, a kept tensor was changed, or an
/// operation has no derivative.
pub fn backward(
    outputs: &[Tensor],
    seeds: &[Option<Tensor>],
    options: Options,
    inputs: Option<&[Tensor]>,
) -> Result<()> {
    let wanted = inputs.map(Wanted::new).transpose()?;
    if let Some(t) = inputs.into_iter().flatten().find(|t| !t.requires_grad()) {
        let what = format!("one of the inputs, of shape {:?}, does not require grad", t.shape());
        return Err(TensorError::grad("backward", what));
    }
    let found = walk("backward", outputs, seeds, options, wanted)?;
    for (place, g) in found {
        match place {
            Place::Leaf(leaf) => accumulate(&leaf, g, options)?,
            Place::Input(i) => {
                if let Some(t) = inputs.and_then(|inputs| inputs.get(i)) {
                    accumulate(t, g, options)?;
                }
            }
        }
    }
    Ok(())
}

/// The gradients of the outputs, weighed by `seeds`, with respect to `inputs`; `None` for an input that they do not depend on.
///
/// # Errors
/// As [`backward`]; and unless `allow_unused`, if the outputs do not depend on an input.
pub fn grad(
    outputs: &[Tensor],
    inputs: &[Tensor],
    seeds: &[Option<Tensor>],
    options: Options,
    allow_unused: bool,
) -> Result<Vec<Option<Tensor>>> {
    if let Some(t) = inputs.iter().find(|t| !t.requires_grad()) {
        let what = format!("one of the inputs, of shape {:?}, does not require grad", t.shape());
        return Err(TensorError::grad("grad", what));
    }
    let mut found: Vec<Option<Tensor>> = vec![None; inputs.len()];
    for (place, g) in walk("grad", outputs, seeds, options, Some(Wanted::new(inputs)?))? {
        if let Place::Input(i) = place {
            found[i] = Some(g);
        }
    }
    if !allow_unused && let Some(i) = found.iter().position(Option::is_none) {
        let what = format!("the outputs do not depend on input {i}; set allow_unused=True if that is meant");
        return Err(TensorError::grad("grad", what));
    }
    Ok(found)
}

fn accumulate(leaf: &Tensor, g: Tensor, options: Options) -> Result<()> {
    with_recording(options.create_graph, || {
        let meta = leaf.grad_meta_or_init();
        // The lock makes old + new one step where two threads come to one leaf.
        let mut slot = meta.grad();
        *slot = Some(match slot.take() {
            Some(old) if options.create_graph || old.dtype() != g.dtype() => old.add(&g)?,
            Some(old) => match old.add_(&g) {
                Ok(sum) => sum,
                Err(e) => {
                    *slot = Some(old);
                    return Err(e);
                }
            },
            // Two leaves, or a leaf and the seed, must not share one gradient.
            None if options.create_graph || g.is_sole() && g.layout().is_contiguous() => g,
            None => copy(&g)?,
        });
        Ok(())
    })
}

/// Where a gradient ends up.
enum Place {
    Leaf(Tensor),
    Input(usize),
}

/// The tensors whose gradients are asked for, by the place where they arrive.
struct Wanted {
    edges: Vec<Edge>,
}

#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Key {
    Leaf(*const GradMeta),
    Node(*const Node, u32),
}

fn key(edge: &Edge) -> Key {
    match edge {
        Edge::Leaf(t) => Key::Leaf(Arc::as_ptr(t.shared_grad_meta())),
        Edge::Node(node, output) => Key::Node(Arc::as_ptr(node), *output),
    }
}

impl Wanted {
    fn new(inputs: &[Tensor]) -> Result<Wanted> {
        let edge = |t: &Tensor| t.edge().ok_or_else(|| TensorError::grad("grad", "an input does not require grad"));
        Ok(Wanted { edges: inputs.iter().map(edge).collect::<Result<_>>()? })
    }
}

struct Ready(Arc<Node>);
impl PartialEq for Ready {
    fn eq(&self, o: &Self) -> bool {
        self.0.sequence == o.0.sequence
    }
}
impl Eq for Ready {}
impl PartialOrd for Ready {
    fn partial_cmp(&self, o: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(o))
    }
}
impl Ord for Ready {
    fn cmp(&self, o: &Self) -> std::cmp::Ordering {
        self.0.sequence.cmp(&o.0.sequence)
    }
}

/// Latest first: a node's number is above those of all nodes that it depends on. Gradients wait, one an output.
#[derive(Default)]
struct Queue {
    heap: BinaryHeap<Ready>,
    waiting: HashMap<u64, Vec<Option<Tensor>>>,
    leaves: Vec<(Tensor, Option<Tensor>)>,
    leaf_at: HashMap<Key, usize>,
}

/// The gradient in the shape and dtype of what it belongs to.
fn fitted(g: Tensor, edge: &Edge) -> Result<Tensor> {
    let (shape, dtype) = edge.meta();
    let g = if g.shape() == shape { g } else { unbroadcast(&g, shape)? };
    if g.dtype() == dtype { Ok(g) } else { to_dtype(&g, dtype) }
}

/// Where two gradients meet: in the memory of one of them, if nobody else can see it.
fn sum(a: Tensor, b: Tensor) -> Result<Tensor> {
    let free = |t: &Tensor| !is_enabled() && t.is_sole() && t.layout().is_contiguous();
    if free(&a) {
        a.add_(&b)
    } else if free(&b) {
        b.add_(&a)
    } else {
        a.add(&b)
    }
}

impl Queue {
    fn send(&mut self, edge: &Edge, g: Tensor) -> Result<()> {
        let g = fitted(g, edge)?;
        match edge {
            Edge::Leaf(t) => match self.leaf_at.entry(key(edge)) {
                Entry::Occupied(at) => {
                    let total = &mut self.leaves[*at.get()].1;
                    *total = Some(match total.take() {
                        Some(old) => sum(old, g)?,
                        None => g,
                    });
                }
                Entry::Vacant(at) => {
                    at.insert(self.leaves.len());
                    self.leaves.push((t.clone(), Some(g)));
                }
            },
            Edge::Node(node, output) => {
                let grads = self.waiting.entry(node.sequence).or_insert_with(|| {
                    self.heap.push(Ready(node.clone()));
                    vec![None; node.outputs.len()]
                });
                let slot = &mut grads[*output as usize];
                *slot = Some(match slot.take() {
                    Some(old) => sum(old, g)?,
                    None => g,
                });
            }
        }
        Ok(())
    }
}

/// The nodes on a way from the outputs to what is wanted.
fn needed(starts: &[Edge], wanted: &Wanted) -> HashSet<*const Node> {
    let ends: HashSet<Key> = wanted.edges.iter().map(key).collect();
    let mut useful: HashSet<*const Node> = HashSet::default();
    let mut seen: HashSet<*const Node> = HashSet::default();
    let mut order: Vec<Arc<Node>> = vec![];
    let mut open: Vec<Arc<Node>> = starts.iter().filter_map(|e| e.node().map(|(n, _)| n.clone())).collect();
    while let Some(node) = open.pop() {
        if seen.insert(Arc::as_ptr(&node)) {
            open.extend(node.inputs.iter().flatten().filter_map(|e| e.node().map(|(n, _)| n.clone())));
            order.push(node);
        }
    }
    // Early nodes first: a node is of use if an input is wanted, or comes from a node that is of use.
    order.sort_unstable_by_key(|n| n.sequence);
    for node in &order {
        let leads =
            |e: &Edge| ends.contains(&key(e)) || e.node().is_some_and(|(n, _)| useful.contains(&Arc::as_ptr(n)));
        if node.inputs.iter().flatten().any(leads) {
            useful.insert(Arc::as_ptr(node));
        }
    }
    useful
}

fn seed(op: &'static str, output: &Tensor, seed: Option<&Tensor>) -> Result<Tensor> {
    match seed {
        None if output.numel() != 1 => {
            let what = format!(
                "a gradient can be made by itself for outputs of one element only, not of shape {:?}",
                output.shape()
            );
            Err(TensorError::grad(op, what))
        }
        None => full_of(output.shape(), Scalar::ONE, output.dtype()),
        Some(g) if g.shape() != output.shape() => {
            Err(TensorError::shape(op, "a gradient has the shape of its output", output.shape(), g.shape()))
        }
        Some(g) if g.dtype().is_complex() != output.dtype().is_complex() => {
            let what = "a gradient is complex where its output is";
            Err(TensorError::DType { op, what, left: output.dtype(), right: g.dtype() })
        }
        Some(g) => Ok(g.clone()),
    }
}

fn walk(
    op: &'static str,
    outputs: &[Tensor],
    seeds: &[Option<Tensor>],
    options: Options,
    wanted: Option<Wanted>,
) -> Result<Vec<(Place, Tensor)>> {
    if outputs.len() != seeds.len() {
        let what = format!("{} outputs and {} gradients", outputs.len(), seeds.len());
        return Err(TensorError::grad(op, what));
    }
    let edge = |t: &Tensor| {
        let what = || format!("an output of shape {:?} does not require grad and has no history", t.shape());
        t.edge().ok_or_else(|| TensorError::grad(op, what()))
    };
    let starts = outputs.iter().map(edge).collect::<Result<Vec<Edge>>>()?;
    let useful = wanted.as_ref().map(|w| needed(&starts, w));
    let of_use = |node: &Arc<Node>| useful.as_ref().is_none_or(|u| u.contains(&Arc::as_ptr(node)));
    let mut at: HashMap<Key, Vec<usize>> = HashMap::default();
    for (i, e) in wanted.iter().flat_map(|w| &w.edges).enumerate() {
        at.entry(key(e)).or_default().push(i);
    }
    with_recording(options.create_graph, || {
        let mut queue = Queue::default();
        let mut found = vec![];
        for ((output, edge), g) in outputs.iter().zip(&starts).zip(seeds) {
            queue.send(edge, seed(op, output, g.as_ref())?)?;
        }
        while let Some(Ready(node)) = queue.heap.pop() {
            let mut grads = queue.waiting.remove(&node.sequence).unwrap_or_default();
            // What is asked for is what came, before hooks change what goes on.
            for (i, g) in grads.iter().enumerate() {
                if let (Some(g), Some(inputs)) = (g, at.get(&Key::Node(Arc::as_ptr(&node), i as u32))) {
                    found.extend(inputs.iter().map(|&i| (Place::Input(i), g.clone())));
                }
            }
            node.run_hooks(&mut grads)?;
            if !of_use(&node) {
                continue;
            }
            let goes_on = |edge: &Edge| {
                useful.is_none() || at.contains_key(&key(edge)) || edge.node().is_some_and(|(n, _)| of_use(n))
            };
            let results = node.vjp(&grads, options.retain_graph || options.create_graph, goes_on)?;
            for (edge, g) in node.inputs.iter().zip(results) {
                if let (Some(edge), Some(g)) = (edge, g)
                    && goes_on(edge)
                {
                    queue.send(edge, g)?;
                }
            }
        }
        for (leaf, g) in queue.leaves {
            let Some(g) = g else { continue };
            let meta = leaf.shared_grad_meta();
            let g = meta.run_hooks(g)?;
            match at.get(&Key::Leaf(Arc::as_ptr(meta))) {
                Some(inputs) => found.extend(inputs.iter().map(|&i| (Place::Input(i), g.clone()))),
                None if wanted.is_none() => found.push((Place::Leaf(leaf), g)),
                None => {}
            }
        }
        Ok(found)
    })
}
