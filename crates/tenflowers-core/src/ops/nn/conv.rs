//! Convolution of planes (as the field says: correlation), and the two ways back, each the derivative of the others;
//! lines are planes of height one, volumes planes with the taps of their depth among the channels.
mod public;

pub(super) use public::SCHEMAS;
pub use public::*;

use super::sizes;
use crate::cpu::conv::Conv2d;
use crate::cpu::gemm::Product;
use crate::cpu::{View, ViewMut};
use crate::dtype::{C32, C64, DType};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Shape, checked_numel};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops::reduce::{computed, widened};
use crate::ops::view::slice_to;
use crate::ops::{conj, contiguous, flip, narrow, pad_constant, permute, reshape_to, stack, sum, unsqueeze};
use crate::schema::Size;
use crate::tensor::Tensor;
use smallvec::smallvec;

/// Which of the three tensors comes out of the other two.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// `[x, w] -> y`, and a bias if there is one.
    Forward,
    /// `[dy, w] -> dx`, which is also the transposed convolution of `dy`, and then has a bias if there is one.
    Input,
    /// `[x, dy] -> dw`
    Weight,
}

#[derive(Debug, Clone)]
struct Conv {
    way: Way,
    sizes: Conv2d,
}

impl Conv {
    fn shape(&self, way: Way) -> Shape {
        let s = &self.sizes;
        match way {
            Way::Forward => smallvec![s.batch, s.out_channels, s.output[0], s.output[1]],
            Way::Input => smallvec![s.batch, s.in_channels, s.input[0], s.input[1]],
            Way::Weight => smallvec![s.out_channels, s.in_channels / s.groups, s.kernel[0], s.kernel[1]],
        }
    }
    fn turned(&self, way: Way) -> Conv {
        Conv { way, sizes: self.sizes }
    }
    fn run<T: Product + crate::Element>(&self, inputs: &[View], out: &mut ViewMut) -> Result<()> {
        let n = out.layout.numel();
        widened::<T, _>(&inputs[0], |a| {
            widened::<T, _>(&inputs[1], |b| {
                let (a, b) = (a.to_slice::<T>()?, b.to_slice::<T>()?);
                let bias =
                    inputs.get(2).map(|v| widened::<T, _>(v, |v| Ok(v.to_slice::<T>()?.into_owned()))).transpose()?;
                computed::<T>(out, |to| {
                    // SAFETY: the output is new, in one run, and written whole.
                    let to = unsafe { std::slice::from_raw_parts_mut(to, n) };
                    match self.way {
                        Way::Forward => self.sizes.forward(&a, &b, bias.as_deref(), to),
                        Way::Input => self.sizes.transposed(&a, &b, bias.as_deref(), to),
                        Way::Weight => self.sizes.backward_weight(&a, &b, to),
                    }
                })
            })
        })
    }
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Forward => "conv2d",
            Way::Input => "conv2d_input",
            Way::Weight => "conv2d_weight",
        }
    }
    fn infer(&self, inputs: &[&Tensor]) -> Result<Meta> {
        let shape = self.shape(self.way);
        checked_numel(&shape)?;
        Meta::one(shape, inputs[0].dtype())
    }
    fn cpu(&self, inputs: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let out = &mut outs[0];
        match inputs[0].dtype {
            DType::U8 => self.run::<u8>(inputs, out),
            DType::I8 => self.run::<i8>(inputs, out),
            DType::I16 => self.run::<i16>(inputs, out),
            DType::I32 => self.run::<i32>(inputs, out),
            DType::I64 => self.run::<i64>(inputs, out),
            DType::F16 | DType::BF16 | DType::F32 => self.run::<f32>(inputs, out),
            DType::F64 => self.run::<f64>(inputs, out),
            DType::C64 => self.run::<C32>(inputs, out),
            DType::C128 => self.run::<C64>(inputs, out),
            other => Err(TensorError::dtype("conv2d", other)),
        }
    }
    fn keep(&self, needs: &[bool]) -> Keep {
        let other = |i: usize| needs[i].then_some(Slot::Input(1 - i as u8));
        [other(0), other(1)].into_iter().flatten().collect()
    }
    fn vjp(&self, back: &Back) -> Result<Grads> {
        let g = back.grad()?;
        let other = |i: u8| conj(back.input(i)?);
        let (mut a, mut b) = (None, None);
        if back.needs(0) {
            let w = other(1)?;
            a = Some(match self.way {
                Way::Forward => apply(&self.turned(Way::Input), &[g, &w])?,
                Way::Input => apply(&self.turned(Way::Forward), &[g, &w])?,
                Way::Weight => apply(&self.turned(Way::Input), &[&w, g])?,
            });
        }
        if back.needs(1) {
            let x = other(0)?;
            b = Some(match self.way {
                Way::Forward => apply(&self.turned(Way::Weight), &[&x, g])?,
                Way::Input => apply(&self.turned(Way::Weight), &[g, &x])?,
                Way::Weight => apply(&self.turned(Way::Forward), &[&x, g])?,
            });
        }
        let bias = if back.needs(2) { Some(sum(g, Some(&[0, 2, 3]), false, None)?) } else { None };
        Ok(smallvec![a, b, bias])
    }
    fn cost(&self, _: &[&Tensor]) -> usize {
        let s = &self.sizes;
        let taps = s.in_channels / s.groups.max(1) * s.kernel[0] * s.kernel[1];
        s.batch.saturating_mul(s.out_channels * s.output[0] * s.output[1]).saturating_mul(taps) / 16
    }
}

