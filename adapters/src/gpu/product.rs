//! A product of matrices, or a convolution, and what is done to its sums before they are in memory.

use super::{
    chain::{Chain, Link, With, strides},
    draft::Dispatch,
    halving::Halves,
    kernels::{Kernel, Shader},
    planner::{Placed, grid},
};
use burst_host::nouns::Element;

/// What the epilogue takes.
const LINKS_MAX: usize = 3;
const ADD: u32 = 1;
const MULTIPLY: u32 = 4;
const DIVIDE: u32 = 5;

/// A kernel that ends with `epilogue.wgsl`.
#[derive(Clone)]
pub struct Product {
    /// Of those tensors that are halves.
    pub shader: fn(Halves) -> Shader,
    pub constants: Vec<(&'static str, u32)>,
    /// Those before the epilogue's.
    pub parameters: Vec<u32>,
    pub a: Placed,
    /// `None` where one tensor has all that is added up.
    pub b: Option<Placed>,
    pub y: Placed,
    pub groups: [u32; 3],
    pub epilogue: Epilogue,
}

/// `y = links(scale · sums + bias + before) + after`.
#[derive(Clone)]
pub struct Epilogue {
    /// Whether rows of y lie one after another, or columns; and how many of both there are.
    pub by_rows: bool,
    pub matrix: [usize; 2],
    pub scale: f32,
    pub bias: Option<Bias>,
    pub before: Option<Placed>,
    pub links: Vec<Link>,
    pub after: Option<Placed>,
}

#[derive(Clone)]
pub struct Bias {
    pub tensor: Placed,
    pub scale: f32,
    /// Floats between rows and between columns.
    pub steps: [u32; 2],
}

impl Product {
    /// What is read, in the order of the bindings.
    pub fn operands(&self) -> impl Iterator<Item = &Placed> {
        let Epilogue { bias, before, after, .. } = &self.epilogue;
        let bias = bias.as_ref().map_or(&self.a, |bias| &bias.tensor);
        let residual = before.as_ref().or(after.as_ref()).unwrap_or(&self.a);
        [&self.a].into_iter().chain(&self.b).chain([bias, residual])
    }

    /// The product of which `partial` holds so many parts one after the other, and what adds them up.
    pub fn in_parts(self, partial: &Placed, parts: usize) -> [Self; 2] {
        let Epilogue { by_rows, matrix, .. } = self.epilogue;
        let [rows, columns] = matrix;
        let lines = if by_rows { rows } else { columns };
        let matrices = self.y.spec.shape.elements() / (rows * columns).max(1);
        let count = matrices * lines * self.epilogue.run().div_ceil(4);
        let sum = Self {
            shader: Shader::Parts,
            constants: Vec::new(),
            parameters: [count, rows, columns, parts].map(|value| value as u32).to_vec(),
            a: partial.clone(),
            b: Some(partial.clone()),
            groups: grid(count),
            ..self.clone()
        };
        [Self { y: partial.clone(), epilogue: Epilogue::new(by_rows, matrix), ..self }, sum]
    }

    /// The product with a chain after it; `None` where the epilogue has no room.
    pub fn then(&self, chain: &Chain) -> Option<Self> {
        let fits = chain.x.same(&self.y) && chain.y.spec.shape == self.y.spec.shape && chain.rounding.is_empty();
        let mut longer = fits.then(|| self.clone())?;
        match (self.y.spec.element, chain.y.spec.element) {
            (Element::Fp32, Element::Fp16) if chain.links.is_empty() => longer.epilogue.can_halve().then_some(())?,
            (Element::Fp32, Element::Fp32) | (Element::Fp16, Element::Fp16) => {
                chain.links.iter().try_for_each(|link| longer.epilogue.take(link, &self.y))?;
            }
            _ => return None,
        }
        longer.y = chain.y.clone();
        Some(longer)
    }

