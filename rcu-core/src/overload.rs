//! Overload: when to stop waiting for the interval and get grace periods done at once.
//!
//! The rules are pure functions of counts, so that they can be read, tested and argued about in one
//! place; what is counted is the caller's. Local counts come first, as in the kernel, whose
//! maintainers found that waiting for the memory manager to complain comes too late.
//!
//! | rule | default | when | switched off by |
//! |---|---|---|---|
//! | [`Rules::objects`] | 4,096 | so many objects wait on one CPU | `None` |
//! | [`Rules::bytes`] | 1 MiB | so many bytes wait on one CPU | `None` |
//!
//! A rule that holds has the grace period that those objects wait for run at once
//! ([`start_poll_expedited`](crate::Flavor::start_poll_expedited)).

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The marks beyond which a backlog is an overload; see the [module](self).
///
/// ```
/// use rcu_core::overload::{Rules, rules, set_rules};
/// set_rules(Rules { bytes: None, ..Rules::default() }); // count objects only
/// assert_eq!(rules().bytes, None);
/// # set_rules(Rules::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Objects that wait on one CPU.
    pub objects: Option<usize>,
    /// Bytes that wait on one CPU.
    pub bytes: Option<usize>,
}

impl Rules {
    /// The defaults.
    pub const DEFAULT: Self = Self { objects: Some(4096), bytes: Some(1 << 20) };
    /// No rule at all: grace periods always keep to the interval.
    pub const OFF: Self = Self { objects: None, bytes: None };
}

impl Default for Rules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What waits on one CPU.
///
/// ```
/// use rcu_core::overload::Backlog;
/// assert_eq!(Backlog::default(), Backlog { objects: 0, bytes: 0 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Objects.
    pub objects: usize,
    /// Their bytes, as far as they are known.
    pub bytes: usize,
}

/// The rule by which a backlog is an overload.
///
/// ```
/// use rcu_core::overload::Overload;
/// assert_eq!(Overload::Bytes.to_string(), "bytes waiting on one CPU");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// [`Rules::objects`].
    Objects,
    /// [`Rules::bytes`].
    Bytes,
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Overload::Objects => "objects waiting on one CPU",
            Overload::Bytes => "bytes waiting on one CPU",
        })
    }
}

/// Whether a backlog is an overload, and by which rule.
///
/// ```
/// use rcu_core::overload::{Backlog, Overload, Rules, overload};
/// let backlog = Backlog { objects: 5000, bytes: 0 };
/// assert_eq!(overload(&Rules::DEFAULT, backlog), Some(Overload::Objects));
/// assert_eq!(overload(&Rules::OFF, backlog), None);
/// ```
pub fn overload(rules: &Rules, backlog: Backlog) -> Option<Overload> {
    let beyond = |count: usize, mark: Option<usize>| mark.is_some_and(|mark| count >= mark);
    if beyond(backlog.objects, rules.objects) {
        Some(Overload::Objects)
    } else if beyond(backlog.bytes, rules.bytes) {
        Some(Overload::Bytes)
    } else {
        None
    }
}

/// `usize::MAX`: off.
static OBJECTS: AtomicUsize = AtomicUsize::new(to_word(Rules::DEFAULT.objects));
static BYTES: AtomicUsize = AtomicUsize::new(to_word(Rules::DEFAULT.bytes));

const fn to_word(mark: Option<usize>) -> usize {
    match mark {
        Some(mark) => mark,
        None => usize::MAX,
    }
}

fn from_word(word: usize) -> Option<usize> {
    (word != usize::MAX).then_some(word)
}

/// The rules in force.
///
/// ```
/// use rcu_core::overload::{Rules, rules};
/// assert_eq!(rules(), Rules::DEFAULT);
/// ```
pub fn rules() -> Rules {
    Rules {
        objects: from_word(OBJECTS.load(Ordering::Relaxed)),
        bytes: from_word(BYTES.load(Ordering::Relaxed)),
    }
}

/// Sets the rules, from now on, for every queue of the process.
///
/// ```
/// use rcu_core::overload::{Rules, set_rules};
/// set_rules(Rules::OFF);
/// # set_rules(Rules::default());
/// ```
pub fn set_rules(rules: Rules) {
    OBJECTS.store(to_word(rules.objects), Ordering::Relaxed);
    BYTES.store(to_word(rules.bytes), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_holds_from_its_mark_on_and_only_when_it_is_on() {
        let rules = Rules { objects: Some(10), bytes: Some(100) };
        let by = |rules: &Rules, objects, bytes| overload(rules, Backlog { objects, bytes });
        assert_eq!(by(&rules, 9, 99), None);
        assert_eq!(by(&rules, 10, 0), Some(Overload::Objects));
        assert_eq!(by(&rules, 9, 100), Some(Overload::Bytes));
        assert_eq!(by(&Rules { objects: None, ..rules }, 1000, 99), None);
        assert_eq!(by(&Rules { bytes: None, ..rules }, 9, 1000), None);
        assert_eq!(by(&Rules::OFF, usize::MAX, usize::MAX), None);
    }
}
