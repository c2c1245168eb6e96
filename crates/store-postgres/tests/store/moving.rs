//! Tenants move from one database to another: with everything, while they are written, and
//! whoever is killed over it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cog_base::Digest;
use cog_base::id::{MailId, TenantId, Uuid};
use cog_conformance::{
    House, Place, body, evidence, outcome, receipt, run, sealed, started, tenant, with_body,
};
use cog_ledger::Entry;
use cog_store::{
    Claim, CursorStep, Cursors as _, DeadLetter, Except, Files, Keep, Mail, Parked, Posted,
    RequestKey, Shared, Store as _, StoreError,
};
use cog_store_postgres::{
    Databases, HOME, MoveStep, Moved, Moving, PostgresStore, SHARDS, Whereabouts, shard_of,
};

use crate::place::{APPLICATION, Database, entropy, run as sql};

/// Two databases, each under its name.
struct Two {
    home: Database,
    east: Database,
}

/// One of them.
struct At<'a>(&'a Database, &'static str);

impl Place for At<'_> {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(named(self.0, self.1, true))
    }
}

fn named(database: &Database, name: &str, claims_itself: bool) -> PostgresStore {
    let mut options = database.options("node");
    (options.name, options.claims_itself) = (Some(name.to_owned()), claims_itself);
    database.node(options)
}

impl Two {
    fn new() -> Self {
        Self { home: Database::new(), east: Database::new() }
    }

    fn stores(&self) -> (PostgresStore, PostgresStore) {
        (named(&self.home, HOME, false), named(&self.east, "east", false))
    }

    fn home(&self) -> At<'_> {
        At(&self.home, HOME)
    }

    fn east(&self) -> At<'_> {
        At(&self.east, "east")
    }

    fn all(&self) -> Databases {
        let (mut home, mut east) = (self.home.options("asks"), self.east.options("asks"));
        (home.name, east.name) = (Some(HOME.to_owned()), Some("east".to_owned()));
        Databases::new(vec![home, east], Box::new(|| entropy()), Duration::from_secs(20))
    }
}

fn mail(number: u128) -> Mail {
    let (id, run) = (MailId::from_uuid(Uuid::from_u128(number)), Some(run(99)));
    Mail { id, kind: "start".to_owned(), run, payload: number.to_string().into_bytes() }
}

/// Fill a log with something in every table. Of its runs the last is open, and those in the
/// first segment are pruned.
fn fill(place: &dyn Place, whose: TenantId, runs: u64) -> Vec<Entry> {
    let mut house = House::at(place);
    let files = Files::from([("canon.toml".to_owned(), "name = \"one\"".to_owned())]);
    house.store().put_canon(whose, Digest::of(&[b"canon"]), &files).unwrap();
    for number in 0..runs {
        if number + 1 == runs {
            house.append(whose, (0..300).map(|_| evidence("1")));
        }
        let subject = format!("user:{}", number % 3);
        let asked = with_body(receipt(run(number), 7), Some(&subject), body(100));
        house.append(whose, [started(run(number)), asked, outcome(run(number), 7)]);
        if number + 1 < runs {
            house.append(whose, [sealed(run(number), "completed")]);
        }
    }
    house.rotate(whose);
    house.store().prune_entries(whose, 256).unwrap();
    let fence = house.store().take_cursor(whose, "billing", 0).unwrap().fence;
    let at = cog_base::Timestamp::from_micros(0);
    let dead = vec![DeadLetter { seq: 1, attempts: 3, at, why: "no queue".to_owned() }];
    let step = CursorStep { fence, next: 2, dead, revived: Vec::new() };
    house.store().move_cursor(whose, "billing", &step).unwrap();
    house.entries(whose)
}

fn moving<'a>(from: &'a PostgresStore, to: &'a PostgresStore, whose: TenantId) -> Moving<'a> {
    let mut moving = Moving::new(from, to, whose);
    moving.hold = Duration::from_millis(400);
    moving.grace = Duration::from_secs(8);
    moving
}

