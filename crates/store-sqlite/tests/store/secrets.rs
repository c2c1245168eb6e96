//! What must not be found in the files.

use cog_conformance::{House, evidence, tenant, with_body};
use cog_ledger::Shelf as _;

use crate::Folder;

const SECRET: &[u8] = b"{\"iban\":\"DE02120300000000202051\"}";

fn files(folder: &Folder) -> Vec<Vec<u8>> {
    ["ledger.db", "ledger.db-wal", "ledger.db-shm", "keys/high-water", "lock"]
        .iter()
        .filter_map(|name| std::fs::read(folder.data(name)).ok())
        .collect()
}

fn contain(files: &[Vec<u8>], needle: &[u8]) -> bool {
    files.iter().any(|file| file.windows(needle.len()).any(|window| window == needle))
}

#[test]
fn neither_bodies_nor_names_of_subjects_nor_keys_stand_in_the_files() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    let body = with_body(evidence("invoice"), Some("person:ada-lovelace"), SECRET.to_vec());
    let written = house.append(tenant(1), [body]);
    let salt = house.scope(tenant(1)).body(written[0].seq()).unwrap().unwrap().salt;
    let master = std::fs::read(folder.data("keys/master.key")).unwrap();
    for _ in 0..2 {
        let files = files(&folder);
        assert!(contain(&files, b"invoice"), "entries are in the clear");
        for secret in [b"DE0212030000".as_slice(), b"ada-lovelace", &salt, &master] {
            assert!(!contain(&files, secret));
        }
        house.reopen();
    }
}

#[test]
fn what_a_reader_keeps_in_the_files_is_said_and_written_over_when_it_has_gone() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    let body = with_body(evidence("1"), Some("person:ada"), SECRET.to_vec());
    house.append(tenant(1), [body]);
    house.reopen();
    let reader = folder.database();
    reader.execute_batch("BEGIN").unwrap();
    let query = "SELECT wrapped FROM subject_key";
    let key: Vec<u8> = reader.query_row(query, [], |row| row.get(0)).unwrap();
    let error = house.store().erase(tenant(1), "person:ada").unwrap_err();
    assert!(error.to_string().contains("its bytes are still in the files"), "{error}");
    assert!(contain(&files(&folder), &key));
    assert!(house.scope(tenant(1)).body(0).unwrap().is_none(), "nobody reads it all the same");
    drop(reader);
    house.store().erase_bodies(tenant(1), &[]).unwrap();
    assert!(!contain(&files(&folder), &key));
}

#[test]
fn an_erased_key_is_in_no_file_any_more() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    for _ in 0..20 {
        let body = with_body(evidence("1"), Some("person:ada"), SECRET.to_vec());
        house.append(tenant(1), [body]);
    }
    house.reopen();
    let read = |sql: &str| -> Vec<u8> {
        let query = folder.database().query_row(sql, [], |row| row.get(0));
        query.unwrap()
    };
    let traces = [
        read("SELECT wrapped FROM subject_key"),
        read("SELECT sealed FROM body LIMIT 1"),
        read("SELECT sealed FROM body ORDER BY place DESC LIMIT 1"),
    ];
    assert!(traces.iter().all(|trace| contain(&files(&folder), trace)));
    house.store().erase(tenant(1), "person:ada").unwrap();
    assert!(traces.iter().all(|trace| !contain(&files(&folder), trace)));
    house.append(tenant(1), [evidence("after")]);
    let written = house.append(tenant(1), [with_body(evidence("2"), None, SECRET.to_vec())]);
    house.reopen();
    let sealed = read("SELECT sealed FROM body");
    assert!(contain(&files(&folder), &sealed));
    house.store().erase_bodies(tenant(1), &[written[0].seq()]).unwrap();
    assert!(!contain(&files(&folder), &sealed));
    let tail = house.writer().shelf().tail(tenant(1)).unwrap().unwrap();
    assert_eq!(tail.frontier.size(), 23);
}
