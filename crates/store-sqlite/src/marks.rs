//! High-water marks: the last committed size of each log, kept apart from the database, so
//! that a database that went back in time is noticed.
//!
//! One line of 64 bytes for each log, overwritten in place: the tenant, the size in 20
//! digits, and a check value. The line of a log is made and synced before its first entry, so
//! that a log without one is damage. From then on marks are written after the commit and not
//! synced with it: a power cut may leave them behind the truth, never ahead of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cog_base::Digest;
use cog_base::id::TenantId;
use cog_store::StoreError;

use crate::error::on_path;
use crate::folder::sync_folder;

const LINE_BYTES: usize = 64;
const CONTEXT: &str = "cognitionos/high-water/v1";

/// The file of marks, open for writing.
#[derive(Debug)]
pub(crate) struct Marks {
    file: File,
    path: PathBuf,
    /// Which line is whose.
    lines: HashMap<TenantId, u64>,
}

impl Marks {
    /// Open or make the file.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let known = read(path)?;
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = opened.map_err(on_path("open", path))?;
        let lines = known.into_iter().map(|(tenant, mark)| (tenant, mark.line)).collect();
        Ok(Self { file, path: path.to_owned(), lines })
    }

    /// Make the line of a log that has none, durably: nothing of it may be kept before.
    pub(crate) fn begin(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        if self.lines.contains_key(&tenant) {
            return Ok(());
        }
        let made = self.raise(tenant, 0).and_then(|()| self.file.sync_all());
        if let Err(error) = made {
            self.lines.remove(&tenant);
            return Err(on_path("write", &self.path)(error));
        }
        self.path.parent().map_or(Ok(()), sync_folder)
    }

    /// Note that a log has so many entries.
    pub(crate) fn raise(&mut self, tenant: TenantId, size: u64) -> std::io::Result<()> {
        let next = self.lines.len() as u64;
        let line = *self.lines.entry(tenant).or_insert(next);
        self.file.write_all_at(text(tenant, size).as_bytes(), line * LINE_BYTES as u64)
    }

    /// Make the marks durable.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// A mark and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) size: u64,
    line: u64,
}

/// All marks, none when there is no file.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<TenantId, Mark>, StoreError> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(on_path("read", path))?,
    };
    let mut marks = BTreeMap::new();
    for (number, line) in (0_u64..).zip(bytes.chunks(LINE_BYTES)) {
        let damaged = || StoreError::corrupt(format!("line {number} of `{}`", path.display()));
        let (tenant, size) = parse(line).ok_or_else(damaged)?;
        marks.insert(tenant, Mark { size, line: number });
    }
    Ok(marks)
}

fn text(tenant: TenantId, size: u64) -> String {
    let start = format!("{tenant} {size:020} ");
    let check = Digest::in_context(CONTEXT, start.as_bytes()).short();
    format!("{start}{:<width$}\n", check.get(..11).unwrap_or_default(), width = 63 - start.len())
}

fn parse(line: &[u8]) -> Option<(TenantId, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let tenant = words.next()?.parse().ok()?;
    let size = words.next()?.parse().ok()?;
    (text(tenant, size) == line).then_some((tenant, size))
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    #[test]
    fn a_line_has_its_length_and_is_read_back_only_whole() {
        let tenant = TenantId::from_uuid(Uuid::from_u128(99));
        let line = text(tenant, u64::MAX);
        assert_eq!(line.len(), LINE_BYTES, "{line:?}");
        assert_eq!(parse(line.as_bytes()), Some((tenant, u64::MAX)));
        for place in 0..LINE_BYTES {
            let mut changed = line.clone().into_bytes();
            changed[place] ^= 1;
            assert_eq!(parse(&changed), None, "{place}");
        }
    }
}