fn go(from: &PostgresStore, to: &PostgresStore, whose: TenantId) -> Result<Moved, StoreError> {
    moving(from, to, whose).run(&mut |_| ())
}

/// How many rows a database has of a tenant, whoever may see them.
fn rows(database: &Database, whose: TenantId) -> u64 {
    let tables = ["tenant", "log", "entry", "body", "checkpoint", "session", "mail", "request"];
    let more = ["node", "tile", "subject_key", "canon", "signing_key", "cursor", "dead_letter"];
    let uuid = format!("{:032x}", whose.uuid().as_u128());
    let count = |table: &&str| {
        let sql = format!("SELECT count(*) FROM cognitionos.{table} WHERE tenant = '{uuid}'");
        database.admin(&sql)[0].parse::<u64>().unwrap()
    };
    tables.iter().chain(&more).map(count).sum()
}

#[test]
fn a_tenant_goes_with_everything_it_has_and_comes_back() {
    let two = Two::new();
    let (home, east) = two.stores();
    let before = fill(&two.home(), tenant(1), 20);
    let other = fill(&two.home(), tenant(2), 3);
    let key = RequestKey { name: "order-1", request: Digest::of(&[b"order"]) };
    home.post(tenant(1), &mail(5), Some(key)).unwrap();
    home.post(tenant(1), &mail(3), None).unwrap();
    let claim = home.claim(tenant(1)).unwrap();
    let wake = Some(cog_base::Timestamp::from_micros(77));
    home.park(&claim, &[Parked { run: run(19), wake }]).unwrap();
    home.release(tenant(1), cog_store::After::Stopping).unwrap();
    let head = home.scope(tenant(1)).unwrap().checkpoint().unwrap().unwrap();

    let moved = go(&home, &east, tenant(1)).unwrap();

    assert_eq!(moved.head, Some((head.size(), head.root())));
    assert_eq!(moved.rows["entry"], before.len() as u64);
    assert_eq!(House::at(&two.east()).entries(tenant(1)), before);
    assert_eq!(rows(&two.home, tenant(1)), 0, "nothing is left but a mark");
    assert_eq!(House::at(&two.home()).entries(tenant(2)), other);
    assert_eq!(home.whereabouts(tenant(1)).unwrap(), Whereabouts::Elsewhere("east".to_owned()));
    let there = east.claim(tenant(1)).unwrap();
    assert!(there.fence > claim.fence, "a fence does not go back");
    let waiting = east.mail(&there, Except::default()).unwrap();
    let waiting: Vec<Mail> = waiting.into_iter().map(Result::unwrap).collect();
    assert_eq!(waiting, [mail(5), mail(3)], "in its order");
    assert_eq!(east.next_wake(tenant(1)).unwrap(), wake);
    let again = east.post(tenant(1), &mail(9), Some(key)).unwrap();
    assert_eq!(again, Posted::Waiting, "asked again, it is the same run");
    assert_eq!(east.cursors(tenant(1)).unwrap()[0].next, 2);
    assert_eq!(east.dead_letters(tenant(1), "billing", 0, 9).unwrap().len(), 1);
    drop(east);

    // It goes on there, is erased from there, and comes back with that.
    let at = two.east();
    let mut house = House::at(&at);
    house.append(tenant(1), [started(run(50)), evidence("later")]);
    assert!(house.store().erase(tenant(1), "user:1").unwrap().bodies > 0);
    let later = house.entries(tenant(1));
    drop(house);
    let (home, east) = two.stores();
    go(&east, &home, tenant(1)).unwrap();
    let at = two.home();
    let mut house = House::at(&at);
    assert_eq!(house.entries(tenant(1)), later);
    assert!(house.store().erasable(tenant(1), "user:1").unwrap().entries.is_empty());
    house.append(tenant(1), [evidence("at home")]);
    assert_eq!(rows(&two.east, tenant(1)), 0);
}

