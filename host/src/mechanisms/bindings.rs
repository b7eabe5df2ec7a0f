//! What wasmtime generates from `wit/`. Nothing else is in here.

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package burst:host;
        world everything {
            include burst:edge/accelerator@0.1.0;
            include burst:edge/frame-source@0.1.0;
            import burst:edge/events@0.1.0;
        }
    ",
    imports: {
        "burst:edge/tensors.[static]tensor.upload": async | trappable,
        "burst:edge/tensors.[method]tensor.download": async | trappable,
        "burst:edge/graphs.[method]graph.run": async | trappable,
        "burst:edge/graphs.[method]builder.finish": async | trappable,
        "burst:edge/frames.[method]frame.tensor": async | trappable,
        default: trappable,
    },
    trappable_error_type: {
        "burst:edge/tensors.fault" => super::imports::GuestFault,
    },
    with: {
        "burst:edge/tensors.tensor": super::imports::TensorHandle,
        "burst:edge/graphs.graph": super::imports::GraphHandle,
        "burst:edge/graphs.builder": super::imports::BuilderHandle,
        "burst:edge/frames.source": super::imports::SourceHandle,
        "burst:edge/frames.frame": super::imports::FrameHandle,
    },
});

pub use burst::edge::{events, frames, graphs, tensors};
