//! `database map`, `database move`: which of several databases has which tenants.

use std::collections::BTreeMap;
use std::time::Duration;

use cog_base::Value;
use cog_base::id::TenantId;
use cog_base::words::counted;
use cog_store::StoreError;
use cog_store_postgres::{
    Databases, HOME, MoveStep, Moved, Moving, PostgresStore, SHARDS, Whereabouts, shard_of,
};

use crate::cli::nodes::MoveArgs;
use crate::failure::{Exit, Failure};
use crate::home::told;
use crate::shared::{open, tenant};
use crate::terminal::{Terminal, Tone};

/// Have a new tenant begin in the database that is named.
pub(crate) fn found(databases: &Databases, id: TenantId, at: &str) -> anyhow::Result<()> {
    are_several(databases)?;
    databases.named(at).map_err(told)?.found_here(id).map_err(told)?;
    if at != HOME {
        databases.home().map_err(told)?.send_to(id, at).map_err(told)?;
    }
    Ok(())
}

fn are_several(databases: &Databases) -> anyhow::Result<()> {
    if databases.names().count() > 1 {
        return Ok(());
    }
    Err(Failure::advise(
        Exit::BadInput,
        "there is one database alone",
        "name the others with --database NAME=FILE, where FILE holds the address",
    ))
}

/// What a database says of itself.
struct Seen {
    name: String,
    /// How many tenants it has; nothing when it is away.
    tenants: Option<u64>,
}

pub(crate) fn map(databases: &Databases, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = databases.home().map_err(told)?;
    let shards = home.shards().map_err(told)?;
    let at = |elsewhere: Option<String>| elsewhere.unwrap_or_else(|| HOME.to_owned());
    let shards: BTreeMap<u8, String> =
        shards.into_iter().map(|(shard, elsewhere)| (shard, at(elsewhere))).collect();
    let (mut seen, mut apart) = (Vec::new(), BTreeMap::new());
    for name in databases.names() {
        let places = match databases.named(name).and_then(PostgresStore::places) {
            Err(StoreError::Unreachable { .. }) => None,
            other => Some(other.map_err(told)?),
        };
        let here = places.as_ref().map(|all| {
            let here = all.iter().filter(|(.., elsewhere)| elsewhere.is_none());
            let here: Vec<(TenantId, u8)> = here.map(|(id, shard, _)| (*id, *shard)).collect();
            let others =
                here.iter().filter(|(_, shard)| shards.get(shard).is_some_and(|it| it != name));
            apart.extend(others.map(|(id, _)| (*id, name.to_owned())));
            here.len() as u64
        });
        seen.push(Seen { name: name.to_owned(), tenants: here });
    }
    if terminal.json {
        let numbers = shards.iter().map(|(shard, name)| (shard.to_string(), name.as_str()));
        let count = |seen: &Seen| (seen.name.clone(), Value::from(seen.tenants));
        terminal.emit(&Value::map([
            ("shards", Value::map(numbers)),
            ("tenants", Value::map(apart.iter().map(|(id, name)| (id.to_string(), name.as_str())))),
            ("databases", Value::map(seen.iter().map(count))),
        ]));
        return Ok(Exit::Done);
    }
    for seen in &seen {
        let own = shards.iter().filter(|(_, name)| **name == seen.name);
        let own: Vec<String> = own.map(|(shard, _)| shard.to_string()).collect();
        let own = if own.is_empty() { "no shard".to_owned() } else { own.join(" ") };
        let tenants = seen.tenants.map_or_else(
            || terminal.tint(Tone::Bad, "away"),
            |count| counted(count, "tenant", "tenants"),
        );
        terminal.say(&format!("{:<12} {tenants:<14} shards: {own}", seen.name));
    }
    for (id, name) in &apart {
        terminal.say(&format!("{id} is in {name}, apart from its shard {}", shard_of(*id)));
    }
    Ok(Exit::Done)
}

pub(crate) fn relocate(args: &MoveArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let databases = open(&args.shared, "move")?;
    are_several(&databases)?;
    let target = databases.named(&args.to).map_err(told)?;
    let mover = Mover { databases: &databases, target, args, terminal };
    if let Some(id) = &args.what.tenant {
        mover.tenant(tenant(id)?, None)?;
        return Ok(Exit::Done);
    }
    if let Some(shard) = args.what.shard {
        return mover.shard(shard);
    }
    let share = args.what.share.unwrap_or_default();
    let wanted = usize::from(share) * usize::from(SHARDS) / 100;
    let home = databases.home().map_err(told)?;
    let shards = home.shards().map_err(told)?;
    let is_there = |elsewhere: &Option<String>| elsewhere.as_deref().unwrap_or(HOME) == args.to;
    let there = shards.iter().filter(|(_, elsewhere)| is_there(elsewhere)).count();
    let others = shards.iter().filter(|(_, elsewhere)| !is_there(elsewhere));
    for (shard, _) in others.take(wanted.saturating_sub(there)) {
        mover.shard(*shard)?;
    }
    let words = format!("{} has at least {share} % of the shards", args.to);
    mover.tell("share", &words, &[("share", u64::from(share).into())]);
    Ok(Exit::Done)
}

struct Mover<'a> {
    databases: &'a Databases,
    target: &'a PostgresStore,
    args: &'a MoveArgs,
    terminal: &'a Terminal,
}

