//! What a release was built from and how: an in-toto Statement v1
//! (<https://in-toto.io/Statement/v1>) with the SLSA provenance v1 predicate
//! (<https://slsa.dev/spec/v1.0/provenance>). It is not signed.

use cog_base::Digest;
use serde_json::{Value, json};

use super::materials::Materials;

/// The statement about these files.
pub(super) fn statement(materials: &Materials, subjects: &[(String, Digest)]) -> Value {
    let subject = |(name, digest): &(String, Digest)| json!({ "name": name, "digest": { "sha256": digest.hex() } });
    let tree = if materials.is_clean { "as committed" } else { "changed since the commit" };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:cognitionos:xtask-dist:v1",
                "externalParameters": {
                    "command": "cargo xtask dist",
                    "profile": "dist",
                    "target": materials.target,
                },
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
