//! `doctor`: what this machine and the data folder can and cannot do.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks at its data folder")]

use cog_base::id::ReceiptId;
use cog_base::{Clock as _, Value};
use cog_gate::AnyEffect;

use crate::cli::Common;
use crate::failure::Exit;
use crate::home::Home;
use crate::system::SystemEntropy;
use crate::terminal::{Terminal, Tone};

/// One thing that was looked at.
struct Finding {
    name: &'static str,
    good: bool,
    what: String,
}

pub(crate) fn doctor(common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let findings = [data(common), sandbox(), randomness()];
    let good = findings.iter().all(|finding| finding.good);
    if terminal.json {
        terminal.emit(&Value::list(findings.iter().map(|finding| {
            Value::map([
                ("name", Value::from(finding.name)),
                ("ok", finding.good.into()),
                ("what", finding.what.as_str().into()),
            ])
        })));
    } else {
        for finding in &findings {
            let (tone, mark) = if finding.good { (Tone::Good, "ok") } else { (Tone::Bad, "NO") };
            let mark = terminal.tint(tone, &format!("{mark:<3}"));
            terminal.say(&format!("{mark} {:<12} {}", finding.name, finding.what));
        }
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

fn data(common: &Common) -> Finding {
    let shown = common.data.display();
    let (good, what) = if common.data.exists() {
        match Home::read(&common.data).and_then(|home| Ok(home.scope()?.tail()?)) {
            Ok(Some(tail)) => (true, format!("{shown}: {} entries", tail.frontier.size())),
            Ok(None) => (true, format!("{shown}: empty")),
            Err(error) => (false, format!("{shown}: {error:#}")),
        }
    } else {
        (true, format!("{shown} does not exist yet; the first run makes it"))
    };
    Finding { name: "data", good, what }
}

/// Run `true` in the sandbox: what works there works for process effects.
fn sandbox() -> Finding {
    let (good, what) = match try_sandbox() {
        Ok(()) => (true, "programs can be run in it".to_owned()),
        Err(lack) => (false, format!("process.run will fail: {lack}")),
    };
    Finding { name: "sandbox", good, what }
}

fn try_sandbox() -> anyhow::Result<()> {
    let args = Value::map([("program", "true")]);
    let args = args.as_map().cloned().unwrap_or_default();
    let AnyEffect::ProcessRun(effect) = AnyEffect::from_args("process.run", &args)? else {
        return Ok(());
    };
    let sandbox = cog_effect_process::Sandbox::new(crate::system::program()?);
    let nonce = ReceiptId::new(crate::system::SystemClock.now(), &mut SystemEntropy::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(sandbox.run(&effect, None, nonce));
    ran.map(|_| ()).map_err(|failure| anyhow::anyhow!(failure.message))
}

fn randomness() -> Finding {
    let drawn = cog_base::cipher::Key::new(&mut SystemEntropy::new());
    let what = if drawn.is_ok() { "the system gives it" } else { "the system gives none" };
    Finding { name: "randomness", good: drawn.is_ok(), what: what.to_owned() }
}
