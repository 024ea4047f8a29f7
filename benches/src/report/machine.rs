//! Names the machine, the allocator and the time, so that numbers can be placed.

use std::{
    fs,
    thread::available_parallelism,
    time::{SystemTime, UNIX_EPOCH},
};

use rcu_core::Rcu;

/// The global allocator of this build.
pub(crate) const ALLOCATOR: &str = "system";

/// The line that heads a page of results.
pub(crate) fn line() -> String {
    format!(
        "{}, {} CPUs, Linux {}, allocator {ALLOCATOR}, strategy {}, {}",
        cpu_model(),
        cpus(),
        kernel(),
        Rcu.strategy(),
        date()
    )
}

/// CPUs this process may use.
pub(crate) fn cpus() -> usize {
    available_parallelism().map_or(1, |n| n.get())
}

/// How many threads wanted a CPU, on average over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = load.split(' ').take(3).collect();
    averages.join(" ")
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if release.is_empty() { "?".to_owned() } else { release.trim().to_owned() }
}

/// Now, in UTC, to the minute.
fn date() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    utc(now as libc::time_t)
}

fn utc(seconds: libc::time_t) -> String {
    // SAFETY: plain numbers and a pointer that is only set by the call below; zero is valid for all.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid for the call, which keeps neither.
    unsafe { libc::gmtime_r(&seconds, &mut parts) };
    format!(
        "{}-{:02}-{:02} {:02}:{:02} UTC",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_827_696), "2000-02-29 12:34 UTC");
    }

    #[test]
    fn the_line_is_one_line() {
        assert!(!line().contains('\n'));
    }
}
