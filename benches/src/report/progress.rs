//! Live progress on a terminal, a few plain lines elsewhere. All of it goes to standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Off a terminal, a line after each of so many parts of the way.
const PARTS: u64 = 4;

/// The way through a command's steps.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    /// On a terminal.
    bar: Option<ProgressBar>,
    steps: u64,
    done: u64,
}

impl Progress {
    pub(crate) fn new(what: &'static str, steps: usize) -> Self {
        let steps = steps as u64;
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "  {prefix} {bar:32.cyan/blue} {percent:>3} %  {eta:>4} left  {msg}";
            let style = ProgressStyle::with_template(style).expect("the template is sound");
            ProgressBar::new(steps).with_style(style).with_prefix(what)
        });
        Progress { what, bar, steps, done: 0 }
    }

    /// One step is done, and this came of it.
    pub(crate) fn step(&mut self, came: &str) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_message(came.to_owned());
            bar.inc(1);
        } else if self.part(self.done) != self.part(self.done - 1) {
            eprintln!("{}: {} %, {came}", self.what, self.done * 100 / self.steps);
        }
    }

    fn part(&self, done: u64) -> u64 {
        done * PARTS / self.steps
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
