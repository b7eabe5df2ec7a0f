//! Shaders and the pipelines made of them, each compiled once.

pub use super::lane::Lane;
use super::{
    cells::Cells,
    family::Family,
    halving::{Halves, Halving},
    lane::{ELEMENT, ROUND16, Reach},
    stored::Stored,
    tuning::Choice,
};
use std::{borrow::Cow, sync::Arc};

/// A shader: plain WGSL, the shared parts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shader {
    Pointwise(Lane),
    Strided,
    Place,
    Join,
    Gather,
    MatMul(Halves),
    MatVec(Halves),
    Parts(Halves),
    Cooperative(Halves),
    Conv(Halves),
    Depthwise(Halves),
    Pool,
    PoolParts,
    Reduce,
    ReduceRows,
    Fold(Lane),
    Product(Lane),
    Correlate,
    PackedMatMul,
    Softmax,
    SoftmaxRows,
    Normalize,
    NormalizeRows,
    Arg(Lane),
    Select,
    Taps,
    View,
    LocateElements,
    LocateRows,
    Scatter(Lane),
    Sort,
    Merge,
    Ranked,
    Boundary,
    Scan,
    Compact,
    Unravel,
    Invert,
    Capacity,
    Candidates,
    Suppress,
    Keep,
    Selected,
    Check,
    Random,
    Advance,
    Multinomial,
    Grams,
    Cumulate(Lane),
    Triangle,
    Pick,
    Volume,
    GridSample,
    RoiAlign,
    Deform,
    Determinant,
    Attention,
    AttentionJoin,
    AttentionScores,
    Rotary,
    LinearAttention,
    Cache,
    Recurrent,
    RecurrentLast,
    Reverse,
    WinogradWeights,
    WinogradTiles,
    WinogradResult(Halves),
}

#[cfg(test)]
const FLOATS: Halves = Halves { sides: false, result: false };

impl Shader {
    /// Every shader, those of lanes in one of them, those of products of floats.
    #[cfg(test)]
    pub const ALL: &[Self] = &[
        Self::Pointwise(Lane::F32),
        Self::Strided,
        Self::Place,
        Self::Join,
        Self::Gather,
        Self::MatMul(FLOATS),
        Self::MatVec(FLOATS),
        Self::Parts(FLOATS),
        Self::Cooperative(Halves { sides: true, result: false }),
        Self::Conv(FLOATS),
        Self::Depthwise(FLOATS),
        Self::Pool,
        Self::PoolParts,
        Self::Reduce,
        Self::ReduceRows,
        Self::Fold(Lane::F32),
        Self::Product(Lane::F32),
        Self::Correlate,
        Self::PackedMatMul,
        Self::Softmax,
        Self::SoftmaxRows,
        Self::Normalize,
        Self::NormalizeRows,
        Self::Arg(Lane::F32),
        Self::Select,
        Self::Taps,
        Self::View,
        Self::LocateElements,
        Self::LocateRows,
        Self::Scatter(Lane::F32),
        Self::Sort,
        Self::Merge,
        Self::Ranked,
        Self::Boundary,
        Self::Scan,
        Self::Compact,
        Self::Unravel,
        Self::Invert,
        Self::Capacity,
        Self::Candidates,
        Self::Suppress,
        Self::Keep,
        Self::Selected,
        Self::Check,
        Self::Random,
        Self::Advance,
        Self::Multinomial,
        Self::Grams,
        Self::Cumulate(Lane::F32),
        Self::Triangle,
        Self::Pick,
        Self::Volume,
        Self::GridSample,
        Self::RoiAlign,
        Self::Deform,
        Self::Determinant,
        Self::Attention,
        Self::AttentionJoin,
        Self::AttentionScores,
        Self::Rotary,
        Self::LinearAttention,
        Self::Cache,
        Self::Recurrent,
        Self::RecurrentLast,
        Self::Reverse,
        Self::WinogradWeights,
        Self::WinogradTiles,
        Self::WinogradResult(FLOATS),
    ];

