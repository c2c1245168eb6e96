//! The steps of a group in rounds.

use expect_test::expect;

use crate::check;
use crate::home::Home;
use crate::town::Script;

pub(crate) fn rounds_come_one_after_the_other_until_it_holds(home: Home) {
    let flow = "
steps:
  - id: poll
    repeat: { until: \"index == 2\", most: 9, every_ms: \"${{ 1000 * (index + 1) }}\" }
    steps:
      - { id: ask, uses: file.write, with: { root: out, path: \"slow/100/${{ index }}\", text: x } }
  - { id: last, needs: [poll], uses: file.write, with: { root: out, path: last, text: \"${{ string(steps.poll.output.rounds) }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: poll[0].ask: receipt by user:operator for file.write
        a: poll[0].ask: completed +100
        a: evidence timer poll[1] +1100
        a: poll[1].ask: receipt by user:operator for file.write +1100
        a: poll[1].ask: completed +1200
        a: evidence timer poll[2] +3200
        a: poll[2].ask: receipt by user:operator for file.write +3200
        a: poll[2].ask: completed +3300
        a: last: receipt by user:operator for file.write +3300
        a: last: completed +3300
        a: completed +3300
        last says 3
        slow/100/0 says x
        slow/100/1 says x
        slow/100/2 says x
    "#]],
    );
}

pub(crate) fn a_round_sees_what_the_one_before_came_to(home: Home) {
    let flow = "
steps:
  - id: count
    repeat: { until: \"steps.sum.output.of >= 4\", most: 9 }
    steps:
      - { id: sum, uses: compute, with: { of: \"${{ item == null ? 1 : item.steps.sum.output.of * 2 }}\" } }
      - { id: keep, needs: [sum], uses: file.write, with: { root: out, path: \"${{ string(index) }}\", text: \"${{ string(steps.sum.output.of) }}\" } }
outputs: { of: \"${{ steps.count.output.steps.sum.output.of }}\", rounds: \"${{ steps.count.output.rounds }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: count[0].keep: receipt by user:operator for file.write
        a: count[0].keep: completed
        a: count[1].keep: receipt by user:operator for file.write
        a: count[1].keep: completed
        a: count[2].keep: receipt by user:operator for file.write
        a: count[2].keep: completed
        a: completed, output {"of":4,"rounds":3}
        0 says 1
        1 says 2
        2 says 4
    "#]],
    );
}

pub(crate) fn behind_the_most_rounds_there_may_be_it_fails(home: Home) {
    let flow = "
steps:
  - id: poll
    repeat: { until: false, most: 2, every_ms: 10 }
    on_error: { steps: [ { id: say, uses: file.write, with: { root: out, path: said, text: \"${{ steps.poll.error.code }}\" } } ] }
    steps:
      - { id: ask, uses: file.read, with: { root: out, path: a } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: poll[0].ask: receipt by user:operator for file.read
        a: poll[0].ask: completed
        a: evidence timer poll[1] +10
        a: poll[1].ask: receipt by user:operator for file.read +10
        a: poll[1].ask: completed +10
        a: poll.on_error.say: receipt by user:operator for file.write +10
        a: poll.on_error.say: completed +10
        a: completed +10
        said says repeat.most
    "#]],
    );
}

pub(crate) fn a_fall_in_a_round_is_handled_as_one_of_the_group(home: Home) {
    let flow = "
steps:
  - id: poll
    repeat: { until: false, most: 9 }
    on_error: continue
    steps:
      - { id: ask, uses: file.write, with: { root: out, path: \"${{ index < 1 ? 'a' : 'broken/file.io/a' }}\", text: x } }
  - { id: last, needs: [poll], uses: file.write, with: { root: out, path: last, text: \"${{ steps.poll.error.step }} ${{ steps.poll.output.rounds }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: poll[0].ask: receipt by user:operator for file.write
        a: poll[0].ask: completed
        a: poll[1].ask: receipt by user:operator for file.write
        a: poll[1].ask: failed code file.io
        a: last: receipt by user:operator for file.write
        a: last: completed
        a: completed
        a says x
        last says poll[1].ask 2
    "#]],
    );
}

pub(crate) fn the_time_of_all_rounds_is_that_of_the_group(home: Home) {
    let flow = "
steps:
  - id: poll
    timeout_ms: 2500
    repeat: { until: false, most: 9, every_ms: 1000 }
    steps:
      - { id: ask, uses: file.read, with: { root: out, path: a } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: poll[0].ask: receipt by user:operator for file.read
        a: poll[0].ask: completed
        a: evidence timer poll[1] +1000
        a: poll[1].ask: receipt by user:operator for file.read +1000
        a: poll[1].ask: completed +1000
        a: evidence timer poll[2] +2000
        a: poll[2].ask: receipt by user:operator for file.read +2000
        a: poll[2].ask: completed +2000
        a: evidence timer poll +2500
        a: failed, error {"code":"timeout","message":"it took longer than 2500 ms","step":"poll","transient":false} +2500
    "#]],
    );
}

pub(crate) fn a_run_that_is_ended_between_two_rounds_undoes_each(home: Home) {
    let flow = "
steps:
  - id: book
    repeat: { until: \"index == 7\", most: 9, every_ms: 1000 }
    steps:
      - id: put
        uses: file.write
        with: { root: out, path: \"${{ string(index) }}\", text: x }
        on_cancel: { steps: [ { id: drop, uses: file.delete, with: { root: out, path: \"${{ string(index) }}\" } } ] }
";
    check(
        home,
        flow,
        &["wait 1500", "cancel a user:ada"],
        expect![[r#"
        a: begins
        a: book[0].put: receipt by user:operator for file.write
        a: book[0].put: completed
        a: evidence timer book[1] +1000
        a: book[1].put: receipt by user:operator for file.write +1000
        a: book[1].put: completed +1000
        a: evidence cancel  +1500
        a: book[1].put.on_cancel.drop: receipt by user:operator for file.delete +1500
        a: book[1].put.on_cancel.drop: completed +1500
        a: book[0].put.on_cancel.drop: receipt by user:operator for file.delete +1500
        a: book[0].put.on_cancel.drop: completed +1500
        a: cancelled, error {"code":"cancelled","message":"it is so","undone":2} +1500
    "#]],
    );
}

pub(crate) fn rounds_stand_in_items_and_items_in_rounds(home: Home) {
    let flow = "
steps:
  - id: row
    foreach: [a, b]
    max_parallel: 1
    steps:
      - { id: name, uses: compute, with: { of: \"${{ item }}\" } }
      - id: turn
        needs: [name]
        repeat: { until: \"index == 1\", most: 2, every_ms: 5 }
        steps:
          - id: cell
            foreach: [1, 2]
            max_parallel: 1
            uses: file.write
            with: { root: out, path: \"${{ steps.name.output.of }}${{ item }}\", text: x, mode: replace }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: row[0].turn[0].cell[0]: receipt by user:operator for file.write
        a: row[0].turn[0].cell[0]: completed
        a: row[0].turn[0].cell[1]: receipt by user:operator for file.write
        a: row[0].turn[0].cell[1]: completed
        a: evidence timer row[0].turn[1] +5
        a: row[0].turn[1].cell[0]: receipt by user:operator for file.write +5
        a: row[0].turn[1].cell[0]: completed +5
        a: row[0].turn[1].cell[1]: receipt by user:operator for file.write +5
        a: row[0].turn[1].cell[1]: completed +5
        a: row[1].turn[0].cell[0]: receipt by user:operator for file.write +5
        a: row[1].turn[0].cell[0]: completed +5
        a: row[1].turn[0].cell[1]: receipt by user:operator for file.write +5
        a: row[1].turn[0].cell[1]: completed +5
        a: evidence timer row[1].turn[1] +10
        a: row[1].turn[1].cell[0]: receipt by user:operator for file.write +10
        a: row[1].turn[1].cell[0]: completed +10
        a: row[1].turn[1].cell[1]: receipt by user:operator for file.write +10
        a: row[1].turn[1].cell[1]: completed +10
        a: completed +10
        a1 says x
        a2 says x
        b1 says x
        b2 says x
    "#]],
    );
}

pub(crate) fn people_are_asked_in_each_round(home: Home) {
    let flow = "
steps:
  - id: draft
    repeat: { until: \"steps.look.status == 'completed'\", most: 3 }
    steps:
      - { id: write, uses: file.write, with: { root: out, path: \"${{ string(index) }}\", text: x } }
      - { id: look, needs: [write], approve: { by: [\"user:cfo\"], message: \"Is ${{ index }} good?\" }, on_refused: continue }
";
    check(
        home,
        flow,
        &["no a draft[0].look user:cfo", "yes a draft[1].look user:cfo"],
        expect![[r#"
            a: begins
            a: draft[0].write: receipt by user:operator for file.write
            a: draft[0].write: completed
            a: draft[0].look: asks 1 of ["user:cfo"]
            a: draft[0].look: no of user:cfo
            a: draft[1].write: receipt by user:operator for file.write
            a: draft[1].write: completed
            a: draft[1].look: asks 1 of ["user:cfo"]
            a: draft[1].look: yes of user:cfo
            a: completed
            0 says x
            1 says x
        "#]],
    );
}

pub(crate) fn a_run_leaves_memory_between_two_rounds(home: Home) {
    let flow = "
steps:
  - id: poll
    repeat: { until: \"index == 1\", most: 3, every_ms: 3600000 }
    steps:
      - { id: ask, uses: file.read, with: { root: out, path: a } }
";
    Script { parks: true, ..Script::new(flow, &[]) }.check(
        home,
        &expect![[r#"
        a: begins
        a: poll[0].ask: receipt by user:operator for file.read
        a: poll[0].ask: completed
        a: evidence timer poll[1] +3600000
        a: poll[1].ask: receipt by user:operator for file.read +3600000
        a: poll[1].ask: completed +3600000
        a: completed +3600000
    "#]],
    );
}

pub(crate) fn a_fork_goes_on_from_a_round(home: Home) {
    let flow = "
inputs: { who: { type: string, default: ada } }
steps:
  - id: poll
    repeat: { until: \"index == 2\", most: 9, every_ms: 1000 }
    steps:
      - { id: ask, uses: file.write, with: { root: out, path: \"${{ inputs.who }}${{ index }}\", text: \"${{ item == null ? '-' : item.steps.ask.output.path }}\" } }
";
    check(
        home,
        flow,
        &["wait 1500", "cancel a user:ada", "fork b a poll[1] who=bob"],
        expect![[r#"
            a: begins
            a: poll[0].ask: receipt by user:operator for file.write
            a: poll[0].ask: completed
            a: evidence timer poll[1] +1000
            a: poll[1].ask: receipt by user:operator for file.write +1000
            a: poll[1].ask: completed +1000
            a: evidence cancel  +1500
            a: cancelled, error {"code":"cancelled","message":"it is so"} +1500
            b: goes on from a place +1500
            b: poll[1].ask: receipt by user:operator for file.write +1500
            b: poll[1].ask: completed +1500
            b: evidence timer poll[2] +2500
            b: poll[2].ask: receipt by user:operator for file.write +2500
            b: poll[2].ask: completed +2500
            b: completed +2500
            ada0 says -
            ada1 says ada0
            bob1 says ada0
            bob2 says bob1
        "#]],
    );
}

pub(crate) fn what_is_down_for_hours_is_tried_again(home: Home) {
    let flow = "
steps:
  - id: sent
    repeat: { until: steps.send.status == 'completed', most: 100, every_ms: \"${{ index < 2 ? 60000 * (index + 1) : 3600000 }}\" }
    steps:
      - id: send
        uses: file.write
        with: { root: out, path: \"${{ index < 4 ? 'flaky/9/a' : 'a' }}\", text: x }
        retry: { attempts: 2, backoff_ms: 1000 }
        on_error: continue
      - id: give-up
        needs: [send]
        if: steps.send.status == 'failed' && !steps.send.error.transient
        uses: compute
        with: { why: \"${{ fail(steps.send.error.message) }}\" }
outputs: { rounds: \"${{ steps.sent.output.rounds }}\" }
";
    Script { parks: true, ..Script::new(flow, &[]) }.check(
        home,
        &expect![[r#"
        a: begins
        a: sent[0].send: receipt by user:operator for file.write
        a: sent[0].send: failed code world.busy after 2 attempts +1000
        a: evidence timer sent[1] +61000
        a: sent[1].send: receipt by user:operator for file.write +61000
        a: sent[1].send: failed code world.busy after 2 attempts +62000
        a: evidence timer sent[2] +182000
        a: sent[2].send: receipt by user:operator for file.write +182000
        a: sent[2].send: failed code world.busy after 2 attempts +183000
        a: evidence timer sent[3] +3783000
        a: sent[3].send: receipt by user:operator for file.write +3783000
        a: sent[3].send: failed code world.busy after 2 attempts +3784000
        a: evidence timer sent[4] +7384000
        a: sent[4].send: receipt by user:operator for file.write +7384000
        a: sent[4].send: completed +7384000
        a: completed, output {"rounds":5} +7384000
        a says x
    "#]],
    );
}
