//! Notes, keys, checkpoints and proofs as the C2SP specifications show them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::Digest;
use cog_base::entropy::SeededEntropy;
use cog_ledger::note::{Note, NoteError, VerifierKey};
use cog_ledger::proof::TlogProof;
use cog_ledger::{Checkpoint, Signer, SigningKey};

/// The worked example of C2SP `tlog-checkpoint`.
const CHECKPOINT: &str = "\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
";

/// The worked example of C2SP `signed-note`.
const NOTE: &str = "\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed \u{e8} subito sera.

\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
";

/// The note and the key of the tests of `golang.org/x/mod/sumdb/note`, whose format C2SP took.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
";

fn key(name: &str, seed: u64) -> SigningKey {
    SigningKey::new(name, &mut SeededEntropy::new(seed)).unwrap()
}

fn note(text: &str, keys: &mut [&mut SigningKey]) -> Note {
    let mut signers: Vec<_> = keys.iter_mut().map(|key| *key as &mut dyn Signer).collect();
    Note::sign(text.to_owned(), &mut signers).unwrap()
}

#[test]
fn published_notes_are_read_and_written_as_they_are() {
    for published in [CHECKPOINT, NOTE, GO_NOTE] {
        assert_eq!(Note::parse(published).unwrap().to_string(), published);
    }
    let text = Note::parse(NOTE).unwrap();
    assert!(text.text().ends_with("sole:\n\ned \u{e8} subito sera.\n"));
    let checkpoint = Checkpoint::parse(CHECKPOINT).unwrap();
    assert_eq!(checkpoint.size(), 20_852_163);
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.to_string(), CHECKPOINT);
}

#[test]
fn a_published_signature_verifies_under_its_published_key() {
    let peter: VerifierKey = GO_KEY.parse().unwrap();
    assert_eq!(peter.to_string(), GO_KEY);
    let note = Note::parse(GO_NOTE).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&peter)), Ok(&peter));
    let changed = Note::parse(&GO_NOTE.replace("answer", "reason")).unwrap();
    assert!(matches!(changed.verify(&[peter]), Err(NoteError::BadSignature { .. })));
}

#[test]
fn texts_that_are_no_notes_are_refused() {
    let table = [
        "",
        "text\n",
        "text\n\n",
        "text\n\n\u{2014} name AAAAAAA=",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n\u{2014} name AAAA\n",
        "text\n\n\u{2014} name AAAAAAB=\n",
        "text\n\n\u{2014}  AAAAAAA=\n",
        "text\n\n\u{2014} na+me AAAAAAA=\n",
        "te\txt\n\n\u{2014} name AAAAAAA=\n",
        "text\r\n\n\u{2014} name AAAAAAA=\n",
        "text\n\n\u{2014} name AAAAAAA=\nmore\n",
    ];
    for text in table {
        assert!(matches!(Note::parse(text), Err(NoteError::Form(_))), "{text:?}");
    }
    assert!(Note::parse("text\n\n\u{2014} name AAAAAAA=\n").is_ok());
    let line = "\u{2014} name AAAAAAA=\n";
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(16))).is_ok());
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(65))).is_err());
}

