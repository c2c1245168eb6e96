//! Getting out: of a root, to another host, to another program or model.

use cog_gate::effect::HttpRequest;
use cog_gate::snapshot::Folder;
use cog_gate::{AnyEffect, Limits};
use cog_ledger::Kind;

use crate::house::{CLERK, House, ample, canon_but, effect, get, map, read};

fn check(root: &str, path: &str, expected: &str) {
    let mut house = House::new();
    assert_eq!(house.answer(CLERK, read(root, path)), expected, "{root} {path:?}");
}

const LEAVES: &str = "refused confinement path.leaves_root";

#[test]
fn control_a_path_inside_the_root_is_fine() {
    for path in [".", "a", "a/b.txt", "...", "..a", "a..b", "größe.txt", "a b"] {
        check("invoices", path, "permitted");
    }
}

#[test]
fn a_path_does_not_climb_out_of_its_root() {
    for path in ["..", "../a", "a/../../b", "a/..", "./..", "../invoices/a", "a/../b"] {
        check("invoices", path, LEAVES);
    }
}

#[test]
fn an_absolute_path_is_refused() {
    for path in ["/", "/etc/passwd", "//etc/passwd"] {
        check("invoices", path, LEAVES);
    }
}

#[test]
fn a_backslash_is_refused() {
    for path in ["..\\a", "a\\..\\b", "\\\\host\\share", "C:\\a"] {
        check("invoices", path, LEAVES);
    }
}

#[test]
fn control_characters_are_refused() {
    for path in ["a\0", "a\0/../b", "a\n", "\u{1b}[2J", "a\r", "a\u{7f}", "a\u{85}"] {
        check("invoices", path, LEAVES);
    }
}

#[test]
fn empty_and_dot_parts_are_refused() {
    for path in ["", "a//b", "a/", "/a", "a/./b", "./a", "a/."] {
        check("invoices", path, LEAVES);
    }
}

#[test]
fn a_root_that_the_run_does_not_declare_is_refused() {
    for root in ["secrets", "", "invoices/..", "Invoices", "invoices ", "."] {
        check(root, "a", "refused confinement root.undeclared");
    }
}

