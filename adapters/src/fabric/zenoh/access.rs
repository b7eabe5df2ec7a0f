//! Who may do what, by the name in a node's certificate: each link lets through only what that node may say and hear.

use burst_host::nouns::NodeName;
use serde_json::{Value, json};

/// What a node says of itself.
const SAYS: [&str; 4] = ["put", "declare_queryable", "reply", "liveliness_token"];
/// What it wants to hear of others.
const HEARS: [&str; 3] = ["declare_subscriber", "declare_liveliness_subscriber", "liveliness_query"];
const ASKS: [&str; 1] = ["query"];

/// Who may take part, and who of them passes on what others say.
pub struct Members<'a> {
    pub all: &'a [NodeName],
    pub routers: &'a [NodeName],
}

/// The rules of a node for its links to the other members. What no rule allows is dropped.
pub fn rules(cluster: &str, own: &NodeName, members: &Members<'_>) -> Value {
    let others: Vec<&NodeName> = members.all.iter().filter(|member| *member != own).collect();
    let rules: Vec<Rule> = others.iter().flat_map(|other| of(cluster, own, other, members)).collect();
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

impl<'a> Members<'a> {
    /// Whom a link to `node` leads to, seen from `from`.
    fn behind(&self, node: &'a NodeName, from: &NodeName) -> Vec<&'a NodeName> {
        let passes_on = self.routers.contains(node);
        let others = self.all.iter().filter(|member| passes_on && *member != node && *member != from);
        std::iter::once(node).chain(others).collect()
    }
}

fn of(cluster: &str, own: &NodeName, other: &NodeName, members: &Members<'_>) -> Vec<Rule> {
    let key = |rest: String| format!("burst/{cluster}/{rest}");
    // What was derived from frames passes only links within the premises of who says it and who hears it.
    let near = |node: &NodeName| [own, other].iter().all(|end| end.premises() == node.premises());
    let services = |node: &NodeName| {
        let here = near(node).then(|| key(format!("here/{node}/*")));
        [key(format!("news/{node}")), key(format!("call/{node}/*"))].into_iter().chain(here).collect::<Vec<_>>()
    };
    let whole = |node: &NodeName| services(node).into_iter().chain([key(format!("alive/{node}"))]).collect::<Vec<_>>();
    let all = |nodes: &[&NodeName], keys: &dyn Fn(&NodeName) -> Vec<String>| -> Vec<String> {
        nodes.iter().flat_map(|node| keys(node)).collect()
    };
    let (here, there) = (members.behind(own, other), members.behind(other, own));
    let rule = |name: &str, flows, keys, messages| {
        let id = format!("{other} {name}");
        Rule { of: other.clone(), id, flows, keys, messages }
    };
    let news = vec![key("news/*".into()), key("alive/*".into())];
    vec![
        rule("hears, as this node does", &["ingress", "egress"], news, &HEARS),
        rule("says", &["ingress"], all(&there, &whole), &SAYS),
        rule("is told", &["egress"], all(&here, &whole), &SAYS),
        rule("asks", &["ingress"], all(&here, &services), &ASKS),
        rule("is asked", &["egress"], all(&there, &services), &ASKS),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    /// Keys that the link of `own` to `other` lets through.
    fn keys(own: &str, other: &str, routers: &[&str], which: &str) -> Vec<String> {
        let all = ["a.hall", "b.hall", "gate.hall", "y.yard", "gate.yard"].map(name);
        let routers: Vec<NodeName> = routers.iter().map(|router| name(router)).collect();
        let rules = of("c", &name(own), &name(other), &Members { all: &all, routers: &routers });
        let rule = rules.into_iter().find(|rule| rule.id.ends_with(which)).unwrap();
        rule.keys.into_iter().filter(|key| key.starts_with("burst/c/here/")).collect()
    }

    #[test]
    fn frames_stay_on_their_premises_whoever_passes_them_on() {
        let near = |node: &str| format!("burst/c/here/{node}/*");
        let check = |own, other, which, expected: &[&str]| {
            let expected: Vec<String> = expected.iter().map(|node| near(node)).collect();
            assert_eq!(keys(own, other, &["gate.hall", "gate.yard"], which), expected, "{own} {other} {which}");
        };
        check("a.hall", "b.hall", " asks", &["a.hall"]);
        check("a.hall", "b.hall", " says", &["b.hall"]);
        check("a.hall", "gate.hall", " asks", &["a.hall"]);
        check("a.hall", "gate.hall", " is asked", &["gate.hall", "b.hall"]);
        check("gate.hall", "a.hall", " asks", &["gate.hall", "b.hall"]);
        check("gate.hall", "a.hall", " is told", &["gate.hall", "b.hall"]);
        check("gate.hall", "y.yard", " asks", &[]);
        check("a.hall", "gate.yard", " asks", &[]);
        check("a.hall", "gate.yard", " is asked", &[]);
        check("gate.yard", "gate.hall", " asks", &[]);
    }
}
