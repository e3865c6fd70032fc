//! Where the elements of a tensor lie in its storage.
use crate::error::{Result, TensorError};
use smallvec::SmallVec;

/// Dimensions that lie in the tensor itself.
const INLINE: usize = 6;

pub type Shape = SmallVec<[usize; INLINE]>;
pub type Strides = SmallVec<[isize; INLINE]>;

/// A shape, and for each dimension the step from one index to the next. Counts elements, not bytes.
#[derive(Debug, Default, PartialEq)]
pub struct Layout {
    pub shape: Shape,
    pub strides: Strides,
    pub offset: usize,
}

/// The number of elements of a shape.
///
/// # Errors
/// If the number does not fit a signed integer: no memory could hold them.
pub fn checked_numel(shape: &[usize]) -> Result<usize> {
    let (n, over) = shape.iter().fold((1usize, false), |(n, over), &d| {
        let (n, overflowed) = n.overflowing_mul(d);
        (n, over | overflowed)
    });
    if !over && n <= isize::MAX as usize {
        return Ok(n);
    }
    if shape.contains(&0) { Ok(0) } else { Err(TensorError::no_memory(usize::MAX)) }
}

/// As many numbers as there are dimensions. On the stack first: that is one copy, where growing is a check an element.
#[inline]
fn filled<T: Copy + Default>(rank: usize, fill: impl FnOnce(&mut [T])) -> SmallVec<[T; INLINE]> {
    let mut small = [T::default(); INLINE];
    match small.get_mut(..rank) {
        Some(all) => {
            fill(all);
            SmallVec::from_slice(all)
        }
        None => {
            let mut all = smallvec::smallvec![T::default(); rank];
            fill(&mut all);
            all
        }
    }
}

pub fn contiguous_strides(shape: &[usize]) -> Strides {
    filled(shape.len(), |strides| set_contiguous(strides, shape))
}

#[inline]
fn set_contiguous(strides: &mut [isize], shape: &[usize]) {
    let mut step = 1isize;
    for (s, &n) in strides.iter_mut().zip(shape).rev() {
        *s = step;
        step = step.wrapping_mul(n.max(1) as isize);
    }
}

impl Clone for Layout {
    /// By copying memory, where the derived one would go element by element.
    fn clone(&self) -> Self {
        let (shape, strides) = (SmallVec::from_slice(&self.shape), SmallVec::from_slice(&self.strides));
        Layout { shape, strides, offset: self.offset }
    }
}

