//! What the routes need of the data plane.

use burst_host::{
    loops::serve::{Answer, Deployed, Request, ServeError, Service},
    nouns::Signature,
};
use std::sync::Arc;

/// Guests that answer requests: [`Service`], or what stands for it in tests.
pub trait Inference: Send + Sync + 'static {
    /// Every guest, by name.
    fn guests(&self) -> Vec<Deployed>;

    /// One of them.
    fn guest(&self, name: &str) -> Option<Deployed>;

    /// Whether requests are taken.
    fn ready(&self) -> bool;

    /// What a request must fit, asked once a request.
    fn signature(&self, name: &str) -> Option<Arc<Signature>>;

    /// Answers a request; dropping the future cancels it.
    fn answer(&self, request: Request) -> impl Future<Output = Result<Answer, ServeError>> + Send;
}

impl Inference for Service {
    fn guests(&self) -> Vec<Deployed> {
        Service::guests(self)
    }

    fn guest(&self, name: &str) -> Option<Deployed> {
        Service::guest(self, name)
    }

    fn ready(&self) -> bool {
        Service::ready(self)
    }

    fn signature(&self, name: &str) -> Option<Arc<Signature>> {
        Service::signature(self, name)
    }

    fn answer(&self, request: Request) -> impl Future<Output = Result<Answer, ServeError>> + Send {
        Service::answer(self, request)
    }
}
