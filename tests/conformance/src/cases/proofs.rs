//! Proofs come out of what is kept, and hold against the signed heads.

use cog_ledger::merkle::{
    Frontier, consistency, inclusion, root, verify_consistency, verify_inclusion,
};
use cog_store::{PAGE_MAX, Tree, frontier};

use crate::{House, Place, evidence, tenant};

fn grown(place: &dyn Place) -> House<'_> {
    let mut house = House::at(place);
    for size in [1, 3, 250, 2, 1, 300, 64, 400] {
        house.append(tenant(1), (0..size).map(|number| evidence(&number.to_string())));
    }
    house
}

/// Every entry against the newest head.
pub fn every_entry_is_included(place: &dyn Place) {
    let house = grown(place);
    let scope = house.scope(tenant(1));
    let head = scope.checkpoint().unwrap().unwrap();
    assert_eq!(root(&mut Tree(&*scope), head.size()).unwrap(), head.root());
    for entry in house.entries(tenant(1)) {
        let path = inclusion(&mut Tree(&*scope), entry.seq(), head.size()).unwrap();
        assert!(verify_inclusion(entry.leaf(), entry.seq(), head.size(), head.root(), &path));
    }
}

/// Every pair of signed heads.
pub fn the_log_only_grew_between_any_two_heads(place: &dyn Place) {
    let house = grown(place);
    let scope = house.scope(tenant(1));
    let heads = scope.checkpoints(0, PAGE_MAX).unwrap();
    assert_eq!(heads.len(), 8);
    for (place, newer) in heads.iter().enumerate() {
        for older in &heads[..=place] {
            let path = consistency(&mut Tree(&*scope), older.size(), newer.size()).unwrap();
            assert!(verify_consistency(
                older.size(),
                older.root(),
                newer.size(),
                newer.root(),
                &path
            ));
        }
    }
}

/// Level 8, and only what is complete.
pub fn subtree_roots_are_kept(place: &dyn Place) {
    let house = grown(place);
    let scope = house.scope(tenant(1));
    assert_eq!(scope.tail().unwrap().unwrap().frontier.size(), 1_022);
    for index in 0..3 {
        let mut edge = Frontier::new();
        for seq in 256 * index..256 * (index + 1) {
            edge.push(scope.leaf(seq).unwrap().unwrap(), |_, _, _| {});
        }
        assert_eq!(scope.node(8, index).unwrap(), Some(edge.root()));
    }
    assert!(scope.node(8, 3).unwrap().is_none() && scope.node(16, 0).unwrap().is_none());
}

/// What a bundle of a pruned log begins with.
pub fn the_right_edge_of_any_size_is_known(place: &dyn Place) {
    let house = grown(place);
    let scope = house.scope(tenant(1));
    let mut edge = Frontier::new();
    for entry in house.entries(tenant(1)) {
        assert_eq!(frontier(&*scope, edge.size()).unwrap(), edge);
        edge.push(entry.leaf(), |_, _, _| {});
    }
    assert_eq!(frontier(&*scope, edge.size()).unwrap(), scope.tail().unwrap().unwrap().frontier);
    assert!(frontier(&*scope, edge.size() + 1).is_err());
}

/// From a size on, the smallest first, and the last is the newest.
pub fn every_commit_leaves_a_signed_head(place: &dyn Place) {
    let house = grown(place);
    let scope = house.scope(tenant(1));
    let sizes = |from, limit| -> Vec<u64> {
        scope.checkpoints(from, limit).unwrap().iter().map(cog_ledger::Checkpoint::size).collect()
    };
    assert_eq!(sizes(0, 100), [2, 5, 255, 257, 258, 558, 622, 1_022]);
    assert_eq!(sizes(257, 2), [257, 258]);
    assert_eq!(sizes(623, 100), [1_022]);
    assert!(sizes(1_023, 100).is_empty() && sizes(0, 0).is_empty());
    assert_eq!(scope.checkpoint().unwrap().unwrap().size(), 1_022);
}
