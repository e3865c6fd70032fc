//! The handle.
use crate::cpu::View;
use crate::device::Device;
use crate::dtype::{DType, Dyn, Element, Kind, Scalar};
use crate::error::{Result, TensorError};
use crate::grad::{self, GradMeta};
use crate::layout::{Layout, Shape, checked_numel};
use crate::op::Op;
use crate::ops;
use crate::storage::Storage;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};
use triomphe::{Arc, UniqueArc};

/// An n-dimensional array. `Tensor` knows its dtype at run time; `Tensor<f32>` at compile time too.
///
/// A handle: cloning it gives another handle of the same tensor.
///
/// ```
/// use tenflowers_core::Tensor;
/// let a = Tensor::<f32>::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2])?;
/// let b = (&a + &a)?;
/// assert_eq!(b.to_vec()?, [2.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), tenflowers_core::TensorError>(())
/// ```
pub struct Tensor<K: Kind = Dyn> {
    inner: Arc<Inner>,
    kind: PhantomData<fn() -> K>,
}

struct Inner {
    data: Data,
    /// Writes through it are not counted: what `x.data` gives.
    quiet: bool,
    view: Option<Box<ViewOf>>,
    /// Shared by the handles whose elements were exchanged: they are one tensor to the derivative.
    grad: OnceLock<std::sync::Arc<GradMeta>>,
    /// The object that a front end shows this tensor by; the front end keeps it right.
    object: AtomicPtr<c_void>,
}

/// Where elements lie, without any history.
#[derive(Clone)]
pub struct Data {
    /// Without weak references, whose count every drop of a small tensor would go to as well.
    pub storage: Arc<Storage>,
    pub layout: Layout,
    pub dtype: DType,
}

/// What a view is a view of, and how it was made: enough to make it again of another base.
pub struct ViewOf<O: ?Sized = dyn Op> {
    pub parent: Tensor,
    /// Where it is not the parent.
    below: Option<Tensor>,
    /// Made where gradients are recorded.
    pub tracked: bool,
    pub op: O,
}

impl<O> ViewOf<O> {
    pub fn new(parent: &Tensor, op: O) -> Self {
        let tracked = grad::is_enabled() && parent.view_of().is_none_or(|v| v.tracked);
        // A view that became a leaf is a base of its own to the derivative: the one below it knows of no gradient.
        let base = if parent.is_leaf_view() { parent } else { parent.base() };
        let below = (!base.same(parent)).then(|| base.clone());
        ViewOf { parent: parent.clone(), below, tracked, op }
    }
}

impl ViewOf {
    pub fn base(&self) -> &Tensor {
        self.below.as_ref().unwrap_or(&self.parent)
    }
}

impl Inner {
    #[inline(always)]
    fn new(data: Data, view: Option<Box<ViewOf>>) -> Inner {
        let object = AtomicPtr::new(std::ptr::null_mut());
        Inner { quiet: false, data, view, grad: OnceLock::new(), object }
    }
}

impl Drop for Inner {
    /// A chain of views is dropped in a loop, not by recursion.
    fn drop(&mut self) {
        let mut view = self.view.take();
        while let Some(last) = view {
            // As it mostly is: somebody else has it too.
            if !Arc::is_unique(&last.parent.inner) {
                break;
            }
            let parent = last.parent.clone();
            drop(last);
            view = Arc::into_unique(parent.inner).and_then(|mut inner| inner.view.take());
        }
    }
}

impl<K: Kind> Clone for Tensor<K> {
    fn clone(&self) -> Self {
        Tensor { inner: self.inner.clone(), kind: PhantomData }
    }
}

impl<K: Kind> std::fmt::Debug for Tensor<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({:?}, {})", self.shape(), self.dtype())
    }
}

