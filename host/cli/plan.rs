//! `burst plan`: which node runs which fragments of a cut model, how fast that is, and why not faster.

use super::{
    draw,
    live::{Operators, nowhere, spreads},
    nodes::Nodes,
    placement::{Told, milliseconds},
};
use burst_adapters::api::nodes::{Listing, plan};
use burst_host::{
    loops::member::{
        self,
        view::{Plans, View},
    },
    mechanisms::place::{self, Cluster, Objective, Placement, Task},
    nouns::{Digest, Plan as CutModel, Spread},
};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Decide which node runs which fragments of a cut model, or tell who does on a running cluster
#[derive(clap::Args)]
pub struct Place {
    /// The directory of the cut model; with --live, all that the cluster runs unless one is named
    #[arg(required_unless_present = "live")]
    model: Option<PathBuf>,
    /// The nodes, their measurements and links (TOML)
    #[arg(long, required_unless_present = "live", conflicts_with = "live")]
    nodes: Option<PathBuf>,
    /// Ask a running cluster, with what its nodes have measured
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    operators: Operators,
    /// What is to be best: throughput or latency
    #[arg(long, default_value = "throughput", value_parser = objective)]
    objective: Objective,
    /// Draw it, as SVG
    #[arg(long)]
    svg: Option<PathBuf>,
}

fn objective(word: &str) -> Result<Objective, String> {
    match word {
        "throughput" => Ok(Objective::Throughput),
        "latency" => Ok(Objective::Latency),
        _ => Err("one of throughput, latency".into()),
    }
}

impl Place {
    pub async fn run(self) -> Result<()> {
        match (&self.model, &self.nodes) {
            (Some(model), Some(nodes)) => self.ahead(model, nodes),
            _ => self.live().await,
        }
    }

    /// On nodes of a file.
    fn ahead(&self, model: &Path, nodes: &Path) -> Result<()> {
        let (json, plan) = read(model)?;
        let cluster = Nodes::read(nodes)?.cluster(&json, &plan)?;
        let tasks: Vec<Task> = plan.fragments.iter().map(Task::from).collect();
        let placement = place::place(&tasks, &cluster, self.objective).into_diagnostic()?;
        self.tell(&Told { plan: &plan, cluster: &cluster, placement: &placement }, &tasks)
    }

    /// On the nodes of a cluster that runs.
    async fn live(&self) -> Result<()> {
        let listing = self.operators.listing().await?;
        let wanted = self.model.as_deref().map(|model| Ok::<_, miette::Report>(Digest::of(&read(model)?.0)));
        let wanted = wanted.transpose()?;
        let spreads = spreads(&listing);
        let nowhere = nowhere(&listing);
        let mut plans = Plans::new();
        for digest in spreads.keys().chain(&nowhere) {
            let told = plan(self.operators.metrics, digest).await.into_diagnostic();
            plans.insert(*digest, Arc::new(told.wrap_err_with(|| format!("the plan {digest}"))?));
        }
        for digest in nowhere.iter().filter(|digest| wanted.is_none_or(|wanted| wanted == **digest)) {
            println!("{}", self.why_nowhere(&listing, &plans, digest)?);
        }
        let chosen: Vec<_> =
            spreads.iter().filter(|(digest, _)| wanted.is_none_or(|wanted| wanted == **digest)).collect();
        match chosen.len() {
            0 if nowhere.iter().any(|digest| wanted.is_none_or(|wanted| wanted == *digest)) => return Ok(()),
            0 => bail!("the cluster runs no such model; `burst nodes` lists what it does"),
            1 => {}
            _ if self.svg.is_some() => bail!("the cluster runs several models; name the directory of one to draw it"),
            _ => {}
        }
        for (digest, spread) in chosen {
            self.tell_live(&listing, &plans, digest, spread)?;
        }
        Ok(())
    }

    /// Why a model is on no nodes, in the words of who places models.
    fn why_nowhere(&self, listing: &Listing, plans: &Plans, digest: &Digest) -> Result<String> {
        let nodes = member::near(&listing.nodes, &listing.node);
        let view = View::new(&nodes, plans, digest).ok_or_else(|| miette!("the plan {digest} is not known"))?;
        Ok(match view.best(self.objective) {
            Ok(_) => format!("{digest} is about to be spread"),
            Err(error) => format!("{digest} is on no nodes: {error}"),
        })
    }

    fn tell_live(&self, listing: &Listing, plans: &Plans, digest: &Digest, spread: &Spread) -> Result<()> {
        let nodes = member::near(&listing.nodes, &spread.epoch.leader);
        let view = View::new(&nodes, plans, digest).ok_or_else(|| miette!("the plan {digest} is not known"))?;
        println!("{digest}, epoch {} of {}", spread.epoch.number, spread.epoch.leader);
        let Some(now) = view.now() else {
            println!("a stage has no node that can hold it; the cluster waits for one\n");
            return Ok(());
        };
        self.tell(&Told { plan: &plans[digest], cluster: &view.cluster, placement: &now }, &view.tasks)?;
        print!("{}", better(&view.cluster, &now, &view.best(self.objective).into_diagnostic()?));
        Ok(())
    }

    fn tell(&self, told: &Told<'_>, tasks: &[Task]) -> Result<()> {
        print!("{}", told.table());
        print!("{}", told.one_more(tasks, self.objective).into_diagnostic()?);
        if let Some(svg) = &self.svg {
            let drawn = draw::placement(told.plan, told.cluster, told.placement);
            fs::write(svg, drawn).into_diagnostic().wrap_err_with(|| format!("can't write `{}`", svg.display()))?;
        }
        Ok(())
    }
}

/// What would be better now, in words; nothing where it is as good as it gets.
fn better(cluster: &Cluster, now: &Placement, best: &Placement) -> String {
    if best.interval_us() >= now.interval_us() {
        return "nothing better is known\n".into();
    }
    let runs = |stage: &place::Stage| {
        format!("{} {}..{}", cluster.nodes[stage.node].name, stage.fragments.start, stage.fragments.end - 1)
    };
    let stages: Vec<String> = best.stages.iter().map(runs).collect();
    let (rate, latency) = (1e6 / best.interval_us(), milliseconds(best.latency_us()));
    format!("better: {}: {latency} a request, {rate:.1} requests a second\n", stages.join(", "))
}

/// The plan of a cut model, as it is in its file.
fn read(model: &Path) -> Result<(Vec<u8>, CutModel)> {
    let path = model.join(CutModel::FILE);
    let json = fs::read(&path).into_diagnostic().wrap_err_with(|| format!("can't read `{}`", path.display()))?;
    let plan = CutModel::parse(&json).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
    Ok((json, plan))
}
