//! The harness as a whole, bounded by steps and not by time.

use std::time::Duration;

use rcu_core::{Flavor, Rcu, runtime};

use super::busted::{
    ChildGoesOn, EarlyCookie, EarlyFuture, LostWake, NoWait, TimeoutIsDone, WrongIndex,
};
use super::checks::Check;
use super::liar::{Liar, Lie};
use super::pool::{ELEMENTS, RETIRED};
use super::report::Progress;
use super::stats::PIPE_LEN;
use super::subject::Subject;
use super::supervise::{self, Limit, Plan, Settle};
use super::twist::Twisted;
use super::{Options, Outcome, Torture};

/// Runs for that many steps, or until `until` has failed.
fn torture(flavor: impl Subject, steps: u64, until: Check) -> Outcome {
    assert!(runtime::start());
    let plan = Plan {
        limit: Limit::Steps(steps),
        stutter: Duration::from_millis(100),
        settle: Settle::Until(until),
        alarm: 1,
        ..Plan::default()
    };
    supervise::run(Torture::new(flavor, &plan), &plan, &mut Progress::Quiet)
}

/// The flavour is found out by this check, however many others find it out too.
fn is_caught_by(flavor: impl Subject, check: Check) {
    let outcome = torture(flavor, 10_000_000, check);
    assert!(outcome.failures.iter().any(|failure| failure.check == check), "{outcome:?}");
}

#[test]
fn a_correct_flavor_passes() {
    let outcome = torture(Rcu, 10_000, Check::ReaderPipe);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert!(outcome.tally.replaced > 0 && outcome.tally.sections > 0 && outcome.stutters > 0);
    assert!(outcome.interrupts > 0, "sections in signal handlers");
    assert_eq!(outcome.tally.pipe[RETIRED as usize + 1..].iter().sum::<u64>(), 0);
}

#[test]
fn grace_periods_that_wait_for_nobody_are_caught_by_the_pipe() {
    is_caught_by(Twisted(NoWait), Check::ReaderPipe);
}

#[test]
fn grace_periods_that_wait_for_nobody_are_caught_by_a_cookie() {
    is_caught_by(Twisted(NoWait), Check::CookieInSection);
}

#[test]
fn grace_periods_that_wait_for_nobody_are_caught_by_the_mailbox() {
    is_caught_by(Twisted(NoWait), Check::Mailbox);
}

#[test]
fn cookies_that_are_too_early_are_caught_when_taken() {
    is_caught_by(Twisted(EarlyCookie), Check::CookieFresh);
}

#[test]
fn cookies_that_are_too_early_are_caught_by_the_pipe() {
    is_caught_by(Twisted(EarlyCookie), Check::ReaderPipe);
}

#[test]
fn an_index_that_is_not_done_is_caught() {
    is_caught_by(Twisted(WrongIndex), Check::PollAny);
}

#[test]
fn timeouts_that_count_as_done_are_caught() {
    is_caught_by(Twisted(TimeoutIsDone), Check::WaitTimeout);
}

#[test]
fn futures_that_are_ready_early_are_caught() {
    is_caught_by(Twisted(EarlyFuture), Check::WaitEarly);
}

#[test]
fn wake_ups_that_are_missed_are_caught() {
    is_caught_by(Twisted(LostWake), Check::Wake);
}

#[test]
fn notifiers_that_wake_nobody_are_caught() {
    lie_is_caught_by(Lie::LoseWakeUps, Check::Wake);
}

#[test]
fn a_child_that_does_not_wait_is_caught() {
    is_caught_by(Twisted(ChildGoesOn), Check::ForkChild);
}

#[test]
fn a_child_that_hangs_is_caught() {
    lie_is_caught_by(Lie::ChildHangs, Check::ForkChild);
}

fn lie_is_caught_by(lie: Lie, check: Check) {
    is_caught_by(Twisted(Liar(lie)), check);
}

