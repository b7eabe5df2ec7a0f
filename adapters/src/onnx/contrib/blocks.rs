//! Weights of a few bits with a scale for each block of them.

use super::super::build::{Builder, Outcome};
use burst_host::nouns::{Element, Narrow, Tensor};
use half::{bf16, f16};

/// The most numbers that weights are unpacked to.
const NUMBERS_MAX: usize = 1 << 28;

/// Numbers of a constant as floats.
fn floats(tensor: &Tensor) -> Result<Vec<f32>, String> {
    let found = match tensor.spec().element {
        Element::Fp32 => tensor.to_vec::<f32>(),
        Element::Fp16 => tensor.to_vec::<f16>().map(|numbers| numbers.iter().map(|number| number.to_f32()).collect()),
        Element::Bf16 => tensor.to_vec::<bf16>().map(|numbers| numbers.iter().map(|number| number.to_f32()).collect()),
        _ => None,
    };
    found.ok_or_else(|| format!("scales in {}", tensor.spec().element))
}

/// Numbers of `bits` out of bytes, the lowest bits first.
fn unpacked(bytes: &[u8], bits: usize, count: usize) -> Vec<u8> {
    let each = 8 / bits;
    let mask = ((1u16 << bits) - 1) as u8;
    let number = |index: usize| bytes.get(index / each).map_or(0, |byte| byte >> (index % each * bits) & mask);
    (0..count).map(number).collect()
}

/// a · wᵀ + bias, the weights unpacked once.
pub fn matmul(builder: &mut Builder<'_>) -> Outcome {
    let whole = |name: &str, default: i64| {
        usize::try_from(builder.int(name, default)).ok().filter(|&value| value > 0).ok_or_else(|| format!("`{name}`"))
    };
    let (k, n, bits, block) = (whole("K", 0)?, whole("N", 0)?, whole("bits", 4)?, whole("block_size", 0)?);
    if !matches!(bits, 2 | 4 | 8) {
        return Err(format!("`bits` {bits}"));
    }
    let a = builder.needed(0)?;
    let weights = dequantized(builder, [k, n, bits, block])?;
    let tensor = Tensor::from_slice(Element::Fp32, [k, n], &weights).map_err(|error| error.to_string())?;
    let weights = builder.weight(tensor);
    let wide = builder.cast(&a, Element::Fp32);
    let mut y = builder.add("MatMul", &[&wide, &weights], &[]);
    if let Some(bias) = builder.input(5) {
        let bias = builder.cast(&bias, Element::Fp32);
        y = builder.add("Add", &[&y, &bias], &[]);
    }
    let y = builder.cast_like(&y, &a);
    builder.done(&y)
}

/// A matrix of k by n.
fn dequantized(builder: &Builder<'_>, [k, n, bits, block]: [usize; 4]) -> Result<Vec<f32>, String> {
    let blocks = k.div_ceil(block);
    let row = blocks.checked_mul(block).filter(|row| row.checked_mul(n).is_some_and(|count| count <= NUMBERS_MAX));
    let row = row.ok_or("more weights than fit")?;
    let packed = builder.known(1, "weights")?;
    let packed = packed.contents().filter(|packed| packed.len() * 8 == n * row * bits);
    let packed = packed.ok_or("weights of another length than `N`, `K` and `block_size` say")?.clone();
    let scales = floats(&builder.known(2, "scales")?)?;
    let zeros = match builder.input(3) {
        None => vec![f32::from(1u8 << (bits - 1)); n * blocks],
        Some(_) => zeros(&builder.known(3, "zeros")?, bits, n, blocks)?,
    };
    let groups = match builder.input(4) {
        None => (0..k).map(|at| at / block).collect::<Vec<_>>(),
        Some(_) => {
            let groups = builder.known(4, "`g_idx`")?.to_vec::<i32>().ok_or("`g_idx` that is no INT32")?;
            groups.iter().take(k).map(|&group| usize::try_from(group).unwrap_or(usize::MAX)).collect()
        }
    };
    if scales.len() != n * blocks || groups.len() != k || groups.iter().any(|&group| group >= blocks) {
        return Err("scales or groups of another number than `N`, `K` and `block_size` say".into());
    }
    let numbers = unpacked(&packed, bits, n * row);
    let mut weights = vec![0.0; k * n];
    for (column, numbers) in numbers.chunks(row).enumerate() {
        for (at, &group) in groups.iter().enumerate() {
            let index = column * blocks + group;
            weights[at * n + column] = (f32::from(numbers[at]) - zeros[index]) * scales[index];
        }
    }
    Ok(weights)
}

