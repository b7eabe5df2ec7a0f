//! What a run finds wrong with the numbers that it is given: kernels leave a word on the device, and whoever reads a
//! result reads it too. What is computed from a doubtful tensor is as doubtful.

use super::{
    chain::{Link, chain},
    device::Gpu,
    draft::{Step, Storage},
    kernels::{Kernel, Shader},
    lower::index_words,
    memory::{self, Block},
    planner::{Halt, Node, Placed, Planner, Value, grid},
    transfer,
};
use burst_host::nouns::{Element, Fault, Shape, Spec};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

/// Words that a tensor carries along; beyond that they are read before the next run.
const DOUBTS_MAX: usize = 64;
/// The operator that makes 1 of zero, and zero of all else.
const NOT: u32 = 72;

/// What one run found, once it is done.
pub struct Doubt {
    /// 0, or the number of a check, from 1 on.
    pub word: Arc<Block>,
    /// What is wrong, a text for each check.
    whys: Arc<[String]>,
    /// It was read, and nothing was found.
    settled: AtomicBool,
}

/// The checks of a plan in the making.
#[derive(Default)]
pub struct Checks {
    pub whys: Vec<String>,
    pub word: Option<Placed>,
    /// What is checked already: where the indices are, and what they may be.
    known: Vec<(usize, Allowed)>,
}

/// What indices may be.
#[derive(Clone, PartialEq)]
pub struct Allowed {
    /// Each index of a tuple is below one of these.
    pub below: Vec<usize>,
    /// Counted from either end.
    pub from_end: bool,
    /// One number more.
    pub besides: Option<i32>,
}

impl Doubt {
    pub const WORD_BYTES: u64 = 4;

    pub fn new(word: Arc<Block>, whys: Arc<[String]>) -> Arc<Self> {
        Arc::new(Self { word, whys, settled: AtomicBool::new(false) })
    }

    /// Says what was found; forgets the doubt where that is nothing.
    pub fn settle(&self, word: &[u8]) -> Result<(), Fault> {
        let word = word.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let Some(number) = (word as usize).checked_sub(1) else {
            self.settled.store(true, SeqCst);
            return Ok(());
        };
        Err(Fault::Invalid(self.whys.get(number).cloned().unwrap_or_default()))
    }

    pub fn is_settled(&self) -> bool {
        self.settled.load(SeqCst)
    }
}

/// The doubts of all these tensors, each once.
pub async fn inherited(gpu: &Gpu, blocks: &[Arc<Block>]) -> Result<Vec<Arc<Doubt>>, Fault> {
    let mut doubts: Vec<Arc<Doubt>> = Vec::new();
    for doubt in blocks.iter().flat_map(|block| block.doubts()) {
        if !doubts.iter().any(|known| Arc::ptr_eq(known, doubt)) {
            doubts.push(doubt.clone());
        }
    }
    if doubts.len() >= DOUBTS_MAX {
        transfer::settle(gpu, &doubts).await?;
        doubts.clear();
    }
    Ok(doubts)
}

impl Planner {
    /// Faults where an index of this input, or of its tuples, is not on its axis.
    pub fn check(&mut self, node: &Node<'_>, input: usize, extents: &[usize]) -> Result<(), Halt> {
        self.check_allowed(node, input, Allowed { below: extents.to_vec(), from_end: true, besides: None })
    }

    /// Faults where a number of this input is below zero, or is not below this.
    pub fn check_below(&mut self, node: &Node<'_>, input: usize, below: usize) -> Result<(), Halt> {
        self.check_allowed(node, input, Allowed { below: vec![below], from_end: false, besides: None })
    }

    /// Known numbers are looked at here, others when the run's results are read.
    pub fn check_allowed(&mut self, node: &Node<'_>, input: usize, allowed: Allowed) -> Result<(), Halt> {
        match node.input(input) {
            Value::Known(_) => check_known(node, &node.numbers(input)?, &allowed),
            value => {
                let indices = self.place(value)?;
                let why = outside(node, &allowed);
                self.check_placed(node, &indices, allowed, why)
            }
        }
    }

    /// Faults where an integer of this input, by which others are divided, is zero.
    pub fn check_divisor(&mut self, node: &Node<'_>, input: usize) -> Result<(), Halt> {
        let why = format!("`{}` {}: division by zero", node.op.kind, node.op.name);
        match node.input(input) {
            Value::Known(tensor) => {
                let size = tensor.spec().element.size().unwrap_or(1);
                let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
                match tensor.contents() {
                    Some(contents) if contents.chunks(size).any(zero) => Err(Fault::Invalid(why).into()),
                    _ => Ok(()),
                }
            }
            value => {
                let divisor = self.place(value)?;
                let zeros = chain(self, node, &divisor, &[Link::alone(NOT)], Element::I32)?;
                self.check_placed(node, &zeros, Allowed { below: vec![1], from_end: false, besides: None }, why)
            }
        }
    }

    fn check_placed(&mut self, node: &Node<'_>, indices: &Placed, allowed: Allowed, why: String) -> Result<(), Halt> {
        let key = (indices.storage, allowed);
        let count = indices.spec.shape.elements();
        if count == 0 || key.1.below.is_empty() || self.draft.checks.known.contains(&key) {
            return Ok(());
        }
        let word = self.word()?;
        let checks = &mut self.draft.checks;
        let Allowed { below, from_end, besides } = &key.1;
        checks.whys.push(why);
        let mut parameters = [count, below.len(), checks.whys.len()].map(|value| value as u32).to_vec();
        parameters.push(besides.unwrap_or_default() as u32);
        parameters.extend(super::lower::pointwise::padded(below, 1));
        let constants = [
            ("INDEX_WORDS", index_words(node, indices.spec.element)?),
            ("FROM_END", u32::from(*from_end)),
            ("BESIDES", u32::from(besides.is_some())),
        ];
        checks.known.push(key);
        let kernel = Kernel::new(Shader::Check, constants);
        self.dispatch_into(kernel, parameters, &[indices], &word, grid(count));
        Ok(())
    }

    /// The word of this plan; cleared before anything else is done.
    fn word(&mut self) -> Result<Placed, Halt> {
        if let Some(word) = &self.draft.checks.word {
            return Ok(word.clone());
        }
        let spec = Spec { element: Element::U32, shape: Shape::default() };
        let storage = self.storage(Storage::Temporary { bytes: memory::bytes(&spec)? });
        self.draft.steps.insert(0, Step::Clear(storage));
        let word = Placed { spec, storage };
        self.draft.checks.word = Some(word.clone());
        Ok(word)
    }
}

fn check_known(node: &Node<'_>, indices: &[i64], allowed: &Allowed) -> Result<(), Halt> {
    let Allowed { below, from_end, besides } = allowed;
    let inside = |(at, &index): (usize, &i64)| {
        let extent = below.get(at % below.len().max(1)).copied().unwrap_or_default() as i64;
        let first = if *from_end { -extent } else { 0 };
        (first..extent).contains(&index) || besides.is_some_and(|besides| index == i64::from(besides))
    };
    if below.is_empty() || indices.iter().enumerate().all(inside) {
        return Ok(());
    }
    Err(Fault::Invalid(outside(node, allowed)).into())
}

fn outside(node: &Node<'_>, allowed: &Allowed) -> String {
    format!("`{}` {}: an index outside of {:?}", node.op.kind, node.op.name, allowed.below)
}
