//! The address of a database, and the way there: a socket, loopback, or TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cog_store::StoreError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a server may take to accept a connection, unless the address says otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// An address that can be connected to.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) tls: Option<MakeRustlsConnect>,
}

impl Address {
    /// Read `postgres://user:password@host:port/database?…`. `sslmode` is `disable`, or one
    /// of `require`, `verify-ca` and `verify-full`, which all verify certificate and name;
    /// `sslrootcert` is a file of authorities to trust instead of the system's. Without
    /// `sslmode`, what leaves this machine is under TLS and what stays on it is not.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (url, mode, roots) = split(url);
        let mut config: Config = url
            .parse()
            .map_err(|error| StoreError::io("read the address of the database", error))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("cognitionos");
        }
        config.keepalives(true).keepalives_idle(Duration::from_secs(30));
        let wants_tls = match mode.as_deref() {
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            None => !config.get_hosts().iter().all(is_here),
            Some(other) => {
                let why = format!("sslmode `{other}` is not one of disable, require, verify-full");
                return Err(StoreError::io("read the address of the database", why));
            }
        };
        config.ssl_mode(if wants_tls { SslMode::Require } else { SslMode::Disable });
        let tls = if wants_tls { Some(connector(roots.as_ref())?) } else { None };
        Ok(Self { config, tls })
    }
}

/// The address without the parameters that the driver does not know, and those.
fn split(url: &str) -> (String, Option<String>, Option<PathBuf>) {
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    let Some((base, parameters)) = url.split_once('?') else {
        return (url.to_owned(), mode, roots);
    };
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => roots = Some(value.replace("%2F", "/").into()),
            Some(_) | None => rest.push(parameter),
        }
    }
    let base = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    (base, mode, roots)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

fn connector(roots: Option<&PathBuf>) -> Result<MakeRustlsConnect, StoreError> {
    let mut store = RootCertStore::empty();
    let certificates: Vec<CertificateDer<'static>> = match roots {
        Some(path) => {
            let cannot = |error| StoreError::io(format!("read `{}`", path.display()), error);
            let read = CertificateDer::pem_file_iter(path).map_err(|error| cannot(error.into()));
            read?.collect::<Result<_, _>>().map_err(|error| cannot(Box::new(error)))?
        }
        // One that cannot be read is as one that is not there: nothing is trusted by it.
        None => rustls_native_certs::load_native_certs().certs,
    };
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(StoreError::io("trust any certificate authority", "there is none to trust"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::io("set up TLS", error))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Result<SslMode, String> {
        let address = Address::parse(url).map_err(|error| error.to_string())?;
        assert_eq!(address.tls.is_some(), address.config.get_ssl_mode() == SslMode::Require);
        Ok(address.config.get_ssl_mode())
    }

    #[test]
    fn what_leaves_the_machine_is_under_tls_unless_the_address_says_otherwise() {
        let (off, on) = (Ok(SslMode::Disable), Ok(SslMode::Require));
        assert_eq!(mode("postgres://app@%2Frun%2Fpostgresql/db"), off);
        assert_eq!(mode("postgres://app@127.0.0.1:5432/db"), off);
        assert_eq!(mode("postgres://app@[::1]/db"), off);
        assert_eq!(mode("postgres://app@localhost/db"), off);
        assert_eq!(mode("postgres://app@db.example/db?sslmode=disable"), off);
        assert_eq!(mode("postgres://app@db.example/db"), on);
        assert_eq!(mode("postgres://app@localhost,db.example/db"), on);
        assert_eq!(mode("postgres://app@127.0.0.1/db?sslmode=require&connect_timeout=3"), on);
        assert_eq!(mode("postgres://app@127.0.0.1/db?sslmode=verify-full"), on);
        assert!(mode("postgres://app@127.0.0.1/db?sslmode=prefer").is_err());
        assert!(mode("mysql://127.0.0.1").is_err());
    }
}
