//! Who may do what, by the name in a node's certificate: each link lets through only what that node may say and hear.

use burst_host::nouns::NodeName;
use serde_json::{Value, json};

/// What a node says of itself.
const SAYS: [&str; 4] = ["put", "declare_queryable", "reply", "liveliness_token"];
/// What it wants to hear of others.
const HEARS: [&str; 3] = ["declare_subscriber", "declare_liveliness_subscriber", "liveliness_query"];
const ASKS: [&str; 1] = ["query"];

/// The rules of a node for its links to the other members. What no rule allows is dropped.
pub fn rules(cluster: &str, own: &NodeName, members: &[NodeName]) -> Value {
    let others: Vec<&NodeName> = members.iter().filter(|member| *member != own).collect();
    let rules: Vec<Rule> = others.iter().flat_map(|other| of(cluster, own, other)).collect();
    let subjects: Vec<Value> =
        others.iter().map(|other| json!({ "id": other, "cert_common_names": [other] })).collect();
    let policies: Vec<Value> = others
        .iter()
        .map(|other| {
            let mine = rules.iter().filter(|rule| rule.of == **other);
            json!({ "rules": mine.map(|rule| &rule.id).collect::<Vec<_>>(), "subjects": [other] })
        })
        .collect();
    json!({
        // Without others nothing is allowed, and empty lists are refused.
        "enabled": !others.is_empty(),
        "default_permission": "deny",
        "rules": rules.iter().map(Rule::print).collect::<Vec<_>>(),
        "subjects": subjects,
        "policies": policies,
    })
}

/// What may pass a link to another node.
struct Rule {
    of: NodeName,
    id: String,
    flows: &'static [&'static str],
    keys: Vec<String>,
    messages: &'static [&'static str],
}

impl Rule {
    fn print(&self) -> Value {
        json!({
            "id": self.id,
            "permission": "allow",
            "flows": self.flows,
            "key_exprs": self.keys,
            "messages": self.messages,
        })
    }
}

fn of(cluster: &str, own: &NodeName, other: &NodeName) -> Vec<Rule> {
    let key = |rest: String| format!("burst/{cluster}/{rest}");
    let near = own.premises() == other.premises();
    let services = |node: &NodeName| {
        let here = near.then(|| key(format!("here/{node}/*")));
        [key(format!("news/{node}")), key(format!("call/{node}/*"))].into_iter().chain(here).collect::<Vec<_>>()
    };
    let whole = |node: &NodeName| services(node).into_iter().chain([key(format!("alive/{node}"))]).collect();
    let rule = |name: &str, flows, keys, messages| {
        let id = format!("{other} {name}");
        Rule { of: other.clone(), id, flows, keys, messages }
    };
    let news = vec![key("news/*".into()), key("alive/*".into())];
    vec![
        rule("hears, as this node does", &["ingress", "egress"], news, &HEARS),
        rule("says", &["ingress"], whole(other), &SAYS),
        rule("is told", &["egress"], whole(own), &SAYS),
        rule("asks", &["ingress"], services(own), &ASKS),
        rule("is asked", &["egress"], services(other), &ASKS),
    ]
}
