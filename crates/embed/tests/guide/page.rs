//! The page and the examples say the same.

use std::collections::BTreeMap;

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/library.md");
/// The examples.
const SOURCES: [&str; 5] = [
    include_str!("opening.rs"),
    include_str!("steps.rs"),
    include_str!("people.rs"),
    include_str!("past.rs"),
    include_str!("times.rs"),
];
/// What begins and ends a region.
const BEGIN: &str = "// begin: ";
const END: &str = "// end";

/// Whether a line ends on the other side of a quotation mark than it begins.
fn turns(line: &str) -> bool {
    line.replace("\\\"", "").matches('"').count() % 2 == 1
}

/// The regions of the examples, by their names: without what they are indented by. What goes on in a
/// text over several lines stays as it is.
fn regions() -> BTreeMap<String, String> {
    let mut regions = BTreeMap::new();
    for source in SOURCES {
        let mut open: Option<(String, usize, String)> = None;
        let mut is_text = false;
        for line in source.lines() {
            let word = line.trim_start();
            if let Some(name) = word.strip_prefix(BEGIN) {
                assert!(open.is_none(), "`{name}` begins inside another");
                open = Some((name.to_owned(), line.len() - word.len(), String::new()));
            } else if word == END {
                let (name, _, text) = open.take().unwrap();
                assert!(regions.insert(name.clone(), text).is_none(), "`{name}` is there twice");
            } else if let Some((_, indent, text)) = &mut open {
                let begin = line.get(..*indent).filter(|it| !is_text && it.trim().is_empty());
                text.push_str(&line[begin.map_or(0, str::len)..]);
                text.push('\n');
                is_text ^= turns(line);
            }
        }
        assert!(open.is_none() && !is_text);
    }
    regions
}

/// The page with every block of Rust replaced by what `text` says of the heading above it, and those
/// headings.
fn rewritten(page: &str, text: impl Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let (mut new, mut headings) = (String::new(), Vec::new());
    let (mut heading, mut is_inside) = ("", false);
    for line in page.lines() {
        if is_inside && line != "```" {
            continue;
        }
        new.push_str(line);
        new.push('\n');
        if let Some(name) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            heading = name;
        }
        is_inside = line == "```rust";
        if is_inside {
            headings.push(heading.to_owned());
            new.push_str(&text(heading).unwrap_or_default());
        }
    }
    (new, headings)
}

#[test]
fn the_page_shows_what_is_run() {
    let (regions, page) = (regions(), std::fs::read_to_string(PAGE).unwrap());
    let (new, headings) = rewritten(&page, |heading| regions.get(heading).cloned());
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::write(PAGE, &new).unwrap();
    }
    let mut sorted = headings.clone();
    sorted.sort();
    assert_eq!(sorted, regions.into_keys().collect::<Vec<_>>(), "headings, and what is run");
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert!(page == new, "the blocks differ from the examples; UPDATE_EXPECT=1 writes them anew");
}
