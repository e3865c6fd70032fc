//! Attention: averages of values by how queries and keys agree (Vaswani et al., 2017).
use crate::cpu::attention::{Attention, Backward, Forward, Heads, HeadsMut, Mask, Score, Wanted};
use crate::cpu::walk::Walk;
use crate::cpu::{View, ViewMut};
use crate::dtype::DType;
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Shape, Strides, broadcast, checked_numel, contiguous_strides};
use crate::op::{Grads, Keep, Meta, Op, apply_all, recording};
use crate::ops;
use crate::ops::nn::dropout::dropout;
use crate::ops::reduce::{computed, widened};
use crate::ops::view::{expand_to, permute_to};
use crate::ops::{full_like, masked_fill, matmul, reshape_to, softmax, sum, to_dtype, transpose, tril, unsqueeze};
use crate::tensor::Tensor;
use crate::{Element, Scalar};
use smallvec::smallvec;

/// Queries `[.., rows, size]`, keys `[.., keys, size]`, values `[.., keys, value_size]` and perhaps a mask
/// `[.., rows, keys]`, with the same leading dimensions, to averages of the values; further the logarithms of the rows' sums,
/// for the way back.
#[derive(Debug, Clone)]
struct Attend {
    scale: f64,
    causal: bool,
    /// After how many leading dimensions the results for queries, keys and values have their rows: as the inputs do.
    rows_at: [usize; 3],
}

/// The way back: `[query, key, value, grad, out, log_sums]`, and perhaps a mask, to the first three's gradients, where
/// those are asked for; the others have no elements.
#[derive(Debug, Clone)]
struct AttendBack(Attend, [bool; 3]);

/// The shape of a gradient that nobody wants.
const NOT_ASKED_FOR: [usize; 1] = [0];

/// The shape of a result `[.., rows, size]` in which the rows stand after `at` of the leading dimensions.
fn turned(batch: &[usize], [rows, size]: [usize; 2], at: usize) -> Shape {
    batch[..at].iter().copied().chain([rows]).chain(batch[at..].iter().copied()).chain([size]).collect()
}

/// Such a result with the rows after all leading dimensions.
fn straight(t: &Tensor, at: usize) -> Result<Tensor> {
    let rank = t.rank();
    if at + 2 == rank {
        return Ok(t.clone());
    }
    let dims: Shape = (0..at).chain(at + 1..rank - 1).chain([at, rank - 1]).collect();
    permute_to(t, &dims)
}

/// Where each of `batch` begins.
fn offsets(batch: &[usize], strides: &[isize]) -> Vec<isize> {
    let mut all = vec![];
    let walk = Walk::new(batch, &[strides]);
    walk.all(&mut |at, step, n| all.extend((0..n as isize).map(|i| at[0] + i * step[0])));
    all
}

fn heads<T: Element>(v: &View) -> Heads<T> {
    let (shape, strides) = (&v.layout.shape, &v.layout.strides);
    let batch = shape.len() - 2;
    let offsets = offsets(&shape[..batch], &strides[..batch]);
    Heads { ptr: v.ptr::<T>(), offsets, row: strides[batch], col: strides[batch + 1] }
}

/// A new result whose rows stand after `at` of the leading dimensions.
fn heads_mut<T>(ptr: *mut T, shape: &[usize], at: usize) -> HeadsMut<T> {
    if shape == NOT_ASKED_FOR {
        return HeadsMut { ptr, offsets: vec![], row: 0 };
    }
    let strides = contiguous_strides(shape);
    let last = shape.len() - 1;
    let others = |of: &mut dyn Iterator<Item = usize>| of.filter(|&d| d != at && d != last).collect::<Shape>();
    let dims = others(&mut (0..shape.len()));
    let batch: Shape = dims.iter().map(|&d| shape[d]).collect();
    let along: Strides = dims.iter().map(|&d| strides[d]).collect();
    HeadsMut { ptr, offsets: offsets(&batch, &along), row: strides[at] as usize }
}