/// A zero for each block: floats, or packed like weights, each row in bytes of its own.
fn zeros(tensor: &Tensor, bits: usize, n: usize, blocks: usize) -> Result<Vec<f32>, String> {
    let found = if tensor.spec().element == Element::U8 {
        let row = (blocks * bits).div_ceil(8);
        let bytes = tensor.contents().filter(|bytes| bytes.len() == n * row).ok_or("zeros of another length")?;
        bytes.chunks(row).flat_map(|row| unpacked(row, bits, blocks)).map(f32::from).collect()
    } else {
        floats(tensor)?
    };
    if found.len() == n * blocks { Ok(found) } else { Err("zeros of another number than blocks".into()) }
}

/// Rows of a table that is unpacked once, as small as its numbers are, and made floats where they are looked up.
pub fn gather(builder: &mut Builder<'_>) -> Outcome {
    let table = Table::new(builder)?;
    let indices = builder.needed(1)?;
    if table.gathered != 0 || table.extents.len() != 2 || table.quantised != 1 || table.extents[1] % table.block != 0 {
        let tensor = Tensor::from_slice(Element::Fp32, table.extents.clone(), &table.floats());
        let whole = builder.weight(tensor.map_err(|error| error.to_string())?);
        let scales = builder.needed(2)?;
        let y = builder.gather(&whole, &indices, table.gathered as i64);
        let y = builder.cast_like(&y, &scales);
        return builder.done(&y);
    }
    let blocks = table.extents[1] / table.block;
    let middle = if table.numbers.iter().any(|&number| number > 127) { 128 } else { 0 };
    let numbers: Vec<i8> = table.numbers.iter().map(|&number| (number - middle) as i8).collect();
    let zeros: Vec<f32> = table.zeros.iter().map(|zero| zero - f32::from(middle)).collect();
    let error = |error: burst_host::nouns::ShapeError| error.to_string();
    let numbers = Tensor::from_slice(Element::I8, table.extents.clone(), &numbers).map_err(error)?;
    let zeros = Tensor::from_slice(Element::Fp32, [table.extents[0], blocks], &zeros).map_err(error)?;
    let scales = builder.needed(2)?;
    let [numbers, zeros] = [numbers, zeros].map(|tensor| builder.weight(tensor));
    let [numbers, zeros, scales] = [numbers, zeros, scales.clone()].map(|name| builder.gather(&name, &indices, 0));
    let shape = builder.add("Shape", &[&scales], &[]);
    let (rest, one) = (builder.longs(&[-1])?, builder.longs(&[1])?);
    let (apart, column) = (builder.concat(&[&shape, &rest], 0), builder.concat(&[&shape, &one], 0));
    let numbers = builder.add("Reshape", &[&numbers, &apart], &[]);
    let numbers = builder.cast(&numbers, Element::Fp32);
    let zeros = builder.add("Reshape", &[&zeros, &column], &[]);
    let wide = builder.cast(&scales, Element::Fp32);
    let wide = builder.add("Reshape", &[&wide, &column], &[]);
    let y = builder.add("Sub", &[&numbers, &zeros], &[]);
    let y = builder.add("Mul", &[&y, &wide], &[]);
    let outer = builder.slice(&shape, 0, 0, -1)?;
    let whole = builder.concat(&[&outer, &rest], 0);
    let y = builder.add("Reshape", &[&y, &whole], &[]);
    let y = builder.cast_like(&y, &scales);
    builder.done(&y)
}

