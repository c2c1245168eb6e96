//! Each crate of others has one home and a reason: `xtask/homes.toml`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

use crate::tidy::Finding;
use crate::workspace::{Dependency, Package, Workspace};

const TABLE: &str = "xtask/homes.toml";

/// Where a crate of others may be used, and why we have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The one crate of ours that uses it.
    home: Option<String>,
    /// The few that share it.
    #[serde(default)]
    homes: Vec<String>,
    /// Whether every crate may use it.
    #[serde(default)]
    everywhere: bool,
    /// Whether only tests and tools use it.
    #[serde(default)]
    tests: bool,
    /// Why we have it.
    reason: String,
}

type Table = BTreeMap<String, Row>;

impl Row {
    fn allows(&self, package: &Package, dependency: &Dependency) -> bool {
        let test_or_tool =
            dependency.kind.as_deref() == Some("dev") || package.layer.as_deref() == Some("tool");
        test_or_tool
            || self.everywhere
            || self.home.as_ref() == Some(&package.name)
            || self.homes.contains(&package.name)
    }

    /// A row names exactly one kind of home.
    fn is_clear(&self) -> bool {
        let kinds = [self.home.is_some(), !self.homes.is_empty(), self.everywhere, self.tests];
        kinds.into_iter().filter(|named| *named).count() == 1 && !self.reason.trim().is_empty()
    }
}

pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let text = workspace.text(TABLE).with_context(|| format!("{TABLE} is missing"))?;
    let table = toml::from_str(text).with_context(|| format!("could not read {TABLE}"))?;
    Ok(compare(&workspace.packages, &table))
}

fn compare(packages: &[Package], table: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|one| one.path.is_none()) {
            used.push(dependency.name.as_str());
            let remark = match table.get(&dependency.name) {
                None => format!("`{}` has no row in {TABLE}", dependency.name),
                Some(row) if !row.allows(package, dependency) => {
                    format!("this is not a home of `{}`; see {TABLE}", dependency.name)
                }
                Some(_) => continue,
            };
            findings.push(Finding::new(&package.folder, remark));
        }
    }
    for (name, row) in table {
        if !row.is_clear() {
            let remark = "needs a reason and one of home, homes, everywhere, tests";
            findings.push(Finding::new(TABLE, format!("`{name}` {remark}")));
        }
        if !used.contains(&name.as_str()) {
            findings.push(Finding::new(TABLE, format!("nobody uses `{name}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, uses: &[&str]) -> Package {
        let dependency =
            |name: &&str| Dependency { name: (*name).to_owned(), kind: None, path: None };
        Package {
            name: name.to_owned(),
            folder: name.to_owned(),
            layer: Some("adapter".to_owned()),
            dependencies: uses.iter().map(dependency).collect(),
            ..Package::default()
        }
    }

    fn finds(packages: &[Package], table: &str) -> Vec<String> {
        let table = toml::from_str(table).unwrap();
        compare(packages, &table).iter().map(ToString::to_string).collect()
    }

    const TABLE_OF_TWO: &str = r#"
        [rusqlite]
        home = "cog-store-sqlite"
        reason = "the database"
        [thiserror]
        everywhere = true
        reason = "errors"
    "#;

    #[test]
    fn a_crate_at_home_is_fine() {
        let packages = [package("cog-store-sqlite", &["rusqlite", "thiserror"])];
        assert_eq!(finds(&packages, TABLE_OF_TWO), Vec::<String>::new());
    }

    #[test]
    fn a_second_home_and_a_crate_without_a_row_are_found() {
        let packages = [
            package("cog-store-sqlite", &["rusqlite", "thiserror"]),
            package("cog-engine", &["rusqlite", "openssl"]),
        ];
        assert_eq!(
            finds(&packages, TABLE_OF_TWO),
            [
                "cog-engine: this is not a home of `rusqlite`; see xtask/homes.toml",
                "cog-engine: `openssl` has no row in xtask/homes.toml",
            ]
        );
    }

    #[test]
    fn a_stale_row_and_a_row_without_a_reason_are_found() {
        let table = "[serde]\neverywhere = true\nhome = \"cog-base\"\nreason = \" \"";
        assert_eq!(
            finds(&[], table),
            [
                "xtask/homes.toml: `serde` needs a reason and one of home, homes, everywhere, \
                 tests",
                "xtask/homes.toml: nobody uses `serde`",
            ]
        );
    }

    #[test]
    fn what_only_tests_use_stays_out_of_the_product() {
        let table = "[proptest]\ntests = true\nreason = \"generated tests\"";
        let mut packages = [package("cog-base", &["proptest"])];
        assert_eq!(finds(&packages, table).len(), 1);
        for dependency in packages.iter_mut().flat_map(|package| &mut package.dependencies) {
            dependency.kind = Some("dev".to_owned());
        }
        assert_eq!(finds(&packages, table), Vec::<String>::new());
    }
}
