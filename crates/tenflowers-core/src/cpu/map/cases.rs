//! Functions with a kernel for most numbers, and another for the rest.
use super::super::simd::{Lanes, vectorize};
use super::super::{View, ViewMut};
use super::drive::{BLOCK, Block, Rows, Run, drive};
use super::{apart, each, has_loop, kinds};
use crate::dtype::Element;
use crate::error::Result;

/// Elements that are looked at together by `map_moderate`.
const GROUP: usize = 64;

/// As `map` of one input, by `f` for groups of elements that are all moderate, and by `full`, which is slower and has the same
/// results for these, for other groups.
pub fn map_moderate<T: Element, U: Element>(
    input: &View,
    out: &mut ViewMut,
    moderate: impl Fn(T) -> bool + Sync + Copy,
    f: impl Fn(Lanes, T) -> U + Sync + Copy,
    full: impl Fn(Lanes, T) -> U + Sync + Copy,
) -> Result<()> {
    let block = |ins: &[Run], to: &Rows| {
        for (row, start) in to.starts().enumerate() {
            let (from, start) = (ins[0].nth(row).at.cast::<T>(), start.cast::<U>());
            vectorize(
                #[inline(always)]
                |lanes| {
                    // SAFETY: the driver hands over runs of as many elements.
                    unsafe {
                        if size_of::<T>() == size_of::<U>() && std::ptr::addr_eq(from, start) {
                            each_moderate::<T, U, 1>(lanes, from, start, to.len, moderate, f, full);
                        } else {
                            each_moderate::<T, U, 0>(lanes, from, start, to.len, moderate, f, full);
                        }
                    }
                },
            );
        }
    };
    // SAFETY: the types are those of the block.
    unsafe { drive(&[*input], &[T::ELEMENT], out, U::ELEMENT, Block { run: &block, fixed: false }) }
}

/// The loop of `map_moderate`.
///
/// # Safety
/// As of `each`.
#[inline(always)]
unsafe fn each_moderate<T: Copy, U, const SAME: usize>(
    lanes: Lanes,
    from: *const T,
    to: *mut U,
    n: usize,
    moderate: impl Fn(T) -> bool + Copy,
    f: impl Fn(Lanes, T) -> U + Copy,
    full: impl Fn(Lanes, T) -> U + Copy,
) {
    let whole = n / GROUP * GROUP;
    // SAFETY: the caller's word.
    unsafe {
        for at in (0..whole).step_by(GROUP) {
            let (from, to) = ([from.add(at)], to.add(at));
            let mut others = 0u32;
            for i in 0..GROUP {
                others |= u32::from(!moderate(*from[0].add(i)));
            }
            if others == 0 {
                let read = |i: usize| if SAME == 1 { *to.add(i).cast::<T>() } else { *from[0].add(i) };
                // Two at a time: most functions are chains of operations, each of which waits for the one before it.
                for i in 0..GROUP / 2 {
                    let (a, b) = (f(lanes, read(i)), f(lanes, read(i + GROUP / 2)));
                    to.add(i).write(a);
                    to.add(i + GROUP / 2).write(b);
                }
            } else {
                each::<T, U, 1, 0, SAME>(
                    lanes,
                    from,
                    to,
                    GROUP,
                    #[inline(always)]
                    |lanes, [x]| full(lanes, x),
                );
            }
        }
        each::<T, U, 1, 0, SAME>(
            lanes,
            [from.add(whole)],
            to.add(whole),
            n - whole,
            #[inline(always)]
            |lanes, [x]| full(lanes, x),
        );
    }
}

