//! Runs that begin others: their files, their folders and what performs their effects, and what
//! belongs together when one of them is taken up again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cog_base::id::RunId;
use cog_canon::Canon;
use cog_effect_file::RootBinding;
use cog_engine::kin;
use cog_engine::{Place, Placed, Record};
use cog_flow::{BoundRoot, Diagnostics, Flow, Opened};

use super::file::{misread, read_text, read_workflow};
use crate::cli::RunArgs;
use crate::folders::{self, Secrets};
use crate::given;
use crate::hands::{Adapters, Binder};
use crate::home::Home;
use crate::models;

/// An open run that another began, to be taken up with it.
pub(super) struct Other {
    pub(super) run: RunId,
    pub(super) roots: BTreeMap<String, RootBinding>,
    pub(super) base: PathBuf,
}

/// Read and check a workflow file, with those that its steps run: its text, and what it says.
pub(crate) fn read(file: &Path) -> anyhow::Result<(String, Flow)> {
    let source = read_workflow(file)?;
    let flow = cog_flow::parse(&source, &given::name(file));
    let flow = flow.and_then(|flow| complete(flow, file)).map_err(misread)?;
    Ok((source, flow))
}

/// The workflow with those that its steps run.
pub(super) fn complete(flow: Flow, file: &Path) -> Result<Flow, Diagnostics> {
    let id = folders::real(file).display().to_string();
    let mut open = |around: &str, name: &str| {
        let folder = Path::new(around).parent().unwrap_or(Path::new("/"));
        let path = folders::real(&folder.join(name));
        let text = read_text(&path)?;
        let id = path.display().to_string();
        Ok(Opened { file: id.clone(), id, text })
    };
    flow.with_children(&id, &mut open)
}

/// Where a root stands, apart from what no effect may reach.
pub(super) fn stand(
    root: &BoundRoot,
    path: &Path,
    secrets: &Secrets,
) -> anyhow::Result<RootBinding> {
    let path = folders::real(path);
    secrets.keep_apart(&root.name, &path)?;
    let write = root.access == cog_flow::Access::Write;
    Ok(RootBinding { path, write, create: root.create })
}

/// What makes the adapters of the runs that runs begin.
pub(super) fn binder(args: &RunArgs, data: &Path, canon: Option<Arc<Canon>>) -> Binder {
    let (args, data) = (args.clone(), data.to_owned());
    Box::new(move |place: &Place| {
        let bound = bind(&args, &data, canon.as_deref(), place);
        bound.map_err(|error| format!("{error:#}"))
    })
}

fn bind(
    args: &RunArgs,
    data: &Path,
    canon: Option<&Canon>,
    place: &Place,
) -> anyhow::Result<(Placed, Adapters)> {
    let secrets = Secrets::of_folder(data);
    let (placed, roots, base) = placed(&secrets, place)?;
    let admitted = folders::admitted(&roots, &base, canon);
    let adapters = models::adapters(args, &base, canon, place.run, &admitted, &secrets)?;
    Ok((placed, adapters))
}

/// Where the folders stand of a run that a run begins, and what its roots are bound to.
///
/// # Errors
/// When a root may not stand there.
pub(crate) fn placed(
    secrets: &Secrets,
    place: &Place,
) -> anyhow::Result<(Placed, BTreeMap<String, RootBinding>, PathBuf)> {
    let base = match &place.workflow {
        Some(workflow) => {
            let file = Path::new(&place.base).join(workflow);
            folders::real(file.parent().unwrap_or(Path::new("/")))
        }
        None => PathBuf::from(&place.base),
    };
    let (mut roots, mut places) = (BTreeMap::new(), BTreeMap::new());
    for root in &place.roots {
        let binding = stand(root, &base.join(&root.path), secrets)?;
        places.insert(root.name.clone(), folders::on_record(&binding.path)?);
        roots.insert(root.name.clone(), binding);
    }
    Ok((Placed { base: folders::on_record(&base)?, places }, roots, base))
}

/// The entries of all other runs of the tree of a run.
pub(crate) fn kin(home: &Home, run: RunId, records: &[Record]) -> anyhow::Result<Vec<Vec<Record>>> {
    kin::kin(run, records, |id| home.history(id))
}
