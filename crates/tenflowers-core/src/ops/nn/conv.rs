//! Convolution of planes (as the field says: correlation), and the two ways back, each the derivative of the others.
use super::pair;
use crate::cpu::conv::Conv2d;
use crate::cpu::gemm::Product;
use crate::cpu::{View, ViewMut};
use crate::dtype::{C32, C64, DType};
use crate::error::{Result, TensorError};
use crate::grad::{Back, Slot};
use crate::layout::{Shape, checked_numel};
use crate::op::{Grads, Keep, Meta, Op, apply};
use crate::ops;
use crate::ops::reduce::{computed, widened};
use crate::ops::{conj, reshape_to, sum, unsqueeze};
use crate::tensor::Tensor;
use smallvec::smallvec;

/// Which of the three tensors comes out of the other two.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// `[x, w] -> y`, and a bias if there is one.
    Forward,
    /// `[dy, w] -> dx`
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
                        Way::Input => self.sizes.backward_input(&a, &b, to),
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

/// The padding before and in all, along each dimension of a plane.
enum Padding {
    Both([usize; 2]),
    /// As much as keeps the size.
    Same,
}

fn convolve(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: &[i64],
    padding: Padding,
    dilation: &[i64],
    groups: i64,
) -> Result<Tensor> {
    let shape_error = |what: String| Err(TensorError::shape("conv2d", what, input.shape(), weight.shape()));
    if weight.rank() != 4 {
        return shape_error("the weight must have four dimensions: out, in / groups, height and width".into());
    }
    if !matches!(input.rank(), 3 | 4) {
        return shape_error(
            "the input must have four dimensions, batch, channels, height and width, or the last three".into(),
        );
    }
    for t in [Some(weight), bias].into_iter().flatten() {
        if t.dtype() != input.dtype() {
            let what = "expected an input, a weight and a bias of one dtype";
            return Err(TensorError::DType { op: "conv2d", what, left: input.dtype(), right: t.dtype() });
        }
    }
    let (stride, dilation) = (pair("conv2d", "stride", stride, 1)?, pair("conv2d", "dilation", dilation, 1)?);
    let x = if input.rank() == 3 { unsqueeze(input, 0)? } else { input.clone() };
    let (s, w) = (x.shape(), weight.shape());
    let groups = usize::try_from(groups).ok().filter(|&g| g > 0);
    let Some(groups) = groups else { return Err(TensorError::argument("conv2d", "groups must be positive")) };
    if s[1] != w[1].saturating_mul(groups) || w[0] % groups != 0 {
        let what = format!("{} channels in and {} out do not go into {groups} groups of {} in", s[1], w[0], w[1]);
        return shape_error(what);
    }
    if w[0] == 0 || w[2] == 0 || w[3] == 0 {
        return shape_error("the weight must have output channels and a kernel that are not empty".into());
    }
    if let Some(b) = bias.filter(|b| b.shape() != [w[0]]) {
        return Err(TensorError::shape("conv2d", format!("the bias must have {} elements", w[0]), b.shape(), w));
    }
    let span = [0, 1].map(|d| dilation[d].saturating_mul(w[2 + d] - 1).saturating_add(1));
    let (mut before, mut output) = ([0; 2], [0; 2]);
    for d in 0..2 {
        let n = s[2 + d];
        (before[d], output[d]) = match padding {
            Padding::Same => ((span[d] - 1) / 2, n),
            Padding::Both(p) => {
                let Some(room) = (n + 2 * p[d]).checked_sub(span[d]) else {
                    let what = format!("the kernel spans {} of a padded size of {}", span[d], n + 2 * p[d]);
                    return shape_error(what);
                };
                (p[d], room / stride[d] + 1)
            }
        };
    }
    let sizes = Conv2d {
        batch: s[0],
        in_channels: s[1],
        out_channels: w[0],
        groups,
        input: [s[2], s[3]],
        kernel: [w[2], w[3]],
        output,
        stride,
        padding: before,
        dilation,
    };
    let op = Conv { way: Way::Forward, sizes };
    let out = match bias {
        Some(b) => apply(&op, &[&x, weight, b])?,
        None => apply(&op, &[&x, weight])?,
    };
    if input.rank() == 3 { reshape_to(&out, &out.shape()[1..]) } else { Ok(out) }
}

ops! {
    [tf nn] {
        /// The correlation of planes `[batch, in, height, width]` with kernels `[out, in / groups, kh, kw]`, plus a bias a
        /// channel.
        ///
        /// The batch may be left out. The result has `(height + 2 padding - dilation (kh - 1) - 1) // stride + 1` rows,
        /// and so on (Dumoulin and Visin, 2016).
        ///
        /// ```python
        /// >>> F.conv2d(tf.arange(9.0).view(1, 1, 3, 3), tf.ones(1, 1, 2, 2)).squeeze()
        /// tensor([[ 8., 12.],
        ///         [20., 24.]])
        /// >>> F.conv2d(tf.ones(8, 3, 32, 32), tf.ones(16, 3, 3, 3), stride=2, padding=1).shape
        /// tenflowers.Size([8, 16, 16, 16])
        /// ```
        pub fn conv2d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &[i64] = &[0i64] as &[i64], dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            let padding = Padding::Both(pair("conv2d", "padding", padding, 0)?);
            convolve(input, weight, bias, stride, padding, dilation, groups)
        }
        /// As with numbers, with padding "valid" (none) or "same" (as much as keeps the size, for stride 1).
        ///
        /// ```python
        /// >>> F.conv2d(tf.ones(8, 3, 32, 32), tf.ones(16, 3, 3, 3), padding="same").shape
        /// tenflowers.Size([8, 16, 32, 32])
        /// ```
        pub fn conv2d_named as conv2d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &str = "valid", dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            let padding = match padding {
                "valid" => Padding::Both([0, 0]),
                "same" if stride.iter().all(|&s| s == 1) => Padding::Same,
                "same" => return Err(TensorError::argument("conv2d", format!("padding='same' is for stride 1, not {stride:?}"))),
                other => return Err(TensorError::argument("conv2d", format!("padding must be 'valid', 'same' or ints, not '{other}'"))),
            };
            convolve(input, weight, bias, stride, padding, dilation, groups)
        }
    }
}
