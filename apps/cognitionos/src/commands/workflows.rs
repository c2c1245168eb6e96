//! `workflows`: from which version of its definition a workflow is started.

mod activate;
mod show;

use cog_base::Value;
use cog_engine::Versions;
use cog_engine::versions::Version;

use crate::cli::Common;
use crate::cli::workflows::{Of, WorkflowsCommand};
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::terminal::{Terminal, plain};

pub(crate) fn workflows(
    command: &WorkflowsCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        WorkflowsCommand::Activate(args) => activate::activate(args, common, terminal),
        WorkflowsCommand::Restore(args) => activate::restore(args, common, terminal),
        WorkflowsCommand::List { at } => {
            show::list(&Home::at(at, || Home::read(&common.data))?, terminal)
        }
        WorkflowsCommand::Show { workflow, of, at } => {
            show::show(&Home::at(at, || Home::read(&common.data))?, (workflow, of), terminal)
        }
        WorkflowsCommand::Diff { name, from, to, of, at } => {
            let home = Home::at(at, || Home::read(&common.data))?;
            show::diff(&home, (name, of), (*from, *to), terminal)
        }
    }
}

/// The versions of a ledger.
fn versions(home: &Home) -> anyhow::Result<Versions> {
    Versions::read(&*home.scope()?).map_err(told)
}

/// The versions of one workflow, oldest first.
fn of_name<'a>(versions: &'a Versions, (name, of): (&str, &Of)) -> anyhow::Result<&'a [Version]> {
    let is_it = |first: &Version| {
        first.workflow == name && of.domain.as_ref().is_none_or(|domain| *domain == first.domain)
    };
    let all = versions.all().filter(|all| all.first().is_some_and(is_it));
    match all.collect::<Vec<_>>().as_slice() {
        [all] => Ok(all),
        [] => {
            let message = format!("no version of a workflow `{}` is active", plain(name));
            Err(Failure::advise(Exit::BadInput, message, "cognitionos workflows list"))
        }
        several => {
            let domains = several.iter().filter_map(|all| all.first());
            let domains: Vec<String> = domains.map(|it| plain(&it.domain)).collect();
            let message = format!(
                "several domains have a workflow `{}`: {}",
                plain(name),
                domains.join(", ")
            );
            Err(Failure::advise(Exit::BadInput, message, "say which with --domain NAME"))
        }
    }
}

/// The version of this number.
fn numbered(all: &[Version], number: u64) -> anyhow::Result<&Version> {
    all.iter().find(|version| version.number == number).ok_or_else(|| {
        let name = all.first().map(|first| plain(&first.workflow)).unwrap_or_default();
        let message = format!("there is no version {number} of `{name}`");
        Failure::advise(Exit::BadInput, message, format!("cognitionos workflows show {name}"))
    })
}

/// A version for programs.
fn document(version: &Version, is_active: bool) -> Vec<(&'static str, Value)> {
    vec![
        ("workflow", Value::from(version.workflow.as_str())),
        ("domain", version.domain.as_str().into()),
        ("version", version.number.into()),
        ("active", is_active.into()),
        ("definition", version.definition.into()),
        ("tested", version.tested.clone()),
        ("by", version.by.as_str().into()),
        ("at", version.at.into()),
        ("entry", version.seq.into()),
    ]
}