/// As `map`, for an `f` that is right where `near` holds: elements elsewhere are computed by `far`, one by one.
pub fn map_near<T: Element, U: Element, const N: usize>(
    inputs: [&View; N],
    out: &mut ViewMut,
    near: impl Fn([T; N]) -> bool + Sync + Copy,
    f: impl Fn(Lanes, [T; N]) -> U + Sync + Copy,
    far: impl Fn([T; N]) -> U + Sync,
) -> Result<()> {
    let views = inputs.map(|v| *v);
    // Pieces that are still in the first cache when they are looked at for the second time.
    let piece = |ins: &[Run], start: *mut U, n: usize| {
        let far_ones = vectorize(
            #[inline(always)]
            |lanes| {
                let mut here = [std::ptr::null::<T>(); N];
                for (k, here) in here.iter_mut().enumerate() {
                    *here = ins[k].at.cast();
                }
                // SAFETY: the driver hands over runs of as many elements, and there is a loop for them.
                unsafe {
                    match kinds(ins, &Rows::one(start.cast(), n)).0 {
                        0 => each_near::<T, U, N, 0>(lanes, here, start, n, near, f),
                        1 if N == 2 => each_near::<T, U, N, 1>(lanes, here, start, n, near, f),
                        _ if N == 2 => each_near::<T, U, N, 2>(lanes, here, start, n, near, f),
                        _ => unreachable!("there is a loop for them"),
                    }
                }
            },
        );
        for i in 0..if far_ones == 0 { 0 } else { n } {
            let mut x = [T::default(); N];
            for (x, run) in x.iter_mut().zip(ins) {
                // SAFETY: as above.
                *x = unsafe { *run.at.cast::<T>().add(if run.fixed { 0 } else { i }) };
            }
            if !near(x) {
                // SAFETY: as above.
                unsafe { start.add(i).write(far(x)) };
            }
        }
    };
    let plain = |ins: &[Run], to: &Rows| {
        for (row, start) in to.starts().enumerate() {
            for done in (0..to.len).step_by(BLOCK) {
                let mut here = [Run::NONE; N];
                for (here, run) in here.iter_mut().zip(ins) {
                    let skipped = if run.fixed { 0 } else { done * size_of::<T>() };
                    *here = Run { at: run.nth(row).at.wrapping_add(skipped), fixed: run.fixed, next: 0 };
                }
                piece(&here, start.cast::<U>().wrapping_add(done), BLOCK.min(to.len - done));
            }
        }
    };
    let block = |ins: &[Run], to: &Rows| match kinds(ins, to) {
        // The output is not an input: that one is needed after it is written.
        kinds @ (_, 0) if has_loop(N, kinds) => plain(ins, to),
        _ => apart(size_of::<T>(), ins, to, size_of::<U>(), &plain),
    };
    // SAFETY: the types are those of the block, which knows operands of one value as long as there are two.
    unsafe { drive(&views, &[T::ELEMENT; N], out, U::ELEMENT, Block { run: &block, fixed: N <= 2 }) }
}

/// The loop of `map_near`, and for how many elements it is not right. All comes by value, so that nothing has to be read
/// again after a store.
///
/// # Safety
/// As of `each`.
#[inline(always)]
unsafe fn each_near<T: Copy, U, const N: usize, const FIXED: usize>(
    lanes: Lanes,
    from: [*const T; N],
    to: *mut U,
    n: usize,
    near: impl Fn([T; N]) -> bool + Copy,
    f: impl Fn(Lanes, [T; N]) -> U + Copy,
) -> u32 {
    let mut far_ones = 0u32;
    // SAFETY: the caller's word.
    unsafe {
        each::<T, U, N, FIXED, 0>(lanes, from, to, n, f);
        let mut x = [*from[0]; N];
        for k in 1..N {
            x[k] = *from[k];
        }
        for i in 0..n {
            for k in 0..N {
                if FIXED >> k & 1 == 0 {
                    x[k] = *from[k].add(i);
                }
            }
            far_ones = far_ones.wrapping_add(u32::from(!near(x)));
        }
    }
    far_ones
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::tests::each_isa;
    use crate::dtype::DType;
    use crate::layout::Layout;

    #[test]
    fn a_group_is_computed_in_full_where_one_of_it_is_not_moderate() {
        each_isa(|isa| {
            for n in [1, GROUP - 1, GROUP, 3 * GROUP + 5] {
                let layout = Layout::contiguous(&[n]);
                for (far, in_place) in (0..n).flat_map(|i| [(i, false), (i, true)]) {
                    let x: Vec<f32> = (0..n).map(|i| if i == far { f32::NAN } else { i as f32 }).collect();
                    let mut y = x.clone();
                    let to = y.as_mut_ptr().cast::<u8>();
                    let from = if in_place { to.cast_const() } else { x.as_ptr().cast() };
                    // SAFETY: as many elements are in each.
                    let (from, mut to) =
                        unsafe { (View::new(from, &layout, DType::F32), ViewMut::new(to, &layout, DType::F32)) };
                    map_moderate(&from, &mut to, |x: f32| x < 1e6, |_, x| 2.0 * x, |_, x: f32| x.max(-1.0) + 0.5)
                        .unwrap();
                    for (i, y) in y.into_iter().enumerate() {
                        let full = i / GROUP == far / GROUP || i >= n / GROUP * GROUP;
                        let expected = match i {
                            _ if i == far => -0.5,
                            _ if full => i as f32 + 0.5,
                            _ => 2.0 * i as f32,
                        };
                        assert_eq!(y, expected, "{isa:?}: {i} of {n}, in place: {in_place}");
                    }
                }
            }
        });
    }
}
