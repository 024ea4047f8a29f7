//! The kinds of waits that are measured, each an operation to be repeated.

use std::{
    hint,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
};

use rcu_core::{Flavor, Rcu};

#[cfg(feature = "liburcu")]
use crate::scale::liburcu;

/// A way to wait for readers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The row's name after `rcuscale/`. liburcu's one kind stands under two.
    pub(crate) names: &'static [&'static str],
    pub(crate) subject: &'static str,
    /// Does it so many times, one after another.
    pub(crate) op: fn(u64),
    pub(crate) whose: Whose,
    /// Whether it is measured with readers, and with many threads registered.
    pub(crate) scales: bool,
}

/// Whose readers a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    #[cfg(feature = "liburcu")]
    Liburcu,
}

pub(crate) const RCU: &str = "rcu";
#[cfg(feature = "liburcu")]
pub(crate) const LIBURCU: &str = liburcu::NAME;
#[cfg(not(feature = "liburcu"))]
pub(crate) const LIBURCU: &str = "liburcu-memb";
/// What no wait of ours can be cheaper than.
pub(crate) const HEAVY: &str = "heavy-barrier";

const fn ours(names: &'static [&'static str], op: fn(u64), scales: bool) -> Kind {
    Kind { names, subject: RCU, op, whose: Whose::Ours, scales }
}

/// Every kind there is in this build.
pub(crate) const KINDS: &[Kind] = &[
    ours(&[HEAVY], |count| (0..count).for_each(|_| Rcu.heavy_barrier()), true),
    ours(&["expedited"], |count| (0..count).for_each(|_| Rcu.synchronize_expedited()), true),
    #[cfg(feature = "liburcu")]
    Kind {
        names: &["synchronize", "expedited"],
        subject: LIBURCU,
        op: liburcu::synchronize,
        whose: Whose::Liburcu,
        scales: true,
    },
    ours(&["synchronize"], |count| (0..count).for_each(|_| Rcu.synchronize()), false),
    ours(&["poll"], |count| (0..count).for_each(|_| poll()), false),
    ours(&["cond"], |count| (0..count).for_each(|_| cond()), false),
    ours(&["async"], |count| (0..count).for_each(|_| awaited()), false),
];

fn poll() {
    let cookie = Rcu.start_poll();
    while !Rcu.poll(cookie) {
        hint::spin_loop();
    }
}

fn cond() {
    Rcu.cond_synchronize(Rcu.get_state());
}

fn awaited() {
    block_on(Rcu.wait(Rcu.get_state()));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The simplest executor: the thread sleeps until the future's waker wakes it.
fn block_on(future: impl Future<Output = ()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    while future.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_to_an_end_and_the_headline_has_them_all() {
        for kind in KINDS {
            (kind.op)(2);
        }
        let names: Vec<&str> = KINDS.iter().flat_map(|kind| kind.names).copied().collect();
        for kind in ["synchronize", "expedited", "poll", "cond", "async"] {
            assert!(names.contains(&kind), "{kind}");
        }
    }
}
