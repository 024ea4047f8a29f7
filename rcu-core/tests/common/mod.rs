//! Running one test of a file in a process of its own.

use std::env;
use std::process::Command;

const CHILD: &str = "RCU_TEST_CHILD";

/// Runs `body` in a child process, as the only test there; `name` is the calling test's. Panics
/// with what the child printed if it fails.
pub(crate) fn in_child_process(name: &str, envs: &[(&str, &str)], body: impl FnOnce()) {
    if env::var(CHILD).as_deref() == Ok(name) {
        return body();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .envs(envs.iter().copied())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "child {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
