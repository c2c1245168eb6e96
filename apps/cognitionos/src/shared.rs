//! The database that nodes share, and the file of the key that seals what is in it.

#![expect(
    clippy::disallowed_types,
    reason = "the program's edge reads and makes the file of the master key"
)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cog_base::Entropy;
use cog_base::cipher::Key;
use cog_base::id::{Given as _, TenantId};
use cog_store::StoreError;
use cog_store_postgres::{Databases, HOME, NAME_BYTES_MAX, Options, Whereabouts};
use verify::open_file;

use crate::cli::nodes::{At, Shared};
use crate::config::{DATABASE_URL_FILE, TENANT, setting, source};
use crate::failure::{Exit, Failure};
use crate::home::told;
use crate::system::SystemEntropy;
use crate::terminal::plain;

/// How long a node has a tenant without renewing its claim: others take over from a dead node
/// within this time and a little more.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// How long whoever asks tries again while a tenant is moving.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a master key is, in bytes.
const KEY_BYTES: u64 = 32;
const KEY_MODE: u32 = 0o600;
/// Permission bits of anybody but the owner.
const OTHERS: u32 = 0o077;

/// Whether a database is named at all: by a flag, the environment or a file of settings.
pub(crate) fn is_named(shared: &Shared) -> bool {
    let is_set = shared.database_url.is_some() || setting(DATABASE_URL_FILE).is_some();
    is_set || !shared.databases.is_empty()
}

/// The address of the database.
pub(crate) fn url(shared: &Shared) -> anyhow::Result<String> {
    if let Some(url) = &shared.database_url {
        return Ok(url.clone());
    }
    let Some(file) = setting(DATABASE_URL_FILE) else {
        return Err(Failure::advise(
            Exit::BadInput,
            "which database is not said",
            "--database-url URL, or COGNITIONOS_DATABASE_URL_FILE with the name of a file that \
             holds it",
        ));
    };
    address(Path::new(&file))
}

/// The address that a file holds.
pub(crate) fn address(file: &Path) -> anyhow::Result<String> {
    let cannot = |error| format!("cannot read {}: {error}", file.display());
    let text = open_file(file)
        .and_then(std::io::read_to_string)
        .map_err(|error| Failure::told(Exit::BadInput, cannot(error)))?;
    Ok(text.trim().to_owned())
}

/// The files that hold the addresses of further databases, by their names.
pub(crate) fn further(shared: &Shared) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut further = BTreeMap::new();
    for text in &shared.databases {
        let bad = |why: String| {
            let advice = "--database NAME=FILE, where FILE holds the address of that database";
            Failure::advise(Exit::BadInput, why, advice)
        };
        let shown = plain(text);
        let Some((name, file)) = text.split_once('=') else {
            return Err(bad(format!("`{shown}` is not a name and a file")));
        };
        let is_letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        let is_name =
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_letter);
        if !is_name || name == HOME {
            let why = format!(
                "a database cannot be called `{}`: its name has 1 to {NAME_BYTES_MAX} lowercase \
                 letters, digits and hyphens, and `{HOME}` is the one of --database-url",
                plain(name)
            );
            return Err(bad(why));
        }
        if further.insert(name.to_owned(), PathBuf::from(file)).is_some() {
            return Err(bad(format!("`{name}` is named twice")));
        }
    }
    Ok(further)
}

/// How each database is opened, the home first. Whoever opens one claims what it works on; asking
/// needs no claim.
pub(crate) fn each(shared: &Shared, node: &str) -> anyhow::Result<Vec<Options>> {
    let (url, master) = (url(shared)?, read_key(&shared.master_key_file)?);
    let further = further(shared)?;
    let name = (!further.is_empty()).then(|| HOME.to_owned());
    let mut all = vec![(name, url)];
    for (name, file) in further {
        all.push((Some(name), address(&file)?));
    }
    let options = |(name, url): (Option<String>, String)| {
        let mut options = Options::new(&url, node, master.clone());
        (options.claims_itself, options.lease, options.name) = (false, LEASE, name);
        options
    };
    Ok(all.into_iter().map(options).collect())
}

/// Open the databases, to ask. One that is away is told when it is needed.
pub(crate) fn open(shared: &Shared, node: &str) -> anyhow::Result<Databases> {
    let (options, entropy) =
        (each(shared, node)?, || -> Box<dyn Entropy> { Box::new(SystemEntropy::new()) });
    let are_several = options.len() > 1;
    let databases = Databases::new(options, Box::new(entropy), PATIENCE);
    match databases.home() {
        Err(StoreError::Unreachable { .. }) if are_several => {}
        other => drop(other.map_err(told)?),
    }
    Ok(databases)
}

