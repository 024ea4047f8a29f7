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

use clap::Parser;
use rcu_core::Rcu;

use cli::{Cli, Command, Common};
use report::verdict::Unusable;

fn main() -> ExitCode {
    let cli = Cli::parse();
    end_with_the_pipe();
    let verdict = choose_strategy(&cli.common).and_then(|()| match &cli.command {
        None => tour::run(&cli.common),
        Some(Command::Table(args)) => compare::table::run(&cli.common, args),
        Some(Command::Refscale(args)) => scale::refscale::run(&cli.common, args),
        Some(Command::Rcuscale(args)) => scale::rcuscale::run(&cli.common, args),
        Some(Command::Torture(args)) => torture::command(&cli.common, args),
        Some(Command::Model(args)) => model::command(&cli.common, args),
    });
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

/// Sets what the options say of how readers are ordered; refuses what cannot be had.
fn choose_strategy(common: &Common) -> Result<(), Unusable> {
    let Some(strategy) = common.strategy else { return Ok(()) };
    let strategy = match strategy {
        cli::Strategy::Membarrier => rcu_core::Strategy::Membarrier,
        cli::Strategy::Fence => rcu_core::Strategy::Fence,
    };
    Rcu.set_strategy(strategy).map_err(|refused| Unusable(refused.to_string()))
}