#[test]
fn each_other_check_fails_when_it_should() {
    lie_is_caught_by(Lie::LateCookie, Check::CookieAfterGp);
    lie_is_caught_by(Lie::LateCookie, Check::CookieCount);
    lie_is_caught_by(Lie::NeverCompleted, Check::CookieCompleted);
    lie_is_caught_by(Lie::NoSection, Check::SectionState);
    lie_is_caught_by(Lie::NoneIsDone, Check::PollAny);
    lie_is_caught_by(Lie::TimeoutNeverDone, Check::WaitTimeout);
    lie_is_caught_by(Lie::NoTimeout, Check::WaitTimeout);
    lie_is_caught_by(Lie::LateFuture, Check::WaitEarly);
    lie_is_caught_by(Lie::NoSectionInChild, Check::ForkChild);
    lie_is_caught_by(Lie::LoseNotifiers, Check::FreeList);
    lie_is_caught_by(Lie::Panic, Check::ThreadPanic);
}

#[test]
fn a_wait_that_never_ends_is_a_stall() {
    assert!(runtime::start());
    let plan = Plan { stalled: Duration::from_millis(200), ..Plan::default() };
    let torture = Torture::new(Twisted(Liar(Lie::HangForEver)), &plan);
    let outcome = supervise::run(torture, &plan, &mut Progress::Quiet);
    assert!(outcome.failures.iter().any(|f| f.check == Check::WriterStall), "{outcome:?}");
}

#[test]
fn unusable_arguments_are_refused() {
    let mut options =
        Options { flavor: "none".into(), seconds: Duration::from_secs(1), threads: 1 };
    assert!(super::run(&options).is_err());
    options.flavor = "rcu".into();
    options.threads = 0;
    assert!(super::run(&options).is_err());
}

fn retire_one(torture: &'static Torture<Rcu>) -> usize {
    let new = torture.pool.take().expect("all but one are free");
    torture.pool.element(new).prepare(2);
    torture.publish(new);
    let old = torture.first;
    torture.pool.element(old).retire();
    torture.pool.audit(new, &torture.failures);
    assert_eq!(failed_now(torture), [Check::FreeList], "the retired one is on no list");
    old
}

fn failed_now(torture: &Torture<Rcu>) -> Vec<Check> {
    torture.failures.list().iter().map(|failure| failure.check).collect()
}

#[test]
fn the_pipe_frees_an_element_after_its_length_and_audits_find_it() {
    let torture = Torture::new(Rcu, &Plan::default());
    torture.pool.audit(torture.first, &torture.failures);
    assert!(!torture.failures.any());
    let old = torture.pool.element(retire_one(torture));
    for _ in RETIRED + 1..PIPE_LEN as u32 {
        assert!(!old.bump());
        assert_eq!(torture.pool.free_count(), ELEMENTS - 2);
    }
    assert_ne!(old.mbtest(), 0);
    assert!(old.bump());
    assert_eq!(old.mbtest(), 0);
    assert_eq!(torture.pool.free_count(), ELEMENTS - 1);
}

#[test]
fn a_chained_element_comes_back_by_itself() {
    let torture = Torture::new(Rcu, &Plan::default());
    let old = torture.pool.element(retire_one(torture));
    old.chain();
    // A generous bound; each grace period moves it.
    for _ in 0..10_000 {
        Rcu.synchronize_expedited();
        if torture.pool.free_count() == ELEMENTS - 1 {
            break;
        }
    }
    assert_eq!(torture.pool.free_count(), ELEMENTS - 1);
}

#[test]
fn notes_that_are_late_are_found() {
    let torture = Torture::new(Rcu, &Plan::default());
    let element = torture.pool.element(torture.first);
    assert!(element.note.open());
    assert!(!element.note.open(), "one section writes it");
    element.retire();
    element.bump();
    assert_eq!(failed_now(torture), [Check::Mailbox]);
}
