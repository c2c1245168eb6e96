//! Intact bundles hold, whole and pruned, whichever rightful key the verifier brings.

use cog_ledger::bundle::{self, Check, Verified, verify};
use cog_ledger::{Checkpoint, Kind, VerifierKey};

use crate::house::House;

pub(crate) fn check(bundle: &[u8], trusted: &[VerifierKey], against: &[Checkpoint]) -> Verified {
    verify(&mut &bundle[..], &Check { trusted, against }).unwrap()
}

pub(crate) fn codes(verified: &Verified) -> Vec<&'static str> {
    verified.findings().kept().iter().map(|finding| finding.code).collect()
}

#[test]
fn an_intact_bundle_holds_under_every_key_that_was_in_force() {
    let mut house = House::honest(1);
    let (keys, bundle) = (house.keys(), house.bundle());
    assert_eq!(keys.len(), 3);
    for key in &keys {
        let verified = check(&bundle, std::slice::from_ref(key), &[]);
        assert_eq!(codes(&verified), [""; 0], "{:?}", verified.findings().kept());
        assert_eq!(verified.signer.as_ref(), keys.last());
        assert_eq!(verified.audited.open_receipts, 1);
        assert_eq!(verified.audited.sessions, (12, 11));
        assert_eq!(verified.audited.outcomes, [2, 2, 2, 2]);
        assert_eq!(verified.canons, 2);
        assert_eq!(verified.bodies_absent, 0);
    }
}

