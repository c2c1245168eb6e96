//! What every store must do, as tests that each store runs.
//!
//! A store's tests call [`conformance!`] with a function that makes a fresh, empty
//! [`Place`]; every case of [`cases`] becomes a test there. Stores that nodes share call it with
//! `@shared` as well.

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

use cog_base::id::{MailId, Uuid};
use cog_store::{Claim, Keep, Mail, Shared};

/// Somewhere a store can be: empty at first, and gone with the value.
pub trait Place {
    /// Open the store that is there; it was closed before, if it was ever opened.
    fn open(&self) -> Arc<dyn Keep>;
}

/// Somewhere a store can be that nodes share.
pub trait SharedPlace: Place {
    /// Open the store that is there as a node that claims what it works on; it was closed before.
    fn share(&self) -> Arc<dyn Shared>;
}

/// Claim a tenant, for which there is work then.
///
/// # Panics
/// When somebody has it.
pub fn claimed(store: &dyn Shared, number: u64) -> Claim {
    let mine = |claims: Vec<Claim>| claims.into_iter().find(|it| it.tenant == tenant(number));
    if let Some(claim) = mine(store.claim_waiting(64, &[]).unwrap()) {
        return claim;
    }
    // Mail that is there for nobody else to see.
    let id = MailId::from_uuid(Uuid::from_u128(u128::MAX));
    let mail = Mail { id, kind: "call".to_owned(), run: None, payload: Vec::new() };
    store.post(tenant(number), &mail, None).unwrap();
    let claim = mine(store.claim_waiting(64, &[]).unwrap()).unwrap();
    store.remove_mail(&claim, &[id]).unwrap();
    claim
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
            runs: what_is_under_way_has_no_outcome,
            runs: ids_that_share_a_key_are_told_apart,
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
            bodies: a_page_comes_with_its_bodies,
            bodies: all_records_come_in_their_order,
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
    (@shared $make:expr) => {
        $crate::conformance! { @each $make;
            mail: it_waits_in_the_order_in_which_it_came,
            mail: what_is_posted_twice_is_there_once,
            mail: some_may_be_left_out,
            mail: it_is_read_in_pages,
            mail: it_may_be_empty_or_large,
            mail: what_is_removed_is_gone,
            mail: what_is_refused_stays_with_its_reason,
            mail: a_long_reason_is_cut,
            mail: each_tenant_has_its_own,
            mail: it_is_there_after_closing,
            mail: it_is_put_away_by_who_has_the_last_claim_alone,
            mail: a_name_stands_for_one_run,
            mail: a_name_is_of_one_tenant,
            mail: a_name_outlives_its_mail,
            mail: of_many_that_give_a_name_at_once_one_wins,
            claims: nothing_waits_in_an_empty_store,
            claims: no_more_are_claimed_than_wanted,
            claims: some_may_be_left_where_they_are,
            claims: a_claimed_one_is_not_claimed_again,
            claims: the_fence_rises_with_each_claim,
            claims: calls_are_counted,
            claims: what_is_given_back_idle_waits_no_more,
            claims: what_was_called_for_meanwhile_is_not_forgotten,
            claims: what_was_given_back_is_not_renewed,
            claims: to_give_back_what_one_does_not_have_changes_nothing,
            claims: a_call_is_heard_by_everybody_who_listens,
            claims: its_time_goes_on,
            parking: those_that_are_open_are_awake_in_their_order,
            parking: the_first_due_comes_first,
            parking: one_that_is_parked_again_has_the_later_time,
            parking: whatever_is_recorded_takes_it_back,
            parking: one_that_has_ended_is_not_parked,
            parking: they_stay_parked_when_the_store_is_closed,
            parking: who_gave_a_tenant_back_parks_nothing_of_it,
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
