//! What people and others outside do about runs.

use cog_embed::{Actor, Begin, Error, Signal, Stands, Value};

use super::shop::{Done, Shop, WAIT, shop};

#[test]
fn signals() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Signals
    let workflow = "
name: ship-when-paid
domain: shop
steps:
  - { id: paid, wait_for: { signal: payment, where: { order: '1029' }, timeout_ms: 86400000 } }
outputs: { by: '${{ steps.paid.output.payload.by }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    let payment = Value::map([("order", "1029"), ("by", "bob")]);
    // The id makes it one signal, however often it is sent.
    tenant.signal(run, Signal::new("payment", &ada).payload(payment).id("transfer-7"))?;
    assert_eq!(tenant.end(run, WAIT)?.get("by"), Some(&"bob".into()));
    // end
    Ok(())
}

#[test]
fn approvals() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, cfo, .. } = shop()?;
    // begin: Approvals
    let workflow = "
name: refund
domain: shop
steps:
  - { id: agree, approve: { by: ['user:cfo'], message: Refund order 1029?, expires_minutes: 60 } }
outputs: { by: '${{ steps.agree.output.by }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    let Stands::Waits(_) = tenant.wait(run, WAIT)? else { panic!("it waits for people") };
    for approval in tenant.approvals(run)? {
        // Whoever began it does not agree to it.
        assert!(matches!(tenant.approve(approval, &ada), Err(Error::Refused(_))));
        // `reject` says no, for a reason.
        tenant.approve(approval, &cfo)?;
    }
    assert_eq!(tenant.end(run, WAIT)?.output.to_string(), r#"{"by":["user:cfo"]}"#);
    // end
    Ok(())
}

#[test]
fn forms() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, cfo, .. } = shop()?;
    // begin: Forms
    let workflow = "
name: discount
domain: shop
steps:
  - id: agree
    approve:
      by: ['user:cfo']
      message: How much less for order 1029?
      form: { percent: { type: integer }, way: { type: string, enum: [voucher, cash], default: voucher } }
outputs: { less: '${{ steps.agree.output.form.percent }} as ${{ steps.agree.output.form.way }}' }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.wait(run, WAIT)?;
    for approval in tenant.approvals(run)? {
        // What is missing or unfit is not taken, and asked for again.
        assert!(matches!(tenant.approve(approval, &cfo), Err(Error::Refused(_))));
        tenant.approve_with(approval, &cfo, &[("percent", 5_u64.into())])?;
    }
    assert_eq!(tenant.end(run, WAIT)?.get("less"), Some(&"5 as voucher".into()));
    // end
    Ok(())
}

#[test]
fn delegates() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, cfo, .. } = shop()?;
    // begin: Delegates
    let workflow = "
name: credit
domain: shop
steps:
  - { id: agree, approve: { by: ['user:cfo'], message: Credit for order 1029? } }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.wait(run, WAIT)?;
    let deputy: Actor = "user:deputy".parse()?;
    for approval in tenant.approvals(run)? {
        // The canon names the deputy under `[runs] delegate`. Who began the run answers for nobody.
        assert!(matches!(tenant.delegate(approval, &cfo, &ada), Err(Error::Refused(_))));
        tenant.delegate(approval, &cfo, &deputy)?;
        assert!(matches!(tenant.approve(approval, &cfo), Err(Error::Refused(_))));
        tenant.approve(approval, &deputy)?;
    }
    assert_eq!(tenant.end(run, WAIT)?.status, "completed");
    // end
    Ok(())
}

#[test]
fn cancelling() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, cfo, .. } = shop()?;
    // begin: Cancel, and undo
    let workflow = "
name: book
domain: shop
roots: { out: { path: out, access: write } }
steps:
  - id: book
    as: agent:clerk
    uses: file.write
    with: { root: out, path: booked.txt, text: booked }
    on_cancel:
      steps:
        - { id: undo, as: 'agent:clerk', uses: file.delete, with: { root: out, path: booked.txt } }
  - { id: wait, needs: [book], wait_for: { signal: travel } }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.wait(run, WAIT)?;
    tenant.cancel(run, &cfo, "the fair is called off")?;
    let end = tenant.end(run, WAIT)?;
    assert_eq!(end.status, "cancelled");
    let undone = end.error.as_ref().and_then(|error| error.get("undone"));
    assert_eq!(undone, Some(&1_u64.into()));
    // end
    Ok(())
}

#[test]
fn pausing() -> Done {
    let Shop { folder: _folder, engine: _engine, tenant, ada, .. } = shop()?;
    // begin: Pause
    let workflow = "
name: hold-on
domain: shop
roots: { out: { path: out, access: write } }
steps:
  - { id: told, wait_for: { signal: go } }
  - { id: write, needs: [told], as: 'agent:clerk', uses: file.write,
      with: { root: out, path: a.txt, text: a } }
";
    let run = tenant.start(Begin::new(workflow, &ada))?;
    tenant.wait(run, WAIT)?;
    tenant.pause(run, &ada, "the stock is counted")?;
    tenant.signal(run, Signal::new("go", &ada))?;
    // The signal is there; what the run does because of it waits.
    let Stands::Waits(waits) = tenant.wait(run, WAIT)? else { panic!("it is held") };
    assert!(waits.iter().any(|(_, it)| it.paused.is_some()));
    tenant.unpause(run, &ada, "it is counted")?;
    assert_eq!(tenant.end(run, WAIT)?.status, "completed");
    // end
    Ok(())
}
