//! Dependencies point down: each crate says its layer, and uses lower ones only.

use crate::tidy::Finding;
use crate::workspace::Package;

/// The layers and their ranks, from the ground up.
const RANKS: [(&str, u8); 9] = [
    ("base", 0),
    ("domain", 1),
    ("door", 2),
    ("engine", 3),
    ("node", 4),
    ("adapter", 5),
    ("surface", 6),
    ("app", 7),
    ("tool", 8),
];

/// Edges inside one layer, each with its reason.
const SAME_LAYER: [(&str, &str); 6] = [
    // A completion from elsewhere is proven when it is what the proven entry is told as.
    ("cog-gate", "cog-events"),
    // What is wrong with a schedule is told with its place in the workflow file.
    ("cog-flow", "cog-schedule"),
    // A model is asked over HTTP, with the same guards on hosts, sizes and times.
    ("cog-effect-model", "cog-effect-http"),
    // `cognitionos verify` is the independent verifier, not a second one.
    ("cognitionos", "verify"),
    // The test command starts the servers that tests talk to.
    ("xtask", "cog-services"),
    // The benches measure nodes on a server of their own.
    ("cog-bench", "cog-services"),
];

/// Those that check what others do, and the crates of ours that they may use: what they shared
/// with what they check they could not find wrong.
const APART: [(&str, &str, &[&str]); 2] = [
    // It has no server code and no socket.
    ("verify", "verifier", &["cog-base", "cog-ledger"]),
    // Of flows it uses the definition, and nothing of the machine.
    ("cog-history", "history checker", &["cog-base", "cog-flow", "cog-ledger"]),
];

/// The rank of a package's layer.
pub(crate) fn rank(package: &Package) -> Option<u8> {
    let layer = package.layer.as_deref()?;
    RANKS.iter().find(|(name, _)| *name == layer).map(|(_, rank)| *rank)
}

/// Whether a crate may touch the world: an adapter or something above one.
pub(crate) fn is_edge(package: &Package) -> bool {
    rank(package).is_some_and(|rank| rank >= 5)
}

pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(own) = rank(package) else {
            let known: Vec<&str> = RANKS.iter().map(|(name, _)| *name).collect();
            let remark = format!(
                "[package.metadata.cognitionos] needs `layer`, one of {}",
                known.join(", ")
            );
            findings.push(Finding::new(&package.folder, remark));
            continue;
        };
        for dependency in package.shipped() {
            let Some(used) = packages.iter().find(|used| used.name == dependency.name) else {
                continue;
            };
            findings.extend(edge(package, own, used));
        }
    }
    findings
}

fn edge(package: &Package, own: u8, used: &Package) -> Option<Finding> {
    let lower = rank(used).is_some_and(|rank| rank < own);
    let listed = SAME_LAYER.contains(&(&package.name, &used.name));
    let layer = |package: &Package| package.layer.clone().unwrap_or_default();
    if !lower && !listed {
        let remark = format!(
            "depends on `{}` of layer {}, which is not below its own, {}",
            used.name,
            layer(used),
            layer(package)
        );
        return Some(Finding::new(&package.folder, remark));
    }
    // Only apps and tools know which adapters there are.
    if used.layer.as_deref() == Some("adapter") && !listed && own < 7 {
        let remark = format!("uses the adapter `{}`; only apps join adapters", used.name);
        return Some(Finding::new(&package.folder, remark));
    }
    let (_, what, allowed) = APART.iter().find(|(name, ..)| package.name == *name)?;
    (!allowed.contains(&used.name.as_str())).then(|| {
        let remark = format!("the {what} stands apart; it may not use `{}`", used.name);
        Finding::new(&package.folder, remark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, layer: &str, uses: &[&str]) -> Package {
        let dependency = |name: &&str| Dependency {
            name: (*name).to_owned(),
            kind: None,
            path: Some(String::new()),
        };
        Package {
            name: name.to_owned(),
            folder: name.to_owned(),
            layer: Some(layer.to_owned()),
            dependencies: uses.iter().map(dependency).collect(),
            ..Package::default()
        }
    }

    fn finds(packages: &[Package]) -> Vec<String> {
        check(packages).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn down_is_fine() {
        let packages = [
            package("cog-base", "base", &["serde"]),
            package("cog-effect-http", "adapter", &["cog-base"]),
            package("cog-effect-model", "adapter", &["cog-effect-http"]),
            package("cognitionos", "app", &["cog-effect-model", "cog-base"]),
        ];
        assert_eq!(finds(&packages), Vec::<String>::new());
    }

    #[test]
    fn up_and_sideways_are_found() {
        let packages = [
            package("cog-engine", "engine", &["cog-effect-http"]),
            package("cog-effect-http", "adapter", &["cog-effect-file"]),
            package("cog-effect-file", "adapter", &[]),
            package("cog-portal", "surface", &["cog-effect-file"]),
        ];
        assert_eq!(
            finds(&packages),
            [
                "cog-engine: depends on `cog-effect-http` of layer adapter, which is not below \
                 its own, engine",
                "cog-effect-http: depends on `cog-effect-file` of layer adapter, which is not \
                 below its own, adapter",
                "cog-portal: uses the adapter `cog-effect-file`; only apps join adapters",
            ]
        );
    }

    #[test]
    fn a_crate_without_a_layer_and_a_verifier_with_a_server_are_found() {
        let packages = [
            package("cog-store", "cellar", &[]),
            package("cog-engine", "engine", &[]),
            package("verify", "app", &["cog-engine"]),
            package("cog-gate", "door", &[]),
            package("cog-history", "engine", &["cog-gate"]),
        ];
        let found = finds(&packages);
        assert_eq!(found.len(), 3);
        assert!(found.concat().contains("the history checker stands apart"));
        assert!(found.concat().contains("needs `layer`"));
        assert!(found.concat().contains("the verifier stands apart"));
    }

    #[test]
    fn what_only_tests_use_may_point_up() {
        let mut gate = package("cog-gate", "door", &["cog-store-sqlite"]);
        for dependency in &mut gate.dependencies {
            dependency.kind = Some("dev".to_owned());
        }
        let packages = [gate, package("cog-store-sqlite", "adapter", &[])];
        assert_eq!(finds(&packages), Vec::<String>::new());
    }
}
