//! `rcubench`: shows, measures and tortures the RCU crates.

mod torture;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut options = torture::Options {
        flavor: "rcu".into(),
        seconds: 30,
        threads: std::thread::available_parallelism().map_or(2, usize::from),
        strategy: None,
        json: None,
    };
    if args.next().as_deref() != Some("torture") {
        return ExitCode::from(2);
    }
    while let (Some(flag), Some(value)) = (args.next(), args.next()) {
        match flag.as_str() {
            "--flavor" => options.flavor = value,
            "--seconds" => options.seconds = value.parse().expect("a number"),
            "--threads" => options.threads = value.parse().expect("a number"),
            "--strategy" if value == "fence" => {
                options.strategy = Some(rcu_core::Strategy::Fence);
            }
            "--strategy" => options.strategy = Some(rcu_core::Strategy::Membarrier),
            "--json" => options.json = Some(value.into()),
            _ => return ExitCode::from(2),
        }
    }
    ExitCode::from(torture::run(&options).exit_code())
}
