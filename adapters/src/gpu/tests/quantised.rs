//! Quantised operators beside their plain definitions.

use super::{compute, lavapipe::Lavapipe, open};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element, Narrow, Tensor};

/// Numbers without a pattern.
fn noise(count: usize, seed: u32) -> impl Iterator<Item = u32> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(seed), next).skip(1).map(|state| state >> 8).take(count)
}

fn floats(count: usize, seed: u32) -> Vec<f32> {
    noise(count, seed).map(|number| number as f32 / 8_388_608.0 - 1.0).collect()
}

fn bytes(count: usize, seed: u32) -> Vec<u8> {
    noise(count, seed).map(|number| number as u8).collect()
}

/// A product with packed weights.
struct Packed {
    m: usize,
    n: usize,
    k: usize,
    bits: usize,
    block: usize,
    zeros: bool,
    grouped: bool,
    bias: bool,
}

impl Packed {
    fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    fn column_bytes(&self) -> usize {
        self.blocks() * self.block * self.bits / 8
    }

    fn zero_bytes(&self) -> usize {
        (self.blocks() * self.bits).div_ceil(8)
    }

    fn group(&self, k: usize) -> usize {
        if self.grouped { (self.k - 1 - k) / self.block } else { k / self.block }
    }

    fn bits_at(&self, packed: &[u8], index: usize) -> f32 {
        let bit = index * self.bits;
        f32::from((packed[bit / 8] >> (bit % 8)) & (0xff >> (8 - self.bits)))
    }

    async fn check(&self) {
        let Some(gpu) = open("llvmpipe").await else { return };
        let Self { m, n, k, .. } = *self;
        let (a, scales, bias) = (floats(m * k, 1), floats(n * self.blocks(), 2), floats(n, 3));
        let (weights, zeros) = (bytes(n * self.column_bytes(), 4), bytes(n * self.zero_bytes(), 5));
        let weight = |column: usize, row: usize| {
            let group = self.group(row);
            let zero = match self.zeros {
                true => self.bits_at(&zeros[column * self.zero_bytes()..], group),
                false => (1 << (self.bits - 1)) as f32,
            };
            let code = self.bits_at(&weights[column * self.column_bytes()..], row);
            f64::from((code - zero) * scales[column * self.blocks() + group])
        };
        let shift = |column: usize| if self.bias { f64::from(bias[column]) } else { 0.0 };
        let sum = |row: usize, column: usize| {
            let products = (0..k).map(|step| f64::from(a[row * k + step]) * weight(column, step));
            products.sum::<f64>() + shift(column)
        };
        let tensor = |extents: &[usize], values: &[f32]| Tensor::from_slice(Element::Fp32, extents, values).unwrap();
        let groups: Vec<i32> = (0..k).map(|row| self.group(row) as i32).collect();
        let number = |name: &'static str, value: usize| (name, Attribute::Int(value as i64));
        let attributes = [number("K", k), number("N", n), number("bits", self.bits), number("block_size", self.block)];
        let names = ["a b s", if self.zeros { "z" } else { "_" }, if self.grouped { "g" } else { "_" }].join(" ");
        let names = if self.bias { names + " c" } else { names };
        let packed = [n, self.blocks(), self.block * self.bits / 8];
        let sketch = Sketch::new("packed")
            .input("a", Element::Fp32, &format!("{m} {k}"))
            .constant("b", Tensor::from_slice(Element::U8, packed, &weights).unwrap())
            .constant("s", tensor(&[n, self.blocks()], &scales))
            .constant("z", Tensor::from_slice(Element::U8, [zeros.len()], &zeros).unwrap())
            .constant("g", Tensor::from_slice(Element::I32, [k], &groups).unwrap())
            .constant("c", tensor(&[n], &bias))
            .op_with("MatMulNBits", &names, "y", attributes)
            .in_domain("com.microsoft")
            .output("y");
        let found = compute(&gpu, sketch, &[tensor(&[m, k], &a)]).await.unwrap();
        let expected: Vec<f32> = (0..m * n).map(|at| sum(at / n, at % n) as f32).collect();
        crate::conformance::assert_close("packed", &found[0], &tensor(&[m, n], &expected));
    }
}

#[tokio::test]
async fn packed_weights_are_multiplied_as_they_mean() {
    let plain = Packed { m: 3, n: 37, k: 96, bits: 4, block: 32, zeros: false, grouped: false, bias: false };
    plain.check().await;
    Packed { m: 1, zeros: true, bias: true, ..plain }.check().await;
    Packed { m: 11, k: 72, block: 16, zeros: true, ..plain }.check().await;
    Packed { k: 80, block: 64, zeros: true, grouped: true, ..plain }.check().await;
    Packed { bits: 8, zeros: true, ..plain }.check().await;
    Packed { bits: 2, k: 130, zeros: true, bias: true, ..plain }.check().await;
}

