//! Tensors in C: making them, and reading what they hold.
use super::handle::{self, Handle, Live};
use super::status::{Failure, TF_Status, guard};
use super::value::items;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use tenflowers_core::schema::Size;
use tenflowers_core::storage::lock;
use tenflowers_core::{DType, Tensor, ops};

/// The type of a tensor's elements.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the C header")]
pub enum TF_DataType {
    /// What `tf_dtype` returns where there is no tensor.
    TF_INVALID_DTYPE = -1,
    /// One byte, 0 or 1.
    TF_BOOL = 0,
    TF_UINT8 = 1,
    TF_UINT16 = 2,
    TF_UINT32 = 3,
    TF_UINT64 = 4,
    TF_INT8 = 5,
    TF_INT16 = 6,
    TF_INT32 = 7,
    TF_INT64 = 8,
    /// IEEE's 16 bits.
    TF_FLOAT16 = 9,
    /// The upper 16 bits of a float32.
    TF_BFLOAT16 = 10,
    TF_FLOAT32 = 11,
    TF_FLOAT64 = 12,
    /// Two float32: the real part, then the imaginary one.
    TF_COMPLEX64 = 13,
    /// Two float64.
    TF_COMPLEX128 = 14,
}

/// A `TF_DataType` as C passes it: any number.
pub type DataTypeCode = i32;

/// The numbers stay the same whatever the order in the core is.
const DTYPES: [(TF_DataType, DType); 15] = [
    (TF_DataType::TF_BOOL, DType::Bool),
    (TF_DataType::TF_UINT8, DType::U8),
    (TF_DataType::TF_UINT16, DType::U16),
    (TF_DataType::TF_UINT32, DType::U32),
    (TF_DataType::TF_UINT64, DType::U64),
    (TF_DataType::TF_INT8, DType::I8),
    (TF_DataType::TF_INT16, DType::I16),
    (TF_DataType::TF_INT32, DType::I32),
    (TF_DataType::TF_INT64, DType::I64),
    (TF_DataType::TF_FLOAT16, DType::F16),
    (TF_DataType::TF_BFLOAT16, DType::BF16),
    (TF_DataType::TF_FLOAT32, DType::F32),
    (TF_DataType::TF_FLOAT64, DType::F64),
    (TF_DataType::TF_COMPLEX64, DType::C64),
    (TF_DataType::TF_COMPLEX128, DType::C128),
];

pub fn dtype(code: DataTypeCode, entry: &str) -> Result<DType, Failure> {
    let found = DTYPES.iter().find(|(c, _)| *c as i32 == code).map(|(_, d)| *d);
    found.ok_or_else(|| Failure::argument(entry, format_args!("{code} is no TF_DataType")))
}

/// A tensor: a handle that is counted. Each function that returns one gives a reference to the caller, who frees it
/// with `tf_free_tensor`.
pub struct TF_Tensor {
    references: AtomicUsize,
    tensor: Tensor,
}

impl Handle for TF_Tensor {
    const TYPE: &'static str = "TF_Tensor";
    fn live() -> &'static Live {
        static LIVE: Live = Live::new();
        &LIVE
    }
}

/// Hands a tensor to C.
pub fn give(tensor: Tensor) -> *mut TF_Tensor {
    handle::give(TF_Tensor { references: AtomicUsize::new(1), tensor })
}

/// The tensor that C passes.
pub fn take(pointer: *const TF_Tensor, entry: &str, what: &str) -> Result<Tensor, Failure> {
    handle::with(pointer, entry, what, |t| t.tensor.clone())
}

/// As many as NumPy takes. It keeps a wrong count from reading far beyond an array.
const MOST_DIMS: usize = 64;

/// # Safety
/// `shape` holds `ndim` numbers, or is NULL.
unsafe fn sizes(shape: *const usize, ndim: usize, entry: &str) -> Result<Vec<i64>, Failure> {
    if ndim > MOST_DIMS {
        return Err(Failure::argument(entry, format_args!("{ndim} dimensions are more than {MOST_DIMS}")));
    }
    // SAFETY: the caller's.
    let shape = unsafe { items(shape, ndim, entry, "shape")? };
    let size = |&n: &usize| {
        i64::try_from(n).map_err(|_| Failure::argument(entry, format_args!("a dimension of {n} is too large")))
    };
    shape.iter().map(size).collect()
}

