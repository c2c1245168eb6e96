//! The entities worth trying, and a text that nothing mentions.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::ast::{EntityUID, Expr, ExprKind, Literal};

use crate::facts::{Facts, lower_first};
use crate::policies::Rules;

/// Most entities that are tried for one part.
const TRIED_MAX: usize = 400;

/// What policies and facts name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// Names by entity type.
    entities: BTreeMap<String, BTreeSet<String>>,
    unmentioned: String,
}

impl Hints {
    pub(crate) fn new(rules: &Rules, facts: &Facts) -> Self {
        let mut hints = Self::default();
        let mut texts = facts.texts();
        for entity in facts.entities.iter() {
            hints.entity(entity.as_ref().uid());
        }
        for rule in rules {
            let whole = rule.policy.as_ref().condition();
            for part in whole.subexpressions() {
                hints.mention(part, &mut texts);
            }
        }
        while hints.unmentioned.is_empty() || texts.contains(&hints.unmentioned) {
            hints.unmentioned.push(char::REPLACEMENT_CHARACTER);
        }
        hints
    }

    fn mention(&mut self, expr: &Expr, texts: &mut BTreeSet<String>) {
        let ExprKind::Lit(literal) = expr.expr_kind() else { return };
        match literal {
            Literal::String(text) => {
                texts.insert(text.to_string());
            }
            Literal::EntityUID(uid) => self.entity(uid),
            Literal::Bool(_) | Literal::Long(_) => {}
        }
    }

    fn entity(&mut self, uid: &EntityUID) {
        let kind = uid.entity_type().to_string();
        let name: &str = uid.eid().as_ref();
        self.entities.entry(kind).or_default().insert(name.to_owned());
    }

    /// A text that nothing mentions, to try what any other text would do.
    pub(super) fn unmentioned(&self) -> &str {
        &self.unmentioned
    }

    /// The names of a type of resource but one, and whether that is all of them.
    pub(super) fn resources(&self, kind: &str, but: &str) -> (Vec<String>, bool) {
        some(self.entities.get(kind).into_iter().flatten().filter(|name| *name != but).cloned())
    }

    /// The other actors of the kind of `who`, and whether that is all of them.
    pub(super) fn actors(&self, who: &str) -> (Vec<String>, bool) {
        let Some((kind, name)) = who.split_once(':') else { return (Vec::new(), true) };
        let names = self.entities.iter().filter(|(other, _)| lower_first(other) == kind);
        let names = names.flat_map(|(_, names)| names).filter(|other| *other != name);
        some(names.map(|other| format!("{kind}:{other}")))
    }
}

fn some(mut names: impl Iterator<Item = String>) -> (Vec<String>, bool) {
    let found = names.by_ref().take(TRIED_MAX).collect();
    (found, names.next().is_none())
}
