//! Code that must not compile. The compiler's words are kept beside each file; where a
//! newer compiler says it in other words, `TRYBUILD=overwrite` renews them.

/// Files in `ui/`, without their ending.
pub(crate) const MUST_NOT_COMPILE: [&str; 32] = [
    "adapter_given_a_counterfoil",
    "adapter_given_a_pending",
    "adapter_given_a_permit",
    "adapter_given_an_effect",
    "adapter_given_an_errand",
    "adapter_given_another_clearance",
    "catalogue_has_no_such_effect",
    "catalogue_is_matched_in_full",
    "clearing_around_the_gate",
    "cleared_cloned",
    "cleared_from_parts",
    "cleared_literal",
    "cleared_used_after_it_was_split",
    "durable_from_an_entry",
    "durable_literal",
    "effect_changed_after_clearing",
    "effect_of_ones_own",
    "entry_literal",
    "expiry_changed",
    "granted_without_the_ledger",
    "pending_cloned",
    "pending_literal",
    "performed_literal",
    "performed_settled_twice",
    "permit_cloned",
    "permit_defaulted",
    "permit_literal",
    "permit_read_from_text",
    "permit_used_twice",
    "receipt_id_changed",
    "settled_literal",
    "settled_without_performing",
];

#[test]
fn what_goes_around_the_door_does_not_compile() {
    let cases = trybuild::TestCases::new();
    for name in MUST_NOT_COMPILE {
        cases.compile_fail(format!("ui/{name}.rs"));
    }
}
