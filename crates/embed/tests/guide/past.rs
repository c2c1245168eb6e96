//! What was, and going on from it.

use cog_embed::replays::Came;
use cog_embed::{Begin, Error, Signal};

use super::shop::{Done, Shop, WAIT, shop};

#[test]
fn checkpoints() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Checkpoints
    let workflow = "
name: stock
domain: shop
inputs: { pens: { type: integer, default: 3 } }
steps:
  - { id: count, uses: compute, with: { pens: '${{ inputs.pens }}' } }
  - { id: counted, needs: [count], checkpoint: counted }
  - { id: order, needs: [counted], uses: compute, with: { pens: '${{ 10 - inputs.pens }}' } }
  - { id: confirmed, needs: [order], wait_for: { signal: confirmed } }
outputs: { ordered: '${{ steps.order.output.pens }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.wait(run, WAIT)?;
    // A step of the file has made one; here is another, where the run stands now.
    tenant.checkpoint(run, "asked", None, &ada)?;
    let names: Vec<String> = tenant.checkpoints(run)?.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["counted", "asked"]);
    // A run that goes on from there, with other inputs from there on.
    let other = tenant.fork(run, "counted", &[("pens", "4")], &ada)?;
    tenant.signal(other, Signal::new("confirmed", &ada))?;
    assert_eq!(tenant.end(other, WAIT)?.get("ordered"), Some(&6_u64.into()));
    // end
    Ok(())
}

#[test]
fn forks() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Fork
    let workflow = "
name: discount
domain: shop
inputs: { percent: { type: integer, default: 10 } }
roots: { out: { path: out, access: write } }
steps:
  - { id: read, as: 'agent:clerk', uses: file.write, with: { root: out, path: a.txt, text: a } }
  - { id: price, needs: [read], uses: compute, with: { cents: '${{ 1000 - inputs.percent * 10 }}' } }
outputs: { cents: '${{ steps.price.output.cents }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    assert_eq!(tenant.end(run, WAIT)?.get("cents"), Some(&900_u64.into()));
    // What was over when `price` began stays as it was, and nothing of it is done again.
    let other = tenant.fork(run, "price", &[("percent", "20")], &ada)?;
    assert_eq!(tenant.end(other, WAIT)?.get("cents"), Some(&800_u64.into()));
    // end
    Ok(())
}

#[test]
fn redrive() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: What failed, driven again
    let workflow = "
name: divide
domain: shop
inputs: { by: { type: integer, default: 0 } }
steps:
  - { id: read, uses: compute, with: { cents: 100 } }
  - { id: share, needs: [read], uses: compute, with: { cents: '${{ 100 / inputs.by }}' } }
outputs: { cents: '${{ steps.share.output.cents }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    assert_eq!(tenant.end(run, WAIT)?.status, "failed");
    let again = tenant.redrive(run, &[("by", "4")], &ada)?;
    assert_eq!(tenant.end(again, WAIT)?.get("cents"), Some(&25_u64.into()));
    // end
    Ok(())
}

#[test]
fn replays() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = WRITE;
    // begin: Replay
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.end(run, WAIT)?;
    // Every entry follows from definition and inputs, and every decision comes out the same.
    let replayed = tenant.replay(run)?;
    assert_eq!(replayed.came(), Came::Same);
    assert_eq!(replayed.same(), 1);
    // What came of it can be kept, and is found again.
    let id = tenant.replay_and_keep(run, &ada)?;
    assert_eq!(tenant.replays(run)?.len(), 1);
    assert_eq!(tenant.replay_kept(id)?.entry.text("result"), Some("same"));
    // end
    Ok(())
}

#[test]
fn states() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = WRITE;
    // begin: The state of a run at an entry
    let run = tenant.start(Begin::new(workflow, &ada))?;
    let end = tenant.end(run, WAIT)?;
    let state = tenant.state(run, &end.seal.to_string())?;
    assert_eq!(state.state().get("status"), Some(&"completed".into()));
    // Whoever has the entries works out the same, and compares the digest.
    assert_eq!(state.digest(), tenant.state(run, &end.seal.to_string())?.digest());
    // end
    Ok(())
}

#[test]
fn definitions() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = WRITE;
    // begin: A changed workflow, tested on what was
    tenant.end(tenant.start(Begin::new(workflow, &ada))?, WAIT)?;
    let changed = workflow.replace("path: a.txt", "path: b.txt");
    let tested = tenant.test(&Begin::new(&changed, &ada))?;
    assert_eq!(tested[0].result(), "differs");
    assert_eq!(tenant.test(&Begin::new(workflow, &ada))?[0].result(), "same");
    // end
    Ok(())
}

#[test]
fn versions() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = WRITE;
    // begin: Versions of a workflow
    tenant.end(tenant.start(Begin::new(workflow, &ada))?, WAIT)?;
    assert_eq!(tenant.activate(&Begin::new(workflow, &ada), None)?.number, 1);
    // From here on nothing else is started under that name.
    let changed = workflow.replace("path: a.txt", "path: b.txt");
    let run = tenant.start(Begin::new(&changed, &ada))?;
    assert!(matches!(tenant.end(run, WAIT), Err(Error::Refused(_))));
    // What recorded runs do not follow from takes a reason.
    let begin = Begin::new(&changed, &ada);
    assert!(matches!(tenant.activate(&begin, None), Err(Error::RunsDiffer { runs: 1, .. })));
    assert_eq!(tenant.activate(&begin, Some("the shop moved"))?.number, 2);
    tenant.end(tenant.start(begin)?, WAIT)?;
    let versions = tenant.versions()?;
    assert_eq!(versions.active("shop", "write").map(|it| it.number), Some(2));
    // Its name is enough to run it, wherever its file is.
    tenant.end(tenant.start(tenant.begin("write", &ada)?)?, WAIT)?;
    assert!(matches!(tenant.begin("wirte", &ada), Err(Error::Unnamed { .. })));
    // end
    Ok(())
}

#[test]
fn histories() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = WRITE;
    // begin: The history of a run, page by page
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.end(run, WAIT)?;
    let (mut kinds, mut from) = (Vec::new(), 0);
    loop {
        let page = tenant.history(run, from, 2)?;
        let Some(last) = page.last() else { break };
        from = last.entry.seq() + 1;
        kinds.extend(page.iter().map(|record| record.entry.kind().as_str()));
    }
    assert_eq!(kinds, ["session.started", "receipt", "outcome", "session.sealed"]);
    // end
    Ok(())
}

/// A run of one effect.
const WRITE: &str = "
name: write
domain: shop
roots: { out: { path: out, access: write } }
steps:
  - { id: write, as: 'agent:clerk', uses: file.write, with: { root: out, path: a.txt, text: a } }
";
