//! What workflows come to on every store: the same file, with the same people, leaves the same entries
//! in a folder and in a database, also when the node dies whenever something is recorded. Behind each
//! of them every run is rebuilt and compared, every decision made again, and the history checked.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and have folders of their own"
)]
#![expect(clippy::print_stdout, reason = "tests say what they tried")]

#[path = "workflows/home.rs"]
mod home;
#[path = "workflows/link.rs"]
mod link;
#[path = "workflows/town.rs"]
mod town;
#[path = "workflows/trace.rs"]
mod trace;
#[path = "workflows/world.rs"]
mod world;

#[path = "workflows/ends.rs"]
mod ends;
#[path = "workflows/falls.rs"]
mod falls;
#[path = "workflows/family.rs"]
mod family;
#[path = "workflows/limits.rs"]
mod limits;
#[path = "workflows/order.rs"]
mod order;
#[path = "workflows/people.rs"]
mod people;
#[path = "workflows/rounds.rs"]
mod rounds;

use std::collections::BTreeSet;

use cog_history::Rules;
use cog_store::Files;
use expect_test::Expect;

use home::Home;
use town::{Kills, Left, Script, Town};

/// The canon of the simulation.
fn canon() -> Files {
    let files = [
        ("canon.toml", include_str!("../../../sim/canon/canon.toml")),
        ("schema.cedarschema", include_str!("../../../sim/canon/schema.cedarschema")),
        ("policies/simulation.cedar", include_str!("../../../sim/canon/policies/simulation.cedar")),
        ("facts/people.json", include_str!("../../../sim/canon/facts/people.json")),
    ];
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()
}

/// A workflow that runs no other.
pub(crate) fn check(home: Home, flow: &str, acts: &[&str], expected: Expect) {
    Script::new(flow, acts).check(home, &expected);
}

impl Script<'_> {
    /// It leaves these entries; and also when its node dies again and again.
    pub(crate) fn check(self, mut home: Home, expected: &Expect) {
        let name = home.name();
        let straight = Town::play(&mut home, self, Kills::Never);
        assert_eq!(straight.lives, 1);
        expected.assert_eq(&straight.said());
        straight.holds();
        // On the one store in the one way, on the other in the other.
        let kills = if home.is_shared() ^ self.flow.len().is_multiple_of(2) {
            Kills::Behind
        } else {
            Kills::Before
        };
        let mut restarts = 0;
        if self.dies {
            let killed = Town::play(&mut home, self, kills);
            let both = format!("{kills:?}\n{}\nbut without\n{}", killed.said(), straight.said());
            assert_eq!(killed.trace.by_step(), straight.trace.by_step(), "{both}");
            assert_eq!(killed.noes(), straight.noes(), "{both}");
            assert_eq!(killed.world.files(), straight.world.files(), "{both}");
            assert_eq!(killed.world.acts(), straight.world.acts(), "{both}");
            assert!(killed.lives > 1, "{kills:?}: {} lives", killed.lives);
            killed.holds();
            restarts += killed.lives - 1;
        }
        println!("tally: 1 workflows kept to on {name}");
        println!("tally: {restarts} restarts of their nodes");
    }
}

impl Left {
    /// What happened, what was not taken, and what stands in the world.
    fn said(&self) -> String {
        let refused = self.noes().into_iter().map(|why| format!("not taken: {why}\n"));
        let files = self.world.files();
        let files = files.iter().map(|(path, text)| format!("{path} says {}\n", text.trim_end()));
        format!("{}{}{}", self.trace, refused.collect::<String>(), files.collect::<String>())
    }

    fn noes(&self) -> BTreeSet<&String> {
        self.refused.iter().collect()
    }

    /// All of it is as the entries say.
    fn holds(&self) {
        let compared = self.log.compare(Rules::STRICT);
        compared.unwrap_or_else(|why| panic!("{why}:\n{}", self.trace)).tell();
    }
}

/// The cases, each a test for each store.
macro_rules! workflows {
    ($($group:ident: $case:ident,)*) => {
        mod in_a_folder {
            $(
                #[test]
                fn $case() {
                    super::$group::$case(super::Home::folder());
                }
            )*
        }
        mod in_a_database {
            $(
                #[test]
                fn $case() {
                    super::$group::$case(super::Home::database());
                }
            )*
        }
        const CASES: &[&str] = &[$(stringify!($case)),*];
    };
}

