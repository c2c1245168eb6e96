//! A full disk: nothing of a refused commit is kept, nothing acknowledged is lost, and work
//! goes on when there is room.

use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_conformance::{Stopped, body, evidence, tenant, with_body};
use cog_ledger::{AppendError, Writer};
use cog_store::{Committer, Select, Store as _, StoreError};

use crate::Folder;

const MIB: u64 = 1024 * 1024;

fn large(number: u64) -> Vec<(cog_base::id::TenantId, cog_ledger::Draft)> {
    vec![(tenant(1), with_body(evidence(&number.to_string()), None, body(200_000)))]
}

#[test]
fn a_full_disk_loses_nothing_and_work_goes_on_with_room() {
    let folder = Folder::new();
    let store = folder.store();
    store.limit_bytes(2 * MIB).unwrap();
    let writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "test");
    let entropy = Box::new(SeededEntropy::new(1));
    let committer = Committer::spawn(writer, Arc::new(Stopped), entropy);
    let mut kept = Vec::new();
    let why = loop {
        match committer.append_blocking(large(kept.len() as u64)) {
            Ok(entries) => kept.push(entries[0].leaf()),
            Err(why) => break why,
        }
    };
    assert!(kept.len() > 3);
    let AppendError::Shelf(error) = &*why else { panic!("{why:?}") };
    assert!(error.transient);
    let full = error.source.downcast_ref::<StoreError>().unwrap();
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    // Small things may still find room; what does not is refused again and again.
    assert!(committer.append_blocking(large(99)).is_err());

    store.limit_bytes(64 * MIB).unwrap();
    kept.push(committer.append_blocking(large(7)).unwrap()[0].leaf());
    committer.shutdown();
    drop(store);

    let store = folder.store();
    let scope = store.scope(tenant(1)).unwrap();
    let entries = scope.select(&Select { from: 1, ..Select::default() }).unwrap();
    let leaves: Vec<_> = entries.iter().map(cog_ledger::Entry::leaf).collect();
    assert_eq!(leaves, kept);
    assert!(entries.iter().all(|entry| scope.body(entry.seq()).unwrap().is_some()));
    assert!(scope.tail().is_ok() && store.check_pages().is_ok());
}
