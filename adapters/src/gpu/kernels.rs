//! Shaders and the pipelines made of them, each compiled once.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A shader: plain WGSL, the shared parts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shader {
    PointwiseFloat,
    PointwiseInt,
    PointwiseLong,
    Strided,
    Place,
    Gather,
    MatMul,
    Conv,
    Depthwise,
    Pool,
    Reduce,
    Softmax,
    Normalize,
    Arg,
    Select,
    Taps,
    View,
    GatherElements,
    Rank,
    Cumulate,
    Triangle,
    Pick,
    Volume,
    GridSample,
    RoiAlign,
    Deform,
    Determinant,
}

impl Shader {
    /// Every shader.
    #[cfg(test)]
    pub const ALL: [Self; 27] = [
        Self::PointwiseFloat,
        Self::PointwiseInt,
        Self::PointwiseLong,
        Self::Strided,
        Self::Place,
        Self::Gather,
        Self::MatMul,
        Self::Conv,
        Self::Depthwise,
        Self::Pool,
        Self::Reduce,
        Self::Softmax,
        Self::Normalize,
        Self::Arg,
        Self::Select,
        Self::Taps,
        Self::View,
        Self::GatherElements,
        Self::Rank,
        Self::Cumulate,
        Self::Triangle,
        Self::Pick,
        Self::Volume,
        Self::GridSample,
        Self::RoiAlign,
        Self::Deform,
        Self::Determinant,
    ];

    /// The files that make it up.
    fn parts(self) -> &'static [&'static str] {
        const GRID: &str = include_str!("shaders/grid.wgsl");
        const RUN: &str = include_str!("shaders/run.wgsl");
        const ELEMENT: &str = include_str!("shaders/element.wgsl");
        const POINTWISE: &str = include_str!("shaders/pointwise.wgsl");
        const ACTIVATION: &str = include_str!("shaders/activation.wgsl");
        match self {
            Self::PointwiseFloat => &[GRID, ELEMENT, include_str!("shaders/lane_f32.wgsl"), POINTWISE],
            Self::PointwiseInt => &[GRID, ELEMENT, include_str!("shaders/lane_i32.wgsl"), POINTWISE],
            Self::PointwiseLong => &[GRID, ELEMENT, include_str!("shaders/lane_i64.wgsl"), POINTWISE],
            Self::Strided => &[GRID, include_str!("shaders/strided.wgsl")],
            Self::Place => &[GRID, include_str!("shaders/place.wgsl")],
            Self::Gather => &[GRID, include_str!("shaders/gather.wgsl")],
            Self::MatMul => &[ACTIVATION, include_str!("shaders/matmul.wgsl")],
            Self::Conv => &[ACTIVATION, include_str!("shaders/conv.wgsl")],
            Self::Depthwise => &[GRID, ACTIVATION, include_str!("shaders/depthwise.wgsl")],
            Self::Pool => &[GRID, include_str!("shaders/pool.wgsl")],
            Self::Reduce => &[GRID, RUN, include_str!("shaders/reduce.wgsl")],
            Self::Softmax => &[GRID, RUN, include_str!("shaders/softmax.wgsl")],
            Self::Normalize => &[GRID, include_str!("shaders/normalize.wgsl")],
            Self::Arg => &[GRID, RUN, include_str!("shaders/arg.wgsl")],
            Self::Select => &[GRID, include_str!("shaders/select.wgsl")],
            Self::GatherElements => &[GRID, include_str!("shaders/gather_elements.wgsl")],
            Self::Rank => &[GRID, include_str!("shaders/rank.wgsl")],
            Self::Cumulate => &[GRID, RUN, include_str!("shaders/cumulate.wgsl")],
            Self::Pick => &[GRID, include_str!("shaders/pick.wgsl")],
            Self::Triangle => &[GRID, include_str!("shaders/triangle.wgsl")],
            Self::View => &[GRID, include_str!("shaders/view.wgsl")],
            Self::Volume => &[ACTIVATION, include_str!("shaders/volume.wgsl")],
            Self::GridSample => &[GRID, include_str!("shaders/grid_sample.wgsl")],
            Self::RoiAlign => &[GRID, include_str!("shaders/roi_align.wgsl")],
            Self::Deform => &[GRID, include_str!("shaders/deform.wgsl")],
            Self::Determinant => &[GRID, include_str!("shaders/determinant.wgsl")],
            Self::Taps => &[GRID, include_str!("shaders/taps.wgsl")],
        }
    }

    /// The whole source.
    pub fn source(self) -> String {
        self.parts().concat()
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
}

/// Compiled kernels of one device.
pub struct Kernels {
    device: wgpu::Device,
    modules: Mutex<HashMap<Shader, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Kernel, Arc<wgpu::ComputePipeline>>>,
}

impl Kernels {
    pub fn new(device: wgpu::Device) -> Self {
        Self { device, modules: Mutex::default(), pipelines: Mutex::default() }
    }

    /// The pipeline of a kernel; compiles it the first time.
    pub fn pipeline(&self, kernel: &Kernel) -> Arc<wgpu::ComputePipeline> {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = pipelines.get(kernel) {
            return pipeline.clone();
        }
        let pipeline = Arc::new(self.compile(kernel));
        pipelines.insert(kernel.clone(), pipeline.clone());
        pipeline
    }

    fn compile(&self, kernel: &Kernel) -> wgpu::ComputePipeline {
        let module = self.module(kernel.shader);
        let constants: Vec<_> = kernel.constants.iter().map(|&(name, value)| (name, f64::from(value))).collect();
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&format!("{:?}", kernel.shader)),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        })
    }

    fn module(&self, shader: Shader) -> wgpu::ShaderModule {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&format!("{shader:?}")),
                source: wgpu::ShaderSource::Wgsl(Cow::Owned(shader.source())),
            })
        };
        modules.entry(shader).or_insert_with(make).clone()
    }
}
