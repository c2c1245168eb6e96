//! Runs that go on from another past the consent of people: who was asked is asked again, and what
//! has begun and needs it waits.

use cog_base::id::RunId;
use cog_engine::fork::{Fork, place};
use cog_engine::replay::as_far;
use cog_engine::{Forking, History, Input, Record};
use cog_gate::Effect as _;
use cog_ledger::Kind;

use crate::house::House;

const ASK: &str =
    "{ id: ok, on_refused: continue, approve: { by: [\"role:finance\"], message: Go on? } }";

fn write(id: &str, more: &str) -> String {
    format!(
        "{{ id: {id}, {more} uses: file.write, with: {{ root: out, path: \"${{{{ '{id}' }}}}\", text: x }} }}"
    )
}

/// The paths of the files that are being written.
fn under_way(house: &House) -> Vec<String> {
    let args = house.under_way.iter().map(|it| it.cleared.effect().args());
    args.map(|args| args.get("path").unwrap().as_text().unwrap().to_owned()).collect()
}

/// Everything that begins is done, to the end.
fn to_the_end(house: &mut House, run: RunId) -> String {
    while !house.under_way.is_empty() {
        house.done("done");
    }
    house.assert_replays(run);
    house.assert_recomputes();
    house.sealed(run).unwrap().status.clone()
}

