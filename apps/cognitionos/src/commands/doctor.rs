//! `doctor`: what this machine and the data folder can and cannot do.

use cog_base::Value;

use crate::cli::Common;
use crate::failure::{Exit, Failure};
use crate::home::Home;
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

fn sandbox() -> Finding {
    let (good, what) = match cog_effect_process::supported() {
        Ok(()) => (true, "user namespaces, seccomp and landlock are there".to_owned()),
        Err(lack) => (false, format!("process.run will be refused: {lack}")),
    };
    Finding { name: "sandbox", good, what }
}

fn randomness() -> Finding {
    let drawn = cog_base::cipher::Key::new(&mut crate::system::SystemEntropy::new());
    let what = if drawn.is_ok() { "the system gives it" } else { "the system gives none" };
    Finding { name: "randomness", good: drawn.is_ok(), what: what.to_owned() }
}

/// Become the program of a process effect, inside the sandbox. Only the process adapter
/// starts this.
pub(crate) fn enter_sandbox(_: &Terminal) -> anyhow::Result<Exit> {
    let error = cog_effect_process::enter();
    Err(Failure::new(Exit::Failed, error))
}
