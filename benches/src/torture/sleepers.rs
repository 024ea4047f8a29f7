//! Whether those who sleep are woken, told exactly and not by the clock.
//!
//! A waiter whose grace period is over and who sleeps all the same has missed its wake-up if nobody
//! is left who could be about to give it. Wake-ups come from threads that drive grace periods: the
//! waiters of this harness and the background thread. So once a waiter's cookie is done the watch
//! sees each of those outside such work, and then again: whoever had taken that waiter's notifier
//! from the list to put it back, unaware of the end, had done so by the first time; whoever took it
//! afterwards knew of the end and has called it by the second. The waiter that still sleeps then, in
//! the very same wait, will sleep for ever, unless the end of a later grace period wakes it by
//! chance.
//!
//! The system says who sleeps, and where ([`futex_of`]); where it does not, nothing is found.

use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use rcu_core::{Cookie, GpSeq, runtime};

use super::Torture;
use super::checks::Check;
use super::subject::Subject;

/// In a call of the flavour that may drive, or between calls.
const BUSY: u64 = 1;
/// Where no call of the flavour is.
const APART: u64 = 2;
/// Sleeps for a grace period that only the flavour knows.
const ASLEEP: u64 = 3;
// Anything else is the cookie of the one it sleeps for: the low two bits of those are 0.

/// What a waiter shows of itself.
pub(super) struct Sleeper {
    tid: AtomicI32,
    state: AtomicU64,
    /// Changes with every state.
    turns: AtomicU64,
}

/// A waiter at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    state: u64,
    turns: u64,
}

impl Sleeper {
    pub(super) fn new() -> Self {
        Self { tid: AtomicI32::new(0), state: AtomicU64::new(BUSY), turns: AtomicU64::new(0) }
    }

    /// To be called by the thread whose it is.
    pub(super) fn here(&self) {
        self.tid.store(gettid(), Ordering::Release);
    }

    /// Does something that calls nothing of the flavour.
    pub(super) fn apart<T>(&self, what: impl FnOnce() -> T) -> T {
        self.during(APART, what)
    }

    /// Sleeps, and does nothing else, until a grace period is over: that of the cookie, if the
    /// caller knows it.
    pub(super) fn asleep<T, F>(&self, cookie: Option<Cookie<F>>, wait: impl FnOnce() -> T) -> T {
        self.during(cookie.map_or(ASLEEP, |cookie| cookie.seq().get()), wait)
    }

    /// Says that a call is over.
    pub(super) fn turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    fn during<T>(&self, state: u64, what: impl FnOnce() -> T) -> T {
        // Release is a plain store here: these must not order what the flavour should.
        self.state.store(state, Ordering::Release);
        self.turn();
        let result = what();
        self.state.store(BUSY, Ordering::Release);
        self.turn();
        result
    }

    /// Both words of one moment; `None` if they changed meanwhile.
    fn look(&self) -> Option<Look> {
        let turns = self.turns.load(Ordering::Acquire);
        let look = Look { state: self.state.load(Ordering::Acquire), turns };
        (self.turns.load(Ordering::Acquire) == turns).then_some(look)
    }
}

/// A waiter that sleeps.
struct Suspect<F: Subject> {
    look: Look,
    cookie: Cookie<F>,
    /// How often it was seen so.
    looks: u32,
    /// Once its cookie is done: who has been seen outside of the work of waking since, by the turn
    /// that each was in then; the last is the background thread.
    round: Option<Vec<Clear>>,
    rounds: u32,
}

#[derive(Clone, Copy)]
enum Clear {
    Not { since: u64 },
    Yes,
}

/// What the watch remembers.
pub(super) struct WakeWatch<F: Subject> {
    torture: &'static Torture<F>,
    suspects: Vec<Option<Suspect<F>>>,
    background: Option<i32>,
}

/// Looks after which a grace period is asked for that nobody may have asked for yet.
const ASK_AFTER: u32 = 20;
/// Times that everybody must be seen outside of the work of waking.
const ROUNDS: u32 = 2;

impl<F: Subject> WakeWatch<F> {
    pub(super) fn new(torture: &'static Torture<F>) -> Self {
        let suspects = torture.sleepers.iter().map(|_| None).collect();
        Self { torture, suspects, background: None }
    }

    /// The system's number of the thread that drives in the background.
    pub(super) fn background(&mut self) -> Option<i32> {
        self.background = self.background.or_else(|| thread_named("rcu-gp"));
        self.background
    }

