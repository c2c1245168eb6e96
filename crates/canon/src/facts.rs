//! Facts: the entities that policies know, and who belongs to which group.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, EvalResult, Schema};
use cog_base::{Value, json};

use crate::error::{CanonError, with_causes};
use crate::hierarchy;
use crate::nearest::nearest;
use crate::obligation::PERSON;
use crate::source::{SCHEMA, Source};

/// Most entities of a canon.
pub const FACTS_MAX: usize = 100_000;
/// Most roles that a hint lists.
const ROLES_SHOWN_MAX: usize = 12;

/// The entities of a canon, and how `kind:name` maps to them.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) entities: Entities,
    /// `user` to `User`, for every entity type of the schema.
    kinds: HashMap<String, EntityTypeName>,
}

impl Facts {
    pub(crate) fn load(source: &Source, schema: &Schema) -> Result<Self, CanonError> {
        let mut entities = Entities::from_entities([], Some(schema))
            .map_err(|error| CanonError::in_file("facts", with_causes(&error)))?;
        let mut files = Vec::new();
        for (file, text) in source.folder("facts/")? {
            files.push((file, text, check_json(file, text)?));
        }
        hierarchy::check(&files)?;
        for (file, text, _) in files {
            entities = entities
                .add_entities_from_json_str(text, Some(schema))
                .map_err(|error| placed(CanonError::from_cedar(file, text, &error), text))?;
            if entities.len() > FACTS_MAX {
                return Err(CanonError::in_file(file, format!("more than {FACTS_MAX} entities")));
            }
        }
        Ok(Self { entities, kinds: kinds(schema)? })
    }

    /// `user:cfo` as `User::"cfo"`; nothing when the schema has no such type.
    pub(crate) fn actor(&self, who: &str) -> Option<EntityUid> {
        let (kind, name) = who.split_once(':')?;
        self.entity(self.kinds.get(kind)?, name)
    }