#[test]
fn what_stands_inside_a_step_waits_with_it_and_its_condition_is_read_again() {
    for (around, from) in [("", "g.y"), ("foreach: [1, 2], max_parallel: 1, ", "g[1].y")] {
        let steps = format!(
            "
  - {ASK}
  - {{ id: g, needs: [ok], if: \"steps.ok.status == 'completed'\", {around} steps: [ {}, {} ] }}
  - {}
",
            write("x", ""),
            write("y", "needs: [x],"),
            write("aside", ""),
        );
        let mut house = House::new();
        let parent = house.start(&steps);
        house.done("aside");
        house.answer(parent, Ok(()));
        to_the_end(&mut house, parent);
        let run = house.fork(parent, from, &[]);
        assert!(under_way(&house).is_empty(), "{from}");
        house.answer(run, Ok(()));
        assert_eq!(under_way(&house), ["y"]);
        assert_eq!(to_the_end(&mut house, run), "completed");
        let refused = house.fork(parent, from, &[]);
        house.answer(refused, Err("no"));
        assert!(under_way(&house).is_empty(), "its `if` is false now");
        assert_eq!(to_the_end(&mut house, refused), "completed");
        // The process dies between the question and the answer.
        let run = house.fork(parent, from, &[]);
        house.restart();
        house.answer(run, Ok(()));
        assert_eq!(under_way(&house), ["y"]);
        assert_eq!(to_the_end(&mut house, run), "completed");
    }
}

#[test]
fn a_step_that_waits_again_reads_its_condition_again() {
    let steps = format!(
        "
  - {ASK}
  - {}
  - {}
",
        write("w", "needs: [ok], if: \"steps.ok.status == 'completed'\","),
        write("then", "needs: [w],"),
    );
    let mut house = House::new();
    let parent = house.start(&steps);
    house.answer(parent, Ok(()));
    to_the_end(&mut house, parent);
    let run = house.fork(parent, "w", &[]);
    house.answer(run, Err("no"));
    assert_eq!(under_way(&house), ["then"], "a step that was skipped counts as done");
    assert_eq!(to_the_end(&mut house, run), "completed");
    // What is kept keeps the way it took.
    let run = house.fork(parent, "then", &[]);
    house.answer(run, Err("no"));
    assert_eq!(to_the_end(&mut house, run), "completed");
}

#[test]
fn what_is_kept_waits_in_a_fork_of_a_fork_whose_question_is_open() {
    let steps = format!(
        "\n  - {ASK}\n  - {}\n  - {}\n",
        write("w", "needs: [ok],"),
        write("then", "needs: [w],")
    );
    let mut house = House::new();
    let parent = house.start(&steps);
    house.answer(parent, Ok(()));
    to_the_end(&mut house, parent);
    for verdict in [Ok(()), Err("no")] {
        let first = house.fork(parent, "then", &[]);
        let second = house.fork(first, "ok", &[]);
        assert!(under_way(&house).is_empty());
        let (who, reason) = ("user:ada".parse().unwrap(), "not needed".to_owned());
        house.give(Input::Cancel { run: first, who, reason });
        house.answer(second, verdict);
        assert_eq!(under_way(&house), ["then"], "what it needs is over, by way of what was kept");
        assert_eq!(to_the_end(&mut house, second), "completed");
    }
}

#[test]
fn an_open_question_is_asked_in_the_fork_alone_and_a_no_stays() {
    let mut house = House::new();
    let parent = house.start(&format!("\n  - {ASK}\n  - {}\n", write("w", "needs: [ok],")));
    house.answer(parent, Err("no"));
    to_the_end(&mut house, parent);
    let run = house.fork(parent, "w", &[]);
    assert_eq!((under_way(&house).len(), house.asked().len()), (1, 0));
    assert_eq!(to_the_end(&mut house, run), "completed");
}

#[test]
fn people_are_asked_under_the_canon_of_today() {
    let mut house = House::new();
    let parent = house.start(&format!("\n  - {ASK}\n  - {}\n", write("w", "needs: [ok],")));
    house.answer(parent, Ok(()));
    to_the_end(&mut house, parent);
    house.enact(|_, text| text.replace("resources_max = 500", "resources_max = 499"));
    let run = house.fork(parent, "w", &[]);
    let canon = |run| {
        let all = house.records(run).into_iter();
        let asked = all.map(|it| it.entry).find(|it| it.kind() == Kind::ApprovalRequested);
        asked.and_then(|asked| asked.canon()).unwrap()
    };
    assert_ne!(canon(run), canon(parent));
    house.answer(run, Ok(()));
    assert_eq!(under_way(&house), ["w"]);
    assert_eq!(to_the_end(&mut house, run), "completed");
}

#[test]
fn effects_that_were_done_count_for_the_budget() {
    let mut house = House::new();
    let steps = format!(
        "\n  - {}\n  - {}\n  - {}\n",
        write("a", ""),
        write("b", "needs: [a],"),
        write("c", "needs: [b],")
    );
    let parent = house.start_with("budget: { effects: 2 }", &steps);
    ["a", "b"].into_iter().for_each(|text| house.done(text));
    assert_ne!(house.sealed(parent).unwrap().status, "completed");
    let run = house.fork(parent, "c", &[]);
    assert!(under_way(&house).is_empty());
    house.assert_replays(run);
    let run = house.fork(parent, "b", &[]);
    assert_eq!(under_way(&house), ["b"]);
    house.done("b");
    assert!(under_way(&house).is_empty());
    house.assert_replays(run);
    house.assert_recomputes();
}

/// The entry behind which a run goes on may have released a whole group: its `if` is read anew.
#[test]
fn where_people_would_have_been_asked_by_the_very_entry_the_new_inputs_decide() {
    let who = "inputs: { who: { type: string, default: ada } }";
    let steps = format!(
        "  - {{ id: g, steps: [ {} ] }}\n  - {}\n  - {}\n",
        ASK.replace("id: ok,", "id: ok, if: \"inputs.who == 'eve'\","),
        write("a", ""),
        write("b", "needs: [a, g],"),
    );
    let mut house = House::new();
    let parent = house.start_with(who, &steps);
    to_the_end(&mut house, parent);
    let run = house.fork(parent, "a", &[]);
    assert_eq!(under_way(&house), ["a"], "nobody was asked, and nobody is");
    to_the_end(&mut house, run);
    let run = house.fork(parent, "a", &[("who", "eve")]);
    assert_eq!(house.asked().len(), 1);
    house.answer(run, Ok(()));
    to_the_end(&mut house, run);
    // Behind a later entry it is over, and its `if` was read with the inputs of then.
    let run = house.fork(parent, "b", &[]);
    assert!(house.is_not_forked(run));
}

#[test]
fn a_run_whose_tree_is_not_known_is_not_gone_on_from() {
    let sub = "name: sub\ndomain: simulation\nsteps:\n  - { id: nap, sleep: { ms: 1 } }\n";
    let main = "name: main\ndomain: simulation\nroots: { out: { path: out, access: write } }\nsteps:\n  - { id: s, run: { workflow: sub.yaml } }\n  - { id: w, needs: [s], uses: file.write, with: { root: out, path: w, text: x } }\n";
    let mut house = House::new();
    let parent = house.start_family(main, &[("sub.yaml", sub)]);
    house.ring();
    to_the_end(&mut house, parent);
    let past = house.history(parent);
    let (history, _) = as_far(&past).unwrap();
    let fork = place(&past, &history, "w").unwrap();
    let run = house.fork(parent, "w", &[]);
    assert_eq!(under_way(&house), ["w"], "its tree is known");
    to_the_end(&mut house, run);
    assert!(!goes_on(&mut house, &history, fork, Vec::new()));
}

/// Pruning takes the oldest entries, and so it can take those of who began a run and leave the run.
#[test]
fn a_run_is_not_gone_on_from_when_entries_of_who_began_it_are_gone() {
    let sub = format!(
        "name: sub\ndomain: simulation\nroots: {{ out: {{ path: out, access: write }} }}\nsteps:\n  - {}\n  - {}\n",
        write("x", ""),
        write("y", "needs: [x],")
    );
    let main = format!(
        "name: main\ndomain: simulation\nroots: {{ out: {{ path: out, access: write }} }}\nsteps:\n  - {}\n  - {{ id: s, needs: [a], run: {{ workflow: sub.yaml }} }}\n",
        write("a", "")
    );
    let mut house = House::new();
    let parent = house.start_family(&main, &[("sub.yaml", &sub)]);
    to_the_end(&mut house, parent);
    let child = house.everything().iter().find_map(|it| {
        (it.entry.kind() == Kind::ChildStarted).then(|| it.entry.text("session")?.parse().ok())?
    });
    let past = house.history(child.unwrap());
    let (history, _) = as_far(&past).unwrap();
    let fork = place(&past, &history, "y").unwrap();
    let above = house.history(parent);
    let by_then = above.iter().filter(|it| it.entry.seq() < fork.seq).count();
    assert!(by_then > 3 && by_then < above.len());
    assert!(goes_on(&mut house, &history, fork.clone(), vec![above.clone()]));
    for gone in 1..=above.len() {
        let left = vec![above[gone..].to_vec()];
        assert!(!goes_on(&mut house, &history, fork.clone(), left), "{gone} entries are gone");
    }
    while !house.under_way.is_empty() {
        house.done("done");
    }
    house.assert_recomputes();
}

/// Whether a run goes on from a place when these are the others of its tree.
fn goes_on(house: &mut House, history: &History, fork: Fork, kin: Vec<Vec<Record>>) -> bool {
    let run = house.new_run();
    let past = house.history(fork.session);
    let past = house.taken(run, &fork, past).unwrap();
    house.give(Input::Fork(Box::new(Forking {
        run,
        past,
        kin,
        fork,
        inputs: history.inputs().as_map().unwrap().clone(),
        roots: history.roots().clone(),
        places: history.places().clone(),
        base: String::new(),
        initiator: "user:operator".parse().unwrap(),
    })));
    assert_eq!(house.is_not_forked(run), house.records(run).is_empty());
    !house.is_not_forked(run)
}
