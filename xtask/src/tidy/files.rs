//! What each file keeps to: its length, its first line, no marks of unfinished work, and
//! nothing of the machine it was written on.

use crate::tidy::Finding;
use crate::workspace::File;

/// Most lines of a source file.
const LINES_MAX: usize = 600;

/// Folders whose files are data, of any length.
const DATA: [&str; 4] = ["vectors", "fixtures", "golden", "cassettes"];

// The marks below are written in two halves, so that this file passes its own check.

/// Marks of unfinished work. Those in letters only count as whole words.
const MARKS: [&str; 5] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Places that exist only on the machine of whoever wrote them.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("../sha", "red")];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    files.iter().flat_map(check_one).collect()
}

fn check_one(file: &File) -> Vec<Finding> {
    let Some(text) = file.text.as_deref() else { return Vec::new() };
    let mut remarks = Vec::new();
    let extension = file.path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_data = file.path.split('/').any(|folder| DATA.contains(&folder));
    if matches!(extension, "rs" | "py" | "ts" | "js") && !is_data {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            remarks.push(format!("{lines} lines; at most {LINES_MAX}"));
        }
        remarks.extend(marked(text, &MARKS, "is a mark of unfinished work"));
    }
    if extension == "rs" && !text.starts_with("//!") {
        remarks.push("starts without `//!`: say what the file is for".to_owned());
    }
    if file.path.rsplit('/').next() == Some("mod.rs") {
        remarks.push("a module is a file of its own name, not a mod.rs".to_owned());
    }
    if file.path != "Cargo.lock" {
        remarks.extend(marked(text, &PLACES, "exists on one machine only"));
    }
    remarks.into_iter().map(|remark| Finding::new(&file.path, remark)).collect()
}

fn marked(text: &str, marks: &[&str], remark: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    let hits = lines.flat_map(|(number, line)| {
        let found = marks.iter().filter(move |mark| stands_alone(line, mark));
        found.map(move |mark| (number + 1, *mark))
    });
    hits.map(|(number, mark)| format!("line {number}: `{mark}` {remark}")).collect()
}

/// Whether the mark is in the line and not part of a longer word.
fn stands_alone(line: &str, mark: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(mark).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line.get(start + mark.len()..).and_then(|text| text.chars().next());
        let ends_in_word = mark.chars().next_back().is_some_and(is_word);
        !(before.is_some_and(is_word) || ends_in_word && after.is_some_and(is_word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.to_owned(), text: Some(text.to_owned()) };
        check_one(&file).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_in_house_style_is_fine() {
        assert_eq!(finds("crates/base/src/lib.rs", "//! What it is for.\n"), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_data() {
        let long = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(finds("a.rs", &long), ["a.rs: 601 lines; at most 600"]);
        assert_eq!(finds("tests/vectors/a.rs", &long), Vec::<String>::new());
        assert_eq!(finds("a.json", &long), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_found() {
        assert_eq!(finds("a.rs", "use std::fmt;").len(), 1);
        assert_eq!(finds("a.py", "import json").len(), 0);
    }

    #[test]
    fn mod_rs_is_found() {
        assert_eq!(finds("crates/base/src/json/mod.rs", "//! JSON.").len(), 1);
    }

    #[test]
    fn marks_of_unfinished_work_are_found() {
        for mark in MARKS {
            let text = format!("//! A.\nfn a() {{ {mark} }}\n");
            let expected = format!("a.rs: line 2: `{mark}` is a mark of unfinished work");
            assert_eq!(finds("a.rs", &text), [expected]);
        }
        let marked = MARKS.last().copied().unwrap_or_default();
        assert_eq!(finds("a.rs", &format!("//! A{marked}B\n")), Vec::<String>::new());
    }

    #[test]
    fn places_of_one_machine_are_found_in_any_text() {
        for place in PLACES {
            assert_eq!(finds("notes.md", &format!("see {place} there")).len(), 1);
        }
        let place = PLACES.first().copied().unwrap_or_default();
        assert_eq!(finds("notes.md", &format!("see frame{place} there")), Vec::<String>::new());
    }
}
