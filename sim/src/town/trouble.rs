//! What goes wrong between nodes and their store, and when.

use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_store::StoreError;

use super::Inner;
use super::link::Call;
use super::living::{Living, away};

/// How often what goes wrong: once in so many.
#[derive(Clone, Copy, Debug)]
pub struct Troubles {
    /// A node does not reach the database for a while, at any call.
    pub cut: u64,
    /// Something is done, and the answer is lost.
    pub lost: u64,
    /// A node dies: in the middle of a call, or at any event.
    pub kill: u64,
    /// A call takes so long that other nodes go on meanwhile.
    pub slow: u64,
    /// A node stands still for a while, at any event.
    pub pause: u64,
    /// The clock of a node jumps, at any event.
    pub clock: u64,
    /// A call for work is lost, or heard twice.
    pub call: u64,
    /// The database restarts: nobody reaches it for a while.
    pub restart: u64,
    /// A node is told to stop and another of its name starts beside it, at any event.
    pub twin: u64,
    /// Somebody takes a tenant away who then does nothing with it.
    pub steal: u64,
    /// An effect fails, or nobody can say what came of it.
    pub effect: u64,
}

impl Troubles {
    /// Nothing goes wrong but what a test has go wrong.
    pub const NONE: Self = Self {
        cut: u64::MAX,
        lost: u64::MAX,
        kill: u64::MAX,
        slow: u64::MAX,
        pause: u64::MAX,
        clock: u64::MAX,
        call: u64::MAX,
        restart: u64::MAX,
        twin: u64::MAX,
        steal: u64::MAX,
        effect: u64::MAX,
    };

    pub(super) fn drawn(dice: &mut SeededEntropy) -> Self {
        Self {
            cut: 50 + dice.below(800),
            lost: 50 + dice.below(800),
            kill: 100 + dice.below(1_500),
            slow: 10 + dice.below(200),
            pause: 50 + dice.below(800),
            clock: 100 + dice.below(800),
            call: 3 + dice.below(20),
            restart: 300 + dice.below(2_000),
            twin: 200 + dice.below(2_000),
            steal: 200 + dice.below(2_000),
            effect: 4 + dice.below(40),
        }
    }
}

/// The way of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nothing is done yet.
    There,
    /// It is done.
    Back,
}

/// What befalls a node in the middle of a call of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It does not reach the database for so many milliseconds.
    Cut(u64),
    /// This call, or its answer, is lost.
    Lost,
    /// The database restarts: nobody reaches it for so many milliseconds.
    Restart(u64),
    /// It dies.
    Dies,
    /// Others go on for so many steps.
    Steps(u64),
    /// Others go on for so many milliseconds.
    Takes(u64),
}

/// Where a test has something go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// Of which node; of any if none is named.
    pub node: Option<usize>,
    /// At which call, on which way.
    pub at: (Call, Side),
    /// How many such calls pass before it.
    pub after: u64,
    /// What.
    pub mishap: Mishap,
}

/// Calls of nodes that are in the middle of calls: no deeper than this.
const DEPTH_MAX: usize = 3;
/// The most that others do while one waits.
const STEPS_MAX: u64 = 40;

impl Inner {
    /// A call of a node is on its way there, or its answer is on its way back.
    pub(super) fn moment(
        self: &Arc<Self>,
        living: &Arc<Living>,
        call: Call,
        side: Side,
    ) -> Result<(), StoreError> {
        if living.is_cut(self.database.now()) {
            return Err(away(call));
        }
        let trapped = self.trapped(living, call, side);
        let Some(mishap) = trapped.or_else(|| self.mishap(call, side)) else { return Ok(()) };
        self.befall(living, call, mishap)
    }

    fn trapped(&self, living: &Living, call: Call, side: Side) -> Option<Mishap> {
        let mut state = self.state();
        if state.traps.is_empty() {
            return None;
        }
        let is_it =
            |trap: &Trap| trap.node.is_none_or(|it| it == living.node) && trap.at == (call, side);
        let place = state.traps.iter().position(is_it)?;
        let trap = state.traps.get_mut(place)?;
        if trap.after > 0 {
            trap.after -= 1;
            return None;
        }
        Some(state.traps.remove(place).mishap)
    }

    /// What the dice say.
    fn mishap(&self, call: Call, side: Side) -> Option<Mishap> {
        let troubles = self.troubles;
        let mut state = self.state();
        if state.troubles_left == 0 {
            return None;
        }
        // Reading is done page by page: less happens to each.
        let rarely = if call == Call::Read { 8 } else { 1 };
        let dice = &mut state.dice;
        let one_in =
            |dice: &mut SeededEntropy, rate: u64| rate < u64::MAX && dice.below(rate * rarely) == 0;
        if one_in(dice, troubles.cut) {
            return Some(Mishap::Cut(1 + dice.below(4_000)));
        }
        if side == Side::Back && call.changes() && one_in(dice, troubles.lost) {
            return Some(Mishap::Lost);
        }
        if one_in(dice, troubles.kill) {
            return Some(Mishap::Dies);
        }
        if one_in(dice, troubles.slow) {
            let is_long = dice.below(4) == 0;
            return Some(if is_long {
                Mishap::Takes(dice.below(6_000))
            } else {
                Mishap::Steps(1 + dice.below(STEPS_MAX))
            });
        }
        None
    }