/// # Safety
/// As [`sizes`].
unsafe fn filled(
    entry: &'static str,
    shape: (*const usize, usize),
    code: DataTypeCode,
    status: *mut TF_Status,
    make: impl FnOnce(Size<'_>, DType) -> tenflowers_core::Result<Tensor>,
) -> *mut TF_Tensor {
    guard(status, null_mut(), || {
        // SAFETY: the caller's.
        let sizes = unsafe { sizes(shape.0, shape.1, entry)? };
        Ok(give(make(Size(&sizes), dtype(code, entry)?)?))
    })
}

/// A tensor of zeros, of the `ndim` sizes in `shape` (none for a single number).
///
/// ```c
/// size_t shape[] = {2, 3};
/// TF_Tensor *a = tf_zeros(shape, 2, TF_FLOAT32);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_zeros(
    shape: *const usize,
    ndim: usize,
    dtype: DataTypeCode,
    status: *mut TF_Status,
) -> *mut TF_Tensor {
    // SAFETY: the header's contract: `shape` holds `ndim` numbers.
    unsafe {
        filled("tf_zeros", (shape, ndim), dtype, status, |size, dtype| ops::zeros(size, Some(dtype), None, false))
    }
}

/// A tensor of ones, of the `ndim` sizes in `shape` (none for a single number).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_ones(
    shape: *const usize,
    ndim: usize,
    dtype: DataTypeCode,
    status: *mut TF_Status,
) -> *mut TF_Tensor {
    // SAFETY: the header's contract: `shape` holds `ndim` numbers.
    unsafe { filled("tf_ones", (shape, ndim), dtype, status, |size, dtype| ops::ones(size, Some(dtype), None, false)) }
}

/// A tensor with a copy of the `len` bytes at `data`: its elements in row-major order, the last index fastest.
///
/// `len` has to be the size of the shape's elements. Any byte but 0 is true to `TF_BOOL`.
///
/// ```c
/// float data[] = {1, 2, 3, 4};
/// size_t shape[] = {2, 2};
/// TF_Tensor *a = tf_tensor_from_data(data, sizeof data, shape, 2, TF_FLOAT32);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_tensor_from_data(
    data: *const c_void,
    len: usize,
    shape: *const usize,
    ndim: usize,
    dtype: DataTypeCode,
    status: *mut TF_Status,
) -> *mut TF_Tensor {
    const ENTRY: &str = "tf_tensor_from_data";
    guard(status, null_mut(), || {
        // SAFETY: the header's contract: `data` holds `len` bytes, `shape` holds `ndim` numbers.
        let (bytes, sizes) = unsafe { (items(data.cast::<u8>(), len, ENTRY, "data")?, sizes(shape, ndim, ENTRY)?) };
        let dtype = self::dtype(dtype, ENTRY)?;
        let tensor = ops::zeros(Size(&sizes), Some(dtype), None, false)?;
        check_len(ENTRY, &tensor, len)?;
        let locks = lock(&[], &[tensor.storage()]);
        let to = tensor.storage().as_ptr();
        // SAFETY: new, of `len` bytes, and nobody else has it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        if dtype == DType::Bool {
            // SAFETY: as above; as bytes, because not every byte is a bool.
            unsafe { std::slice::from_raw_parts_mut(to, len) }.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
        drop(locks);
        Ok(give(tensor))
    })
}

fn first_element(t: &Tensor) -> *mut u8 {
    t.storage().as_ptr().wrapping_add(t.layout().offset * t.dtype().size())
}

fn bytes_of(t: &Tensor) -> usize {
    t.numel() * t.dtype().size()
}

fn check_len(entry: &str, t: &Tensor, len: usize) -> Result<(), Failure> {
    if len == bytes_of(t) {
        return Ok(());
    }
    let (shape, dtype, bytes) = (t.shape(), t.dtype(), bytes_of(t));
    Err(Failure::argument(entry, format_args!("{len} bytes were given, {shape:?} of {dtype} has {bytes}")))
}

/// One more reference to a tensor; returns the same pointer. It has to be freed once more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_retain(tensor: *mut TF_Tensor) -> *mut TF_Tensor {
    guard(null_mut(), null_mut(), || {
        handle::with(tensor, "tf_retain", "tensor", |t| t.references.fetch_add(1, Ordering::Relaxed))?;
        Ok(tensor)
    })
}