impl Mover<'_> {
    /// Move a tenant from where it is, or from where its shard is being moved from.
    fn tenant(&self, id: TenantId, from: Option<&PostgresStore>) -> anyhow::Result<()> {
        let to = &self.args.to;
        let found = match from {
            Some(source) => source,
            None => self.source(id)?,
        };
        if found.name() == Some(to) {
            self.note(id)?;
            self.clear(id)?;
            self.tell("there", &format!("{id} is in {to} already"), &[("tenant", id.into())]);
            return Ok(());
        }
        let mut moving = Moving::new(found, self.target, id);
        (moving.grace, moving.keep) = (Duration::from_secs(self.args.grace), self.args.keep);
        let moved = moving.run(&mut |step| self.step(id, step)).map_err(told)?;
        self.note(id)?;
        self.done(id, found.name().unwrap_or(HOME), &moved);
        Ok(())
    }

    /// Where a tenant is to be moved from: where it is, or where an earlier move of it ended
    /// after the point of no return.
    fn source(&self, id: TenantId) -> anyhow::Result<&PostgresStore> {
        for name in self.databases.names().filter(|name| *name != self.args.to) {
            // One that is away has not what is found elsewhere.
            let Ok(store) = self.databases.named(name) else { continue };
            let whereabouts = store.whereabouts(id).map_err(told)?;
            let has_left = || {
                let there = self.target.whereabouts(id);
                Ok::<_, anyhow::Error>(matches!(
                    there.map_err(told)?,
                    Whereabouts::Arriving(from) if from == name
                ))
            };
            match whereabouts {
                Whereabouts::Here { begun: true } | Whereabouts::Leaving(_) => return Ok(store),
                Whereabouts::Elsewhere(to) if to == self.args.to && has_left()? => {
                    return Ok(store);
                }
                Whereabouts::Here { begun: false }
                | Whereabouts::Elsewhere(_)
                | Whereabouts::Arriving(_) => {}
            }
        }
        self.databases.at(id).map_err(told)
    }

    /// Remove what an earlier move left where it was.
    fn clear(&self, id: TenantId) -> anyhow::Result<()> {
        let others = self.databases.names().filter(|name| *name != self.args.to && !self.args.keep);
        for name in others {
            let Ok(store) = self.databases.named(name) else { continue };
            let rows = store.forget(id).map_err(told)?;
            if rows > 0 {
                self.step(id, &MoveStep::Forgotten { rows });
            }
        }
        Ok(())
    }

    /// Have the home know it, so that whoever asks finds it at once.
    fn note(&self, id: TenantId) -> anyhow::Result<()> {
        let home = self.databases.home().map_err(told)?;
        home.send_to(id, &self.args.to).map_err(told)
    }

    fn shard(&self, shard: u8) -> anyhow::Result<Exit> {
        let to = &self.args.to;
        let home = self.databases.home().map_err(told)?;
        // Where an earlier move was cut short, the home may not know yet.
        for name in self.databases.names().filter(|name| name != to) {
            let source = self.databases.named(name).map_err(told)?;
            let shards = source.shards().map_err(told)?;
            let is_here =
                shards.iter().any(|(one, elsewhere)| *one == shard && elsewhere.is_none());
            if !is_here {
                continue;
            }
            loop {
                let here = source.set_shard(shard, Some(to)).map_err(told)?;
                if here.is_empty() {
                    break;
                }
                for id in here {
                    self.tenant(id, Some(source))?;
                }
            }
        }
        self.target.set_shard(shard, None).map_err(told)?;
        if to != HOME {
            home.set_shard(shard, Some(to)).map_err(told)?;
        }
        let words = format!("shard {shard} is in {to}");
        self.tell("shard", &words, &[("shard", u64::from(shard).into())]);
        Ok(Exit::Done)
    }

    fn step(&self, id: TenantId, step: &MoveStep) {
        if self.terminal.json || self.terminal.quiet {
            return;
        }
        let entries = |count: &u64| counted(*count, "entry", "entries");
        self.terminal.note(&match step {
            MoveStep::Copied { entries: count } => format!("{id}: copied {}", entries(count)),
            MoveStep::Compared { entries: count } => format!("{id}: compared {}", entries(count)),
            MoveStep::Asked => format!("{id}: its owner is asked to let go"),
            MoveStep::Closed => format!("{id}: nobody writes"),
            MoveStep::Agreed => format!("{id}: everything came as it was"),
            MoveStep::Left => format!("{id}: left"),
            MoveStep::Here => format!("{id}: is in {}", self.args.to),
            MoveStep::Forgotten { rows } => {
                format!("{id}: removed {} where it was", counted(*rows, "row", "rows"))
            }
        });
    }

    fn done(&self, id: TenantId, from: &str, moved: &Moved) {
        let (size, root) = moved.head.unzip();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (paused, closed) = (ms(moved.paused), ms(moved.closed));
        let rows: u64 = moved.rows.values().sum();
        let words = format!(
            "{id} is in {}: {}, {} the same on both sides, the signed head is what it was; paused \
             for {paused} ms",
            self.args.to,
            counted(size.unwrap_or_default(), "entry", "entries"),
            counted(rows, "row", "rows"),
        );
        let members = [
            ("tenant", Value::from(id)),
            ("from", from.into()),
            ("to", self.args.to.as_str().into()),
            ("size", size.into()),
            ("root", root.map(|root| root.to_string()).into()),
            ("rows", rows.into()),
            ("paused_ms", paused.into()),
            ("closed_ms", closed.into()),
        ];
        self.tell("moved", &words, &members);
    }

    fn tell(&self, event: &str, words: &str, members: &[(&str, Value)]) {
        if self.terminal.json {
            let event = ("event", Value::from(event));
            let members = members.iter().map(|(name, value)| (*name, value.clone()));
            self.terminal.emit(&Value::map(std::iter::once(event).chain(members)));
        } else {
            self.terminal.say(words);
        }
    }
}
