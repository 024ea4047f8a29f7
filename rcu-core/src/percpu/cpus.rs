//! Which CPUs there can be, and which one this is.

use std::fs;
use std::sync::OnceLock;

use super::testing;

/// How many CPUs this system can have, counted from 0 to the highest number, including CPUs that
/// are offline now. At least 1.
///
/// ```
/// assert!(rcu_core::percpu::possible_cpus() >= 1);
/// ```
pub fn possible_cpus() -> usize {
    static POSSIBLE: OnceLock<usize> = OnceLock::new();
    testing::pretended_cpus().unwrap_or_else(|| {
        *POSSIBLE.get_or_init(|| {
            fs::read_to_string("/sys/devices/system/cpu/possible")
                .ok()
                .and_then(|list| cpus_of(&list))
                .unwrap_or_else(configured_cpus)
        })
    })
}

/// The number of the CPU that the calling thread runs on; it may have moved by the time this
/// returns.
///
/// ```
/// println!("on CPU {}", rcu_core::percpu::current_cpu());
/// ```
#[inline]
pub fn current_cpu() -> usize {
    testing::pretended_cpu().unwrap_or_else(|| {
        // SAFETY: takes nothing and touches nothing of ours.
        let cpu = unsafe { libc::sched_getcpu() };
        // -1 where the system cannot tell; any CPU will do then.
        usize::try_from(cpu).unwrap_or(0)
    })
}

/// One more than the highest number in a list such as `0-3,8`.
fn cpus_of(list: &str) -> Option<usize> {
    list.trim()
        .split(',')
        .map(|range| {
            let highest = range.rsplit('-').next()?;
            highest.parse::<usize>().ok()?.checked_add(1)
        })
        .try_fold(0, |most, cpus| Some(most.max(cpus?)))
        .filter(|&cpus| cpus > 0)
}

/// What the C library says, for systems that show no list.
fn configured_cpus() -> usize {
    // SAFETY: takes a number and touches nothing of ours.
    let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
    usize::try_from(cpus).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpus_of("0\n"), Some(1));
        assert_eq!(cpus_of("0-1\n"), Some(2));
        assert_eq!(cpus_of("0-3,8,10-11"), Some(12));
        assert_eq!(cpus_of("8,0-3"), Some(9));
        for bad in ["", "\n", "0-", "a-b", "0-3,", "99999999999999999999"] {
            assert_eq!(cpus_of(bad), None, "{bad:?}");
        }
        assert_eq!(cpus_of(&format!("0-{}", usize::MAX)), None);
        assert!(configured_cpus() >= 1);
    }
}
