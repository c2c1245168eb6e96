//! The guide and the README: what stands in their code blocks is read and run, found by the
//! language of the fence, so that it cannot rot.

use std::collections::BTreeMap;

use crate::program::{Folder, workspace};

/// A code block: where it begins, its language, its text.
struct Block {
    place: String,
    language: String,
    text: String,
}

/// The pages whose blocks are looked at.
fn pages() -> Vec<String> {
    let guide = std::fs::read_dir(workspace().join("docs/guide")).unwrap();
    let mut pages: Vec<String> = guide
        .map(|entry| format!("docs/guide/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

fn blocks(page: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(workspace().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, number) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let place = format!("{page}:{number}");
                let (language, text) = (language.to_owned(), String::new());
                open = Some(Block { place, language, text });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    blocks
}

fn all() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks(page)).collect()
}

/// What is done with each language; commands are given in `help`.
const LANGUAGES: [(&str, &str); 8] = [
    ("", "a drawing"),
    ("sh", "given as commands"),
    ("console", "given as commands"),
    ("yaml", "run as a workflow, or the tests of the canon"),
    ("toml", "the settings of the canon"),
    ("cedarschema", "the schema of the canon"),
    ("cedar", "the policies of the canon"),
    ("json", "the facts of the canon"),
];

#[test]
fn every_block_is_of_a_language_that_is_tried() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for Block { place, language, text } in all() {
        let known = LANGUAGES.iter().any(|(known, _)| *known == language);
        assert!(known, "{place}: nobody tries what stands in `{language}`");
        let drawn = language.is_empty() && text.contains("cognitionos ");
        assert!(!drawn, "{place}: a command in a block without a language");
        *found.entry(language).or_default() += 1;
    }
    println!("blocks: {found:?}");
    let languages = LANGUAGES.map(|(language, _)| language);
    assert!(languages.iter().all(|language| found.contains_key(*language)), "{found:?}");
}

/// The canon that the blocks of its page make.
fn canon_of_the_guide(folder: &Folder) {
    let files = [
        ("toml", "canon/canon.toml"),
        ("cedarschema", "canon/schema.cedarschema"),
        ("cedar", "canon/policies/policies.cedar"),
        ("json", "canon/facts/facts.json"),
        ("yaml", "canon/tests/tests.yaml"),
    ];
    let blocks = blocks("docs/guide/canon.md");
    for (language, file) in files {
        let text: Vec<&str> = blocks
            .iter()
            .filter(|block| block.language == language)
            .map(|block| block.text.as_str())
            .collect();
        assert!(!text.is_empty(), "no block in `{language}`");
        folder.write(file, &text.join("\n"));
    }
}

#[test]
fn the_canon_of_the_guide_loads_and_its_tests_pass() {
    let folder = Folder::new("canon-of-the-guide");
    canon_of_the_guide(&folder);
    folder.cog(&["canon", "check", "canon"]).ends(0).says(&["letters for the domain `demo`"]);
    folder.cog(&["canon", "test", "canon"]).ends(0).says(&["3 tests passed, 0 failed"]);
}

#[test]
fn each_workflow_of_the_guide_runs_under_its_canon() {
    let mut tried = 0;
    for Block { place, language, text } in all() {
        if language != "yaml" || !text.starts_with("name: ") {
            continue;
        }
        let folder = Folder::new(&format!("guide-{tried}"));
        canon_of_the_guide(&folder);
        folder.write("letters/one.txt", "Dear reader,\n");
        folder.write("workflow.yaml", &text);
        let answer = folder.cog(&["run", "workflow.yaml"]);
        // The canon decides: it may come to an end, be refused, or wait for people.
        assert!(matches!(answer.code, 0 | 4 | 8), "{place}: {answer}");
        folder.holds();
        tried += 1;
    }
    assert!(tried >= 6, "{tried} workflows");
}
