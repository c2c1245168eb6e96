//! The head of a bundle, to compare others with.

use std::io::BufRead;

use super::lines::{Line, Lines, manifest, parse};
use super::{BundleError, Manifest};
use crate::checkpoint::Checkpoint;

/// What a bundle says of itself, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its first line.
    pub manifest: Manifest,
    /// Its last checkpoint, if it has one.
    pub checkpoint: Option<Checkpoint>,
}

/// Read only the manifest and the head of a bundle. Proves nothing.
///
/// # Errors
/// [`BundleError`] when it cannot be read or is no bundle.
pub fn read_head(input: &mut dyn BufRead) -> Result<Head, BundleError> {
    let mut lines = Lines::new(input);
    let manifest = manifest(lines.next()?)?;
    let mut checkpoint = None;
    while let Some(line) = lines.next()? {
        let Ok(line) = line else { break };
        if line.starts_with(b"{\"checkpoint\":")
            && let Ok(Line::Checkpoint(head)) = parse(line)
        {
            checkpoint = Some(*head);
        }
    }
    Ok(Head { manifest, checkpoint })
}
