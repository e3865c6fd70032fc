//! How calls report: the status that a caller passes, and the last error of each thread.
use super::handle::{self, Handle, Live};
use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tenflowers_core::TensorError;

/// How a call ended.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the C header")]
pub enum TF_Code {
    /// It did what was asked.
    TF_OK = 0,
    /// An error of no other class.
    TF_ERROR = 1,
    /// Shapes that do not go together.
    TF_SHAPE_ERROR = 2,
    /// Dtypes that do not go together.
    TF_DTYPE_ERROR = 3,
    /// A dimension that the tensor does not have.
    TF_AXIS_ERROR = 4,
    /// An index outside its dimension, or of the wrong form.
    TF_INDEX_ERROR = 5,
    /// A value that the operation cannot take.
    TF_ARGUMENT_ERROR = 6,
    /// Missing or unknown arguments of an operation, or ones of a wrong type.
    TF_CALL_ERROR = 7,
    /// What gradients do not allow.
    TF_GRADIENT_ERROR = 8,
    /// What is not implemented for these arguments.
    TF_UNSUPPORTED = 9,
    /// A device that is not there.
    TF_DEVICE_ERROR = 10,
    /// More memory than there is.
    TF_OUT_OF_MEMORY = 11,
    /// A file that cannot be read or written.
    TF_FILE_ERROR = 12,
    /// The end of a long computation was asked for.
    TF_INTERRUPTED = 13,
    /// An operation that does not exist.
    TF_NOT_FOUND = 14,
    /// NULL where a pointer is needed.
    TF_NULL_POINTER = 15,
    /// A handle that was freed, or never was one.
    TF_INVALID_HANDLE = 16,
    /// A fault of the library itself.
    TF_INTERNAL_ERROR = 17,
}

/// Why a call failed, as C hears of it.
#[derive(Debug)]
pub struct Failure {
    pub code: TF_Code,
    pub message: String,
}

impl Failure {
    pub fn new(code: TF_Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }
    pub fn null(entry: &str, what: &str) -> Self {
        Failure::new(TF_Code::TF_NULL_POINTER, format!("{entry}: '{what}' is NULL"))
    }
    pub fn argument(entry: &str, what: impl std::fmt::Display) -> Self {
        Failure::new(TF_Code::TF_ARGUMENT_ERROR, format!("{entry}: {what}"))
    }
    fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let what = format!("an internal error, please report it: {}", text.unwrap_or("a panic without a message"));
        Failure::new(TF_Code::TF_INTERNAL_ERROR, what)
    }
}

impl From<TensorError> for Failure {
    fn from(e: TensorError) -> Self {
        let code = match &e {
            TensorError::Shape { .. } => TF_Code::TF_SHAPE_ERROR,
            TensorError::DType { .. } => TF_Code::TF_DTYPE_ERROR,
            TensorError::Axis { .. } => TF_Code::TF_AXIS_ERROR,
            TensorError::Index { .. } | TensorError::Indexing { .. } => TF_Code::TF_INDEX_ERROR,
            TensorError::Call { .. } => TF_Code::TF_CALL_ERROR,
            TensorError::Argument { .. } => TF_Code::TF_ARGUMENT_ERROR,
            TensorError::Grad { .. } => TF_Code::TF_GRADIENT_ERROR,
            TensorError::Unsupported { .. } => TF_Code::TF_UNSUPPORTED,
            TensorError::Device { .. } => TF_Code::TF_DEVICE_ERROR,
            TensorError::OutOfMemory { .. } => TF_Code::TF_OUT_OF_MEMORY,
            TensorError::File { .. } => TF_Code::TF_FILE_ERROR,
            TensorError::Interrupted => TF_Code::TF_INTERRUPTED,
            _ => TF_Code::TF_ERROR,
        };
        Failure::new(code, e.to_string())
    }
}

/// A code and its text. Success has no text, and costs no allocation.
struct Report {
    code: TF_Code,
    text: Option<CString>,
}

impl Report {
    const OK: Report = Report { code: TF_Code::TF_OK, text: None };

    fn of(failure: &Failure) -> Self {
        // A zero would end the text early for C.
        Report { code: failure.code, text: CString::new(failure.message.replace('\0', "\\0")).ok() }
    }
    fn text(&self) -> *const c_char {
        self.text.as_deref().unwrap_or(c"").as_ptr()
    }
}

/// Takes the outcome of a call. Use one status in one thread at a time.
pub struct TF_Status(Mutex<Report>);

