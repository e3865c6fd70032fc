//! Other looks at the same elements.
mod looks;

pub use looks::reshape_to;
pub(super) use looks::{alias, expand_to, permute_to, select_to, slice_to};

use crate::error::{Result, TensorError};
use crate::layout::{Layout, Shape, Strides, axes, axis, broadcast, checked_numel, negative, shape_of, unsigned};
use crate::ops;
use crate::schema::Size;
use crate::tensor::Tensor;
use looks::{AsStrided, Diagonal, Expand, Look, Permute, Reshape, Split, Transpose, few, pieces};
use smallvec::{SmallVec, smallvec};

/// A shape as users give it, one size of which may be -1.
fn inferred(op: &'static str, input: &Tensor, sizes: &[i64]) -> Result<Shape> {
    let numel = input.numel();
    let mismatch = || {
        let what =
            format!("shape {sizes:?} does not hold the {numel} elements of a tensor of shape {:?}", input.shape());
        TensorError::argument(op, what)
    };
    let mut shape = unsigned(sizes);
    let mut below_zero = (0..sizes.len()).filter(|&at| sizes[at] < 0);
    let Some(at) = below_zero.next() else {
        return if checked_numel(&shape)? == numel { Ok(shape) } else { Err(mismatch()) };
    };
    if let Some(&n) = sizes.iter().find(|&&n| n < -1) {
        return Err(negative(op, n, sizes));
    }
    if below_zero.next().is_some() {
        return Err(TensorError::argument(op, format!("only one size can be -1, not several: {sizes:?}")));
    }
    shape[at] = 1;
    let product = checked_numel(&shape)?;
    if product == 0 || !numel.is_multiple_of(product) {
        return Err(mismatch());
    }
    shape[at] = numel / product;
    Ok(shape)
}

fn expanded(input: &Tensor, sizes: &[i64]) -> Result<Tensor> {
    let (from, what) = (input.shape(), "the sizes must be those of the tensor where it has not 1, or -1");
    let wrong = || TensorError::argument("expand", format!("{what}: {sizes:?} for a tensor of shape {from:?}"));
    let lead = sizes.len().checked_sub(from.len()).ok_or_else(wrong)?;
    let filled: SmallVec<[i64; 6]> =
        sizes.iter().enumerate().map(|(i, &n)| if n == -1 && i >= lead { from[i - lead] as i64 } else { n }).collect();
    let to = shape_of("expand", &filled)?;
    if broadcast("expand", from, &to).ok().as_deref() != Some(&to[..]) {
        return Err(wrong());
    }
    Expand { to }.of(input)
}

fn squeezed(input: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let left = (0..input.rank()).filter(|d| !(dims.contains(d) && input.shape()[*d] == 1));
    let shape: Shape = left.map(|d| input.shape()[d]).collect();
    Reshape { to: shape }.of(input)
}

fn check_strides(op: &'static str, input: &Tensor, layout: &Layout) -> Result<()> {
    let room = input.storage().len() / input.dtype().size();
    match layout.reach() {
        Some((low, high)) if low < 0 || high as usize >= room => {
            let what = format!(
                "size {:?}, stride {:?} and offset {} reach element {high} of a storage of {room}",
                &layout.shape[..],
                &layout.strides[..],
                layout.offset
            );
            Err(TensorError::argument(op, what))
        }
        _ => Ok(()),
    }
}

