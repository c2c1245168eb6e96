//! Getting out: of a root, to another host, to another program or model.

use cog_gate::effect::HttpRequest;
use cog_gate::snapshot::{Access, Folder};
use cog_gate::{AnyEffect, Limits};
use cog_ledger::Kind;

use crate::house::{CLERK, House, ample, canon_but, canon_with, effect, get, map, read};

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
        "http://api.example.com:65616/",
        "http://api.example.com:+80/",
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
    for url in ["https://API.example.com/", "http://api.example.com:80/x?@evil.example"] {
        assert_eq!(fetch(url), "permitted", "{url}");
    }
}

#[test]
fn owasp_api7_a_user_in_a_url_is_refused_and_not_recorded() {
    for url in [
        "http://api.example.com@evil.example/",
        "http://api.example.com:80@evil.example/",
        "https://cfo:s3cret@api.example.com/",
        "https://s3cret@api.example.com/",
        "https://@api.example.com/",
        "https://a:s3cret@b@api.example.com/",
    ] {
        assert_eq!(fetch(url), "refused confinement host.user_in_url", "{url}");
        let effect = effect("http.request", &format!(r#"{{"url":"{url}"}}"#));
        let args = cog_base::Value::Map(cog_gate::Effect::args(&effect)).to_string();
        assert!(!args.contains("s3cret"), "{args}");
    }
}

/// What becomes of a request under a list of hosts.
fn fetch_with(hosts: &str, url: &str) -> String {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => text.replace(r#"allow = ["api.example.com"]"#, &format!("allow = {hosts}")),
        _ => text.to_owned(),
    });
    let effect = effect("http.request", &format!(r#"{{"url":"{url}"}}"#));
    House::with(canon, ample()).answer(CLERK, effect)
}

#[test]
fn owasp_api7_a_port_that_is_not_listed_is_refused() {
    let refused = "refused confinement host.port_not_allowed";
    for port in [0, 1, 22, 25, 81, 442, 6379, 8080, 65535] {
        assert_eq!(fetch(&format!("http://api.example.com:{port}/")), refused, "{port}");
    }
    let list = r#"["api.example.com:8443"]"#;
    assert_eq!(fetch_with(list, "https://api.example.com:8443/"), "permitted");
    assert_eq!(fetch_with(list, "https://api.example.com/"), refused);
}

#[test]
fn owasp_api7_a_host_that_is_listed_for_https_is_not_asked_in_plain_text() {
    let list = r#"[{ host = "api.example.com", ports = [80, 443] }]"#;
    assert_eq!(fetch_with(list, "https://api.example.com/"), "permitted");
    let refused = "refused confinement host.plain_http";
    assert_eq!(fetch_with(list, "http://api.example.com/"), refused);
    assert_eq!(fetch_with(list, "http://api.example.com:443/"), refused);
}

#[test]
fn owasp_api7_an_address_that_is_not_public_is_refused_unless_it_is_listed_as_private() {
    let refused = "refused confinement host.private_address";
    for host in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fd00::1",
        "fe80::1",
        "fd00:ec2::254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ] {
        let url = if host.contains(':') {
            format!("http://[{host}]/")
        } else {
            format!("http://{host}/")
        };
        assert_eq!(fetch_with(&format!(r#"["{host}"]"#), &url), refused, "{host}");
        let listed = format!(r#"[{{ host = "{host}", private = true, plain_http = true }}]"#);
        assert_eq!(fetch_with(&listed, &url), "permitted", "{host}");
    }
}

#[test]
fn owasp_api7_one_private_address_opens_no_other() {
    let list = r#"[{ host = "127.0.0.1", ports = [18080], private = true, plain_http = true },
        { host = "intranet.example", private = true }, "10.0.0.1"]"#;
    let check = |url: &str, expected: &str| assert_eq!(fetch_with(list, url), expected, "{url}");
    check("http://127.0.0.1:18080/", "permitted");
    check("https://intranet.example/", "permitted");
    check("http://127.0.0.1:18081/", "refused confinement host.port_not_allowed");
    check("http://10.0.0.1/", "refused confinement host.private_address");
    let unlisted = "refused confinement host.not_allowed";
    check("http://localhost:18080/", unlisted);
    check("http://127.0.0.2:18080/", unlisted);
    // The listed address, in another spelling: what is sent is what is listed.
    check("http://2130706433:18080/", "permitted");
    check("http://0x7f.1:18080/", "permitted");
    check("http://2130706434:18080/", unlisted);
    check("http://0x7f.2:18080/", unlisted);
    check("http://[::ffff:127.0.0.1]:18080/", unlisted);
    check("http://169.254.169.254/latest/meta-data/", unlisted);
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
fn owasp_asi05_a_listed_program_is_lent_no_variable_that_the_canon_does_not_name() {
    let answer = |house: &mut House, env: &str| {
        house.answer(CLERK, effect("process.run", &format!(r#"{{"program":"sort","env":{env}}}"#)))
    };
    let refused = "refused confinement program.env_not_allowed";
    for env in [r#"{"LANG":"C"}"#, r#"{"BASH_ENV":"x"}"#, r#"{"":"x"}"#, r#"{"LANG=C;A":"x"}"#] {
        assert_eq!(answer(&mut House::new(), env), refused, "{env}");
    }
    let never = "refused confinement program.env_never_allowed";
    let listed = |path: &str, text: &str| match path {
        "canon.toml" => text.replace(r#"["sort"]"#, r#"[{ program = "sort", env = ["LANG"] }]"#),
        _ => text.to_owned(),
    };
    let mut house = House::with(canon_with(listed), ample());
    for env in
        [r#"{"LD_PRELOAD":"x.so"}"#, r#"{"LANG":"C","LD_AUDIT":"x"}"#, r#"{"GLIBC_TUNABLES":"x"}"#]
    {
        assert_eq!(answer(&mut house, env), never, "{env}");
    }
    for env in [r#"{"lang":"C"}"#, r#"{"LANG ":"C"}"#, r#"{"LANG":"C","PATH":"/workspace"}"#] {
        assert_eq!(answer(&mut house, env), refused, "{env}");
    }
    for env in [r#"{"LANG":"C"}"#, "{}"] {
        assert!(answer(&mut house, env).starts_with("permitted"), "{env}");
    }
}

#[test]
fn owasp_asi05_a_listed_program_gets_no_network_that_the_canon_does_not_give() {
    let run = effect("process.run", r#"{"program":"sort","network":true}"#);
    let refused = "refused confinement program.network_not_allowed";
    assert_eq!(House::new().answer(CLERK, run.clone()), refused);
    // Policies that forget the network do not give it.
    let forgetful = |path: &str, text: &str| match path {
        "policies/effects.cedar" => text.replace("unless { context.args.network }", ""),
        _ => text.to_owned(),
    };
    let mut house = House::with(canon_with(forgetful), ample());
    assert_eq!(house.answer(CLERK, run.clone()), refused);
    // A list that gives it does not overrule the policies.
    let generous = |path: &str, text: &str| match path {
        "canon.toml" => text.replace(r#"["sort"]"#, r#"[{ program = "sort", network = true }]"#),
        _ => text.to_owned(),
    };
    let mut house = House::with(canon_with(generous), ample());
    assert_eq!(house.answer(CLERK, run.clone()), "refused canon canon.no_permit");
    let both = |path: &str, text: &str| generous(path, &forgetful(path, text));
    let mut house = House::with(canon_with(both), ample());
    assert_eq!(house.answer(CLERK, run), "permitted");
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

/// A folder of marked data is not of another class by another name for it.
#[test]
fn another_name_for_a_folder_lowers_no_class() {
    let rule = "\"*\" = { within = [\"/\"] }";
    let marked = "\"*\" = { within = [\"/\"] }\ninvoices = { within = [\"in\", \"/srv/in\"], class = \"personal\" }\nnotes = { within = [\"in/notes\"], class = \"personal\" }";
    let classes = "[data]\nclasses = [\"public\", \"personal\"]\ndefault = \"public\"\n\n[roots]";
    let shared = "refused confinement root.shared";
    for (root, path, expected) in [
        ("invoices", "/w/in", "permitted"),
        ("other", "/w/in", shared),
        ("other", "/w/in/2026", shared),
        ("other", "/w", shared),
        ("other", "/", shared),
        ("other", "/srv", shared),
        ("other", "/srv/in/x", shared),
        ("other", "/w/out", "permitted"),
        ("notes", "/w/in/notes", "permitted"),
    ] {
        let folders = [(root.to_owned(), Folder::new(path, "/w"))].into();
        let roots = [(root.to_owned(), Access::Read)].into();
        let canon = canon_with(|file, text| match file {
            "canon.toml" => text.replace(rule, marked).replace("[roots]", classes),
            "policies/effects.cedar" => format!(
                "{text}\n@id(\"any.root\") permit (principal, action == Action::\"file.read\", resource);"
            ),
            _ => text.to_owned(),
        });
        let mut house = House::with(canon, Limits { folders, roots, ..ample() });
        assert_eq!(house.answer(CLERK, read(root, "a")), expected, "{root} {path}");
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

/// A server reads `X-Act-As` and `x-act-as` as one header.
#[test]
fn a_policy_about_a_header_is_not_evaded_by_another_spelling_of_it() {
    let forbid = r#"@id("not.as") @reason("Not as another.")
        forbid (principal, action == Action::"http.request", resource)
        when { context.args has headers && context.args.headers has "x-act-as" };"#;
    let headers = "url: String, headers?: { \"x-act-as\"?: String }";
    let canon = || {
        canon_with(|path, text| match path {
            "schema.cedarschema" => text.replace("url: String", headers),
            "policies/effects.cedar" => format!("{text}\n{forbid}"),
            _ => text.to_owned(),
        })
    };
    for name in ["x-act-as", "X-Act-As", "X-ACT-AS"] {
        let args =
            format!(r#"{{"url":"https://api.example.com/","headers":{{"{name}":"admin"}}}}"#);
        let mut house = House::with(canon(), ample());
        let answer = house.answer(CLERK, effect("http.request", &args));
        assert_eq!(answer, "refused canon canon.forbidden", "{name}");
    }
    let twice = map(r#"{"url":"https://api.example.com/","headers":{"x-a":"1","X-A":"2"}}"#);
    assert!(AnyEffect::from_args("http.request", &twice).is_err());
}

#[test]
fn a_policy_about_a_path_is_not_evaded_by_another_spelling_of_it() {
    let forbid = r#"@id("not.admin") @reason("Not there.")
        forbid (principal, action == Action::"http.request", resource)
        when { context.args.url like "https://a.example/admin*" };"#;
    let answer = |url: &str| {
        let canon = canon_with(|path, text| match path {
            "canon.toml" => text.replace(r#"["api.example.com"]"#, r#"["a.example"]"#),
            "policies/effects.cedar" => format!("{text}\n{forbid}"),
            _ => text.to_owned(),
        });
        let args = map(&format!(r#"{{"url":"{url}"}}"#));
        let Ok(effect) = AnyEffect::from_args("http.request", &args) else { return "none".into() };
        House::with(canon, ample()).answer(CLERK, effect)
    };
    for url in [
        "https://a.example/admin/delete",
        "https://a.example/./admin/delete",
        "https://a.example/public/../admin/delete",
        "https://a.example/public/%2e%2e/admin/delete",
        "https://a.example/public/.%2E/admin/delete",
        "https://a.example/%61dmin/delete",
        "https://a.example/%61%64%6d%69%6E",
        "https://A.Example:443/admin",
        "https://a.example:0443/admin#public",
    ] {
        assert_eq!(answer(url), "refused canon canon.forbidden", "{url}");
    }
    assert_eq!(answer("https://a.example/%%36%31dmin"), "none");
    assert_eq!(answer("https://a.example/public/admin"), "permitted");
}
