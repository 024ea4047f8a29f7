//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{report::verdict::Unusable, torture::flavors, workload::ycsb::Mix};

/// Measures and tortures the RCU crates. Without a command: a tour of about half a minute.
#[derive(Debug, Parser)]
#[command(name = "rcubench", version, disable_help_subcommand = true)]
#[command(after_help = "Exit status: 0 as it should be, 1 an error found, 2 unusable arguments.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// YCSB mixes over one hash table, by way of reclamation
    Table(TableArgs),
    /// The cost of a read-side section
    Refscale(RoundsArgs),
    /// How long each kind of wait for a grace period takes
    Rcuscale(RoundsArgs),
    /// Stress with checks, and controls that must fail
    Torture(TortureArgs),
    /// Exhaustive models of the protocols
    Model(ModelArgs),
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Measuring time of the whole command
    #[arg(long, global = true, value_name = "N", default_value = "30", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Numbers of threads [default: the command's own]
    #[arg(long, global = true, value_name = "N,..", value_delimiter = ',', value_parser = threads)]
    pub(crate) threads: Vec<usize>,
    /// Only these subjects
    #[arg(long, global = true, value_name = "A,B", value_delimiter = ',')]
    pub(crate) subject: Vec<String>,
    /// Barriers of readers; as the environment's RCU_STRATEGY
    #[arg(long, global = true)]
    pub(crate) strategy: Option<Strategy>,
    /// Write results as JSON, one object a line
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw plots (SVG) there
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plot: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    Membarrier,
    Fence,
}

#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Mixes to run [default: all]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C", ignore_case = true)]
    pub(crate) mix: Vec<Mix>,
    /// Keys in the table
    #[arg(long, value_name = "N", default_value = "100000")]
    #[arg(value_parser = clap::value_parser!(u64).range(2..=1 << 28))]
    pub(crate) keys: u64,
    /// Hold one more section open for this many seconds while each case runs; rows are `stall/...`
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) stall_reader: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct RoundsArgs {
    /// Rounds; each measures every case once
    #[arg(long, value_name = "N", default_value = "51")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rounds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct TortureArgs {
    // Its text tells the names there are.
    #[arg(long, value_delimiter = ',', value_name = "FLAVOR,..", help = flavors::help())]
    pub(crate) flavor: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Models to run [default: all]
    pub(crate) names: Vec<String>,
    /// Smaller bounds, as in the tests
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print how each mutation goes wrong, step by step
    #[arg(long)]
    pub(crate) trace: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds from 0.01 to 86400".to_owned()),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if (1..=1024).contains(&threads) => Ok(threads),
        _ => Err("not a number of threads from 1 to 1024".to_owned()),
    }
}

/// The members of `all` that the options ask for, in the order of `all`: every one if none is named.
pub(crate) fn chosen<T>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> &str,
    wanted: &[String],
) -> Result<Vec<T>, Unusable> {
    let all: Vec<T> = all.into_iter().collect();
    if let Some(unknown) = wanted.iter().find(|wanted| all.iter().all(|one| name(one) != **wanted))
    {
        let mut known: Vec<&str> = all.iter().map(&name).collect();
        known.dedup();
        return Err(Unusable(format!(
            "no subject `{unknown}` here; there are {}",
            known.join(", ")
        )));
    }
    let keep = |one: &T| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name(one));
    Ok(all.into_iter().filter(keep).collect())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_after_the_command() {
        for line in ["--seconds 2 --threads 1,8 table", "table --threads 1,8 --seconds 2"] {
            let cli = Cli::parse_from(["rcubench"].into_iter().chain(line.split(' ')));
            assert_eq!(cli.common.seconds, Duration::from_secs(2), "{line}");
            assert_eq!(cli.common.threads, [1, 8], "{line}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in ["--seconds 0", "--threads 0", "table --mix D", "--strategy none", "no-such"] {
            let parsed = Cli::try_parse_from(["rcubench"].into_iter().chain(line.split(' ')));
            assert_eq!(parsed.unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn subjects_are_chosen_by_name() {
        let pick = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            chosen(["a", "b", "c"], |name| name, &wanted)
        };
        assert_eq!(pick(&[]).unwrap(), ["a", "b", "c"]);
        assert_eq!(pick(&["c", "a"]).unwrap(), ["a", "c"]);
        assert!(pick(&["d"]).unwrap_err().0.contains("a, b, c"));
    }
}
