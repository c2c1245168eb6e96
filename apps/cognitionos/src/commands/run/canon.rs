//! Which canon decides in a run, and how the first run of a domain founds it.

use std::path::Path;
use std::sync::Arc;

use cog_base::Digest;
use cog_base::words::counted;
use cog_canon::{Canon, Source};
use cog_engine::Input;
use cog_gate::Actor;
use cog_gate::act::{Facts, Put};
use cog_ledger::Draft;
use cog_store::StoreError;

use super::Plan;
use super::again::word;
use crate::canon_dir;
use crate::cli::RunArgs;
use crate::commands::canon::warn;
use crate::commands::refused::{act, explained, put, record};
use crate::failure::{Exit, Failure};
use crate::home::{Home, no_canon, told};
use crate::terminal::{Terminal, Tone, plain};

/// What to do about a canon that does not load.
const MEND: &str = "mend the file at that place; docs/guide/canon.md says what can stand there";

/// What decides.
pub(super) struct Bound {
    /// The canon; without one everything is refused.
    pub(super) canon: Option<Arc<Canon>>,
    /// Its files, when it is to be put in force as the first of its domain.
    new: Option<Source>,
}

impl Bound {
    /// Nothing does.
    pub(super) fn none() -> Self {
        Self { canon: None, new: None }
    }

    pub(super) fn known(canon: Canon) -> Self {
        Self { canon: Some(Arc::new(canon)), new: None }
    }

    /// What puts the first canon of a domain in force, for it to be recorded.
    pub(super) fn foundation(
        &self,
        home: &Home,
        environment: &str,
        actor: &Actor,
    ) -> anyhow::Result<Option<Draft>> {
        let (Some(canon), Some(_)) = (&self.canon, &self.new) else { return Ok(None) };
        if !actor.is_person() {
            return Err(no_founder(canon, actor));
        }
        Ok(Some(home.change_control()?.found(canon, environment, actor)?))
    }

    /// Put the first canon of a domain in force; nothing to do for any other. It is recorded
    /// when everything else that a run needs is there.
    pub(super) fn found(
        &self,
        home: &Home,
        environment: &str,
        actor: &Actor,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let (Some(canon), Some(source)) = (&self.canon, &self.new) else { return Ok(()) };
        home.keep_canon(source, canon.digest())?;
        home.append(self.foundation(home, environment, actor)?.into_iter().collect())?;
        terminal.note(&format!(
            "canon {} founds the domain `{}` ({})",
            plain(canon.name()),
            canon.domain(),
            canon.digest().short()
        ));
        Ok(())
    }
}

