//! What is checked: each property with its code, its meaning and where it is asked for.

macro_rules! properties {
    ($($name:ident = $code:literal, $says:literal, $source:literal;)*) => {
        /// A property that every run must show.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Property {
            $(#[doc = $says] $name,)*
        }

        impl Property {
            /// Every property there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable word that findings bear.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What must hold.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }

            /// Where it is asked for: an invariant of ARCHITECTURE.md, a section of the guide to
            /// workflow files, or a kind of the reference of entries.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }
        }
    };
}

properties! {
    Definition = "history.definition",
        "The kept definition and inputs are those that the first entry names.",
        "entries: session.started";
    Step = "history.step",
        "Each entry serves a step that the definition has, by its action and its actor.",
        "guide: steps";
    Needs = "history.needs",
        "A step begins behind the end of the step that it needs.", "guide: order";
    Join = "history.join",
        "A step that needs several, or one with steps inside, begins behind the last of them.",
        "guide: order";
    Condition = "history.condition",
        "A step whose `if` is false does nothing.", "guide: if";
    Twice = "history.twice",
        "A step that came to its end does not begin again, and has one receipt at a time.",
        "INV-01; INV-24";
    Missing = "history.missing",
        "A run is not sealed before every step that was to run has run.", "guide: how a run ends";
    Stopped = "history.stopped",
        "Beside a fall that nothing handled nothing new begins.", "guide: on_error";
    Handler = "history.handler",
        "The steps of a handler run behind the fall that they handle, and only then.",
        "guide: on_error";
    Items = "history.items",
        "A `foreach` runs for the items of its list and no others.", "guide: foreach";
    Parallel = "history.parallel",
        "Of a `foreach` no more than `max_parallel` items run at any moment, in their order.",
        "guide: foreach";
    Rounds = "history.rounds",
        "The rounds of a `repeat` come one after the other, and none behind the one with which it is over.",
        "guide: repeat";
    Plan = "history.plan",
        "Steps of a plan run behind its selection, and another is selected when it has fallen.",
        "guide: choose";
    Attempts = "history.attempts",
        "An effect is tried no more often than `retry` grants.", "guide: retry";
    Backoff = "history.backoff",
        "Between attempts lies at least the wait that `retry` asks for.", "guide: retry";
    Unarmed = "history.unarmed",
        "A timer is due once, of a step that waits for it.", "entries: evidence";
    Early = "history.early",
        "A timer is not due before its time.", "guide: retry; guide: wait_for";
    Effects = "history.effects",
        "No more effects than the budget has, with those of the runs that it goes on from.",
        "guide: budget";
    Cost = "history.cost",
        "What is spent and reserved stays within the budget.", "guide: budget; INV-10";
    Minutes = "history.minutes",
        "Nothing begins once the minutes of the budget are over, but what undoes.",
        "guide: budget";
    Outcome = "history.outcome",
        "Each receipt has exactly one outcome behind it, in its run and before the seal.", "INV-01";
    Sealed = "history.sealed",
        "A run begins with its start, and nothing of it follows its seal.",
        "entries: session.started, session.sealed";
    Sums = "history.sums",
        "The seal states the counts, the cost and the trace of its run.", "entries: session.sealed";
    Status = "history.status",
        "The seal states how the run ended.", "guide: how a run ends";
    Consent = "history.consent",
        "A receipt rests on consents to its very intent, given in time, before it and once.",
        "INV-11";
    People = "history.people",
        "Consent is given by enough different people, none of whom asked or began the run.",
        "INV-11";
    Escalated = "history.escalated",
        "Others are let answer a request once, those that it names, and not before its time.",
        "guide: approve; entries: approval.escalated";
    Delegated = "history.delegated",
        "Who answers in the place of another was let by that one, who has no other part in it then.",
        "guide: approve; entries: approval.delegated";
    Cancelled = "history.cancelled",
        "Behind the end of a run from outside nothing begins but what undoes it.",
        "guide: on_cancel";
    UndoCause = "history.undo.cause",
        "What undoes runs for a step that completed, in a run that is to be undone.",
        "guide: on_cancel";
    UndoOrder = "history.undo.order",
        "Steps are undone one after the other, the last to complete first.", "guide: on_cancel";
    UndoMissing = "history.undo.missing",
        "Every step that completed and says how it is undone is undone, once.",
        "guide: on_cancel";
    Child = "history.child",
        "A run is begun by another once, by the step that says so, with its definition and inputs, for the same person.",
        "guide: run; entries: child.started";
    ChildEnd = "history.child.end",
        "What a run hears of the end of one that it began is what the seal before it says, once.",
        "guide: run; entries: child.ended";
    Continued = "history.continued",
        "A run that continues as new hands the next one what its step came to, when all else of it is over and something took place in it.",
        "guide: continue_as_new";
    Chain = "history.chain",
        "A run that continues another begins right behind the seal of that, as what that was, with its inputs and the signals that it left.",
        "guide: continue_as_new; entries: session.started, session.sealed";
    Fork = "history.fork",
        "A run goes on from an entry of another that was not over, before it, of the same definition, domain and environment.",
        "guide: going on from a place; entries: session.started";
    Inherited = "history.inherited",
        "No receipt and no consent of a run is used by one that goes on from it.",
        "INV-04; INV-11; guide: going on from a place";
    Admitted = "history.admitted",
        "A run that was asked for begins once, as what was asked for, and not before its time.",
        "guide: limits; entries: session.queued";
    Concurrency = "history.concurrency",
        "Of a key no more runs are open at any moment than its limit grants.", "guide: limits";
    Rate = "history.rate",
        "Of a key no more runs begin in the time of its rate than that grants.", "guide: limits";
    Keyed = "history.keyed",
        "Of a key that somebody asked under there is one run, as what was asked for.",
        "INV-79; entries: session.started, session.queued";
    Labels = "history.labels",
        "A run is found by what its definition says.", "guide: labels; entries: session.started";
    Version = "history.version",
        "A run that somebody starts is of the version of its workflow that was active when it was asked for, and what is kept of a version is what its entry names.",
        "guide: versions; entries: workflow.activated";
    Lease = "history.lease",
        "No two open receipts touch the same thing when one of them writes it.", "INV-10";
}
