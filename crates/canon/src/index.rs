//! The scope index: from a request to the policies that its principal, action and resource
//! can match, without looking at the others.
//!
//! The scope of a policy is two numbers, of its constraint on the principal and of the one
//! on the resource, for each action. Which constraints an entity meets is known at load, so
//! that the index never changes: it needs no lock and no cache that could grow.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint,
};
use cedar_policy_core::ast::{Eid, EntityUID, EntityUIDEntry};

use crate::condition::{Collector, Conditions, Reads};
use crate::conform::{ActionShape, Actions};
use crate::policies::Rules;

/// What a scope says about a principal or a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Side {
    Any,
    Is(EntityTypeName),
    Eq(EntityUid),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

impl From<PrincipalConstraint> for Side {
    fn from(constraint: PrincipalConstraint) -> Self {
        match constraint {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::In(uid) => Self::In(uid),
            PrincipalConstraint::Eq(uid) => Self::Eq(uid),
            PrincipalConstraint::Is(kind) => Self::Is(kind),
            PrincipalConstraint::IsIn(kind, uid) => Self::IsIn(kind, uid),
        }
    }
}

impl From<ResourceConstraint> for Side {
    fn from(constraint: ResourceConstraint) -> Self {
        match constraint {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::In(uid) => Self::In(uid),
            ResourceConstraint::Eq(uid) => Self::Eq(uid),
            ResourceConstraint::Is(kind) => Self::Is(kind),
            ResourceConstraint::IsIn(kind, uid) => Self::IsIn(kind, uid),
        }
    }
}

/// The distinct constraints on one side, numbered, findable from an entity.
#[derive(Debug, Default)]
struct Sides {
    count: u32,
    any: Option<u32>,
    kinds: HashMap<EntityTypeName, u32>,
    equal: HashMap<EntityUid, u32>,
    within: HashMap<EntityUid, u32>,
    kind_within: HashMap<EntityUid, Vec<(EntityTypeName, u32)>>,
}

impl Sides {
    fn number(&mut self, side: Side) -> u32 {
        let next = self.count;
        let number = match side {
            Side::Any => *self.any.get_or_insert(next),
            Side::Is(kind) => *self.kinds.entry(kind).or_insert(next),
            Side::Eq(uid) => *self.equal.entry(uid).or_insert(next),
            Side::In(uid) => *self.within.entry(uid).or_insert(next),
            Side::IsIn(kind, uid) => {
                let kinds = self.kind_within.entry(uid).or_default();
                match kinds.iter().find(|(other, _)| *other == kind) {
                    Some((_, number)) => *number,
                    None => {
                        kinds.push((kind, next));
                        next
                    }
                }
            }
        };
        self.count += u32::from(number == next);
        number
    }

    /// The numbers of all constraints that every entity of a type meets.
    fn met_by_all(&self, kind: &EntityTypeName) -> Vec<u32> {
        self.any.iter().chain(self.kinds.get(kind)).copied().collect()
    }

    /// The numbers of all constraints that an entity meets.
    fn met_by(&self, uid: &EntityUid, entities: &Entities) -> Vec<u32> {
        let mut met = self.met_by_all(uid.type_name());
        met.extend(self.equal.get(uid));
        for group in entities.ancestors(uid).into_iter().flatten().chain([uid]) {
            met.extend(self.within.get(group));
            let kinds = self.kind_within.get(group).into_iter().flatten();
            let kinds = kinds.filter(|(kind, _)| kind == uid.type_name());
            met.extend(kinds.map(|(_, number)| number));
        }
        met.sort_unstable();
        met.dedup();
        met
    }

    /// What every entity of these types meets.
    fn finish<'a>(
        &self,
        kinds: impl Iterator<Item = &'a EntityTypeName>,
        entities: &Entities,
    ) -> Met {
        let mut all: HashMap<_, _> = kinds
            .map(|kind| (kind.clone(), OfKind { all: self.met_by_all(kind), some: HashMap::new() }))
            .collect();
        let mut uids: BTreeSet<EntityUid> = entities.iter().map(|entity| entity.uid()).collect();
        uids.extend(self.equal.keys().chain(self.within.keys()).cloned());
        uids.extend(self.kind_within.keys().cloned());
        for uid in uids {
            let Some(of_kind) = all.get_mut(uid.type_name()) else { continue };
            let name = uid.id().unescaped().to_owned();
            let numbers = self.met_by(&uid, entities);
            of_kind.some.insert(name, (Arc::new(uid.into()), numbers));
        }
        Met(all)
    }
}

/// Which constraints entities meet, by their type.
#[derive(Debug, Default)]
struct Met(HashMap<EntityTypeName, OfKind>);

/// Which constraints the entities of a type meet.
#[derive(Debug)]
struct OfKind {
    /// Those that all of them meet.
    all: Vec<u32>,
    /// Those that the facts or the policies know, by name.
    some: HashMap<String, (Arc<EntityUID>, Vec<u32>)>,
}

