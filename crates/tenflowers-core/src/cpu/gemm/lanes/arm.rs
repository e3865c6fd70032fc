//! Vectors of NEON.

use super::Lanes;
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(crate) struct F32x4(float32x4_t);
#[derive(Clone, Copy)]
pub(crate) struct F64x2(float64x2_t);

/// NEON has no masked moves: the first lanes go through an array.
macro_rules! partial {
    ($n:literal) => {
        #[inline(always)]
        unsafe fn load_first(p: *const Self::Elem, n: usize) -> Self {
            let mut lanes = [0.0; $n];
            // SAFETY: `n` elements can be read, by the caller's word, and the array has room for them.
            unsafe {
                std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n.min($n));
                Self::load(lanes.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn load_between(p: *const Self::Elem, low: usize, high: usize) -> Self {
            if (low, high) == (0, $n) {
                // SAFETY: the caller's word.
                return unsafe { Self::load(p) };
            }
            let mut lanes = [0.0; $n];
            // SAFETY: lanes from `low` to `high` can be read, by the caller's word.
            unsafe {
                for i in low..high.min($n) {
                    lanes[i] = p.wrapping_add(i).read();
                }
                Self::load(lanes.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut Self::Elem, n: usize) {
            let mut lanes = [0.0; $n];
            // SAFETY: `n` elements can be written, by the caller's word.
            unsafe {
                self.store(lanes.as_mut_ptr());
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n.min($n));
            }
        }
        #[inline(always)]
        unsafe fn transpose(src: *const Self::Elem, src_row: isize, dst: *mut Self::Elem, dst_row: usize) {
            // SAFETY: the caller's word.
            unsafe { super::transpose_4x4(src, src_row, dst, dst_row) }
        }
    };
}

impl Lanes for F32x4 {
    type Elem = f32;
    const LANES: usize = 4;
    const MR: usize = 8;
    const NV: usize = 3;
    const SIDE: usize = 4;
    intrinsics!(vdupq_n_f32 vld1q_f32 vst1q_f32 vaddq_f32 fma(c, a, b) => vfmaq_f32(c, a, b));
    partial!(4);
}

impl Lanes for F64x2 {
    type Elem = f64;
    const LANES: usize = 2;
    const MR: usize = 8;
    const NV: usize = 3;
    const SIDE: usize = 4;
    intrinsics!(vdupq_n_f64 vld1q_f64 vst1q_f64 vaddq_f64 fma(c, a, b) => vfmaq_f64(c, a, b));
    partial!(2);
}
