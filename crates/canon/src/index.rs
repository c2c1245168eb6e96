//! The scope index: from a request to the policies that its principal, action and resource
//! can match, without looking at the others.
//!
//! Policies with the same scope share a cell. The cells are complete at load, so that the
//! index never changes: it needs no lock and no cache that could grow.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};

use crate::conform::Actions;
use crate::error::{CanonError, with_causes};
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
#[derive(Clone, Debug, Default)]
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

    /// The numbers of all constraints that the entity meets.
    fn met_by(&self, uid: &EntityUid, entities: &Entities) -> Vec<u32> {
        let mut met: Vec<u32> = Vec::with_capacity(8);
        met.extend(self.any);
        met.extend(self.kinds.get(uid.type_name()));
        met.extend(self.equal.get(uid));
        self.add_within(uid, uid, &mut met);
        if !(self.within.is_empty() && self.kind_within.is_empty()) {
            for ancestor in entities.ancestors(uid).into_iter().flatten() {
                self.add_within(uid, ancestor, &mut met);
            }
        }
        met
    }

    fn add_within(&self, uid: &EntityUid, group: &EntityUid, met: &mut Vec<u32>) {
        met.extend(self.within.get(group));
        for (kind, number) in self.kind_within.get(group).into_iter().flatten() {
            if kind == uid.type_name() {
                met.push(*number);
            }
        }
    }
}

/// The cells that apply to one action, by the numbers of their principal and resource sides.
type ActionCells = HashMap<(u32, u32), Vec<usize>>;

/// All policies, by the scope they can match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    principals: Sides,
    resources: Sides,
    actions: HashMap<EntityUid, ActionCells>,
    cells: Vec<PolicySet>,
}

impl Index {
    pub(crate) fn new(
        rules: &Rules,
        actions: &Actions,
        entities: &Entities,
    ) -> Result<Self, CanonError> {
        let mut index = Self::default();
        let mut scopes: BTreeMap<(u32, u32, Vec<String>), usize> = BTreeMap::new();
        for rule in rules.values() {
            let policy = &rule.policy;
            let principal = index.principals.number(policy.principal_constraint().into());
            let resource = index.resources.number(policy.resource_constraint().into());
            let matched = matched_actions(&policy.action_constraint(), actions, entities);
            let names = matched.iter().map(ToString::to_string).collect();
            let cells = &mut index.cells;
            let cell = *scopes.entry((principal, resource, names)).or_insert_with(|| {
                cells.push(PolicySet::new());
                cells.len() - 1
            });
            if let Some(set) = index.cells.get_mut(cell) {
                set.add(policy.clone())
                    .map_err(|error| CanonError::in_file("policies", with_causes(&error)))?;
            }
            for action in matched {
                let by_sides = index.actions.entry(action.clone()).or_default();
                let cells = by_sides.entry((principal, resource)).or_default();
                if !cells.contains(&cell) {
                    cells.push(cell);
                }
            }
        }
        Ok(index)
    }

    /// The policies whose scope the request meets, in sets.
    pub(crate) fn candidates<'a>(
        &'a self,
        principal: &EntityUid,
        action: &EntityUid,
        resource: &EntityUid,
        entities: &Entities,
    ) -> Vec<&'a PolicySet> {
        let Some(cells) = self.actions.get(action) else { return Vec::new() };
        let resources = self.resources.met_by(resource, entities);
        let mut found = Vec::new();
        for principal in self.principals.met_by(principal, entities) {
            for resource in &resources {
                let cells = cells.get(&(principal, *resource)).into_iter().flatten();
                found.extend(cells.filter_map(|cell| self.cells.get(*cell)));
            }
        }
        found
    }
}

/// The actions of the schema that a constraint admits, in order of their names.
fn matched_actions<'a>(
    constraint: &ActionConstraint,
    actions: &'a Actions,
    entities: &Entities,
) -> Vec<&'a EntityUid> {
    let admits = |uid: &EntityUid| match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(other) => uid == other,
        ActionConstraint::In(groups) => {
            groups.iter().any(|group| group == uid || entities.is_ancestor_of(group, uid))
        }
    };
    let mut matched: Vec<_> =
        actions.values().map(|action| &action.uid).filter(|uid| admits(uid)).collect();
    matched.sort();
    matched
}
