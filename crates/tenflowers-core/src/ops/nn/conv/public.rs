//! The public operations.
use super::{Padding, convolve, transposed};
use crate::error::{Result, TensorError};
use crate::ops;
use crate::tensor::Tensor;

fn named<'a>(op: &'static str, padding: &str, stride: &[i64]) -> Result<Padding<'a>> {
    match padding {
        "valid" => Ok(Padding::Each(&[0])),
        "same" if stride.iter().all(|&s| s == 1) => Ok(Padding::Same),
        "same" => Err(TensorError::argument(op, format!("padding='same' is for stride 1, not {stride:?}"))),
        other => Err(TensorError::argument(op, format!("padding must be 'valid', 'same' or ints, not '{other}'"))),
    }
}

ops! {
    [tf nn] {
        /// The correlation of lines `[batch, in, length]` with kernels `[out, in / groups, k]`, plus a bias a channel.
        ///
        /// The batch may be left out. The result is `(length + 2 padding - dilation (k - 1) - 1) // stride + 1` long.
        ///
        /// ```python
        /// >>> F.conv1d(tf.arange(5.0).view(1, 1, 5), tf.ones(1, 1, 2)).squeeze()
        /// tensor([1., 3., 5., 7.])
        /// ```
        pub fn conv1d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &[i64] = &[0i64] as &[i64], dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            convolve::<1>("conv1d", input, weight, bias, stride, Padding::Each(padding), dilation, groups)
        }
        /// As with numbers, with padding "valid" (none) or "same" (as much as keeps the size, for stride 1).
        ///
        /// ```python
        /// >>> F.conv1d(tf.ones(8, 3, 32), tf.ones(16, 3, 4), padding="same").shape
        /// tenflowers.Size([8, 16, 32])
        /// ```
        pub fn conv1d_named as conv1d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &str = "valid", dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            let padding = named("conv1d", padding, stride)?;
            convolve::<1>("conv1d", input, weight, bias, stride, padding, dilation, groups)
        }
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
            convolve::<2>("conv2d", input, weight, bias, stride, Padding::Each(padding), dilation, groups)
        }
        /// As with numbers, with padding "valid" (none) or "same" (as much as keeps the size, for stride 1).
        ///
        /// ```python
        /// >>> F.conv2d(tf.ones(8, 3, 32, 32), tf.ones(16, 3, 3, 3), padding="same").shape
        /// tenflowers.Size([8, 16, 32, 32])
        /// ```
        pub fn conv2d_named as conv2d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &str = "valid", dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            let padding = named("conv2d", padding, stride)?;
            convolve::<2>("conv2d", input, weight, bias, stride, padding, dilation, groups)
        }
        /// The correlation of volumes `[batch, in, depth, height, width]` with kernels `[out, in / groups, kd, kh, kw]`, plus a
        /// bias a channel.
        ///
        /// The batch may be left out. The taps of the depth are copied into channels; the rest is [`conv2d`].
        ///
        /// ```python
        /// >>> F.conv3d(tf.ones(1, 1, 3, 4, 4), tf.ones(2, 1, 3, 3, 3), stride=(1, 1, 1)).shape
        /// tenflowers.Size([1, 2, 1, 2, 2])
        /// ```
        pub fn conv3d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &[i64] = &[0i64] as &[i64], dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            convolve::<3>("conv3d", input, weight, bias, stride, Padding::Each(padding), dilation, groups)
        }
        /// As with numbers, with padding "valid" (none) or "same" (as much as keeps the size, for stride 1).
        ///
        /// ```python
        /// >>> F.conv3d(tf.ones(1, 1, 3, 4, 4), tf.ones(2, 1, 3, 3, 3), padding="same").shape
        /// tenflowers.Size([1, 2, 3, 4, 4])
        /// ```
        pub fn conv3d_named as conv3d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &str = "valid", dilation: &[i64] = &[1i64] as &[i64], groups: i64 = 1) -> Tensor {
            let padding = named("conv3d", padding, stride)?;
            convolve::<3>("conv3d", input, weight, bias, stride, padding, dilation, groups)
        }
        /// The transposed convolution of lines `[batch, in, length]` with kernels `[in, out / groups, k]`: the gradient of
        /// [`conv1d`] with respect to its input, as an operation of its own.
        ///
        /// The result is `(length - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1` long.
        ///
        /// ```python
        /// >>> F.conv_transpose1d(tf.tensor([[[1.0, 2.0]]]), tf.ones(1, 1, 3), stride=2)
        /// tensor([[[1., 1., 3., 2., 2.]]])
        /// ```
        pub fn conv_transpose1d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &[i64] = &[0i64] as &[i64], output_padding: &[i64] = &[0i64] as &[i64], groups: i64 = 1, dilation: &[i64] = &[1i64] as &[i64]) -> Tensor {
            transposed::<1>("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)
        }
        /// The transposed convolution of planes `[batch, in, height, width]` with kernels `[in, out / groups, kh, kw]`: the
        /// gradient of [`conv2d`] with respect to its input, as an operation of its own (Dumoulin and Visin, 2016).
        ///
        /// The batch may be left out. The result has `(height - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1`
        /// rows, and so on; `output_padding` adds to one side only, for sizes that stride has rounded down.
        ///
        /// ```python
        /// >>> F.conv_transpose2d(tf.ones(8, 16, 16, 16), tf.ones(16, 3, 3, 3), stride=2, padding=1, output_padding=1).shape
        /// tenflowers.Size([8, 3, 32, 32])
        /// ```
        pub fn conv_transpose2d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &[i64] = &[0i64] as &[i64], output_padding: &[i64] = &[0i64] as &[i64], groups: i64 = 1, dilation: &[i64] = &[1i64] as &[i64]) -> Tensor {
            transposed::<2>("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)
        }
        /// The transposed convolution of volumes `[batch, in, depth, height, width]` with kernels
        /// `[in, out / groups, kd, kh, kw]`: the gradient of [`conv3d`] with respect to its input, as an operation of its own.
        ///
        /// ```python
        /// >>> F.conv_transpose3d(tf.ones(1, 2, 2, 3, 3), tf.ones(2, 4, 2, 2, 2), stride=2).shape
        /// tenflowers.Size([1, 4, 4, 6, 6])
        /// ```
        pub fn conv_transpose3d(input: &Tensor, weight: &Tensor, bias: Option<&Tensor> = None::<&Tensor>, stride: &[i64] = &[1i64] as &[i64], padding: &[i64] = &[0i64] as &[i64], output_padding: &[i64] = &[0i64] as &[i64], groups: i64 = 1, dilation: &[i64] = &[1i64] as &[i64]) -> Tensor {
            transposed::<3>("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)
        }
    }
}
