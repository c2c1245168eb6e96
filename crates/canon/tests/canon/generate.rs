//! Policy sets, facts and requests by chance, all of them well typed.

use cog_base::json::{Map, Value};

use crate::dice::Dice;

pub(crate) const SCHEMA: &str = r#"
entity Role in [Role];
entity User in [Role] { level: Long, team: String, badge?: String };
entity Agent in [Role, User] { level: Long, team: String, badge?: String };
entity Area in [Area];
entity Root in [Area] { tier: Long, owner: String, tags: Set<String> };
entity Host in [Area] { tier: Long, owner: String, tags: Set<String> };
type Document = { cents: Long, currency?: String };
type Asked = {
  amount: Long, cost: Long, country: String, dry: Bool, tags: Set<String>,
  note?: String, most?: Long, args: { path: String, document?: Document },
};
action "files";
action "writing" in ["files"];
action "file.read" in ["files"]
  appliesTo { principal: [User, Agent], resource: [Root], context: Asked };
action "file.write" in ["writing"]
  appliesTo { principal: [User, Agent], resource: [Root], context: Asked };
action "file.delete" in ["writing"]
  appliesTo { principal: [User], resource: [Root], context: Asked };
action "http.request"
  appliesTo { principal: [User, Agent], resource: [Host], context: Asked };
"#;

const ROLES: [&str; 6] = ["board", "top", "middle", "low", "left", "right"];
const USERS: [&str; 5] = ["ada", "bob", "cfo", "eve", "fay"];
const AGENTS: [&str; 3] = ["clerk", "miner", "scout"];
const AREAS: [&str; 3] = ["world", "eu", "de"];
const ROOTS: [&str; 4] = ["payments", "notes", "inbox", "secrets"];
const HOSTS: [&str; 2] = ["api.example", "bank.example"];
const WORDS: [&str; 5] = ["DE", "FR", "KP", "a/b", ""];
const ACTIONS: [&str; 4] = ["file.read", "file.write", "file.delete", "http.request"];
const GROUPS: [&str; 6] =
    ["file.read", "file.write", "file.delete", "http.request", "files", "writing"];

/// Entities in a hierarchy up to four deep: an agent in a user in a role in roles.
pub(crate) fn facts(dice: &mut Dice) -> String {
    let mut all = Vec::new();
    for (place, role) in ROLES.iter().enumerate() {
        let parents = dice.some(&ROLES[..place], 3);
        all.push(entity("Role", role, "", &[("Role", parents)]));
    }
    for (place, user) in USERS.iter().enumerate() {
        let mut parents = dice.some(&ROLES[1..], 3);
        parents.extend((place == 0).then_some("board"));
        all.push(entity("User", user, &person(dice), &[("Role", parents)]));
    }
    for agent in AGENTS {
        let parents = [("Role", dice.some(&ROLES, 4)), ("User", dice.some(&USERS, 4))];
        all.push(entity("Agent", agent, &person(dice), &parents));
    }
    for (place, area) in AREAS.iter().enumerate() {
        let parents = if place == 0 { Vec::new() } else { vec![AREAS[place - 1]] };
        all.push(entity("Area", area, "", &[("Area", parents)]));
    }
    for (kind, name) in places() {
        let parents = dice.some(&AREAS, 3);
        all.push(entity(kind, name, &place(dice), &[("Area", parents)]));
    }
    format!("[{}]", all.join(",\n"))
}

fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROOTS.iter().map(|root| ("Root", *root)).chain(HOSTS.iter().map(|host| ("Host", *host)))
}

fn entity(kind: &str, name: &str, attrs: &str, parents: &[(&str, Vec<&str>)]) -> String {
    let parents = parents.iter().flat_map(|(kind, names)| {
        names.iter().map(move |name| format!(r#"{{"type":"{kind}","id":"{name}"}}"#))
    });
    let parents = parents.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"uid":{{"type":"{kind}","id":"{name}"}},"attrs":{{{attrs}}},"parents":[{parents}]}}"#
    )
}