/// The padding along each dimension.
#[derive(Clone, Copy)]
enum Padding<'a> {
    /// So many zeros on both sides.
    Each(&'a [i64]),
    /// As much as keeps the size.
    Same,
}

/// What the dimensions after the channels are called, and how many there are in all.
fn words(n: usize) -> (&'static str, &'static str) {
    match n {
        1 => ("length", "three"),
        2 => ("height and width", "four"),
        _ => ("depth, height and width", "five"),
    }
}

/// The last two of the sizes of a convolution of lines, planes or volumes.
fn plane<const N: usize>(sizes: [usize; N], missing: usize) -> [usize; 2] {
    match sizes[..] {
        [.., height, width] => [height, width],
        [length] => [missing, length],
        [] => [missing; 2],
    }
}

/// What both directions ask of their tensors: the input with a batch, and the number of groups.
fn checked<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    groups: i64,
    order: &str,
) -> Result<(Tensor, usize)> {
    let (names, count) = words(N);
    let shape_error = |what: String| Err(TensorError::shape(op, what, input.shape(), weight.shape()));
    if weight.rank() != N + 2 {
        return shape_error(format!("the weight must have {count} dimensions: {order}, {names}"));
    }
    if input.rank() != N + 2 && input.rank() != N + 1 {
        let what = format!("the input must have {count} dimensions, batch, channels, {names}, or all but the batch");
        return shape_error(what);
    }
    for t in [Some(weight), bias].into_iter().flatten() {
        if t.dtype() != input.dtype() {
            let what = "expected an input, a weight and a bias of one dtype";
            return Err(TensorError::DType { op, what, left: input.dtype(), right: t.dtype() });
        }
    }
    let groups = usize::try_from(groups).ok().filter(|&g| g > 0);
    let Some(groups) = groups else { return Err(TensorError::argument(op, "groups must be positive")) };
    if weight.shape()[0] == 0 || weight.shape()[2..].contains(&0) {
        return shape_error("the weight must have output channels and a kernel that are not empty".into());
    }
    Ok((if input.rank() == N + 1 { unsqueeze(input, 0)? } else { input.clone() }, groups))
}

