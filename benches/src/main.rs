//! `rcubench`: shows, measures and tortures the RCU crates.
//!
//! Each command is a module; what they share is in `workload` (what runs) and `report` (what is
//! shown). Results go to standard output, progress to standard error.

mod cli;
mod compare;
mod model;
mod report;
mod scale;
mod torture;
mod tour;
mod workload;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use cli::{Cli, Command, Common};
use report::verdict::Unusable;

fn main() -> ExitCode {
    let cli = Cli::parse();
    end_with_the_pipe();
    choose_modes(&cli.common);
    let verdict = match &cli.command {
        None => tour::run(&cli.common),
        Some(Command::Table(args)) => compare::table::run(&cli.common, args),
        Some(Command::Refscale(args)) => scale::refscale::run(&cli.common, args),
        Some(Command::Rcuscale(args)) => scale::rcuscale::run(&cli.common, args),
        Some(Command::Torture(args)) => torture::command(&cli.common, args),
        Some(Command::Model(args)) => model::command(&cli.common, args),
    };
    match verdict {
        Ok(verdict) => {
            println!("\n{verdict}");
            verdict.exit_code()
        }
        Err(Unusable(why)) => {
            eprintln!("rcubench: {why}");
            ExitCode::from(2)
        }
    }
}

/// Lets `rcubench | head` end the program quietly, as other programs end.
fn end_with_the_pipe() {
    // SAFETY: the default action, set when there is no other thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Hands the modes on through the environment, where the libraries look for them.
fn choose_modes(common: &Common) {
    fn set(name: &str, value: Option<impl ValueEnum>) {
        if let Some(value) = value.as_ref().and_then(ValueEnum::to_possible_value) {
            // SAFETY: called first in `main`, when there is no other thread.
            unsafe { std::env::set_var(name, value.get_name()) };
        }
    }
    set("RCU_STRATEGY", common.strategy);
    set("RCU_RSEQ", common.rseq);
}