fn with_mask<T: Element, R>(mask: Option<&View>, kernel: impl FnOnce(Mask<T>) -> Result<R>) -> Result<R> {
    match mask {
        None => kernel(Mask::None),
        Some(mask) if mask.dtype == DType::Bool => kernel(Mask::Keep(heads(mask))),
        Some(mask) => widened::<T, _>(mask, |mask| kernel(Mask::Add(heads(mask)))),
    }
}

impl Attend {
    fn sizes(&self, query: &[usize], key: &[usize], value: &[usize]) -> Attention {
        let batch = query.len() - 2;
        Attention {
            heads: query[..batch].iter().product(),
            rows: query[batch],
            keys: key[batch],
            size: query[batch + 1],
            value_size: value[batch + 1],
            scale: self.scale,
            causal: self.causal,
        }
    }
    fn forward<T: Score>(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [out, log_sums] = outs else { unreachable!("two outputs") };
        widened::<T, _>(&inputs[0], |q| {
            widened::<T, _>(&inputs[1], |k| {
                widened::<T, _>(&inputs[2], |v| {
                    with_mask(inputs.get(3), |mask| {
                        let shape = out.layout.shape.clone();
                        computed::<T>(out, |to| {
                            let forward = Forward {
                                sizes: &self.sizes(&q.layout.shape, &k.layout.shape, &v.layout.shape),
                                query: heads(q),
                                key: heads(k),
                                value: heads(v),
                                mask,
                                out: heads_mut(to, &shape, self.rows_at[0]),
                                log_sums: log_sums.ptr::<T>(),
                            };
                            // SAFETY: the inputs are read within their layouts, and the outputs are new.
                            unsafe { forward.run() }
                        })
                    })
                })
            })
        })
    }
    fn backward<T: Score>(&self, [query, key, value]: [bool; 3], inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [dq, dk, dv] = outs else { unreachable!("three outputs") };
        let [q, k, v, grad, out, log_sums] = inputs.first_chunk().expect("six inputs");
        let shapes = [&dq, &dk, &dv].map(|d| d.layout.shape.clone());
        let sizes = self.sizes(&q.layout.shape, &k.layout.shape, &v.layout.shape);
        let sizes = &sizes;
        widened::<T, _>(q, |q| {
            widened::<T, _>(k, |k| {
                widened::<T, _>(v, |v| {
                    widened::<T, _>(grad, |grad| {
                        widened::<T, _>(out, |out| {
                            with_mask(inputs.get(6), |mask| {
                                computed::<T>(dq, |dq| {
                                    computed::<T>(dk, |dk| {
                                        computed::<T>(dv, |dv| {
                                            let backward = Backward {
                                                sizes,
                                                query: heads(q),
                                                key: heads(k),
                                                value: heads(v),
                                                mask,
                                                out: heads(out),
                                                log_sums: log_sums.ptr::<T>(),
                                                grad: heads(grad),
                                                query_grad: heads_mut(dq, &shapes[0], self.rows_at[0]),
                                                key_grad: heads_mut(dk, &shapes[1], self.rows_at[1]),
                                                value_grad: heads_mut(dv, &shapes[2], self.rows_at[2]),
                                                wanted: Wanted { query, key, value },
                                            };
                                            // SAFETY: as in the forward pass.
                                            unsafe { backward.run() }
                                        })
                                    })
                                })
                            })
                        })
                    })
                })
            })
        })
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        let s = self.sizes(inputs[0].shape(), inputs[1].shape(), inputs[2].shape());
        s.heads.saturating_mul(s.rows).saturating_mul(s.keys).saturating_mul(s.size + s.value_size) / 16
    }
}

