//! When runs begin, in which order, and how they are found.

use cog_base::{Clock as _, Timestamp, Value};
use cog_embed::runs::{Status, Wanted};
use cog_embed::{Begin, Signal, Stands, SystemClock};

use super::shop::{Done, Shop, WAIT, shop};

#[test]
fn limits() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Limits and priorities
    let workflow = "
name: sync
domain: shop
inputs: { customer: { type: string } }
concurrency: { key: '${{ inputs.customer }}', limit: 1 }
rate: { key: '${{ inputs.customer }}', count: 100, per_seconds: 60 }
steps:
  - { id: done, wait_for: { signal: done } }
";
    let sync = || Begin::new(workflow, &ada).input("customer", "acme");
    let first = tenant.start(sync())?;
    tenant.wait(first, WAIT)?;
    // One at a time of a customer: the others wait for their turn, 9 before 0.
    let (low, high) = (tenant.start(sync().priority(0))?, tenant.start(sync().priority(9))?);
    while tenant.stands(low)? != Stands::Queued || tenant.stands(high)? != Stands::Queued {}
    tenant.signal(first, Signal::new("done", &ada))?;
    assert!(matches!(tenant.wait(high, WAIT)?, Stands::Waits(_)));
    assert_eq!(tenant.stands(low)?, Stands::Queued);
    // end
    Ok(())
}

#[test]
fn schedules() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Schedules
    let workflow = "
name: nightly
domain: shop
inputs: { depth: { type: integer, default: 1 } }
on:
  schedule:
    - { id: nightly, cron: '0 3 * * *', timezone: Europe/Berlin, inputs: { depth: 2 } }
    - { id: often, every_ms: 1000, overlap: buffer_one }
steps:
  - { id: count, uses: compute, with: { depth: '${{ inputs.depth }}' } }
";
    tenant.set_starts(&Begin::new(workflow, &ada))?;
    let starts = tenant.starts()?;
    assert!(starts.plans()["nightly"].next().is_some());
    // The engine keeps to them; what it missed while it did not run is made up for, or left out.
    while tenant.runs(&Wanted::newest(10))?.runs.is_empty() {
        std::thread::yield_now();
    }
    tenant.remove_start("often", &ada)?;
    // Somebody may ask for a run now, or for a time that was left out.
    let run = tenant.trigger("nightly", &ada)?;
    tenant.end(run, WAIT)?;
    let march: (Timestamp, Timestamp) =
        ("2020-03-01T00:00:00.000000Z".parse()?, "2020-03-03T23:00:00.000000Z".parse()?);
    for at in tenant.left_out("nightly", march, 100)? {
        let run = tenant.backfill("nightly", at, &ada)?;
        tenant.end(run, WAIT)?;
    }
    assert_eq!(tenant.left_out("nightly", march, 100)?, []);
    tenant.pause_start("nightly", &ada)?;
    assert!(tenant.starts()?.plans()["nightly"].next().is_none());
    tenant.unpause_start("nightly", &ada)?;
    // end
    for (at, why) in [
        ("2020-03-02T02:00:00.000000Z", "a run was started for that time"),
        ("2020-03-02T02:00:01.000000Z", "is none of its times"),
    ] {
        let no = tenant.backfill("nightly", at.parse()?, &ada).unwrap_err().to_string();
        assert!(no.contains(why), "{no}");
    }
    Ok(())
}

#[test]
fn events() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Events
    let workflow = "
name: ship-when-told
domain: shop
inputs: { order: { type: string } }
on:
  event:
    - { id: paid, type: com.example.order.paid, if: event.data.cents > 100,
        inputs: { order: '${{ event.data.order }}' } }
steps:
  - { id: note, uses: compute, with: { text: 'ship ${{ inputs.order }}' } }
outputs: { said: '${{ steps.note.output.text }}' }
";
    tenant.set_starts(&Begin::new(workflow, &ada))?;
    let data = Value::map([("order", Value::from("1029")), ("cents", 500_u64.into())]);
    let event = Value::map([
        ("specversion", Value::from("1.0")),
        ("type", "com.example.order.paid".into()),
        ("source", "/shop".into()),
        ("id", "7".into()),
        ("data", data),
    ]);
    let runs = tenant.bring(event.clone())?;
    assert_eq!(tenant.end(runs[0], WAIT)?.get("said"), Some(&"ship 1029".into()));
    // Of the same event there is one run, however often it is brought.
    assert_eq!(tenant.bring(event)?, runs);
    // end
    Ok(())
}

#[test]
fn labels() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Labels, and finding runs
    let workflow = "
name: ship
domain: shop
inputs: { customer: { type: string } }
labels: { customer: '${{ inputs.customer }}' }
steps:
  - { id: note, uses: compute, with: { text: shipped } }
";
    for customer in ["acme", "acme", "bell"] {
        let begin = Begin::new(workflow, &ada).input("customer", customer).label("team", "night");
        tenant.end(tenant.start(begin)?, WAIT)?;
    }
    let labels = [("customer".to_owned(), "acme".to_owned())].into();
    let status = Some(Status::Completed);
    let wanted = Wanted { labels, status, ..Wanted::newest(1) };
    let page = tenant.runs(&wanted)?;
    assert!(page.is_more);
    let next = Wanted { after: page.runs.last().map(|run| run.id), ..wanted };
    assert_eq!(tenant.runs(&next)?.runs.len(), 1);
    // end
    Ok(())
}

#[test]
fn later() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    let workflow = "
name: soon
domain: shop
steps: [ { id: note, uses: compute, with: { text: now } } ]
";
    // begin: Begin it later
    let at: Timestamp = SystemClock.now().plus_ms(300);
    let run = tenant.start(Begin::new(workflow, &ada).not_before(at))?;
    tenant.end(run, WAIT)?;
    assert!(SystemClock.now() >= at);
    // end
    Ok(())
}
