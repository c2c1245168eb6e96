//! Opening the engine, and beginning runs.

use std::sync::Arc;

use cog_embed::{
    Actor, AnyEffect, Begin, Cleared, Effect as _, Embedded, Micros, Stands, SystemEntropy, Value,
};
use cog_store_sqlite::{Mode, SqliteStore};

use super::shop::{Done, Folder, Shop, WAIT, canon, shop};

#[test]
fn open() -> Done {
    let files = Folder::new();
    let (folder, canon) = (&files.0, canon());
    // begin: Open
    let store = SqliteStore::open(folder, Mode::ReadWrite, Box::new(SystemEntropy::new()))?;
    let engine = Embedded::open(Arc::new(store), |cleared: Cleared<AnyEffect>| {
        // Everything that is permitted comes here, once, under a receipt that is durable.
        let path = cleared.effect().args().get("path").cloned().unwrap_or(Value::Null);
        cleared.done(Value::map([("path", path), ("bytes", 1_u64.into())]), Micros::ZERO)
    })?;
    let tenant = engine.own()?;
    let (ada, cfo): (Actor, Actor) = ("user:ada".parse()?, "user:cfo".parse()?);
    tenant.found(&canon, "development", &cfo)?;
    // end
    let run = tenant.start(Begin::new(WRITE, &ada))?;
    assert_eq!(tenant.end(run, WAIT)?.status, "completed");
    engine.stop();
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

#[test]
fn begin() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Begin a run, and wait for it
    let workflow = "
name: order
domain: shop
inputs: { number: { type: integer } }
roots: { out: { path: out, access: write } }
steps:
  - id: note
    as: agent:clerk
    uses: file.write
    with: { root: out, path: '${{ inputs.number }}.txt', text: ordered }
outputs: { path: '${{ steps.note.output.path }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada).input("number", 1029))?;
    let Stands::Ended(end) = tenant.wait(run, WAIT)? else { panic!("it waits for nobody") };
    assert_eq!(end.status, "completed");
    assert_eq!(end.get("path"), Some(&"1029.txt".into()));
    // end
    Ok(())
}

#[test]
fn begin_once() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = WRITE;
    // begin: Begin it once
    let order = || Begin::new(workflow, &ada).key("order-1029");
    let run = tenant.start(order())?;
    // Whoever is not sure whether it was asked for asks again.
    assert_eq!(tenant.start(order())?, run);
    // end
    assert_eq!(tenant.end(run, WAIT)?.status, "completed");
    let other = tenant.start(order().label("of", "another"));
    assert_eq!(
        other.unwrap_err().to_string(),
        format!("something else was asked for as `order-1029`: {run}")
    );
    Ok(())
}