#[test]
fn what_a_later_release_made_is_not_called_wrong() {
    let mut house = House::honest(12);
    let keys = house.keys();
    let bundle = String::from_utf8(house.bundle()).unwrap();
    let first = |from: &str, to: &str| {
        assert!(bundle.contains(from), "{from}");
        let verified = check(bundle.replacen(from, to, 1).as_bytes(), &keys, &[]);
        codes(&verified)[0]
    };
    let kind = r#""kind":"session.started""#;
    assert_eq!(first(kind, r#""kind":"session.moved""#), "bundle.newer");
    assert_eq!(first(r#""v":1}"#, r#""v":2}"#), "bundle.newer");
    assert_eq!(first(kind, r#""kind":"Session?""#), "bundle.line");
    assert_eq!(first(r#""v":1}"#, r#""v":0}"#), "bundle.line");

    let opened = |format: &str| {
        let bundle = bundle.replacen(bundle::FORMAT, format, 1);
        verify(&mut bundle.as_bytes(), &Check::default()).unwrap_err().to_string()
    };
    let later = opened("cognitionos-bundle/v2");
    assert!(later.contains("it is too old for it"), "{later}");
    assert!(opened("cognitionos-bundle/v0").starts_with("this is not a bundle"));
    assert!(opened("other-bundle/v2").starts_with("this is not a bundle"));
}

#[test]
fn a_bundle_without_bodies_holds_and_says_so() {
    let mut house = House::honest(2);
    let keys = house.keys();
    let verified = check(&house.bundle_from(0, false), &keys, &[]);
    assert!(verified.holds());
    assert_eq!(verified.bodies, 0);
    assert!(verified.bodies_absent > 15);
}

#[test]
fn a_pruned_bundle_holds_from_where_an_entry_says_it_was_pruned() {
    let mut house = House::honest(3);
    let keys = house.keys();
    let to = house.log().entries().find_map(|entry| entry.count("to")).unwrap();
    let pruned = house.bundle_from(to, true);
    // The first key too, although the hand-over from it was pruned.
    for key in &keys {
        let verified = check(&pruned, std::slice::from_ref(key), &[]);
        assert_eq!(codes(&verified), [""; 0], "{:?}", verified.findings().kept());
        assert!(verified.audited.not_followed > 0);
    }
    // What nobody declared pruned is missing.
    let unexplained = house.bundle_from(to - 1, true);
    assert_eq!(codes(&check(&unexplained, &keys, &[])), ["prune.unexplained"]);
}

#[test]
fn every_earlier_head_is_consistent_with_the_bundle() {
    let mut house = House::honest(4);
    let (keys, bundle) = (house.keys(), house.bundle());
    let heads = house.log().checkpoints.clone();
    assert_eq!(codes(&check(&bundle, &keys[..1], &heads)), [""; 0]);
}

#[test]
fn a_strangers_key_is_found_even_though_the_bundle_names_it() {
    let (mut honest, mut stranger) = (House::honest(5), House::honest(6));
    let verified = check(&honest.bundle(), &stranger.keys(), &[]);
    assert_eq!(codes(&verified), ["head.untrusted"]);
    assert_eq!(verified.signer, None);
    assert_eq!(codes(&check(&honest.bundle(), &[], &[])), ["head.untrusted"]);
}

#[test]
fn a_hand_over_that_the_old_key_did_not_sign_proves_nothing() {
    let mut house = House::honest(7);
    let (keys, bundle) = (house.keys(), String::from_utf8(house.bundle()).unwrap());
    let first = house.log().entries().find(|entry| entry.kind() == Kind::KeyRotated).unwrap().seq();
    let heads = house.log().checkpoints.clone();
    let both = heads.iter().find(|head| head.size() == first + 1).unwrap();
    let line = |head: &Checkpoint| head.to_string().replace('\n', "\\n");
    let [by_old, by_new] = [0, 1].map(|key| line(&both.signed_only_by(&keys[key]).unwrap()));
    assert!(bundle.contains(&by_old) && !bundle.contains(&by_new));
    for (instead, codes_found) in [
        (by_new.as_str(), ["rotation.unproven"].as_slice()),
        // With the signature of the new key there would be a head of a log that ends here.
        (line(both).as_str(), &["head.signatures"]),
    ] {
        let forged = reseal(&bundle.replace(&by_old, instead));
        for key in &keys {
            assert_eq!(
                codes(&check(forged.as_bytes(), std::slice::from_ref(key), &[])),
                codes_found
            );
        }
    }
}

#[test]
fn a_log_cut_off_at_a_hand_over_has_no_head_here() {
    let mut house = House::new(11);
    house.found_canon("name = \"first\"\n");
    house.honest_session();
    house.rotate();
    let (keys, last) = (house.keys(), house.bundle());
    // The head after the hand-over is the newest: each of its two signatures has its place.
    for key in &keys {
        assert_eq!(codes(&check(&last, std::slice::from_ref(key), &[])), [""; 0]);
    }
    house.honest_session();
    let whole = String::from_utf8(house.bundle()).unwrap();
    let hand_over = whole.lines().find(|line| line.starts_with("{\"checkpoint\"")).unwrap();
    // The entries and the manifest of then, under what the longer bundle has of their head.
    let last = String::from_utf8(last).unwrap();
    let head = last.lines().rfind(|line| line.starts_with("{\"checkpoint\"")).unwrap();
    let cut = reseal(&last.replace(head, hand_over));
    for key in &keys {
        let verified = check(cut.as_bytes(), std::slice::from_ref(key), &[]);
        assert_eq!(codes(&verified), ["head.not_in_force"]);
    }
}

#[test]
fn a_pruned_log_that_was_handed_over_since_is_compared_with_heads_of_before() {
    let mut house = House::new(12);
    house.found_canon("name = \"first\"\n");
    house.honest_session();
    let (kept_from, before) = (house.head().size(), house.head());
    house.prune(kept_from);
    house.rotate();
    let (keys, pruned) = (house.keys(), house.bundle_from(kept_from, true));
    for key in &keys {
        let verified = check(&pruned, std::slice::from_ref(key), std::slice::from_ref(&before));
        assert_eq!(codes(&verified), [""; 0]);
    }
}

#[test]
fn a_head_of_the_pruned_part_is_one_that_cannot_be_compared() {
    let mut house = House::new(12);
    house.found_canon("name = \"first\"\n");
    let before = house.head();
    house.rotate();
    let at_hand_over = house.head();
    house.honest_session();
    let kept_from = house.head().size();
    house.prune(kept_from);
    let (keys, pruned) = (house.keys(), house.bundle_from(kept_from, true));
    for key in &keys {
        let found = |head| codes(&check(&pruned, std::slice::from_ref(key), &[head]));
        assert_eq!(found(before.clone()), ["against.pruned"]);
        assert_eq!(found(at_hand_over.clone()), [""; 0]);
    }
}

#[test]
fn no_link_is_missing_in_the_keys_of_a_pruned_log() {
    let mut house = House::honest(14);
    let to = house.log().entries().find_map(|entry| entry.count("to")).unwrap();
    let (keys, pruned) = (house.keys(), String::from_utf8(house.bundle_from(to, true)).unwrap());
    let earlier: Vec<_> = pruned.lines().filter(|it| it.starts_with("{\"earlier\"")).collect();
    let without = |gone: &[&str]| {
        let kept = pruned.lines().filter(|line| !gone.contains(line));
        let forged = reseal(&kept.collect::<Vec<_>>().join("\n"));
        codes(&check(forged.as_bytes(), &keys, &[]))
    };
    let [genesis, hand_over] = earlier.as_slice() else { panic!("{}", earlier.len()) };
    assert_eq!(without(&[]), [""; 0]);
    assert_eq!(without(&[genesis, hand_over]), ["bundle.earlier"]);
    assert_eq!(without(&[genesis]), ["bundle.earlier"; 2]);
    assert_eq!(without(&[hand_over]), ["key.not_in_force", "bundle.keys"]);
}

#[test]
fn a_part_that_the_log_does_not_have_is_not_left_out() {
    let mut house = House::new(13);
    house.found_canon("name = \"first\"\n");
    let (keys, bundle) = (house.keys(), String::from_utf8(house.bundle()).unwrap());
    assert!(check(bundle.as_bytes(), &keys, &[]).holds());
    let said = reseal(&bundle.replacen("\"origin\"", "\"left_out\":[\"bodies\"],\"origin\"", 1));
    assert_eq!(codes(&check(said.as_bytes(), &keys, &[])), ["manifest.wrong"]);
}

/// The bundle with a last line that fits what is before it.
pub(crate) fn reseal(bundle: &str) -> String {
    let body: Vec<_> = bundle.lines().filter(|line| !line.starts_with("{\"end\"")).collect();
    let before = format!("{}\n", body.join("\n"));
    let digest = cog_base::Digest::of(&[before.as_bytes()]);
    format!("{before}{{\"end\":{{\"digest\":\"{digest}\",\"lines\":{}}}}}\n", body.len())
}

#[test]
fn an_earlier_export_is_shorter_and_a_fork_is_found() {
    let mut house = House::new(8);
    house.found_canon("name = \"first\"\n");
    house.honest_session();
    let early = house.bundle();
    let early_head = house.head();
    house.honest_session();
    let late_head = house.head();
    let keys = house.keys();
    assert_eq!(codes(&check(&early, &keys, std::slice::from_ref(&late_head))), ["against.shorter"]);
    assert!(check(&house.bundle(), &keys, &[early_head.clone(), late_head.clone()]).holds());

    // The same house forgets its second session and writes another: a split view.
    let mut fork = House::new(8);
    fork.found_canon("name = \"first\"\n");
    fork.honest_session();
    fork.now = fork.now.plus_ms(1);
    fork.honest_session();
    assert_eq!(fork.keys(), keys);
    let forked = fork.bundle();
    assert!(check(&forked, &keys, &[]).holds(), "alone, a fork looks like a log");
    assert!(check(&forked, &keys, &[early_head]).holds(), "they share the beginning");
    assert_eq!(codes(&check(&forked, &keys, &[late_head])), ["against.split"]);
}

#[test]
fn heads_of_strangers_are_no_measure() {
    let (mut house, mut stranger) = (House::honest(9), House::honest(10));
    let (bundle, keys, head) = (house.bundle(), house.keys(), stranger.head());
    assert_eq!(codes(&check(&bundle, &keys, &[head])), ["against.untrusted"]);
}

#[test]
fn what_is_no_bundle_is_an_error() {
    for text in ["", "\n", "{}\n", "{\"bundle\":\"cognitionos-bundle/v2\"}\n", "# readme\n"] {
        assert!(verify(&mut text.as_bytes(), &Check::default()).is_err(), "{text}");
    }
}
