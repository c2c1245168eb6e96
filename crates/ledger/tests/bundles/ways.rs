//! Ways to tamper with a bundle, each of which a verifier must find.

use std::collections::BTreeMap;

use cog_base::entropy::SeededEntropy;
use cog_base::json::parse;
use cog_base::{Digest, Value};
use cog_ledger::bundle::CanonFiles;
use cog_ledger::{Entry, Kind, Signer as _, SigningKey};

use crate::forge::{
    Lines, body_seq, counted, dropped, entry_at, joined, lines, places, resealed, rewritten,
};
use crate::tamper::Target;

/// Where a change is made, and which.
pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap()
    }

    fn pick(&mut self, places: &[usize]) -> usize {
        places[self.below(places.len())]
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// Change one byte of a line into another that can stand in it.
    fn change(&mut self, line: &mut [u8]) {
        let place = self.below(line.len());
        loop {
            let byte = b' ' + u8::try_from(self.below(95)).unwrap();
            if byte != line[place] {
                line[place] = byte;
                return;
            }
        }
    }
}

/// A way to tamper: gives nothing when it happens to change nothing.
pub(crate) type Way = fn(&Target, &mut Chance) -> Option<Vec<u8>>;

/// All of them, by name.
pub(crate) const WAYS: &[(&str, Way)] = &[
    ("bit flipped", bit_flipped),
    ("byte replaced", byte_replaced),
    ("byte removed", byte_removed),
    ("byte inserted", byte_inserted),
    ("line dropped", line_dropped),
    ("line doubled", line_doubled),
    ("lines swapped", lines_swapped),
    ("tail cut", tail_cut),
    ("line changed, end rewritten", line_changed),
    ("signature doubled, end rewritten", signature_doubled),
    ("entry dropped, numbers rewritten", entry_dropped),
    ("entries swapped, numbers rewritten", entries_swapped),
    ("tail of entries cut, all but the signature rewritten", entries_cut),
    ("entry edited, all but the signature rewritten", entry_edited),
    ("entry edited, all rewritten and signed by another key", resigned),
    ("signed again by a key out of force", signed_by_old_key),
    ("body changed, end rewritten", body_changed),
    ("canon changed, end rewritten", canon_changed),
    ("body dropped, numbers rewritten", body_dropped),
    ("canon dropped, numbers rewritten", canon_dropped),
    ("canon added that nobody names, numbers rewritten", canon_added),
    ("part doubled, numbers rewritten", part_doubled),
    ("part dropped, numbers rewritten", part_dropped),
    ("parts reordered, end rewritten", parts_reordered),
    ("keys replaced, end rewritten", keys_replaced),
    ("cut off at a hand-over, numbers rewritten", cut_at_hand_over),
    ("split view", split_view),
];

fn bit_flipped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut bundle = target.bundle.clone();
    let place = chance.below(bundle.len());
    bundle[place] ^= 1 << chance.below(8);
    Some(bundle)
}

fn byte_replaced(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut bundle = target.bundle.clone();
    chance.change(&mut bundle);
    Some(bundle)
}

fn byte_removed(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut bundle = target.bundle.clone();
    bundle.remove(chance.below(bundle.len()));
    Some(bundle)
}

fn byte_inserted(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut bundle = target.bundle.clone();
    let byte = u8::try_from(chance.below(256)).unwrap();
    bundle.insert(chance.below(bundle.len() + 1), byte);
    Some(bundle)
}

fn line_dropped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    lines.remove(chance.below(lines.len()));
    Some(joined(&lines))
}

fn line_doubled(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let line = lines[chance.below(lines.len())].clone();
    lines.insert(chance.below(lines.len() + 1), line);
    Some(joined(&lines))
}

fn lines_swapped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let (one, other) = (chance.below(lines.len()), chance.below(lines.len()));
    lines.swap(one, other);
    Some(joined(&lines))
}

fn tail_cut(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let keep = chance.below(target.bundle.len());
    Some(target.bundle[..keep].to_vec())
}

