//! What a soak says of itself.

use cog_base::Value;
use cog_sim::{Broken, Summary, run_seed, run_town, soak};

fn times(mut count: u64) -> impl FnMut() -> bool {
    move || {
        let goes_on = count > 0;
        count = count.saturating_sub(1);
        goes_on
    }
}

fn fine(_: u64) -> Result<Summary, Broken> {
    Ok(Summary { runs: 2, receipts: 3, ..Summary::default() })
}

#[test]
fn a_soak_says_in_one_document_what_it_did() {
    let soaked = soak(7, times(2), fine, fine);
    let document = soaked.to_value(60);
    let number = |path: &[&str]| document.at(path).and_then(Value::as_u64);
    for (path, is) in [
        (&["first_seed"][..], 7),
        (&["worlds"], 2),
        (&["towns"], 8),
        (&["runs"], 20),
        (&["receipts"], 30),
        (&["took_s"], 60),
    ] {
        assert_eq!(number(path), Some(is), "{path:?}");
    }
    assert_eq!(document.get("failed").and_then(Value::as_list), Some(&[][..]));
}

#[test]
fn what_failed_is_in_it_with_its_seed_and_nothing_is_run_after_it() {
    let broken = |seed| Broken { seed, what: "an effect was done twice".to_owned() };
    let fails = |seed| if seed == 12 { Err(broken(seed)) } else { fine(seed) };
    for (soaked, of, seed, worlds, towns) in [
        (soak(7, times(9), fine, fails), "town", 12, 2, 5),
        (soak(12, times(9), fails, fine), "world", 12, 0, 0),
    ] {
        assert_eq!((soaked.worlds, soaked.towns), (worlds, towns));
        let said = soaked.to_string();
        assert!(said.ends_with("seed 12: an effect was done twice"), "{said}");
        let document = soaked.to_value(1);
        let failed = document.get("failed").and_then(Value::as_list).unwrap_or_default();
        let [failed] = failed else { panic!("{document}") };
        assert_eq!(failed.get("seed").and_then(Value::as_u64), Some(seed));
        assert_eq!(failed.get("of"), Some(&of.into()));
        assert_eq!(failed.get("what"), Some(&"an effect was done twice".into()));
    }
}

#[test]
fn what_worlds_and_towns_went_through_is_in_it_by_its_kind() {
    let soaked = soak(1, times(1), run_seed, run_town);
    assert_eq!(soaked.failed, None);
    let document = soaked.to_value(1);
    let counted: u64 = soaked.total.faults.sum();
    let faults = document.get("faults").and_then(Value::as_map).unwrap();
    assert_eq!(faults.values().filter_map(Value::as_u64).sum::<u64>(), counted);
    assert!(counted > 0 && soaked.total.events > 0);
}
