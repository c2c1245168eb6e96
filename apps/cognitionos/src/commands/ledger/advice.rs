//! What to do about a finding in the own ledger.

const RESTORE: &str = "Keep a copy of this folder as it is. Then put a copy from before the \
    damage in its place: ledger.db and keys/, without ledger.db-wal and ledger.db-shm. If it is \
    older than what was here, go on with it by: cognitionos ledger accept-restore --as ACTOR";
const BODY: &str = "Nothing else has what stood in it: put a copy of the folder in place that has \
    it. The entries stay proved without: cognitionos ledger export --no-bodies exports them";
const ERASED: &str = "The erasure did not come to its end. Whoever may write to the folder finishes it \
    by any command; of an older one, give the same erasure again: cognitionos ledger erase SUBJECT, or \
    --entry N";
const CANON: &str = "Of the version in force: run a workflow of its domain with exactly that \
    folder, beside it or by --canon; its digest is compared and its files are kept again. Of an \
    older one: decisions made under it cannot be recomputed until a copy of the folder that has \
    it is in place";
const KEYS: &str = "Put ledger.db and keys/ back from one and the same copy of the folder: the \
    keys in the one are sealed with the key in the other";
const VIEWS: &str = "Ask whoever keeps the other view which of the two is the older one, and \
    keep both: two that do not fit cannot both be this ledger";
const PRUNED: &str = "Compare with a head from after the pruning: cognitionos ledger checkpoint. One from \
    before can be compared with a bundle that was exported before";
const RECORD: &str = "Nothing here can mend what is signed. Find out which program wrote these \
    entries; compare with an export or a head from an earlier visit: cognitionos ledger verify \
    --against FILE";

/// What to do about what has this code.
pub(crate) fn advice(code: &str) -> &'static str {
    let is_key = code.starts_with("store.key.") || code.starts_with("key.other");
    if code == "body.not_erased" {
        ERASED
    } else if is_key || code == "key.missing" {
        KEYS
    } else if matches!(code, "body.changed" | "body.absent" | "body.unknown") {
        BODY
    } else if matches!(code, "canon.absent" | "canon.files" | "canon.missing" | "store.canon") {
        CANON
    } else if code.starts_with("store.") || code.starts_with("head.") {
        RESTORE
    } else if code == "against.pruned" {
        PRUNED
    } else if code.starts_with("against.") {
        VIEWS
    } else {
        RECORD
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn no_advice_leads_back_to_where_it_was_given() {
        for code in ["store.entry", "body.absent", "canon.absent", "store.key.missing", "seq.gap"] {
            let advice = advice(code);
            assert!(!advice.ends_with("ledger verify"), "{code}: {advice}");
        }
    }
}