impl Handle for TF_Status {
    const TYPE: &'static str = "TF_Status";
    fn live() -> &'static Live {
        static LIVE: Live = Live::new();
        &LIVE
    }
}

impl TF_Status {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local!(static LAST: RefCell<Report> = const { RefCell::new(Report::OK) });

/// Forgets the last error of this thread. It fails only while the thread ends, when there is none.
pub fn forget() {
    let _ = LAST.try_with(|last| last.replace(Report::OK));
}

/// What every entry runs in: catches panics, tells the status how the call ended, and remembers an error as this
/// thread's last one. A call with a status that is not live does nothing but report that.
pub fn guard<T>(status: *mut TF_Status, failed: T, work: impl FnOnce() -> Result<T, Failure>) -> T {
    let checked = || {
        if !status.is_null() {
            handle::with(status, "this call", "status", |_| ())?;
        }
        work()
    };
    match catch_unwind(AssertUnwindSafe(checked)) {
        Ok(Ok(value)) => {
            if !status.is_null() {
                report(status, Report::OK);
            }
            value
        }
        Ok(Err(failure)) => {
            fail(status, &failure);
            failed
        }
        Err(panic) => {
            fail(status, &Failure::of_panic(&*panic));
            failed
        }
    }
}

/// A status that was deleted meanwhile has nobody to read it.
fn report(status: *mut TF_Status, report: Report) {
    let _ = handle::with(status, "this call", "status", |s| *s.report() = report);
}

#[cold]
fn fail(status: *mut TF_Status, failure: &Failure) {
    if !status.is_null() {
        report(status, Report::of(failure));
    }
    let _ = LAST.try_with(|last| last.replace(Report::of(failure)));
}

/// A new status, which says `TF_OK`. Free it with `tf_delete_status`.
#[unsafe(no_mangle)]
pub extern "C" fn tf_new_status() -> *mut TF_Status {
    guard(std::ptr::null_mut(), std::ptr::null_mut(), || Ok(handle::give(TF_Status(Mutex::new(Report::OK)))))
}

/// Frees a status; NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_delete_status(status: *mut TF_Status) {
    guard(std::ptr::null_mut(), (), || handle::release(status, "tf_delete_status", "status", |_| true))
}

/// How the last call that was given this status ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_get_status_code(status: *const TF_Status) -> TF_Code {
    let work = || handle::with(status, "tf_get_status_code", "status", |s| s.report().code);
    guard(std::ptr::null_mut(), TF_Code::TF_INVALID_HANDLE, work)
}

/// What went wrong in the last call that was given this status, or "". The text is good until the status is used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_get_status_message(status: *const TF_Status) -> *const c_char {
    let work = || handle::with(status, "tf_get_status_message", "status", |s| s.report().text());
    let text = guard(std::ptr::null_mut(), std::ptr::null(), work);
    if text.is_null() { tf_last_error() } else { text }
}

/// The message of the last call of this thread that failed, or "". Calls that succeed leave it as it is. The text is
/// good until the next failure.
#[unsafe(no_mangle)]
pub extern "C" fn tf_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().text()).unwrap_or(c"".as_ptr())
}

/// The code of the last call of this thread that failed, or `TF_OK`.
#[unsafe(no_mangle)]
pub extern "C" fn tf_last_error_code() -> TF_Code {
    LAST.try_with(|last| last.borrow().code).unwrap_or(TF_Code::TF_OK)
}

/// Forgets the last error of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn tf_clear_last_error() {
    forget();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_like_any_other() {
        let status = tf_new_status();
        assert_eq!(guard(status, 7, || -> Result<i32, Failure> { panic!("for this test") }), 7);
        // SAFETY: a live status.
        assert_eq!(unsafe { tf_get_status_code(status) }, TF_Code::TF_INTERNAL_ERROR);
        // SAFETY: as above; the text ends with a zero.
        let text = unsafe { std::ffi::CStr::from_ptr(tf_get_status_message(status)) };
        assert_eq!(text, c"an internal error, please report it: for this test");
        assert_eq!(tf_last_error_code(), TF_Code::TF_INTERNAL_ERROR);
        assert_eq!(guard(status, 7, || Ok(8)), 8);
        // SAFETY: as above.
        unsafe {
            assert_eq!(tf_get_status_code(status), TF_Code::TF_OK);
            tf_delete_status(status);
        }
    }
}
