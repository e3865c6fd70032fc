//! Complex numbers as they lie in memory: what the real parts of A, and what the imaginary ones, make of pairs of B.

use super::Scheme;
use crate::cpu::gemm::Product;
use crate::cpu::gemm::lanes::Lanes;
use crate::cpu::number::Number;
use num_complex::Complex;
use std::marker::PhantomData;

/// Numbers of which the parts are lanes of `V`.
pub(in crate::cpu::gemm) struct Pairs<V, F, W>(PhantomData<(V, F, W)>);

impl<V, F, W> Scheme for Pairs<V, F, W>
where
    V: Lanes + 'static,
    Complex<V::Elem>: Product,
    F: Lanes<Elem = f32> + 'static,
    W: Lanes<Elem = f64> + 'static,
{
    type Elem = Complex<V::Elem>;
    type Word = Complex<V::Elem>;
    type Columns = V;
    /// A's real parts times B, and its imaginary ones times B, still to be turned by a quarter.
    type Sums = (V, V);
    type Total = Complex<V::Elem>;
    type Four = F;
    type Eight = W;
    const GROUP: usize = 1;
    const SAME: bool = true;
    const LANES: usize = V::LANES / 2;
    const MR: usize = match V::MR {
        ..6 => 2,
        6 => 3,
        _ => 6,
    };

    #[inline(always)]
    fn word(at: impl Fn(usize) -> Self::Elem) -> Self::Word {
        at(0)
    }
    #[inline(always)]
    unsafe fn load(b: *const Self::Word) -> V {
        // SAFETY: the caller's word; a complex number is its two parts.
        unsafe { V::load(b.cast()) }
    }
    #[inline(always)]
    unsafe fn zero() -> (V, V) {
        use crate::cpu::gemm::lanes::Float;
        // SAFETY: the caller's word.
        unsafe { (V::splat(V::Elem::ZERO), V::splat(V::Elem::ZERO)) }
    }
    #[inline(always)]
    unsafe fn step((re, im): (V, V), a: *const Self::Word, b: V) -> (V, V) {
        // SAFETY: the caller's word.
        unsafe { (re.fma(V::splat((*a).re), b), im.fma(V::splat((*a).im), b)) }
    }
    #[inline(always)]
    unsafe fn totals((re, im): (V, V), to: *mut Self::Total) {
        use crate::cpu::gemm::lanes::Float;
        let zero = Complex::new(V::Elem::ZERO, V::Elem::ZERO);
        let (mut x, mut y) = ([zero; 8], [zero; 8]);
        // SAFETY: the caller's word; no vector has more than 16 lanes.
        unsafe {
            re.store(x.as_mut_ptr().cast());
            im.store(y.as_mut_ptr().cast());
            for j in 0..Self::LANES {
                *to.add(j) = Complex::new(x[j].re - y[j].im, x[j].im + y[j].re);
            }
        }
    }
    #[inline(always)]
    unsafe fn finish(totals: *const Self::Total, onto: Option<*const Self::Elem>, c: *mut Self::Elem, n: usize) {
        for j in 0..n {
            // SAFETY: the caller's word.
            unsafe {
                *c.add(j) = onto.map_or(
                    *totals.add(j),
                    #[inline(always)]
                    |d| (*totals.add(j)).plus(*d.add(j)),
                )
            };
        }
    }
}