    fn entity(&self, kind: &EntityTypeName, name: &str) -> Option<EntityUid> {
        let named = !name.is_empty();
        named.then(|| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name)))
    }

    /// `User::"cfo"` as `user:cfo`.
    pub(crate) fn name(uid: &EntityUid) -> String {
        format!("{}:{}", kind(uid.type_name()), uid.id().unescaped())
    }

    pub(crate) fn knows(&self, who: &str) -> bool {
        self.actor(who).is_some_and(|uid| self.entities.get(&uid).is_some())
    }

    /// Whether `who` is `group` or in it. Somebody the facts do not know is in no group.
    pub(crate) fn is_member(&self, who: &str, group: &str) -> bool {
        let (Some(who), Some(group)) = (self.actor(who), self.actor(group)) else { return false };
        self.entities.get(&who).is_some()
            && (who == group || self.entities.is_ancestor_of(&group, &who))
    }

    /// How many different people are one of these groups or in one.
    pub(crate) fn members(&self, groups: &[String]) -> usize {
        let groups: BTreeSet<_> = groups.iter().filter_map(|group| self.actor(group)).collect();
        // A role inside a role is nobody who could agree, and neither is an agent.
        let inside = |uid: &EntityUid| {
            Self::name(uid).starts_with(PERSON)
                && (groups.contains(uid)
                    || groups.iter().any(|group| self.entities.is_ancestor_of(group, uid)))
        };
        self.entities.iter().filter(|entity| inside(&entity.uid())).count()
    }

    /// Every person who is or is in `group`, in order. Agents and groups are no people.
    pub(crate) fn people(&self, group: &str) -> Vec<String> {
        let uids = self.entities.iter().map(|entity| entity.uid());
        let names = uids.filter(|uid| kind(uid.type_name()) == "user");
        let names = names.map(|uid| Self::name(&uid)).filter(|who| self.is_member(who, group));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Every role, as `role:name`, in order.
    pub(crate) fn roles(&self) -> Vec<String> {
        let uids = self.entities.iter().map(|entity| entity.uid());
        let names = uids.filter(|uid| kind(uid.type_name()) == "role").map(|uid| Self::name(&uid));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What to do when `groups` hold too few people.
    pub(crate) fn whom(&self, groups: &[String]) -> String {
        let roles = self.roles();
        let unknown = groups.iter().find(|group| !self.knows(group));
        let meant = unknown.and_then(|group| nearest(group, roles.iter().map(String::as_str)));
        let have = self.members(groups);
        let add = format!("the facts have {have} such people: add them to facts/");
        match meant {
            Some(meant) => format!("did you mean {meant}? If not, {add}"),
            None if unknown.is_none() || roles.is_empty() => add,
            None => {
                let shown = roles.iter().take(ROLES_SHOWN_MAX).map(String::as_str);
                let shown = shown.collect::<Vec<_>>().join(", ");
                let more = if roles.len() > ROLES_SHOWN_MAX { ", …" } else { "" };
                format!("{add}, or name a role that is there: {shown}{more}")
            }
        }
    }

    /// What every entity is in and has, a line for each group and each value, for comparing two
    /// canons. Actions belong to the schema and are left out.
    pub(crate) fn describe(&self) -> BTreeMap<String, String> {
        let facts = self.entities.iter().filter(|it| it.uid().type_name().basename() != "Action");
        facts.map(|entity| (Self::name(&entity.uid()), self.describe_one(entity))).collect()
    }

    fn describe_one(&self, entity: &cedar_policy::Entity) -> String {
        let uid = entity.uid();
        let parents = self.entities.ancestors(&uid).into_iter().flatten();
        let mut groups: Vec<_> =
            parents.map(|parent| format!("in {}", Self::name(parent))).collect();
        groups.sort();
        let mut values = Vec::new();
        for (name, value) in entity.attrs() {
            match value {
                Ok(EvalResult::Set(set)) => {
                    values.extend(set.iter().map(|item| format!("{name} has {item}")));
                }
                Ok(value) => values.push(format!("{name}: {value}")),
                Err(error) => values.push(format!("{name}: {error}")),
            }
        }
        values.sort();
        groups.extend(values);
        if groups.is_empty() { "nothing".to_owned() } else { groups.join("\n") }
    }

    /// Every text among the attributes.
    pub(crate) fn texts(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entity in self.entities.iter() {
            for value in entity.attrs().filter_map(|(_, value)| value.ok()) {
                collect(&value, &mut found);
            }
        }
        found
    }
}

fn collect(value: &EvalResult, found: &mut BTreeSet<String>) {
    match value {
        EvalResult::String(text) => {
            found.insert(text.clone());
        }
        EvalResult::Set(set) => set.iter().for_each(|item| collect(item, found)),
        EvalResult::Record(record) => record.iter().for_each(|(_, item)| collect(item, found)),
        EvalResult::Long(_)
        | EvalResult::Bool(_)
        | EvalResult::EntityUid(_)
        | EvalResult::ExtensionValue(_) => {}
    }
}

/// Every entity type by its kind. Two of one kind would make `user:cfo` mean either.
fn kinds(schema: &Schema) -> Result<HashMap<String, EntityTypeName>, CanonError> {
    let mut kinds = HashMap::new();
    let names: BTreeSet<_> = schema.entity_types().collect();
    for name in names {
        if let Some(other) = kinds.insert(kind(name), name.clone()) {
            let what = format!("the types `{other}` and `{name}` are one kind, `{}`", kind(name));
            return Err(CanonError::in_file(SCHEMA, what).hint("begin each with a capital letter"));
        }
    }
    Ok(kinds)
}

/// The kind of an actor: the name of its type with a small first letter.
pub(crate) fn kind(name: &EntityTypeName) -> String {
    lower_first(name.basename())
}

pub(crate) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Where Cedar does not say where, the first entity that it names stands.
fn placed(error: CanonError, text: &str) -> CanonError {
    if error.line.is_some() {
        return error;
    }
    let named = error.what.split_once("::\"").and_then(|(_, rest)| rest.split_once('"'));
    let byte = named.and_then(|(id, _)| text.find(&format!("\"{id}\"")));
    let CanonError { file, what, hint, .. } = error;
    let found = match byte {
        Some(byte) => CanonError::at_byte(&file, text, byte, what),
        None => CanonError::in_file(&file, what),
    };
    CanonError { hint, ..found }
}

/// Cedar reads facts by a reader that says little about where; ours goes first, and also
/// refuses keys that stand twice.
fn check_json(file: &str, text: &str) -> Result<Value, CanonError> {
    let value = json::parse(text).map_err(|error| {
        let what = error.to_string();
        match error {
            json::JsonError::Syntax { offset, .. }
            | json::JsonError::DuplicateKey { offset, .. }
            | json::JsonError::TooDeep { offset, .. } => {
                CanonError::at_byte(file, text, offset, what)
            }
            json::JsonError::Float { .. } => CanonError::in_file(file, what),
        }
    })?;
    match value.as_list() {
        Some(_) => Ok(value),
        None => Err(CanonError::in_file(file, format!("expected a list, found {}", value.kind()))
            .hint("facts are Cedar entities: [{\"uid\": {\"type\": \"User\", \"id\": \"cfo\"}, \"attrs\": {}, \"parents\": []}]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_inside_a_role_is_nobody_who_could_agree() {
        let (schema, _) =
            Schema::from_cedarschema_str("entity Role in [Role]; entity User in [Role];").unwrap();
        let text = r#"[
            {"uid":{"type":"Role","id":"board"},"attrs":{},"parents":[]},
            {"uid":{"type":"Role","id":"chairs"},"attrs":{},"parents":[{"type":"Role","id":"board"}]},
            {"uid":{"type":"User","id":"cfo"},"attrs":{},"parents":[{"type":"Role","id":"chairs"}]},
            {"uid":{"type":"User","id":"ada"},"attrs":{},"parents":[]}
        ]"#;
        let files = [("facts/people.json".to_owned(), text.as_bytes().to_vec())];
        let facts = Facts::load(&Source::new(files), &schema).unwrap();
        let count = |groups: &[&str]| {
            facts.members(&groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(count(&["role:board"]), 1);
        assert_eq!(count(&["role:board", "user:cfo", "user:ada"]), 2);
        assert_eq!(count(&["role:nobody", "user:stranger"]), 0);
    }
}