impl Op for Attend {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let (q, v) = (inputs[0].shape(), inputs[2].shape());
        let (batch, dtype) = (q.len() - 2, inputs[0].dtype());
        if !dtype.is_float() {
            return Err(TensorError::dtype(self.name(), dtype));
        }
        let out = turned(&q[..batch], [q[batch], v[batch + 1]], self.rows_at[0]);
        checked_numel(&out)?;
        // Halves are computed in single precision.
        let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        Ok(Meta::New(smallvec![(out, dtype), (q[..=batch].into(), wide)]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.forward::<f64>(inputs, outs),
            _ => self.forward::<f32>(inputs, outs),
        }
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        let (inputs, outputs) = ((0..needs.len() as u8).map(Slot::Input), (0..2).map(Slot::Output));
        inputs.chain(outputs).collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let [q, k, v] = [back.input(0)?, back.input(1)?, back.input(2)?];
        // What comes out again is the inputs' own, so no gradient goes through it.
        let (out, log_sums) = (back.output(0)?.detach(), back.output(1)?.detach());
        let (g, out) = (straight(back.grad()?, self.rows_at[0])?, straight(&out, self.rows_at[0])?);
        let wanted = [0, 1, 2].map(|i| back.needs(i));
        let op = AttendBack(self.clone(), wanted);
        let grads = match back.input(3) {
            Ok(mask) => apply_all(&op, &[q, k, v, &g, &out, &log_sums, mask])?,
            Err(_) => apply_all(&op, &[q, k, v, &g, &out, &log_sums])?,
        };
        let grads = grads.iter().zip(self.rows_at).zip(wanted);
        let grads = grads.map(|((g, at), wanted)| wanted.then(|| straight(g, at)).transpose());
        grads.chain([Ok(None)]).collect()
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        self.cost(inputs)
    }
}

impl Op for AttendBack {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention_backward"
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let of = |i: usize| {
            let (shape, dtype) = inputs[i].meta();
            if !self.1[i] {
                return (Shape::from(&NOT_ASKED_FOR[..]), dtype);
            }
            let batch = shape.len() - 2;
            (turned(&shape[..batch], [shape[batch], shape[batch + 1]], self.0.rows_at[i]), dtype)
        };
        Ok(Meta::New(smallvec![of(0), of(1), of(2)]))
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        match inputs[0].dtype {
            DType::F64 => self.0.backward::<f64>(self.1, inputs, outs),
            _ => self.0.backward::<f32>(self.1, inputs, outs),
        }
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        (0..4).chain(6..needs.len() as u8).map(Slot::Input).collect()
    }
    /// With a, b and c the gradients of the three results, P the probabilities and X' the transpose of X: those of
    /// `<a, S k> + <b, S' q> + <c, P' g>`, where `S = scale P (g v' - sum(P (g v')))`.
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let [q, k, v, g] = [back.input(0)?, back.input(1)?, back.input(2)?, back.input(3)?];
        let scale = self.0.scale;
        let turn = |t: &Tensor| transpose(t, -2, -1);
        let total = |t: &Tensor| sum(t, Some(&[-1]), true, None);
        let add = |x: Option<Tensor>, y: Tensor| x.map_or(Ok(y.clone()), |x| x.add(&y));
        let of = |i: usize| back.grad_of(i).map(|t| straight(t, self.0.rows_at[i])).transpose();
        let (a, b, c) = (of(0)?, of(1)?, of(2)?);
        let shares = probabilities(q, k, back.input(6).ok(), self.0.causal, scale)?;
        let through = matmul(g, &turn(v)?)?;
        let along = total(&shares.mul(&through)?)?;
        let (mut dq, mut dk, mut dv, mut dg) = (None, None, None, None);
        // What arrives at the probabilities, and then at the scores.
        let mut slopes = None;
        if let Some(c) = &c {
            dg = Some(matmul(&shares, c)?);
            slopes = Some(matmul(g, &turn(c)?)?);
        }
        let mut bent = None;
        if let Some(a) = &a {
            bent = Some(matmul(a, &turn(k)?)?);
        }
        if let Some(b) = &b {
            bent = Some(add(bent, matmul(q, &turn(b)?)?)?);
        }
        if let Some(bent) = bent {
            let bent = bent.mul(scale)?;
            let from = bent.sub(&total(&shares.mul(&bent)?)?)?;
            let tangent = shares.mul(&from)?;
            dg = Some(add(dg, matmul(&tangent, v)?)?);
            dv = Some(matmul(&turn(&tangent)?, g)?);
            slopes = Some(add(slopes, through.mul(&from)?.sub(&bent.mul(&along)?)?)?);
            let first = shares.mul(&through.sub(&along)?)?.mul(scale)?;
            dq = b.as_ref().map(|b| matmul(&first, b)).transpose()?;
            dk = a.as_ref().map(|a| matmul(&turn(&first)?, a)).transpose()?;
        }
        if let Some(slopes) = slopes {
            let down = shares.mul(&slopes.sub(&total(&shares.mul(&slopes)?)?)?)?.mul(scale)?;
            dq = Some(add(dq, matmul(&down, k)?)?);
            dk = Some(add(dk, matmul(&turn(&down)?, q)?)?);
        }
        Ok(smallvec![dq, dk, dv, dg, None, None, None])
    }
    fn cost(&self, inputs: &[&Tensor]) -> usize {
        self.0.cost(inputs).saturating_mul(2)
    }
}