    /// The files that make it up, besides its lane's.
    fn parts(self) -> &'static [&'static str] {
        const GRID: &str = include_str!("shaders/grid.wgsl");
        const RUN: &str = include_str!("shaders/run.wgsl");
        const ORDER: &str = include_str!("shaders/order.wgsl");
        const OVERLAP: &str = include_str!("shaders/overlap.wgsl");
        const EPILOGUE: &str = include_str!("shaders/epilogue.wgsl");
        const WINDOW: &str = include_str!("shaders/window.wgsl");
        const MATMUL: &str = include_str!("shaders/matmul.wgsl");
        const POWER: &str = include_str!("shaders/power.wgsl");
        const POOL: &str = include_str!("shaders/pool.wgsl");
        const ELEMENTARY: &str = include_str!("shaders/elementary.wgsl");
        const ROWS: &str = include_str!("shaders/rows.wgsl");
        const REDUCE: &str = include_str!("shaders/reduce.wgsl");
        const SOFTMAX: &str = include_str!("shaders/softmax.wgsl");
        const NORMALIZE: &str = include_str!("shaders/normalize.wgsl");
        const COPY: &str = include_str!("shaders/copy.wgsl");
        const SCORES: &str = include_str!("shaders/scores.wgsl");
        match self {
            Self::Pointwise(_) => &[GRID, include_str!("shaders/pointwise.wgsl")],
            Self::Strided => &[GRID, include_str!("shaders/strided.wgsl"), COPY],
            Self::Reverse => &[GRID, include_str!("shaders/reverse.wgsl"), COPY],
            Self::Recurrent => &[GRID, include_str!("shaders/recurrent.wgsl")],
            Self::RecurrentLast => &[GRID, include_str!("shaders/recurrent_last.wgsl")],
            Self::Place => &[GRID, include_str!("shaders/place.wgsl")],
            Self::Join => &[GRID, include_str!("shaders/join.wgsl")],
            Self::Gather => &[GRID, include_str!("shaders/gather.wgsl")],
            Self::MatMul(_) => &[EPILOGUE, MATMUL],
            Self::MatVec(_) => &[EPILOGUE, MATMUL, include_str!("shaders/matvec.wgsl")],
            Self::Cooperative(_) => &[EPILOGUE, include_str!("shaders/cooperative.wgsl")],
            Self::Parts(_) => &[GRID, EPILOGUE, include_str!("shaders/parts.wgsl")],
            Self::Conv(_) => &[EPILOGUE, WINDOW, include_str!("shaders/conv.wgsl")],
            Self::Depthwise(_) => &[GRID, EPILOGUE, WINDOW, include_str!("shaders/depthwise.wgsl")],
            Self::Pool => &[GRID, ELEMENTARY, POWER, POOL, include_str!("shaders/pool_each.wgsl")],
            Self::PoolParts => &[GRID, ELEMENTARY, POWER, POOL, include_str!("shaders/pool_parts.wgsl")],
            Self::Reduce => &[GRID, RUN, ELEMENTARY, REDUCE, include_str!("shaders/reduce_each.wgsl")],
            Self::ReduceRows => &[RUN, ELEMENTARY, ROWS, REDUCE, include_str!("shaders/reduce_rows.wgsl")],
            Self::Fold(_) => &[GRID, RUN, include_str!("shaders/fold.wgsl")],
            Self::Product(_) => &[GRID, include_str!("shaders/product.wgsl")],
            Self::Correlate => &[GRID, WINDOW, include_str!("shaders/correlate.wgsl")],
            Self::PackedMatMul => &[include_str!("shaders/packed_matmul.wgsl")],
            Self::Softmax => &[GRID, RUN, ELEMENTARY, ROUND16, SOFTMAX, include_str!("shaders/softmax_each.wgsl")],
            Self::SoftmaxRows => &[RUN, ELEMENTARY, ROWS, ROUND16, SOFTMAX, include_str!("shaders/softmax_rows.wgsl")],
            Self::Normalize => &[GRID, NORMALIZE, include_str!("shaders/normalize_each.wgsl")],
            Self::NormalizeRows => &[ROWS, NORMALIZE, include_str!("shaders/normalize_rows.wgsl")],
            Self::Arg(_) => &[GRID, RUN, include_str!("shaders/arg.wgsl")],
            Self::Select => &[GRID, include_str!("shaders/select.wgsl")],
            Self::LocateElements => &[GRID, include_str!("shaders/locate_elements.wgsl")],
            Self::LocateRows => &[GRID, include_str!("shaders/locate_rows.wgsl")],
            Self::Scatter(_) => &[GRID, include_str!("shaders/scatter.wgsl")],
            Self::Sort => &[GRID, ELEMENT, ORDER, include_str!("shaders/sort.wgsl")],
            Self::Merge => &[GRID, ELEMENT, ORDER, include_str!("shaders/merge.wgsl")],
            Self::Ranked => &[GRID, include_str!("shaders/ranked.wgsl")],
            Self::Boundary => &[GRID, ELEMENT, ORDER, include_str!("shaders/boundary.wgsl")],
            Self::Scan => &[GRID, include_str!("shaders/scan.wgsl")],
            Self::Compact => &[GRID, include_str!("shaders/compact.wgsl")],
            Self::Unravel => &[GRID, include_str!("shaders/unravel.wgsl")],
            Self::Invert => &[GRID, include_str!("shaders/invert.wgsl")],
            Self::Capacity => &[include_str!("shaders/capacity.wgsl")],
            Self::Candidates => &[GRID, include_str!("shaders/candidates.wgsl")],
            Self::Suppress => &[GRID, OVERLAP, include_str!("shaders/suppress.wgsl")],
            Self::Keep => &[GRID, OVERLAP, include_str!("shaders/keep.wgsl")],
            Self::Selected => &[GRID, include_str!("shaders/selected.wgsl")],
            Self::Check => &[GRID, include_str!("shaders/check.wgsl")],
            Self::Random => &[GRID, include_str!("shaders/random.wgsl")],
            Self::Advance => &[include_str!("shaders/advance.wgsl")],
            Self::Multinomial => &[GRID, ELEMENTARY, include_str!("shaders/multinomial.wgsl")],
            Self::Grams => &[GRID, include_str!("shaders/grams.wgsl")],
            Self::Cumulate(_) => &[GRID, RUN, include_str!("shaders/cumulate.wgsl")],
            Self::Pick => &[GRID, include_str!("shaders/pick.wgsl")],
            Self::Triangle => &[GRID, include_str!("shaders/triangle.wgsl")],
            Self::Attention => &[ELEMENTARY, SCORES],
            Self::AttentionJoin => &[GRID, ELEMENTARY, include_str!("shaders/attention_join.wgsl")],
            Self::AttentionScores => &[GRID, ELEMENTARY, SCORES, include_str!("shaders/attention_scores.wgsl")],
            Self::Rotary => &[GRID, include_str!("shaders/rotary.wgsl")],
            Self::LinearAttention => &[GRID, ELEMENTARY, include_str!("shaders/linear_attention.wgsl")],
            Self::Cache => &[GRID, include_str!("shaders/cache.wgsl")],
            Self::View => &[GRID, ROUND16, include_str!("shaders/view.wgsl")],
            Self::Volume => &[include_str!("shaders/volume.wgsl")],
            Self::GridSample => &[GRID, include_str!("shaders/grid_sample.wgsl")],
            Self::RoiAlign => &[GRID, include_str!("shaders/roi_align.wgsl")],
            Self::Deform => &[GRID, WINDOW, include_str!("shaders/deform.wgsl")],
            Self::Determinant => &[GRID, include_str!("shaders/determinant.wgsl")],
            Self::WinogradWeights => &[GRID, include_str!("shaders/winograd_weights.wgsl")],
            Self::WinogradTiles => &[include_str!("shaders/winograd_tiles.wgsl")],
            Self::WinogradResult(_) => &[GRID, EPILOGUE, include_str!("shaders/winograd_result.wgsl")],
            Self::Taps => &[GRID, include_str!("shaders/taps.wgsl")],
        }
    }

    /// What has to be said first.
    fn enables(self, halving: Halving) -> &'static str {
        match self.halves() {
            _ if matches!(self, Self::Cooperative(_)) => include_str!("shaders/cooperative_enable.wgsl"),
            Some(halves) if halves.any() && halving == Halving::Native => include_str!("shaders/half_enable.wgsl"),
            _ => "",
        }
    }

    /// Which tensors are halves; `None` of what is no product.
    fn halves(self) -> Option<Halves> {
        match self {
            Self::MatMul(halves) | Self::MatVec(halves) | Self::Parts(halves) => Some(halves),
            Self::Cooperative(halves) | Self::Conv(halves) | Self::Depthwise(halves) => Some(halves),
            Self::WinogradResult(halves) => Some(halves),
            _ => None,
        }
    }

    /// Where it computes; `None` where it needs no lane's arithmetic.
    pub fn lane(self) -> Option<Lane> {
        match self {
            Self::Pointwise(lane) | Self::Fold(lane) | Self::Product(lane) => Some(lane),
            Self::Arg(lane) | Self::Scatter(lane) | Self::Cumulate(lane) => Some(lane),
            Self::Recurrent => Some(Lane::F32),
            _ => self.halves().map(|_| Lane::F32),
        }
    }

    /// The same in another lane.
    #[cfg(test)]
    pub fn in_lane(self, lane: Lane) -> Self {
        match self {
            Self::Pointwise(_) => Self::Pointwise(lane),
            Self::Fold(_) => Self::Fold(lane),
            Self::Product(_) => Self::Product(lane),
            Self::Arg(_) => Self::Arg(lane),
            Self::Scatter(_) => Self::Scatter(lane),
            Self::Cumulate(_) => Self::Cumulate(lane),
            other => other,
        }
    }

    /// The same of other tensors.
    #[cfg(test)]
    pub fn of_halves(self, halves: Halves) -> Self {
        match self {
            Self::MatMul(_) => Self::MatMul(halves),
            Self::MatVec(_) => Self::MatVec(halves),
            Self::Parts(_) => Self::Parts(halves),
            Self::Cooperative(_) => Self::Cooperative(Halves { sides: true, ..halves }),
            Self::Conv(_) => Self::Conv(halves),
            Self::Depthwise(_) => Self::Depthwise(halves),
            Self::WinogradResult(_) => Self::WinogradResult(halves),
            other => other,
        }
    }

    /// The whole source for a family of devices, and how they have halves, with the operators that a kernel needs.
    pub fn source(self, family: Family, halving: Halving, reach: Reach) -> String {
        // Where there are matrices of them, there are halves.
        let halving = if matches!(self, Self::Cooperative(_)) { Halving::Native } else { halving };
        let halves = self.halves().map_or_else(String::new, |halves| halves.source(halving));
        let parts = [self.parts(), family.parts(self)].concat();
        let lane = self.lane().map_or_else(String::new, |lane| lane.source(reach));
        [self.enables(halving), &lane, &halves, &parts.concat()].concat()
    }
}

