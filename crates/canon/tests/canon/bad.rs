//! What is said of a canon that does not load: its settings, schema, facts and tests, and
//! what is too much of it.

use cog_canon::Canon;
use cog_canon::limits::{FILE_BYTES_MAX, FILES_MAX, SOURCE_BYTES_MAX, YAML_BYTES_MAX};
use expect_test::{Expect, expect};

use crate::house::{self, FACTS, PAYING, PEOPLE, PLAIN, POLICIES, SCHEMA, SETTINGS, TESTS};

/// What is said of these files.
pub(crate) fn said(files: &[(&str, &str)]) -> String {
    match Canon::load(&house::source(files)) {
        Ok(canon) => {
            let words = format!("{canon:?}");
            assert!(words.contains(&canon.digest().short().to_string()), "{words}");
            "loaded".to_owned()
        }
        // What turns the text around is shown, not done.
        Err(error) => error.to_string().replace('\u{202e}', "<202e>"),
    }
}

/// What is said when one file of a good canon is this one.
pub(crate) fn check(file: &str, text: &str, expected: Expect) {
    let good = [
        (SETTINGS, PLAIN),
        (SCHEMA, PAYING),
        (FACTS, PEOPLE),
        (POLICIES, r#"@id("any") permit (principal, action, resource);"#),
        (TESTS, "[]"),
    ];
    let others = good.into_iter().filter(|(path, _)| *path != file);
    expected.assert_eq(&said(&others.chain([(file, text)]).collect::<Vec<_>>()));
}

fn settings(from: &str, to: &str, expected: Expect) {
    assert!(PLAIN.contains(from), "{from}");
    check(SETTINGS, &PLAIN.replace(from, to), expected);
}

#[test]
fn a_canon_has_settings_and_a_schema() {
    expect![[r#"
        canon.toml: the file is missing
          hint: a canon has at least canon.toml and schema.cedarschema"#]]
    .assert_eq(&said(&[]));
    expect![[r#"
        schema.cedarschema: the file is missing
          hint: a canon has at least canon.toml and schema.cedarschema"#]]
    .assert_eq(&said(&[(SETTINGS, PLAIN)]));
    expect![[r#"
        canon.toml: the file is missing
          hint: a canon has at least canon.toml and schema.cedarschema"#]]
    .assert_eq(&said(&[(SCHEMA, PAYING), (FACTS, PEOPLE)]));
}

#[test]
fn settings_are_toml_with_known_keys() {
    check(SETTINGS, "", expect!["canon.toml:1:1: missing field `name`"]);
    settings(
        "domain = \"testing\"",
        "domain = testing",
        expect!["canon.toml:3:10: invalid boolean, expected `true`"],
    );
    settings(
        "approvals = 1",
        "approvals =\n",
        expect!["canon.toml:6:12: string values must be quoted, expected literal string"],
    );
    settings(
        "approvals = 1",
        "approval = 1",
        expect!["canon.toml:6:1: unknown field `approval`, expected `approvals` or `approvers`"],
    );
    settings(
        "approvals = 1",
        "approvals = -1",
        expect!["canon.toml:6:13: invalid value: integer `-1`, expected a whole number, 0 or more"],
    );
    settings(
        "approvals = 1",
        "approvals = \"1\"",
        expect![[
            r#"canon.toml:6:13: invalid type: string "1", expected a whole number, 0 or more"#
        ]],
    );
    settings("domain = \"testing\"", "", expect!["canon.toml:1:1: missing field `domain`"]);
    settings(
        "[change]",
        "[chnage]",
        expect![
            "canon.toml:5:2: unknown field `chnage`, expected one of `name`, `domain`, `change`, `risk`, `optr`, `actions`, `envelope`, `interference`, `environments`, `runs`, `retention`, `models`, `roots`, `hosts`, `programs`, `sources`, `data`"
        ],
    );
    settings(
        "name = \"test\"",
        "name = \"test\"\nname = \"x\"",
        expect!["canon.toml:3:1: duplicate key"],
    );
}

#[test]
fn settings_make_sense() {
    settings(
        "name = \"test\"",
        "name = \"\"",
        expect![[r#"
        canon.toml:2:1: `name` is empty
          hint: give it a short name"#]],
    );
    settings(
        "domain = \"testing\"",
        "domain = \"\"",
        expect![[r#"
        canon.toml:3:1: `domain` is empty
          hint: give it a short name"#]],
    );
    settings(
        "approvals = 1",
        "approvals = 0",
        expect![[r#"
        canon.toml:6:1: `change.approvals` is 0
          hint: nobody changes a canon alone: write 1 or more"#]],
    );
    settings(
        "[\"role:board\"]",
        "[]",
        expect![[r#"
        canon.toml:7:1: `change.approvers` is empty
          hint: name who may approve, such as ["role:board"]"#]],
    );
    settings(
        "[change]",
        "[risk]\nlo = 1\n[change]",
        expect![[r#"
        canon.toml:6:1: `lo` is not a risk class
          hint: use low, medium, high or critical"#]],
    );
    settings(
        "[change]",
        "[actions.\"file.write\"]\nrisk = \"huge\"\n[change]",
        expect![[r#"
        canon.toml:6:9: `huge` is not a risk class
          hint: use low, medium, high or critical"#]],
    );
    settings(
        "[change]",
        "[models.reader]\nprovider = \"oracle\"\n[change]",
        expect![[r#"
        canon.toml:6:13: model `reader` has the unknown provider `oracle`
          hint: use cassette or openai"#]],
    );
}

#[test]
fn bounds_and_places_make_sense() {
    settings(
        "[change]",
        "[envelope]\nforbidden = [[]]\n[change]",
        expect![[r#"
        canon.toml:6:1: a set of `envelope.forbidden` is empty
          hint: each set names the actions that one run may not do together"#]],
    );
    settings(
        "[change]",
        "[envelope.per_day]\n[change]",
        expect![[r#"
            canon.toml:5:11: `envelope.per_day` bounds nothing
              hint: give it effects_max, resources_max, amount_max or cost_micros_max, or leave it out"#]],
    );
    settings(
        "[change]",
        "[envelope.per_year]\namount_max = 5\n[change]",
        expect![
            "canon.toml:5:11: unknown field `per_year`, expected one of `resources_max`, `amount_max`, `forbidden`, `amount_paths`, `per_hour`, `per_day`, `per_week`, `per_month`"
        ],
    );
    settings(
        "[change]",
        "[envelope.per_day]\namount_most = 5\n[change]",
        expect![
            "canon.toml:6:1: unknown field `amount_most`, expected one of `effects_max`, `resources_max`, `amount_max`, `cost_micros_max`"
        ],
    );
    settings(
        "[change]",
        "[environments]\nallow = []\n[change]",
        expect![[r#"
        canon.toml:5:1: `environments.allow` is empty
          hint: name those it governs, such as ["production"], or leave the table out"#]],
    );
    settings(
        "[change]",
        "[interference]\non_conflict = \"fight\"\n[change]",
        expect!["canon.toml:6:15: unknown variant `fight`, expected `wait` or `refuse`"],
    );
}

#[test]
fn a_header_with_capitals_is_never_there() {
    let request = "action \"http.request\" appliesTo { principal: [User], resource: [Root],\n  \
                   context: { args: { headers?: { \"X-Act-As\"?: String } } } };";
    check(
        SCHEMA,
        &format!("{PAYING}\n{request}"),
        expect![[r#"
        schema.cedarschema:18:35: the header `X-Act-As` is decided on in lower case
          hint: write `x-act-as`, here and in policies"#]],
    );
}

#[test]
fn what_is_nested_too_deep_is_told_with_its_place() {
    let deep = format!("type Deep = {}Long{};", "{a: ".repeat(500), "}".repeat(500));
    check(
        SCHEMA,
        &format!("{PAYING}\n{deep}"),
        expect![[r#"
        schema.cedarschema:17:269: nested deeper than 64 brackets, 256 operators in a row or 1024 `&&` and `||`, all of which count together
          hint: give what is inside a type of its own: type NAME = { ... };"#]],
    );
}

#[test]
fn a_misspelt_action_does_not_switch_a_rule_off() {
    settings(
        "[change]",
        "[envelope]\nforbidden = [[\"file.raed\", \"file.write\"]]\n[change]",
        expect![[r#"
            canon.toml:6:16: there is no action `file.raed`
              hint: did you mean `file.read`?"#]],
    );
    settings(
        "[change]",
        "[actions.\"mail.send\"]\nrisk = \"low\"\n[change]",
        expect![[r#"
            canon.toml:5:11: there is no action `mail.send`
              hint: the actions are file.delete, file.read, file.write, http.request, model.chat, process.run, session.accept"#]],
    );
}

#[test]
fn a_source_of_completions_has_a_name_and_keys() {
    settings(
        "[change]",
        "[sources.\"/agents\"]\nkeys = [\"a+1a2b3c4d+AbCd\"]\n[change]",
        expect!["loaded"],
    );
    settings(
        "[change]",
        "[sources.\"/agents\"]\nkeys = [\"AbCd\"]\n[change]",
        expect![[r#"
        canon.toml:6:10: `AbCd`, which is to prove what `/agents` says, is no verifier key
          hint: write what `cognitionos ledger key` prints there: name+1a2b3c4d+AbCd…"#]],
    );
    settings(
        "[change]",
        "[sources.\"\"]\n[change]",
        expect![[r#"
        canon.toml:5:1: a source has an empty name
          hint: name the `source` of its events, such as "/core-engine/workflows""#]],
    );
    settings(
        "[change]",
        "[sources.\"/agents\"]\nkey = \"a\"\n[change]",
        expect!["canon.toml:6:1: unknown field `key`, expected `keys` or `class`"],
    );
}

#[test]
fn production_is_among_the_environments() {
    let environments = |more: &str| format!("[environments]\nallow = [\"live\"]\n{more}\n[change]");
    settings("[change]", &environments("production = [\"live\"]"), expect!["loaded"]);
    settings(
        "[change]",
        &environments("production = [\"lvie\"]"),
        expect![[r#"
        canon.toml:7:16: `lvie` is production and not an environment of the canon
          hint: name it in `environments.allow`, too: "lvie""#]],
    );
    settings(
        "[change]",
        &environments("stand_ins = true"),
        expect![[r#"
        canon.toml:7:1: `environments.stand_ins` is for production, and there is none
          hint: name it, such as production = ["production"], or leave it out"#]],
    );
    settings(
        "[change]",
        "[environments]\nproduction = [\"live\"]\n[change]",
        expect!["canon.toml:5:1: missing field `allow`"],
    );
}

#[test]
fn where_a_model_is_served_is_a_url() {
    let model = "[models.m]\nprovider = \"openai\"\nbase_url = \"127.0.0.1\"\n[change]";
    settings(
        "[change]",
        model,
        expect![[r#"
        canon.toml:7:13: `127.0.0.1`, where model `m` is served, is no URL
          hint: write it in full, such as "http://127.0.0.1:8080/v1""#]],
    );
}

#[test]
fn somebody_must_be_able_to_change_a_canon() {
    settings(
        "role:board",
        "role:nobody",
        expect![[r#"
            canon.toml:7:1: a change takes approval by 1 of role:nobody, which nobody can give
              hint: the facts have 0 such people: add them to facts/, or name a role that is there: role:board, role:finance"#]],
    );
    settings(
        "role:board",
        "agent:clerk",
        expect![[r#"
        canon.toml:7:15: `agent:clerk` cannot approve a change
          hint: only people can: name a role:… or a user:…"#]],
    );
    settings("role:board", "user:cfo", expect!["loaded"]);
    settings(
        "role:board",
        "board",
        expect![[r#"
            canon.toml:7:15: `board` cannot approve a change
              hint: only people can: name a role:… or a user:…"#]],
    );
    settings(
        "approvals = 1",
        "approvals = 2",
        expect![[r#"
            canon.toml:7:1: a change takes approval by 2 of role:board, which nobody can give
              hint: the facts have 1 such people: add them to facts/"#]],
    );
    settings(
        "role:board",
        "user:ghost",
        expect![[r#"
            canon.toml:7:1: a change takes approval by 1 of user:ghost, which nobody can give
              hint: the facts have 0 such people: add them to facts/, or name a role that is there: role:board, role:finance"#]],
    );
    settings("role:board", "user:ada", expect!["loaded"]);
    let nested = PEOPLE.replace(
        r#""id": "finance" }, "attrs": {}, "parents": []"#,
        r#""id": "finance" }, "attrs": {}, "parents": [{ "type": "Role", "id": "board" }]"#,
    );
    assert_ne!(nested, PEOPLE);
    let three = PLAIN.replace("approvals = 1", "approvals = 3");
    let files = [(SETTINGS, three.as_str()), (SCHEMA, PAYING), (FACTS, &nested)];
    let bots = PEOPLE.replace(r#""User""#, r#""Agent""#);
    expect![[r#"
        canon.toml:7:1: a change takes approval by 1 of role:board, which nobody can give
          hint: the facts have 0 such people: add them to facts/"#]]
    .assert_eq(&said(&[(SETTINGS, PLAIN), (SCHEMA, PAYING), (FACTS, &bots)]));
    // The board has the chief and Ada, who is in it as one of finance; finance is nobody.
    expect![[r#"
        canon.toml:7:1: a change takes approval by 3 of role:board, which nobody can give
          hint: the facts have 2 such people: add them to facts/"#]]
    .assert_eq(&said(&files));
}

#[test]
fn a_schema_is_cedar_and_fits_what_a_request_carries() {
    check(
        SCHEMA,
        "entity User\nentity Role;",
        expect![[r#"
        schema.cedarschema:2:1: error parsing schema: unexpected token `entity`
          hint: expected `,`, `;`, `=`, `{`, `enum`, `in`, or `tags`"#]],
    );
    check(
        SCHEMA,
        "entity User in [Group];",
        expect![[r#"
        schema.cedarschema:1:17: failed to resolve type: Group
          hint: `Group` has not been declared as an entity type"#]],
    );
    check(
        SCHEMA,
        "namespace Pay { entity User; }",
        expect![[r#"
        schema.cedarschema: the schema has a namespace `Pay`
          hint: write its types without a namespace: a canon has one domain only"#]],
    );
    check(
        SCHEMA,
        &format!("{PAYING}\nentity user;"),
        expect![[r#"
        schema.cedarschema: the types `User` and `user` are one kind, `user`
          hint: begin each with a capital letter"#]],
    );
    let with = |kind: &str| PAYING.replace("dry: Bool", &format!("dry: {kind}"));
    check(
        SCHEMA,
        &with("User"),
        expect![
            "schema.cedarschema:6:9: action `file.write`: `context.dry` is the entity type `User`; requests carry names, so declare it String"
        ],
    );
    check(
        SCHEMA,
        &with("Set<decimal>"),
        expect![
            "schema.cedarschema:6:9: action `file.write`: `context.dry` has the type `decimal`, which a context cannot carry; use Long, String, Bool, Set or a record"
        ],
    );
    check(
        SCHEMA,
        &with("Boole"),
        expect![[r#"
        schema.cedarschema:11:10: failed to resolve type: Boole
          hint: `Boole` has not been declared as a common or entity type"#]],
    );
    check(
        SCHEMA,
        &PAYING.replace("context: {", "context: User, more: {"),
        expect![[r#"
        schema.cedarschema:9:18: error parsing schema: unexpected token `more`
          hint: expected `}`, `context`, `principal`, or `resource`"#]],
    );
}

#[test]
fn facts_are_entities_of_the_schema() {
    check(FACTS, "[", expect!["facts/people.json:1:2: a missing value at byte 1"]);
    check(
        FACTS,
        "{}",
        expect![[r#"
        facts/people.json: expected a list, found object
          hint: facts are Cedar entities: [{"uid": {"type": "User", "id": "cfo"}, "attrs": {}, "parents": []}]"#]],
    );
    check(
        FACTS,
        "[{}]",
        expect![
            "facts/people.json: error during entity deserialization: missing field `uid` at line 1 column 3"
        ],
    );
    check(
        FACTS,
        "[\n  { \"uid\": 1, \"uid\": 2 }]",
        expect!["facts/people.json:2:25: the key `uid` stands twice in one object, at byte 26"],
    );
    check(
        FACTS,
        "[{ \"uid\": 1.5 }]",
        expect![
            "facts/people.json: `1.5` is not a whole number below 2^53; write amounts in minor units or as text"
        ],
    );
    let entity = |kind: &str, attrs: &str, parents: &str| {
        format!(
            r#"[{{"uid":{{"type":"{kind}","id":"x"}},"attrs":{{{attrs}}},"parents":[{parents}]}}]"#
        )
    };
    check(
        FACTS,
        &entity("Ghost", "", ""),
        expect![[
            r#"facts/people.json:1:30: error during entity deserialization: entity `Ghost::"x"` has type `Ghost` which is not declared in the schema"#
        ]],
    );
    check(
        FACTS,
        &entity("User", r#""level":1"#, ""),
        expect![[
            r#"facts/people.json:1:29: error during entity deserialization: attribute `level` on `User::"x"` should not exist according to the schema"#
        ]],
    );
    check(
        FACTS,
        &entity("User", "", r#"{"type":"Root","id":"r"}"#),
        expect![[
            r#"facts/people.json:1:29: entity does not conform to the schema: `User::"x"` is not allowed to have an ancestor of type `Root` according to the schema"#
        ]],
    );
    let role = entity("Role", "", r#"{"type":"Role","id":"x"}"#);
    check(
        FACTS,
        &role,
        expect![[r#"
            facts/people.json:1:29: `Role::"x"` is in itself, or in what is
              hint: take one of the parents out"#]],
    );
    let one = r#"{"uid":{"type":"User","id":"x"},"attrs":{},"parents":[]}"#;
    check(
        FACTS,
        &format!("[{one},\n {one}]"),
        expect![[r#"
            canon.toml:7:1: a change takes approval by 1 of role:board, which nobody can give
              hint: the facts have 0 such people: add them to facts/"#]],
    );
}

#[test]
fn what_is_too_much_is_refused() {
    let names: Vec<_> = (0..FILES_MAX).map(|number| format!("policies/{number}.cedar")).collect();
    let many: Vec<_> =
        names.iter().map(|name| (name.as_str(), "")).chain([(SETTINGS, PLAIN)]).collect();
    expect!["canon.toml: the canon has 1001 files, most 1000"].assert_eq(&said(&many));
    check(
        POLICIES,
        &" ".repeat(FILE_BYTES_MAX + 1),
        expect!["policies/main.cedar: the file has 8388609 bytes, most 8388608"],
    );
    check(
        TESTS,
        &" ".repeat(YAML_BYTES_MAX + 1),
        expect!["tests/cases.yaml: the file has 1048577 bytes, most 1048576"],
    );
    let large = " ".repeat(FILE_BYTES_MAX);
    let count = SOURCE_BYTES_MAX / FILE_BYTES_MAX;
    let large: Vec<_> =
        names.iter().take(count).map(|name| (name.as_str(), large.as_str())).collect();
    let large: Vec<_> = large.into_iter().chain([(SETTINGS, PLAIN)]).collect();
    expect!["canon.toml: the canon has 33554517 bytes, most 33554432"].assert_eq(&said(&large));
}

#[test]
fn text_is_utf8() {
    let files =
        [(SETTINGS.to_owned(), PLAIN.as_bytes().to_vec()), (SCHEMA.to_owned(), vec![b'\n', 0xff])];
    let error = Canon::load(&cog_canon::Source::new(files)).unwrap_err();
    expect!["schema.cedarschema: not UTF-8 at byte 1"].assert_eq(&error.to_string());
    assert_eq!((error.file.as_str(), error.line), (SCHEMA, None));
}

#[test]
fn those_who_may_end_a_run_are_people_who_are_there() {
    let cancel = |list: &str, expected: Expect| {
        settings("[change]", &format!("[runs]\ncancel = {list}\n[change]"), expected);
    };
    cancel("[]", expect!["loaded"]);
    cancel("[\"role:board\", \"user:cfo\"]", expect!["loaded"]);
    cancel(
        "[\"agent:clerk\"]",
        expect![[r#"
        canon.toml:6:12: `agent:clerk` cannot be entitled to end a run
          hint: only people can: name a role:… or a user:…"#]],
    );
    cancel(
        "[\"user:cfo\", \"board\"]",
        expect![[r#"
        canon.toml:6:24: `board` cannot be entitled to end a run
          hint: only people can: name a role:… or a user:…"#]],
    );
    cancel(
        "[\"role:board\", \"role:bord\"]",
        expect![[r#"
        canon.toml:6:26: `role:bord`, who is to be entitled to end a run, is nobody
          hint: did you mean role:board? If not, the facts have 0 such people: add them to facts/"#]],
    );
    cancel(
        "[\"user:cfo\",\n  \"user:ghost\"]",
        expect![[r#"
        canon.toml:7:4: `user:ghost`, who is to be entitled to end a run, is nobody
          hint: the facts have 0 such people: add them to facts/, or name a role that is there: role:board, role:finance"#]],
    );
    cancel(
        "\"role:board\"",
        expect![[r#"canon.toml:6:10: invalid type: string "role:board", expected a list"#]],
    );
    settings(
        "[change]",
        "[runs]\nstop = []\n[change]",
        expect![
            "canon.toml:6:1: unknown field `stop`, expected one of `cancel`, `schedule`, `activate`, `delegate`"
        ],
    );
    settings(
        "[change]",
        "[runs]\nschedule = [\"role:board\", \"service:cron\"]\n[change]",
        expect![[r#"
        canon.toml:6:28: `service:cron` cannot be entitled to set a schedule
          hint: only people can: name a role:… or a user:…"#]],
    );
    settings(
        "[change]",
        "[runs]\ncancel = [\"role:board\"]\nschedule = [\"role:bord\"]\n[change]",
        expect![[r#"
        canon.toml:7:14: `role:bord`, who is to be entitled to set a schedule, is nobody
          hint: did you mean role:board? If not, the facts have 0 such people: add them to facts/"#]],
    );
}
