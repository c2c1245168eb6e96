//! What the application role may do: its own tenant's rows, and nothing beside.

use cog_base::cipher::Key;
use cog_base::id::{MailId, Uuid};
use cog_base::{Digest, Timestamp};
use cog_conformance::{
    House, Place as _, SharedPlace as _, body, evidence, outcome, receipt, run, started, tenant,
    with_body,
};
use cog_store::{
    CursorStep, DeadLetter, Files, Keep, Mail, Posted, RequestKey, Store as _, StoreError,
};
use cog_store_postgres::PostgresStore;

use crate::place::{APPLICATION, Database, OWNER, entropy, run as sql};

/// Tables with a column `tenant` that every node has to see the whole of: who has which tenant.
const SHARED: &str = "'owner', 'tenant'";

/// The tables of tenants, as the database has them: one that is new is held to the same.
fn tables(database: &Database) -> Vec<String> {
    let tables = database.admin(&format!(
        "SELECT relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
         WHERE relnamespace = 'cognitionos'::regnamespace AND relkind IN ('r', 'p')
            AND attname = 'tenant' AND NOT attisdropped AND relname NOT IN ({SHARED})
         ORDER BY relname"
    ));
    assert!(tables.len() >= 14, "{tables:?}");
    tables
}

#[test]
fn every_table_of_tenants_is_behind_the_walls() {
    let database = Database::new();
    for table in tables(&database) {
        let walls = format!(
            "SELECT relrowsecurity AND relforcerowsecurity AND (SELECT count(*) = 1
                AND bool_and(pg_get_expr(polqual, polrelid) = '(tenant = current_tenant())'
                AND pg_get_expr(polwithcheck, polrelid) = '(tenant = current_tenant())'
                AND polcmd = '*') FROM pg_policy WHERE polrelid = c.oid)
             FROM pg_class AS c WHERE oid = 'cognitionos.{table}'::regclass"
        );
        let own = format!("SET search_path = cognitionos; {walls}");
        assert_eq!(database.admin(&own).last().map(String::as_str), Some("t"), "{table}");
    }
}

/// Two tenants with something in every table but `tile`, which pruning fills.
fn two_tenants() -> Database {
    let database = Database::new();
    let mut house = House::at(&database);
    for number in [1, 2] {
        let files = Files::from([("canon.toml".to_owned(), "name = \"one\"".to_owned())]);
        house.store().put_canon(tenant(number), Digest::of(&[b"canon"]), &files).unwrap();
        house.append(tenant(number), [started(run(number))]);
        house.append(
            tenant(number),
            [
                with_body(receipt(run(number), 7), Some("user:ada"), body(100)),
                outcome(run(number), 7),
            ],
        );
        house.append(tenant(number), (0..300).map(|_| evidence("1")));
        give_up_one(house.store(), number);
    }
    drop(house);
    let store = database.share();
    for number in [1, 2] {
        // The same of both, as whoever asks chooses ids and names.
        let (id, run) = (MailId::from_uuid(Uuid::from_u128(7)), run(number));
        let (kind, payload) = ("start".to_owned(), b"please".to_vec());
        let mail = Mail { id, kind, run: Some(run), payload };
        let key = RequestKey { name: "order-1", request: Digest::of(&[b"please"]) };
        assert_eq!(store.post(tenant(number), &mail, Some(key)).unwrap(), Posted::Waiting);
    }
    drop(store);
    database.admin("INSERT INTO cognitionos.tile SELECT tenant, 0, '' FROM cognitionos.tenant");
    database
}

/// A consumer with a dead letter.
fn give_up_one(store: &dyn Keep, number: u64) {
    let at = Timestamp::from_micros(0);
    let dead = vec![DeadLetter { seq: 1, attempts: 3, at, why: "no queue".to_owned() }];
    let fence = store.take_cursor(tenant(number), "billing", 0).unwrap().fence;
    let step = CursorStep { fence, next: 2, dead, revived: Vec::new() };
    store.move_cursor(tenant(number), "billing", &step).unwrap();
}

fn uuid(number: u64) -> String {
    format!("{:032x}", tenant(number).uuid().as_u128())
}

fn set(number: u64) -> String {
    format!("SET search_path = cognitionos; SET app.tenant = '{}'; ", uuid(number))
}

/// The message of the error that the application role gets.
fn refused(database: &Database, statement: &str) -> String {
    match sql(&database.url(APPLICATION), statement) {
        Ok(rows) => panic!("{statement} is allowed: {rows:?}"),
        Err(error) => error.as_db_error().unwrap().message().to_owned(),
    }
}

#[test]
fn without_a_tenant_there_are_no_rows() {
    let database = two_tenants();
    for table in tables(&database) {
        let all = format!("SELECT count(DISTINCT tenant) FROM cognitionos.{table}");
        assert_eq!(database.admin(&all), ["2"], "{table} has something to see");
        assert_eq!(sql(&database.url(APPLICATION), &all).unwrap(), ["0"], "{table}");
        // A transaction that has set one leaves nothing behind for the next.
        let after =
            format!("BEGIN; SELECT set_config('app.tenant', '{}', true); COMMIT; {all}", uuid(1));
        assert_eq!(sql(&database.url(APPLICATION), &after).unwrap().last().unwrap(), "0");
        // The owner of the tables is bound too.
        assert_eq!(sql(&database.url(OWNER), &all).unwrap(), ["0"], "{table}");
    }
}

