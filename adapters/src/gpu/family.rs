//! Kernel families: how the invocations of a device come by what they share, and what that makes of products.

use super::{kernels::Shader, tuning::Choice};
use burst_host::nouns::Element;
use wgpu::Features;

/// How invocations share what they load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Each loads for itself.
    Apart,
    /// Eight that run as one tell one another.
    Together,
    /// Those of a workgroup keep it in the workgroup's memory.
    Shared,
}

/// What of a device decides how operators are lowered.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub choice: Choice,
    /// Whether shaders may compute in 64-bit floats.
    pub doubles: bool,
    subgroups: bool,
    cooperative: bool,
}

impl Target {
    /// Of a device with these features.
    pub fn new(choice: Choice, features: Features) -> Self {
        Self {
            choice,
            // A 64-bit float is taken apart as a 64-bit integer.
            doubles: features.contains(Features::SHADER_F64 | Features::SHADER_INT64),
            subgroups: features.contains(Features::SUBGROUP),
            cooperative: features.contains(COOPERATION),
        }
    }

    /// Whether workgroups go through long runs of elements together: they meet barriers quickly, and have subgroups.
    pub fn shares_rows(&self) -> bool {
        self.choice.family == Family::Shared && self.subgroups
    }

    /// Whether attention of so many queries, of all heads, is computed in one pass over the keys. Of few, products in
    /// tiles are the faster way; of halves, those of cooperative matrices always are.
    pub fn attends(&self, element: Element, queries: usize) -> bool {
        match self.choice.family {
            Family::Shared => queries >= SHARED_QUERIES && !(element == Element::Fp16 && self.cooperates()),
            Family::Apart | Family::Together => queries >= LONG_QUERIES,
        }
    }

    /// The same without cooperative matrices.
    pub fn uncooperative(self) -> Self {
        Self { cooperative: false, ..self }
    }

    /// Whether halves are multiplied by `cooperative.wgsl`.
    pub fn cooperates(&self) -> bool {
        self.choice.family == Family::Shared && self.cooperative
    }
}

/// 32 tiles of 32 queries, whose keys are parted until a GPU is filled. Not measured on one.
const SHARED_QUERIES: usize = 1_024;
/// Measured on lavapipe: MiniLM's 1,536 are slower in one pass by a twentieth, ViT's 2,364 are not.
const LONG_QUERIES: usize = 2_048;

/// What cooperative matrices of halves take.
const COOPERATION: Features =
    Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(Features::SHADER_F16).union(Features::SUBGROUP);
/// Bytes of a workgroup's memory in `cooperative.wgsl`.
const COOPERATION_BYTES: u32 = 27_136;

/// Whether an adapter multiplies matrices of halves as `cooperative.wgsl` does: 16 by 16, held by subgroups of 32.
pub fn cooperates(adapter: &wgpu::Adapter) -> bool {
    use wgpu::CooperativeScalarType::{F16, F32};
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let fits = |matrix: &wgpu::CooperativeMatrixProperties| {
        (matrix.m_size, matrix.n_size, matrix.k_size) == (16, 16, 16) && (matrix.ab_type, matrix.cr_type) == (F16, F32)
    };
    adapter.features().contains(COOPERATION)
        && (info.subgroup_min_size, info.subgroup_max_size) == (32, 32)
        && limits.max_compute_workgroup_storage_size >= COOPERATION_BYTES
        && limits.max_compute_invocations_per_workgroup >= 256
        && adapter.cooperative_matrix_properties().iter().any(fits)
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Apart, Self::Together, Self::Shared];

    /// The one that fits a device: drivers that compute on the CPU meet barriers slowly.
    pub fn of(info: &wgpu::AdapterInfo, features: Features) -> Self {
        if info.device_type != wgpu::DeviceType::Cpu {
            return Self::Shared;
        }
        if Self::Together.runs_on(info, features) { Self::Together } else { Self::Apart }
    }

    /// Whether a device computes in this way at all.
    pub fn runs_on(self, info: &wgpu::AdapterInfo, features: Features) -> bool {
        let eight = (info.subgroup_min_size, info.subgroup_max_size) == (8, 8);
        self != Self::Together || (eight && features.contains(Features::SUBGROUP))
    }

    /// What it is, for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apart => "register tiles, without barriers",
            Self::Together => "register tiles, without barriers, loads shared by subgroups of eight",
            Self::Shared => "tiles in the memory of workgroups",
        }
    }

    /// The files of a shader that are this family's own.
    pub fn parts(self, shader: Shader) -> &'static [&'static str] {
        const TILE: &str = include_str!("shaders/tile.wgsl");
        const STORE: &str = include_str!("shaders/store.wgsl");
        const APART: &str = include_str!("shaders/apart.wgsl");
        const TOGETHER: &str = include_str!("shaders/together.wgsl");
        const SHARED: &str = include_str!("shaders/shared.wgsl");
        const MATMUL: &str = include_str!("shaders/matmul_tile.wgsl");
        const CONV: &str = include_str!("shaders/conv_tile.wgsl");
        match (shader, self) {
            (Shader::MatMul(_), Self::Apart) => &[TILE, STORE, APART, MATMUL],
            (Shader::MatMul(_), Self::Together) => &[TILE, STORE, TOGETHER, MATMUL],
            (Shader::MatMul(_), Self::Shared) => &[SHARED, include_str!("shaders/matmul_shared.wgsl")],
            (Shader::Conv(_), Self::Apart) => &[TILE, STORE, APART, CONV],
            (Shader::Conv(_), Self::Together) => &[TILE, STORE, TOGETHER, CONV],
            (Shader::Conv(_), Self::Shared) => &[SHARED, include_str!("shaders/conv_shared.wgsl")],
            (Shader::Attention, Self::Shared) => &[include_str!("shaders/attention_shared.wgsl")],
            (Shader::Attention, _) => &[include_str!("shaders/attention.wgsl")],
            (Shader::MatVec(_), Self::Shared) => &[include_str!("shaders/matvec_shared.wgsl")],
            (Shader::MatVec(_), _) => &[include_str!("shaders/matvec_alone.wgsl")],
            _ => &[],
        }
    }
}
