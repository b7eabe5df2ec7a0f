//! How far the nodes of a cluster are with a release.

use super::live::Operators;
use burst_adapters::api::nodes::Listing;
use burst_host::nouns::{NodeName, ReleaseId, ReleaseNews, ReleaseState};
use miette::{Result, bail};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(100);

/// What is awaited of nodes.
pub enum Awaited {
    /// All of them serve a release.
    Served(ReleaseId),
    /// One of them has left a release.
    Left(NodeName, ReleaseId),
}

/// Tells every step of every node until they are there, or one can't.
pub async fn follow(operators: &Operators, awaited: &Awaited, seconds: u64) -> Result<()> {
    let started = Instant::now();
    let mut told = BTreeMap::new();
    loop {
        let listing = operators.listing().await?;
        for (name, news) in nodes(&listing, awaited) {
            let step = step(news, awaited);
            if told.get(name) != Some(&step) {
                println!("{:<24} {step}", name.as_str());
                told.insert(name.clone(), step);
            }
        }
        if ended(&listing, awaited)? {
            let nodes = nodes(&listing, awaited).count();
            println!("there after {:.1} s, on {nodes} nodes", started.elapsed().as_secs_f64());
            return Ok(());
        }
        if started.elapsed() >= Duration::from_secs(seconds) {
            bail!(help = "`burst deploy --status` tells how far they are", "they are not there after {seconds} s");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn nodes<'a>(listing: &'a Listing, awaited: &'a Awaited) -> impl Iterator<Item = (&'a NodeName, &'a ReleaseNews)> {
    let among = |name: &NodeName| match awaited {
        Awaited::Served(_) => true,
        Awaited::Left(node, _) => node == name,
    };
    listing.nodes.iter().filter(move |(name, _)| among(name)).map(|(name, node)| (name, &node.release))
}

/// Whether all that is awaited is there; what it failed on, if it did.
fn ended(listing: &Listing, awaited: &Awaited) -> Result<bool> {
    let (Awaited::Served(id) | Awaited::Left(_, id)) = awaited;
    let own = listing.nodes.get(&listing.node).and_then(|node| node.release.latest.as_ref());
    if let Some(later) = own.filter(|own| own.id > *id) {
        bail!("release {} came in between", later.id);
    }
    let there = |news: &ReleaseNews| match awaited {
        Awaited::Served(id) => news.serving == Some(*id),
        Awaited::Left(..) => news.serving != Some(*id) && news.state == ReleaseState::HeldBack,
    };
    let failed = |news: &ReleaseNews| matches!(news.state, ReleaseState::Failed(_)) && knows(news, id);
    if !nodes(listing, awaited).all(|(_, news)| there(news) || failed(news)) {
        return Ok(false);
    }
    let failed: Vec<_> =
        nodes(listing, awaited).filter(|(_, news)| !there(news)).map(|(name, _)| name.as_str()).collect();
    if failed.is_empty() {
        return Ok(true);
    }
    bail!(
        help = "they go on with what they served, and try again; `burst deploy --rollback` brings the others back",
        "release {id} does not serve on {}",
        failed.join(", ")
    )
}

fn knows(news: &ReleaseNews, id: &ReleaseId) -> bool {
    news.latest.as_ref().map(|latest| latest.id) == Some(*id)
}

fn step(news: &ReleaseNews, awaited: &Awaited) -> String {
    match awaited {
        Awaited::Served(id) if !knows(news, id) => "has not heard of it".into(),
        _ => news.state.to_string(),
    }
}

/// What a node serves, in a word or two.
pub fn serving(news: &ReleaseNews) -> String {
    news.serving.map_or("its manifest".into(), |id| id.to_string())
}

/// Tells of nodes that do not serve the latest release that they know.
pub fn unsettled(listing: &Listing) {
    for (name, node) in &listing.nodes {
        if let (state, Some(latest)) = (&node.release.state, &node.release.latest)
            && *state != ReleaseState::Serving
        {
            println!("{name}, release {}: {state}", latest.id);
        }
    }
}

/// Tells what every node serves, and what it is about to.
pub fn print(listing: &Listing) {
    println!("{:<24} {:<16} {:<16} STATE", "NODE", "SERVING", "LATEST");
    for (name, node) in &listing.nodes {
        let news = &node.release;
        let latest = news.latest.as_ref().map_or("none".into(), |latest| latest.id.to_string());
        println!("{:<24} {:<16} {latest:<16} {}", name.as_str(), serving(news), news.state);
    }
}
