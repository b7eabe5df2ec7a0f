//! From the guests of a manifest to everything that they name. Loads nothing.

use super::{
    cut::PLAN_MAX_BYTES,
    deploy::{COMPONENT_MAX_BYTES, DeployError, own_graph},
    models::{BLOBS_MAX_BYTES, LoadError, MODEL_MAX_BYTES, below, parent},
};
use crate::{
    nouns::{Content, Fragment, Plan, PlanError, manifest::Guest},
    ports::{Artefact, ModelError, ModelFormat, Registry, RegistryError},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::spawn_blocking;

/// What is behind each reference.
pub type Artefacts = BTreeMap<String, Content>;

/// Finds what the guests of a release name, and the digest of each.
pub struct Gatherer {
    pub registry: Arc<dyn Registry>,
    pub format: Arc<dyn ModelFormat>,
}

impl Gatherer {
    /// Components, models and what lies beside them.
    pub async fn gather<'a>(&self, guests: impl Iterator<Item = &'a Guest>) -> Result<Artefacts, DeployError> {
        let mut found = Artefacts::new();
        for guest in guests {
            let component = self.registry.fetch(&guest.component, COMPONENT_MAX_BYTES).await;
            let component = component.map_err(DeployError::Component)?;
            if let Some(graph) = own_graph(&component, guest)? {
                let name = crate::mechanisms::embedded::NAME;
                let beside = self.beside(&graph, parent(&guest.component), &mut found).await;
                beside.map_err(|source| DeployError::Model { name: name.into(), source })?;
            }
            found.insert(guest.component.clone(), content(&component));
            for (name, reference) in &guest.models {
                let model = self.model(reference, &mut found).await;
                model.map_err(|source| DeployError::Model { name: name.clone(), source })?;
            }
        }
        Ok(found)
    }

    async fn model(&self, reference: &str, found: &mut Artefacts) -> Result<(), LoadError> {
        match self.registry.length(reference).await {
            Ok(_) => {}
            Err(RegistryError::Directory(_)) => return self.plan(reference, found).await,
            Err(error) => return Err(error.into()),
        }
        let model = self.registry.fetch(reference, MODEL_MAX_BYTES).await?;
        self.beside(&model, parent(reference), found).await?;
        found.insert(reference.into(), content(&model));
        Ok(())
    }

    /// A cut model: its plan, and what that names.
    async fn plan(&self, directory: &str, found: &mut Artefacts) -> Result<(), LoadError> {
        let file = below(directory, Plan::FILE);
        let json = self.registry.fetch(&file, PLAN_MAX_BYTES).await?;
        let plan = Plan::parse(&json.bytes)?;
        found.insert(file, content(&json));
        for fragment in &plan.fragments {
            let file = fragment.model_file();
            let model = self.registry.fetch(&below(directory, &file), MODEL_MAX_BYTES).await?;
            if model.digest != fragment.model {
                return Err(PlanError::Digest { file, expected: fragment.model }.into());
            }
            self.beside(&model, directory, found).await?;
            found.insert(below(directory, &file), content(&model));
        }
        Ok(())
    }

    /// What lies beside a model. A blob that is called by its digest is not read: who receives it does.
    async fn beside(&self, model: &Artefact, directory: &str, found: &mut Artefacts) -> Result<(), LoadError> {
        let (format, file) = (self.format.clone(), model.clone());
        let locations = spawn_blocking(move || format.blobs(&file)).await;
        let locations = locations.map_err(|error| ModelError(format!("the model can't be read: {error}")))??;
        for location in locations {
            let reference = below(directory, &location);
            let content = match Fragment::blob_digest(&location) {
                Some(digest) => Content { digest, bytes: self.registry.length(&reference).await? },
                None => content(&self.registry.fetch(&reference, BLOBS_MAX_BYTES).await?),
            };
            found.insert(reference, content);
        }
        Ok(())
    }
}

fn content(artefact: &Artefact) -> Content {
    Content { digest: artefact.digest, bytes: artefact.bytes.len() as u64 }
}
