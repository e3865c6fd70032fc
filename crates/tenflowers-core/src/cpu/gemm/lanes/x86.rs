//! Vectors of x86-64: AVX-512, and AVX2 with FMA.

use super::Lanes;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);
#[derive(Clone, Copy)]
pub(crate) struct F64x8(__m512d);
#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);
#[derive(Clone, Copy)]
pub(crate) struct F64x4(__m256d);

/// The window of 8 that begins at `8 - n` has `n` lanes set.
static MASK_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
static MASK_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

/// The moves of some lanes, with the mask in a register of its own.
macro_rules! masked_512 {
    ($mask:ident $load:ident $store:ident) => {
        #[inline(always)]
        unsafe fn load_first(p: *const Self::Elem, n: usize) -> Self {
            // SAFETY: the mask leaves out what the caller does not vouch for.
            Self(unsafe { $load(((1u32 << n) - 1) as $mask, p) })
        }
        #[inline(always)]
        unsafe fn load_between(p: *const Self::Elem, low: usize, high: usize) -> Self {
            let mask = ((1u32 << high) - 1) & !((1u32 << low) - 1);
            // SAFETY: as above.
            Self(unsafe { $load(mask as $mask, p) })
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut Self::Elem, n: usize) {
            // SAFETY: as above.
            unsafe { $store(p, ((1u32 << n) - 1) as $mask, self.0) }
        }
    };
}

/// The moves of some of `$n` lanes, with the mask in a vector.
macro_rules! masked_256 {
    ($n:literal $masks:ident $load:ident $store:ident) => {
        #[inline(always)]
        unsafe fn load_first(p: *const Self::Elem, n: usize) -> Self {
            // SAFETY: no more than the lanes, and the mask leaves out what the caller does not vouch for.
            Self(unsafe { $load(p, _mm256_loadu_si256($masks.as_ptr().add($n - n).cast())) })
        }
        #[inline(always)]
        unsafe fn load_between(p: *const Self::Elem, low: usize, high: usize) -> Self {
            // SAFETY: as above.
            unsafe {
                let mask = |n: usize| _mm256_loadu_si256($masks.as_ptr().add($n - n).cast());
                Self($load(p, _mm256_andnot_si256(mask(low), mask(high))))
            }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut Self::Elem, n: usize) {
            // SAFETY: as above.
            unsafe { $store(p, _mm256_loadu_si256($masks.as_ptr().add($n - n).cast()), self.0) }
        }
    };
}

/// Halves from two places, and the upper one in the place of the lower.
macro_rules! halves {
    ($insert:ident $widen:ident $load:ident $permute:ident $upper:literal) => {
        const HALVES: bool = true;
        #[inline(always)]
        unsafe fn join(low: *const Self::Elem, high: *const Self::Elem) -> Self {
            // SAFETY: the caller's word.
            Self(unsafe { $insert::<1>($widen($load(low)), $load(high)) })
        }
        #[inline(always)]
        unsafe fn upper(self) -> Self {
            // SAFETY: the caller's word.
            Self(unsafe { $permute::<$upper>(self.0, self.0) })
        }
    };
}

impl Lanes for F32x16 {
    type Elem = f32;
    const LANES: usize = 16;
    const MR: usize = 14;
    const NV: usize = 2;
    const SIDE: usize = 8;
    intrinsics!(_mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps
        fma(c, a, b) => _mm512_fmadd_ps(a, b, c));
    halves!(_mm512_insertf32x8 _mm512_castps256_ps512 _mm256_loadu_ps _mm512_shuffle_f32x4 0b1110);
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: the caller's word.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
            let half = |at| Self(_mm512_permutex2var_ps(self.0, at, other.0));
            (half(low), half(high))
        }
    }
    masked_512!(__mmask16 _mm512_maskz_loadu_ps _mm512_mask_storeu_ps);
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_8x8(src, src_row, 8, dst, dst_row) }
    }
    #[inline(always)]
    unsafe fn transpose_rows(src: *const f32, src_row: isize, rows: usize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_8x8(src, src_row, rows, dst, dst_row) }
    }
    const SQUARE: usize = 16;
    #[inline(always)]
    unsafe fn turn(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_16x16(src, src_row, dst, dst_row) }
    }
}

