//! What the database and the way to it say, in the words of the store.

use cog_store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

/// A failure of the database while doing something, said as an infinitive.
pub(crate) fn failed(doing: &str, error: Error) -> StoreError {
    let doing = doing.to_owned();
    let Some(said) = error.as_db_error() else {
        // Without a word from the server, the connection failed, unless we misread an answer.
        let source = Box::new(error);
        if source.is_closed() || is_of_connection(&source) {
            return StoreError::Unreachable { doing, source };
        }
        return StoreError::Io { doing, source };
    };
    let (code, is_fatal) = (said.code().code().to_owned(), ends_connection(&error));
    let source = Box::new(error);
    match code.as_str() {
        // Serialization failure, deadlock, a lock that was not had in time.
        "40001" | "40P01" | "55P03" => StoreError::Busy { source },
        "53100" => StoreError::Full { source },
        "XX001" | "XX002" => {
            StoreError::Corrupt { what: format!("could not {doing}"), source: Some(source) }
        }
        // Too many connections.
        "53300" => StoreError::Unreachable { doing, source },
        // Connection exceptions, and what the operator does: shutdown, crash, starting up.
        other if is_fatal || other.starts_with("08") || other.starts_with("57P") => {
            StoreError::Unreachable { doing, source }
        }
        _ => StoreError::Io { doing, source },
    }
}

/// Whether the connection is over with this error.
pub(crate) fn ends_connection(error: &Error) -> bool {
    let Some(said) = error.as_db_error() else { return true };
    // Refused for good, though it ends the connection: passwords, databases, rights.
    let is_ours = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    let is_over = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    is_over && !is_ours.contains(said.code())
}

fn is_of_connection(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        if one.is::<std::io::Error>() {
            return true;
        }
        cause = one.source();
    }
    // What else has no cause that the driver names: a time-out while connecting.
    error.to_string().contains("timed out") || error.to_string().contains("connecting")
}
