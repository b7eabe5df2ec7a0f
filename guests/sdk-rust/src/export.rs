//! The macros that turn plain functions into what the host calls. Elsewhere than in WebAssembly they export nothing, so
//! that a guest's unit tests run on the machine that builds it.

use crate::{Inputs, Outputs, Tensor};

/// Exports a function that answers requests, and optionally one that runs once at deploy.
///
/// `responder!(respond)` or `responder!(respond, prepare)`, with
/// `fn respond(inputs: Inputs) -> Result<Outputs, String>` and `fn prepare() -> Result<(), String>`.
///
/// The host takes a snapshot of the guest's memory after `prepare`, and every request starts from it. A `prepare` that
/// keeps a handle runs before each request instead, in the background; one that fails refuses the deployment.
#[macro_export]
macro_rules! responder {
    ($respond:path $(,)?) => {
        $crate::responder!($respond, $crate::prepare_nothing);
    };
    ($respond:path, $prepare:path $(,)?) => {
        const _: () = {
            struct Responder;
            // Without it, code that only the exports use would be dead where nothing is exported.
            const _: Responder = Responder;
            impl $crate::bindings::responder::exports::burst::edge::responder::Guest for Responder {
                fn respond(
                    inputs: ::std::vec::Vec<(::std::string::String, $crate::Tensor)>,
                ) -> ::std::result::Result<
                    ::std::vec::Vec<(::std::string::String, $crate::Tensor)>,
                    ::std::string::String,
                > {
                    $crate::respond_with($respond, inputs)
                }
            }
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::responder::export! { Responder with_types_in $crate::bindings::responder }
            $crate::__lifecycle!(Responder, $prepare);
        };
    };
}

/// Exports a function that looks at frames, and optionally one that runs once at deploy.
///
/// `watcher!(watch)` or `watcher!(watch, prepare)`, with `fn watch(frame: Frame) -> Result<Vec<Event>, String>` and
/// `fn prepare() -> Result<(), String>`, which works as in [`responder!`].
#[macro_export]
macro_rules! watcher {
    ($watch:path $(,)?) => {
        $crate::watcher!($watch, $crate::prepare_nothing);
    };
    ($watch:path, $prepare:path $(,)?) => {
        const _: () = {
            struct Watcher;
            // Without it, code that only the exports use would be dead where nothing is exported.
            const _: Watcher = Watcher;
            impl $crate::bindings::watcher::exports::burst::edge::watcher::Guest for Watcher {
                fn watch(
                    frame: $crate::Frame,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Event>, ::std::string::String> {
                    $watch(frame)
                }
            }
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::watcher::export! { Watcher with_types_in $crate::bindings::watcher }
            $crate::__lifecycle!(Watcher, $prepare);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __lifecycle {
    ($guest:ident, $prepare:path) => {
        impl $crate::bindings::lifecycle::exports::burst::edge::lifecycle::Guest for $guest {
            fn prepare() -> ::std::result::Result<(), ::std::string::String> {
                $crate::reserve_heap();
                $prepare()
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::lifecycle::export! { $guest with_types_in $crate::bindings::lifecycle }
    };
}

#[doc(hidden)]
pub fn respond_with(
    respond: fn(Inputs) -> Result<Outputs, String>,
    inputs: Vec<(String, Tensor)>,
) -> Result<Vec<(String, Tensor)>, String> {
    respond(inputs.into()).map(Into::into)
}

/// Grows the heap before the snapshot: a request that does it costs the host two system calls more.
#[doc(hidden)]
pub fn reserve_heap() {
    const HEAP_BYTES: usize = 48 << 10;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(HEAP_BYTES)));
}

#[doc(hidden)]
pub fn prepare_nothing() -> Result<(), String> {
    Ok(())
}
