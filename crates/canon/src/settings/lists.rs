//! What `[hosts]` and `[programs]` list: a text for the usual case, a table for the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use cog_base::hosts::Allowance;
use cog_base::place::{HTTP_PORT, HTTPS_PORT};
use cog_base::process::is_for_the_loader;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::data::Mark;

/// The longest name of a host, and of a part of one (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A list under `allow`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Allowed<T> {
    #[serde(default = "Vec::new")]
    allow: Vec<T>,
}

impl<T> Default for Allowed<T> {
    fn default() -> Self {
        Self { allow: Vec::new() }
    }
}

impl<L: Marked> Allowed<L> {
    /// What its lines are marked with, by the type that policies have for such a place.
    pub(super) fn marks(
        &self,
        kind: &'static str,
    ) -> impl Iterator<Item = ((&'static str, String), Mark)> {
        self.allow.iter().map(move |line| {
            let (name, mark) = line.mark();
            ((kind, name.to_owned()), mark.clone())
        })
    }
}

/// What may have a class of data.
pub(super) trait Marked {
    /// Its name, and what it is marked with.
    fn mark(&self) -> (&str, &Mark);
}

impl Marked for HostLine {
    fn mark(&self) -> (&str, &Mark) {
        (&self.0.host, &self.1)
    }
}

impl Marked for ProgramLine {
    fn mark(&self) -> (&str, &Mark) {
        (&self.program, &self.mark)
    }
}

impl Allowed<HostLine> {
    pub(super) fn hosts(self) -> cog_base::hosts::Hosts {
        self.allow.into_iter().map(|line| line.0).collect()
    }
}

impl Allowed<ProgramLine> {
    /// The programs. What one of several lines for a program allows is allowed.
    pub(super) fn programs(self) -> BTreeMap<String, Program> {
        let mut programs = BTreeMap::<String, Program>::new();
        for ProgramLine { program, lent, .. } in self.allow {
            let known = programs.entry(program).or_default();
            known.network |= lent.network;
            known.env.extend(lent.env);
        }
        programs
    }
}

/// A line of `[hosts]`: `"host"`, `"host:port"`, or a table.
pub(super) struct HostLine(Allowance, Mark);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    host: String,
    ports: Option<BTreeSet<u16>>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    plain_http: bool,
    class: Option<String>,
    class_max: Option<String>,
}

/// A line of `[programs]`: `"program"`, or a table.
pub(super) struct ProgramLine {
    program: String,
    lent: Program,
    mark: Mark,
}

/// What a program that may be run may be lent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Whether it may use the network.
    pub network: bool,
    /// The variables of its environment that may be set.
    pub env: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramTable {
    program: String,
    #[serde(default)]
    network: bool,
    #[serde(default)]
    env: BTreeSet<String>,
    class: Option<String>,
    class_max: Option<String>,
}

/// What stands in a list as a text or as a table.
trait Line: Sized {
    type Table: for<'de> Deserialize<'de>;
    const SHAPES: &'static str;
    fn of_text(text: &str) -> Result<Self, String>;
    fn of_table(table: Self::Table) -> Result<Self, String>;
}

impl Line for HostLine {
    type Table = HostTable;
    const SHAPES: &'static str =
        "\"host\", \"host:port\" or { host = …, ports = […], private = …, plain_http = … }";

    fn of_text(text: &str) -> Result<Self, String> {
        let (host, port) = split(text);
        let port = port
            .map(|port| {
                let number = port.parse().ok().filter(|port| *port > 0);
                number.ok_or_else(|| format!("`{port}` in `{text}` is not a port"))
            })
            .transpose()?;
        check_host(host)?;
        Ok(Self(Allowance::usual(host, port), Mark::default()))
    }

    fn of_table(table: HostTable) -> Result<Self, String> {
        let HostTable { host, ports, private, plain_http, class, class_max } = table;
        check_host(&host)?;
        let usual = if plain_http { vec![HTTP_PORT, HTTPS_PORT] } else { vec![HTTPS_PORT] };
        let ports = ports.unwrap_or_else(|| usual.into_iter().collect());
        if ports.is_empty() || ports.contains(&0) {
            return Err(format!("the ports of `{host}` are none, or one of them is 0"));
        }
        let mark = Mark { class, class_max };
        Ok(Self(Allowance { host, ports, private, plain_http }, mark))
    }
}

