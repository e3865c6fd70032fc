//! Elements as numbers that stand in their order, beside their places.

use half::{bf16, f16};
use std::ops::BitXor;

/// An element whose order is that of a number of at most 64 bits: numbers first, what is none last, zeros alike.
pub trait Key: Copy + Send + Sync + 'static {
    type Bits: Bits;
    fn key(self) -> Self::Bits;
    /// Whether the elements of a line differ in the upper digits of their keys for the most part.
    const SPREAD: bool = false;
    /// Whether it is not a number.
    fn is_nothing(self) -> bool {
        false
    }
}

macro_rules! keys {
    ($($t:ty, $bits:ty, |$x:ident| $key:expr $(, $nothing:expr)?;)*) => {$(
        impl Key for $t {
            type Bits = $bits;
            #[inline(always)]
            fn key(self) -> $bits { let $x = self; $key }
            $(
                const SPREAD: bool = true;
                fn is_nothing(self) -> bool { let $x = self; $nothing }
            )?
        }
    )*};
}
keys! {
    bool, u32, |x| u32::from(x);
    u8, u32, |x| u32::from(x);
    u16, u32, |x| u32::from(x);
    u32, u32, |x| x;
    u64, u64, |x| x;
    i8, u32, |x| u32::from(x as u8 ^ 0x80);
    i16, u32, |x| u32::from(x as u16 ^ 0x8000);
    i32, u32, |x| x as u32 ^ 0x8000_0000;
    i64, u64, |x| x as u64 ^ 1 << 63;
    f16, u32, |x| x.to_f32().key(), x.is_nan();
    bf16, u32, |x| x.to_f32().key(), x.is_nan();
    f32, u32, |x| {
        // The sum of both zeros is the positive one.
        let bits = (x + 0.0).to_bits();
        let ordered = bits ^ ((bits as i32 >> 31) as u32 | 0x8000_0000);
        if x.is_nan() { u32::MAX } else { ordered }
    }, x.is_nan();
    f64, u64, |x| {
        let bits = (x + 0.0).to_bits();
        let ordered = bits ^ ((bits as i64 >> 63) as u64 | 1 << 63);
        if x.is_nan() { u64::MAX } else { ordered }
    }, x.is_nan();
}

/// The number by which an element is ordered.
pub trait Bits: Copy + Ord + Default + Send + Sync + BitXor<Output = Self> + 'static {
    const MAX: Self;
    /// Of lines of at most 2^32 elements.
    type Short: Entry<Bits = Self>;
    /// Digits of 8 bits.
    const DIGITS: u32;
    fn digit(self, d: u32) -> usize;
}

impl Bits for u32 {
    const MAX: u32 = u32::MAX;
    type Short = u64;
    const DIGITS: u32 = 4;
    #[inline(always)]
    fn digit(self, d: u32) -> usize {
        (self >> (8 * d)) as usize & 255
    }
}

impl Bits for u64 {
    const MAX: u64 = u64::MAX;
    type Short = (u64, u64);
    const DIGITS: u32 = 8;
    #[inline(always)]
    fn digit(self, d: u32) -> usize {
        (self >> (8 * d)) as usize & 255
    }
}

/// A key and the place of its element, in the order of which both stand.
pub trait Entry: Copy + Ord + Default + Send {
    type Bits: Bits;
    fn new(key: Self::Bits, place: usize) -> Self;
    fn key(self) -> Self::Bits;
    fn place(self) -> usize;
}

/// 32 bits of each, in one number.
impl Entry for u64 {
    type Bits = u32;
    #[inline(always)]
    fn new(key: u32, place: usize) -> u64 {
        u64::from(key) << 32 | place as u64
    }
    #[inline(always)]
    fn key(self) -> u32 {
        (self >> 32) as u32
    }
    #[inline(always)]
    fn place(self) -> usize {
        self as u32 as usize
    }
}

impl<B: Bits> Entry for (B, u64) {
    type Bits = B;
    #[inline(always)]
    fn new(key: B, place: usize) -> (B, u64) {
        (key, place as u64)
    }
    #[inline(always)]
    fn key(self) -> B {
        self.0
    }
    #[inline(always)]
    fn place(self) -> usize {
        self.1 as usize
    }
}