/// A table as its numbers and what they mean.
struct Table {
    extents: Vec<usize>,
    numbers: Vec<i16>,
    scales: Vec<f32>,
    zeros: Vec<f32>,
    gathered: usize,
    quantised: usize,
    block: usize,
}

impl Table {
    fn new(builder: &Builder<'_>) -> Result<Self, String> {
        let (data, scales) = (builder.known(0, "weights")?, builder.known(2, "scales")?);
        let bits = usize::try_from(builder.int("bits", 4)).ok().filter(|bits| matches!(bits, 2 | 4 | 8));
        let bits = bits.ok_or("`bits`")?;
        let block = usize::try_from(builder.int("block_size", 128)).ok().filter(|&block| block > 0);
        let block = block.ok_or("`block_size`")?;
        let mut extents = data.spec().shape.extents().to_vec();
        let rank = extents.len() as i64;
        let axis = |name: &str, default: i64| {
            let axis = builder.int(name, default);
            let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
            axis.filter(|&axis| axis < rank as usize).ok_or_else(|| format!("`{name}`"))
        };
        let (gathered, quantised) = (axis("gather_axis", 0)?, axis("quantize_axis", 1)?);
        let bytes = data.contents().ok_or("weights on a device")?;
        let element = data.spec().element;
        if let Some(last) = extents.last_mut().filter(|_| element == Element::U8) {
            *last *= 8 / bits;
        }
        let count: usize = extents.iter().product();
        if count > NUMBERS_MAX {
            return Err("more weights than fit".into());
        }
        let numbers = small(element, bytes, bits, count)?;
        let mut blocks = extents.clone();
        blocks[quantised] = blocks[quantised].div_ceil(block);
        let each: usize = blocks.iter().product();
        let zeros = match builder.input(3) {
            None if element == Element::U8 => vec![f32::from(1u8 << (bits - 1)); each],
            None => vec![0.0; each],
            Some(_) => {
                let zeros = builder.known(3, "zeros")?;
                let row = blocks.last().copied().unwrap_or(1).max(1);
                let bytes = zeros.contents().ok_or("zeros on a device")?;
                if zeros.spec().element == Element::U8 {
                    let packed = (row * bits).div_ceil(8);
                    bytes.chunks(packed).flat_map(|row_bytes| unpacked(row_bytes, bits, row)).map(f32::from).collect()
                } else {
                    small(zeros.spec().element, bytes, bits, each)?.into_iter().map(f32::from).collect()
                }
            }
        };
        let scales = floats(&scales)?;
        if scales.len() != each || zeros.len() != each {
            return Err("scales or zeros of another number than blocks".into());
        }
        Ok(Self { extents, numbers, scales, zeros, gathered, quantised, block })
    }

    /// All of it.
    fn floats(&self) -> Vec<f32> {
        let inner: usize = self.extents[self.quantised + 1..].iter().product();
        let axis = self.extents[self.quantised];
        let blocks = axis.div_ceil(self.block);
        let number = |(at, &number): (usize, &i16)| {
            let (outer, along, inside) = (at / inner / axis, at / inner % axis, at % inner);
            let block = (outer * blocks + along / self.block) * inner + inside;
            (f32::from(number) - self.zeros[block]) * self.scales[block]
        };
        self.numbers.iter().enumerate().map(number).collect()
    }
}

/// Small whole numbers as they mean.
fn small(element: Element, bytes: &[u8], bits: usize, count: usize) -> Result<Vec<i16>, String> {
    let numbers: Vec<i16> = match element {
        Element::U8 => unpacked(bytes, bits, count).into_iter().map(i16::from).collect(),
        Element::Narrow(Narrow::U4 | Narrow::U2) => bytes.iter().map(|&byte| byte.into()).collect(),
        Element::Narrow(Narrow::I4) => bytes.iter().map(|&byte| i16::from((byte << 4) as i8 >> 4)).collect(),
        Element::Narrow(Narrow::I2) => bytes.iter().map(|&byte| i16::from((byte << 6) as i8 >> 6)).collect(),
        other => return Err(format!("weights in {other}")),
    };
    if numbers.len() == count { Ok(numbers) } else { Err("weights of another length".into()) }
}