/// A shader with its constants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    pub shader: Shader,
    /// Values of `override` constants.
    pub constants: Vec<(&'static str, u32)>,
}

impl Kernel {
    pub fn new(shader: Shader, constants: impl Into<Vec<(&'static str, u32)>>) -> Self {
        Self { shader, constants: constants.into() }
    }

    /// Which operators that take many steps are among its own.
    fn reach(&self) -> Reach {
        if self.shader == Shader::Recurrent {
            return Reach::ALL;
        }
        let operator = |name: &str| name.starts_with("OP") || name.starts_with("LINK") && name != "LINKS";
        Reach::of(self.constants.iter().filter(|(name, _)| operator(name)).map(|(_, code)| *code))
    }
}

/// Compiled kernels of one device.
pub struct Kernels {
    device: wgpu::Device,
    choice: Choice,
    modules: Cells<(Shader, Reach), wgpu::ShaderModule>,
    pipelines: Cells<Kernel, Arc<wgpu::ComputePipeline>>,
    stored: Option<Arc<Stored>>,
}

/// Pipelines that are kept: guests can think of new kernels without end. What a plan needs stays with it.
pub const PIPELINES_MAX: usize = 1024;

impl Kernels {
    pub fn new(device: wgpu::Device, choice: Choice, stored: Option<Arc<Stored>>) -> Self {
        Self { device, choice, modules: Cells::new(usize::MAX), pipelines: Cells::new(PIPELINES_MAX), stored }
    }

