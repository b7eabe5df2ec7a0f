//! Convolutions of 3 by 3 as Winograd's F(2 × 2, 3 × 3) has them: 16 products over tiles of four pixels of the result, which
//! take four multiplications for every nine of the definition.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, grid},
        product::{Epilogue, Product},
        tiling::{COLUMNS, GROUPS_MAX},
    },
    convolve::Convolution,
    matrix::{BY_ROWS, Matrices},
    pointwise::padded,
};
use burst_host::nouns::{Element, Spec};

/// Numbers of a tile.
const PLACES: usize = 16;
/// Fewer channels spare less than what it costs to bring tiles into another form. Measured on lavapipe: with 128 channels
/// it takes 0.8 of the time, with 256 two thirds.
const CHANNELS_MIN: usize = 128;

/// Tiles of all images.
struct Tiles {
    /// Of an image, and of a row of one.
    image: usize,
    row: usize,
    /// All of them, and as many as are whole quads.
    count: usize,
    room: usize,
}

impl Tiles {
    fn of(convolution: &Convolution<'_>) -> Self {
        let [n, ..] = convolution.sizes();
        let [rows, row] = convolution.windows.output.map(|extent| extent.div_ceil(2));
        let count = n * rows * row;
        Self { image: rows * row, row, count, room: count.next_multiple_of(4) }
    }
}

impl Convolution<'_> {
    /// Whether it can be multiplied in this way, and is worth it.
    pub fn suits_winograd(&self, planner: &Planner) -> bool {
        let ([_, c, ..], c_out) = (self.sizes(), self.spec.shape.extents()[1]);
        let windows = &self.windows;
        let plain = windows.kernel == [3, 3] && windows.strides == [1, 1] && windows.dilations == [1, 1];
        let floats = !self.exact && self.x.spec.element == Element::Fp32 && planner.is_weight(self.w);
        let largest = size_of::<f32>() * PLACES * Tiles::of(self).room * c.max(c_out);
        let wide = c.min(c_out) >= CHANNELS_MIN && c <= GROUPS_MAX && largest <= planner.binding_max;
        planner.target.choice.winograd && plain && self.groups == 1 && floats && wide && largest > 0
    }

    pub fn winograd(self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let ([_, c, ..], c_out, tiles) = (self.sizes(), self.spec.shape.extents()[1], Tiles::of(&self));
        let brought = self.tiles(planner, node, &tiles)?;
        let weights = self.spread(planner, node)?;
        let shape = node.shape(vec![PLACES, c_out, tiles.room])?;
        let products = planner.temporary(Spec { element: Element::Fp32, shape })?;
        let matrices = Matrices {
            sizes: [tiles.room, c_out, c],
            reads: BY_ROWS,
            a_steps: [1, tiles.room],
            b_steps: [c * COLUMNS / 4, COLUMNS / 4],
            batch: PLACES,
            shape: padded(&[PLACES], 1),
            a_strides: padded(&[c * tiles.room], 0),
            b_strides: padded(&[c * c_out.next_multiple_of(COLUMNS)], 0),
        };
        let epilogue = Epilogue::new(false, [tiles.room, c_out]);
        let products = matrices.multiply(planner, [&brought, &weights], products, epilogue)?;
        self.pixels_of(planner, products, &tiles)
    }

    /// [n, c, h, w] to [places, c, tiles].
    fn tiles(&self, planner: &mut Planner, node: &Node<'_>, tiles: &Tiles) -> Result<Placed, Halt> {
        let [_, c, h_in, w_in] = self.sizes();
        let [top, left] = self.windows.begin;
        let numbers = [c, tiles.count, tiles.room, tiles.image, tiles.row, h_in, w_in, top, left];
        let groups = [tiles.room.div_ceil(32) as u32, c as u32, 1];
        let parameters = numbers.map(|number| number as u32).to_vec();
        let spec = Spec { element: Element::Fp32, shape: node.shape(vec![PLACES, c, tiles.room])? };
        planner.dispatch(Kernel::new(Shader::WinogradTiles, []), parameters, &[self.x], spec, groups)
    }

    /// [out, in, 3, 3] to [places, blocks of out, in, 32].
    fn spread(&self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let ([_, c, ..], c_out) = (self.sizes(), self.spec.shape.extents()[1]);
        let blocks = c_out.div_ceil(COLUMNS);
        let count = blocks * c * COLUMNS;
        let parameters = [count, c, c_out].map(|number| number as u32).to_vec();
        let spec = Spec { element: Element::Fp32, shape: node.shape(vec![PLACES, blocks, c, COLUMNS])? };
        planner.dispatch(Kernel::new(Shader::WinogradWeights, []), parameters, &[self.w], spec, grid(count))
    }

    /// [places, out, tiles] to [n, out, h, w].
    fn pixels_of(self, planner: &mut Planner, products: Placed, tiles: &Tiles) -> Result<Placed, Halt> {
        let [n, ..] = self.sizes();
        let ([h_out, w_out], c_out) = (self.windows.output, self.spec.shape.extents()[1]);
        let aligned = w_out.is_multiple_of(4);
        let plane = if aligned { h_out.div_ceil(2) * w_out / 4 } else { self.pixels().div_ceil(4) };
        let count = n * c_out * plane;
        let numbers = [count, c_out, tiles.room, tiles.image, tiles.row, h_out, w_out];
        let parameters = numbers.map(|number| number as u32).to_vec();
        let y = planner.temporary(self.spec.clone())?;
        let (shader, constants, groups, epilogue) =
            (Shader::WinogradResult, vec![("ALIGNED", u32::from(aligned))], grid(count), self.epilogue());
        let product = Product { shader, constants, parameters, a: products, b: None, y, groups, epilogue };
        planner.multiply(product, 1)
    }
}