ops! {
    [tf method] {
        /// The same elements with two dimensions swapped. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.transpose(tf.tensor([[1, 2, 3], [4, 5, 6]]), 0, 1)
        /// tensor([[1, 4],
        ///         [2, 5],
        ///         [3, 6]])
        /// ```
        pub fn transpose(input: &Tensor, dim0: i64, dim1: i64) -> Tensor {
            let rank = input.rank();
            let (a, b) = (axis("transpose", dim0, rank)?, axis("transpose", dim1, rank)?);
            if rank == 0 { Reshape { to: smallvec![] }.of(input) } else { Transpose { a, b }.of(input) }
        }
        /// The same elements with the dimensions in another order. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.permute(tf.zeros(2, 3, 4), (2, 0, 1)).shape
        /// tenflowers.Size([4, 2, 3])
        /// ```
        pub fn permute(input: &Tensor, dims: Size<'_>) -> Tensor {
            let found = axes("permute", dims.0, input.rank())?;
            if found.len() != input.rank() || dims.0.len() != input.rank() {
                let what = format!("{} dimensions cannot be put in the order {:?}", input.rank(), dims.0);
                return Err(TensorError::argument("permute", what));
            }
            Permute { dims: found }.of(input)
        }
        /// A matrix with its rows as columns; fewer dimensions stay. Shares memory with `input`.
        ///
        /// More than two dimensions are an error.
        ///
        /// ```python
        /// >>> tf.t(tf.tensor([[1, 2, 3], [4, 5, 6]]))
        /// tensor([[1, 4],
        ///         [2, 5],
        ///         [3, 6]])
        /// ```
        pub fn t(input: &Tensor) -> Tensor {
            match input.rank() {
                0 | 1 => Reshape { to: input.shape().into() }.of(input),
                2 => Transpose { a: 0, b: 1 }.of(input),
                rank => Err(TensorError::argument("t", format!("a tensor of at most 2 dimensions is needed, not {rank}"))),
            }
        }
        /// The same elements under another shape, one size of which may be -1: a view where strides allow, else a copy.
        ///
        /// ```python
        /// >>> tf.reshape(tf.arange(6), (2, -1))
        /// tensor([[0, 1, 2],
        ///         [3, 4, 5]])
        /// ```
        pub fn reshape(input: &Tensor, shape: Size<'_>) -> Tensor {
            let to = inferred("reshape", input, shape.0)?;
            if to[..] == *input.shape() { Reshape { to }.of(input) } else { reshape_to(input, &to) }
        }
        /// Without the dimensions of size 1. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.squeeze(tf.zeros(1, 3, 1)).shape
        /// tenflowers.Size([3])
        /// ```
        pub fn squeeze(input: &Tensor) -> Tensor {
            squeezed(input, &(0..input.rank()).collect::<Vec<_>>())
        }
        /// Without the dimensions named, where they have size 1. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.squeeze(tf.zeros(1, 3, 1), 0).shape
        /// tenflowers.Size([3, 1])
        /// ```
        pub fn squeeze_dim as squeeze(input: &Tensor, dim: &[i64]) -> Tensor {
            squeezed(input, &axes("squeeze", dim, input.rank())?)
        }
        /// With a dimension of size 1 at `dim`. Shares memory with `input`.
        ///
        /// `dim` lies between `-n - 1` and `n` for `n` dimensions.
        ///
        /// ```python
        /// >>> tf.unsqueeze(tf.tensor([1, 2]), 1)
        /// tensor([[1],
        ///         [2]])
        /// ```
        pub fn unsqueeze(input: &Tensor, dim: i64) -> Tensor {
            let at = axis("unsqueeze", dim, input.rank() + 1)?;
            let mut to: Shape = input.shape().into();
            to.insert(at, 1);
            Reshape { to }.of(input)
        }
        /// Dimensions `start_dim` to `end_dim` as one: a view where strides allow, else a copy.
        ///
        /// ```python
        /// >>> tf.flatten(tf.zeros(2, 3, 4), start_dim=1).shape
        /// tenflowers.Size([2, 12])
        /// ```
        pub fn flatten(input: &Tensor, start_dim: i64 = 0, end_dim: i64 = -1) -> Tensor {
            let rank = input.rank();
            let (from, to) = (axis("flatten", start_dim, rank)?, axis("flatten", end_dim, rank)?);
            if from > to {
                let what = format!("start_dim {start_dim} comes after end_dim {end_dim}");
                return Err(TensorError::argument("flatten", what));
            }
            if rank == 0 {
                return reshape_to(input, &[1]);
            }
            let shape = input.shape();
            let mut flat: Shape = shape[..from].into();
            flat.push(shape[from..=to].iter().product());
            flat.extend_from_slice(&shape[to + 1..]);
            reshape_to(input, &flat)
        }
        /// `length` indices of `dim` from `start` on. Shares memory with `input`.
        ///
        /// A negative `start` counts from the end.
        ///
        /// ```python
        /// >>> tf.narrow(tf.tensor([1, 2, 3, 4]), 0, 1, 2)
        /// tensor([2, 3])
        /// ```
        pub fn narrow(input: &Tensor, dim: i64, start: i64, length: i64) -> Tensor {
            if input.rank() == 0 {
                return Err(TensorError::argument("narrow", "a tensor of no dimensions has none to narrow"));
            }
            let dim = axis("narrow", dim, input.rank())?;
            let size = input.shape()[dim] as i64;
            let first = if start < 0 { start.wrapping_add(size) } else { start };
            if !(0..=size).contains(&first) {
                return Err(TensorError::Index { op: "narrow", index: start, dim, size: size as usize });
            }
            if length < 0 || length > size - first {
                let what = format!("length {length} from {start} on does not lie in dimension {dim} of size {size}");
                return Err(TensorError::argument("narrow", what));
            }
            slice_to(input, dim, first as usize, length as usize, 1)
        }
        /// As with a number, from the start that an integer tensor of no dimensions holds. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.narrow(tf.tensor([1, 2, 3, 4]), 0, tf.tensor(1), 2)
        /// tensor([2, 3])
        /// ```
        pub fn narrow_at as narrow(input: &Tensor, dim: i64, start: &Tensor, length: i64) -> Tensor {
            if start.rank() > 0 || start.dtype().category() != crate::Category::Integer {
                return Err(TensorError::argument("narrow", "start must be an integer or an integer tensor of no dimensions"));
            }
            narrow(input, dim, start.item()?.as_int() as i64, length)
        }
        /// One index of `dim`, which is dropped. Shares memory with `input`.
        ///
        /// A negative index counts from the end.
        ///
        /// ```python
        /// >>> tf.select(tf.tensor([[1, 2], [3, 4]]), 1, 0)
        /// tensor([1, 3])
        /// ```
        pub fn select(input: &Tensor, dim: i64, index: i64) -> Tensor {
            if input.rank() == 0 {
                return Err(TensorError::Axis { op: "select", axis: dim, rank: 0 });
            }
            let dim = axis("select", dim, input.rank())?;
            let size = input.shape()[dim];
            let at = if index < 0 { index.wrapping_add(size as i64) } else { index };
            if !(0..size as i64).contains(&at) {
                return Err(TensorError::Index { op: "select", index, dim, size });
            }
            select_to(input, dim, at as usize)
        }
        /// The diagonal of two dimensions, `offset` above the main one, as the last dimension. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.diagonal(tf.tensor([[1, 2, 3], [4, 5, 6]]), offset=1)
        /// tensor([2, 6])
        /// ```
        pub fn diagonal(input: &Tensor, offset: i64 = 0, dim1: i64 = 0, dim2: i64 = 1) -> Tensor {
            let rank = input.rank();
            if rank < 2 {
                return Err(TensorError::Axis { op: "diagonal", axis: dim2, rank });
            }
            let (a, b) = (axis("diagonal", dim1, rank)?, axis("diagonal", dim2, rank)?);
            if a == b {
                return Err(TensorError::argument("diagonal", format!("dim1 and dim2 are one dimension: {dim1}, {dim2}")));
            }
            let (rows, columns) = (input.shape()[a] as i64, input.shape()[b] as i64);
            let (row, column) = (offset.saturating_neg().max(0), offset.max(0));
            let length = (rows.saturating_sub(row)).min(columns.saturating_sub(column)).max(0) as usize;
            Diagonal { a, b, row: row as usize, column: column as usize, length }.of(input)
        }
        /// The slices along `dim`, each without it. They share memory with `input`.
        ///
        /// ```python
        /// >>> tf.unbind(tf.tensor([[1, 2], [3, 4]]))
        /// (tensor([1, 2]), tensor([3, 4]))
        /// ```
        pub fn unbind(input: &Tensor, dim: i64 = 0) -> Vec<Tensor> {
            if input.rank() == 0 {
                return Err(TensorError::Axis { op: "unbind", axis: dim, rank: 0 });
            }
            let dim = axis("unbind", dim, input.rank())?;
            few(input.shape()[dim])?;
            pieces(input, Split { dim, unbound: true }, (0..input.shape()[dim]).map(|i| select_to(input, dim, i)))
        }
        /// Pieces of `split_size` along `dim`, the last of which may be smaller. They share memory with `input`.
        ///
        /// ```python
        /// >>> tf.split(tf.arange(5), 2)
        /// (tensor([0, 1]), tensor([2, 3]), tensor([4]))
        /// ```
        pub fn split(input: &Tensor, split_size: i64, dim: i64 = 0) -> Vec<Tensor> {
            if input.rank() == 0 {
                return Err(TensorError::argument("split", "a tensor of no dimensions cannot be split"));
            }
            let d = axis("split", dim, input.rank())?;
            let size = input.shape()[d] as i64;
            if split_size < 0 || split_size == 0 && size > 0 {
                return Err(TensorError::argument("split", format!("split_size must be positive, not {split_size}")));
            }
            let mut sizes: Vec<i64> = vec![];
            few((size / split_size.max(1)) as usize)?;
            if size == 0 {
                sizes.push(0);
            } else {
                sizes.resize((size / split_size) as usize, split_size);
                sizes.extend(Some(size % split_size).filter(|&n| n > 0));
            }
            split_sizes(input, &sizes, dim)
        }
        /// Pieces of the sizes given along `dim`. They share memory with `input`.
        ///
        /// They sum to the size of `dim`.
        ///
        /// ```python
        /// >>> tf.split(tf.arange(5), [1, 4])
        /// (tensor([0]), tensor([1, 2, 3, 4]))
        /// ```
        pub fn split_sizes as split(input: &Tensor, split_size: &[i64], dim: i64 = 0) -> Vec<Tensor> {
            if input.rank() == 0 {
                return Err(TensorError::argument("split", "a tensor of no dimensions cannot be split"));
            }
            let d = axis("split", dim, input.rank())?;
            let sizes = shape_of("split", split_size).map_err(|_| {
                TensorError::argument("split", format!("sizes must not be negative: {split_size:?}"))
            })?;
            let total = split_size.iter().try_fold(0i64, |a, &n| a.checked_add(n));
            if total != Some(input.shape()[d] as i64) {
                let what = format!("sizes {split_size:?} do not sum to the {} of dimension {d}", input.shape()[d]);
                return Err(TensorError::argument("split", what));
            }
            let mut start = 0;
            let parts = sizes.iter().map(|&n| {
                start += n;
                slice_to(input, d, start - n, n, 1)
            });
            pieces(input, Split { dim: d, unbound: false }, parts)
        }
        /// At most `chunks` pieces of one size along `dim`, the last of which may be smaller. They share memory with `input`.
        ///
        /// ```python
        /// >>> tf.chunk(tf.arange(5), 2)
        /// (tensor([0, 1, 2]), tensor([3, 4]))
        /// ```
        pub fn chunk(input: &Tensor, chunks: i64, dim: i64 = 0) -> Vec<Tensor> {
            if input.rank() == 0 {
                return Err(TensorError::argument("chunk", "a tensor of no dimensions cannot be split"));
            }
            if chunks <= 0 {
                return Err(TensorError::argument("chunk", format!("chunks must be positive, not {chunks}")));
            }
            let size = input.shape()[axis("chunk", dim, input.rank())?] as i64;
            if size == 0 {
                few(chunks as usize)?;
                return split_sizes(input, &vec![0; chunks as usize], dim);
            }
            split(input, (size + chunks - 1) / chunks, dim)
        }
        /// A look at the storage of the tensor by size, stride and offset, in elements. Shares memory with `input`.
        ///
        /// It must lie within the storage; strides are not negative.
        ///
        /// ```python
        /// >>> tf.as_strided(tf.arange(4), (3, 2), (1, 1))
        /// tensor([[0, 1],
        ///         [1, 2],
        ///         [2, 3]])
        /// ```
        pub fn as_strided(input: &Tensor, size: &[i64], stride: &[i64], storage_offset: Option<i64> = None::<i64>) -> Tensor {
            if size.len() != stride.len() {
                let what = format!("{} sizes and {} strides", size.len(), stride.len());
                return Err(TensorError::argument("as_strided", what));
            }
            if let Some(&s) = stride.iter().find(|&&s| s < 0) {
                return Err(TensorError::argument("as_strided", format!("strides must not be negative: {s} in {stride:?}")));
            }
            let offset = storage_offset.unwrap_or(input.layout().offset as i64);
            let Ok(offset) = usize::try_from(offset) else {
                return Err(TensorError::argument("as_strided", format!("the offset must not be negative: {offset}")));
            };
            let strides: Strides = stride.iter().map(|&s| s as isize).collect();
            let far = |(&n, &s): (&i64, &i64)| n.saturating_mul(s) < 1 << 48;
            if !size.iter().zip(stride).all(far) || offset >= 1 << 48 {
                return Err(TensorError::argument("as_strided", format!("size {size:?} and stride {stride:?} reach too far")));
            }
            let to = Layout { shape: shape_of("as_strided", size)?, strides, offset };
            check_strides("as_strided", input, &to)?;
            AsStrided { to, from: input.layout().clone() }.of(input)
        }
        /// The elements without history. Shares memory with `input`.
        ///
        /// ```python
        /// >>> x = tf.ones(2, requires_grad=True)
        /// >>> tf.detach(x * 2).requires_grad
        /// False
        /// ```
        pub fn detach(input: &Tensor) no_grad "it is there to have none" -> Tensor {
            Ok(input.detach())
        }
    }
    [method] {
        /// The same elements under another shape, one size of which may be -1. Shares memory with `input`.
        ///
        /// Strides that do not allow it are a `ShapeError`; `reshape` copies then.
        ///
        /// ```python
        /// >>> tf.arange(6).view(2, 3)
        /// tensor([[0, 1, 2],
        ///         [3, 4, 5]])
        /// ```
        pub fn view(input: &Tensor, size: Size<'_>) -> Tensor {
            Reshape { to: inferred("view", input, size.0)? }.of(input)
        }
        /// The tensor under the shape of another one. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.arange(4).view_as(tf.zeros(2, 2))
        /// tensor([[0, 1],
        ///         [2, 3]])
        /// ```
        pub fn view_as(input: &Tensor, other: &Tensor) -> Tensor {
            view(input, Size(&sizes(other)))
        }
        /// The tensor under the shape of another one: a view where strides allow, else a copy.
        ///
        /// ```python
        /// >>> tf.arange(4).reshape_as(tf.zeros(2, 2))
        /// tensor([[0, 1],
        ///         [2, 3]])
        /// ```
        pub fn reshape_as(input: &Tensor, other: &Tensor) -> Tensor {
            reshape(input, Size(&sizes(other)))
        }
        /// Dimensions of size 1 widened to the sizes given; -1 keeps one. Shares memory with `input`.
        ///
        /// Further sizes come first.
        ///
        /// ```python
        /// >>> tf.tensor([[1], [2]]).expand(2, 3)
        /// tensor([[1, 1, 1],
        ///         [2, 2, 2]])
        /// ```
        pub fn expand(input: &Tensor, size: Size<'_>) -> Tensor {
            expanded(input, size.0)
        }
        /// The tensor widened to the shape of another one. Shares memory with `input`.
        ///
        /// ```python
        /// >>> tf.tensor([[1], [2]]).expand_as(tf.zeros(2, 3))
        /// tensor([[1, 1, 1],
        ///         [2, 2, 2]])
        /// ```
        pub fn expand_as(input: &Tensor, other: &Tensor) -> Tensor {
            expanded(input, &sizes(other))
        }
    }
}

fn sizes(t: &Tensor) -> SmallVec<[i64; 6]> {
    t.shape().iter().map(|&n| n as i64).collect()
}
