//! Nodes that are alike, in time, memory and links: which of them is used does not matter.

use super::{Cluster, Link};

/// The nodes of a cluster, sorted into kinds.
pub(super) struct Classes(Vec<Vec<usize>>);

impl Classes {
    pub fn of(cluster: &Cluster) -> Self {
        let mut classes: Vec<Vec<usize>> = Vec::new();
        for node in 0..cluster.nodes.len() {
            let alike = |class: &&mut Vec<usize>| class.iter().all(|&member| alike(cluster, member, node));
            match classes.iter_mut().find(alike) {
                Some(class) => class.push(node),
                None => classes.push(vec![node]),
            }
        }
        Self(classes)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many nodes are of a class.
    pub fn size(&self, class: usize) -> usize {
        self.0[class].len()
    }

    pub fn member(&self, class: usize, index: usize) -> usize {
        self.0[class][index]
    }

    /// From a node of one class to another node, of the same class or of another.
    pub fn link(&self, cluster: &Cluster, from: usize, to: usize) -> Link {
        let target = if from == to { self.0[to].get(1).unwrap_or(&self.0[to][0]) } else { &self.0[to][0] };
        cluster.links[self.0[from][0]][*target]
    }
}

/// Whether the two may change places.
fn alike(cluster: &Cluster, a: usize, b: usize) -> bool {
    let (first, second) = (&cluster.nodes[a], &cluster.nodes[b]);
    let links = &cluster.links;
    first.memory_bytes == second.memory_bytes
        && first.compute_us == second.compute_us
        && links[a][b] == links[b][a]
        && (0..cluster.nodes.len())
            .filter(|&other| other != a && other != b)
            .all(|other| links[a][other] == links[b][other] && links[other][a] == links[other][b])
}