    fn befall(
        self: &Arc<Self>,
        living: &Arc<Living>,
        call: Call,
        mishap: Mishap,
    ) -> Result<(), StoreError> {
        let now = self.database.now();
        match mishap {
            Mishap::Cut(ms) => {
                self.count("node.cut_off");
                living.cut(now.plus_ms(ms));
                self.database.hang_up(living.life);
                return Err(away(call));
            }
            Mishap::Restart(ms) => {
                self.restart_database(now.plus_ms(ms));
                return Err(away(call));
            }
            Mishap::Lost => {
                self.count("answer.lost");
                return Err(away(call));
            }
            Mishap::Dies => {
                self.count("node.killed_in_a_call");
                self.kill(living);
                return Err(away(call));
            }
            Mishap::Steps(_) | Mishap::Takes(_) if self.depth() >= DEPTH_MAX => {}
            Mishap::Steps(steps) => {
                self.count("call.slow");
                for _ in 0..steps {
                    self.step(Some(now.plus_ms(1)));
                }
            }
            Mishap::Takes(ms) => {
                self.count("call.takes_long");
                let until = now.plus_ms(ms);
                while self.database.now() < until && self.step(Some(until)) {}
                self.database.reach(until);
            }
        }
        if living.is_dead() { Err(away(call)) } else { Ok(()) }
    }

    /// Something befalls a node between two events, if the dice say so.
    pub(super) fn misfortune(self: &Arc<Self>) {
        let Some((living, kind, draw)) = self.drawn() else { return };
        let now = self.database.now();
        match kind {
            Misfortune::Dies => {
                self.count("node.killed");
                self.kill(&living);
            }
            Misfortune::Pauses => {
                self.count("node.paused");
                living.pause(now.plus_ms(1 + draw % 20_000));
            }
            Misfortune::Jumps => {
                self.count("clock.jump");
                let ahead = i64::try_from(draw % 40_000_000).unwrap_or(0);
                let micros = if draw % 3 == 0 { -ahead / 8 } else { ahead };
                self.state().has_jumped = true;
                living.clock.jump(micros);
            }
            Misfortune::Mishears => {
                self.count(if draw % 2 == 0 { "call.lost" } else { "call.repeated" });
                self.database.garble(living.life, draw % 2 == 0);
            }
            Misfortune::Restart => {
                self.restart_database(now.plus_ms(1 + draw % 6_000));
            }
            Misfortune::Twin => {
                self.count("node.has_a_twin");
                living.is_stopping.store(true, std::sync::atomic::Ordering::Relaxed);
                living.stepped().into_iter().for_each(|stepped| stepped.stop());
                self.start(living.node);
            }
            Misfortune::Stolen => {
                self.count("tenant.stolen");
                let place = usize::try_from(draw).unwrap_or(0) % self.tenants.len().max(1);
                self.tenants.get(place).into_iter().for_each(|it| self.database.take_away(*it));
            }
        }
    }

    fn restart_database(&self, until: cog_base::Timestamp) {
        self.count("database.restarted");
        for living in self.lives() {
            living.cut(until);
            self.database.hang_up(living.life);
        }
    }

    /// Whom something befalls, what, and a number for how much of it.
    fn drawn(&self) -> Option<(Arc<Living>, Misfortune, u64)> {
        let troubles = self.troubles;
        let mut state = self.state();
        if state.troubles_left == 0 {
            return None;
        }
        let all = [
            (troubles.kill, Misfortune::Dies),
            (troubles.pause, Misfortune::Pauses),
            (troubles.clock, Misfortune::Jumps),
            (troubles.call, Misfortune::Mishears),
            (troubles.restart, Misfortune::Restart),
            (troubles.twin, Misfortune::Twin),
            (troubles.steal, Misfortune::Stolen),
        ];
        let drawn = all.into_iter().filter(|(rate, _)| *rate < u64::MAX);
        let drawn = drawn.filter(|(rate, _)| state.dice.below(*rate) == 0).last();
        let (_, kind) = drawn?;
        let lives = state.lives.iter().filter(|it| !it.is_over());
        let lives: Vec<Arc<Living>> = lives.cloned().collect();
        let place = usize::try_from(state.dice.below(lives.len().max(1) as u64)).unwrap_or(0);
        let living = lives.get(place).cloned()?;
        let is_new = !living.is_stopping.load(std::sync::atomic::Ordering::Relaxed);
        (kind != Misfortune::Twin || is_new).then(|| (living, kind, state.dice.next_u64()))
    }
}

/// What befalls a node between two events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Misfortune {
    Dies,
    Pauses,
    Jumps,
    Mishears,
    Restart,
    Twin,
    Stolen,
}
