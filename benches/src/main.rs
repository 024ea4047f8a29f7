//! `rcubench`: shows, measures and tortures the RCU crates.

mod model;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("model") {
        eprintln!("usage: rcubench model [NAME|all] [--quick] [--trace] [--json FILE]");
        return ExitCode::from(2);
    }
    let (mut names, mut json, mut quick, mut trace) = (Vec::new(), None, false, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = args.next(),
            "--quick" => quick = true,
            "--trace" => trace = true,
            _ => names.push(arg),
        }
    }
    model::main(&names, quick, trace, json.as_deref().map(std::path::Path::new))
}
