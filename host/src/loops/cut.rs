//! Cut models: from a plan to one program, whose fragments are in memory or read for each run.

use super::models::{LoadError, MODEL_MAX_BYTES, Models, below, remember};
use crate::{
    mechanisms::{
        paging::{Loader, Rest, Share, Sheet, copies},
        pipeline::Pipeline,
    },
    nouns::{Digest, Fragment, Graph, Plan, PlanError},
    ports::{Accelerator, Artefact, Program},
};
use std::sync::{Arc, Weak};

/// The largest plan of a cut model.
pub(super) const PLAN_MAX_BYTES: u64 = 16 << 20;

impl Models {
    /// The plan of a cut model, and the digest that names all of it: a plan names its fragments, those their weights.
    pub async fn plan(&self, directory: &str) -> Result<(Digest, Plan), LoadError> {
        let plan = self.registry.fetch(&below(directory, Plan::FILE), PLAN_MAX_BYTES).await?;
        Ok((plan.digest, Plan::parse(&plan.bytes)?))
    }

    /// One fragment of a cut model, loaded. Nobody shares it.
    pub async fn fragment(
        &self,
        directory: &str,
        fragment: &Fragment,
        accelerator: &dyn Accelerator,
    ) -> Result<Arc<dyn Program>, LoadError> {
        let graph = self.fragment_graph(directory, fragment).await?;
        accelerator.load(&graph).await.map_err(|fault| named(fragment)(fault.into()))
    }

    /// The same, read and not loaded.
    pub async fn fragment_graph(&self, directory: &str, fragment: &Fragment) -> Result<Graph, LoadError> {
        let read = async {
            let model = self.fragment_model(directory, fragment).await?;
            let (_, blobs) = self.blobs(&model, directory).await?;
            self.decode(model, blobs).await
        };
        read.await.map_err(named(fragment))
    }

    async fn fragment_model(&self, directory: &str, fragment: &Fragment) -> Result<Artefact, LoadError> {
        let (file, expected) = (fragment.model_file(), fragment.model);
        let model = self.registry.fetch(&below(directory, &file), MODEL_MAX_BYTES).await?;
        if model.digest == expected { Ok(model) } else { Err(PlanError::Digest { file, expected }.into()) }
    }

    /// Loads a cut model, or shares it.
    pub(super) async fn load_plan(
        &self,
        directory: &str,
        accelerator: &Arc<dyn Accelerator>,
    ) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        let (digest, plan) = self.plan(directory).await?;
        // It waits for other nodes: nobody else has to wait for it.
        if let Some(cluster) = &self.cluster {
            return Ok((digest, cluster.spread(self.is_own().then_some(directory), digest, &plan).await?));
        }
        let mut programs = self.programs.lock().await;
        if let Some(program) = programs.get(&digest).and_then(Weak::upgrade) {
            return Ok((digest, program));
        }
        let program: Arc<dyn Program> = Arc::new(match self.room_bytes() {
            None => self.in_memory(directory, &plan, accelerator).await?,
            Some(room_bytes) => {
                let sheets = self.sheets(directory, &plan).await?;
                let share = Share {
                    fragments: sheets.iter().map(Sheet::bytes).collect(),
                    kept_bytes: sheets.iter().map(Sheet::kept_bytes).sum(),
                    room_bytes,
                    device_bytes: accelerator.room_bytes(),
                };
                match share.fits() {
                    true => self.in_memory(directory, &plan, accelerator).await?,
                    false => self.paged(&plan, sheets.into(), share, accelerator).await?,
                }
            }
        });
        remember(&mut programs, digest, &program);
        Ok((digest, program))
    }

    /// A cut model with all of its fragments in memory.
    async fn in_memory(
        &self,
        directory: &str,
        plan: &Plan,
        accelerator: &Arc<dyn Accelerator>,
    ) -> Result<Pipeline, LoadError> {
        match accelerator.beside() {
            others if others.is_empty() => self.resident(directory, plan, accelerator).await,
            others => self.mixed(directory, plan, accelerator, others).await,
        }
    }

    /// The same on one accelerator.
    async fn resident(
        &self,
        directory: &str,
        plan: &Plan,
        accelerator: &Arc<dyn Accelerator>,
    ) -> Result<Pipeline, LoadError> {
        let mut fragments = Vec::new();
        for fragment in &plan.fragments {
            fragments.push(self.fragment(directory, fragment, &**accelerator).await?);
        }
        Ok(Pipeline::new(plan, fragments, accelerator.describe().clone())?)
    }

    /// A cut model with as many of its first fragments in memory as there is room for. Each is loaded here once: what is
    /// damaged or unsupported is found out before anything runs.
    async fn paged(
        &self,
        plan: &Plan,
        sheets: Arc<[Sheet]>,
        mut share: Share,
        accelerator: &Arc<dyn Accelerator>,
    ) -> Result<Pipeline, LoadError> {
        share.passes()?;
        if !accelerator.beside().is_empty() {
            tracing::warn!(
                model = plan.model,
                device = %accelerator.describe(),
                "larger than memory: all of its fragments are computed on the first accelerator, whatever may be mixed"
            );
        }
        let (registry, format) = (self.registry.clone(), self.format.clone());
        let loader = Arc::new(Loader { registry, format, accelerator: accelerator.clone() });
        if accelerator.held_bytes().is_some() {
            loader.warm_up(sheets.clone()).await?;
            share.room_bytes = self.room_bytes().unwrap_or(share.room_bytes);
            share.passes()?;
        }
        let (mut signatures, mut programs, mut held) = (Vec::new(), Vec::new(), 0);
        for (index, fragment) in plan.fragments.iter().enumerate() {
            let loaded = loader.bring(sheets.clone(), index).await;
            let program = loaded.map_err(|error| named(fragment)(error.into()))?;
            signatures.push(program.signature().clone());
            let copies = copies(&*program, &**accelerator);
            if let Some(more) = share.stays(index, held, copies).filter(|_| programs.len() == index) {
                held = more;
                programs.push(program);
            }
        }
        let (stay, all) = (programs.len(), sheets.len());
        tracing::info!(
            model = plan.model,
            stay,
            all,
            "larger than memory: the fragments that don't stay are read for each run"
        );
        let passing = usize::try_from(share.passing_bytes(stay)).unwrap_or(usize::MAX);
        let rest = (stay < all).then(|| Ok(Rest::new(loader, sheets, stay, self.passing.charge(passing)?)));
        let rest = rest.transpose().map_err(LoadError::Load)?;
        Ok(Pipeline::paged(plan, signatures, programs, rest, accelerator.describe().clone())?)
    }

    /// What there is to read of each fragment.
    async fn sheets(&self, directory: &str, plan: &Plan) -> Result<Vec<Sheet>, LoadError> {
        let mut sheets = Vec::new();
        for fragment in &plan.fragments {
            let sheet = async {
                let model = self.fragment_model(directory, fragment).await?;
                let place = |location: String| (location.clone(), below(directory, &location));
                let blobs = self.locations(&model).await?.into_iter().map(place).collect();
                Ok(Sheet::open(&*self.registry, model, blobs).await?)
            };
            sheets.push(sheet.await.map_err(named(fragment))?);
        }
        Ok(sheets)
    }
}

/// Says which fragment it is.
pub(super) fn named(fragment: &Fragment) -> impl FnOnce(LoadError) -> LoadError {
    let name = fragment.name.clone();
    |source| LoadError::Fragment { name, source: Box::new(source) }
}
