//! What a node tells whoever looks at it: a line, or a document, for each thing that happens.

use std::ops::Deref;

use cog_base::id::{RunId, TenantId};
use cog_base::{Timestamp, Value};
use cog_engine::What;
use cog_node::Told;

use crate::outgoing;
use crate::terminal::{Terminal, Tone, plain};

/// Where it is said what happens, and of which database.
#[derive(Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) terminal: &'a Terminal,
    pub(super) database: Option<&'a str>,
}

impl<'a> From<&'a Terminal> for Voice<'a> {
    fn from(terminal: &'a Terminal) -> Self {
        Self { terminal, database: None }
    }
}

impl<'a> From<&Voice<'a>> for Voice<'a> {
    fn from(voice: &Self) -> Self {
        *voice
    }
}

impl Deref for Voice<'_> {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        self.terminal
    }
}

/// Says what happens to events, on the thread that sends them.
pub(super) fn voiced(database: Option<&str>, terminal: &Terminal) -> outgoing::Hears {
    let (database, terminal) = (database.map(str::to_owned), terminal.clone());
    Box::new(move |event, words, members| {
        let voice = Voice { terminal: &terminal, database: database.as_deref() };
        say(voice, event, words, members);
    })
}

pub(super) fn say<'a>(
    voice: impl Into<Voice<'a>>,
    event: &str,
    words: &str,
    members: &[(&str, Value)],
) {
    let terminal = voice.into();
    if terminal.json {
        let event = ("event", Value::from(event));
        let database = terminal.database.map(|name| ("database", Value::from(name)));
        let members = members.iter().map(|(name, value)| (*name, value.clone()));
        terminal.emit(&Value::map(std::iter::once(event).chain(members).chain(database)));
    } else if !terminal.quiet {
        let at = terminal.database.map(|name| format!("{name}: ")).unwrap_or_default();
        terminal.say(&format!("{event:<9} {at}{words}"));
    }
}

/// A time of a schedule, and the run that was started for it, or why none was.
fn fired(
    terminal: &Voice<'_>,
    tenant: (&'static str, Value),
    (schedule, at): (&str, Timestamp),
    run: Result<RunId, &str>,
) {
    let came = run.map_or_else(plain, |run| run.to_string());
    let members = [
        tenant,
        ("schedule", schedule.into()),
        ("at", at.into()),
        ("run", run.ok().into()),
        ("skipped", run.err().into()),
    ];
    say(terminal, "fired", &format!("{} {at}: {came}", plain(schedule)), &members);
}

pub(super) fn show(terminal: &Voice<'_>, told: &Told) {
    let about = |tenant: &TenantId| ("tenant", Value::from(*tenant));
    match told {
        Told::Claimed { tenant, fence } => {
            let members = [about(tenant), ("fence", fence.to_string().into())];
            say(terminal, "claimed", &format!("{tenant}, fence {fence}"), &members);
        }
        Told::Opened { tenant, runs } => {
            let members = [about(tenant), ("runs", (*runs as u64).into())];
            say(terminal, "opened", &format!("{tenant}, {runs} runs in memory"), &members);
        }
        Told::Lost { tenant } => {
            let word = terminal.tint(Tone::Bad, "to another node");
            say(terminal, "lost", &format!("{tenant} {word}"), &[about(tenant)]);
        }
        Told::Released { tenant } => {
            say(terminal, "released", &tenant.to_string(), &[about(tenant)]);
        }
        Told::Stalled { tenant, why } => {
            let members = [about(tenant), ("why", why.as_str().into())];
            say(terminal, "stalled", &format!("{tenant}: {}", plain(why)), &members);
        }
        Told::Panicked { tenant, why } => {
            let members = [about(tenant), ("why", why.as_str().into())];
            let words = format!(
                "internal error in the engine of {tenant}, which is made anew: {}",
                plain(why)
            );
            say(terminal, "panicked", &words, &members);
        }
        Told::Left { tenant, run, why } => {
            let members = [about(tenant), ("run", (*run).into()), ("why", why.as_str().into())];
            say(terminal, "left", &format!("{run}: {}", plain(why)), &members);
        }
        Told::Parked { tenant, runs } => {
            let members = [about(tenant), ("runs", (*runs as u64).into())];
            say(terminal, "parked", &format!("{tenant}, {runs} runs that wait"), &members);
        }
        Told::Refused { tenant, mail, why } => {
            let members = [about(tenant), ("mail", (*mail).into()), ("why", why.as_str().into())];
            say(terminal, "refused", &format!("{mail}: {}", plain(why)), &members);
        }
        Told::Fired { tenant, schedule, at, run } => {
            let came = run.as_ref().copied().map_err(String::as_str);
            fired(terminal, about(tenant), (schedule, *at), came);
        }
        Told::Run { tenant, notice } => {
            let run = notice.run;
            let run_of = [about(tenant), ("run", run.into())];
            if let What::Started { workflow } = &notice.what {
                say(terminal, "started", &format!("{run} {}", plain(workflow)), &run_of);
            } else if let What::Sealed(sealed) = &notice.what {
                let [tenant, run_of] = run_of;
                let members = [tenant, run_of, ("status", sealed.status.as_str().into())];
                say(terminal, "sealed", &format!("{run} {}", sealed.status), &members);
            }
        }
        Told::Away { why } => {
            let word = terminal.tint(Tone::Bad, "the database is away");
            say(
                terminal,
                "away",
                &format!("{word}: {}", plain(why)),
                &[("why", why.as_str().into())],
            );
        }
        Told::Back => say(terminal, "back", "the database is there again", &[]),
    }
}
