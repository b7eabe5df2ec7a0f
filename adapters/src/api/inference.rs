//! What the routes need of the data plane.

use burst_host::{
    loops::serve::{Answer, Deployed, Deployment, Request, ServeError, Service},
    nouns::Signature,
};
use std::sync::Arc;

/// Guests that answer requests: [`Service`], or what stands for it in tests.
pub trait Inference: Send + Sync + 'static {
    /// A guest that answers. Another one of its name may come; what began with this one ends with it.
    type Answering: Send + Sync;

    /// Every guest, by name.
    fn guests(&self) -> Vec<Deployed>;

    /// One of them.
    fn guest(&self, name: &str) -> Option<Deployed>;

    /// Whether requests are taken.
    fn ready(&self) -> bool;

    /// Asked once a request.
    fn answering(&self, name: &str) -> Option<Arc<Self::Answering>>;

    /// What a request must fit.
    fn signature<'a>(&self, guest: &'a Self::Answering) -> &'a Arc<Signature>;

    /// Answers a request; dropping the future cancels it.
    fn answer(
        &self,
        guest: &Self::Answering,
        request: Request,
    ) -> impl Future<Output = Result<Answer, ServeError>> + Send;
}

impl Inference for Service {
    type Answering = Deployment;

    fn guests(&self) -> Vec<Deployed> {
        Service::guests(self)
    }

    fn guest(&self, name: &str) -> Option<Deployed> {
        Service::guest(self, name)
    }

    fn ready(&self) -> bool {
        Service::ready(self)
    }

    fn answering(&self, name: &str) -> Option<Arc<Deployment>> {
        Service::answering(self, name)
    }

    fn signature<'a>(&self, guest: &'a Deployment) -> &'a Arc<Signature> {
        &guest.signature
    }

    fn answer(&self, guest: &Deployment, request: Request) -> impl Future<Output = Result<Answer, ServeError>> + Send {
        self.answer_by(guest, request)
    }
}
