//! Webhooks: what is signed starts one run, and nothing else starts any.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use cog_base::Value;
use cog_base::json::parse;
use cog_events::hook::Secrets;

use crate::nodes::{Node, Town};
use crate::program::text;

const SHIP: &str = "
name: ship
domain: demo
inputs:
  order: { type: string, default: none }
  price: { type: string, default: none }
on:
  event:
    - id: paid
      type: webhook.shop
      if: event.data.cents > 100
      inputs: { order: \"${{ event.data.order }}\", price: \"${{ event.data.price }}\" }
    - { id: done, type: workflow.execution.completed }
steps:
  - { id: note, uses: compute, with: { text: \"ship ${{ inputs.order }} for ${{ inputs.price }}\" } }
outputs: { note: \"${{ steps.note.output.text }}\" }
";

const PAID: &str =
    r#"{"type":"workflow.execution.completed","order":"1029","cents":500,"price":4.5}"#;

/// A node that takes webhooks of a shop.
struct Shop {
    town: Town,
    node: Node,
    address: String,
    tenant: String,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

impl Shop {
    fn new(name: &str) -> Self {
        Self::keeping(Town::new(name), "shop.secret")
    }

    /// With its secrets there.
    fn keeping(town: Town, secret: &str) -> Self {
        let tenant = town.new_tenant();
        let hook = format!("shop={tenant}:{secret}");
        let serve = ["serve", "--json", "--node", "one", "--hooks", "127.0.0.1:0", "--hook", &hook];
        let node = town.process(&serve);
        let address = text(&node.waits_for("listening"), &["hooks"]).to_owned();
        node.waits_for("serving");
        town.folder.write("ship.yaml", SHIP);
        town.cog(&["schedules", "set", "ship.yaml", "--tenant", &tenant]).ends(0);
        Self { town, node, address, tenant }
    }

    fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let secrets = Secrets::read(&self.town.folder.read("shop.secret")).unwrap();
        secrets.sign(id, seconds, body.as_bytes())
    }

    /// Send what may be no webhook: status and document.
    fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> (u64, Value) {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let mut head = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n"
        );
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        let _ = socket.write_all(format!("{head}\r\n{body}").as_bytes());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, parse(body).unwrap())
    }

    /// Send a webhook as it should be, signed with what `secret` says.
    fn deliver(&self, id: &str, body: &str) -> (u64, Value) {
        self.deliver_signed(id, body, &self.town.folder.read("shop.secret"))
    }

    /// The same with the first of other secrets.
    fn deliver_signed(&self, id: &str, body: &str, secrets: &str) -> (u64, Value) {
        let sign = Secrets::read(secrets).unwrap().sign(id, now(), body.as_bytes());
        let time = now().to_string();
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"];
        let values = [id, &time, &sign, "application/json; charset=utf-8"];
        let headers: Vec<_> = names.into_iter().zip(values).collect();
        self.send("POST /hooks/shop", &headers, body)
    }

    fn runs(&self) -> usize {
        let list =
            ["ledger", "list", "--tenant", &self.tenant, "--kind", "session.started", "--json"];
        self.town.cog(&list).ends(0).jsons().len()
    }
}

#[test]
fn what_is_signed_starts_one_run_however_often_it_is_delivered() {
    let shop = Shop::new("hooks");
    let mode = std::fs::metadata(shop.town.folder.path("shop.secret")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let (status, first) = shop.deliver("msg_1", PAID);
    assert_eq!(status, 202, "{first}");
    assert_eq!(shop.deliver("msg_1", PAID), (202, first.clone()), "the same runs");
    let run = first.get("runs").and_then(|runs| runs.as_list()?.first()?.as_text()).unwrap();
    let sealed = shop.node.waits_for("sealed");
    assert_eq!(text(&sealed, &["run"]), run);
    assert_eq!(text(&sealed, &["status"]), "completed");
    let shown = ["replay", run, "--tenant", &shop.tenant];
    shop.town.cog(&shown).ends(0);
    // One that no workflow waits for is taken, and starts nothing.
    let (status, none) = shop.deliver("msg_2", &PAID.replace("500", "50"));
    assert_eq!((status, none.get("runs").and_then(Value::as_list)), (202, Some(&[][..])));
    let (status, other) = shop.deliver("msg_3", PAID);
    assert_ne!((status, &other), (202, &first), "another webhook is another run");
    assert_eq!(shop.node.waits_for("sealed").get("status"), Some(&"completed".into()));
    assert_eq!(shop.runs(), 2);
    shop.town.cog(&["database", "audit"]).ends(0);
    shop.node.ends();
}

#[test]
fn nothing_else_is_taken_and_nothing_of_it_is_recorded() {
    let shop = Shop::new("hooks-refused");
    let entries = || {
        let list = ["ledger", "list", "--tenant", &shop.tenant, "--limit", "1000", "--json"];
        shop.town.cog(&list).ends(0).jsons().len()
    };
    let before = entries();
    let (time, sign) = (now().to_string(), shop.sign("msg_1", now(), PAID));
    let kept = now() - 400;
    let (old, old_sign) = (kept.to_string(), shop.sign("msg_1", kept, PAID));
    let large = format!("\"{}\"", "x".repeat(256 << 10));
    let large_sign = shop.sign("msg_1", now(), &large);
    let broken_sign = shop.sign("msg_1", now(), "{");
    let (json, changed) = ("application/json", PAID.replace("500", "501"));
    let shown = |line, time, sign, kind, body, status, code| {
        let headers = [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", time),
            ("webhook-signature", sign),
            ("content-type", kind),
        ];
        let (got, problem): (u64, Value) = shop.send(line, &headers, body);
        assert_eq!((got, text(&problem, &["code"])), (status, code), "{problem}");
    };
    let (post, time, sign) = ("POST /hooks/shop", time.as_str(), sign.as_str());
    shown("POST /hooks/other", time, sign, json, PAID, 404, "hook.unknown");
    shown("POST /", time, sign, json, PAID, 404, "hook.unknown");
    shown("GET /hooks/shop", time, sign, json, "", 405, "hook.other_method");
    shown(post, &old, &old_sign, json, PAID, 401, "hook.not_in_time");
    shown(post, time, "v1,AAAA", json, PAID, 401, "hook.other_signature");
    shown(post, time, sign, json, &changed, 401, "hook.other_signature");
    shown(post, time, "", json, PAID, 401, "hook.other_signature");
    shown(post, "soon", sign, json, PAID, 401, "hook.not_signed");
    shown(post, time, sign, "text/plain", PAID, 415, "hook.not_json");
    shown(post, time, &large_sign, json, &large, 413, "http.body_too_large");
    shown(post, time, &broken_sign, json, "{", 400, "hook.malformed");
    let (status, problem) = shop.send(post, &[("content-type", json)], PAID);
    assert_eq!((status, text(&problem, &["code"])), (401, "hook.not_signed"));
    assert_eq!((entries(), shop.runs()), (before, 0));
    // The same as it should be is taken.
    assert_eq!(shop.deliver("msg_1", PAID).0, 202);
    shop.node.ends();
    for hook in ["shop", "shop=ten_x:f", "Shop=t:f", "shop=t:", "shop=t:env:", "shop=t:env:a-b"] {
        let serve = ["serve", "--hooks", "127.0.0.1:0", "--hook", hook];
        shop.town.cog(&serve).ends(2);
    }
    std::fs::set_permissions(
        shop.town.folder.path("shop.secret"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let hook = format!("shop={}:shop.secret", shop.tenant);
    let serve = ["serve", "--hooks", "127.0.0.1:0", "--hook", &hook];
    shop.town.cog(&serve).ends(2).says(&["others may read", "chmod 600"]);
}

/// A secret of a hook that is not random.
fn secret(letter: &str) -> String {
    format!("whsec_{}", letter.repeat(44))
}

/// Replace the file of secrets as a whole, as whoever changes them does.
fn replace(shop: &Shop, lines: &[String], mode: u32) {
    let (new, own) = (shop.town.folder.path("new.secret"), shop.town.folder.path("shop.secret"));
    std::fs::write(&new, lines.join("\n")).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(new, own).unwrap();
}

#[test]
fn a_secret_changes_while_the_node_runs_and_the_old_one_counts_until_its_time() {
    let shop = Shop::new("hooks-rotate");
    let (first, second) = (shop.town.folder.read("shop.secret"), secret("B"));
    let first = first.trim();
    let taken = |id: &str, with: &str| {
        let (status, answer) = shop.deliver_signed(id, PAID, with);
        let code = answer.get("code").and_then(Value::as_text).unwrap_or_default();
        (status, code.to_owned())
    };
    let yes = || (202, String::new());
    let no = || (401, "hook.other_signature".to_owned());
    assert_eq!((taken("a", first), taken("b", &second)), (yes(), no()));
    // Both count while the sender changes over.
    let until = |time: &str| format!("{first} until {time}");
    replace(&shop, &[second.clone(), until("2999-01-01T00:00:00Z")], 0o600);
    assert_eq!((taken("c", first), taken("d", &second)), (yes(), yes()));
    // Then the old one does not, though nobody took it away.
    replace(&shop, &[second.clone(), until("2026-01-01T00:00:00Z")], 0o600);
    assert_eq!((taken("e", first), taken("f", &second)), (no(), yes()));
    // What others may read, or what is no secret, counts for nothing until it is put right.
    let closed = || (503, "hook.no_secret".to_owned());
    for (lines, mode) in [(second.clone(), 0o644), ("whsec_x".to_owned(), 0o600)] {
        replace(&shop, &[lines], mode);
        assert_eq!(taken("g", &second), closed());
        let said = shop.node.waits_for("closed");
        assert_eq!(text(&said, &["hook"]), "shop");
        assert!(!said.to_string().contains(&second[6..]), "{said}");
        replace(&shop, std::slice::from_ref(&second), 0o600);
        assert_eq!(taken("h", &second), yes());
    }
    assert_eq!(shop.runs(), 5, "a, c, d, f and h, which is delivered twice");
    shop.node.ends();
}

#[test]
fn a_secret_of_the_environment_counts_and_is_written_nowhere() {
    let mut town = Town::new("hooks-env");
    let own = secret("C");
    town.settings.push(("SHOP_SECRET", own.clone()));
    let shop = Shop::keeping(town, "env:SHOP_SECRET");
    assert_eq!(shop.deliver_signed("a", PAID, &own).0, 202);
    assert_eq!(shop.deliver_signed("b", PAID, &secret("D")).0, 401);
    let sealed = shop.node.waits_for("sealed");
    let run = text(&sealed, &["run"]).to_owned();
    let bare = own.strip_prefix("whsec_").unwrap();
    for shown in [
        &["ledger", "list", "--limit", "1000", "--json"][..],
        &["ledger", "export", "--output", "-"],
        &["why", &run, "--json"],
        &["logs", &run, "--json"],
        &["replay", &run, "--json"],
    ] {
        let answer = shop.town.cog(&[shown, &["--tenant", &shop.tenant]].concat());
        assert!(!format!("{}{}", answer.out, answer.err).contains(bare), "{shown:?}");
    }
    // Nor is what was mistyped said again, which may be it.
    let serve = ["serve", "--hooks", "127.0.0.1:0", "--hook"];
    let mistyped = format!("shop={}:{own}", shop.tenant);
    let answer = shop.town.cog(&[&serve[..], &[&mistyped]].concat()).ends(2);
    assert!(!answer.err.contains(bare) && !shop.town.folder.has(&own), "{}", answer.err);
    let unset = format!("shop={}:env:NOWHERE", shop.tenant);
    shop.town.cog(&[&serve[..], &[&unset]].concat()).ends(2).says(&["the variable NOWHERE"]);
    shop.node.ends();
}
