//! A change of the contract shows as a diff of this test's snapshot.

use crate::support::root;
use std::fmt::Write as _;
use wit_parser::{Resolve, TypeDefKind, WorldItem};

/// Every world with its imports and exports, every interface with its types and functions.
fn outline(resolve: &Resolve) -> String {
    let mut text = String::new();
    for (_, world) in &resolve.worlds {
        let name = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone().unwrap_or_default(),
            other => format!("{other:?}"),
        };
        let names = |items: Vec<&WorldItem>| items.into_iter().map(name).collect::<Vec<_>>().join(", ");
        let (imports, exports) = (names(world.imports.values().collect()), names(world.exports.values().collect()));
        writeln!(text, "world {}: imports {imports}; exports {exports}", world.name).unwrap();
    }
    for (_, interface) in &resolve.interfaces {
        writeln!(text, "interface {}", interface.name.as_deref().unwrap_or("?")).unwrap();
        for (name, id) in &interface.types {
            writeln!(text, "  {} {name}: {}", resolve.types[*id].kind.as_str(), members(&resolve.types[*id].kind))
                .unwrap();
        }
        for (name, function) in &interface.functions {
            let parameters: Vec<_> = function.params.iter().map(|parameter| parameter.name.clone()).collect();
            writeln!(text, "  func {name}({})", parameters.join(", ")).unwrap();
        }
    }
    text
}

fn members(kind: &TypeDefKind) -> String {
    let names: Vec<&str> = match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.name.as_str()).collect(),
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| case.name.as_str()).collect(),
        TypeDefKind::Variant(cases) => cases.cases.iter().map(|case| case.name.as_str()).collect(),
        _ => Vec::new(),
    };
    names.join(" ")
}

fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).unwrap();
    resolve
}

#[test]
fn the_contract_is_what_it_was() {
    insta::assert_snapshot!(outline(&contract()));
}

#[test]
fn every_item_is_documented() {
    let resolve = contract();
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.as_deref().unwrap_or("?");
        assert!(interface.docs.contents.is_some(), "interface {name}");
        for (type_name, id) in &interface.types {
            let definition = &resolve.types[*id];
            let used = matches!(definition.kind, TypeDefKind::Type(_)) && definition.docs.contents.is_none();
            assert!(used || definition.docs.contents.is_some(), "{name}.{type_name}");
        }
        for (function_name, function) in &interface.functions {
            assert!(function.docs.contents.is_some(), "{name}.{function_name}");
        }
    }
    resolve.worlds.iter().for_each(|(_, world)| assert!(world.docs.contents.is_some(), "world {}", world.name));
}
