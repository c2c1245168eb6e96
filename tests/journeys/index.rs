//! The index of codes: every code in the source is explained on a page, no page explains one that
//! is not there, and the list of them all is made from both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cog_ledger::Kind;

use crate::program::workspace;

/// The pages that explain codes.
const PAGES: [&str; 6] = ["decisions", "failures", "findings", "histories", "hooks", "workers"];
/// Names with dots that are no codes: what they begin with.
const FAMILIES: [&str; 7] =
    ["args", "cgroup", "cognitionos", "memory", "pids", "workflow", "execution"];
/// The same, each.
const NAMES: [&str; 31] = [
    "api.call",
    "canon.toml",
    "clock.mark",
    "control.sock",
    "file.delete",
    "file.read",
    "file.write",
    "http.request",
    "intact.entries",
    "intact.head",
    "key.rotation",
    "ledger.cogbundle",
    "ledger.db",
    "ledger.refused",
    "master.key",
    "model.chat",
    "process.run",
    "reason.code",
    "run.cancel",
    "run.domain",
    "run.environment",
    "run.pause",
    "run.unpause",
    "run.workflow",
    "schema.cedarschema",
    "session.accept",
    "storage.used",
    "tokens.consumed",
    "used.journal",
    "used.new",
    "worker.token",
];

/// Whether it is a code: words of small letters with dots between them, and nothing else that
/// looks so.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let known =
        NAMES.contains(&text) || text.parse::<Kind>().is_ok_and(|_| !IS_BOTH.contains(&text));
    let family = text.split('.').next().is_some_and(|first| FAMILIES.contains(&first));
    text.contains('.') && text.split('.').all(word) && !known && !family
}

/// What is a kind of entry and a code, too.
const IS_BOTH: [&str; 1] = ["approval.rejected"];

/// The source of the product, without tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "tests" && name != "target" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The codes that stand in the source as texts.
fn in_source() -> BTreeSet<String> {
    let mut files = Vec::new();
    ["crates", "apps"].iter().for_each(|folder| sources(&workspace().join(folder), &mut files));
    let mut codes = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        let texts = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        codes.extend(texts.filter(|text| is_code(text)).map(str::to_owned));
    }
    codes
}

/// The codes that pages explain, each with its pages.
fn on_pages() -> BTreeMap<String, Vec<&'static str>> {
    let mut codes: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for page in PAGES {
        let path = workspace().join(format!("docs/reference/{page}.md"));
        let text = std::fs::read_to_string(path).unwrap();
        let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for code in quoted.filter(|text| is_code(text)) {
            let pages = codes.entry(code.to_owned()).or_default();
            if pages.last() != Some(&page) {
                pages.push(page);
            }
        }
    }
    codes
}

#[test]
fn every_code_is_explained_and_every_explained_code_is_there() {
    let (source, pages) = (in_source(), on_pages());
    let missing: Vec<_> = source.iter().filter(|code| !pages.contains_key(*code)).collect();
    assert!(missing.is_empty(), "no page of {PAGES:?} explains {missing:?}");
    let stale: Vec<_> = pages.keys().filter(|code| !source.contains(*code)).collect();
    assert!(stale.is_empty(), "not in the source: {stale:?}");
    assert!(source.len() > 200, "{} codes", source.len());
}

#[test]
fn the_index_has_every_code_with_its_page() {
    let mut index = "# Codes\n\n\
        Every code with a dot that a decision, a failure, a finding or the check of a history can have,\n\
        and the page that explains it. They are stable: what a code means does not change, and new ones\n\
        may come. This page is made from the source and the pages, and a test compares it:\n\
        `UPDATE_EXPECT=1 cargo test -p cog-journeys index::` writes it anew.\n\n\
        | Code | Explained in |\n| --- | --- |\n"
        .to_owned();
    for (code, pages) in on_pages() {
        let links: Vec<_> = pages.iter().map(|page| format!("[{page}]({page}.md)")).collect();
        index.push_str(&format!("| `{code}` | {} |\n", links.join(", ")));
    }
    expect_test::expect_file!["../../docs/reference/codes.md"].assert_eq(&index);
}