    /// One look at everybody.
    pub(super) fn look(&mut self) {
        // Once, for all suspects: what is seen now is a later moment than any before.
        let Some(background) = self.background() else { return };
        let mut idle = None;
        for at in 0..self.suspects.len() {
            let sleeper = &self.torture.sleepers[at];
            let Some(look) =
                sleeper.look().filter(|look| look.state & 3 == 0 || look.state == ASLEEP)
            else {
                self.suspects[at] = None;
                continue;
            };
            if self.suspects[at].as_ref().is_none_or(|suspect| suspect.look != look) {
                self.suspects[at] = self.suspect(sleeper, look);
            }
            let Some(mut suspect) = self.suspects[at].take() else { continue };
            if self
                .goes_round(at, &mut suspect, || *idle.get_or_insert_with(|| is_idle(background)))
                && suspect.rounds == ROUNDS
                && futex_of(sleeper.tid.load(Ordering::Acquire)).is_some()
                && sleeper.look() == Some(look)
            {
                self.torture.failures.record(
                    Check::Wake,
                    format!("a waiter sleeps on although {:?} is done", suspect.cookie),
                );
            }
            self.suspects[at] = Some(suspect);
        }
    }

    /// A waiter that has begun to sleep.
    fn suspect(&self, sleeper: &Sleeper, look: Look) -> Option<Suspect<F>> {
        let cookie = if look.state == ASLEEP {
            // It has named its grace period if it sleeps, and no later one than we get now.
            futex_of(sleeper.tid.load(Ordering::Acquire))?;
            self.torture.flavor.get_state()
        } else {
            Cookie::from_seq(GpSeq::new(look.state))
        };
        (sleeper.look() == Some(look)).then_some(Suspect {
            look,
            cookie,
            looks: 0,
            round: None,
            rounds: 0,
        })
    }

    /// Goes on with a suspect's rounds. True when one is complete.
    fn goes_round(&self, at: usize, suspect: &mut Suspect<F>, idle: impl FnOnce() -> bool) -> bool {
        let flavor = &self.torture.flavor;
        suspect.looks += 1;
        if !flavor.poll(suspect.cookie) {
            if suspect.looks == ASK_AFTER && suspect.look.state == ASLEEP {
                flavor.start_poll();
            }
            return false;
        }
        let sleepers = &self.torture.sleepers;
        let begin = || {
            let turns = sleepers.iter().map(|one| one.turns.load(Ordering::Acquire));
            turns.chain([0]).map(|since| Clear::Not { since }).collect::<Vec<_>>()
        };
        let Some(round) = &mut suspect.round else {
            suspect.round = Some(begin());
            return false;
        };
        let (background, waiters) = round.split_last_mut().expect("the background thread is last");
        for (other, clear) in waiters.iter_mut().enumerate() {
            let Clear::Not { since } = *clear else { continue };
            let seen = sleepers[other].look();
            let outside = seen.is_none_or(|seen| seen.state != BUSY || seen.turns != since);
            if other == at || outside {
                *clear = Clear::Yes;
            }
        }
        if matches!(background, Clear::Not { .. }) && idle() {
            *background = Clear::Yes;
        }
        if round.iter().any(|clear| matches!(clear, Clear::Not { .. })) {
            return false;
        }
        suspect.round = Some(begin());
        suspect.rounds += 1;
        true
    }
}

/// Whether the background thread sleeps for want of something to do. Elsewhere, in a lock that a
/// notifier's call takes, say, it may be about to wake somebody.
fn is_idle(background: i32) -> bool {
    let executor: *const runtime::Executor = runtime::gp();
    let within: Range<usize> = executor.addr()..executor.wrapping_add(1).addr();
    futex_of(background).is_some_and(|at| within.contains(&at))
}

/// The address of the futex that a thread of this process sleeps on. `None` if it does not, or if
/// the system does not say.
fn futex_of(tid: i32) -> Option<usize> {
    let read = |what| fs::read_to_string(format!("/proc/self/task/{tid}/{what}")).ok();
    let call = read("syscall")?;
    let mut words = call.split(' ');
    let number: libc::c_long = words.next()?.parse().ok()?;
    let address = usize::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    // A thread on its way out of that call, into a signal handler, say, may have to wait for memory
    // while another one forks: that is not a sleep (S).
    let sleeps = read("stat")?.rsplit_once(')')?.1.trim_start().starts_with('S');
    (number == libc::SYS_futex && sleeps).then_some(address)
}

fn thread_named(name: &str) -> Option<i32> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    threads.flatten().find_map(|thread| {
        let its = fs::read_to_string(thread.path().join("comm")).ok()?;
        (its.trim_end() == name).then(|| thread.file_name().to_str()?.parse().ok())?
    })
}

/// The system's number of the calling thread.
fn gettid() -> i32 {
    // SAFETY: takes nothing and touches nothing of ours.
    unsafe { libc::gettid() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Duration;

    use rcu_core::{Flavor, Rcu};

    use super::*;

    #[test]
    fn the_system_says_who_sleeps_on_a_futex() {
        static GO_ON: AtomicBool = AtomicBool::new(false);
        assert_eq!(futex_of(gettid()), None);
        let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper::new()));
        let thread = thread::spawn(|| {
            sleeper.here();
            sleeper.asleep(Some(Rcu.get_state()), || {
                while !GO_ON.load(Ordering::Relaxed) {
                    thread::park();
                }
            });
        });
        while futex_of(sleeper.tid.load(Ordering::Acquire)).is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        GO_ON.store(true, Ordering::Relaxed);
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
