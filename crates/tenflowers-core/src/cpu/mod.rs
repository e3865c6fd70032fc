//! Kernels on memory and layouts. Nothing here knows what a tensor is.
pub mod accumulate;
pub mod adaptive_pooling;
pub mod alloc;
pub(crate) mod attention;
mod cache;
pub mod cast;
pub mod conv;
mod convert;
pub mod cross_entropy;
pub mod dense;
pub mod division;
pub mod gemm;
pub mod map;
pub mod math;
pub mod movement;
pub mod norm;
pub mod number;
pub mod optim;
pub mod philox;
pub mod pool;
pub mod pooling;
pub mod random;
pub mod reduce;
pub(crate) mod rnn;
pub mod scan;
pub mod sequence;
pub mod simd;
pub mod softmax;
pub mod sort;
pub mod transpose;
pub mod walk;

use crate::dtype::{DType, Element};
use crate::error::{Result, TensorError};
use crate::layout::Layout;
use std::marker::PhantomData;

/// Elements that a kernel reads. The storage stays locked while it lives.
#[derive(Clone, Copy)]
pub struct View<'a> {
    ptr: *const u8,
    pub layout: &'a Layout,
    pub dtype: DType,
}

/// Elements that a kernel writes.
pub struct ViewMut<'a> {
    ptr: *mut u8,
    pub layout: &'a Layout,
    pub dtype: DType,
    exclusive: PhantomData<&'a mut u8>,
}

// SAFETY: a view is a borrow of locked memory; kernels share it among the threads of one operation, which the pool ends
// before the kernel returns.
unsafe impl Sync for View<'_> {}
// SAFETY: as above; kernels write disjoint elements from different threads.
unsafe impl Sync for ViewMut<'_> {}

impl<'a> View<'a> {
    /// # Safety
    /// `ptr` is the start of a storage that holds `dtype`s, covers `layout`, and is not written for `'a` but by the kernel.
    pub unsafe fn new(ptr: *const u8, layout: &'a Layout, dtype: DType) -> Self {
        View { ptr, layout, dtype }
    }
    /// A look at a slice.
    ///
    /// # Panics
    /// If the layout reaches beyond the slice.
    pub fn of_slice<T: Element>(values: &'a [T], layout: &'a Layout) -> Self {
        let within = |(low, high): (isize, isize)| low >= 0 && (high as usize) < values.len();
        assert!(layout.reach().is_none_or(within), "a layout within its slice");
        // SAFETY: the slice is borrowed for as long as the view lives.
        unsafe { View::new(values.as_ptr().cast(), layout, T::ELEMENT) }
    }
    /// The element that index 0 names.
    pub fn start(&self) -> *const u8 {
        self.ptr.wrapping_add(self.layout.offset * self.dtype.size())
    }
    pub fn ptr<T: Element>(&self) -> *const T {
        debug_assert_eq!(self.dtype, T::ELEMENT);
        self.start().cast()
    }
    /// All elements, where they lie in one run.
    pub fn slice<T: Element>(&self) -> Option<&'a [T]> {
        assert_eq!(self.dtype, T::ELEMENT);
        let n = self.layout.numel();
        if n == 0 {
            return Some(&[]);
        }
        // SAFETY: as `new` asks, and the run is as long as the layout says.
        self.layout.is_contiguous().then(|| unsafe { std::slice::from_raw_parts(self.ptr(), n) })
    }
    /// The elements, copied into one run where they are not in one.
    pub fn to_slice<T: Element>(&self) -> Result<std::borrow::Cow<'a, [T]>> {
        Ok(match self.slice::<T>() {
            Some(s) => s.into(),
            None => {
                let mut all = vec_for(self.layout.numel())?;
                walk::Walk::new(&self.layout.shape, &[&self.layout.strides]).all(&mut |at, step, n| {
                    let p = self.ptr::<T>();
                    // SAFETY: the walk stays within the layout.
                    all.extend((0..n as isize).map(|i| unsafe { *p.offset(at[0] + i * step[0]) }));
                });
                all.into()
            }
        })
    }
}

impl<'a> ViewMut<'a> {
    /// # Safety
    /// As `View::new`, and nothing but the kernel reads or writes the storage for `'a`.
    pub unsafe fn new(ptr: *mut u8, layout: &'a Layout, dtype: DType) -> Self {
        ViewMut { ptr, layout, dtype, exclusive: PhantomData }
    }
    pub fn start(&self) -> *mut u8 {
        self.ptr.wrapping_add(self.layout.offset * self.dtype.size())
    }
    pub fn ptr<T: Element>(&mut self) -> *mut T {
        debug_assert_eq!(self.dtype, T::ELEMENT);
        self.start().cast()
    }
    /// All elements, where they lie in one run: always for an output that is new.
    pub fn slice<T: Element>(&mut self) -> Option<&mut [T]> {
        assert_eq!(self.dtype, T::ELEMENT);
        let n = self.layout.numel();
        if n == 0 {
            return Some(&mut []);
        }
        // SAFETY: as `new` asks, and the run is as long as the layout says.
        self.layout.is_contiguous().then(|| unsafe { std::slice::from_raw_parts_mut(self.ptr(), n) })
    }
    /// The elements of an output that the operation has just made.
    pub fn fresh<T: Element>(&mut self) -> &mut [T] {
        self.slice().expect("an output that is new lies in one run")
    }
}

/// Room for `n` elements, or the error that there is none.
pub fn vec_for<T>(n: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|_| TensorError::no_memory(n.saturating_mul(size_of::<T>())))?;
    Ok(v)
}
