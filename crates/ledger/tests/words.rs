//! The page of words has each kind of entry, and no other.

use cog_ledger::Kind;

const WORDS: &str = include_str!("../../../docs/reference/words.md");

#[test]
fn the_page_of_words_lists_the_kinds_of_entries_in_their_order() {
    let (_, section) = WORDS.split_once("\n## Kinds of entries\n").unwrap();
    let list = section.split("\n\n").find(|part| part.starts_with("`genesis`")).unwrap();
    let listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(listed, kinds);
}
