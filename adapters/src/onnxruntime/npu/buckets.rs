//! Fixed shapes for axes that a model leaves open.

use burst_host::nouns::{Extent, Fault, Graph, Port, Signature, Spec, Tensor, manifest::NpuConfig};
use std::collections::{BTreeMap, BTreeSet};

/// A length for each open axis, by its name.
pub(super) type Lengths = BTreeMap<String, usize>;

/// Programs that are compiled of one model at most: each has the model's weights.
const PROGRAMS_MAX: usize = 64;

/// The lengths that programs are compiled for.
pub(super) struct Buckets {
    lengths: BTreeMap<String, Vec<usize>>,
    pad: BTreeSet<String>,
}

impl Buckets {
    pub(super) fn new(config: &NpuConfig) -> Self {
        let lengths = config.buckets.iter().map(|(name, lengths)| {
            let sorted: BTreeSet<usize> = lengths.iter().map(|length| length.get()).collect();
            (name.clone(), sorted.into_iter().collect())
        });
        Self { lengths: lengths.collect(), pad: config.pad.iter().cloned().collect() }
    }

    /// Every combination of lengths of a model's open axes, shorter ones first. `Unsupported` where nothing is said of
    /// an axis, and where an answer could not be cut again.
    pub(super) fn combinations(&self, signature: &Signature) -> Result<Vec<Lengths>, Fault> {
        let mut combinations = vec![Lengths::new()];
        for name in open(&signature.inputs) {
            let lengths = self.lengths.get(&name).filter(|lengths| !lengths.is_empty()).ok_or_else(|| {
                let why = format!("`{name}` may be of any length, and an NPU computes fixed shapes");
                Fault::Unsupported(format!("{why}; list its lengths in npu.buckets, such as \"{name}\" = [1, 8]"))
            })?;
            let with = |combination: &Lengths, length| {
                let mut combination = combination.clone();
                combination.insert(name.clone(), length);
                combination
            };
            combinations = combinations
                .iter()
                .flat_map(|combination| lengths.iter().map(move |&length| with(combination, length)))
                .collect();
            if combinations.len() > PROGRAMS_MAX {
                let why =
                    format!("npu.buckets make {} programs of this model, above {PROGRAMS_MAX}", combinations.len());
                return Err(Fault::TooLarge(why));
            }
            if self.pad.contains(&name) {
                signature.outputs.iter().try_for_each(|output| can_be_cut(output, &name))?;
            }
        }
        Ok(combinations)
    }

    /// The combination to compute such a request with: the very same, or the smallest that it can be padded to.
    pub(super) fn choose<'a>(
        &self,
        combinations: impl Iterator<Item = &'a Lengths> + Clone,
        wanted: &Lengths,
    ) -> Result<usize, Fault> {
        let holds = |combination: &Lengths| {
            wanted.iter().all(|(name, length)| match self.pad.contains(name) {
                true => combination[name] >= *length,
                false => combination[name] == *length,
            })
        };
        let size =
            |combination: &Lengths| combination.values().fold(1, |size: usize, &length| size.saturating_mul(length));
        let fitting = combinations.enumerate().filter(|(_, combination)| holds(combination));
        let best = fitting.min_by_key(|(_, combination)| size(combination));
        best.map(|(index, _)| index).ok_or_else(|| {
            let told = |(name, length): (&String, &usize)| {
                format!("`{name}` is {length} (npu.buckets: {:?})", self.lengths[name])
            };
            let told: Vec<_> = wanted.iter().map(told).collect();
            Fault::Unsupported(format!("no program was compiled for this shape: {}", told.join(", ")))
        })
    }
}

/// The graph with a name for each open axis; those without one get their input's and their place: `image.0`.
pub(super) fn named(graph: &Graph) -> Result<Graph, Fault> {
    let mut graph = graph.clone();
    for input in &mut graph.inputs {
        let unknown = || Fault::Unsupported(format!("`{}` does not say how many axes it has", input.name));
        for (axis, extent) in input.shape.as_mut().ok_or_else(unknown)?.iter_mut().enumerate() {
            if *extent == Extent::Any {
                *extent = Extent::Named(format!("{}.{axis}", input.name));
            }
        }
    }
    Ok(graph)
}

/// The graph with these lengths in the place of names.
pub(super) fn fixed(graph: &Graph, lengths: &Lengths) -> Graph {
    let mut graph = graph.clone();
    for port in graph.inputs.iter_mut().chain(&mut graph.outputs).chain(&mut graph.values) {
        for extent in port.shape.iter_mut().flatten() {
            if let Extent::Named(name) = extent
                && let Some(&length) = lengths.get(name)
            {
                *extent = Extent::Fixed(length);
            }
        }
    }
    graph
}

/// The lengths that a request has.
pub(super) fn lengths_of(inputs: &[Port], tensors: &[Tensor]) -> Lengths {
    let axes = inputs
        .iter()
        .zip(tensors)
        .flat_map(|(port, tensor)| port.shape.iter().flatten().zip(tensor.spec().shape.extents()));
    let named = axes.filter_map(|(axis, &extent)| match axis {
        Extent::Named(name) => Some((name.clone(), extent)),
        _ => None,
    });
    named.collect()
}

/// The tensor with its named axes at these lengths: filled up with zeros, or cut.
pub(super) fn resized(port: &Port, tensor: Tensor, lengths: &Lengths) -> Result<Tensor, Fault> {
    let axes = port.shape.iter().flatten().enumerate();
    let named = axes.filter_map(|(axis, extent)| match extent {
        Extent::Named(name) => lengths.get(name).map(|&length| (axis, length)),
        _ => None,
    });
    let mut tensor = tensor;
    for (axis, length) in named.collect::<Vec<_>>() {
        if tensor.spec().shape.extents().get(axis).is_some_and(|&extent| extent != length) {
            tensor = resized_axis(&tensor, axis, length)?;
        }
    }
    Ok(tensor)
}