impl Met {
    fn by(&self, kind: &EntityTypeName, name: &str) -> Party<'_> {
        let of_kind = self.0.get(kind);
        if let Some((uid, met)) = of_kind.and_then(|it| it.some.get(name)) {
            return Party { uid: known(uid), met };
        }
        let uid = EntityUID::from_components(kind.as_ref().clone(), Eid::new(name), None);
        let met = of_kind.map_or(&[][..], |it| &it.all);
        Party { uid: EntityUIDEntry::known(uid, None), met }
    }
}

fn known(uid: &Arc<EntityUID>) -> EntityUIDEntry {
    EntityUIDEntry::Known { euid: Arc::clone(uid), loc: None }
}

/// The principal or the resource of a request, and which constraints it meets.
pub(crate) struct Party<'a> {
    pub(crate) uid: EntityUIDEntry,
    met: &'a [u32],
}

/// A policy whose scope a request meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// The number of its condition in [`Index::conditions`], if it has one.
    pub(crate) condition: Option<u32>,
    /// Its place among the rules, in the order of their ids.
    pub(crate) rule: u32,
}

/// The policies with one constraint on the principal, by that on the resource, in order.
type Row = Vec<(u32, Vec<Candidate>)>;

/// The policies that apply to one action.
#[derive(Debug)]
struct ActionRows {
    uid: Arc<EntityUID>,
    /// By the constraint on the principal.
    rows: HashMap<u32, Row>,
}

/// All policies, by the scope they can match.
#[derive(Debug, Default)]
pub(crate) struct Index {
    principals: Met,
    resources: Met,
    actions: HashMap<String, ActionRows>,
    pub(crate) conditions: Conditions,
}

impl Index {
    /// The index, and what the policies about each action read of its context.
    pub(crate) fn new(
        rules: &Rules,
        actions: &Actions,
        entities: &Entities,
    ) -> (Self, HashMap<String, Reads>) {
        let (mut principals, mut resources) = (Sides::default(), Sides::default());
        let mut conditions = Collector::default();
        let mut cells: BTreeMap<(&str, u32, u32), Vec<Candidate>> = BTreeMap::new();
        let mut reads: HashMap<String, Reads> = HashMap::new();
        for (policy, rule) in rules.iter().map(|rule| &rule.policy).zip(0_u32..) {
            let principal = principals.number(policy.principal_constraint().into());
            let resource = resources.number(policy.resource_constraint().into());
            let condition = conditions.number(policy);
            for name in matched_actions(&policy.action_constraint(), actions, entities) {
                let cell = cells.entry((name, principal, resource)).or_default();
                cell.push(Candidate { condition, rule });
                reads.entry(name.to_owned()).or_default().add(policy);
            }
        }
        let empty = |(name, action): (&String, &ActionShape)| {
            let uid = Arc::new(action.uid.clone().into());
            (name.clone(), ActionRows { uid, rows: HashMap::new() })
        };
        let mut by_action: HashMap<_, _> = actions.iter().map(empty).collect();
        for ((name, principal, resource), cell) in cells {
            let Some(action) = by_action.get_mut(name) else { continue };
            action.rows.entry(principal).or_default().push((resource, cell));
        }
        let askers = actions.values().flat_map(|action| action.principals.values());
        let things = actions.values().flat_map(|action| action.resources.values());
        let index = Self {
            principals: principals.finish(askers, entities),
            resources: resources.finish(things, entities),
            actions: by_action,
            conditions: conditions.finish(),
        };
        (index, reads)
    }

    /// Who asks.
    pub(crate) fn principal(&self, kind: &EntityTypeName, name: &str) -> Party<'_> {
        self.principals.by(kind, name)
    }

    /// What it would be done to.
    pub(crate) fn resource(&self, kind: &EntityTypeName, name: &str) -> Party<'_> {
        self.resources.by(kind, name)
    }

    /// All policies about an action.
    pub(crate) fn about(&self, action: &str) -> impl Iterator<Item = &Candidate> {
        let rows = self.actions.get(action).into_iter().flat_map(|action| action.rows.values());
        rows.flatten().flat_map(|(_, cell)| cell)
    }

    /// The action as an entity, and the policies whose scope the request meets.
    pub(crate) fn candidates(
        &self,
        principal: &Party<'_>,
        action: &str,
        resource: &Party<'_>,
    ) -> Option<(EntityUIDEntry, Vec<Candidate>)> {
        let action = self.actions.get(action)?;
        let mut found = Vec::with_capacity(16);
        for row in principal.met.iter().filter_map(|number| action.rows.get(number)) {
            for number in resource.met {
                let place = row.binary_search_by_key(number, |(other, _)| *other).ok();
                let cell = place.and_then(|place| row.get(place));
                found.extend(cell.into_iter().flat_map(|(_, cell)| cell));
            }
        }
        Some((known(&action.uid), found))
    }
}

/// The actions of the schema that a constraint admits.
fn matched_actions<'a>(
    constraint: &ActionConstraint,
    actions: &'a Actions,
    entities: &Entities,
) -> Vec<&'a str> {
    let admits = |uid: &EntityUid| match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(other) => uid == other,
        ActionConstraint::In(groups) => {
            groups.iter().any(|group| group == uid || entities.is_ancestor_of(group, uid))
        }
    };
    let matched = actions.iter().filter(|(_, action)| admits(&action.uid));
    matched.map(|(name, _)| name.as_str()).collect()
}
