//! `repeat`: what has the steps of a group run again.

use std::collections::BTreeSet;

use super::Reader;
use super::scope::Scope;
use crate::definition::{Body, Repeat};
use crate::fields::{self, Fields, Shape};
use crate::limits::{MAX_ROUNDS, MAX_SLEEP_MS};

const REPEAT: Shape =
    Shape { what: "`repeat`", required: &["until", "most"], optional: &["every_ms"] };

impl Reader<'_, '_> {
    /// How the steps of a group repeat; `scope` is what these see, but for each other.
    pub(super) fn repeat(
        &mut self,
        fields: &Fields<'_>,
        body: Option<&Body>,
        scope: &Scope<'_>,
    ) -> Option<Repeat> {
        let node = fields.get("repeat")?;
        if fields.get("foreach").is_some() {
            let message = "`repeat` and `foreach` do not go together";
            let hint = "put one of the two on a group inside the other";
            self.reports.error(fields.key_at("repeat"), message, hint);
        }
        // That it goes with nothing else was reported.
        let Some(Body::Group(block)) = body else { return None };
        let fields = Fields::open(node, &REPEAT, self.reports)?;
        let ids: BTreeSet<String> = block.index.keys().cloned().collect();
        let scope = scope.within(&ids, ids.clone(), None);
        let until = fields.get("until").and_then(|node| self.decides(node, "until", &scope));
        let most = fields.get("most").and_then(|node| {
            fields::integer(node, "most", (1, i64::from(MAX_ROUNDS)), self.reports)
        });
        let bounds = (0, MAX_SLEEP_MS);
        let every_ms = fields.get("every_ms");
        let every_ms = every_ms.map(|node| self.integer_template(node, "every_ms", bounds, &scope));
        let most = most.and_then(|most| u32::try_from(most).ok())?;
        Some(Repeat { until: until?, most, every_ms })
    }
}