/// `softmax(scale * query @ key.T + mask)`, in operations; a row that sees no key is zeros.
fn probabilities(q: &Tensor, k: &Tensor, mask: Option<&Tensor>, causal: bool, scale: f64) -> Result<Tensor> {
    let mut scores = matmul(&q.mul(scale)?, &transpose(k, -2, -1)?)?;
    let hidden = f64::NEG_INFINITY.into();
    if causal {
        let size = &scores.shape()[scores.rank() - 2..];
        let unseen = tril(&full_like(&scores.detach(), size, Scalar::ONE)?, 0)?.eq(0.0)?;
        scores = masked_fill(&scores, &unseen, hidden)?;
    }
    if let Some(mask) = mask {
        scores = match mask.dtype() {
            DType::Bool => masked_fill(&scores, &ops::logical_not(mask)?, hidden)?,
            _ => scores.add(&to_dtype(mask, scores.dtype())?)?,
        };
    }
    if mask.is_none() {
        return softmax(&scores, Some(-1), 3, None);
    }
    let dead = ops::all(&scores.detach().eq(f64::NEG_INFINITY)?, Some(&[-1]), true)?;
    let alive = softmax(&masked_fill(&scores, &dead, 0.0.into())?, Some(-1), 3, None)?;
    masked_fill(&alive, &dead, 0.0.into())
}

const NAME: &str = "scaled_dot_product_attention";

/// The numbers of heads of queries, keys and values, where groups of queries share keys.
fn grouped(tensors: [&Tensor; 3]) -> Result<[usize; 3]> {
    if let Some(t) = tensors.iter().find(|t| t.rank() < 3) {
        let what = "with enable_gqa at least three dimensions are needed, the third last of heads";
        return Err(TensorError::one_shape(NAME, what, t.shape()));
    }
    let [q, k, v] = tensors.map(|t| t.shape()[t.rank() - 3]);
    if q != k || k != v {
        let fits = |n: usize| n > 0 && q.is_multiple_of(n);
        if !(fits(k) && fits(v)) {
            let what = format!("with enable_gqa the heads of key and value, {k} and {v}, must divide the {q} of query");
            return Err(TensorError::shape(NAME, what, tensors[0].shape(), tensors[1].shape()));
        }
    }
    Ok([q, k, v])
}

/// The heads of a tensor, dimension -3, as `[heads / each, each]`.
fn split_heads(t: &Tensor, each: usize) -> Result<Tensor> {
    let at = t.rank() - 3;
    let mut shape: Shape = t.shape().into();
    shape[at] /= each;
    shape.insert(at + 1, each);
    reshape_to(t, &shape)
}

fn join_heads(t: &Tensor) -> Result<Tensor> {
    let at = t.rank() - 4;
    let mut shape: Shape = t.shape().into();
    let each = shape.remove(at + 1);
    shape[at] *= each;
    reshape_to(t, &shape)
}