#[test]
fn a_root_to_read_is_not_written() {
    let mut house = House::new();
    let write = effect("file.write", r#"{"root":"invoices","path":"a","text":"x"}"#);
    assert_eq!(house.answer(CLERK, write), "refused confinement root.read_only");
    let delete = effect("file.delete", r#"{"root":"invoices","path":"a"}"#);
    assert_eq!(house.answer(CLERK, delete), "refused confinement root.read_only");
    let run = effect("process.run", r#"{"program":"sort","root":"invoices"}"#);
    assert_eq!(house.answer(CLERK, run), "refused confinement root.not_writable");
    assert_eq!(house.count(Kind::Denial), 3);
}

#[test]
fn owasp_llm05_a_path_out_of_a_models_answer_is_held_like_any_other() {
    let mut house = House::new();
    let output = cog_base::Value::map([("text", "../../etc/cron.d/x")]);
    let report = house.perform(crate::house::chat("where to?", 10), output, 1);
    let cog_gate::End::Completed(output) = report.end else { panic!("it was done") };
    let path = output.get("text").and_then(cog_base::Value::as_text).unwrap();
    let write = format!(r#"{{"root":"notes","path":"{path}","text":"x"}}"#);
    assert_eq!(house.answer(CLERK, effect("file.write", &write)), LEAVES);
}

/// What becomes of a request to a URL: no effect at all, or the gate's answer.
fn fetch(url: &str) -> String {
    let args = cog_base::json::Map::from([("url".to_owned(), url.into())]);
    match AnyEffect::from_args("http.request", &args) {
        Err(_) => "no effect".to_owned(),
        Ok(effect) => House::new().answer(CLERK, effect),
    }
}

#[test]
fn owasp_api7_a_host_that_is_not_listed_is_refused() {
    for url in [
        "https://evil.example/",
        "https://api.example.com.evil.example/",
        "https://evil.example/api.example.com",
        "https://evil.example?https://api.example.com",
        "https://evil.example#@api.example.com",
        "https://sub.api.example.com/",
        "https://api.example.com./",
        "https://api-example.com/",
        "http://localhost/",
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]:80/",
    ] {
        assert_eq!(fetch(url), "refused confinement host.not_allowed", "{url}");
    }
}

#[test]
fn owasp_api7_a_url_that_names_two_hosts_is_no_url() {
    for url in [
        "http://api.example.com@evil.example/",
        "http://api.example.com:80@evil.example/",
        "http://api.example.com\\evil.example/",
        "http://api.example.com\\@evil.example/",
        "http://evil.example\\.api.example.com/",
        "http://api.example.com%2eevil.example/",
        "http://api.example.com%00.evil.example/",
        "http://api.example.com\t.evil.example/",
        "http://api.example.com\n/",
        "http://api.example.com .evil.example/",
        "http://[api.example.com]evil.example/",
        "http://[::1/",
        "http://api.example.com:80:evil.example/",
        "http://api.example.com:x/",
        "http://api。example。com/",
        "http:///evil.example/",
        "http:api.example.com",
        "//api.example.com/",
        "HTTP://api.example.com/",
        "file:///etc/passwd",
        "ftp://api.example.com/",
        "javascript:alert(1)",
        "",
    ] {
        assert_eq!(fetch(url), "no effect", "{url:?}");
    }
}

#[test]
fn control_a_listed_host_is_reached_however_its_letters_are_written() {
    assert_eq!(get("https://API.Example.COM:443/a").host, "api.example.com");
    for url in ["https://API.example.com/", "http://api.example.com:8080/x?@evil.example"] {
        assert_eq!(fetch(url), "permitted", "{url}");
    }
}

#[test]
fn owasp_api7_a_request_that_says_another_host_than_its_url_is_refused() {
    let url = "https://evil.example/";
    assert!(
        AnyEffect::from_args(
            "http.request",
            &map(r#"{"url":"https://evil.example/","host":"api.example.com"}"#)
        )
        .is_err()
    );
    let own = get("https://api.example.com/");
    let elsewhere = HttpRequest { url: url.to_owned(), ..own.clone() };
    let misnamed = HttpRequest { host: "other.example".to_owned(), ..own };
    for forged in [elsewhere, misnamed] {
        let answer = House::new().answer(CLERK, forged);
        assert_eq!(answer, "refused confinement host.not_allowed");
    }
}

#[test]
fn owasp_asi05_a_program_that_is_not_listed_does_not_run() {
    for program in ["sh", "/bin/sort", "sort ", "./sort", "../sort", "Sort", "sort;sh", ""] {
        let args = format!(r#"{{"program":"{program}"}}"#);
        let answer = House::new().answer(CLERK, effect("process.run", &args));
        assert_eq!(answer, "refused confinement program.not_allowed", "{program}");
    }
}

#[test]
fn owasp_asi05_a_listed_program_gets_no_network_that_the_canon_does_not_give() {
    let run = effect("process.run", r#"{"program":"sort","network":true}"#);
    assert_eq!(House::new().answer(CLERK, run), "refused canon canon.no_permit");
}

#[test]
fn owasp_asi04_a_model_that_is_not_listed_is_not_asked() {
    let ask = effect("model.chat", r#"{"model":"oracle","messages":[]}"#);
    assert_eq!(House::new().answer(CLERK, ask), "refused confinement model.unknown");
}

/// A workflow says which folder a root is: it must be one that the canon has for that name.
#[test]
fn a_root_does_not_stand_where_the_canon_does_not_let_it() {
    let rule = "\"*\" = { within = [\"/\"] }";
    let strict = "invoices = { within = [\"in\", \"/srv/in\"] }";
    for (path, expected) in [
        ("/w/in", "permitted"),
        ("/w/in/2026", "permitted"),
        ("/srv/in", "permitted"),
        ("/w", "refused confinement root.elsewhere"),
        ("/w/inbox", "refused confinement root.elsewhere"),
        ("/srv/in2", "refused confinement root.elsewhere"),
        ("/", "refused confinement root.elsewhere"),
        ("/etc", "refused confinement root.elsewhere"),
        ("/elsewhere/in", "refused confinement root.elsewhere"),
    ] {
        let folders = [("invoices".to_owned(), Folder::new(path, "/w"))].into();
        let limits = Limits { folders, ..ample() };
        let mut house = House::with(canon_but(rule, strict), limits);
        assert_eq!(house.answer(CLERK, read("invoices", "a")), expected, "{path}");
    }
}

#[test]
fn a_root_that_stands_nobody_knows_where_is_held_to_its_rule() {
    let strict = "invoices = { within = [\"in\"] }";
    let mut house = House::with(canon_but("\"*\" = { within = [\"/\"] }", strict), ample());
    let elsewhere = "refused confinement root.elsewhere";
    assert_eq!(house.answer(CLERK, read("invoices", "a")), elsewhere);
    let unknown = "refused confinement root.not_in_canon";
    let write = effect("file.write", r#"{"root":"notes","path":"a","text":"x"}"#);
    assert_eq!(house.answer(CLERK, write), unknown);
    let run = effect("process.run", r#"{"program":"sort","root":"notes"}"#);
    assert_eq!(house.answer(CLERK, run), unknown);
}