impl Lanes for F64x8 {
    type Elem = f64;
    const LANES: usize = 8;
    const MR: usize = 14;
    const NV: usize = 2;
    const SIDE: usize = 4;
    intrinsics!(_mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd
        fma(c, a, b) => _mm512_fmadd_pd(a, b, c));
    halves!(_mm512_insertf64x4 _mm512_castpd256_pd512 _mm256_loadu_pd _mm512_shuffle_f64x2 0b1110);
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: the caller's word.
        unsafe {
            let low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
            let high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
            let half = |at| Self(_mm512_permutex2var_pd(self.0, at, other.0));
            (half(low), half(high))
        }
    }
    masked_512!(__mmask8 _mm512_maskz_loadu_pd _mm512_mask_storeu_pd);
    #[inline(always)]
    unsafe fn transpose(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_4x4(src, src_row, dst, dst_row) }
    }
    const SQUARE: usize = 8;
    #[inline(always)]
    unsafe fn turn(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { wide_transpose_8x8(src, src_row, dst, dst_row) }
    }
}

impl Lanes for F32x8 {
    type Elem = f32;
    const LANES: usize = 8;
    const MR: usize = 6;
    const NV: usize = 2;
    const SIDE: usize = 8;
    intrinsics!(_mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps
        fma(c, a, b) => _mm256_fmadd_ps(a, b, c));
    halves!(_mm256_insertf128_ps _mm256_castps128_ps256 _mm_loadu_ps _mm256_permute2f128_ps 0x11);
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: the caller's word.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(self.0, other.0), _mm256_unpackhi_ps(self.0, other.0));
            (Self(_mm256_permute2f128_ps(low, high, 0x20)), Self(_mm256_permute2f128_ps(low, high, 0x31)))
        }
    }
    masked_256!(8 MASK_32 _mm256_maskload_ps _mm256_maskstore_ps);
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_8x8(src, src_row, 8, dst, dst_row) }
    }
    #[inline(always)]
    unsafe fn transpose_rows(src: *const f32, src_row: isize, rows: usize, dst: *mut f32, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_8x8(src, src_row, rows, dst, dst_row) }
    }
}

impl Lanes for F64x4 {
    type Elem = f64;
    const LANES: usize = 4;
    const MR: usize = 6;
    const NV: usize = 2;
    const SIDE: usize = 4;
    intrinsics!(_mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd
        fma(c, a, b) => _mm256_fmadd_pd(a, b, c));
    halves!(_mm256_insertf128_pd _mm256_castpd128_pd256 _mm_loadu_pd _mm256_permute2f128_pd 0x11);
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> (Self, Self) {
        // SAFETY: the caller's word.
        unsafe {
            let (low, high) = (_mm256_unpacklo_pd(self.0, other.0), _mm256_unpackhi_pd(self.0, other.0));
            (Self(_mm256_permute2f128_pd(low, high, 0x20)), Self(_mm256_permute2f128_pd(low, high, 0x31)))
        }
    }
    masked_256!(4 MASK_64 _mm256_maskload_pd _mm256_maskstore_pd);
    #[inline(always)]
    unsafe fn transpose(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
        // SAFETY: the caller's word.
        unsafe { transpose_4x4(src, src_row, dst, dst_row) }
    }
}

#[inline(always)]
unsafe fn transpose_8x8(src: *const f32, src_row: isize, rows: usize, dst: *mut f32, dst_row: usize) {
    // SAFETY: AVX, and two blocks of `rows` x 8, by the caller's word.
    unsafe {
        // No closures here: one that is not inlined would be compiled without AVX. Loops of known length are unrolled.
        let mut r = [_mm256_setzero_ps(); 8];
        for (i, r) in r.iter_mut().enumerate() {
            if i < rows {
                *r = _mm256_loadu_ps(src.offset(i as isize * src_row));
            }
        }
        let mut s = [r[0]; 8];
        for h in 0..2 {
            let (lo, hi) = (_mm256_unpacklo_ps(r[4 * h], r[4 * h + 1]), _mm256_unpackhi_ps(r[4 * h], r[4 * h + 1]));
            let (lo2, hi2) =
                (_mm256_unpacklo_ps(r[4 * h + 2], r[4 * h + 3]), _mm256_unpackhi_ps(r[4 * h + 2], r[4 * h + 3]));
            s[4 * h] = _mm256_shuffle_ps::<0x44>(lo, lo2);
            s[4 * h + 1] = _mm256_shuffle_ps::<0xEE>(lo, lo2);
            s[4 * h + 2] = _mm256_shuffle_ps::<0x44>(hi, hi2);
            s[4 * h + 3] = _mm256_shuffle_ps::<0xEE>(hi, hi2);
        }
        for j in 0..4 {
            let (low, high) = (
                F32x8(_mm256_permute2f128_ps::<0x20>(s[j], s[j + 4])),
                F32x8(_mm256_permute2f128_ps::<0x31>(s[j], s[j + 4])),
            );
            if rows == 8 {
                low.store(dst.add(j * dst_row));
                high.store(dst.add((j + 4) * dst_row));
            } else {
                low.store_first(dst.add(j * dst_row), rows);
                high.store_first(dst.add((j + 4) * dst_row), rows);
            }
        }
    }
}

