//! What a program writes, as text, while it writes it.

use cog_gate::piece::Mouth;

/// One stream of a program.
pub(crate) struct Stream {
    /// What stands before what the program itself writes: nothing is said unless it does.
    line: String,
    name: &'static str,
    mouth: Mouth,
    /// How many bytes were said.
    said: usize,
}

impl Stream {
    /// A stream whose program begins behind this line.
    pub(crate) fn behind(line: String, name: &'static str, mouth: Mouth) -> Self {
        Self { line, name, mouth, said: 0 }
    }

    /// Say what is new of all that was written so far. Half a character waits for its other half;
    /// what is no text is said as in the output ([`String::from_utf8_lossy`]).
    pub(crate) fn say(&mut self, written: &[u8]) {
        let new = written.strip_prefix(self.line.as_bytes()).and_then(|it| it.get(self.said..));
        let Some(new) = new.filter(|new| !new.is_empty()) else { return };
        let whole = match std::str::from_utf8(new) {
            Ok(_) => new.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => whole(new),
        };
        if let Some(new) = new.get(..whole).filter(|new| !new.is_empty()) {
            self.said += whole;
            (self.mouth)(self.name, &String::from_utf8_lossy(new));
        }
    }
}

/// How many bytes there are before a character of which only the beginning is there.
fn whole(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let broken = last.map_or(&[][..], |chunk| chunk.invalid());
    let is_half = std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none());
    bytes.len() - if is_half { broken.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is said when these bytes come one after the other.
    fn said(line: &str, bytes: &[u8]) -> Vec<String> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&heard);
        let mouth = Arc::new(move |_: &'static str, text: &str| {
            to.lock().unwrap().push(text.to_owned());
        });
        let mut stream = Stream::behind(line.to_owned(), "stdout", mouth);
        for end in 0..=bytes.len() {
            stream.say(&bytes[..end]);
        }
        drop(stream);
        let heard = heard.lock().unwrap();
        heard.clone()
    }

    #[test]
    fn bytes_that_come_one_by_one_are_said_character_by_character() {
        let cases: &[(&str, &[u8], &[&str])] = &[
            ("", b"", &[]),
            ("", "aä\u{1f600}".as_bytes(), &["a", "ä", "\u{1f600}"]),
            ("", b"a\xffb", &["a", "\u{fffd}", "b"]),
            ("", b"\xe2\x82", &[]),
            ("started 1\n", b"started 1\nok", &["o", "k"]),
            ("started 1\n", b"started 2\nok", &[]),
        ];
        for (line, bytes, expected) in cases {
            assert_eq!(said(line, bytes), *expected, "{line:?} {bytes:?}");
        }
    }
}