impl Tensor {
    pub fn of(data: Data, view: Option<Box<ViewOf>>) -> Tensor {
        Tensor { inner: Arc::new(Inner::new(data, view)), kind: PhantomData }
    }
    /// The view that `view` says, of the storage of its parent.
    pub(crate) fn looking(view: Box<ViewOf>, layout: Layout, dtype: DType) -> Tensor {
        Tensor::of(Data { storage: view.parent.data().storage.clone(), layout, dtype }, Some(view))
    }
    /// The view that `op` makes, of which `fill` makes the layout out of one without dimensions, where it stays.
    #[inline]
    pub(crate) fn view_by<O: Op>(
        &self,
        op: O,
        fill: impl FnOnce(&O, &Layout, &mut Layout) -> Result<()>,
    ) -> Result<Tensor> {
        let view = Box::new(ViewOf::new(self, op));
        let data = Data { storage: self.data().storage.clone(), layout: Layout::default(), dtype: self.dtype() };
        let mut inner = UniqueArc::new(Inner::new(data, None));
        fill(&view.op, self.layout(), &mut inner.data.layout)?;
        inner.view = Some(view);
        Ok(Tensor { inner: inner.shareable(), kind: PhantomData })
    }
    fn allocate(shape: &[usize], dtype: DType, zeroed: bool) -> Result<Tensor> {
        let bytes = checked_numel(shape)?.checked_mul(dtype.size()).filter(|&b| b <= isize::MAX as usize);
        let bytes = bytes.ok_or_else(|| TensorError::no_memory(usize::MAX))?;
        let storage = if zeroed { Storage::zeroed(bytes)? } else { Storage::uninit(bytes)? };
        let mut inner = UniqueArc::new(Inner::new(Data { storage, layout: Layout::default(), dtype }, None));
        // Made where it stays: to move together what was written number by number is slow.
        inner.data.layout.be_contiguous(shape);
        Ok(Tensor { inner: inner.shareable(), kind: PhantomData })
    }
    /// Memory for elements that somebody writes before anybody reads them.
    pub(crate) fn empty(shape: &[usize], dtype: DType) -> Result<Tensor> {
        Tensor::allocate(shape, dtype, false)
    }
    pub(crate) fn zeroed(shape: &[usize], dtype: DType) -> Result<Tensor> {
        Tensor::allocate(shape, dtype, true)
    }
    /// A tensor over memory of somebody else. Its layout counts elements from `ptr`.
    ///
    /// # Safety
    /// As [`Storage::foreign`], for `len` bytes.
    ///
    /// # Errors
    /// If the layout does not lie within `len` bytes.
    pub unsafe fn foreign(
        ptr: *mut u8,
        len: usize,
        layout: Layout,
        dtype: DType,
        owner: Box<dyn std::any::Any + Send + Sync>,
    ) -> Result<Tensor> {
        let within = |(low, high): (isize, isize)| low >= 0 && (high as usize + 1) * dtype.size() <= len;
        if !layout.reach().is_none_or(within) {
            return Err(TensorError::argument("foreign", "the layout reaches beyond the memory"));
        }
        // SAFETY: the caller's.
        let storage = unsafe { Storage::foreign(ptr, len, owner) };
        Ok(Tensor::of(Data { storage, layout, dtype }, None))
    }
    /// One number, as a tensor of no dimensions.
    pub fn scalar(value: impl Into<Scalar>, dtype: DType) -> Result<Tensor> {
        let (value, t) = (value.into(), Tensor::empty(&[], dtype)?);
        crate::storage_type!(dtype, T => {
            // SAFETY: new, of this size, and nobody else has it.
            unsafe { t.storage().as_ptr().cast::<T>().write(T::of(value)) }
        });
        Ok(t)
    }
    /// The same elements without history. Shares memory, and so the version.
    pub fn detach(&self) -> Tensor {
        Tensor::of(self.data().clone(), None)
    }
    /// The same elements without history; writes through it, or its views, are not counted.
    pub fn quiet(&self) -> Tensor {
        let mut inner = Inner::new(self.data().clone(), None);
        inner.quiet = true;
        Tensor { inner: Arc::new(inner), kind: PhantomData }
    }
    /// Counts a write in place.
    pub(crate) fn written(&self) {
        if !self.base().inner.quiet {
            self.storage().written();
        }
    }
    /// This tensor, as the derivative and front ends know it, with the elements of `other`: what `x.data = other` does.
    /// Handles that were cloned before keep the elements that they have.
    pub fn with_data(&self, other: &Tensor) -> Tensor {
        let mut inner = Inner::new(other.data().clone(), None);
        // Made on demand here, so that both share it.
        inner.grad = OnceLock::from(self.shared_grad_meta().clone());
        inner.object = AtomicPtr::new(self.object());
        Tensor { inner: Arc::new(inner), kind: PhantomData }
    }
    /// A result in the dtype of the target of `out=`, without history.
    ///
    /// # Errors
    /// As [`ops::write_out`].
    pub fn like_target(op: &'static str, result: &Tensor, target: &Tensor) -> Result<Tensor> {
        let new = ops::zeros_like(result, Some(target.dtype()), None, false)?;
        ops::write_out(op, &new, result)
    }
    /// Nobody else has this tensor or its memory.
    pub fn is_sole(&self) -> bool {
        Arc::is_unique(&self.inner) && Arc::is_unique(&self.data().storage)
    }
    /// The same tensor, its dtype checked once and known from here on.
    ///
    /// # Errors
    /// If the tensor holds another dtype.
    pub fn typed<T: Element>(self) -> Result<Tensor<T>> {
        self.kind()
    }
    /// Under a kind that its dtype is checked against.
    pub(crate) fn kind<K: Kind>(self) -> Result<Tensor<K>> {
        match K::DTYPE {
            Some(right) if right != self.dtype() => {
                Err(TensorError::DType { op: "typed", what: "dtypes differ", left: self.dtype(), right })
            }
            _ => Ok(Tensor { inner: self.inner, kind: PhantomData }),
        }
    }
    /// The element of a tensor that has one.
    ///
    /// # Errors
    /// If it has another number of elements.
    pub fn item(&self) -> Result<Scalar> {
        if self.numel() != 1 {
            let what = format!("a tensor with {} elements cannot be converted to a number", self.numel());
            return Err(TensorError::argument("item", what));
        }
        let _lock = self.storage().read();
        // SAFETY: one element, read under the lock.
        let view = unsafe { View::new(self.storage().as_ptr(), self.layout(), self.dtype()) };
        crate::storage_type!(self.dtype(), T => Ok(view.to_slice::<T>()?[0].scalar()))
    }
    /// All elements, as numbers.
    pub fn to_scalars(&self) -> Result<Vec<Scalar>> {
        crate::storage_type!(self.dtype(), T => Ok(self.elements::<T>()?.into_iter().map(T::scalar).collect()))
    }
    pub fn object(&self) -> *mut c_void {
        self.inner.object.load(Ordering::Acquire)
    }
    pub fn set_object(&self, object: *mut c_void) {
        self.inner.object.store(object, Ordering::Release)
    }
    /// Forgets the object, if it is this one. The front end sees to it that nobody sets another one at the same time.
    pub fn clear_object(&self, object: *mut c_void) {
        if self.object() == object {
            self.set_object(std::ptr::null_mut());
        }
    }
}

