//! Windows, transposed windows and samples in forms that ONNX's own cases lack, beside their plain definitions and, for
//! samples, beside ONNX Runtime 1.31.

use super::{check, floats, longs};
use crate::conformance::noise;
use burst_host::nouns::{Attribute, Element, Tensor};

/// A convolution of any rank: its output is the small side, a transposed one's the large.
struct Form {
    groups: usize,
    /// Of a group, of the input and the output.
    channels: [usize; 2],
    small: Vec<usize>,
    kernel: Vec<usize>,
    large: Vec<usize>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
}

impl Form {
    /// Which element of the small side meets which of the large under which tap.
    fn meetings(&self) -> Vec<[usize; 3]> {
        let mut meetings = vec![[0; 3]];
        for axis in 0..self.kernel.len() {
            let mut longer = Vec::new();
            for [small, tap, large] in meetings {
                for (i, k) in (0..self.small[axis]).flat_map(|i| (0..self.kernel[axis]).map(move |k| (i, k))) {
                    let at = i as i64 * self.strides[axis] + k as i64 * self.dilations[axis] - self.pads[axis];
                    if let Some(at) = usize::try_from(at).ok().filter(|&at| at < self.large[axis]) {
                        let next = |flat, extents: &[usize], at| flat * extents[axis] + at;
                        let met =
                            [next(small, &self.small, i), next(tap, &self.kernel, k), next(large, &self.large, at)];
                        longer.push(met);
                    }
                }
            }
            meetings = longer;
        }
        meetings
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        vec![
            ("strides", longs(&self.strides)),
            ("dilations", longs(&self.dilations)),
            ("pads", longs(&self.pads)),
            ("group", Attribute::Int(self.groups as i64)),
        ]
    }

