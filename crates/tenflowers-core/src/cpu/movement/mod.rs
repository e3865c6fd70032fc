//! Elements moved by place and by index. These kernels know the size of an element, and its dtype only where they add.
mod along;
mod copy;
mod index;
mod nonzero;
mod triangle;

pub use along::{Scatter, gather, scatter};
pub use copy::{copy, zero};
pub use index::{Lookup, index, index_put, index_sum};
pub use nonzero::{by_rows, positions};
pub use triangle::triangle;

/// Runs the body with `$T` bound to an unsigned integer of a size in bytes.
macro_rules! by_size {
    ($size:expr, $T:ident => $body:expr) => {
        match $size {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            8 => {
                type $T = u64;
                $body
            }
            // Complex128 is aligned to 8 bytes only.
            _ => {
                type $T = [u64; 2];
                $body
            }
        }
    };
}

use by_size;

/// A run of at least one `T`, by `T`s; the last one may overlap the one before.
///
/// # Safety
/// The bytes are there on both sides, which are the same or apart.
#[inline(always)]
unsafe fn by_pieces<T: Copy>(from: *const u8, to: *mut u8, bytes: usize) {
    let size = size_of::<T>();
    // SAFETY: the caller's word.
    unsafe {
        let mut at = 0;
        while at + size <= bytes {
            to.add(at).cast::<T>().write_unaligned(from.add(at).cast::<T>().read_unaligned());
            at += size;
        }
        if at < bytes {
            at = bytes - size;
            to.add(at).cast::<T>().write_unaligned(from.add(at).cast::<T>().read_unaligned());
        }
    }
}
