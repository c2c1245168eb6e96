//! What a tenant has in a database, table by table, and the statements that copy and compare
//! it. Values go as text, which is the same in every release of the server.

/// A table of tenants.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Every column but the tenant, and those that each database numbers by itself.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// What tells its rows apart, beside the tenant.
    pub(crate) key: &'static str,
    /// Rows may be removed while the tenant is here.
    pub(crate) shrinks: bool,
    /// Rows may change while the tenant is here.
    pub(crate) changes: bool,
}

/// A table whose rows come in the order of a number and are never changed.
pub(crate) struct Long {
    pub(crate) table: Table,
    /// The bytes of a row, about.
    pub(crate) weight: &'static str,
}

/// What grows with the log.
pub(crate) const LONG: [Long; 3] = [
    Long {
        table: Table {
            name: "entry",
            columns: &[
                ("seq", "bigint"),
                ("kind", "smallint"),
                ("session", "uuid"),
                ("id_key", "bigint"),
                ("leaf", "bytea"),
                ("bytes", "bytea"),
            ],
            key: "seq",
            shrinks: true,
            changes: false,
        },
        weight: "octet_length(bytes)",
    },
    Long {
        table: Table {
            name: "body",
            columns: &[("seq", "bigint"), ("key", "bigint"), ("sealed", "bytea")],
            key: "seq",
            shrinks: true,
            changes: false,
        },
        weight: "octet_length(sealed)",
    },
    Long {
        table: Table {
            name: "checkpoint",
            columns: &[("size", "bigint"), ("note", "text")],
            key: "size",
            shrinks: false,
            changes: false,
        },
        weight: "octet_length(note)",
    },
];

/// What is compared in parts, of which those that differ are copied again.
pub(crate) const SMALL: [Table; 8] = [
    Table {
        name: "tile",
        columns: &[("seq", "bigint"), ("hashes", "bytea")],
        key: "seq",
        shrinks: false,
        changes: false,
    },
    Table {
        name: "node",
        columns: &[("level", "smallint"), ("index", "bigint"), ("hash", "bytea")],
        key: "level, index",
        shrinks: false,
        changes: false,
    },
    Table {
        name: "subject_key",
        columns: &[("no", "bigint"), ("subject", "bytea"), ("wrapped", "bytea")],
        key: "no",
        shrinks: true,
        changes: false,
    },
    Table {
        name: "session",
        columns: &[
            ("id", "uuid"),
            ("first", "bigint"),
            ("last", "bigint"),
            ("entries", "bigint"),
            ("started", "boolean"),
            ("status", "text"),
            ("parked", "boolean"),
            ("wake", "bigint"),
        ],
        key: "id",
        shrinks: true,
        changes: true,
    },
    Table {
        name: "canon",
        columns: &[("digest", "bytea"), ("files", "text")],
        key: "digest",
        shrinks: false,
        changes: true,
    },
    Table {
        name: "signing_key",
        columns: &[("name", "text"), ("id", "bigint"), ("sealed", "bytea")],
        key: "name, id",
        shrinks: false,
        changes: false,
    },
    Table {
        name: "request",
        columns: &[
            ("name", "bytea"),
            ("digest", "bytea"),
            ("session", "uuid"),
            ("at", "timestamptz"),
        ],
        key: "name",
        shrinks: false,
        changes: false,
    },
    Table {
        name: "dead_letter",
        columns: &[
            ("consumer", "text"),
            ("seq", "bigint"),
            ("attempts", "integer"),
            ("at", "bigint"),
            ("why", "text"),
        ],
        key: "consumer, seq",
        shrinks: true,
        changes: true,
    },
];

/// The row of the log itself.
pub(crate) const LOG: Table = Table {
    name: "log",
    columns: &[
        ("size", "bigint"),
        ("frontier", "bytea"),
        ("last_leaf", "bytea"),
        ("last_at", "bigint"),
        ("own_key", "bytea"),
        ("bodies_from", "bigint"),
        ("entries_from", "bigint"),
    ],
    key: "",
    shrinks: false,
    changes: true,
};

/// Mail is numbered by each database: it is copied whole and in its order, once nothing comes.
pub(crate) const MAIL: Table = Table {
    name: "mail",
    columns: &[
        ("id", "uuid"),
        ("kind", "text"),
        ("session", "uuid"),
        ("sealed", "bytea"),
        ("refused", "text"),
        ("at", "timestamptz"),
    ],
    key: "id",
    shrinks: true,
    changes: false,
};

/// Each database draws the fences of cursors itself.
pub(crate) const CURSOR: Table = Table {
    name: "cursor",
    columns: &[("consumer", "text"), ("next", "bigint")],
    key: "consumer",
    shrinks: true,
    changes: true,
};

/// Every table that has rows of a tenant, in an order in which they can be removed.
pub(crate) const ALL: [&str; 15] = [
    "mail",
    "request",
    "cursor",
    "dead_letter",
    "session",
    "canon",
    "signing_key",
    "subject_key",
    "tile",
    "node",
    "checkpoint",
    "body",
    "entry",
    "log",
    "tenant",
];