#[test]
fn of_another_tenant_nothing_is_read_or_written() {
    let database = two_tenants();
    let digest = "SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM cognitionos.";
    for table in tables(&database) {
        let of_one = format!("{digest}{table} t WHERE tenant = '{}'", uuid(1));
        let before = database.admin(&of_one);
        let seen = format!("{}SELECT DISTINCT tenant FROM {table}", set(2));
        let seen = sql(&database.url(APPLICATION), &seen).unwrap();
        assert_eq!(seen.iter().map(|id| id.replace('-', "")).collect::<Vec<_>>(), [uuid(2)]);
        // Each either is not allowed or finds the rows of its own tenant alone.
        for change in [
            format!("DELETE FROM {table} RETURNING {table}.tenant"),
            format!("UPDATE {table} SET tenant = tenant RETURNING {table}.tenant"),
        ] {
            let change = format!(
                "{}BEGIN; WITH found AS ({change}) SELECT DISTINCT tenant FROM found; ROLLBACK",
                set(2)
            );
            for id in sql(&database.url(APPLICATION), &change).unwrap_or_default() {
                assert_eq!(id.replace('-', ""), uuid(2), "{table}");
            }
        }
        let moved = format!("{}UPDATE {table} SET tenant = '{}'", set(2), uuid(1));
        refused(&database, &moved);
        let columns = format!(
            "SELECT string_agg(CASE column_name WHEN 'tenant' THEN '''{}''::uuid'
                 ELSE quote_ident(column_name) END, ', ' ORDER BY ordinal_position)
             FROM information_schema.columns WHERE table_name = '{table}'
             AND table_schema = 'cognitionos'",
            uuid(1)
        );
        let columns = database.admin(&columns).remove(0);
        let forged = format!(
            "{}INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT {columns} FROM {table}",
            set(2)
        );
        let why = refused(&database, &forged);
        assert!(why.contains("row-level security policy"), "{table}: {why}");
        assert_eq!(database.admin(&of_one), before, "{table}");
    }
}

#[test]
fn the_application_cannot_lift_what_binds_it() {
    let database = two_tenants();
    for statement in [
        "ALTER TABLE cognitionos.entry DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE cognitionos.entry NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY own_tenant ON cognitionos.entry",
        "CREATE POLICY mine ON cognitionos.entry USING (true)",
        "SET row_security = off; SELECT * FROM cognitionos.entry",
        "SET ROLE cog_owner",
        "ALTER ROLE cog_application BYPASSRLS",
        "TRUNCATE cognitionos.entry",
        "CREATE TABLE cognitionos.mine (one int)",
        "INSERT INTO cognitionos.migration VALUES (9, 'mine', '')",
        "DELETE FROM cognitionos.owner",
        "DELETE FROM cognitionos.tenant",
        "CREATE OR REPLACE FUNCTION cognitionos.current_tenant() RETURNS uuid LANGUAGE sql
             RETURN gen_random_uuid()",
    ] {
        refused(&database, statement);
    }
}

#[test]
fn what_is_recorded_cannot_be_changed_by_the_application() {
    let database = two_tenants();
    for change in [
        "UPDATE entry SET bytes = ''",
        "UPDATE body SET sealed = ''",
        "UPDATE checkpoint SET note = ''",
        "DELETE FROM checkpoint",
        "UPDATE node SET hash = ''",
        "DELETE FROM tile",
        "UPDATE subject_key SET wrapped = ''",
        "UPDATE signing_key SET sealed = ''",
        "DELETE FROM log",
    ] {
        let why = refused(&database, &format!("{}{change}", set(1)));
        assert!(why.contains("permission denied"), "{change}: {why}");
    }
}

#[test]
fn a_role_that_is_not_bound_is_not_let_in() {
    let database = Database::new();
    let why = |role: &str| {
        let mut options = database.options("one");
        options.url = database.url(role);
        let error = PostgresStore::open(options, entropy()).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Unbound { .. }), "{error:?}");
        error.to_string()
    };
    assert!(why("postgres").contains("is a superuser"));
    assert!(why(OWNER).contains("owns the tables"));
    let open = |sql: &str| {
        database.admin(sql);
        why(APPLICATION)
    };
    assert!(open("ALTER TABLE cognitionos.body NO FORCE ROW LEVEL SECURITY").contains("`body`"));
    database.admin("ALTER TABLE cognitionos.body FORCE ROW LEVEL SECURITY");
    assert!(open("CREATE POLICY all_of_it ON cognitionos.node USING (true)").contains("`node`"));
    database.admin("DROP POLICY all_of_it ON cognitionos.node");
    drop(database.open());
}

#[test]
fn another_master_key_opens_nothing() {
    let database = Database::new();
    drop(database.open());
    let mut options = database.options("one");
    options.master = Key::from_bytes([8; 32]);
    let error = PostgresStore::open(options, entropy()).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::OtherMasterKey), "{error:?}");
}

#[test]
fn a_body_cannot_be_read_in_the_database() {
    let database = Database::new();
    let mut house = House::at(&database);
    let secret =
        with_body(evidence("1"), Some("user:ada"), b"{\"iban\":\"DE02120300000000\"}".to_vec());
    house.append(tenant(1), [secret]);
    let dump = "SELECT sealed::text FROM cognitionos.body UNION ALL
         SELECT subject::text FROM cognitionos.subject_key";
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for row in database.admin(dump) {
        assert!(!row.contains(&hex("DE0212")) && !row.contains(&hex("ada")), "{row}");
    }
    // Another node may erase; the writer that has the key in memory does not use it again.
    let other = database.node(database.options("other"));
    assert_eq!(other.erase(tenant(1), "user:ada").unwrap().bodies, 1);
    let again = with_body(evidence("2"), Some("user:ada"), body(10));
    let seq = house.append(tenant(1), [again])[0].seq();
    assert!(house.scope(tenant(1)).body(seq).unwrap().is_some());
    assert!(other.scope(tenant(1)).unwrap().body(1).unwrap().is_none());
}
