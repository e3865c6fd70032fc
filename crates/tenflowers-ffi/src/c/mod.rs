//! The C library. Its entries, with their comments, become `include/tenflowers.h`.
//!
//! Every entry runs inside [`status::guard`], which catches panics and reports errors. Handles are looked up among the
//! live ones ([`handle`]) before they are read; for all other pointers the caller answers, as the header says.
#![allow(non_camel_case_types, reason = "the names are those of the C header")]
#![allow(clippy::missing_safety_doc, reason = "the header states once what all pointers have to be")]

mod handle;

// In the order of the header.
pub mod status;

pub mod tensor;

pub mod ops;

pub mod value;

mod registry;

pub mod autograd;

use status::{Failure, TF_Code, guard};
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicBool, Ordering};
use tenflowers_core::cpu::pool;

/// Whether `tf_cleanup` ended the threads, so that `tf_init` has to allow them again.
static CLEANED: AtomicBool = AtomicBool::new(false);

/// Gets the library ready. It may be called again, and left out: the first call that needs something makes it.
///
/// Returns `TF_OK`, or `TF_ARGUMENT_ERROR` if the environment's `TF_NUM_THREADS` is no positive integer.
#[unsafe(no_mangle)]
pub extern "C" fn tf_init() -> TF_Code {
    let work = || {
        registry::prepare();
        if CLEANED.swap(false, Ordering::AcqRel) {
            tenflowers_core::set_num_threads(0)?;
        }
        pool::requested().map_err(|what| Failure::new(TF_Code::TF_ARGUMENT_ERROR, format!("tf_init: {what}")))?;
        Ok(TF_Code::TF_OK)
    };
    guard(std::ptr::null_mut(), TF_Code::TF_ARGUMENT_ERROR, work)
}

/// Ends the library's threads and forgets this thread's last error. Tensors that are still there stay good until they
/// are freed.
#[unsafe(no_mangle)]
pub extern "C" fn tf_cleanup() {
    guard(std::ptr::null_mut(), (), || {
        CLEANED.store(true, Ordering::Release);
        tenflowers_core::set_num_threads(1)?;
        status::forget();
        Ok(())
    });
}

/// The version of the library, such as "0.1.0". The text lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn tf_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a version has no zero in it"),
    };
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    /// A function that takes a status can be called without it, by a macro that knows how many arguments come before.
    #[test]
    fn every_status_may_be_left_out() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include/tenflowers.h");
        let text = std::fs::read_to_string(path).unwrap();
        let code =
            text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect::<String>();
        let header = code.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut found = 0;
        for part in header.split(';') {
            let Some((head, params)) = part.split_once('(').filter(|(_, p)| p.ends_with("TF_Status *status)")) else {
                continue;
            };
            let name = head.rsplit([' ', '*']).next().unwrap();
            let before = params.matches(',').count();
            if before == 0 {
                // The functions of the status itself.
                continue;
            }
            let expected = format!("#define {name}(...) TF_STATUS_AFTER_{before}_({name}, __VA_ARGS__)");
            assert!(header.contains(&expected), "cbindgen.toml needs: {expected}");
            found += 1;
        }
        assert!(found > 15, "the header has lost its functions");
    }
}
