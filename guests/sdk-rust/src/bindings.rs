//! What wit-bindgen generates from `wit/`. Nothing else is in here.
//!
//! One world an exported interface, because a macro that wit-bindgen exports must be the only one of its name in a crate:
//! `lifecycle` is in both worlds of `wit/guest.wit`. The linker merges the worlds that a guest uses.

#![allow(missing_docs)]

/// What every guest may import.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package burst:imports;
            world imports {
                include burst:edge/accelerator@0.1.0;
                include burst:edge/frame-source@0.1.0;
                import burst:edge/events@0.1.0;
            }
        ",
        ownership: Borrowing { duplicate_if_necessary: false },
        generate_all,
    });
}

/// The export of a guest that answers requests.
pub mod responder {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package burst:responder;
            world responder {
                export burst:edge/responder@0.1.0;
            }
        ",
        pub_export_macro: true,
        default_bindings_module: "burst_guest::bindings::responder",
        with: {
            "burst:edge/tensors@0.1.0": crate::bindings::imports::burst::edge::tensors,
        },
    });
}

/// The export of a guest that looks at frames.
pub mod watcher {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package burst:watcher;
            world watcher {
                export burst:edge/watcher@0.1.0;
            }
        ",
        pub_export_macro: true,
        default_bindings_module: "burst_guest::bindings::watcher",
        with: {
            "burst:edge/tensors@0.1.0": crate::bindings::imports::burst::edge::tensors,
            "burst:edge/frames@0.1.0": crate::bindings::imports::burst::edge::frames,
            "burst:edge/events@0.1.0": crate::bindings::imports::burst::edge::events,
        },
    });
}

/// The export that runs once, at deploy.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package burst:lifecycle;
            world lifecycle {
                export burst:edge/lifecycle@0.1.0;
            }
        ",
        pub_export_macro: true,
        default_bindings_module: "burst_guest::bindings::lifecycle",
    });
}