impl Layout {
    pub fn contiguous(shape: &[usize]) -> Self {
        let mut to = Layout::default();
        to.be_contiguous(shape);
        to
    }
    /// Gives a layout without dimensions those of a new tensor.
    #[inline]
    pub(crate) fn be_contiguous(&mut self, shape: &[usize]) {
        self.shape.extend_from_slice(shape);
        self.strides.resize(shape.len(), 0);
        set_contiguous(&mut self.strides, shape);
    }
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&n, &s) in self.shape.iter().zip(&self.strides).rev() {
            if n == 0 {
                return true;
            }
            if n != 1 && s != expected {
                return self.shape.contains(&0);
            }
            expected *= n as isize;
        }
        true
    }
    /// The first and the last element that the layout reaches, or `None` where it has no elements.
    pub fn reach(&self) -> Option<(isize, isize)> {
        if self.shape.contains(&0) {
            return None;
        }
        let (mut low, mut high) = (self.offset as isize, self.offset as isize);
        for (&n, &s) in self.shape.iter().zip(&self.strides) {
            let span = s * (n as isize - 1);
            if span < 0 { low += span } else { high += span }
        }
        Some((low, high))
    }
    /// Whether two indices may reach one element, so that a write would count twice.
    pub fn overlaps_itself(&self) -> bool {
        if self.shape.contains(&0) {
            return false;
        }
        let mut dims: SmallVec<[(usize, usize); 6]> =
            self.shape.iter().zip(&self.strides).map(|(&n, &s)| (s.unsigned_abs(), n)).filter(|d| d.1 != 1).collect();
        dims.sort_unstable();
        let mut reach = 0;
        dims.iter().any(|&(stride, n)| {
            let overlaps = stride <= reach;
            reach += stride * (n - 1);
            overlaps
        })
    }
    /// The same elements seen with stride 0 along the dimensions that `shape` widens. `shape` must be a broadcast of this
    /// layout's.
    pub fn broadcast_to(&self, shape: &[usize]) -> Layout {
        let lead = shape.len() - self.shape.len();
        let stride = |i: usize| {
            if i < lead || self.shape[i - lead] == 1 && shape[i] != 1 { 0 } else { self.strides[i - lead] }
        };
        Layout { shape: shape.into(), strides: (0..shape.len()).map(stride).collect(), offset: self.offset }
    }
    pub fn swap(&mut self, a: usize, b: usize) {
        self.shape.swap(a, b);
        self.strides.swap(a, b);
    }
    /// Dimension `dim` from `start` on, `length` indices, each `step` after the other.
    pub fn narrow(&self, dim: usize, start: usize, length: usize, step: isize) -> Layout {
        let mut to = self.clone();
        if length > 0 {
            to.offset = (to.offset as isize + start as isize * to.strides[dim]) as usize;
        }
        to.shape[dim] = length;
        to.strides[dim] = to.strides[dim].wrapping_mul(step);
        to
    }
    /// Index `index` of dimension `dim`, without it, as a layout that has no dimensions yet.
    pub fn select_to(&self, dim: usize, index: usize, to: &mut Layout) {
        to.offset = (self.offset as isize + index as isize * self.strides[dim]) as usize;
        for d in (0..self.rank()).filter(|&d| d != dim) {
            to.shape.push(self.shape[d]);
            to.strides.push(self.strides[d]);
        }
    }
    /// The strides that show the same elements in the same order under another shape, where such strides exist.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Layout> {
        let mut to = Layout::default();
        self.reshape_to(shape, &mut to).then_some(to)
    }
    /// As `reshaped`, as a layout that has no dimensions yet; false where there are no such strides.
    pub fn reshape_to(&self, shape: &[usize], to: &mut Layout) -> bool {
        to.offset = self.offset;
        if self.is_contiguous() {
            to.be_contiguous(shape);
            return true;
        }
        // Runs of old dimensions that lie as one are matched with new dimensions of the same size, from the last on.
        let mut strides: Strides = smallvec::smallvec![0; shape.len()];
        let mut at = shape.len();
        let (mut run, mut base) = (1usize, self.strides.last().copied().unwrap_or(1));
        for d in (0..self.shape.len()).rev() {
            run *= self.shape[d];
            let joins = d > 0 && (self.shape[d - 1] == 1 || self.strides[d - 1] == base * run as isize);
            if joins {
                continue;
            }
            let mut covered = 1;
            while at > 0 && (covered < run || shape[at - 1] == 1) {
                at -= 1;
                strides[at] = base * covered as isize;
                covered *= shape[at];
            }
            if covered != run {
                return false;
            }
            if d > 0 {
                (run, base) = (1, self.strides[d - 1]);
            }
        }
        while at > 0 {
            at -= 1;
            strides[at] = base;
        }
        to.shape = shape.into();
        to.strides = strides;
        true
    }
}

/// The shape that both broadcast to.
pub fn broadcast(op: &'static str, a: &[usize], b: &[usize]) -> Result<Shape> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    let size = |i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        (x, y) => {
            let note = format!("dimension {i}: {x} and {y}");
            Err(TensorError::shape_note(op, "shapes cannot be broadcast", a, b, note))
        }
    };
    let shape = (0..rank).map(size).collect::<Result<Shape>>()?;
    checked_numel(&shape)?;
    Ok(shape)
}

/// The dimension that `dim`, which may count from the end, names in a tensor of `rank` dimensions.
pub fn axis(op: &'static str, dim: i64, rank: usize) -> Result<usize> {
    let at = if dim < 0 { dim + rank.max(1) as i64 } else { dim };
    if (0..rank.max(1) as i64).contains(&at) { Ok(at as usize) } else { Err(TensorError::Axis { op, axis: dim, rank }) }
}

