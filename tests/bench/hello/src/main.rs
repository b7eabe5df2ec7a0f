//! Says hello over wasi:http: the smallest answer that `wasmtime serve` can give.

use wstd::http::{Body, Error, Request, Response};

#[wstd::http_server]
async fn main(_: Request<Body>) -> Result<Response<Body>, Error> {
    Ok(Response::new("Hello, world!\n".to_owned().into()))
}