#[test]
fn keys_that_are_not_safe_or_not_themselves_are_refused() {
    let good = key("log.example/one", 1).public().to_string();
    assert!(good.parse::<VerifierKey>().is_ok());
    let other = key("log.example/one", 2).public().to_string();
    let id_of = |line: &str| line.split('+').nth(1).unwrap().to_owned();
    for bad in [
        good.replace(&id_of(&good), &id_of(&other)),
        good.replace("log.example/one", "log.example/two"),
        good.replace('/', " "),
        good.replace("+A", "+B"),
        good.to_uppercase(),
        "name".to_owned(),
        String::new(),
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
    assert!(VerifierKey::new("name", &[0; 32]).is_err(), "a point of small order");
    let mut identity = [0; 32];
    identity[0] = 1;
    assert!(VerifierKey::new("name", &identity).is_err(), "the neutral point");
    assert!(VerifierKey::new("name", &[0xff; 32]).is_err(), "no canonical encoding");
}

#[test]
fn unknown_signatures_are_ignored_and_wrong_ones_are_not() {
    let (mut one, mut two, mut three) = (key("one", 1), key("two", 2), key("three", 3));
    let signed = note("text\n", &mut [&mut one, &mut two]);
    let trusted =
        |keys: &[&SigningKey]| keys.iter().map(|key| key.public().clone()).collect::<Vec<_>>();
    assert!(signed.verify(&trusted(&[&two])).is_ok());
    assert!(signed.verify(&trusted(&[&three, &one])).is_ok());
    assert!(matches!(signed.verify(&trusted(&[&three])), Err(NoteError::Untrusted { .. })));
    assert!(matches!(signed.verify(&[]), Err(NoteError::Untrusted { .. })));
    // One right signature does not make up for a wrong one by another trusted key.
    let wrong = note("other\n", &mut [&mut three]).to_string();
    let line = wrong.lines().last().unwrap();
    let mixed = Note::parse(&format!("{signed}{line}\n")).unwrap();
    assert!(mixed.verify(&trusted(&[&one])).is_ok());
    assert!(matches!(mixed.verify(&trusted(&[&one, &three])), Err(NoteError::BadSignature { .. })));
    // What a trusted key says twice anybody could have added; of unknown keys it is ignored.
    let again = signed.to_string();
    let again = format!("{again}{}\n", again.lines().last().unwrap());
    let again = Note::parse(&again).unwrap();
    let doubled = Err(NoteError::Doubled { name: "two".to_owned() });
    assert_eq!(again.verify(&trusted(&[&one, &two])).map(|_| ()), doubled);
    assert!(again.verify(&trusted(&[&one])).is_ok());
    // The name alone does not make a key.
    let namesake = key("one", 9);
    assert!(matches!(signed.verify(&trusted(&[&namesake])), Err(NoteError::Untrusted { .. })));
}

#[test]
fn texts_that_cannot_be_notes_are_not_signed() {
    for text in ["no newline", "tab\there\n", "bell\u{7}\n"] {
        assert!(Note::sign(text.to_owned(), &mut [&mut key("one", 1)]).is_err(), "{text:?}");
    }
    let root = Digest::of(&[]);
    for origin in ["", "two\nlines"] {
        assert!(Checkpoint::sign(origin, 0, root, &mut [&mut key("one", 1)]).is_err());
    }
}

#[test]
fn checkpoints_have_one_spelling() {
    let mut key = key("log.example", 1);
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for (text, is_good) in [
        (format!("log.example\n0\n{root}\n"), true),
        (format!("log.example\n7\n{root}\nextension\n"), true),
        (format!("log.example\n07\n{root}\n"), false),
        (format!("log.example\n+7\n{root}\n"), false),
        (format!("log.example\n-7\n{root}\n"), false),
        (format!("log.example\n18446744073709551616\n{root}\n"), false),
        (format!("\n7\n{root}\n"), false),
        (format!("log.example\n7\n{root}\n\nmore\n"), false),
        ("log.example\n7\nAAAA\n".to_owned(), false),
        ("log.example\n7\n".to_owned(), false),
    ] {
        let note = note(&text, &mut [&mut key]).to_string();
        assert_eq!(Checkpoint::parse(&note).is_ok(), is_good, "{text:?}");
    }
}

#[test]
fn proofs_have_one_spelling() {
    let root = Digest::of(&[b"root"]);
    let checkpoint =
        Checkpoint::sign("log.example", 9, root, &mut [&mut key("log.example", 1)]).unwrap();
    let path = vec![Digest::of(&[b"a"]), Digest::of(&[b"b"])];
    let proof = TlogProof { extra: Some(b"extra".to_vec()), index: 8, path, checkpoint };
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 8\n"));
    assert_eq!(text.parse::<TlogProof>().unwrap(), proof);
    let bare = TlogProof { extra: None, path: Vec::new(), ..proof };
    assert_eq!(bare.to_string().parse::<TlogProof>().unwrap(), bare);
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 8", "index 08"),
        ("index 8", "index"),
        ("extra ZXh0cmE=", "extra ZXh0cmE"),
        ("index 8\n", "index 8\nAAAA\n"),
        ("\n\nlog", "\nlog"),
    ] {
        assert!(text.contains(from));
        assert!(text.replace(from, to).parse::<TlogProof>().is_err(), "{to:?}");
    }
    let hash = format!("{}\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let long = text.replace("index 8\n", &format!("index 8\n{}", hash.repeat(65)));
    assert!(long.parse::<TlogProof>().is_err(), "a path beyond 64 hashes");
}

#[test]
fn secrets_are_not_shown() {
    let key = key("log.example", 1);
    let shown = format!("{key:?}");
    let seed: String = key.expose_seed().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(shown.contains("log.example") && !shown.contains(&seed[..8]));
    let again = SigningKey::from_seed("log.example", &key.expose_seed()).unwrap();
    assert_eq!(again.public(), key.public());
}
