//! The text of a workflow file and where its lines are.

use crate::diagnostic::Position;

/// A file's text with an index of its lines.
pub(crate) struct Source<'t> {
    file: &'t str,
    text: &'t str,
    /// Byte at which each line starts.
    lines: Vec<usize>,
    /// Byte at which each character starts; empty when all characters are one byte.
    characters: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (position, byte) in bytes.iter().enumerate() {
            let crlf = *byte == b'\r' && bytes.get(position + 1) == Some(&b'\n');
            if (*byte == b'\n' || *byte == b'\r') && !crlf {
                lines.push(position + 1);
            }
        }
        let characters = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(position, _)| position).collect()
        };
        Self { file, text, lines, characters }
    }

    pub(crate) fn file(&self) -> &'t str {
        self.file
    }

    /// The text from byte `at` on; empty when there is none.
    pub(crate) fn rest(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or("")
    }

    /// The byte of the character with this index.
    pub(crate) fn byte_of_character(&self, index: usize) -> usize {
        if self.characters.is_empty() {
            return index.min(self.text.len());
        }
        self.characters.get(index).copied().unwrap_or(self.text.len())
    }

    /// The place of a byte and the text of its line.
    pub(crate) fn locate(&self, at: usize) -> (Position, &'t str) {
        let at = at.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        let text = self.rest(start).split(['\n', '\r']).next().unwrap_or("");
        (Position { line: number(line), column: number(column + 1) }, text)
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
