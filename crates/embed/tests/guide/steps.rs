//! What the steps of a workflow can do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cog_embed::{AnyEffect, Begin, Cleared, Embedded, Failure, Micros, Value};

use super::shop::{Done, Folder, Shop, WAIT, founded, perform, shop};

#[test]
fn branches() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Branches, joins, conditions
    let workflow = "
name: price
domain: shop
inputs: { cents: { type: integer } }
steps:
  - { id: net, uses: compute, with: { cents: '${{ inputs.cents }}' } }
  - { id: tax, uses: compute, with: { cents: '${{ inputs.cents / 5 }}' } }
  - id: gross
    needs: [net, tax]
    uses: compute
    with: { cents: '${{ steps.net.output.cents + steps.tax.output.cents }}' }
  - id: gift
    needs: [gross]
    if: steps.gross.output.cents > 10000
    uses: compute
    with: { what: a pen }
outputs:
  cents: '${{ steps.gross.output.cents }}'
  gift: '${{ steps.gift.status }}'
";
    let run = tenant.start(Begin::new(workflow, &ada).input("cents", 2000))?;
    let end = tenant.end(run, WAIT)?;
    assert_eq!(end.output.to_string(), r#"{"cents":2400,"gift":"skipped"}"#);
    // end
    Ok(())
}

#[test]
fn each() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: For each item
    let workflow = "
name: ship-all
domain: shop
inputs: { orders: { type: list } }
roots: { out: { path: out, access: write } }
steps:
  - id: ship
    foreach: '${{ inputs.orders }}'
    max_parallel: 4
    on_error: continue
    as: agent:clerk
    uses: file.write
    with: { root: out, path: '${{ item }}.txt', text: shipped }
outputs: { shipped: \"${{ steps.ship.output.filter(it, it.status == 'completed').size() }}\" }
";
    let begin = Begin::new(workflow, &ada).input("orders", r#"["1029","1030","1031"]"#);
    let run = tenant.start(begin)?;
    assert_eq!(tenant.end(run, WAIT)?.get("shipped"), Some(&3_u64.into()));
    // end
    Ok(())
}

#[test]
fn retries() -> Done {
    let files = Folder::new();
    let store = files.store()?;
    // begin: Retries
    let tries = AtomicU64::new(0);
    let engine = Embedded::open(store, move |cleared: Cleared<AnyEffect>| {
        // However often it is tried, it is the same act, under one receipt.
        if tries.fetch_add(1, Ordering::Relaxed) < 2 {
            let (code, message) = ("http.connect".to_owned(), "nobody answers".to_owned());
            let failure = Failure { code, message, transient: true };
            return cleared.failed(failure, Micros::ZERO);
        }
        cleared.done(Value::map([("path", "a.txt"), ("bytes", "1")]), Micros::ZERO)
    })?;
    let workflow = "
name: stubborn
domain: shop
roots: { out: { path: out, access: write } }
steps:
  - id: write
    as: agent:clerk
    uses: file.write
    with: { root: out, path: a.txt, text: a }
    retry: { attempts: 3, backoff_ms: 10, factor: 2, jitter_percent: 20 }
";
    // end
    let (tenant, ada) = founded(&engine)?;
    let run = tenant.start(Begin::new(workflow, &ada))?;
    assert_eq!(tenant.end(run, WAIT)?.status, "completed");
    Ok(())
}

#[test]
fn timeouts() -> Done {
    let files = Folder::new();
    let store = files.store()?;
    // begin: Timeouts
    let engine = Embedded::open(store, |cleared: Cleared<AnyEffect>| {
        std::thread::park_timeout(Duration::from_secs(60));
        cleared.unknown()
    })?;
    let workflow = "
name: impatient
domain: shop
budget: { minutes: 10 }
roots: { out: { path: out, access: read } }
steps:
  - id: read
    as: agent:clerk
    uses: file.read
    with: { root: out, path: a.txt }
    timeout_ms: 50
    retry: { attempts: 2, backoff_ms: 10, on: [timeout] }
    on_error: continue
outputs: { code: '${{ steps.read.error.code }}' }
";
    // end
    let (tenant, ada) = founded(&engine)?;
    let run = tenant.start(Begin::new(workflow, &ada))?;
    assert_eq!(tenant.end(run, WAIT)?.get("code"), Some(&"effect.timeout".into()));
    engine.stop();
    Ok(())
}

#[test]
fn timers() -> Done {
    let Shop { tenant, ada, engine, folder, .. } = shop()?;
    // begin: Timers
    let workflow = "
name: later
domain: shop
inputs: { ms: { type: integer, default: 200 } }
steps:
  - { id: wait, sleep: { ms: '${{ inputs.ms }}' } }
  - { id: note, needs: [wait], uses: compute, with: { text: it is time } }
outputs: { said: '${{ steps.note.output.text }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    // The time is in the log: it comes whether this process lives then or another one.
    tenant.stands(run)?;
    drop(tenant);
    engine.stop();
    let engine = Embedded::open(folder.store()?, perform)?;
    assert_eq!(engine.own()?.end(run, WAIT)?.get("said"), Some(&"it is time".into()));
    // end
    Ok(())
}

#[test]
fn children() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Child runs
    let order = "
name: order
domain: shop
inputs: { number: { type: integer } }
steps:
  - { id: price, uses: compute, with: { cents: '${{ inputs.number * 100 }}' } }
outputs: { cents: '${{ steps.price.output.cents }}' }
";
    let workflow = "
name: orders
domain: shop
steps:
  - { id: one, run: { workflow: ./order.yaml, inputs: { number: 3 } } }
outputs: { cents: '${{ steps.one.output.cents }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada).file("./order.yaml", order))?;
    assert_eq!(tenant.end(run, WAIT)?.get("cents"), Some(&300_u64.into()));
    // end
    Ok(())
}

#[test]
fn again() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Continue as new
    let workflow = "
name: count
domain: shop
inputs: { round: { type: integer, default: 1 } }
steps:
  - { id: rest, sleep: { ms: 1000 } }
  - id: again
    needs: [rest]
    if: inputs.round < 2
    continue_as_new: { inputs: { round: '${{ inputs.round + 1 }}' } }
outputs: { rounds: '${{ inputs.round }}' }
";
    let first = tenant.start(Begin::new(workflow, &ada))?;
    // What is asked of a chain by its first run is about its last.
    let end = tenant.end(first, WAIT)?;
    assert_eq!(end.get("rounds"), Some(&2_u64.into()));
    assert_ne!(end.run, first);
    // end
    Ok(())
}
