//! What open receipts touch, read from the arguments that their bodies keep.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::id::RunId;
use cog_ledger::Kind;

use crate::checker::Record;
use crate::property::Property;
use crate::report::Report;

/// The receipts that are open, with what they touch.
#[derive(Debug, Default)]
pub(crate) struct Held {
    open: BTreeMap<String, Touched>,
}

#[derive(Debug)]
struct Touched {
    run: RunId,
    writes: bool,
    /// The places, from the outside in: `["file:out", "a", "b"]`.
    place: Vec<String>,
}

impl Held {
    /// Follow an entry; `scope` is the run whose receipts alone are compared.
    pub(crate) fn record(&mut self, record: &Record, scope: Option<RunId>, report: &mut Report) {
        let entry = &record.entry;
        let (Some(run), Some(id)) = (entry.session(), entry.id()) else { return };
        if entry.kind() == Kind::Outcome {
            self.open.remove(id);
        }
        if entry.kind() != Kind::Receipt {
            return;
        }
        let args = record.body.as_ref().and_then(|body| body.at(&["intent", "context", "args"]));
        let action = entry.text("action").unwrap_or_default();
        let Some((writes, place)) = args.and_then(|args| touched(action, args)) else { return };
        let wanted = Touched { run, writes, place };
        let near = |held: &&Touched| scope.is_none_or(|scope| held.run == scope);
        let clash = self.open.iter().find(|(_, held)| near(held) && held.clashes(&wanted));
        report.test(Property::Lease, clash.is_none(), entry.seq(), || {
            let holder = clash.map(|(id, _)| id.as_str()).unwrap_or_default();
            format!("{id} touches `{}` while {holder} holds it", wanted.place.join("/"))
        });
        self.open.insert(id.to_owned(), wanted);
    }
}

impl Touched {
    fn clashes(&self, other: &Self) -> bool {
        let is_prefix = self.place.iter().zip(&other.place).all(|(one, other)| one == other);
        (self.writes || other.writes) && is_prefix
    }
}

/// Whether an effect writes, and where it acts; nothing when it stands in nobody's way.
fn touched(action: &str, args: &Value) -> Option<(bool, Vec<String>)> {
    let text = |name| args.get(name).and_then(Value::as_text);
    let file = |writes| {
        let mut place = vec![format!("file:{}", text("root")?)];
        let parts = text("path").unwrap_or_default().split('/');
        place.extend(parts.filter(|part| !matches!(*part, "" | ".")).map(str::to_owned));
        Some((writes, place))
    };
    match action {
        "file.read" => file(false),
        "file.write" | "file.delete" => file(true),
        "process.run" => Some((true, vec![format!("file:{}", text("root")?)])),
        "http.request" => {
            let method = text("method").unwrap_or("GET");
            let writes = !matches!(method, "GET" | "HEAD" | "OPTIONS");
            let url = text("url")?.split(['?', '#']).next()?;
            Some((writes, format!("http:{url}").split('/').map(str::to_owned).collect()))
        }
        "session.accept" => {
            let name = format!("session:{}#{}", text("source")?, text("id")?);
            Some((true, name.split('/').map(str::to_owned).collect()))
        }
        _ => None,
    }
}
