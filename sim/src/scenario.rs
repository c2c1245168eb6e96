//! What the simulated program is asked to do.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_base::id::RunId;
use cog_canon::{Canon, Source};
use cog_engine::Start;
use cog_flow::{Flow, Opened};
use cog_gate::snapshot::Access;

/// The flows that worlds draw from, by file name.
pub const FLOWS: [(&str, &str); 9] = [
    ("chain.yaml", include_str!("../flows/chain.yaml")),
    ("fan-out.yaml", include_str!("../flows/fan-out.yaml")),
    ("approval.yaml", include_str!("../flows/approval.yaml")),
    ("plans.yaml", include_str!("../flows/plans.yaml")),
    ("shared.yaml", include_str!("../flows/shared.yaml")),
    ("saga.yaml", include_str!("../flows/saga.yaml")),
    ("signals.yaml", include_str!("../flows/signals.yaml")),
    ("family.yaml", include_str!("../flows/family.yaml")),
    ("inputs.yaml", include_str!("../flows/inputs.yaml")),
];

/// The flows that those run.
const CHILDREN: [(&str, &str); 2] = [
    ("member.yaml", include_str!("../flows/member.yaml")),
    ("chain.yaml", include_str!("../flows/chain.yaml")),
];

const CANON: [(&str, &str); 4] = [
    ("canon.toml", include_str!("../canon/canon.toml")),
    ("schema.cedarschema", include_str!("../canon/schema.cedarschema")),
    ("policies/simulation.cedar", include_str!("../canon/policies/simulation.cedar")),
    ("facts/people.json", include_str!("../canon/facts/people.json")),
];

/// The most runs of one world.
const RUNS_MAX: u64 = 5;

/// A canon and the runs to start under it.
pub struct Scenario {
    pub(crate) canon: Arc<Canon>,
    pub(crate) all: Vec<Start>,
}

/// What is the same in every world, read once.
struct Kit {
    canon: Arc<Canon>,
    flows: Vec<(&'static str, Arc<Flow>)>,
}

static KIT: LazyLock<Kit> = LazyLock::new(Kit::read);

impl Kit {
    #[expect(clippy::expect_used, reason = "INVARIANT: the files are part of the program")]
    fn read() -> Self {
        let files = CANON.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let canon = Canon::load(&Source::new(files)).expect("the simulation's canon loads");
        let flows = FLOWS.map(|(name, text)| {
            let flow = cog_flow::parse(text, name).expect("the simulation's flows parse");
            let flow = flow.with_children(name, &mut open).expect("and those that they run");
            (text, Arc::new(flow))
        });
        Self { canon: Arc::new(canon), flows: flows.into() }
    }
}

/// Opens a flow that another runs.
fn open(_: &str, name: &str) -> Result<Opened, String> {
    let found = CHILDREN.iter().find(|(known, _)| *known == name).ok_or("there is none")?;
    Ok(Opened { id: name.to_owned(), file: name.to_owned(), text: found.1.to_owned() })
}

impl Scenario {
    pub(crate) fn new() -> Self {
        Self { canon: Arc::clone(&KIT.canon), all: Vec::new() }
    }

    /// Draw the runs of this world.
    #[expect(clippy::expect_used, reason = "INVARIANT: seeded randomness does not fail")]
    pub(crate) fn starts(&mut self, dice: &mut SeededEntropy, now: Timestamp) -> Vec<Start> {
        for _ in 0..=dice.below(RUNS_MAX) {
            let place = dice.below(KIT.flows.len() as u64);
            let drawn = usize::try_from(place).ok().and_then(|place| KIT.flows.get(place));
            let Some((source, flow)) = drawn else { continue };
            let run = RunId::new(now, dice).expect("an id");
            let root = ("out".to_owned(), Access::Write);
            self.all.push(Start {
                run,
                flow: Arc::clone(flow),
                source: (*source).to_owned(),
                inputs: flow.bind(&BTreeMap::new()).expect("the defaults"),
                roots: BTreeMap::from([root]),
                places: BTreeMap::new(),
                base: String::new(),
                initiator: "user:operator".parse().expect("an actor"),
                environment: Some("production".to_owned()),
                firing: None,
            });
        }
        self.all.clone()
    }
}