impl Table {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name)
    }

    /// The columns as text, of a row that `from` names.
    fn texts(&self) -> String {
        let texts: Vec<String> = self.names().map(|name| format!("{name}::text")).collect();
        texts.join(", ")
    }

    /// Which part a row belongs to. It must come out the same in every release.
    fn part(&self) -> String {
        if self.key.is_empty() {
            return "0::bigint".to_owned();
        }
        format!("('x' || left(md5(ROW({})::text), 3))::bit(12)::int::bigint", self.key)
    }

    /// Of each part, how many rows it has and what they are known by.
    pub(crate) fn parts(&self) -> String {
        digests(self, &self.part(), "")
    }

    /// The rows of some parts.
    pub(crate) fn of_parts(&self) -> String {
        let (texts, name, part) = (self.texts(), self.name, self.part());
        format!("SELECT {texts} FROM {name} WHERE tenant = $1 AND {part} = ANY ($2)")
    }

    /// Removes the rows of some parts.
    pub(crate) fn remove_parts(&self) -> String {
        let (name, part) = (self.name, self.part());
        format!("DELETE FROM {name} WHERE tenant = $1 AND {part} = ANY ($2)")
    }

    /// Adds rows, given column by column; a row that is there already is made the same.
    pub(crate) fn add(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        let names = names.join(", ");
        let typed: Vec<String> =
            self.columns.iter().map(|(name, kind)| format!("x.{name}::{kind}")).collect();
        let given: Vec<String> =
            (0..self.columns.len()).map(|at| format!("${}::text[]", at + 2)).collect();
        let (typed, given) = (typed.join(", "), given.join(", "));
        let key = if self.key.is_empty() { String::new() } else { format!(", {}", self.key) };
        let then = if self.changes {
            let set = self.names().map(|name| format!("{name} = excluded.{name}"));
            format!("DO UPDATE SET {}", set.collect::<Vec<_>>().join(", "))
        } else {
            "DO NOTHING".to_owned()
        };
        let table = self.name;
        format!(
            "INSERT INTO {table} (tenant, {names}) SELECT $1::uuid, {typed}
            FROM unnest({given}) WITH ORDINALITY AS x ({names}, nth) ORDER BY nth
            ON CONFLICT (tenant{key}) {then}"
        )
    }
}

fn digests(table: &Table, part: &str, span: &str) -> String {
    let names: Vec<&str> = table.names().collect();
    let (name, names) = (table.name, names.join(", "));
    format!(
        "SELECT part, count(*), md5(string_agg(known, '' ORDER BY known COLLATE \"C\"))
        FROM (SELECT {part} AS part, md5(ROW({names})::text) AS known
            FROM {name} WHERE tenant = $1{span}) AS each_row GROUP BY part"
    )
}

/// How many rows are in one part of a long table.
const PART: &str = "4096";

impl Long {
    /// The next rows from a number on and before another, as many as are no burden; behind the
    /// columns the number itself.
    pub(crate) fn page(&self) -> String {
        let (table, key, weight) = (&self.table, self.table.key, self.weight);
        let (name, texts) = (table.name, table.texts());
        format!(
            "SELECT {texts}, {key} AS nth FROM (
                SELECT *, sum({weight}) OVER (ORDER BY {key}) - {weight} AS before FROM (
                    SELECT * FROM {name} WHERE tenant = $1 AND {key} >= $2 AND {key} < $3
                    ORDER BY {key} LIMIT 4096) AS few) AS page
            WHERE before < 4194304 ORDER BY nth"
        )
    }

    /// The number behind the last row.
    pub(crate) fn end(&self) -> String {
        let (name, key) = (self.table.name, self.table.key);
        format!("SELECT coalesce(max({key}) + 1, 0) FROM {name} WHERE tenant = $1")
    }

    /// How many rows there are before a number.
    pub(crate) fn count(&self) -> String {
        let (name, key) = (self.table.name, self.table.key);
        format!("SELECT count(*) FROM {name} WHERE tenant = $1 AND {key} < $2")
    }

    fn part(&self) -> String {
        format!("{} / {PART}", self.table.key)
    }

    /// As [`Table::parts`], from a number on and before another.
    pub(crate) fn parts(&self) -> String {
        let key = self.table.key;
        digests(&self.table, &self.part(), &format!(" AND {key} >= $2 AND {key} < $3"))
    }

    /// As [`Table::of_parts`], before a number.
    pub(crate) fn of_parts(&self) -> String {
        let (texts, name, key) = (self.table.texts(), self.table.name, self.table.key);
        let part = self.part();
        format!("SELECT {texts} FROM {name} WHERE tenant = $1 AND {part} = ANY ($2) AND {key} < $3")
    }

    /// As [`Table::remove_parts`].
    pub(crate) fn remove_parts(&self) -> String {
        let (name, part) = (self.table.name, self.part());
        format!("DELETE FROM {name} WHERE tenant = $1 AND {part} = ANY ($2)")
    }
}