#[test]
fn what_is_not_here_is_refused_and_says_where_it_is() {
    let two = Two::new();
    let (home, east) = two.stores();
    fill(&two.home(), tenant(1), 2);
    go(&home, &east, tenant(1)).unwrap();
    let files = Files::new();
    let is_moved = |what: &str, error: Option<StoreError>| {
        let Some(StoreError::Moved { to, .. }) = error else { panic!("{what}: {error:?}") };
        assert_eq!(to, "east");
    };
    is_moved("read", home.scope(tenant(1)).map(drop).err());
    is_moved("post", home.post(tenant(1), &mail(1), None).err());
    is_moved("call", home.call(tenant(1)).err());
    is_moved("delivery", home.delivery(tenant(1), mail(1).id).err());
    is_moved("canon", home.put_canon(tenant(1), Digest::of(&[b"x"]), &files).err());
    is_moved("erase", home.erase(tenant(1), "user:1").err());
    is_moved("cursor", home.take_cursor(tenant(1), "billing", 0).err());
    is_moved("cursors", home.cursors(tenant(1)).err());
    let claim = home.claim(tenant(1)).unwrap_err();
    assert!(claim.to_string().contains("the database east"), "{claim}");
    assert!(home.claim_waiting(9, &[]).unwrap().is_empty());
    // Whoever lies that the tenant is here removes nothing of it where it is.
    let forget = "BEGIN; SELECT set_config('app.tenant', $$TENANT$$, true);
        SELECT cognitionos.forget_rows('entry', 10); COMMIT";
    let uuid = format!("{:032x}", tenant(1).uuid().as_u128());
    let forget = forget.replace("TENANT", &uuid);
    let error = sql(&two.east.url(APPLICATION), &forget).unwrap_err();
    assert!(format!("{error:?}").contains("the tenant is here"), "{error:?}");
    sql(&two.home.url(APPLICATION), &forget).unwrap();
    let other = forget.replace("'entry'", "'owner'");
    assert!(sql(&two.home.url(APPLICATION), &other).is_err());
}

#[test]
fn whoever_is_killed_at_any_step_stops_nobody_and_the_same_move_ends_it() {
    // Two rounds of copying are told the same.
    for step in 0..8 {
        let two = Two::new();
        let before = fill(&two.home(), tenant(1), 5);
        {
            let (home, east) = two.stores();
            let mut told = 0;
            let killed = catch_unwind(AssertUnwindSafe(|| {
                moving(&home, &east, tenant(1)).run(&mut |_| {
                    assert!(told != step, "killed");
                    told += 1;
                })
            }));
            assert!(killed.is_err(), "there is no step {step}");
        }
        let (home, east) = two.stores();
        let is_home = home.whereabouts(tenant(1)).unwrap() != Whereabouts::Elsewhere("east".into());
        let mut expected = before;
        if is_home {
            // The marks of the dead end by themselves, and nobody has to know of them.
            let mut claimed = home.claim(tenant(1));
            while matches!(claimed, Err(StoreError::Owned { .. } | StoreError::Moved { .. })) {
                std::thread::sleep(Duration::from_millis(20));
                claimed = home.claim(tenant(1));
            }
            claimed.unwrap();
            home.release(tenant(1), cog_store::After::Stopping).unwrap();
            let at = two.home();
            let mut house = House::at(&at);
            house.append(tenant(1), [evidence("meanwhile")]);
            expected = house.entries(tenant(1));
        }
        go(&home, &east, tenant(1)).unwrap();
        assert_eq!(House::at(&two.east()).entries(tenant(1)), expected, "step {step}");
        assert_eq!(rows(&two.home, tenant(1)), 0, "step {step}");
        // Once more, there is nothing to do.
        go(&home, &east, tenant(1)).unwrap();
        assert_eq!(House::at(&two.east()).entries(tenant(1)), expected, "step {step}");
    }
}

