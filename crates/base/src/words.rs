//! Numbers, lengths of time and text of others in sentences.

use std::fmt::Write as _;

/// A count with the word for what is counted: `1 entry`, `2 entries`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A length of time as somebody would say it: `1.5 seconds`, `2 days`, `1 hour 5 minutes`. Its
/// two largest units, the rest is left out; below ten seconds, tenths.
#[must_use]
pub fn lasting(ms: u64) -> String {
    const UNITS: [(u64, &str, &str); 4] = [
        (86_400_000, "day", "days"),
        (3_600_000, "hour", "hours"),
        (60_000, "minute", "minutes"),
        (1_000, "second", "seconds"),
    ];
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    if ms < 10_000 && !ms.is_multiple_of(1_000) {
        return format!("{}.{} seconds", ms / 1_000, ms % 1_000 / 100);
    }
    let largest = UNITS.iter().position(|(unit, ..)| ms >= *unit).unwrap_or(0);
    let mut left = ms;
    let parts = UNITS.iter().skip(largest).take(2).filter_map(|(unit, one, many)| {
        let count = left / unit;
        left %= unit;
        (count > 0).then(|| counted(count, one, many))
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// An amount in minor units with its decimal form, as of a currency that has hundredths:
/// `6150000 (61500.00)`.
#[must_use]
pub fn minor(amount: i128) -> String {
    let (sign, units) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs());
    format!("{amount} ({sign}{}.{:02})", units / 100, units % 100)
}

/// Text of others as it may be shown on one line: what steers a terminal, breaks the line,
/// turns the direction of writing or cannot be seen stands as `\n` or `\u{202e}`.
///
/// It is for people to read and not to be read back: a backslash stays as it is.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() || is_unseen(c) => {
                // Writing into a text does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a character is not seen, or changes how others are seen: separators of lines,
/// marks of direction, fillers and joiners without width, variation selectors, tags.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_its_two_largest_units() {
        for (ms, told) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 second"),
            (1_550, "1.5 seconds"),
            (12_550, "12 seconds"),
            (60_000, "1 minute"),
            (61_999, "1 minute 1 second"),
            (3_605_000, "1 hour"),
            (3_900_000, "1 hour 5 minutes"),
            (172_800_000, "2 days"),
            (176_400_001, "2 days 1 hour"),
        ] {
            assert_eq!(lasting(ms), told, "{ms}");
        }
    }

    #[test]
    fn what_steers_breaks_or_hides_is_shown() {
        for (text, expected) in [
            ("Hoffmann Bürobedarf GmbH & Co. KG, 東京", "Hoffmann Bürobedarf GmbH & Co. KG, 東京"),
            ("ACME\n  permit", "ACME\\n  permit"),
            ("a\r\tb", "a\\r\\tb"),
            ("\u{1b}[2Jx\u{9b}1A\u{7f}", "\\u{1b}[2Jx\\u{9b}1A\\u{7f}"),
            ("fdp.\u{202e}exe\u{2066}", "fdp.\\u{202e}exe\\u{2066}"),
            ("AC\u{200b}ME\u{feff}\u{2028}\u{e0041}", "AC\\u{200b}ME\\u{feff}\\u{2028}\\u{e0041}"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn one_is_one_and_all_else_is_many() {
        let entries = |count| counted(count, "entry", "entries");
        assert_eq!([entries(0), entries(1), entries(2)], ["0 entries", "1 entry", "2 entries"]);
    }
}
