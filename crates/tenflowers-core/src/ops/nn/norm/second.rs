//! The derivative of the way back through a normalisation, in operations.
use super::wide;
use crate::error::Result;
use crate::ops::{mean, reshape_to, sum, to_dtype};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// How a normalisation sees its input: in a shape, with dimensions over which it takes means, and the shape in which
/// parameters are broadcast to it.
pub(super) struct Shapes {
    pub view: SmallVec<[usize; 6]>,
    pub dims: SmallVec<[i64; 4]>,
    pub params: SmallVec<[usize; 6]>,
}

pub(super) struct Second {
    pub shapes: Shapes,
    pub centered: bool,
    pub eps: f64,
    /// The mean and the variance where they did not come from the input.
    pub fixed: Option<[Tensor; 2]>,
}

impl Second {
    /// From the gradient `g` of the result, the input and the weight, and the gradients of what the way back gave for
    /// input, weight and bias: the gradients of `g`, the input and the weight.
    ///
    /// With `xh` the normalised input, `r` its factor, `m` the mean and `P(v) = r (v - m(v) - xh m(v xh))`, the way back
    /// gives `P(g w)`, and the sums of `g xh` and `g`. `P` is symmetric, and the derivative of `sum(a xh)` is `P(a)`.
    pub fn run(
        &self,
        g: &Tensor,
        x: &Tensor,
        weight: Option<&Tensor>,
        grads: [Option<&Tensor>; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        let Shapes { view, dims, params } = &self.shapes;
        let dtype = wide(x.dtype());
        let seen = |t: &Tensor, shape: &[usize]| reshape_to(&to_dtype(t, dtype)?, shape);
        let param = |t: Option<&Tensor>| t.map(|t| seen(t, params)).transpose();
        let m = |t: &Tensor| mean(t, Some(dims), true, None);
        let (g4, x4, w) = (seen(g, view)?, seen(x, view)?, param(weight)?);
        let [h, hw, hb] = [grads[0].map(|h| seen(h, view)).transpose()?, param(grads[1])?, param(grads[2])?];

        let (xh, r) = if let Some([mean, variance]) = &self.fixed {
            let r = seen(variance, params)?.add(self.eps)?.rsqrt()?;
            (x4.sub(&seen(mean, params)?)?.mul(&r)?, r)
        } else {
            let apart = if self.centered { x4.sub(&m(&x4)?)? } else { x4.clone() };
            let r = m(&apart.mul(&apart)?)?.add(self.eps)?.rsqrt()?;
            (apart.mul(&r)?, r)
        };
        let p = |v: &Tensor| -> Result<Tensor> {
            if self.fixed.is_some() {
                return v.mul(&r);
            }
            let level = if self.centered { v.sub(&m(v)?)? } else { v.clone() };
            level.sub(&xh.mul(&m(&v.mul(&xh)?)?)?)?.mul(&r)
        };
        let weighted = |t: &Tensor| w.as_ref().map_or(Ok(t.clone()), |w| t.mul(w));
        let sum_all = |terms: Vec<Tensor>| -> Result<Option<Tensor>> {
            let mut terms = terms.into_iter();
            let Some(first) = terms.next() else { return Ok(None) };
            terms.try_fold(first, |a, b| a.add(&b)).map(Some)
        };

        let (mut of_g, mut of_x, mut of_w) = (vec![], vec![], None);
        if let Some(h) = &h {
            let v = weighted(&g4)?;
            let ph = p(h)?;
            of_g.push(weighted(&ph)?);
            if let Some(weight) = weight {
                let over: SmallVec<[i64; 4]> =
                    (0..params.len()).filter(|&d| params[d] == 1).map(|d| d as i64).collect();
                let summed = sum(&g4.mul(&ph)?, Some(&over), true, None)?;
                of_w = Some(reshape_to(&summed, weight.shape())?);
            }
            if self.fixed.is_none() {
                let (vx, hx) = (m(&v.mul(&xh)?)?, m(&h.mul(&xh)?)?);
                let mut q = m(&h.mul(&v)?)?.sub(&hx.mul(&vx)?)?;
                if self.centered {
                    q = q.sub(&m(h)?.mul(&m(&v)?)?)?;
                }
                let turned = ph.mul(&vx)?.add(&p(&v)?.mul(&hx)?)?.add(&xh.mul(&r)?.mul(&q)?)?;
                of_x.push(turned.mul(&r)?.neg()?);
            }
        }
        if let Some(hw) = &hw {
            of_g.push(xh.mul(hw)?);
            of_x.push(p(&g4.mul(hw)?)?);
        }
        if let Some(hb) = &hb {
            of_g.push(crate::ops::view::expand_to(hb, view)?);
        }
        let back = |t: Option<Tensor>| t.map(|t| reshape_to(&t, x.shape())).transpose();
        Ok([back(sum_all(of_g)?)?, back(sum_all(of_x)?)?, of_w])
    }
}