/// Any line but the last.
fn line_changed(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let place = chance.below(lines.len() - 1);
    chance.change(&mut lines[place]);
    Some(resealed(&lines))
}

/// A line of a signature stands twice under a head.
fn signature_doubled(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let place = chance.pick(&places(&lines, "{\"checkpoint\":"));
    let text = String::from_utf8(lines[place].clone()).unwrap();
    let start = text.rfind('\u{2014}').unwrap();
    let end = text.rfind("\"}").unwrap();
    lines[place] = format!("{}{}", &text[..end], &text[start..]).into_bytes();
    Some(resealed(&lines))
}

fn entry_dropped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    lines.remove(chance.pick(&places(&lines, "{\"entry\":")));
    Some(rewritten(lines, None))
}

fn entries_swapped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let entries = places(&lines, "{\"entry\":");
    let place = chance.below(entries.len() - 1);
    lines.swap(entries[place], entries[place + 1]);
    Some(rewritten(lines, None))
}

fn entries_cut(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let entries = places(&lines, "{\"entry\":");
    let cut = 1 + chance.below(8);
    let keep = entries[entries.len() - cut];
    lines.drain(keep..keep + cut);
    // Bodies of entries that are gone would give it away at once.
    let last = entry_at(&lines[keep - 1])?.seq();
    lines.retain(|line| body_seq(line).is_none_or(|seq| seq <= last));
    Some(rewritten(lines, None))
}

fn entry_edited(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    Some(rewritten(edited(target, chance)?, None))
}

fn resigned(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let name = target.trusted[0].name();
    let key = SigningKey::new(name, &mut chance.0).unwrap();
    Some(rewritten(edited(target, chance)?, Some(key)))
}

/// The key of the genesis entry signs again, although the log was handed over since.
fn signed_by_old_key(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let lines = if chance.below(2) == 0 { edited(target, chance)? } else { lines(&target.bundle) };
    Some(rewritten(lines, Some(target.old_key.clone())))
}

fn body_changed(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let place = chance.pick(&places(&lines, "{\"body\":"));
    chance.change(&mut lines[place]);
    Some(resealed(&lines))
}

fn canon_changed(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let place = chance.pick(&places(&lines, "{\"canon\":"));
    chance.change(&mut lines[place]);
    Some(resealed(&lines))
}

fn body_dropped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let lines = lines(&target.bundle);
    Some(dropped(&lines, chance.pick(&places(&lines, "{\"body\":"))))
}

fn canon_dropped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let lines = lines(&target.bundle);
    let place = chance.pick(&places(&lines, "{\"canon\":"));
    Some(dropped(&lines, place))
}

/// A version of canon that fits its digest, and that no entry names.
fn canon_added(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let canons = places(&lines, "{\"canon\":");
    let line = lines[chance.pick(&canons)].clone();
    let canon = parse(std::str::from_utf8(&line).ok()?).ok()?;
    let files = canon.at(&["canon", "files"])?.as_map()?.iter();
    let files = files.map(|(path, text)| Some((path.clone(), format!("{}\n", text.as_text()?))));
    let mut added =
        CanonFiles { digest: Digest::of(&[]), files: files.collect::<Option<BTreeMap<_, _>>>()? };
    added.digest = added.computed();
    let files = added.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let files = Value::map(files.map(|(path, text)| (path, Value::from(text))));
    let added = Value::map([("digest", Value::from(added.digest)), ("files", files)]);
    let added = Value::map([("canon", added)]).canonical();
    // In the order that the digests have.
    let place = canons.iter().copied().find(|place| lines[*place] > added);
    lines.insert(place.unwrap_or(canons[canons.len() - 1] + 1), added);
    Some(counted(lines))
}

/// A line that is there again, right behind itself.
fn part_doubled(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let start = chance.of(&[
        "{\"key\":",
        "{\"canon\":",
        "{\"subtrees\":",
        "{\"earlier\":",
        "{\"checkpoint\":",
    ]);
    let places = places(&lines, start);
    let place = if places.is_empty() { return None } else { chance.pick(&places) };
    lines.insert(place, lines[place].clone());
    Some(counted(lines))
}

