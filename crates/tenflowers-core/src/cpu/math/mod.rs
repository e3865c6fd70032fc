//! Functions of real numbers that vectorise: no branches, no tables, no calls, so that LLVM turns a loop over them into
//! vector code for whatever instruction set the loop is compiled for.
//!
//! They are methods of [`Lanes`], which a kernel gets from `vectorize`: `lanes.exp(x)`.
use super::simd::Lanes;

mod exp;

/// A type that the functions are written for.
pub trait Real: num_traits::Float {
    fn exp(self, lanes: Lanes) -> Self;
}

impl Lanes {
    /// e to the power of `x`.
    #[inline(always)]
    pub fn exp<T: Real>(self, x: T) -> T {
        Real::exp(x, self)
    }
}

#[cfg(test)]
mod tests {
    use crate::cpu::simd::tests::each_isa;
    use crate::cpu::simd::vectorize;

    /// The distance from the true value in units in the last place of the result.
    fn ulps(found: f32, true_value: f64) -> f64 {
        if f64::from(found) == true_value || found.is_nan() && true_value.is_nan() {
            return 0.0;
        }
        let rounded = true_value as f32;
        if rounded.is_infinite() || found.is_infinite() {
            return if rounded == found { 0.0 } else { f64::INFINITY };
        }
        let step = f64::from(rounded.abs().next_up()) - f64::from(rounded.abs());
        (f64::from(found) - true_value).abs() / step
    }

    #[test]
    fn exp_is_within_two_ulps() {
        each_isa(|isa| {
            let all: Vec<f32> = (0..=u32::MAX / 997).map(|i| f32::from_bits(i * 997)).collect();
            let mut out = vec![0.0; all.len()];
            vectorize(
                #[inline(always)]
                |lanes| out.iter_mut().zip(&all).for_each(|(y, &x)| *y = lanes.exp(x)),
            );
            let worst = all.iter().zip(&out).map(|(&x, &y)| (ulps(y, f64::from(x).exp()), x));
            let worst = worst.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            assert!(worst.0 <= 2.0, "{isa:?}: {worst:?}");
        });
    }
}
