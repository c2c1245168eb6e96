//! What every store must do, as tests that each store runs.
//!
//! A store's tests call [`conformance!`] with a function that makes a fresh, empty
//! [`Place`]; every case of [`cases`] becomes a test there.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; nothing here is shipped"
)]

pub mod cases;
mod drafts;
mod house;

pub use drafts::{
    body, canon_activated, denial, evidence, outcome, receipt, run, sealed, started, tenant,
    with_body,
};
pub use house::{House, Stopped};

use std::sync::Arc;

use cog_store::Keep;

/// Somewhere a store can be: empty at first, and gone with the value.
pub trait Place {
    /// Open the store that is there; it was closed before, if it was ever opened.
    fn open(&self) -> Arc<dyn Keep>;
}

/// Make a test of every case, for the store that `$make` makes a [`Place`] for.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance! { @each $make;
            logs: an_empty_store_has_nothing,
            logs: the_first_entry_opens_a_log_with_a_genesis,
            logs: entries_come_back_byte_for_byte,
            logs: sequence_numbers_have_no_gaps,
            logs: a_batch_that_does_not_begin_at_the_end_is_refused,
            logs: a_refusal_takes_the_whole_commit_with_it,
            logs: two_batches_of_one_log_may_share_a_commit,
            logs: there_is_one_writer_at_a_time,
            logs: a_log_goes_on_where_it_was_closed,
            logs: a_rotated_key_is_there_again_after_closing,
            logs: a_writer_that_reads_the_end_again_finds_it,
            logs: many_logs_share_a_commit,
            logs: the_audit_finds_nothing,
            tenants: logs_are_listed_in_order,
            tenants: nothing_of_another_tenant_is_seen,
            tenants: one_id_in_two_logs_is_found_in_each_alone,
            tenants: a_scope_does_not_see_what_comes_later,
            tenants: readers_beside_a_writer_see_whole_commits,
            select: all_entries_page_by_page,
            select: kinds,
            select: a_run_among_others,
            select: a_long_run_page_by_page,
            select: where_a_time_begins,
            select: an_id_finds_what_belongs_together,
            select: any_conditions_together,
            select: a_page_has_a_maximum,
            runs: open_ones_are_those_started_and_not_sealed,
            runs: the_newest_come_first_with_their_status,
            runs: one_is_found_by_its_id,
            runs: a_run_goes_on_after_closing,
            bodies: they_open_with_their_salt,
            bodies: one_may_be_large_or_empty,
            bodies: an_entry_without_one_has_none,
            bodies: erasing_takes_those_of_one_subject,
            bodies: erasing_again_finds_nothing,
            bodies: erasing_is_of_one_tenant,
            bodies: an_erased_subject_may_come_back,
            bodies: erasing_leaves_every_proof_valid,
            bodies: those_of_entries_are_listed_and_erased,
            bodies: pruning_takes_the_old_ones,
            proofs: every_entry_is_included,
            proofs: the_log_only_grew_between_any_two_heads,
            proofs: subtree_roots_are_kept,
            proofs: the_right_edge_of_any_size_is_known,
            proofs: every_commit_leaves_a_signed_head,
            pruning: proofs_stay_valid,
            pruning: it_keeps_whole_segments_and_open_runs,
            pruning: it_keeps_the_last_entry,
            pruning: it_keeps_what_is_outside_runs,
            pruning: what_is_gone_is_not_found,
            pruning: it_goes_on_where_it_ended,
            pruning: a_pruned_log_is_written_on,
            canons: they_are_kept_by_digest,
            canons: one_may_come_before_its_log,
            cursors: a_new_one_begins_where_it_is_told,
            cursors: one_goes_on_where_it_was_left,
            cursors: one_does_not_go_back_but_when_it_is_set,
            cursors: who_was_overtaken_moves_nothing,
            cursors: of_two_at_once_one_moves_it,
            cursors: each_consumer_and_tenant_has_its_own,
            cursors: what_was_given_up_is_kept_with_the_step,
            cursors: too_many_dead_letters_stop_it_whole,
            cursors: names_and_consumers_have_a_maximum,
            cursors: one_that_is_dropped_leaves_nothing,
            cursors: a_consumer_may_come_before_its_log,
        }
    };
    (@each $make:expr; $($group:ident: $case:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                $crate::cases::$group::$case(&$make());
            }
        )*
    };
}