/// Each head `times` times, one after the other.
fn repeat_heads(t: &Tensor, times: usize) -> Result<Tensor> {
    let t = unsqueeze(t, -3)?;
    let mut shape: Shape = t.shape().into();
    let at = shape.len() - 3;
    shape[at] = times;
    join_heads(&expand_to(&t, &shape)?)
}

/// A mask for heads that are split: its own are split, or there to be broadcast.
fn split_mask(mask: &Tensor, heads: usize, each: usize) -> Result<Tensor> {
    match mask.rank() {
        0..3 => Ok(mask.clone()),
        rank if mask.shape()[rank - 3] == heads => split_heads(mask, each),
        _ => unsqueeze(mask, -3),
    }
}

/// Whether the heads of `[batch, heads, rows, size]` lie within the rows in memory, as after a projection: then so should
/// what is made of them, to be joined again without a copy.
fn within_rows(t: &Tensor) -> bool {
    let strides = &t.layout().strides;
    t.rank() == 4 && t.shape()[1] > 1 && 0 < strides[1] && strides[1] < strides[2]
}

struct Call<'a> {
    tensors: [&'a Tensor; 3],
    mask: Option<&'a Tensor>,
    dropout: f64,
    causal: bool,
    scale: f64,
}

impl Call<'_> {
    fn run(&self, within: [bool; 3]) -> Result<Tensor> {
        let [q, k, v] = self.tensors;
        let leading = |t: &Tensor| Shape::from(&t.shape()[..t.rank() - 2]);
        let misfit = |other: &Tensor| {
            let what = "the leading dimensions cannot be broadcast";
            TensorError::shape(NAME, what, q.shape(), other.shape())
        };
        let pair = broadcast(NAME, &leading(q), &leading(k)).map_err(|_| misfit(k))?;
        let batch = broadcast(NAME, &pair, &leading(v)).map_err(|_| misfit(v))?;
        let (rows, keys) = (q.shape()[q.rank() - 2], k.shape()[k.rank() - 2]);
        if let Some(mask) = self.mask {
            let scores: Shape = pair.iter().copied().chain([rows, keys]).collect();
            if broadcast(NAME, mask.shape(), &scores).ok().as_ref() != Some(&scores) {
                let what = "attn_mask cannot be broadcast to the scores";
                return Err(TensorError::shape(NAME, what, mask.shape(), &scores));
            }
        }
        if self.dropout > 0.0 || self.mask.is_some_and(|mask| recording(&[mask])) {
            let mut shares = probabilities(q, k, self.mask, self.causal, self.scale)?;
            if self.dropout > 0.0 {
                shares = dropout(&shares, self.dropout, true, false)?;
            }
            return matmul(&shares, v);
        }
        let wide = |t: &Tensor, last: [usize; 2]| {
            let shape: Shape = batch.iter().copied().chain(last).collect();
            expand_to(t, &shape)
        };
        let last = |t: &Tensor| [t.shape()[t.rank() - 2], t.shape()[t.rank() - 1]];
        let rows_at = within.map(|within| if within { 1 } else { batch.len() });
        let op = Attend { scale: self.scale, causal: self.causal, rows_at };
        let [q, k, v] = [wide(q, last(q))?, wide(k, last(k))?, wide(v, last(v))?];
        let outs = match self.mask {
            Some(mask) => apply_all(&op, &[&q, &k, &v, &wide(mask, [rows, keys])?])?,
            None => apply_all(&op, &[&q, &k, &v])?,
        };
        straight(&outs[0], rows_at[0])
    }
}