/// The last block is not whole, and the weights are of four bits.
#[tokio::test]
async fn blocks_have_scales_of_their_own() {
    let Some(gpu) = open("llvmpipe").await else { return };
    let element = Element::Narrow(Narrow::I4);
    let codes: Vec<i8> = (0..20).map(|index| (index * 7 % 16 - 8) as i8).collect();
    for (extent, block) in [(5usize, 2usize), (10, 5)] {
        let blocks = extent.div_ceil(block);
        let rows = 20 / extent;
        let scales: Vec<f32> = (0..rows * blocks).map(|index| 0.5 + index as f32).collect();
        let zeros: Vec<i8> = (0..rows * blocks).map(|index| (index % 8) as i8 - 3).collect();
        let block_of = |at: usize| at / extent * blocks + at % extent / block;
        let expected: Vec<f32> =
            (0..20).map(|at| f32::from(codes[at] - zeros[block_of(at)]) * scales[block_of(at)]).collect();
        let attributes = [("axis", Attribute::Int(1)), ("block_size", Attribute::Int(block as i64))];
        let sketch = Sketch::new("blocks")
            .input("x", element, &format!("{rows} {extent}"))
            .constant("s", Tensor::from_slice(Element::Fp32, [rows, blocks], &scales).unwrap())
            .constant("z", Tensor::from_slice(element, [rows, blocks], &zeros).unwrap())
            .op_with("DequantizeLinear", "x s z", "y", attributes)
            .output("y");
        let x = Tensor::from_slice(element, [rows, extent], &codes).unwrap();
        let found = compute(&gpu, sketch, &[x]).await.unwrap()[0].to_vec::<f32>().unwrap();
        assert_eq!(found, expected, "blocks of {block}");
    }
}

/// More than a float's 24 bits.
#[tokio::test]
async fn sums_of_products_of_integers_are_exact() {
    let Some(gpu) = open("llvmpipe").await else { return };
    const K: usize = 3000;
    let (a, b) = (vec![255u8; K], bytes(K * 2, 7).iter().map(|byte| byte | 1).collect::<Vec<u8>>());
    let sum = |column: usize| (0..K).map(|k| 255 * (i32::from(b[k * 2 + column]) - 1)).sum::<i32>();
    let zero = Tensor::from_slice(Element::U8, [], &[0u8]).unwrap();
    let one = Tensor::from_slice(Element::U8, [2], &[1u8, 1]).unwrap();
    let sketch = Sketch::new("integers")
        .input("a", Element::U8, "1 3000")
        .constant("b", Tensor::from_slice(Element::U8, [K, 2], &b).unwrap())
        .constant("p", zero)
        .constant("q", one)
        .op("MatMulInteger", "a b p q", "y")
        .output("y");
    let found = compute(&gpu, sketch, &[Tensor::from_slice(Element::U8, [1, K], &a).unwrap()]).await.unwrap();
    assert_eq!(found[0].to_vec::<i32>().unwrap(), [sum(0), sum(1)]);
    assert!(sum(0) > 1 << 24);
}

/// A convolution of bytes in groups, padded by one on each side.
struct Bytes {
    channels: usize,
    outputs: usize,
    groups: usize,
    kernel: [usize; 2],
}

impl Bytes {
    const SIZE: [usize; 2] = [20, 21];

    /// The sum for one channel and place of the result.
    fn sum(&self, x: &[u8], w: &[u8], zeros: [u8; 2], [channel, row, column]: [usize; 3]) -> i32 {
        let ([height, width], [rows, columns]) = (Self::SIZE, self.kernel);
        let (each, group) = (self.channels / self.groups, channel / (self.outputs / self.groups));
        let mut sum = 0i32;
        for (own, tap) in (0..each).flat_map(|own| (0..rows * columns).map(move |tap| (own, tap))) {
            let (y, across) = ((row + tap / columns).wrapping_sub(1), (column + tap % columns).wrapping_sub(1));
            if y < height && across < width {
                let pixel = x[((group * each + own) * height + y) * width + across];
                let weight = w[(channel * each + own) * rows * columns + tap];
                sum += (i32::from(pixel) - i32::from(zeros[0])) * (i32::from(weight) - i32::from(zeros[1]));
            }
        }
        sum
    }

    fn check(&self, gpu: &Lavapipe) {
        let ([height, width], [rows, columns]) = (Self::SIZE, self.kernel);
        let each = self.channels / self.groups;
        // As far from their zeros as bytes are, so that sums are the largest.
        let far = |count: usize, seed: u32| noise(count, seed).map(|number| if number % 7 == 0 { 1u8 } else { 255 });
        let x: Vec<u8> = far(self.channels * height * width, 8).collect();
        let w: Vec<u8> = far(self.outputs * each * rows * columns, 9).collect();
        let zeros = [0u8, 1];
        let tensor = |extents: &[usize], values: &[u8]| Tensor::from_slice(Element::U8, extents, values).unwrap();
        let inputs = [
            tensor(&[1, self.channels, height, width], &x),
            tensor(&[self.outputs, each, rows, columns], &w),
            tensor(&[], &zeros[..1]),
            tensor(&[], &zeros[1..]),
        ];
        let attributes = [("group", Attribute::Int(self.groups as i64)), ("pads", Attribute::Ints(vec![1; 4]))];
        let found = gpu.apply("ConvInteger", &inputs.map(Some), "y", attributes).unwrap();
        let [high, wide] = [height + 3 - rows, width + 3 - columns];
        assert_eq!(found[0].spec().shape.extents(), [1, self.outputs, high, wide]);
        for (at, found) in found[0].to_vec::<i32>().unwrap().into_iter().enumerate() {
            let place = [at / wide / high, at / wide % high, at % wide];
            assert_eq!(found, self.sum(&x, &w, zeros, place), "{place:?} of {} channels", self.channels);
        }
    }
}

/// In floats where sums of a few channels are exact, else in integers.
#[test]
fn convolutions_of_bytes_are_exact() {
    for gpu in Lavapipe::families() {
        for (channels, outputs, groups, kernel) in [
            (70, 5, 1, [3, 3]),
            (6, 6, 6, [3, 3]),
            (12, 8, 4, [2, 1]),
            (2, 7, 1, [17, 17]),
            (80, 6, 2, [3, 3]),
            (2, 2, 2, [17, 17]),
        ] {
            Bytes { channels, outputs, groups, kernel }.check(&gpu);
        }
    }
}
