//! The guide and the README: what stands in their code blocks is read and run, found by the
//! language of the fence, so that it cannot rot.

use std::collections::BTreeMap;

use crate::program::{Folder, text, workspace};

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
const LANGUAGES: [(&str, &str); 9] = [
    ("", "a drawing"),
    ("sh", "given as commands"),
    ("console", "given as commands"),
    ("yaml", "run as a workflow, or the tests of the canon"),
    ("toml", "the settings of the canon"),
    ("cedarschema", "the schema of the canon"),
    ("cedar", "the policies of the canon"),
    ("json", "the facts of the canon"),
    ("rust", "run by the tests of cog-embed"),
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
pub(crate) fn canon_of_the_guide(folder: &Folder) {
    let files = [
        ("toml", "canon/canon.toml"),
        ("cedarschema", "canon/schema.cedarschema"),
        ("cedar", "canon/policies/policies.cedar"),
        ("json", "canon/facts/facts.json"),
        ("yaml", "canon/tests/tests.yaml"),
    ];
    for (language, file) in files {
        folder.write(file, &blocks_of("docs/guide/canon.md", language));
    }
}

/// What stands in the blocks of a page in one language.
pub(crate) fn blocks_of(page: &str, language: &str) -> String {
    let blocks = blocks(page).into_iter().filter(|block| block.language == language);
    let text: Vec<String> = blocks.map(|block| block.text).collect();
    assert!(!text.is_empty(), "no block in `{language}`");
    text.join("\n")
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

/// The quickstart where the README looks for it.
fn clone(name: &str) -> Folder {
    let folder = Folder::new(name);
    let example = Folder::example(&format!("{name}-example"), "01-quickstart");
    std::fs::create_dir_all(folder.path("examples")).unwrap();
    std::fs::rename(example.path(""), folder.path("examples/01-quickstart")).unwrap();
    folder
}

/// The ids that the tour means: of its run, of what it approves, of the refusal it asks about.
fn meant(folder: &Folder, word: &str) -> String {
    match word.split_once('_').map(|(prefix, _)| prefix) {
        Some("run") => text(&folder.entries("session.started")[0], &["session"]).to_owned(),
        Some("apr") => text(&folder.entries("approval.requested")[0], &["data", "id"]).to_owned(),
        Some("dny") => {
            let denials = folder.entries("denial");
            let rule = "pay.no-approval-by-document";
            let denial = denials.iter().find(|it| it.to_string().contains(rule)).unwrap();
            text(denial, &["data", "id"]).to_owned()
        }
        _ => word.to_owned(),
    }
}

/// A line without what is otherwise each time: ids, times, hashes, and how wide columns are.
fn alike(line: &str) -> String {
    let hex = |word: &str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')', ',', ':', '.']);
        let id = bare.split_once('_').is_some_and(|(prefix, rest)| {
            let known = ["run", "rcp", "dny", "apr", "pln"].contains(&prefix);
            known && (rest.ends_with('…') || rest.len() == 26)
        });
        let time = bare.len() == 27 && bare.ends_with('Z');
        if id || time || hex(bare) { word.replace(bare, "<it>") } else { word.to_owned() }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_tour_of_the_readme_goes_as_it_shows() {
    let folder = clone("tour");
    let (mut given, mut compared) = (0, 0);
    let mut said = Vec::new();
    let blocks = blocks("README.md").into_iter().filter(|block| block.language == "console");
    for Block { place, text, .. } in blocks {
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("$ cognitionos ") {
                let words: Vec<_> =
                    command.split_whitespace().map(|word| meant(&folder, word)).collect();
                let answer = folder.cog(&words.iter().map(String::as_str).collect::<Vec<_>>());
                assert!(matches!(answer.code, 0 | 4 | 8), "{place}: {line}\n{answer}");
                said = answer.out.lines().chain(answer.err.lines()).map(alike).collect();
                given += 1;
            } else if !line.trim().is_empty() && line.trim() != "..." {
                let shown = alike(line);
                assert!(said.contains(&shown), "{place}: `{shown}` is not in\n{}", said.join("\n"));
                compared += 1;
            }
        }
    }
    assert!(given >= 9 && compared >= 25, "{given} commands, {compared} lines");
}

#[test]
fn the_stricter_canon_is_stricter_in_its_limit_alone() {
    let folder = clone("stricter");
    let stricter = "examples/01-quickstart/canon-stricter";
    folder.cog(&["canon", "check", stricter]).ends(0);
    let diff = ["canon", "diff", "examples/01-quickstart/canon", stricter, "--json"];
    let differences = folder.cog(&diff).ends(0).json();
    let names = differences.as_list().unwrap().iter();
    let names = names.filter(|it| text(it, &["part"]) != "test").map(|it| text(it, &["name"]));
    assert_eq!(names.collect::<Vec<_>>(), ["pay.large", "pay.small"]);
}
