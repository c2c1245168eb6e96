//! What the simulated program is asked to do.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cog_base::entropy::SeededEntropy;
use cog_base::id::RunId;
use cog_base::{Digest, Timestamp};
use cog_canon::{Canon, Source};
use cog_engine::Start;
use cog_flow::{Flow, Opened};
use cog_gate::snapshot::Access;
use cog_store::Files;

/// The flows that worlds draw from, by file name.
pub const FLOWS: [(&str, &str); 14] = [
    ("chain.yaml", include_str!("../flows/chain.yaml")),
    ("fan-out.yaml", include_str!("../flows/fan-out.yaml")),
    ("approval.yaml", include_str!("../flows/approval.yaml")),
    ("plans.yaml", include_str!("../flows/plans.yaml")),
    ("shared.yaml", include_str!("../flows/shared.yaml")),
    ("saga.yaml", include_str!("../flows/saga.yaml")),
    ("signals.yaml", include_str!("../flows/signals.yaml")),
    ("family.yaml", include_str!("../flows/family.yaml")),
    ("inputs.yaml", include_str!("../flows/inputs.yaml")),
    ("handled.yaml", include_str!("../flows/handled.yaml")),
    ("classes.yaml", include_str!("../flows/classes.yaml")),
    ("limited.yaml", include_str!("../flows/limited.yaml")),
    ("endless.yaml", include_str!("../flows/endless.yaml")),
    ("rounds.yaml", include_str!("../flows/rounds.yaml")),
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

/// The most runs of one tenant that are started from outside.
pub(crate) const RUNS_MAX: u64 = 2;
/// The most runs of a tenant that has many.
pub(crate) const LONG_RUNS_MAX: u64 = 24;
/// What the canons govern, and where the runs are.
pub(crate) const DOMAIN: &str = "simulation";
pub(crate) const ENVIRONMENT: &str = "production";
/// The most tenants of one world.
pub(crate) const TENANTS_MAX: usize = 3;
/// What is otherwise in each canon: what needs an approval does not, or is refused.
const VARIANTS: [(&str, &str); 3] =
    [("> 500 ", "> 500 "), ("> 500 ", "> 1000 "), ("> 5000 ", "> 800 ")];
/// What the canons of some tenants say besides of classes of data, for what others say.
const CLASSES: [(&str, &str); 5] = [
    (
        "[change]",
        "[data]\nclasses = [\"public\", \"internal\", \"personal\"]\ndefault = \"internal\"\n\n[change]",
    ),
    ("[models.reader]", "[models.reader]\nclass_max = \"internal\""),
    ("[\"sim.example\"]", "[{ host = \"sim.example\", class_max = \"internal\" }]"),
    ("[roots]", "[roots]\nout = { within = [\"/\"], class = \"personal\" }"),
    (
        "resource == Root::\"out\");",
        "resource == Root::\"out\")\nunless { context.args.path like \"*/cleared\" };\n\n\
         @id(\"sim.clear\")\n@declassify(\"internal\")\n\
         permit (principal, action == Action::\"file.read\", resource == Root::\"out\")\n\
         when { context.args.path like \"*/cleared\" };",
    ),
];
/// What stands for a word of each tenant's own, in flows and canons.
const CANARY: &str = "CANARY";

/// The canons and flows of one tenant, and the runs to start.
pub(crate) struct Scenario {
    kit: &'static Kit,
    /// A word that stands in everything that the tenant has, and nowhere else.
    pub(crate) canary: String,
    /// Whether its canons declare classes of data.
    pub(crate) has_classes: bool,
    pub(crate) all: Vec<Start>,
}

/// What a tenant has in every world, read once.
struct Kit {
    /// The one that it begins with, and what it may become.
    canons: Vec<(Arc<Canon>, Files)>,
    flows: Vec<(String, Arc<Flow>)>,
}

static KITS: LazyLock<[Kit; TENANTS_MAX]> = LazyLock::new(|| std::array::from_fn(Kit::read));

fn canary(number: usize) -> String {
    format!("canary-of-{number}")
}

/// Whether the canons of a tenant declare classes of data.
const fn has_classes(number: usize) -> bool {
    number == 1
}

impl Kit {
    #[expect(clippy::expect_used, reason = "INVARIANT: the files are part of the program")]
    fn read(number: usize) -> Self {
        let canary = canary(number);
        let own = |text: &str| text.replace(CANARY, &canary);
        let canons = VARIANTS.map(|(is, becomes)| {
            let classed = |text: String| {
                let classes = CLASSES.iter().filter(|_| has_classes(number));
                classes.fold(text, |text, (is, becomes)| text.replacen(is, becomes, 1))
            };
            let own = |text: &str| classed(own(&text.replace(is, becomes)));
            let files: Files =
                CANON.iter().map(|(path, text)| ((*path).to_owned(), own(text))).collect();
            let bytes = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
            let canon = Canon::load(&Source::new(bytes)).expect("the simulation's canons load");
            (Arc::new(canon), files)
        });
        let flows = FLOWS.map(|(name, text)| {
            let text = own(text);
            let flow = cog_flow::parse(&text, name).expect("the simulation's flows parse");
            let mut open = |_: &str, name: &str| open(name, &canary);
            let flow = flow.with_children(name, &mut open).expect("and those that they run");
            (text, Arc::new(flow))
        });
        Self { canons: canons.into(), flows: flows.into() }
    }
}

/// Opens a flow that another runs.
fn open(name: &str, canary: &str) -> Result<Opened, String> {
    let found = CHILDREN.iter().find(|(known, _)| *known == name).ok_or("there is none")?;
    let text = found.1.replace(CANARY, canary);
    Ok(Opened { id: name.to_owned(), file: name.to_owned(), text })
}

impl Scenario {
    #[expect(clippy::expect_used, reason = "INVARIANT: worlds have no more tenants than kits")]
    pub(crate) fn new(number: usize) -> Self {
        let kit = KITS.get(number).expect("a kit for each tenant");
        Self { kit, canary: canary(number), has_classes: has_classes(number), all: Vec::new() }
    }

    /// The canons of the tenant with their files; it begins with the first.
    pub(crate) fn variants(&self) -> Vec<(Arc<Canon>, &'static Files)> {
        self.kit.canons.iter().map(|(canon, files)| (Arc::clone(canon), files)).collect()
    }

    /// Every canon of the tenant.
    pub(crate) fn canons(&self) -> BTreeMap<Digest, Arc<Canon>> {
        let canons = self.kit.canons.iter();
        canons.map(|(canon, _)| (canon.digest(), Arc::clone(canon))).collect()
    }

    /// Whose data its runs hold.
    pub(crate) fn subjects(&self) -> [String; 2] {
        ["one", "two"].map(|person| format!("person-{person}-of-{}", self.canary))
    }

    /// Draw the runs of this tenant.
    #[expect(clippy::expect_used, reason = "INVARIANT: seeded randomness does not fail")]
    pub(crate) fn starts(
        &mut self,
        dice: &mut SeededEntropy,
        now: Timestamp,
        most: u64,
    ) -> Vec<Start> {
        for _ in 0..=dice.below(most) {
            let place = dice.below(self.kit.flows.len() as u64);
            let drawn = usize::try_from(place).ok().and_then(|place| self.kit.flows.get(place));
            let Some((source, flow)) = drawn else { continue };
            let run = RunId::new(now, dice).expect("an id");
            let root = ("out".to_owned(), Access::Write);
            let inputs = flow.bind(&BTreeMap::new()).expect("the defaults");
            let ask = flow.ask(&inputs).expect("what was bound can be asked for");
            self.all.push(Start {
                run,
                flow: Arc::clone(flow),
                source: source.clone(),
                inputs,
                roots: BTreeMap::from([root]),
                places: BTreeMap::new(),
                base: String::new(),
                initiator: "user:operator".parse().expect("an actor"),
                environment: Some(ENVIRONMENT.to_owned()),
                firing: None,
                labels: BTreeMap::new(),
                trigger: None,
                ask,
                keyed: None,
                is_queued: false,
            });
        }
        self.all.clone()
    }
}
