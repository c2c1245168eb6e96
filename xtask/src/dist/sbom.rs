//! What is built in, as a CycloneDX 1.5 bill of materials
//! (<https://cyclonedx.org/docs/1.5/json/>).

use serde_json::{Value, json};

use super::materials::{Crate, Materials};

/// The bill of materials.
pub(super) fn document(materials: &Materials) -> Value {
    let of_others = materials.crates.values().filter(|found| found.name != "cognitionos");
    let components: Vec<_> = of_others.map(component).collect();
    let ours = materials.crates.values().find(|found| found.name == "cognitionos");
    let dependencies: Vec<_> = materials
        .crates
        .values()
        .map(|found| {
            let uses = found.uses.iter().filter_map(|id| materials.crates.get(id));
            json!({ "ref": purl(found), "dependsOn": uses.map(purl).collect::<Vec<_>>() })
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": ours.map(component) },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(found: &Crate) -> Value {
    let kind = if found.name == "cognitionos" { "application" } else { "library" };
    let always = json!({
        "type": kind,
        "bom-ref": purl(found),
        "name": found.name,
        "version": found.version,
        "purl": purl(found),
    });
    // Old manifests set alternatives apart with a slash.
    let one_of =
        |licence: &String| licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ");
    let licence = found.licence.as_ref().map(one_of);
    let licences = licence.map(|it| ("licenses".to_owned(), json!([{ "expression": it }])));
    let hash = |sum: &String| ("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": sum }]));
    let sometimes = licences.into_iter().chain(found.checksum.as_ref().map(hash));
    always.as_object().cloned().into_iter().flatten().chain(sometimes).collect()
}

/// The name of a crate for other tools (<https://github.com/package-url/purl-spec>).
fn purl(found: &Crate) -> String {
    format!("pkg:cargo/{}@{}", found.name, found.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn what_is_built_in_is_listed_with_licence_and_digest_and_what_tests_need_is_not() {
        let workspace = Workspace::load().unwrap();
        let document = document(&Materials::read(&workspace, true).unwrap());
        let components = document["components"].as_array().unwrap();
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        assert!(named("rusqlite").is_some() && named("cedar-policy").is_some());
        assert!(named("trybuild").is_none() && named("cognitionos").is_none());
        for component in components {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
            let is_ours = component["name"].as_str().unwrap().starts_with("cog-")
                || component["name"] == "verify";
            assert_eq!(component.get("hashes").is_none(), is_ours, "{component}");
        }
        let refs = document["dependencies"].as_array().unwrap();
        assert_eq!(refs.len(), components.len() + 1);
    }
}
