//! What SQLite and the file system say, in the words of the store.

use std::path::Path;

use cog_store::StoreError;
use rusqlite::{Error, ErrorCode};

/// A failure of the database while doing something, said as an infinitive.
pub(crate) fn failed(doing: &str, error: Error) -> StoreError {
    let code = error.sqlite_error_code();
    // A column that holds what it cannot hold, or a table that has no such column, while our
    // statements are right: somebody else wrote it.
    let is_foreign = matches!(
        error,
        Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::SqlInputError { .. }
    );
    let source = Box::new(error);
    match code {
        None if is_foreign => {
            let what = format!("could not {doing}");
            StoreError::Corrupt { what, source: Some(source) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { source },
        Some(ErrorCode::DiskFull) => StoreError::Full { source },
        // An unknown one is that of a statement which asks for a table that is not there.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
            let what = format!("could not {doing}");
            StoreError::Corrupt { what, source: Some(source) }
        }
        _ => StoreError::Io { doing: doing.to_owned(), source },
    }
}

/// A failure of the file system on a path.
pub(crate) fn on_path<'a>(
    doing: &'a str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> StoreError + 'a {
    move |error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return StoreError::Full { source: Box::new(error) };
        }
        StoreError::io(format!("{doing} `{}`", path.display()), error)
    }
}