/// Gives one reference to a tensor back; with the last one the tensor is freed. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_free_tensor(tensor: *mut TF_Tensor) {
    let last = |t: &TF_Tensor| t.references.fetch_sub(1, Ordering::Relaxed) == 1;
    guard(null_mut(), (), || handle::release(tensor, "tf_free_tensor", "tensor", last));
}

/// The number of dimensions, or -1 after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_ndim(tensor: *const TF_Tensor, status: *mut TF_Status) -> i64 {
    guard(status, -1, || Ok(take(tensor, "tf_ndim", "tensor")?.rank() as i64))
}

/// Writes the sizes of all dimensions to `dims`, which has place for `n_dims` of them; that may be more than there are.
/// Returns whether it worked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_shape(
    tensor: *const TF_Tensor,
    dims: *mut usize,
    n_dims: usize,
    status: *mut TF_Status,
) -> bool {
    const ENTRY: &str = "tf_shape";
    guard(status, false, || {
        let t = take(tensor, ENTRY, "tensor")?;
        let shape = t.shape();
        if n_dims < shape.len() {
            let what = format_args!("the tensor has {} dimensions, 'dims' has place for {n_dims}", shape.len());
            return Err(Failure::argument(ENTRY, what));
        }
        if dims.is_null() && !shape.is_empty() {
            return Err(Failure::null(ENTRY, "dims"));
        }
        for (i, &n) in shape.iter().enumerate() {
            // SAFETY: the header's contract: place for `n_dims` numbers, of which these are the first.
            unsafe { dims.add(i).write(n) };
        }
        Ok(true)
    })
}

/// The number of elements, or -1 after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_numel(tensor: *const TF_Tensor, status: *mut TF_Status) -> i64 {
    guard(status, -1, || Ok(take(tensor, "tf_numel", "tensor")?.numel() as i64))
}

/// The number of bytes that the elements take, or -1 after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_nbytes(tensor: *const TF_Tensor, status: *mut TF_Status) -> i64 {
    guard(status, -1, || Ok(bytes_of(&take(tensor, "tf_nbytes", "tensor")?) as i64))
}

/// The type of the elements, or `TF_INVALID_DTYPE` after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_dtype(tensor: *const TF_Tensor, status: *mut TF_Status) -> TF_DataType {
    guard(status, TF_DataType::TF_INVALID_DTYPE, || {
        let dtype = take(tensor, "tf_dtype", "tensor")?.dtype();
        Ok(DTYPES.iter().find(|(_, d)| *d == dtype).map_or(TF_DataType::TF_INVALID_DTYPE, |(c, _)| *c))
    })
}

/// The elements themselves, in row-major order: good as long as the tensor is, and never NULL unless there is an error.
///
/// The tensor has to be contiguous; `tf_copy_to` reads every tensor, and the operation "contiguous" makes one of it.
/// Derivatives do not notice what is written through the pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_data_ptr(tensor: *const TF_Tensor, status: *mut TF_Status) -> *mut c_void {
    const ENTRY: &str = "tf_data_ptr";
    guard(status, null_mut(), || {
        let t = take(tensor, ENTRY, "tensor")?;
        let layout = t.layout();
        if !layout.is_contiguous() {
            let what =
                format_args!("the tensor, {:?} with strides {:?}, is not contiguous", layout.shape, layout.strides);
            return Err(Failure::argument(ENTRY, what));
        }
        Ok(first_element(&t).cast())
    })
}

/// Copies the elements, in row-major order, to the `len` bytes at `buffer`. `len` has to be what `tf_nbytes` says.
/// Returns whether it worked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_copy_to(
    tensor: *const TF_Tensor,
    buffer: *mut c_void,
    len: usize,
    status: *mut TF_Status,
) -> bool {
    const ENTRY: &str = "tf_copy_to";
    guard(status, false, || {
        let t = take(tensor, ENTRY, "tensor")?;
        if buffer.is_null() && len > 0 {
            return Err(Failure::null(ENTRY, "buffer"));
        }
        check_len(ENTRY, &t, len)?;
        if len == 0 {
            return Ok(true);
        }
        let t = t.detach().contiguous()?;
        let _lock = lock(&[t.storage()], &[]);
        // SAFETY: a contiguous tensor of `len` bytes, read under its lock; `buffer` has place for as many, by the
        // header's contract, and may be that very memory.
        unsafe { std::ptr::copy(first_element(&t), buffer.cast::<u8>(), len) };
        Ok(true)
    })
}