fn resized_axis(tensor: &Tensor, axis: usize, length: usize) -> Result<Tensor, Fault> {
    let spec = tensor.spec();
    let (Some(size), Some(contents)) = (spec.element.size(), tensor.contents()) else {
        return Err(Fault::Unsupported(format!("{} can't be padded", spec.element)));
    };
    let mut extents = spec.shape.extents().to_vec();
    let row = size * extents[axis + 1..].iter().product::<usize>();
    let old = row * std::mem::replace(&mut extents[axis], length);
    let spec = Spec::new(spec.element, extents).map_err(|error| Fault::TooLarge(error.to_string()))?;
    let (kept, new) = (old.min(row * length), row * length);
    let mut resized = Vec::with_capacity(spec.bytes().unwrap_or(0));
    for block in contents.chunks_exact(old.max(1)) {
        resized.extend_from_slice(&block[..kept]);
        resized.resize(resized.len() + new - kept, 0);
    }
    Tensor::host(spec, resized).map_err(|error| Fault::Invalid(error.to_string()))
}

/// Names of open axes, each once.
fn open(inputs: &[Port]) -> BTreeSet<String> {
    let extents = inputs.iter().flat_map(|port| port.shape.iter().flatten());
    let names = extents.filter_map(|extent| match extent {
        Extent::Named(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

/// A padded axis is found in each output by its name, once.
fn can_be_cut(output: &Port, name: &str) -> Result<(), Fault> {
    let is_name = |extent: &&Extent| matches!(extent, Extent::Named(other) if other == name);
    match output.shape.iter().flatten().filter(is_name).count() {
        1 => Ok(()),
        _ => {
            let why = format!("npu.pad names `{name}`, but the output {output} does not say which of its axes that is");
            Err(Fault::Unsupported(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burst_host::nouns::{Element, manifest::NpuProvider};
    use std::num::NonZeroUsize;

    fn buckets(lengths: &[(&str, &[usize])], pad: &[&str]) -> Buckets {
        let nonzero = |lengths: &[usize]| lengths.iter().filter_map(|&length| NonZeroUsize::new(length)).collect();
        Buckets::new(&NpuConfig {
            provider: Some(NpuProvider::OpenVino),
            buckets: lengths.iter().map(|(name, lengths)| (name.to_string(), nonzero(lengths))).collect(),
            pad: pad.iter().map(|name| name.to_string()).collect(),
            ..NpuConfig::default()
        })
    }

    fn port(name: &str, shape: &[Extent]) -> Port {
        Port { name: name.into(), element: Some(Element::U8), shape: Some(shape.to_vec()), optional: false }
    }

    fn named_extent(name: &str) -> Extent {
        Extent::Named(name.into())
    }

    #[test]
    fn combinations_are_those_of_all_open_axes() {
        let inputs =
            vec![port("x", &[named_extent("batch"), named_extent("length")]), port("m", &[named_extent("batch")])];
        let signature = Signature { inputs, outputs: vec![port("y", &[named_extent("batch")])] };
        let some = buckets(&[("batch", &[4, 1]), ("length", &[8, 16, 32])], &["batch"]);
        assert_eq!(some.combinations(&signature).unwrap().len(), 6);
        let none = buckets(&[("batch", &[1])], &[]).combinations(&signature);
        assert!(
            matches!(none, Err(Fault::Unsupported(why)) if why.contains("`length`") && why.contains("npu.buckets"))
        );
        // An answer without the padded axis may be anything.
        let cut = buckets(&[("batch", &[1]), ("length", &[8])], &["length"]).combinations(&signature);
        assert!(matches!(cut, Err(Fault::Unsupported(why)) if why.contains("npu.pad")));
        let many: Vec<usize> = (1..=65).collect();
        let many = buckets(&[("batch", &many), ("length", &[1])], &[]).combinations(&signature);
        assert!(matches!(many, Err(Fault::TooLarge(_))));
    }

    #[test]
    fn smallest_program_that_holds_a_request_is_chosen() {
        let lengths = |batch, length| Lengths::from([("batch".into(), batch), ("length".into(), length)]);
        let all = [lengths(1, 8), lengths(1, 16), lengths(4, 8), lengths(4, 16)];
        let choose = |pad: &[&str], wanted| {
            buckets(&[("batch", &[1, 4]), ("length", &[8, 16])], pad).choose(all.iter(), &wanted).ok()
        };
        assert_eq!(choose(&[], lengths(4, 8)), Some(2));
        assert_eq!(choose(&[], lengths(3, 8)), None);
        assert_eq!(choose(&["batch"], lengths(3, 8)), Some(2));
        assert_eq!(choose(&["batch"], lengths(3, 9)), None);
        assert_eq!(choose(&["batch"], lengths(5, 8)), None);
    }

    #[test]
    fn axis_is_padded_and_cut_again() {
        let spec = Spec::new(Element::U8, [2, 3]).unwrap();
        let tensor = Tensor::host(spec, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let port = port("x", &[named_extent("a"), named_extent("b")]);
        let lengths = |a, b| Lengths::from([("a".into(), a), ("b".into(), b)]);
        let padded = resized(&port, tensor.clone(), &lengths(3, 4)).unwrap();
        assert_eq!(&padded.contents().unwrap()[..], [1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0, 0]);
        let cut = resized(&port, padded, &lengths(2, 3)).unwrap();
        assert_eq!(&cut.contents().unwrap()[..], &tensor.contents().unwrap()[..]);
    }
}
