//! What the sums of a pass are made of: where a tile reads, and which of it goes into the sum for each position of the
//! target that an output stands for.

use super::stripe::Stripe;

pub(super) struct Terms {
    /// Terms of a channel, in all sums together.
    pub taps: usize,
    /// Where a tile reads in a stripe, channel by channel, and how often in each: what several sums read, once.
    pub reads: Vec<isize>,
    pub each: usize,
    /// A sum for each position, down and then across.
    pub sums: Vec<Sum>,
}

pub(super) struct Sum {
    /// Terms of a channel, and those of the sums before this one.
    pub taps: usize,
    pub before: usize,
    /// Where the weights of a channel's terms are in its kernel.
    pub kernel: Vec<usize>,
    /// Where each term is in a stripe, and in a panel of what was read from one.
    pub in_stripe: Vec<isize>,
    pub in_panel: Vec<isize>,
}

impl Terms {
    /// For so many channels at a time, kernels of that width, and panels with rows of that many elements.
    pub fn new(stripe: &Stripe, channels: usize, kernel_width: usize, panel_width: usize) -> Terms {
        let [vertical, horizontal] = stripe.axes;
        let mut reads = Vec::new();
        let mut taken = 0;
        let positions = (0..vertical.spread).flat_map(|i| (0..horizontal.spread).map(move |j| (i, j)));
        let mut sums: Vec<_> = positions
            .map(|(down, across)| {
                let (mut kernel, mut places) = (Vec::new(), Vec::new());
                for i in vertical.taps.iter().filter(|tap| tap.to == down) {
                    for j in horizontal.taps.iter().filter(|tap| tap.to == across) {
                        kernel.push(i.kernel * kernel_width + j.kernel);
                        let at = stripe.offset(0, i, j);
                        places.push(reads.iter().position(|&read| read == at).unwrap_or_else(|| {
                            reads.push(at);
                            reads.len() - 1
                        }));
                    }
                }
                let before = taken;
                taken += kernel.len();
                (Sum { taps: kernel.len(), before, kernel, in_stripe: Vec::new(), in_panel: Vec::new() }, places)
            })
            .collect();
        let each = reads.len();
        let place = |channel: usize, read: usize| (channel * stripe.channel()) as isize + reads[read];
        for (sum, places) in &mut sums {
            for channel in 0..channels {
                sum.in_stripe.extend(places.iter().map(|&read| place(channel, read)));
                sum.in_panel.extend(places.iter().map(|read| ((channel * each + read) * panel_width) as isize));
            }
        }
        let all = (0..channels).flat_map(|channel| (0..each).map(move |read| (channel, read)));
        let all = all.map(|(channel, read)| place(channel, read)).collect();
        Terms { taps: taken, reads: all, each, sums: sums.into_iter().map(|(sum, _)| sum).collect() }
    }
}
