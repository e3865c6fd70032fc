//! Where elements are not zero.
use crate::cpu::{View, pool, vec_for};
use crate::dtype::Element;
use crate::error::Result;
use std::ops::Range;

/// Elements a task, and a block of it.
const GRAIN: usize = 1 << 15;
const BLOCK: usize = 1 << 10;

/// The flat indices of the elements that are not zero, in row-major order.
pub fn positions<T: Element>(x: &View) -> Result<Vec<i64>> {
    let (values, zero) = (x.to_slice::<T>()?, T::default());
    let chunks = values.len().div_ceil(GRAIN);
    let part = |i: usize| &values[i * GRAIN..values.len().min((i + 1) * GRAIN)];
    let mut starts = vec_for(chunks + 1)?;
    starts.resize(chunks + 1, 0usize);
    let counts = pool::Parts::new(&mut starts[1..]);
    pool::parallel(chunks, &|i| {
        let count = part(i).iter().map(|v| usize::from(*v != zero)).sum();
        // SAFETY: each chunk writes its own.
        unsafe { counts.part(i..i + 1)[0] = count };
    })?;
    (0..chunks).for_each(|i| starts[i + 1] += starts[i]);
    let mut all: Vec<i64> = vec_for(starts[chunks])?;
    all.resize(starts[chunks], 0);
    let places = pool::Parts::new(&mut all);
    pool::parallel(chunks, &|i| {
        // SAFETY: each chunk writes its own.
        let to = unsafe { places.part(starts[i]..starts[i + 1]) };
        let mut done = 0;
        for (b, block) in part(i).chunks(BLOCK).enumerate() {
            let (mut found, mut n) = ([0i64; BLOCK], 0);
            let first = (i * GRAIN + b * BLOCK) as i64;
            // Every index is written, and stays where its element is not zero: no branch to mispredict.
            for (at, v) in (first..).zip(block) {
                found[n] = at;
                n += usize::from(*v != zero);
            }
            to[done..done + n].copy_from_slice(&found[..n]);
            done += n;
        }
    })?;
    Ok(all)
}

/// Cuts flat indices, which ascend, into those of one row each: hands their range, the index of the row, and the flat index of
/// its first element to `put`.
pub fn by_rows(positions: &[i64], shape: &[usize], mut put: impl FnMut(Range<usize>, &[i64], i64)) {
    let Some((last, outer)) = shape.split_last() else { return };
    let last = *last as i64;
    let mut index = vec![0; outer.len()];
    let mut at = 0;
    while at < positions.len() {
        let row = positions[at] / last;
        let end = at + positions[at..].iter().take_while(|p| **p < (row + 1) * last).count();
        let mut rest = row;
        for (i, &n) in index.iter_mut().zip(outer).rev() {
            *i = rest % n as i64;
            rest /= n as i64;
        }
        put(at..end, &index, row * last);
        at = end;
    }
}