fn part_dropped(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let lines = lines(&target.bundle);
    let start = chance.of(&["{\"key\":", "{\"subtrees\":", "{\"earlier\":", "{\"checkpoint\":"]);
    let places = places(&lines, start);
    (!places.is_empty()).then(|| dropped(&lines, chance.pick(&places)))
}

fn parts_reordered(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let places = places(&lines, chance.of(&["{\"key\":", "{\"canon\":", "{\"checkpoint\":"]));
    let (one, other) = (chance.pick(&places), chance.pick(&places));
    lines.swap(one, other);
    Some(resealed(&lines))
}

/// All keys are gone, or a stranger's stands in the place of one.
fn keys_replaced(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let keys = places(&lines, "{\"key\":");
    if chance.below(2) == 0 {
        lines.drain(keys[0]..keys[0] + keys.len());
    } else {
        let name = target.trusted[0].name();
        let stranger = SigningKey::new(name, &mut chance.0).unwrap();
        let line = Value::map([("key", stranger.public().to_string())]).canonical();
        lines[chance.pick(&keys)] = line;
    }
    Some(resealed(&lines))
}

/// The log ends at a hand-over, under the head that the bundle has of it.
fn cut_at_hand_over(target: &Target, chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines = lines(&target.bundle);
    let is_hand_over =
        |place: &usize| entry_at(&lines[*place]).is_some_and(|it| it.kind() == Kind::KeyRotated);
    let entries = places(&lines, "{\"entry\":");
    let hand_overs: Vec<_> = entries.iter().copied().filter(is_hand_over).collect();
    let number = chance.below(hand_overs.len());
    let heads = places(&lines, "{\"checkpoint\":");
    // Whoever has the bundle can take its heads and give them any place.
    let head = lines[heads[number]].clone();
    let last = heads[heads.len() - 1];
    lines[last] = head;
    if chance.below(2) == 0 {
        lines.drain(heads[number]..last);
    } else {
        lines.drain(heads[number] + 1..last);
    }
    let (cut, end) = (hand_overs[number], entries[entries.len() - 1]);
    let seq = entry_at(&lines[cut])?.seq();
    lines.drain(cut + 1..=end);
    lines.retain(|line| body_seq(line).is_none_or(|body| body <= seq));
    let keys = places(&lines, "{\"key\":");
    let kept = (number + 2).min(keys.len());
    lines.drain(keys[0] + kept..keys[0] + keys.len());
    Some(rewritten(lines, None))
}

fn split_view(target: &Target, _: &mut Chance) -> Option<Vec<u8>> {
    assert!(!target.is_found(&target.fork), "alone, a fork looks like a log");
    Some(target.fork.clone())
}

/// The lines with one entry that says something else, and every later link rewritten.
fn edited(target: &Target, chance: &mut Chance) -> Option<Lines> {
    let mut lines = lines(&target.bundle);
    let entries = places(&lines, "{\"entry\":");
    let edit = chance.below(entries.len());
    let mut prev: Option<Digest> = None;
    for (number, place) in entries.into_iter().enumerate() {
        let entry = entry_at(&lines[place])?;
        let Value::Map(mut members) = parse(std::str::from_utf8(entry.bytes()).ok()?).ok()? else {
            return None;
        };
        if number == edit {
            let actors = ["user:mallory", "agent:mallory", "service:mallory"];
            members.insert("actor".to_owned(), actors[chance.below(3)].into());
        }
        if let Some(prev) = prev.filter(|_| number > edit) {
            members.insert("prev".to_owned(), Value::from(prev));
        }
        let changed = Entry::parse(&Value::Map(members).canonical()).ok()?;
        prev = Some(changed.leaf());
        lines[place] = [b"{\"entry\":", changed.bytes(), b"}"].concat();
    }
    Some(lines)
}