impl<T: Element> Tensor<T> {
    /// # Errors
    /// If `data` does not fill `shape`.
    pub fn from_vec(data: Vec<T>, shape: &[usize]) -> Result<Self> {
        if data.len() != checked_numel(shape)? {
            return Err(TensorError::shape("from_vec", "elements do not fill the shape", &[data.len()], shape));
        }
        let t = Tensor::empty(shape, T::ELEMENT)?;
        // SAFETY: new, of this size, and nobody else has it.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), t.storage().as_ptr().cast(), data.len()) };
        t.kind()
    }
    pub fn from_scalar(value: T) -> Result<Self> {
        Self::from_vec(vec![value], &[])
    }
    /// The elements in row-major order.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.erase().elements()
    }
}

impl Tensor {
    fn elements<T: Element>(&self) -> Result<Vec<T>> {
        let _lock = self.storage().read();
        // SAFETY: the lock is held for the copy, and `View` checks the dtype.
        let view = unsafe { View::new(self.storage().as_ptr(), self.layout(), self.dtype()) };
        Ok(view.to_slice::<T>()?.into_owned())
    }
}

impl<K: Kind> Tensor<K> {
    pub fn dtype(&self) -> DType {
        self.inner.data.dtype
    }
    pub fn device(&self) -> Device {
        Device::Cpu
    }
    pub fn layout(&self) -> &Layout {
        &self.inner.data.layout
    }
    pub fn shape(&self) -> &[usize] {
        &self.inner.data.layout.shape
    }
    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape().len()
    }
    pub fn numel(&self) -> usize {
        self.inner.data.layout.numel()
    }
    pub fn meta(&self) -> (Shape, DType) {
        (SmallVec::from_slice(self.shape()), self.dtype())
    }
    pub fn storage(&self) -> &Storage {
        &self.inner.data.storage
    }
    pub fn data(&self) -> &Data {
        &self.inner.data
    }
    /// How many times the elements were written in place.
    pub fn version(&self) -> u32 {
        self.storage().version()
    }
    pub fn view_of(&self) -> Option<&ViewOf> {
        self.inner.view.as_deref()
    }
    /// The tensor that this is a view of, or itself.
    pub fn base(&self) -> &Tensor {
        self.view_of().map_or(self.erase(), ViewOf::base)
    }
    pub fn grad_meta(&self) -> Option<&GradMeta> {
        self.inner.grad.get().map(|b| &**b)
    }
    pub(crate) fn inner_grad_meta(&self) -> Option<&std::sync::Arc<GradMeta>> {
        self.inner.grad.get()
    }
    pub fn grad_meta_or_init(&self) -> &GradMeta {
        self.shared_grad_meta()
    }
    pub fn shared_grad_meta(&self) -> &std::sync::Arc<GradMeta> {
        self.inner.grad.get_or_init(std::sync::Arc::default)
    }
    /// The handle that all operations take.
    pub fn erase(&self) -> &Tensor {
        // SAFETY: `Tensor<K>` is an `Arc<Inner>` for every `K`.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }
    pub fn same(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
    pub fn shares_storage(&self, other: &Tensor) -> bool {
        std::ptr::eq(self.storage(), other.storage())
    }
    /// Whether elements of both may lie in one place.
    pub fn overlaps(&self, other: &Tensor) -> bool {
        let range = |t: &Tensor| t.layout().reach().unwrap_or((0, -1));
        let ((a, b), (c, d)) = (range(self.erase()), range(other));
        let (n, m) = (self.dtype().size() as isize, other.dtype().size() as isize);
        self.same(other) || self.shares_storage(other) && a * n < (d + 1) * m && c * m < (b + 1) * n
    }
    /// An address that no other live tensor has.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.inner) as usize
    }
    pub fn contiguous(&self) -> Result<Self> {
        ops::contiguous(self.erase())?.kind()
    }
}
