//! Ids as the database writes them.

use std::error::Error;
use std::fmt;

use cog_base::Digest;
use cog_base::id::{MailId, RunId, TenantId, Uuid};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// The bits of an id, as a `uuid`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) Uuid);

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0.as_u128())
    }
}

impl From<TenantId> for Id {
    fn from(id: TenantId) -> Self {
        Self(id.uuid())
    }
}

impl From<RunId> for Id {
    fn from(id: RunId) -> Self {
        Self(id.uuid())
    }
}

impl From<MailId> for Id {
    fn from(id: MailId) -> Self {
        Self(id.uuid())
    }
}

impl Id {
    pub(crate) const fn mail(self) -> MailId {
        MailId::from_uuid(self.0)
    }

    pub(crate) const fn tenant(self) -> TenantId {
        TenantId::from_uuid(self.0)
    }

    pub(crate) const fn run(self) -> RunId {
        RunId::from_uuid(self.0)
    }
}

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0.as_u128().to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Uuid::from_u128(u128::from_be_bytes(raw.try_into()?))))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }
}

/// The bytes of a digest, as a `bytea`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash(pub(crate) Digest);

impl ToSql for Hash {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::BYTEA
    }

    to_sql_checked!();
}
