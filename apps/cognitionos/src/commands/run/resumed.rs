//! Taking an open run up again: it is rebuilt while its entries are read, so that what is held of it is
//! its state and not all that it did.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::id::RunId;
use cog_engine::fork::Fork;
use cog_engine::rebuilt::Known;
use cog_engine::{Input, Mismatch, Rebuilt, Record, Tree};
use cog_gate::Actor;
use cog_store::{StoreError, TenantTx};

use super::answered::Answered;
use super::cancel::Ending;
use super::family::Other;
use super::prepare::{mismatch, standing};
use super::{Before, Plan};
use crate::cli::Common;
use crate::given;
use crate::home::{Home, told};
use crate::view::Counts;

/// What is seen of a tree of runs as it is read.
#[derive(Default)]
struct Seen {
    /// What the run that is taken up did itself.
    counts: Counts,
    answered: Answered,
    /// The entries of which a body is missing.
    absent: Vec<u64>,
}

impl Seen {
    fn look(&mut self, record: &Record, is_named: bool) {
        let entry = &record.entry;
        if record.body.is_none() && entry.commit().is_some() {
            self.absent.push(entry.seq());
        }
        self.answered.look(record);
        // What came before a fork is not its own.
        if Fork::of(entry).is_some() {
            self.counts = Counts::default();
        }
        if is_named {
            self.counts.count(entry);
        }
    }
}

/// Why a tree is not read.
enum Not {
    Away(StoreError),
    Followed(Mismatch),
}

/// Rebuild an open run from the ledger, to go on with it or to end it.
pub(super) fn plan(
    home: &Home,
    run: &str,
    cancel: Option<(Actor, String)>,
    common: &Common,
) -> anyhow::Result<Plan> {
    let run = home.newest_of(given::run(run)?)?;
    home.is_open(run)?;
    let mut canons = BTreeMap::new();
    let mut known = |digest| {
        // One that does not load lets nothing count.
        let kept = || home.canon(digest).ok().flatten().map(Arc::new);
        Ok(canons.entry(digest).or_insert_with(kept).clone())
    };
    let mut seen = Seen::default();
    let tree = tree(&*home.scope()?, run, &mut known, &mut seen);
    home.accounted(&seen.absent)?;
    let mut tree = match tree {
        Ok(tree) => tree,
        Err(Not::Away(error)) => return Err(told(error)),
        Err(Not::Followed(why)) => return Err(mismatch(run, &why)),
    };
    let is_ending = cancel.is_some();
    let mut others = Vec::new();
    for one in tree.below().map(Rebuilt::history).filter(|it| !it.is_sealed()) {
        let (roots, base) = standing(one, run, is_ending, &common.data)?;
        others.push(Other { run: one.origin().session, roots, base });
    }
    let history = tree.run.history();
    let (roots, base) = standing(history, run, is_ending, &common.data)?;
    let (domain, environment) =
        (history.origin().domain.clone(), history.origin().environment.clone());
    let ending = cancel.as_ref().map(|(who, reason)| Ending::of(history, who, reason));
    tree.cancel = cancel;
    let Seen { counts, answered, .. } = seen;
    let input = Input::TakeUp(Box::new(tree));
    Ok(Plan {
        run,
        input,
        domain,
        environment,
        roots,
        named: BTreeMap::new(),
        base,
        ending,
        before: Before { others, counts, answered: answered.by_model() },
    })
}

/// The tree of a run, the others of it behind the run itself.
fn tree(
    scope: &dyn TenantTx,
    run: RunId,
    known: &mut Known<'_>,
    seen: &mut Seen,
) -> Result<Tree, Not> {
    Tree::read(run, |id| {
        let is_named = id == run;
        let mut look = |record: &Record| seen.look(record, is_named);
        Rebuilt::read(scope, id, known, &mut look).map_err(Not::Away)?.map_err(Not::Followed)
    })
}
