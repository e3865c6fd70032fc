//! Operations under names of their own, as C programs like them; `tf_op` has all of them.
use super::registry;
use super::status::{TF_Status, guard};
use super::tensor::{TF_Tensor, give, take};
use std::ptr::null_mut;

/// Runs an operation on tensors.
fn on(
    entry: &'static str,
    operation: &str,
    inputs: &[(*const TF_Tensor, &str)],
    status: *mut TF_Status,
) -> *mut TF_Tensor {
    guard(status, null_mut(), || {
        let tensors = inputs.iter().map(|(t, what)| take(*t, entry, what)).collect::<Result<Vec<_>, _>>()?;
        registry::on_tensors(operation, tensors).map(give)
    })
}

/// `a + b`, shapes broadcast and dtypes promoted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_add(a: *const TF_Tensor, b: *const TF_Tensor, status: *mut TF_Status) -> *mut TF_Tensor {
    on("tf_add", "add", &[(a, "a"), (b, "b")], status)
}

/// `a - b`, shapes broadcast and dtypes promoted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_sub(a: *const TF_Tensor, b: *const TF_Tensor, status: *mut TF_Status) -> *mut TF_Tensor {
    on("tf_sub", "sub", &[(a, "a"), (b, "b")], status)
}

/// `a * b`, element by element, shapes broadcast and dtypes promoted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_mul(a: *const TF_Tensor, b: *const TF_Tensor, status: *mut TF_Status) -> *mut TF_Tensor {
    on("tf_mul", "mul", &[(a, "a"), (b, "b")], status)
}

/// The matrix product of two tensors of one dtype: `[..., n, k]` by `[..., k, m]` gives `[..., n, m]`.
///
/// ```c
/// TF_Status *status = tf_new_status();
/// TF_Tensor *c = tf_matmul(a, b, status);
/// if (tf_get_status_code(status) != TF_OK) printf("Error: %s\n", tf_get_status_message(status));
/// tf_delete_status(status);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_matmul(a: *const TF_Tensor, b: *const TF_Tensor, status: *mut TF_Status) -> *mut TF_Tensor {
    on("tf_matmul", "matmul", &[(a, "a"), (b, "b")], status)
}

/// Each element, or 0 where it is negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tf_relu(tensor: *const TF_Tensor, status: *mut TF_Status) -> *mut TF_Tensor {
    on("tf_relu", "relu", &[(tensor, "tensor")], status)
}