    /// Others, on the same device.
    pub fn of(&self, choice: Choice) -> Self {
        Self::new(self.device.clone(), choice, self.stored.clone())
    }

    /// The pipeline of a kernel; compiles it the first time.
    pub fn pipeline(&self, kernel: &Kernel) -> Arc<wgpu::ComputePipeline> {
        self.pipelines.get(kernel, || Arc::new(self.compile(kernel)))
    }

    /// Keeps what was compiled for the next start.
    pub fn keep(&self) {
        if let Some(stored) = &self.stored {
            stored.keep();
        }
    }

    fn compile(&self, kernel: &Kernel) -> wgpu::ComputePipeline {
        let module = self.module(kernel.shader, kernel.reach());
        let constants: Vec<_> = kernel.constants.iter().map(|&(name, value)| (name, f64::from(value))).collect();
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&format!("{:?}", kernel.shader)),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: self.stored.as_deref().and_then(Stored::cache),
        })
    }

    fn module(&self, shader: Shader, reach: Reach) -> wgpu::ShaderModule {
        let make = || {
            self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&format!("{shader:?}")),
                source: wgpu::ShaderSource::Wgsl(Cow::Owned(shader.source(
                    self.choice.family,
                    self.choice.halving,
                    reach,
                ))),
            })
        };
        self.modules.get(&(shader, reach), make)
    }
}