#[test]
fn who_held_it_for_too_long_does_not_take_it_away() {
    let two = Two::new();
    let (home, east) = two.stores();
    fill(&two.home(), tenant(1), 3);
    let mut written = Vec::new();
    let slept = moving(&home, &east, tenant(1)).run(&mut |step| {
        if *step == MoveStep::Agreed {
            // It sleeps, and somebody goes on with the tenant where it was.
            std::thread::sleep(Duration::from_millis(500));
            let at = two.home();
            let mut house = House::at(&at);
            house.append(tenant(1), [evidence("not lost")]);
            written = house.entries(tenant(1));
        }
    });
    assert!(matches!(slept, Err(StoreError::Busy { .. })), "{slept:?}");
    assert_eq!(House::at(&two.home()).entries(tenant(1)), written);
    assert!(east.scope(tenant(1)).is_err(), "half of it is not to be read");
    go(&home, &east, tenant(1)).unwrap();
    assert_eq!(House::at(&two.east()).entries(tenant(1)), written);
}

#[test]
fn what_is_destroyed_while_it_is_copied_is_not_there_afterwards() {
    let two = Two::new();
    let (home, east) = two.stores();
    fill(&two.home(), tenant(1), 12);
    let mut erased = 0;
    moving(&home, &east, tenant(1))
        .run(&mut |step| {
            if matches!(step, MoveStep::Compared { .. }) {
                erased = home.erase(tenant(1), "user:2").unwrap().bodies;
                home.prune_bodies(tenant(1), 320).unwrap();
            }
        })
        .unwrap();
    assert!(erased > 0);
    assert!(east.erasable(tenant(1), "user:2").unwrap().entries.is_empty());
    let pruned = east.scope(tenant(1)).unwrap().pruned().unwrap();
    assert_eq!((pruned.bodies, pruned.entries), (320, 256));
}

/// A node: it appends as long as it has the tenant, and lets go when it is asked.
fn works(place: &At<'_>, stop: &AtomicBool) -> u64 {
    let store = Arc::new(named(place.0, place.1, false));
    let mut writer = cog_ledger::Writer::new(
        store.shelf().unwrap(),
        store.signing_keys().unwrap(),
        "cognitionos/test",
    );
    let (mut random, mut written) = (entropy(), 0);
    let now = cog_base::Timestamp::from_micros(1_800_000_000_000_000);
    while !stop.load(Ordering::Relaxed) {
        let claims: Vec<Claim> = store.claim_waiting(1, &[]).unwrap();
        let mut has = !claims.is_empty();
        if !has {
            std::thread::sleep(Duration::from_millis(2));
        }
        while has && !stop.load(Ordering::Relaxed) {
            let draft = vec![(tenant(1), evidence("work"))];
            match writer.append(draft, now, &mut *random) {
                Ok(_) => written += 1,
                // The end is read again after a change of hands.
                Err(error) => drop(error),
            }
            has = store.renew().unwrap().asked.is_empty();
        }
        if !claims.is_empty() {
            store.release(tenant(1), cog_store::After::Stopping).unwrap();
        }
    }
    written
}

/// Nodes end with a test that fails, too.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn everything_that_was_acknowledged_while_it_moved_is_there_once() {
    let two = Two::new();
    let entries = fill(&two.home(), tenant(1), 10).len() as u64;
    let (home, east) = two.stores();
    let all = two.all();
    let (stop, at) = (AtomicBool::new(false), (two.home(), two.east()));
    let (written, posted) = std::thread::scope(|threads| {
        let one = threads.spawn(|| works(&at.0, &stop));
        let other = threads.spawn(|| works(&at.1, &stop));
        let asks = threads.spawn(|| {
            let mut posted = 0;
            while !stop.load(Ordering::Relaxed) {
                posted += 1;
                all.with(tenant(1), |store| store.post(tenant(1), &mail(posted), None)).unwrap();
            }
            posted
        });
        let (stops, mut there) = (Stops(&stop), false);
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(150));
            let (from, to) = if there { (&east, &home) } else { (&home, &east) };
            go(from, to, tenant(1)).unwrap();
            there = !there;
        }
        std::thread::sleep(Duration::from_millis(100));
        drop(stops);
        (one.join().unwrap() + other.join().unwrap(), asks.join().unwrap())
    });
    assert!(written > 20 && posted > 20, "{written} {posted}");
    let found = House::at(&two.home()).entries(tenant(1)).len() as u64;
    assert_eq!(found, entries + written);
    let claim = home.claim(tenant(1)).unwrap();
    let mut mails = 0;
    loop {
        let some = home.mail(&claim, Except::default()).unwrap();
        let ids: Vec<MailId> = some.into_iter().map(|mail| mail.unwrap().id).collect();
        if ids.is_empty() {
            break;
        }
        let numbers = ids.iter().map(|id| id.uuid().as_u128());
        assert!(numbers.eq(mails + 1..=mails + ids.len() as u128), "each once, in its order");
        mails += ids.len() as u128;
        home.remove_mail(&claim, &ids).unwrap();
    }
    assert_eq!(mails, posted);
}