/// Convolution of `N` dimensions.
#[expect(clippy::too_many_arguments, reason = "they are the operation's own")]
fn convolve<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: &[i64],
    padding: Padding,
    dilation: &[i64],
    groups: i64,
) -> Result<Tensor> {
    let (stride, dilation) = (sizes::<N>(op, "stride", stride, 1)?, sizes::<N>(op, "dilation", dilation, 1)?);
    let (x, groups) = checked::<N>(op, input, weight, bias, groups, "out, in / groups")?;
    let shape_error = |what: String| Err(TensorError::shape(op, what, input.shape(), weight.shape()));
    let (s, w) = (x.shape(), weight.shape());
    if s[1] != w[1].saturating_mul(groups) || w[0] % groups != 0 {
        let what = format!("{} channels in and {} out do not go into {groups} groups of {} in", s[1], w[0], w[1]);
        return shape_error(what);
    }
    if let Some(b) = bias.filter(|b| b.shape() != [w[0]]) {
        return Err(TensorError::shape(op, format!("the bias must have {} elements", w[0]), b.shape(), w));
    }
    let both = match padding {
        Padding::Each(each) => Some(sizes::<N>(op, "padding", each, 0)?),
        Padding::Same => None,
    };
    let (mut before, mut output) = ([0; N], [0; N]);
    for d in 0..N {
        let (n, span) = (s[2 + d], dilation[d].saturating_mul(w[2 + d] - 1).saturating_add(1));
        (before[d], output[d]) = match both {
            None => ((span - 1) / 2, n),
            Some(p) => {
                let Some(room) = (n + 2 * p[d]).checked_sub(span) else {
                    let what = format!("the kernel spans {span} of a padded size of {}", n + 2 * p[d]);
                    return shape_error(what);
                };
                (p[d], room / stride[d] + 1)
            }
        };
    }
    let mut shape: Shape = smallvec![s[0], w[0]];
    shape.extend_from_slice(&output);
    let (x, weight) = match N {
        1 => (unsqueeze(&x, 2)?, unsqueeze(weight, 2)?),
        3 => {
            let depth = Depth { taps: w[2], stride: stride[0], dilation: dilation[0], output: output[0] };
            let channels = w[1] * w[2];
            (depth.as_channels(&x, before[0] as i64)?, reshape_to(weight, &[w[0], channels, w[3], w[4]])?)
        }
        _ => (x.clone(), weight.clone()),
    };
    let sizes = Conv2d {
        batch: x.shape()[0],
        in_channels: x.shape()[1],
        out_channels: weight.shape()[0],
        groups,
        input: [x.shape()[2], x.shape()[3]],
        kernel: [weight.shape()[2], weight.shape()[3]],
        output: plane(output, 1),
        stride: plane(stride, 1),
        padding: plane(before, 0),
        dilation: plane(dilation, 1),
    };
    with_bias(&Conv { way: Way::Forward, sizes }, &x, &weight, bias, &shape, input.rank() == N + 1)
}