#[inline(always)]
unsafe fn transpose_16x16(src: *const f32, src_row: isize, dst: *mut f32, dst_row: usize) {
    // SAFETY: AVX-512, and two blocks of 16 x 16, by the caller's word.
    unsafe {
        let mut r = [_mm512_setzero_ps(); 16];
        for (i, r) in r.iter_mut().enumerate() {
            *r = _mm512_loadu_ps(src.offset(i as isize * src_row));
        }
        // 4 x 4 within the quarters of four rows each, then the quarters among the rows.
        let mut s = r;
        for g in 0..4 {
            let (a, b, c, d) = (r[4 * g], r[4 * g + 1], r[4 * g + 2], r[4 * g + 3]);
            let (ab, ab2) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (cd, cd2) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            s[4 * g] = _mm512_shuffle_ps::<0x44>(ab, cd);
            s[4 * g + 1] = _mm512_shuffle_ps::<0xEE>(ab, cd);
            s[4 * g + 2] = _mm512_shuffle_ps::<0x44>(ab2, cd2);
            s[4 * g + 3] = _mm512_shuffle_ps::<0xEE>(ab2, cd2);
        }
        for k in 0..4 {
            let (a, b, c, d) = (s[k], s[k + 4], s[k + 8], s[k + 12]);
            let (ab, ab2) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
            let (cd, cd2) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xDD>(c, d));
            _mm512_storeu_ps(dst.add(k * dst_row), _mm512_shuffle_f32x4::<0x88>(ab, cd));
            _mm512_storeu_ps(dst.add((k + 4) * dst_row), _mm512_shuffle_f32x4::<0x88>(ab2, cd2));
            _mm512_storeu_ps(dst.add((k + 8) * dst_row), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            _mm512_storeu_ps(dst.add((k + 12) * dst_row), _mm512_shuffle_f32x4::<0xDD>(ab2, cd2));
        }
    }
}

#[inline(always)]
unsafe fn wide_transpose_8x8(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
    // SAFETY: AVX-512, and two blocks of 8 x 8, by the caller's word.
    unsafe {
        let mut r = [_mm512_setzero_pd(); 8];
        for (i, r) in r.iter_mut().enumerate() {
            *r = _mm512_loadu_pd(src.offset(i as isize * src_row));
        }
        let mut s = r;
        for g in 0..4 {
            s[2 * g] = _mm512_unpacklo_pd(r[2 * g], r[2 * g + 1]);
            s[2 * g + 1] = _mm512_unpackhi_pd(r[2 * g], r[2 * g + 1]);
        }
        for k in 0..2 {
            let (a, b, c, d) = (s[k], s[k + 2], s[k + 4], s[k + 6]);
            let (ab, ab2) = (_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xDD>(a, b));
            let (cd, cd2) = (_mm512_shuffle_f64x2::<0x88>(c, d), _mm512_shuffle_f64x2::<0xDD>(c, d));
            _mm512_storeu_pd(dst.add(k * dst_row), _mm512_shuffle_f64x2::<0x88>(ab, cd));
            _mm512_storeu_pd(dst.add((k + 2) * dst_row), _mm512_shuffle_f64x2::<0x88>(ab2, cd2));
            _mm512_storeu_pd(dst.add((k + 4) * dst_row), _mm512_shuffle_f64x2::<0xDD>(ab, cd));
            _mm512_storeu_pd(dst.add((k + 6) * dst_row), _mm512_shuffle_f64x2::<0xDD>(ab2, cd2));
        }
    }
}

#[inline(always)]
unsafe fn transpose_4x4(src: *const f64, src_row: isize, dst: *mut f64, dst_row: usize) {
    // SAFETY: AVX, and two blocks of 4 x 4, by the caller's word.
    unsafe {
        let mut r = [_mm256_setzero_pd(); 4];
        for (i, r) in r.iter_mut().enumerate() {
            *r = _mm256_loadu_pd(src.offset(i as isize * src_row));
        }
        let s = [
            _mm256_unpacklo_pd(r[0], r[1]),
            _mm256_unpackhi_pd(r[0], r[1]),
            _mm256_unpacklo_pd(r[2], r[3]),
            _mm256_unpackhi_pd(r[2], r[3]),
        ];
        for j in 0..2 {
            _mm256_storeu_pd(dst.add(j * dst_row), _mm256_permute2f128_pd::<0x20>(s[j], s[j + 2]));
            _mm256_storeu_pd(dst.add((j + 2) * dst_row), _mm256_permute2f128_pd::<0x31>(s[j], s[j + 2]));
        }
    }
}