    /// The dispatch that computes it.
    pub fn dispatch(&self) -> Dispatch {
        let mut parameters = self.parameters.clone();
        parameters.extend(self.epilogue.parameters());
        let mut constants = self.constants.clone();
        constants.extend(self.epilogue.constants());
        Dispatch {
            kernel: Kernel::new((self.shader)(Halves::of(self.a.spec.element, self.y.spec.element)), constants),
            parameters,
            reads: self.operands().map(|operand| operand.storage).collect(),
            write: self.y.storage,
            groups: self.groups,
        }
    }
}

impl Epilogue {
    /// Nothing yet.
    pub fn new(by_rows: bool, matrix: [usize; 2]) -> Self {
        Self { by_rows, matrix, scale: 1.0, bias: None, before: None, links: Vec::new(), after: None }
    }

    /// Numbers of y that lie one after another.
    fn run(&self) -> usize {
        self.matrix[usize::from(self.by_rows)]
    }

    fn take(&mut self, link: &Link, y: &Placed) -> Option<()> {
        if self.after.is_some() {
            return None;
        }
        match &link.with {
            With::Number(number) if self.scales(y) && matches!(link.code, MULTIPLY | DIVIDE) => {
                self.scale *= if link.code == MULTIPLY { *number } else { 1.0 / number };
                Some(())
            }
            With::Tensor(other) if link.code != ADD || other.storage == y.storage => None,
            With::Tensor(other) if other.spec == y.spec => self.add(other),
            With::Tensor(other) => self.bias_of(other, y),
            With::Nothing | With::Number(_) if self.links.len() == LINKS_MAX => None,
            With::Nothing | With::Number(_) => {
                self.links.push(link.clone());
                Some(())
            }
        }
    }

    /// Whether sums can be scaled once more; halves are rounded before.
    fn scales(&self, y: &Placed) -> bool {
        self.is_bare() && y.spec.element == Element::Fp32
    }

    /// Whether the result can be halves, which round after each step from now on and lie by whole quads.
    fn can_halve(&self) -> bool {
        self.before.is_none() && self.links.is_empty() && self.after.is_none() && self.run().is_multiple_of(4)
    }

    /// Whether sums are only scaled.
    fn is_bare(&self) -> bool {
        self.bias.is_none() && self.before.is_none() && self.links.is_empty()
    }

    /// Binds one tensor of y's shape.
    fn add(&mut self, other: &Placed) -> Option<()> {
        let place = if self.links.is_empty() { &mut self.before } else { &mut self.after };
        place.is_none().then(|| *place = Some(other.clone()))?;
        (self.before.is_none() || self.after.is_none()).then_some(())
    }

    /// Takes a tensor of a number for each column.
    fn bias_of(&mut self, other: &Placed, y: &Placed) -> Option<()> {
        let axis = if self.by_rows { 7 } else { 8 - y.extents().len() + 1 };
        let steps = strides(other.extents(), y.extents());
        let along_columns = (0..8).all(|at| steps[at] == u32::from(at == axis));
        let plain = self.is_bare() && along_columns && other.spec.element == Element::Fp32;
        plain.then(|| self.bias = Some(Bias { tensor: other.clone(), scale: 1.0, steps: [0, 1] }))
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        const LINKS: [&str; LINKS_MAX] = ["LINK0", "LINK1", "LINK2"];
        let bias = self.bias.as_ref().map_or(0, |bias| if bias.steps == [0, 1] { 1 } else { 2 });
        let residual = if self.before.is_some() { 1 } else { 2 * u32::from(self.after.is_some()) };
        let mut constants = vec![
            ("BIAS", bias),
            ("RESIDUAL", residual),
            ("LINKS", self.links.len() as u32),
            ("BY_ROWS", u32::from(self.by_rows)),
            ("QUADS", u32::from(self.run().is_multiple_of(4))),
        ];
        constants.extend(LINKS.into_iter().zip(self.links.iter().map(|link| link.code)));
        constants
    }

    fn parameters(&self) -> Vec<u32> {
        let (scale, [row, column]) = self.bias.as_ref().map_or((0.0, [0, 0]), |bias| (bias.scale, bias.steps));
        let mut words = vec![self.scale.to_bits(), scale.to_bits(), row, column];
        for link in &self.links {
            let number = if let With::Number(number) = link.with { number } else { 0.0 };
            words.extend([number, link.attributes[0], link.attributes[1]].map(f32::to_bits));
        }
        words.resize(4 + 3 * LINKS_MAX, 0);
        words
    }
}