    async fn check(&self, transposed: bool, mut attributes: Vec<(&'static str, Attribute)>) {
        let [inner, outer] = self.channels;
        let (from, to) = if transposed { (&self.small, &self.large) } else { (&self.large, &self.small) };
        let (before, after) = (from.iter().product::<usize>(), to.iter().product::<usize>());
        let taps: usize = self.kernel.iter().product();
        let extents = |first: usize, second: usize, rest: &[usize]| [&[first, second], rest].concat();
        let x = noise(&extents(2, self.groups * inner, from), 1);
        let first = if transposed { [self.groups * inner, outer] } else { [self.groups * outer, inner] };
        let (w, b) = (noise(&extents(first[0], first[1], &self.kernel), 2), noise(&[self.groups * outer], 3));
        let numbers = |tensor: &Tensor| tensor.to_vec::<f32>().unwrap();
        let (pixels, weights, bias) = (numbers(&x), numbers(&w), numbers(&b));
        let mut y: Vec<f64> = (0..2 * self.groups * outer * after)
            .map(|at| f64::from(bias[at / after % (self.groups * outer)]))
            .collect();
        let meetings = self.meetings();
        for at in 0..2 * self.groups * outer * inner {
            let (c, o, channel) = (at % inner, at / inner % outer, at / inner / outer);
            let family = channel % self.groups;
            let weight = if transposed { (family * inner + c) * outer + o } else { (family * outer + o) * inner + c };
            for &[small, tap, large] in &meetings {
                let (source, place) = if transposed { (small, large) } else { (large, small) };
                let product = pixels[(channel * inner + c) * before + source] * weights[weight * taps + tap];
                y[(channel * outer + o) * after + place] += f64::from(product);
            }
        }
        let y: Vec<f32> = y.into_iter().map(|sum| sum as f32).collect();
        attributes.extend(self.attributes().into_iter().filter(|(name, _)| *name != "pads" || !transposed));
        let expected = floats(&extents(2, self.groups * outer, to), &y);
        let kind = if transposed { "ConvTranspose" } else { "Conv" };
        check(&format!("{kind} of {from:?}"), kind, 17, &attributes, &[("x", x), ("cw", w), ("cb", b)], &[expected])
            .await;
    }
}

fn forms() -> [Form; 3] {
    [
        Form {
            groups: 1,
            channels: [3, 5],
            small: vec![3],
            kernel: vec![4],
            large: vec![11],
            strides: vec![3],
            dilations: vec![2],
            pads: vec![2, 1],
        },
        Form {
            groups: 2,
            channels: [3, 20],
            small: vec![4, 3],
            kernel: vec![3, 2],
            large: vec![8, 11],
            strides: vec![2, 4],
            dilations: vec![1, 2],
            pads: vec![1, 0, 0, 0],
        },
        Form {
            groups: 3,
            channels: [2, 4],
            small: vec![3, 4, 2],
            kernel: vec![2, 3, 3],
            large: vec![6, 6, 4],
            strides: vec![2, 1, 2],
            dilations: vec![1, 2, 1],
            pads: vec![0, 1, 1, 1, 1, 0],
        },
    ]
}

/// Forms without dilation: blocks of pixels, wholly covered and not, cut and longer, and a stride of 1.
fn blocks() -> [Form; 4] {
    let plain = |channels, small: &[usize], kernel: &[usize], large: &[usize], strides: &[i64], pads: &[i64]| Form {
        groups: 2,
        channels,
        small: small.into(),
        kernel: kernel.into(),
        large: large.into(),
        strides: strides.into(),
        dilations: vec![1; kernel.len()],
        pads: pads.into(),
    };
    [
        plain([3, 5], &[4, 3], &[4, 4], &[8, 6], &[2, 2], &[1, 1, 1, 1]),
        plain([2, 20], &[3, 4], &[3, 2], &[6, 8], &[2, 2], &[1, 0, 0, 0]),
        plain([2, 3], &[3], &[3], &[6], &[2], &[1, 1]),
        plain([1, 4], &[4, 5], &[3, 3], &[4, 5], &[1, 1], &[1, 1, 1, 1]),
    ]
}

#[tokio::test]
async fn convolutions_of_every_rank() {
    for form in forms() {
        form.check(false, Vec::new()).await;
    }
}

/// Told by pads and what is added, and by the output alone.
#[tokio::test]
async fn transposed_convolutions_of_every_rank() {
    for form in forms().into_iter().chain(blocks()) {
        let axes = 0..form.kernel.len();
        let whole = |axis: usize| {
            (form.small[axis] as i64 - 1) * form.strides[axis]
                + (form.kernel[axis] as i64 - 1) * form.dilations[axis]
                + 1
        };
        let kept = |axis: usize| form.large[axis] as i64 + form.pads[axis] + form.pads[axis + form.kernel.len()];
        let longer: Vec<i64> = axes.clone().map(|axis| kept(axis) - whole(axis)).collect();
        form.check(true, vec![("pads", longs(&form.pads)), ("output_padding", longs(&longer))]).await;
        let large: Vec<i64> = form.large.iter().map(|&extent| extent as i64).collect();
        let cut = |axis: usize| (whole(axis) - large[axis]).max(0);
        for (rule, less) in [("SAME_UPPER", 0), ("SAME_LOWER", 1), ("NOTSET", 1)] {
            let pads = axes.clone().map(|axis| (cut(axis) + less) / 2).chain(axes.clone().map(|_| 0)).collect();
            let form = Form { pads, ..copy(&form) };
            let rule = Attribute::Text(rule.into());
            form.check(true, vec![("output_shape", longs(&large)), ("auto_pad", rule)]).await;
        }
    }
}

fn copy(form: &Form) -> Form {
    let Form { groups, channels, small, kernel, large, strides, dilations, pads } = form;
    let (small, kernel, large) = (small.clone(), kernel.clone(), large.clone());
    let (strides, dilations, pads) = (strides.clone(), dilations.clone(), pads.clone());
    Form { groups: *groups, channels: *channels, small, kernel, large, strides, dilations, pads }
}

/// Along the rows or, by columns, with the first axis innermost.
#[tokio::test]
async fn the_place_of_the_largest() {
    for form in forms() {
        let x = noise(&[&[2, 3], &form.large[..]].concat(), 4);
        let values = x.to_vec::<f32>().unwrap();
        let (plane, windows) = (form.large.iter().product::<usize>(), form.small.iter().product::<usize>());
        let by_columns = |mut at: usize| {
            let mut coordinates = Vec::new();
            for extent in form.large.iter().rev() {
                coordinates.push(at % extent);
                at /= extent;
            }
            coordinates.iter().zip(form.large.iter().rev()).fold(0, |flat, (at, extent)| flat * extent + at)
        };
        for order in [0, 1] {
            let (mut largest, mut places) = (vec![f32::NEG_INFINITY; 6 * windows], vec![0i64; 6 * windows]);
            for channel in 0..6 {
                for [small, _, large] in form.meetings() {
                    let (at, value) = (channel * windows + small, values[channel * plane + large]);
                    if value > largest[at] {
                        let place = if order == 1 { by_columns(large) } else { large };
                        (largest[at], places[at]) = (value, (channel * plane + place) as i64);
                    }
                }
            }
            let extents = [&[2, 3], &form.small[..]].concat();
            let kernel: Vec<i64> = form.kernel.iter().map(|&extent| extent as i64).collect();
            let mut attributes = form.attributes();
            attributes.pop();
            attributes.extend([("kernel_shape", longs(&kernel)), ("storage_order", Attribute::Int(order))]);
            let places = Tensor::from_slice(Element::I64, extents.as_slice(), &places).unwrap();
            let expected = [floats(&extents, &largest), places];
            check("MaxPool", "MaxPool", 17, &attributes, &[("x", x.clone())], &expected).await;
        }
    }
}

/// Four points in and around an image.
#[tokio::test]
async fn grids_beyond_the_image() {
    let x = noise(&[1, 1, 3, 4], 7);
    let grid = floats(&[1, 1, 4, 2], &[-1.9, 0.3, 0.1, -0.2, 2.4, 1.3, -0.7, -3.1]);
    for (mode, padding, aligned, expected) in [
        ("nearest", "zeros", 0, [0.0, -0.27803, 0.0, 0.0]),
        ("nearest", "border", 1, [-0.901318, -0.27803, 0.0625015, -0.522438]),
        ("nearest", "reflection", 0, [0.711567, -0.27803, 0.967874, -0.862432]),
        ("linear", "border", 0, [-0.883819, 0.13487, 0.0625015, -0.387496]),
        ("linear", "reflection", 0, [0.660616, 0.13487, 0.418782, -0.679401]),
        ("linear", "reflection", 1, [0.54367, 0.1418, 0.714473, -0.0524668]),
        ("cubic", "zeros", 1, [0.10791, 0.174633, 0.0, 0.0]),
        ("cubic", "border", 0, [-0.922741, 0.101039, 0.0642052, -0.407722]),
        ("cubic", "border", 1, [-0.93224, 0.164163, 0.167932, 0.126739]),
        ("cubic", "reflection", 0, [0.878307, 0.101039, 0.462843, -0.703633]),
        ("cubic", "reflection", 1, [0.783978, 0.169447, 0.771261, -0.237542]),
    ] {
        let text = |text: &str| Attribute::Text(text.into());
        let attributes =
            [("mode", text(mode)), ("padding_mode", text(padding)), ("align_corners", Attribute::Int(aligned))];
        let inputs = [("x", x.clone()), ("grid", grid.clone())];
        let what = format!("{mode} {padding} {aligned}");
        check(&what, "GridSample", 20, &attributes, &inputs, &[floats(&[1, 1, 1, 4], &expected)]).await;
    }
}

/// As many samples as a bin has elements, boxes beyond the image, two images.
#[tokio::test]
async fn boxes_of_any_size() {
    let x = noise(&[2, 2, 6, 5], 9);
    let boxes = floats(&[3, 4], &[0.5, 0.2, 3.1, 4.4, -3.0, -2.0, 9.5, 8.0, 2.0, 1.0, 2.2, 1.1]);
    let images = Tensor::from_slice(Element::I64, [3], &[1i64, 0, 1]).unwrap();
    let mean = [
        0.41493,
        0.253991,
        -0.265578,
        0.24088,
        0.0762103,
        -0.338188,
        0.0889912,
        -0.289011,
        -0.0303096,
        -0.225876,
        -0.00376128,
        -0.00638733,
        0.0241851,
        0.0992107,
        -0.052694,
        0.0179662,
        0.429827,
        0.356653,
        0.449124,
        0.38222,
        -0.255009,
        -0.30337,
        -0.217882,
        -0.266092,
    ];
    let largest = [
        0.314657,
        0.435003,
        0.173303,
        0.482866,
        0.193509,
        0.102135,
        0.303898,
        0.0513834,
        0.570384,
        0.0628525,
        0.464812,
        0.452175,
        0.559051,
        0.498611,
        0.701482,
        0.489595,
        0.589958,
        0.279454,
        0.242924,
        0.115069,
        -0.00424432,
        -0.0287105,
        -0.00987477,
        -0.0183351,
    ];
    for (mode, place, expected) in [("avg", "half_pixel", mean), ("max", "output_half_pixel", largest)] {
        let attributes = [
            ("mode", Attribute::Text(mode.into())),
            ("coordinate_transformation_mode", Attribute::Text(place.into())),
            ("output_height", Attribute::Int(2)),
            ("output_width", Attribute::Int(2)),
            ("spatial_scale", Attribute::Float(0.9)),
        ];
        let inputs = [("x", x.clone()), ("boxes", boxes.clone()), ("images", images.clone())];
        check(mode, "RoiAlign", 16, &attributes, &inputs, &[floats(&[3, 2, 2, 2], &expected)]).await;
    }
}

/// Groups of channels and of offsets, a stride, a dilation, a mask and a bias at once.
#[tokio::test]
async fn shifted_taps() {
    let double = |tensor: Tensor| {
        let twice: Vec<f32> = tensor.to_vec::<f32>().unwrap().iter().map(|value| 2.0 * value).collect();
        floats(tensor.spec().shape.extents(), &twice)
    };
    let inputs = [
        ("x", noise(&[1, 4, 5, 5], 10)),
        ("cw", noise(&[4, 2, 2, 2], 11)),
        ("offsets", double(noise(&[1, 16, 2, 3], 12))),
        ("cb", noise(&[4], 14)),
        ("mask", noise(&[1, 8, 2, 3], 13)),
    ];
    let attributes = [
        ("group", Attribute::Int(2)),
        ("offset_group", Attribute::Int(2)),
        ("strides", longs(&[2, 2])),
        ("dilations", longs(&[2, 1])),
        ("pads", longs(&[1, 0, 0, 1])),
    ];
    let expected = [
        -0.854084, -0.513187, -0.517771, -0.26569, -1.43453, -0.486084, 0.048574, 0.129963, 0.095875, 0.183716,
        -0.159829, 0.088107, 0.236241, 0.273803, -0.157387, -0.564311, -0.26152, -0.448472, -0.95491, -0.492053,
        -1.26873, -0.318824, -0.106913, -0.741765,
    ];
    check("DeformConv", "DeformConv", 19, &attributes, &inputs, &[floats(&[1, 4, 2, 3], &expected)]).await;
}

/// The first pivot is a zero.
#[tokio::test]
async fn determinants_of_larger_matrices() {
    let x = [0.0, 2.0, 1.0, -1.0, 3.0, 0.5, -2.0, 1.0, 1.0, -1.0, 0.0, 2.0, 2.0, 1.0, 1.0, 1.0];
    let singular = [1.0, 2.0, 3.0, 4.0, 2.0, 4.0, 6.0, 8.0, 0.0, 1.0, 0.0, 1.0, 5.0, 1.0, 2.0, 3.0];
    let x = floats(&[2, 4, 4], &[x, singular].concat());
    check("Det", "Det", 17, &[], &[("x", x)], &[floats(&[2], &[8.0, 0.0])]).await;
}