/// The transposed convolution of `N` dimensions: what takes the gradient of a convolution's result to that of its input.
#[expect(clippy::too_many_arguments, reason = "they are the operation's own")]
fn transposed<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: &[i64],
    padding: &[i64],
    output_padding: &[i64],
    groups: i64,
    dilation: &[i64],
) -> Result<Tensor> {
    let (stride, dilation) = (sizes::<N>(op, "stride", stride, 1)?, sizes::<N>(op, "dilation", dilation, 1)?);
    let padding = sizes::<N>(op, "padding", padding, 0)?;
    let extra = sizes::<N>(op, "output_padding", output_padding, 0)?;
    let (x, groups) = checked::<N>(op, input, weight, bias, groups, "in, out / groups")?;
    let shape_error = |what: String| Err(TensorError::shape(op, what, input.shape(), weight.shape()));
    let (s, w) = (x.shape(), weight.shape());
    if s[1] != w[0] || w[0] % groups != 0 || w[1] == 0 {
        let what = format!("{} channels, a weight for {} of them, and {groups} groups do not go together", s[1], w[0]);
        return shape_error(what);
    }
    let Some(channels) = w[1].checked_mul(groups) else { return shape_error("too many groups".into()) };
    if let Some(b) = bias.filter(|b| b.shape() != [channels]) {
        return Err(TensorError::shape(op, format!("the bias must have {channels} elements"), b.shape(), w));
    }
    let mut output = [0; N];
    for d in 0..N {
        if extra[d] >= stride[d].max(dilation[d]) {
            let what = format!(
                "output_padding must be smaller than the stride or the dilation: {} for {} and {}",
                extra[d], stride[d], dilation[d]
            );
            return Err(TensorError::argument(op, what));
        }
        let span = dilation[d].saturating_mul(w[2 + d] - 1).saturating_add(1).saturating_add(extra[d]);
        let reach = s[2 + d].checked_sub(1).map(|n| n.saturating_mul(stride[d]).saturating_add(span));
        let Some(size) = reach.and_then(|n| n.checked_sub(2 * padding[d])).filter(|&n| n > 0) else {
            return shape_error(format!("dimension {} of the result would be empty", 2 + d));
        };
        output[d] = size;
    }
    let mut shape: Shape = smallvec![s[0], channels];
    shape.extend_from_slice(&output);
    let (x, weight) = match N {
        1 => (unsqueeze(&x, 2)?, unsqueeze(weight, 2)?),
        3 => {
            // Along the depth: a plain convolution of the input with zeros between, the taps turned round.
            let mut spread = x.clone();
            if stride[0] > 1 {
                let zeros = stride[0] as i64 - 1;
                spread = pad_constant(&unsqueeze(&x, 3)?, &[0, 0, 0, 0, 0, zeros], "constant", None)?;
                spread = reshape_to(&spread, &[s[0], s[1], s[2] * stride[0], s[3], s[4]])?;
                spread = narrow(&spread, 2, 0, ((s[2] - 1) * stride[0] + 1) as i64)?;
            }
            let depth = Depth { taps: w[2], stride: 1, dilation: dilation[0], output: output[0] };
            let before = (dilation[0] * (w[2] - 1)) as i64 - padding[0] as i64;
            let turned = flip(&permute(weight, Size(&[0, 2, 1, 3, 4]))?, Size(&[1]))?;
            (depth.as_channels(&spread, before)?, reshape_to(&turned, &[w[0] * w[2], w[1], w[3], w[4]])?)
        }
        _ => (x.clone(), weight.clone()),
    };
    let sizes = Conv2d {
        batch: x.shape()[0],
        in_channels: channels,
        out_channels: x.shape()[1],
        groups,
        input: plane(output, 1),
        kernel: [weight.shape()[2], weight.shape()[3]],
        output: [x.shape()[2], x.shape()[3]],
        stride: plane(stride, 1),
        padding: plane(padding, 0),
        dilation: plane(dilation, 1),
    };
    with_bias(&Conv { way: Way::Input, sizes }, &x, &weight, bias, &shape, input.rank() == N + 1)
}

/// Runs `op` and brings what comes out to `shape`, a batch of channels; without the batch if the input had none.
fn with_bias(
    op: &Conv,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: &[usize],
    alone: bool,
) -> Result<Tensor> {
    let mut out = match bias {
        Some(b) => apply(op, &[x, weight, b])?,
        None => apply(op, &[x, weight])?,
    };
    if let [batch, channels, depth, height, width] = *shape {
        out = reshape_to(&out, &[batch, depth, channels, height, width])?;
        out = contiguous(&permute(&out, Size(&[0, 2, 1, 3, 4]))?)?;
    }
    let shape = &shape[usize::from(alone)..];
    if out.shape() == shape { Ok(out) } else { reshape_to(&out, shape) }
}

/// The taps of a kernel along the depth of volumes.
struct Depth {
    taps: usize,
    stride: usize,
    dilation: usize,
    output: usize,
}

impl Depth {
    /// `[n, c, d, h, w]` as planes `[n * output, c * taps, h, w]`: for each position of the result what its taps read,
    /// with `before` zeros before the first plane (fewer planes if negative).
    fn as_channels(&self, x: &Tensor, before: i64) -> Result<Tensor> {
        let s = x.shape();
        let reach = (self.output.max(1) - 1) * self.stride + (self.taps - 1) * self.dilation + 1;
        let after = reach as i64 - before - s[2] as i64;
        let x = if (before, after) == (0, 0) {
            x.clone()
        } else {
            pad_constant(x, &[0, 0, 0, 0, before, after], "constant", None)?
        };
        let x = permute(&x, Size(&[0, 2, 1, 3, 4]))?;
        let tap = |k: usize| slice_to(&x, 1, k * self.dilation, self.output, self.stride as isize);
        let taps = (0..self.taps).map(tap).collect::<Result<Vec<_>>>()?;
        reshape_to(&stack(&taps, 3)?, &[s[0] * self.output, s[1] * self.taps, s[3], s[4]])
    }
}
