//! Tensors from and to NumPy's `.npy` files.

use burst_host::nouns::{Element, Spec, Tensor};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use npyz::{DType, NpyHeader, Order, WriterBuilder};
use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::Path,
};

/// Elements by NumPy's name for them; little-endian, as everywhere.
const NAMES: [(Element, &str); 12] = [
    (Element::Fp16, "<f2"),
    (Element::Fp32, "<f4"),
    (Element::Fp64, "<f8"),
    (Element::U8, "|u1"),
    (Element::U16, "<u2"),
    (Element::U32, "<u4"),
    (Element::U64, "<u8"),
    (Element::I8, "|i1"),
    (Element::I16, "<i2"),
    (Element::I32, "<i4"),
    (Element::I64, "<i8"),
    (Element::Bool, "|b1"),
];

/// Reads a tensor. The array is in C order and little-endian.
pub fn read(path: &Path) -> Result<Tensor> {
    let at = || format!("can't read `{}`", path.display());
    let bytes = fs::read(path).into_diagnostic().wrap_err_with(at)?;
    let mut rest = bytes.as_slice();
    let header = NpyHeader::from_reader(&mut rest).into_diagnostic().wrap_err_with(at)?;
    if header.order() != Order::C {
        bail!("`{}` is in Fortran order; save it with numpy.ascontiguousarray", path.display());
    }
    let DType::Plain(name) = header.dtype() else { bail!("`{}` holds records, not numbers", path.display()) };
    let name = name.to_string();
    let element = NAMES.iter().find(|(_, other)| *other == name).map(|(element, _)| *element);
    let element = element.ok_or_else(|| miette!("`{}` holds `{name}`, which no tensor can", path.display()))?;
    let extents = header.shape().iter().map(|&extent| usize::try_from(extent)).collect::<Result<Vec<_>, _>>();
    let spec = Spec::new(element, extents.into_diagnostic()?).into_diagnostic().wrap_err_with(at)?;
    let mut contents = Vec::new();
    rest.read_to_end(&mut contents).into_diagnostic()?;
    Tensor::host(spec, contents).into_diagnostic().wrap_err_with(at)
}

/// Writes a host tensor.
pub fn write(path: &Path, tensor: &Tensor) -> Result<()> {
    let Spec { element, shape } = tensor.spec();
    let (_, name) = NAMES
        .iter()
        .find(|(other, _)| other == element)
        .ok_or_else(|| miette!("NumPy has no type for {element}; `{}` is not written", path.display()))?;
    let contents = tensor.contents().ok_or_else(|| miette!("the tensor is still on its device"))?;
    let name = name.parse().map_err(|error| miette!("{error}"))?;
    let extents: Vec<u64> = shape.extents().iter().map(|&extent| extent as u64).collect();
    let written = File::create(path).and_then(|file| {
        let header = npyz::WriteOptions::new_header_only().dtype(DType::Plain(name)).shape(&extents);
        let mut file = header.writer(BufWriter::new(file)).write_header_only()?;
        file.write_all(contents)?;
        file.flush()
    });
    written.into_diagnostic().wrap_err_with(|| format!("can't write `{}`", path.display()))
}
