//! Reading a bundle again once it is verified: the versions of canon, then each entry with its
//! body. Nothing is checked here.

use std::io::BufRead;

use super::lines::{Line, Lines, parse};
use super::{BundleError, CanonFiles};
use crate::entry::Entry;

/// A part of a bundle, in the order of the file.
#[derive(Debug)]
pub enum Piece {
    /// A version of canon. All come before the first entry.
    Canon(CanonFiles),
    /// An entry, and the bytes of its body if they are here.
    Entry(Box<Entry>, Option<Vec<u8>>),
}

/// Read a verified bundle from two readers of the same bytes: bodies stand behind the entries, and
/// so memory is needed for one at a time.
///
/// # Errors
/// [`BundleError`] when it cannot be read.
pub fn read(
    input: &mut dyn BufRead,
    again: &mut dyn BufRead,
    take: &mut dyn FnMut(Piece),
) -> Result<(), BundleError> {
    let mut lines = Lines::new(input);
    let mut bodies = Bodies { lines: Lines::new(again), next: None };
    bodies.go_on()?;
    while let Some(line) = lines.next()? {
        let Ok(line) = line else { break };
        if !line.starts_with(b"{\"entry\":") && !line.starts_with(b"{\"canon\":") {
            continue;
        }
        let piece = match parse(line) {
            Ok(Line::Canon(canon)) => Piece::Canon(canon),
            Ok(Line::Entry(entry)) => {
                let body = bodies.of(entry.seq())?;
                Piece::Entry(entry, body)
            }
            Ok(_) | Err(_) => continue,
        };
        take(piece);
    }
    Ok(())
}

/// The bodies of a bundle, in their order.
struct Bodies<'a> {
    lines: Lines<'a>,
    next: Option<(u64, Vec<u8>)>,
}

impl Bodies<'_> {
    fn of(&mut self, seq: u64) -> Result<Option<Vec<u8>>, BundleError> {
        while self.next.as_ref().is_some_and(|(next, _)| *next < seq) {
            self.go_on()?;
        }
        if self.next.as_ref().is_none_or(|(next, _)| *next != seq) {
            return Ok(None);
        }
        let body = self.next.take().map(|(_, bytes)| bytes);
        self.go_on()?;
        Ok(body)
    }

    fn go_on(&mut self) -> Result<(), BundleError> {
        self.next = None;
        while let Some(Ok(line)) = self.lines.next()? {
            if line.starts_with(b"{\"body\":")
                && let Ok(Line::Body(body)) = parse(line)
            {
                self.next = Some((body.seq, body.bytes));
                break;
            }
        }
        Ok(())
    }
}
