//! TLS to the server: its certificate and its name are verified.

use std::path::Path;

use cog_services::postgres::Cluster;
use cog_store::{Store as _, StoreError};
use cog_store_postgres::{MIGRATION_LATEST, PostgresStore, migrate};

use crate::place::{APPLICATION, Database, OWNER, entropy};

fn try_open(database: &Database, url: String) -> Result<PostgresStore, StoreError> {
    let mut options = database.options("one");
    options.url = url;
    PostgresStore::open(options, entropy())
}

#[test]
fn a_server_is_trusted_by_its_certificate_and_name_alone() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let cluster = Cluster::start_with_tls(&certificate, &key).unwrap();
    let database = Database::empty(&cluster.template());
    migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST).unwrap();
    let roots =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("roots-{}.pem", std::process::id()));
    std::fs::write(&roots, &certificate).unwrap();
    let (roots, port) = (roots.display(), cluster.port().unwrap());
    let url = |host: &str, rest: &str| {
        let name = database.name();
        format!("postgres://{APPLICATION}:application@{host}:{port}/{name}?{rest}")
    };
    let trusted = format!("sslmode=require&sslrootcert={roots}");
    let store = try_open(&database, url("localhost", &trusted)).unwrap();
    assert_eq!(store.tenants().unwrap(), []);
    // The connections are under TLS in the eyes of the server.
    let under = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE usename = 'cog_application'";
    assert_eq!(database.admin(under), ["t"]);
    let wrong_name = url("127.0.0.1", &trusted);
    let unknown = url("localhost", "sslmode=require");
    let wrong_password = url("localhost", &trusted).replace(":application@", ":wrong@");
    for refused in [wrong_name, unknown, wrong_password] {
        assert!(try_open(&database, refused).is_err());
    }
    assert!(try_open(&database, url("localhost", "sslmode=disable")).is_ok());
}
