//! The tree against another implementation (`ct-merkle`) and against RFC 9162 read aloud.

use std::convert::Infallible;

use cog_base::Digest;
use cog_ledger::merkle::{
    Frontier, Hashes, ProofError, consistency, empty_root, inclusion, leaf_hash, node_hash, root,
    verify_consistency, verify_inclusion,
};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

/// Leaves and the subtree roots that a shelf keeps.
#[derive(Default)]
struct Kept {
    leaves: Vec<Digest>,
    nodes: std::collections::BTreeMap<(u8, u64), Digest>,
    frontier: Frontier,
}

impl Kept {
    fn of(size: usize) -> Self {
        let mut kept = Self::default();
        for leaf in 0..size {
            let leaf = leaf_hash(format!("leaf {leaf}").as_bytes());
            kept.leaves.push(leaf);
            let nodes = &mut kept.nodes;
            kept.frontier.push(leaf, |level, index, hash| {
                if level % 2 == 0 {
                    nodes.insert((level, index), hash);
                }
            });
        }
        kept
    }
}

impl Hashes for Kept {
    type Error = Infallible;

    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(usize::try_from(index).ok().and_then(|index| self.leaves.get(index)).copied())
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.nodes.get(&(level, index)).copied())
    }
}

/// MTH of RFC 9162 section 2.1.1.
fn by_definition(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&by_definition(left), &by_definition(right))
        }
    }
}

fn theirs(size: usize) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    for leaf in 0..size {
        tree.push(format!("leaf {leaf}").into_bytes());
    }
    tree
}

fn bytes(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[test]
fn roots_and_proofs_equal_those_of_another_implementation() {
    for size in 1..=70_usize {
        let (mut ours, theirs) = (Kept::of(size), theirs(size));
        let size = size as u64;
        let top = root(&mut ours, size).unwrap();
        assert_eq!(top.as_bytes()[..], theirs.root().as_bytes()[..]);
        assert_eq!(top, ours.frontier.root());
        for index in 0..size {
            let path = inclusion(&mut ours, index, size).unwrap();
            let their_path = theirs.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(bytes(&path), their_path.as_bytes(), "leaf {index} of {size}");
        }
        for earlier in 1..size {
            let path = consistency(&mut ours, earlier, size).unwrap();
            let additions = usize::try_from(size - earlier).unwrap();
            let their_path = theirs.prove_consistency(additions);
            assert_eq!(bytes(&path), their_path.as_bytes(), "{earlier} of {size}");
        }
    }
}

#[test]
fn a_proof_beyond_the_tree_or_over_a_lost_leaf_is_an_error() {
    let mut kept = Kept::of(5);
    let beyond = |asked| Err(ProofError::OutOfRange { asked, size: 5 });
    assert_eq!(inclusion(&mut kept, 5, 5), beyond(5));
    assert_eq!(consistency(&mut kept, 6, 5), beyond(6));
    assert_eq!(consistency(&mut kept, 0, 5), beyond(0));
    assert_eq!(root(&mut kept, 7), Err(ProofError::Missing(5)));
    assert_eq!(root(&mut kept, 0), Ok(empty_root()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn proofs_hold_and_any_change_breaks_them(
        size in 1_u64..400, a in any::<u64>(), b in any::<u64>(), noise in any::<prop::sample::Index>(),
    ) {
        let mut kept = Kept::of(usize::try_from(size).unwrap());
        let top = root(&mut kept, size).unwrap();
        prop_assert_eq!(top, by_definition(&kept.leaves));
        prop_assert_eq!(top, kept.frontier.root());

        let index = a % size;
        let leaf = kept.leaves[usize::try_from(index).unwrap()];
        let path = inclusion(&mut kept, index, size).unwrap();
        prop_assert!(verify_inclusion(leaf, index, size, top, &path));
        prop_assert!(!verify_inclusion(leaf_hash(b"other"), index, size, top, &path));
        for other in [index + 1, index.wrapping_sub(1)] {
            prop_assert!(!verify_inclusion(leaf, other, size, top, &path));
        }

        let earlier = b % size + 1;
        let earlier_root = by_definition(&kept.leaves[..usize::try_from(earlier).unwrap()]);
        let growth = consistency(&mut kept, earlier, size).unwrap();
        prop_assert!(verify_consistency(earlier, earlier_root, size, top, &growth));
        prop_assert!(!verify_consistency(earlier, leaf_hash(b"other"), size, top, &growth));

        for (path, is_growth) in [(path, false), (growth, true)] {
            let holds = |path: &[Digest]| if is_growth {
                verify_consistency(earlier, earlier_root, size, top, path)
            } else {
                verify_inclusion(leaf, index, size, top, path)
            };
            let longer = [path.as_slice(), &[top]].concat();
            prop_assert!(!holds(&longer));
            if let Some(last) = path.len().checked_sub(1) {
                prop_assert!(!holds(&path[..last]));
                let mut changed = path.clone();
                changed[noise.index(path.len())] = leaf_hash(b"noise");
                prop_assert!(!holds(&changed));
            }
        }
    }
}