impl Line for ProgramLine {
    type Table = ProgramTable;
    const SHAPES: &'static str = "\"program\" or { program = …, network = …, env = […] }";

    fn of_text(text: &str) -> Result<Self, String> {
        Ok(Self { program: text.to_owned(), lent: Program::default(), mark: Mark::default() })
    }

    fn of_table(table: ProgramTable) -> Result<Self, String> {
        let ProgramTable { program, network, env, class, class_max } = table;
        env.iter().try_for_each(|name| check_variable(name))?;
        let mark = Mark { class, class_max };
        Ok(Self { program, lent: Program { network, env }, mark })
    }
}

/// A variable by its very name, as there are no wildcards. Those that the loader of programs hears
/// have other code run in the program that is listed.
fn check_variable(name: &str) -> Result<(), String> {
    if is_for_the_loader(name) {
        return Err(format!("the loader of programs hears `{name}`: it is allowed to nobody"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{name}` is not the name of a variable, such as LANG"));
    }
    Ok(())
}

/// Host and port. An IPv6 address has brackets when a port follows.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((host, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match port.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if port.is_empty() => (host, None),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

/// A host stands in its one spelling, so that what is listed is what a URL leads to.
fn check_host(host: &str) -> Result<(), String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        if let IpAddr::V6(wrapped) = address
            && let Some(inner) = wrapped.to_ipv4_mapped()
        {
            return Err(format!("`{host}` is the address {inner}: write that"));
        }
        let spelling = address.to_string();
        let same = spelling == host;
        return same.then_some(()).ok_or_else(|| format!("write `{host}` as `{spelling}`"));
    }
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let label =
        |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(plain);
    // Whoever reads a URL takes a name that ends in a number for an address.
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").unwrap_or(last);
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || (digits.len() < last.len() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let fits = host.len() <= NAME_BYTES_MAX && host.split('.').all(label) && !number;
    fits.then_some(()).ok_or_else(|| {
        format!(
            "`{host}` is not a host: a name in lower case such as api.example.com, or an address; \
             no scheme, no path, no wildcard"
        )
    })
}

struct LineVisitor<L>(std::marker::PhantomData<L>);

impl<'de, L: Line> Visitor<'de> for LineVisitor<L> {
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(L::SHAPES)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<L, E> {
        L::of_text(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<L, A::Error> {
        let table = L::Table::deserialize(MapAccessDeserializer::new(map))?;
        L::of_table(table).map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for HostLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LineVisitor(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for ProgramLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LineVisitor(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cog_base::hosts::{Barred, Hosts, Reach};
    use cog_base::place::Place;

    fn hosts(list: &str) -> Result<Hosts, String> {
        let read = toml::from_str::<Allowed<HostLine>>(&format!("allow = {list}"));
        read.map(Allowed::hosts).map_err(|error| error.message().to_owned())
    }

    fn check(list: &str, url: &str, expected: Result<Reach, Barred>) {
        let place = Place::of(url).unwrap();
        assert_eq!(hosts(list).unwrap().admit(&place), expected, "{list} {url}");
    }

    #[test]
    fn a_text_is_a_host_under_its_usual_ports_or_one() {
        let list = r#"["a.example", "b.example:8443", "[2606:4700::1]:8443", "2606:4700::2"]"#;
        check(list, "http://a.example/", Ok(Reach::Public));
        check(list, "https://a.example/", Ok(Reach::Public));
        check(list, "https://a.example:8443/", Err(Barred::Port));
        check(list, "https://b.example:8443/", Ok(Reach::Public));
        check(list, "https://b.example/", Err(Barred::Port));
        check(list, "https://[2606:4700::1]:8443/", Ok(Reach::Public));
        check(list, "https://[2606:4700::2]/", Ok(Reach::Public));
    }

    #[test]
    fn a_table_says_each_thing() {
        let list =
            r#"[{ host = "127.0.0.1", ports = [18080], private = true, plain_http = true }]"#;
        check(list, "http://127.0.0.1:18080/", Ok(Reach::Private));
        check(list, "http://127.0.0.1/", Err(Barred::Port));
        let list = r#"[{ host = "a.example" }]"#;
        check(list, "https://a.example/", Ok(Reach::Public));
        check(list, "http://a.example:443/", Err(Barred::PlainHttp));
        check(list, "http://a.example/", Err(Barred::Port));
        let list = r#"[{ host = "a.example", private = true, plain_http = true }]"#;
        check(list, "http://a.example/", Ok(Reach::Private));
        check(list, "https://a.example/", Ok(Reach::Private));
    }

    #[test]
    fn a_host_has_one_spelling() {
        for bad in [
            "",
            "A.example",
            "a.example.",
            ".a",
            "a..b",
            "*.example.com",
            "https://a.example",
            "a.example/",
            "user@a.example",
            "a b",
            "exämple.com",
            "127.1",
            "2130706433",
            "0x7f.1",
            "1.2.3.0x4",
            "10.0.0.01",
            "::ffff:127.0.0.1",
            "0:0::1",
            "::A",
            "[::1",
            "fe80::1%eth0",
            "a.example:0",
            "a.example:65536",
            "a.example:",
            "a.example:x",
            "[::1]8443",
        ] {
            let error = hosts(&format!("[{bad:?}]")).err();
            assert!(error.is_some(), "{bad:?}");
        }
        let spelled = hosts(r#"[{ host = "0:0:0:0:0:0:0:1" }]"#).unwrap_err();
        assert_eq!(spelled, "write `0:0:0:0:0:0:0:1` as `::1`");
    }

    #[test]
    fn a_table_has_no_unknown_key_and_some_port() {
        let check = |list: &str, expected: &str| {
            let error = hosts(list).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(r#"[{ host = "a.example", port = 80 }]"#, "unknown field `port`");
        check(r#"[{ ports = [80] }]"#, "missing field `host`");
        check(r#"[{ host = "a.example", ports = [] }]"#, "the ports of `a.example` are none");
        check(r#"[{ host = "a.example", ports = [0] }]"#, "one of them is 0");
        check(r#"[{ host = "a.example", ports = [70000] }]"#, "70000");
        check("[7]", "expected \"host\"");
    }

    #[test]
    fn a_program_has_a_network_only_where_it_is_said() {
        let read = toml::from_str::<Allowed<ProgramLine>>(
            r#"allow = ["sort", { program = "curl", network = true }, { program = "cat" }]"#,
        );
        let expected = [("sort", false), ("curl", true), ("cat", false)];
        let expected = expected
            .map(|(name, network)| (name.to_owned(), Program { network, env: BTreeSet::new() }));
        assert_eq!(read.unwrap().programs(), expected.into());
    }

    #[test]
    fn a_program_is_lent_the_variables_that_are_named_and_never_those_of_the_loader() {
        let read = |list: &str| {
            let read = toml::from_str::<Allowed<ProgramLine>>(&format!("allow = [{list}]"));
            read.map(Allowed::programs).map_err(|error| error.message().to_owned())
        };
        let both =
            r#"{ program = "sort", env = ["LANG"] }, { program = "sort", env = ["LC_ALL"] }"#;
        let lent = read(both).unwrap().remove("sort").unwrap();
        assert_eq!(lent.env, ["LANG", "LC_ALL"].map(str::to_owned).into());
        assert!(!lent.network);
        for (name, expected) in [
            ("LD_PRELOAD", "allowed to nobody"),
            ("LD_LIBRARY_PATH", "allowed to nobody"),
            ("LD_", "allowed to nobody"),
            ("GLIBC_TUNABLES", "allowed to nobody"),
            ("", "not the name of a variable"),
            ("A=LD_PRELOAD", "not the name of a variable"),
            ("LC_*", "not the name of a variable"),
        ] {
            let error = read(&format!("{{ program = \"sort\", env = [{name:?}] }}")).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
