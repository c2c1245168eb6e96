//! What a release was built from and how: an in-toto Statement v1
//! (<https://in-toto.io/Statement/v1>) with the SLSA provenance v1 predicate
//! (<https://slsa.dev/spec/v1.0/provenance>). It is not signed.

use cog_base::Digest;
use serde_json::{Value, json};

use super::materials::Materials;

/// The statement about these files. Of programs that were `given`, nobody here knows how they were
/// built.
pub(super) fn statement(
    materials: &Materials,
    subjects: &[(String, Digest)],
    given: bool,
) -> Value {
    let subject = |(name, digest): &(String, Digest)| json!({ "name": name, "digest": { "sha256": digest.hex() } });
    let tree = if materials.is_clean { "as committed" } else { "changed since the commit" };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:cognitionos:xtask-dist:v1",
                "externalParameters": parameters(materials, given),
                "internalParameters": { "compiler": materials.compiler, "tree": tree },
                "resolvedDependencies": [
                    { "name": "source", "digest": { "gitCommit": materials.commit } },
                    { "name": "Cargo.lock", "digest": { "sha256": materials.lock.hex() } },
                ],
            },
            "runDetails": { "builder": { "id": "urn:cognitionos:builder:local" } },
        },
    })
}

/// What was asked for.
fn parameters(materials: &Materials, given: bool) -> Value {
    if given {
        let programs =
            "given: built elsewhere, by a compiler and from a source that are not checked";
        return json!({
            "command": "cargo xtask dist --programs",
            "programs": programs,
            "target": materials.target,
        });
    }
    json!({ "command": "cargo xtask dist", "profile": "dist", "target": materials.target })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parameters_of(given: bool) -> Value {
        let materials = Materials {
            version: "1.2.3".into(),
            target: "here".into(),
            commit: "abc".into(),
            is_clean: true,
            seconds: 0,
            compiler: "rustc".into(),
            lock: Digest::of(&[]),
            cargo_home: "/cargo".into(),
            crates: BTreeMap::new(),
        };
        let statement = statement(&materials, &[], given);
        statement["predicate"]["buildDefinition"]["externalParameters"].clone()
    }

    #[test]
    fn of_programs_that_were_built_elsewhere_no_profile_is_named() {
        let (built, given) = (parameters_of(false), parameters_of(true));
        assert_eq!((&built["profile"], &built["programs"]), (&json!("dist"), &Value::Null));
        assert_eq!(given["profile"], Value::Null);
        assert!(given["programs"].as_str().unwrap().starts_with("given: built elsewhere"));
    }
}