#[test]
fn an_owner_that_does_not_let_go_keeps_it() {
    let two = Two::new();
    let (home, east) = two.stores();
    fill(&two.home(), tenant(1), 2);
    let claim = home.claim(tenant(1)).unwrap();
    let mut moving = moving(&home, &east, tenant(1));
    moving.grace = Duration::from_millis(300);
    let renewed = AtomicBool::new(false);
    let error = std::thread::scope(|threads| {
        let renews = Stops(&renewed);
        threads.spawn(|| {
            while !renewed.load(Ordering::Relaxed) {
                let said = home.renew().unwrap();
                assert!(said.lost.is_empty());
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let error = moving.run(&mut |_| ()).unwrap_err();
        drop(renews);
        error
    });
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert_eq!(home.whereabouts(tenant(1)).unwrap(), Whereabouts::Here { begun: true });
    home.remove_mail(&claim, &[]).unwrap();
}

#[test]
fn a_tenant_begins_where_its_shard_is_and_nowhere_else() {
    let two = Two::new();
    let (home, east) = two.stores();
    let all = two.all();
    let shard = shard_of(tenant(1));
    assert!(shard < SHARDS);
    let error = east.post(tenant(1), &mail(1), None).unwrap_err();
    assert!(matches!(&error, StoreError::Moved { to, .. } if to == HOME), "{error:?}");
    // One that is to be apart from its shard.
    east.found_here(tenant(2)).unwrap();
    home.send_to(tenant(2), "east").unwrap();
    assert_eq!(all.at(tenant(2)).unwrap().name(), Some("east"));
    all.with(tenant(2), |store| store.post(tenant(2), &mail(1), None)).unwrap();
    // As long as a tenant of it is here, a shard is too.
    home.post(tenant(1), &mail(1), None).unwrap();
    assert_eq!(home.set_shard(shard, Some("east")).unwrap(), [tenant(1)]);
    assert_eq!(all.at(tenant(1)).unwrap().name(), Some(HOME));
    go(&home, &east, tenant(1)).unwrap();
    assert_eq!(home.set_shard(shard, Some("east")).unwrap(), []);
    let new = (3..).map(tenant).find(|one| shard_of(*one) == shard).unwrap();
    let early = home.post(new, &mail(1), None).unwrap_err();
    assert!(matches!(&early, StoreError::Moved { to, .. } if to == "east"), "{early:?}");
    assert!(east.post(new, &mail(1), None).is_err(), "not yet");
    assert_eq!(east.set_shard(shard, None).unwrap(), []);
    all.with(new, |store| store.post(new, &mail(1), None)).unwrap();
    assert_eq!(all.at(new).unwrap().name(), Some("east"));
    // Whoever believed otherwise before finds it all the same.
    all.with(tenant(1), |store| store.post(tenant(1), &mail(2), None)).unwrap();
}

#[test]
fn a_database_that_is_away_is_in_nobodys_way_elsewhere() {
    let two = Two::new();
    let (home, east) = two.stores();
    fill(&two.home(), tenant(1), 1);
    fill(&two.home(), tenant(2), 1);
    go(&home, &east, tenant(2)).unwrap();
    let away = |name: &str| {
        let url = "postgres://nobody@127.0.0.1:1/nowhere?connect_timeout=1";
        let mut options =
            cog_store_postgres::Options::new(url, "asks", two.home.options("x").master);
        options.name = Some(name.to_owned());
        options
    };
    let at = |database: &Database, name: &str| {
        let mut options = database.options("asks");
        options.name = Some(name.to_owned());
        options
    };
    let open = |options| Databases::new(options, Box::new(|| entropy()), Duration::from_secs(1));
    let no_east = open(vec![at(&two.home, HOME), away("east")]);
    no_east.scope(tenant(1)).map(drop).unwrap();
    assert!(matches!(no_east.scope(tenant(2)).err(), Some(StoreError::Unreachable { .. })));
    let no_home = open(vec![away(HOME), at(&two.east, "east")]);
    no_home.scope(tenant(2)).map(drop).unwrap();
    assert!(matches!(no_home.scope(tenant(1)).err(), Some(StoreError::Unreachable { .. })));
}

#[test]
fn a_database_keeps_the_name_that_it_was_given() {
    let two = Two::new();
    drop(two.stores());
    let mut options = two.east.options("node");
    options.name = Some("west".to_owned());
    let error = PostgresStore::open(options, entropy()).map(drop).unwrap_err();
    assert!(format!("{error:?}").contains("it is called `east`"), "{error:?}");
    // One with tenants of its own does not become one of several that begin elsewhere.
    let alone = Database::new();
    alone.node(alone.options("node")).call(tenant(1)).unwrap();
    let mut options = alone.options("node");
    options.name = Some("west".to_owned());
    let error = PostgresStore::open(options, entropy()).map(drop).unwrap_err();
    assert!(format!("{error:?}").contains("tenants of its own"), "{error:?}");
}

/// So many runs of 26 entries are moved; more with COGNITIONOS_TEST_RUNS, to measure.
const RUNS: u64 = 60;

#[test]
fn a_log_pauses_for_a_moment_however_long_it_is() {
    let runs = std::env::var("COGNITIONOS_TEST_RUNS").ok().and_then(|text| text.parse().ok());
    let runs: u64 = runs.unwrap_or(RUNS);
    let two = Two::new();
    let at = two.home();
    let mut house = House::at(&at);
    for number in 0..runs {
        let subject = format!("user:{}", number % 500);
        let asked = |n| with_body(receipt(run(number), n), Some(&subject), body(300));
        let steps =
            (0..12).flat_map(|n| [asked(number * 12 + n), outcome(run(number), number * 12 + n)]);
        let end = (number % 4 != 0).then(|| sealed(run(number), "completed"));
        house.append(tenant(1), std::iter::once(started(run(number))).chain(steps).chain(end));
    }
    drop(house);
    let (home, east) = two.stores();
    let (stop, at) = (AtomicBool::new(false), (two.home(), two.east()));
    std::thread::scope(|threads| {
        let nodes = [threads.spawn(|| works(&at.0, &stop)), threads.spawn(|| works(&at.1, &stop))];
        let stops = Stops(&stop);
        for (from, to) in [(&home, &east), (&east, &home), (&home, &east)] {
            std::thread::sleep(Duration::from_millis(300));
            let begun = std::time::Instant::now();
            let moved = Moving::new(from, to, tenant(1)).run(&mut |_| ()).unwrap();
            let (took, entries) = (begun.elapsed(), moved.head.unwrap().0);
            println!(
                "{entries} entries in {took:?}: paused {:?}, closed {:?}",
                moved.paused, moved.closed
            );
            assert!(entries > runs * 25 && moved.paused < Duration::from_secs(10));
        }
        drop(stops);
        println!(
            "written meanwhile: {}",
            nodes.map(|node| node.join().unwrap()).iter().sum::<u64>()
        );
    });
}
