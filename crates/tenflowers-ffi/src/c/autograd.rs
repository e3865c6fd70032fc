//! Derivatives in C.
use super::status::{TF_Status, guard};
use super::tensor::{TF_Tensor, give, take};
use std::ffi::c_int;
use std::ptr::null_mut;
use tenflowers_autograd::{Options, backward};
use tenflowers_core::grad;

/// Whether gradients are recorded for a tensor; false after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_requires_grad(tensor: *const TF_Tensor, status: *mut TF_Status) -> bool {
    guard(status, false, || Ok(take(tensor, "tf_requires_grad", "tensor")?.requires_grad()))
}

/// Has the gradient of a tensor recorded from here on, or, with `on` = 0, no longer. Only floating point and complex
/// tensors have gradients, and only what no operation made can lose them. Returns whether it worked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_set_requires_grad(tensor: *mut TF_Tensor, on: c_int, status: *mut TF_Status) -> bool {
    guard(status, false, || {
        take(tensor, "tf_set_requires_grad", "tensor")?.require_grad(on != 0)?;
        Ok(true)
    })
}

/// Adds the gradients of `tensor` to those of all tensors that it was computed from and that require them; `tf_grad`
/// reads them. Returns whether it worked.
///
/// `gradient` weighs the elements of `tensor` and has its shape; for a tensor of one element it may be NULL. What was
/// recorded is used up.
///
/// ```c
/// tf_set_requires_grad(x, 1);
/// TF_Tensor *square = tf_mul(x, x);
/// tf_backward(square, NULL);
/// TF_Tensor *gradient = tf_grad(x);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_backward(
    tensor: *const TF_Tensor,
    gradient: *const TF_Tensor,
    status: *mut TF_Status,
) -> bool {
    guard(status, false, || {
        let t = take(tensor, "tf_backward", "tensor")?;
        let seed = if gradient.is_null() { None } else { Some(take(gradient, "tf_backward", "gradient")?) };
        backward(&[t], &[seed], Options::default(), None)?;
        Ok(true)
    })
}

/// The gradient that was added up for a tensor, or NULL with `TF_OK` if there is none yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_grad(tensor: *const TF_Tensor, status: *mut TF_Status) -> *mut TF_Tensor {
    guard(status, null_mut(), || Ok(take(tensor, "tf_grad", "tensor")?.grad().map_or(null_mut(), give)))
}

/// Whether this thread's operations are recorded for derivatives, as they are to begin with.
#[unsafe(no_mangle)]
pub extern "C" fn tf_is_grad_enabled() -> bool {
    grad::is_enabled()
}

/// Has this thread's operations recorded for derivatives, or not, and returns how it was before.
///
/// ```c
/// bool before = tf_set_grad_enabled(0);
/// // ... nothing is recorded here
/// tf_set_grad_enabled(before);
/// ```
#[unsafe(no_mangle)]
pub extern "C" fn tf_set_grad_enabled(on: c_int) -> bool {
    grad::set_enabled(on != 0)
}