/// Several dimensions, each once.
pub fn axes(op: &'static str, dims: &[i64], rank: usize) -> Result<SmallVec<[usize; 6]>> {
    let mut found = SmallVec::new();
    for &dim in dims {
        let at = axis(op, dim, rank)?;
        if found.contains(&at) {
            return Err(TensorError::argument(op, format!("dimension {dim} appears twice in {dims:?}")));
        }
        found.push(at);
    }
    if rank == 0 {
        found.clear();
    }
    Ok(found)
}

/// The error of a size below zero.
pub fn negative(op: &'static str, n: i64, sizes: &[i64]) -> TensorError {
    TensorError::argument(op, format!("sizes must not be negative: {n} in {sizes:?}"))
}

/// Sizes as users give them, as a shape.
///
/// # Errors
/// For a negative size, or more elements than can be counted.
pub fn shape_of(op: &'static str, sizes: &[i64]) -> Result<Shape> {
    if let Some(&n) = sizes.iter().find(|&&n| n < 0) {
        return Err(negative(op, n, sizes));
    }
    let shape = unsigned(sizes);
    checked_numel(&shape)?;
    Ok(shape)
}

/// Sizes as a shape, where those below zero are still to be replaced.
pub fn unsigned(sizes: &[i64]) -> Shape {
    filled(sizes.len(), |shape| shape.iter_mut().zip(sizes).for_each(|(to, &n)| *to = n as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], strides: &[isize], offset: usize) -> Layout {
        Layout { shape: shape.into(), strides: strides.into(), offset }
    }

    #[test]
    fn contiguity_ignores_sizes_of_one_and_empty_tensors() {
        assert!(layout(&[2, 1, 3], &[3, 99, 1], 0).is_contiguous());
        assert!(layout(&[2, 0], &[7, 5], 0).is_contiguous());
        assert!(!layout(&[2, 3], &[1, 2], 0).is_contiguous());
        assert!(layout(&[], &[], 4).is_contiguous());
    }

    #[test]
    fn reshape_without_a_copy_where_strides_allow() {
        let t = layout(&[2, 3, 4], &[12, 4, 1], 5);
        assert_eq!(t.reshaped(&[6, 4]).unwrap().strides[..], [4, 1]);
        assert_eq!(t.reshaped(&[24]).unwrap(), layout(&[24], &[1], 5));
        assert_eq!(t.reshaped(&[2, 1, 12, 1]).unwrap().strides[..2], [12, 12]);
        let transposed = layout(&[4, 6], &[1, 4], 0);
        assert!(transposed.reshaped(&[24]).is_none());
        assert_eq!(transposed.reshaped(&[2, 2, 6]).unwrap().strides[..], [2, 1, 4]);
        assert_eq!(layout(&[3, 1], &[-1, 7], 2).reshaped(&[3]).unwrap().strides[..], [-1]);
        assert_eq!(layout(&[], &[], 3).reshaped(&[1, 1]).unwrap().offset, 3);
        assert_eq!(layout(&[4, 2], &[0, 1], 0).reshaped(&[2, 2, 2]).unwrap().strides[..], [0, 0, 1]);
    }

    #[test]
    fn overlap_and_reach() {
        assert!(layout(&[3, 2], &[0, 1], 0).overlaps_itself());
        assert!(layout(&[3, 2], &[1, 1], 0).overlaps_itself());
        assert!(!layout(&[3, 2], &[-2, 1], 4).overlaps_itself());
        assert_eq!(layout(&[3, 2], &[-2, 1], 4).reach(), Some((0, 5)));
        assert_eq!(layout(&[0], &[1], 4).reach(), None);
    }

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(broadcast("t", &[2, 1, 3], &[4, 1]).unwrap()[..], [2, 4, 3]);
        assert_eq!(broadcast("t", &[], &[0]).unwrap()[..], [0]);
        let e = broadcast("add", &[2, 3], &[4]).unwrap_err().to_string();
        assert_eq!(e, "add: shapes cannot be broadcast: [2, 3] x [4] (dimension 1: 3 and 4)");
    }
}