/// Whose ledger in the database a command is about; nothing when it is about the data folder.
///
/// # Errors
/// When a database is named, but not whose ledger in it.
pub(crate) fn whose(at: &At) -> anyhow::Result<Option<TenantId>> {
    if at.tenant.is_none() && at.shared.database_url.is_some() {
        return Err(Failure::advise(
            Exit::BadInput,
            "a database is named, but not whose ledger in it",
            "--tenant TENANT, or for the data folder neither --database-url nor \
             COGNITIONOS_DATABASE_URL",
        ));
    }
    at.tenant.as_deref().map(tenant).transpose()
}

/// Refuse to turn to the data folder while a setting names a ledger in the database: what is done
/// there was meant for that ledger.
///
/// # Errors
/// Says which setting, and how to go on without it.
pub(crate) fn is_of_the_folder() -> anyhow::Result<()> {
    let Some(place) = source(TENANT) else { return Ok(()) };
    let way =
        if place == TENANT { format!("unset {TENANT}") } else { format!("take {place} away") };
    Err(Failure::advise(
        Exit::BadInput,
        format!("{place} names a ledger in the database, and this is done in a data folder alone"),
        format!(
            "{way}\nin the database: cognitionos submit, replay, why, approvals, signal, pause, \
             runs, redrive, checkpoint, sessions, canon, ledger, schedules, workflows, run --cancel"
        ),
    ))
}

/// The tenant that an argument names.
pub(crate) fn tenant(text: &str) -> anyhow::Result<TenantId> {
    TenantId::given(text).map_err(|error| {
        Failure::advise(Exit::BadInput, error, "cognitionos database new-tenant makes an id")
    })
}

/// Refuse a tenant that the database knows nothing of: who asks for something may have mistyped its id,
/// and what is asked for would found a ledger.
///
/// # Errors
/// Says how a new tenant is made known.
pub(crate) fn is_known(store: &Databases, tenant: TenantId) -> anyhow::Result<()> {
    let place = store.with(tenant, |store| store.whereabouts(tenant)).map_err(told)?;
    if place != (Whereabouts::Here { begun: false }) {
        return Ok(());
    }
    Err(Failure::advise(
        Exit::BadInput,
        format!("the database knows no tenant {tenant}"),
        "see that the id is the right one; a new one is made known by `cognitionos database \
         new-tenant`, and this very id by `cognitionos submit` with --new-tenant",
    ))
}

/// Have a tenant begin in the database that is to have it, unless it has.
pub(crate) fn make_known(store: &Databases, tenant: TenantId) -> anyhow::Result<()> {
    store.with(tenant, |store| store.found_here(tenant)).map_err(told)
}

/// Whether it is said which database.
pub(crate) fn names_a_database(shared: &Shared) -> bool {
    shared.database_url.is_some() || setting(DATABASE_URL_FILE).is_some()
}

/// The master key from its file.
fn read_key(path: &Path) -> anyhow::Result<Key> {
    let file = match open_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::advise(
                Exit::BadInput,
                format!("there is no master key at {}", path.display()),
                "name it with --master-key-file; `cognitionos database prepare` makes the first one",
            ));
        }
        other => other.map_err(|error| unreadable(path, &error))?,
    };
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(told(StoreError::Permissions {
            path: path.to_owned(),
            mode,
            wanted: KEY_MODE,
        }));
    }
    let mut bytes = Vec::new();
    let read = file.take(KEY_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    let secret = <[u8; 32]>::try_from(bytes.as_slice());
    secret.map(Key::from_bytes).map_err(|_| {
        Failure::told(Exit::BadInput, format!("{} is not a master key of 32 bytes", path.display()))
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Failure::told(Exit::Failed, format!("cannot read {}: {error}", path.display()))
}

/// Make the master key, if there is none. Says whether it was made.
pub(crate) fn make_key(path: &Path) -> anyhow::Result<bool> {
    let made = OpenOptions::new().write(true).create_new(true).mode(KEY_MODE).open(path);
    let mut file = match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read_key(path)?;
            return Ok(false);
        }
        other => other.map_err(|error| {
            Failure::told(Exit::Failed, format!("cannot make {}: {error}", path.display()))
        })?,
    };
    let mut secret = [0; 32];
    SystemEntropy::new().fill(&mut secret)?;
    file.write_all(&secret).and_then(|()| file.sync_all())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the tests make folders")]

    use super::*;

    #[test]
    fn a_master_key_is_made_once_and_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("cog-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("master.key");
        assert!(read_key(&path).is_err());
        assert!(make_key(&path).unwrap());
        let first = read_key(&path).unwrap();
        assert!(!make_key(&path).unwrap());
        assert_eq!(read_key(&path).unwrap().expose(), first.expose());
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode(0o640)).unwrap();
        assert!(read_key(&path).unwrap_err().to_string().contains("mode 0640"));
        std::fs::set_permissions(&path, mode(0o600)).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(read_key(&path).unwrap_err().to_string().contains("32 bytes"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