fn check(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<()> {
    for t in [k, v] {
        if t.dtype() != q.dtype() {
            let what = "expected query, key and value of one dtype";
            return Err(TensorError::DType { op: NAME, what, left: q.dtype(), right: t.dtype() });
        }
    }
    if !q.dtype().is_float() {
        return Err(TensorError::dtype(NAME, q.dtype()));
    }
    if let Some(t) = [q, k, v].into_iter().find(|t| t.rank() < 2) {
        let what = "query, key and value need at least two dimensions";
        return Err(TensorError::one_shape(NAME, what, t.shape()));
    }
    if let Some(mask) = mask
        && ![DType::Bool, DType::F32, q.dtype()].contains(&mask.dtype())
    {
        let what = "expected attn_mask to be bool, float32 or of the query's dtype";
        return Err(TensorError::DType { op: NAME, what, left: mask.dtype(), right: q.dtype() });
    }
    let last = |t: &Tensor| t.shape()[t.rank() - 1];
    if last(q) != last(k) {
        return Err(TensorError::shape(NAME, "query and key differ in their last dimension", q.shape(), k.shape()));
    }
    if k.shape()[k.rank() - 2] != v.shape()[v.rank() - 2] {
        return Err(TensorError::shape(NAME, "the numbers of keys and values differ", k.shape(), v.shape()));
    }
    Ok(())
}

ops! {
    [nn] {
        /// `softmax(scale * query @ key.T + attn_mask) @ value`: for each query the average of the values, weighted by how its
        /// key agrees (Vaswani et al., 2017), computed by tiles without the matrix of scores (Dao et al., 2022).
        ///
        /// `query` is `[.., rows, size]`, `key` `[.., keys, size]`, `value` `[.., keys, value_size]`, all of one floating
        /// point dtype, their leading dimensions broadcast. `attn_mask`, broadcast to `[.., rows, keys]`, is true where a row
        /// sees a key, or is added to the scores; `is_causal` lets row i see the keys up to number i. A row that sees none is
        /// zeros. Weights are dropped with probability `dropout_p`, whatever the mode; `scale` is `1 / sqrt(size)` unless given.
        /// With `enable_gqa` heads (dimension -3) of queries share those of keys and values in groups.
        ///
        /// With dropout, or where the gradient of `attn_mask` is asked for, the scores take memory of their own.
        ///
        /// ```python
        /// >>> x = tf.eye(2)
        /// >>> F.scaled_dot_product_attention(x, x, x, is_causal=True)
        /// tensor([[1.0000, 0.0000],
        ///         [0.3302, 0.6698]])
        /// ```
        pub fn scaled_dot_product_attention(query: &Tensor, key: &Tensor, value: &Tensor, attn_mask: Option<&Tensor> = None::<&Tensor>, dropout_p: f64 = 0.0, is_causal: bool = false; scale: Option<f64> = None::<f64>, enable_gqa: bool = false) -> Tensor {
            check(query, key, value, attn_mask)?;
            if !(0.0..=1.0).contains(&dropout_p) {
                return Err(TensorError::argument(NAME, format!("dropout_p must be between 0 and 1, not {dropout_p}")));
            }
            let tensors = [query, key, value];
            let scale = scale.unwrap_or_else(|| 1.0 / (query.shape()[query.rank() - 1] as f64).sqrt());
            let call = Call { tensors, mask: attn_mask, dropout: dropout_p, causal: is_causal, scale };
            let within = tensors.map(within_rows);
            if !enable_gqa {
                return call.run(within);
            }
            let [q, k, v] = grouped(tensors)?;
            if q == k && k == v {
                return call.run(within);
            }
            if k != v {
                let (k, v) = (repeat_heads(key, q / k)?, repeat_heads(value, q / v)?);
                return Call { tensors: [query, &k, &v], ..call }.run(within.map(|_| false));
            }
            // A group of queries is a dimension over which keys and values are broadcast.
            let each = q / k;
            let (q, k, v) = (split_heads(query, each)?, unsqueeze(key, -3)?, unsqueeze(value, -3)?);
            let mask = attn_mask.map(|m| split_mask(m, q.shape()[q.rank() - 4] * each, each)).transpose()?;
            join_heads(&Call { tensors: [&q, &k, &v], mask: mask.as_ref(), ..call }.run(within)?)
        }
    }
}