fn person(dice: &mut Dice) -> String {
    let level = dice.between(-3, 9);
    let team = dice.pick(&WORDS);
    let badge = if dice.once_in(2) { String::new() } else { format!(r#","badge":"{team}""#) };
    format!(r#""level":{level},"team":"{team}"{badge}"#)
}

fn place(dice: &mut Dice) -> String {
    let tags: Vec<_> = dice.some(&WORDS, 3).iter().map(|tag| format!(r#""{tag}""#)).collect();
    let (tier, owner) = (dice.between(-3, 9), dice.pick(&WORDS));
    format!(r#""tier":{tier},"owner":"{owner}","tags":[{}]"#, tags.join(","))
}

/// A set of policies `p0`, `p1` and so on.
pub(crate) fn policies(dice: &mut Dice) -> String {
    let count = 3 + dice.below(14);
    (0..count).map(|number| policy(dice, number)).collect::<Vec<_>>().join("\n")
}

fn policy(dice: &mut Dice, number: usize) -> String {
    let permits = !dice.once_in(4);
    let limit = match permits && dice.once_in(3) {
        true => format!("@limit(\"{number} per run\") "),
        false => String::new(),
    };
    let effect = if permits { "permit" } else { "forbid" };
    let (people, spots) = (people(dice.below(3)), spots(dice.below(3)));
    let principal = side(dice, "principal", &people, &["User", "Agent", "Role"]);
    let resource = side(dice, "resource", &spots, &["Root", "Host", "Area"]);
    let action = action(dice);
    let mut conditions = String::new();
    for _ in 0..[0, 1, 1, 2][dice.below(4)] {
        let word = dice.pick(&["when", "when", "unless"]);
        conditions.push_str(&format!("\n  {word} {{ {} }}", truth(dice, 2)));
    }
    format!("@id(\"p{number}\") {limit}{effect} ({principal}, {action}, {resource}){conditions};")
}

fn people(which: usize) -> Vec<(&'static str, &'static str)> {
    match which {
        0 => USERS.iter().map(|name| ("User", *name)).collect(),
        1 => AGENTS.iter().map(|name| ("Agent", *name)).collect(),
        _ => ROLES.iter().map(|name| ("Role", *name)).collect(),
    }
}

fn spots(which: usize) -> Vec<(&'static str, &'static str)> {
    match which {
        0 => places().collect(),
        _ => AREAS.iter().map(|name| ("Area", *name)).collect(),
    }
}

fn side(dice: &mut Dice, word: &str, uids: &[(&str, &str)], kinds: &[&str]) -> String {
    let (kind, name) = uids[dice.below(uids.len())];
    match dice.below(8) {
        0..=2 => word.to_owned(),
        3 => format!("{word} == {kind}::\"{name}\""),
        4 | 5 => format!("{word} in {kind}::\"{name}\""),
        6 => format!("{word} is {}", dice.pick(kinds)),
        _ => format!("{word} is {} in {kind}::\"{name}\"", dice.pick(kinds)),
    }
}

fn action(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "action".to_owned(),
        1 => format!("action == Action::\"{}\"", dice.pick(&ACTIONS)),
        2 => format!("action in Action::\"{}\"", dice.pick(&["files", "writing"])),
        _ => {
            let mut names = dice.some(&GROUPS, 3);
            names.push(dice.pick(&ACTIONS));
            let names: Vec<_> = names.iter().map(|name| format!("Action::\"{name}\"")).collect();
            format!("action in [{}]", names.join(", "))
        }
    }
}

fn truth(dice: &mut Dice, depth: usize) -> String {
    match dice.below(if depth == 0 { 8 } else { 12 }) {
        0 | 1 => {
            let (one, other) = (number(dice, 2), number(dice, 1));
            format!("{one} {} {other}", dice.pick(&["<", "<=", "==", "!=", ">", ">="]))
        }
        2 => format!("{} == {}", text(dice), text(dice)),
        3 => set_truth(dice),
        4 | 5 => guarded(dice),
        6 => format!("principal in Role::\"{}\"", dice.pick(&ROLES)),
        7 => format!("resource in Area::\"{}\"", dice.pick(&AREAS)),
        8 => format!("!({})", truth(dice, depth - 1)),
        9 => format!("({} && {})", truth(dice, depth - 1), truth(dice, depth - 1)),
        10 => format!("({} || {})", truth(dice, depth - 1), truth(dice, depth - 1)),
        _ => format!(
            "(if {} then {} else {})",
            truth(dice, depth - 1),
            truth(dice, depth - 1),
            truth(dice, depth - 1)
        ),
    }
}

fn set_truth(dice: &mut Dice) -> String {
    let (one, other) = (dice.pick(&WORDS), dice.pick(&WORDS));
    let set = dice.pick(&["context.tags", "resource.tags"]);
    match dice.below(6) {
        0 => format!("{set}.contains({})", text(dice)),
        1 => format!("{set}.containsAny([\"{one}\", \"{other}\"])"),
        2 => format!("{set}.containsAll([\"{one}\"])"),
        3 => format!("[\"{one}\", \"{other}\"].contains({})", text(dice)),
        4 => format!("{set} == [\"{one}\"]"),
        _ => format!("{} like \"{}*\"", text(dice), dice.pick(&["D", "a/", "K*P", ""])),
    }
}

/// Optional attributes, asked for before they are read; and a plain truth value.
fn guarded(dice: &mut Dice) -> String {
    let number = dice.between(-3, 9);
    match dice.below(6) {
        0 => "context.dry".to_owned(),
        1 => format!("(context has note && context.note == {})", text(dice)),
        2 => "(context has most && context.amount <= context.most)".to_owned(),
        3 => format!("(context.args has document && context.args.document.cents > {number})"),
        4 => "(context.args has document && context.args.document has currency && \
              context.args.document.currency == \"FR\")"
            .to_owned(),
        _ => format!("(principal has badge && principal.badge == {})", text(dice)),
    }
}

fn text(dice: &mut Dice) -> String {
    let literal = format!("\"{}\"", dice.pick(&WORDS));
    let read = ["context.country", "context.args.path", "principal.team", "resource.owner"];
    if dice.once_in(3) { literal } else { dice.pick(&read).to_owned() }
}

/// A whole number; sums and products of great ones overflow.
fn number(dice: &mut Dice, depth: usize) -> String {
    match dice.below(if depth == 0 { 5 } else { 7 }) {
        0 => dice.between(-9, 9).to_string(),
        1 => "context.amount".to_owned(),
        2 => "context.cost".to_owned(),
        3 => dice.pick(&["principal.level", "resource.tier"]).to_owned(),
        4 if dice.once_in(3) => "9223372036854775807".to_owned(),
        4 => dice.pick(&["7", "context.amount", "1000000"]).to_owned(),
        _ => {
            let operator = dice.pick(&["+", "-", "*"]);
            format!("({} {operator} {})", number(dice, depth - 1), number(dice, depth - 1))
        }
    }
}

/// Who asks what about what, in the words of the canon.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) principal: (String, String),
    pub(crate) action: String,
    pub(crate) resource: (String, String),
    /// All of it is declared by the schema, though perhaps not as the schema wants it.
    pub(crate) context: Map,
}

pub(crate) fn question(dice: &mut Dice) -> Question {
    let stranger = dice.once_in(40);
    let people = people(dice.below(2));
    let (kind, name) = people[dice.below(people.len())];
    let kind = if dice.once_in(60) { "Role" } else { kind };
    let name = if stranger { "nobody" } else { name };
    let action = if dice.once_in(60) { "writing" } else { dice.pick(&ACTIONS) };
    let spots: Vec<_> =
        places().filter(|(kind, _)| (*kind == "Host") == (action == "http.request")).collect();
    let (place, spot) = spots[dice.below(spots.len())];
    let spot = if dice.once_in(40) { "nowhere" } else { spot };
    Question {
        principal: (kind.to_owned(), name.to_owned()),
        action: action.to_owned(),
        resource: (place.to_owned(), spot.to_owned()),
        context: asked(dice),
    }
}

fn asked(dice: &mut Dice) -> Map {
    const GREAT: i64 = 9_007_199_254_740_991;
    let mut context = Map::new();
    for name in ["amount", "cost"] {
        let great = [GREAT, -GREAT][dice.below(2)];
        let value = if dice.once_in(12) { great } else { dice.between(-9, 9) };
        context.insert(name.into(), value.into());
    }
    let tags: Vec<_> = dice.some(&WORDS, 3).into_iter().map(Value::from).collect();
    context.insert("tags".into(), tags.into());
    context.insert("country".into(), dice.pick(&WORDS).into());
    context.insert("dry".into(), dice.once_in(2).into());
    if dice.once_in(2) {
        context.insert("note".into(), dice.pick(&WORDS).into());
    }
    if dice.once_in(2) {
        context.insert("most".into(), dice.between(-9, 9).into());
    }
    let mut args = vec![("path", Value::from(dice.pick(&WORDS)))];
    if dice.once_in(2) {
        let mut document = vec![("cents", Value::from(dice.between(-9, 9)))];
        if dice.once_in(2) {
            document.push(("currency", dice.pick(&WORDS).into()));
        }
        args.push(("document", Value::map(document)));
    }
    context.insert("args".into(), Value::map(args));
    match dice.below(90) {
        0 => drop(context.remove("country")),
        1 => drop(context.insert("amount".into(), "9".into())),
        _ => {}
    }
    context
}
