//! What a worker used, in a folder of its own, so that it uses nothing twice in its next life.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge keeps the journal of a worker"
)]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cog_base::id::{ReceiptId, TenantId};
use cog_base::{Clock as _, Timestamp};
use cog_gate::runner::{Journal, Used};
use verify::open_file;

use crate::failure::{Exit, Failure};
use crate::system::SystemClock;

const NAME: &str = "used.journal";
const LOCK: &str = "lock";
/// After so many lines it is written anew, without what has expired.
const LINES_MAX: usize = 65_536;

/// The journal of one worker.
pub(crate) struct UsedUp {
    folder: PathBuf,
    file: File,
    known: BTreeMap<(TenantId, ReceiptId), Used>,
    lines: usize,
    /// Another worker with this journal would not know what this one uses.
    _lock: File,
}

impl UsedUp {
    /// Open the journal in a folder, and make it when there is none.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let bad = |doing: &str, error: &dyn std::fmt::Display| {
            let message = format!("cannot {doing} in {}: {error}", folder.display());
            Failure::advise(Exit::BadInput, message, "--journal DIR, a folder that is yours alone")
        };
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(|error| bad("make the journal", &error))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(folder.join(LOCK));
        let lock = lock.map_err(|error| bad("lock the journal", &error))?;
        if lock.try_lock().is_err() {
            let message = format!("another worker keeps its journal in {}", folder.display());
            return Err(Failure::advise(Exit::Conflict, message, "give each worker its own"));
        }
        let known = match open_file(&folder.join(NAME)).and_then(std::io::read_to_string) {
            Ok(text) => read(&text).map_err(|line| bad("read the journal", &line))?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(bad("read the journal", &error)),
        };
        let file = write(folder, &known).map_err(|error| bad("write the journal", &error))?;
        let (folder, lines) = (folder.to_owned(), known.len());
        let mut journal = Self { folder, file, known, lines, _lock: lock };
        journal.forget().map_err(|error| bad("write the journal", &error))?;
        Ok(journal)
    }

    /// What was used for a tenant.
    pub(crate) fn of(&self, tenant: TenantId) -> Vec<Used> {
        let own = self.known.iter().filter(|((of, _), _)| *of == tenant);
        own.map(|(_, used)| *used).collect()
    }

    /// The journal of what is used for a tenant.
    pub(crate) fn for_tenant(&mut self, tenant: TenantId) -> OfTenant<'_> {
        OfTenant { journal: self, tenant }
    }

    /// Forget what has expired, and write the rest anew.
    fn forget(&mut self) -> std::io::Result<()> {
        let now = SystemClock.now();
        self.known.retain(|_, used| now <= used.expires.plus_ms(DAY_MS));
        self.file = write(&self.folder, &self.known)?;
        self.lines = self.known.len();
        Ok(())
    }

    fn note(&mut self, tenant: TenantId, used: &Used) -> std::io::Result<()> {
        self.file.write_all(line(tenant, used).as_bytes())?;
        self.file.sync_data()?;
        self.known.insert((tenant, used.receipt), *used);
        self.lines += 1;
        if self.lines > LINES_MAX { self.forget() } else { Ok(()) }
    }
}

/// What expired is kept for so long, as the clock may be set back.
const DAY_MS: u64 = 86_400_000;

/// The journal of what is used for one tenant.
pub(crate) struct OfTenant<'a> {
    journal: &'a mut UsedUp,
    tenant: TenantId,
}

impl Journal for OfTenant<'_> {
    fn note(&mut self, used: &Used) -> Result<(), String> {
        self.journal.note(self.tenant, used).map_err(|error| error.to_string())
    }
}

fn line(tenant: TenantId, used: &Used) -> String {
    let Used { receipt, attempt, fell, expires } = used;
    let came = if *fell { "fell" } else { "begun" };
    format!("{tenant} {receipt} {attempt} {came} {expires}\n")
}

/// What the lines say. The last one may be cut: what it was to note was not begun.
fn read(text: &str) -> Result<BTreeMap<(TenantId, ReceiptId), Used>, String> {
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    let mut known = BTreeMap::new();
    for line in whole.lines() {
        let (tenant, used) = entry(line).ok_or_else(|| format!("`{line}` is no line of it"))?;
        known.insert((tenant, used.receipt), used);
    }
    Ok(known)
}

fn entry(line: &str) -> Option<(TenantId, Used)> {
    let mut words = line.split(' ');
    let tenant = words.next()?.parse().ok()?;
    let receipt = words.next()?.parse().ok()?;
    let attempt = words.next()?.parse().ok()?;
    let fell = match words.next()? {
        "fell" => true,
        "begun" => false,
        _ => return None,
    };
    let expires: Timestamp = words.next()?.parse().ok()?;
    words.next().is_none().then_some((tenant, Used { receipt, attempt, fell, expires }))
}

/// Write the journal whole, and give it open at its end.
fn write(folder: &Path, known: &BTreeMap<(TenantId, ReceiptId), Used>) -> std::io::Result<File> {
    let (path, new) = (folder.join(NAME), folder.join("used.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new)?;
    let text: String = known.iter().map(|((tenant, _), used)| line(*tenant, used)).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    #[test]
    fn what_was_used_is_known_in_the_next_life_and_what_expired_is_not() {
        let folder = std::env::temp_dir().join(format!("cog-used-{}", std::process::id()));
        let tenant = TenantId::from_uuid(Uuid::from_u128(1));
        let now = SystemClock.now();
        let used = |n: u128, fell, expires| Used {
            receipt: ReceiptId::from_uuid(Uuid::from_u128(n)),
            attempt: 1,
            fell,
            expires,
        };
        let (one, two) = (used(1, false, now), used(2, false, now));
        let old = used(3, false, Timestamp::MIN);
        let mut journal = UsedUp::open(&folder).unwrap();
        for used in [one, two, old, Used { fell: true, ..two }] {
            journal.for_tenant(tenant).note(&used).unwrap();
        }
        let taken = UsedUp::open(&folder).map(drop).unwrap_err();
        assert!(taken.to_string().contains("another worker"), "{taken}");
        drop(journal);
        // A line that was being written when the power went.
        let path = folder.join(NAME);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("ten_01");
        std::fs::write(&path, &text).unwrap();
        let journal = UsedUp::open(&folder).unwrap();
        assert_eq!(journal.of(tenant), [one, Used { fell: true, ..two }]);
        assert_eq!(journal.of(TenantId::from_uuid(Uuid::from_u128(2))), []);
        drop(journal);
        std::fs::write(&path, "garbage\n").unwrap();
        assert!(UsedUp::open(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