/// The canon in force in the run's domain. The first run of a domain founds it from the
/// folder; later the folder must be the version in force, or be proposed. Nothing is recorded
/// yet: see [`Bound::found`].
pub(super) fn bind(
    home: &Home,
    plan: &Plan,
    (args, actor): (&RunArgs, Option<&Actor>),
    terminal: &Terminal,
) -> anyhow::Result<Bound> {
    let change = home.change_control()?;
    let in_force = change.in_force(&plan.domain);
    let beside = plan.base.join("canon");
    let dir = args.begin.canon.clone().or_else(|| canon_dir::is_canon(&beside).then_some(beside));
    let Some(dir) = dir else {
        let Some(digest) = in_force else {
            terminal.note(&terminal.tint(
                Tone::Ask,
                "no canon: no --canon DIR and no folder `canon` beside the workflow, so everything is refused",
            ));
            return Ok(Bound::none());
        };
        return in_force_as_kept(home, digest);
    };
    let (source, canon) = canon_dir::load(&dir).map_err(|error| {
        if !canon_dir::is_canon(&dir) {
            return error;
        }
        let message = error.to_string();
        let put = put(Err(&message));
        let error = Failure::coded(Exit::Refused, "canon.not_loaded", message, MEND);
        not_begun(home, plan, actor, Put { in_force, ..put }, error)
    })?;
    if canon.domain() != plan.domain {
        let message = format!(
            "the canon in {} is for the domain `{}`, the workflow belongs to `{}`",
            dir.display(),
            canon.domain(),
            plan.domain
        );
        let advice = "name a canon of that domain with --canon DIR";
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    match in_force {
        Some(digest) if digest == canon.digest() => {
            keep_again(home, &source, digest, terminal)?;
            Ok(Bound::known(canon))
        }
        Some(digest) if args.begin.canon.is_none() => {
            let message = format!(
                "the folder {} is not the canon in force ({}); the one in force decides. To change it: cognitionos canon propose {} --as user:NAME",
                dir.display(),
                digest.short(),
                word(&dir.display().to_string())
            );
            terminal.warn(&message);
            in_force_as_kept(home, digest)
        }
        Some(digest) => Err(Failure::advise(
            Exit::Conflict,
            format!(
                "the canon in force in `{}` is {}, and {} is {}: a canon changes only by proposal",
                plan.domain,
                digest.short(),
                dir.display(),
                canon.digest().short()
            ),
            format!(
                "cognitionos canon propose {} --as user:NAME",
                word(&dir.display().to_string())
            ),
        )),
        None => {
            let put = put(Ok(&canon));
            founding(source, canon, (&dir, actor), terminal)
                .map_err(|error| not_begun(home, plan, actor, put, error))
        }
    }
}

/// A run that is refused before it begins, on the record if somebody is named: what should bind it
/// does not hold.
fn not_begun(
    home: &Home,
    plan: &Plan,
    actor: Option<&Actor>,
    put: Put,
    error: anyhow::Error,
) -> anyhow::Error {
    let (Input::Start(start), Some(actor)) = (&plan.input, actor) else { return error };
    let resource = format!("Workflow::\"{}\"", start.flow.name);
    let mut act = act(home.tenant, &plan.domain, actor, "run.start", resource);
    act.environment.clone_from(&plan.environment);
    let append = |draft| home.append(vec![draft]).map(drop);
    explained(error, record(home, &act, &Facts::Put(put), None, &append))
}

/// Put the files of the version in force back if they are gone or changed. Their digest was
/// compared; nothing is recorded.
fn keep_again(
    home: &Home,
    source: &Source,
    digest: Digest,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    match home.scope()?.canon(digest) {
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(StoreError::Corrupt { .. }) => {
            home.keep_canon(source, digest)?;
            let digest = digest.short();
            terminal.note(&terminal.tint(
                Tone::Ask,
                &format!(
                    "the files of the canon in force, {digest}, were gone; they are kept again"
                ),
            ));
            Ok(())
        }
        Err(error) => Err(told(error)),
    }
}

/// The version in force as it was kept.
fn in_force_as_kept(home: &Home, digest: Digest) -> anyhow::Result<Bound> {
    let canon = home.canon(digest)?.ok_or_else(|| no_canon(digest))?;
    Ok(Bound { canon: Some(Arc::new(canon)), new: None })
}

/// The first canon of a domain, if its own tests pass.
fn founding(
    source: Source,
    canon: Canon,
    (dir, actor): (&Path, Option<&Actor>),
    terminal: &Terminal,
) -> anyhow::Result<Bound> {
    let report = canon.test();
    let failed = report.failed.len();
    warn(&canon, &report, terminal);
    if failed > 0 {
        let fail = "of the canon's tests fail";
        let fail = counted(failed as u64, "of the canon's tests fails", fail);
        return Err(Failure::coded(
            Exit::Refused,
            "canon.tests_failed",
            format!("{fail}, so it cannot be put in force"),
            format!("cognitionos canon test {}", word(&dir.display().to_string())),
        ));
    }
    if let Some(actor) = actor.filter(|actor| !actor.is_person()) {
        return Err(no_founder(&canon, actor));
    }
    Ok(Bound { canon: Some(Arc::new(canon)), new: Some(source) })
}

fn no_founder(canon: &Canon, actor: &Actor) -> anyhow::Error {
    let message = format!(
        "the first run of the domain `{}` founds its canon, and {actor} is no person: agents and \
         services may propose a canon, not put one in force",
        canon.domain()
    );
    let advice = "run it once with --as user:NAME, and from then on as before";
    Failure::advise(Exit::Refused, message, advice)
}
