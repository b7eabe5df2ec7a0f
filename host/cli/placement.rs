//! A placement, in words: what each node does, what takes longest, and what one node more would change.

use super::size::Size;
use burst_host::{
    mechanisms::place::{self, Bottleneck, Cluster, Objective, PlaceError, Placement, Task},
    nouns::Plan,
};

/// A placement of a cut model.
pub struct Told<'a> {
    pub plan: &'a Plan,
    pub cluster: &'a Cluster,
    pub placement: &'a Placement,
}

impl Told<'_> {
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<16} {:<12} {:>12} {:>12} {:>12} {:>12} {:>12}\n",
            "node", "fragments", "compute", "receive", "received", "memory", "of"
        );
        for stage in &self.placement.stages {
            let node = &self.cluster.nodes[stage.node];
            let fragments = format!("{}..{}", stage.fragments.start, stage.fragments.end - 1);
            let [compute, receive] = [stage.compute_us, stage.receive_us].map(milliseconds);
            let [received, memory, of] =
                [stage.received_bytes, stage.memory_bytes, node.memory_bytes].map(|bytes| Size(bytes).to_string());
            let name = &node.name;
            text += &format!(
                "{name:<16} {fragments:<12} {compute:>12} {receive:>12} {received:>12} {memory:>12} {of:>12}\n"
            );
        }
        let idle = self.cluster.nodes.len() - self.placement.stages.len();
        let model = &self.plan.model;
        text + &format!(
            "{model}: {} a request, {:.1} requests a second, {idle} nodes idle\nbottleneck: {}\n",
            milliseconds(self.placement.latency_us()),
            1e6 / self.placement.interval_us(),
            bottleneck(self.cluster, self.placement),
        )
    }

    /// What each kind of node would change.
    pub fn one_more(&self, tasks: &[Task], objective: Objective) -> Result<String, PlaceError> {
        let mut text = String::new();
        for (node, grown) in place::one_more(tasks, self.cluster, objective)? {
            let bigger = self.cluster.with_another(node);
            text += &format!(
                "one more like {}: {} a request, {:.1} requests a second ({:+.0} %), bottleneck {}\n",
                self.cluster.nodes[node].name,
                milliseconds(grown.latency_us()),
                1e6 / grown.interval_us(),
                100.0 * (self.placement.interval_us() / grown.interval_us() - 1.0),
                bottleneck(&bigger, &grown),
            );
        }
        Ok(text)
    }
}

/// What takes longest, in words.
pub fn bottleneck(cluster: &Cluster, placement: &Placement) -> String {
    let name = |stage: usize| cluster.nodes[placement.stages[stage].node].name.as_str();
    match placement.bottleneck() {
        Some(Bottleneck::Compute(stage)) => {
            format!("{} computes, {}", name(stage), milliseconds(placement.stages[stage].compute_us))
        }
        Some(Bottleneck::Receive(stage)) => {
            let receive = milliseconds(placement.stages[stage].receive_us);
            format!("the link from {} to {}, {receive}", name(stage.saturating_sub(1)), name(stage))
        }
        None => "none".into(),
    }
}

pub fn milliseconds(us: f64) -> String {
    format!("{:.3} ms", us / 1000.0)
}