workflows! {
    order: steps_without_needs_begin_side_by_side,
    order: a_step_waits_for_all_that_it_needs,
    order: a_join_waits_for_the_slowest,
    order: a_false_condition_skips_the_step,
    order: a_condition_that_is_no_boolean_fails_the_step,
    order: items_are_taken_in_their_order,
    order: no_more_items_at_once_than_said,
    order: a_bad_item_stops_the_others,
    order: with_continue_a_bad_item_stops_no_other,
    order: with_continue_a_loop_that_fails_itself_falls,
    order: an_empty_list_completes_the_step,
    order: loops_within_loops,
    order: a_group_is_over_when_its_steps_are,
    order: what_is_computed_needs_no_receipt,
    order: an_output_that_cannot_be_evaluated_fails_the_run,
    order: inputs_are_given_or_have_defaults,
    order: who_acts_is_who_is_named,
    order: two_that_write_one_thing_take_turns,
    order: a_place_has_a_name,
    falls: what_fails_for_a_moment_is_tried_again,
    falls: the_last_attempt_decides,
    falls: what_fails_for_good_is_not_tried_again,
    falls: any_failure_is_tried_again_where_that_is_said,
    falls: some_codes_are_never_tried_again,
    falls: timeouts_alone_are_tried_again_where_that_is_said,
    falls: waits_between_attempts_grow_up_to_a_limit,
    falls: a_read_that_takes_too_long_is_tried_again,
    falls: a_write_that_takes_too_long_is_not,
    falls: a_failure_that_is_handled_lets_the_others_go_on,
    falls: a_handler_of_failures_sees_why,
    falls: a_handler_that_falls_falls_for_all,
    falls: a_refusal_ends_the_run,
    falls: a_refusal_that_is_handled_lets_the_others_go_on,
    falls: a_handler_of_refusals_sees_why,
    falls: what_is_under_way_is_waited_for_when_another_falls,
    falls: arguments_that_make_no_effect_fail_the_step,
    falls: who_gives_up_says_why,
    falls: a_group_that_falls_is_handled_as_one,
    people: a_sleep_takes_its_time,
    people: sleeps_end_in_the_order_of_their_times,
    people: a_run_that_takes_too_long_is_over,
    people: a_signal_brings_a_step_on,
    people: a_signal_that_came_early_is_kept,
    people: a_signal_of_the_same_id_is_one,
    people: the_oldest_signal_that_fits_is_taken,
    people: one_signal_brings_on_one_step,
    people: without_a_signal_in_time_the_step_fails,
    people: people_say_yes,
    people: people_say_no,
    people: a_no_that_is_handled,
    people: it_takes_as_many_as_are_asked,
    people: without_an_answer_in_time_it_is_refused,
    people: others_may_answer_later_on,
    people: whose_answer_does_not_count_changes_nothing,
    people: a_policy_asks_people_for_one_effect,
    people: a_run_that_is_held_gets_no_receipt,
    people: a_run_that_is_held_does_not_end,
    people: a_run_that_is_held_ends_when_somebody_ends_it,
    people: who_may_not_hold_a_run_does_not,
    people: a_run_that_left_memory_comes_back_when_it_is_due,
    people: a_signal_finds_a_run_that_left_memory,
    people: an_answer_finds_a_run_that_left_memory,
    ends: a_run_is_ended_by_who_may,
    ends: who_may_not_end_a_run_does_not,
    ends: what_is_under_way_is_waited_for_when_a_run_is_ended,
    ends: what_was_done_is_undone_the_last_first,
    ends: each_item_is_undone,
    ends: a_group_is_undone_as_one,
    ends: the_run_as_a_whole_is_undone_last,
    ends: a_run_that_failed_is_undone_where_that_is_said,
    ends: a_run_that_was_refused_is_undone_where_that_is_said,
    ends: what_cannot_be_undone_stops_nothing,
    ends: a_chain_goes_on_with_other_inputs,
    ends: signals_go_with_the_chain,
    ends: a_chain_that_would_spin_fails,
    ends: a_fork_goes_on_from_a_step_with_other_inputs,
    ends: a_fork_asks_people_again,
    rounds: rounds_come_one_after_the_other_until_it_holds,
    rounds: a_round_sees_what_the_one_before_came_to,
    rounds: behind_the_most_rounds_there_may_be_it_fails,
    rounds: a_fall_in_a_round_is_handled_as_one_of_the_group,
    rounds: the_time_of_all_rounds_is_that_of_the_group,
    rounds: a_run_that_is_ended_between_two_rounds_undoes_each,
    rounds: rounds_stand_in_items_and_items_in_rounds,
    rounds: people_are_asked_in_each_round,
    rounds: a_run_leaves_memory_between_two_rounds,
    rounds: what_is_down_for_hours_is_tried_again,
    rounds: a_fork_goes_on_from_a_round,
    family: a_run_hears_what_the_one_that_it_began_gave,
    family: one_that_fails_makes_the_step_fail,
    family: one_that_is_refused_makes_the_step_refused,
    family: one_that_is_not_waited_for,
    family: one_for_each_item,
    family: runs_that_runs_begin_begin_runs,
    family: ending_a_run_ends_those_that_it_began,
    family: one_that_is_left_goes_on,
    family: holding_a_run_holds_those_that_it_began,
    family: what_they_do_counts_in_one_budget,
    limits: so_many_effects_and_no_more,
    limits: so_much_money_and_no_more,
    limits: the_best_plan_is_taken,
    limits: when_a_plan_falls_another_is_taken,
    limits: where_no_plan_will_do_the_step_is_refused,
    limits: one_at_a_time,
    limits: each_key_is_limited_on_its_own,
    limits: one_too_many_is_refused_where_that_is_said,
    limits: one_too_many_ends_the_other_where_that_is_said,
    limits: nobody_is_ended_before_the_time_of_who_takes_the_place,
    limits: the_higher_priority_goes_first,
    limits: so_many_in_a_time_and_no_more,
    limits: not_before_a_time,
    limits: one_that_waits_is_withdrawn,
    limits: a_schedule_starts_runs,
    limits: a_schedule_skips_what_overlaps,
}

#[test]
fn there_are_as_many_cases_as_promised() {
    let of_stores = include_str!("../src/lib.rs").lines().map(str::trim_start).filter(|line| {
        let name = line.split_once(": ").and_then(|(_, case)| case.strip_suffix(','));
        let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.is_some_and(|name| name.chars().all(is_of_name))
    });
    let (of_stores, of_workflows) = (of_stores.count(), CASES.len());
    println!(
        "counted: {} cases of conformance on each store: {of_stores} of stores, {of_workflows} of \
         workflows",
        of_stores + of_workflows
    );
    assert!(of_stores >= 99 && of_workflows >= 60 && of_stores + of_workflows >= 150);
}
