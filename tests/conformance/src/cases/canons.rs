//! Versions of canon.

use cog_base::Digest;
use cog_ledger::bundle::CanonFiles;
use cog_store::Files;

use crate::{House, Place, evidence, tenant};

fn files(text: &str) -> Files {
    Files::from([
        ("canon.toml".to_owned(), text.to_owned()),
        (
            "policies/pay.cedar".to_owned(),
            "permit(principal, action, resource);\n\u{0}\"é".to_owned(),
        ),
    ])
}

/// The version that files have.
pub(super) fn version(files: &Files) -> Digest {
    CanonFiles { digest: Digest::of(&[]), files: files.clone() }.computed()
}

/// Text comes back as it was, for its digest and tenant alone.
pub fn they_are_kept_by_digest(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1")]);
    let (one, two) = (version(&files("1")), version(&files("2")));
    house.store().put_canon(tenant(1), one, &files("1")).unwrap();
    house.store().put_canon(tenant(1), two, &files("2")).unwrap();
    house.store().put_canon(tenant(1), two, &files("2")).unwrap();
    house.reopen();
    let scope = house.scope(tenant(1));
    assert_eq!(scope.canon(one).unwrap(), Some(files("1")));
    assert_eq!(scope.canon(two).unwrap(), Some(files("2")));
    assert_eq!(scope.canon(Digest::of(&[b"3"])).unwrap(), None);
    assert_eq!(house.scope(tenant(2)).canon(one).unwrap(), None);
}

/// It is put before the entry that activates it.
pub fn one_may_come_before_its_log(place: &dyn Place) {
    let mut house = House::at(place);
    let one = version(&files("1"));
    house.store().put_canon(tenant(1), one, &files("1")).unwrap();
    assert!(house.store().tenants().unwrap().is_empty());
    house.append(tenant(1), [evidence("1")]);
    assert_eq!(house.scope(tenant(1)).canon(one).unwrap(), Some(files("1")));
}
