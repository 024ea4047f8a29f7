//! `rcubench table`: YCSB mixes over one hash table, by reclaimer, mix and number of threads.

use super::{free_latency, rounds::Plan};
use crate::{
    cli::{Common, TableArgs, chosen},
    report::{
        machine,
        output::Output,
        verdict::{Unusable, Verdict},
    },
    workload::{subjects, ycsb::Mix},
};

/// Objects whose way from retired to freed is timed.
const LATENCY_SAMPLES: u64 = 300;

pub(crate) fn run(common: &Common, args: &TableArgs) -> Result<Verdict, Unusable> {
    let subjects = chosen(subjects::ALL, |subject| subject.name, &common.subject)?;
    let mut output = Output::open(common.json.as_deref(), common.plot.as_deref())?;
    let mut mixes = if args.mix.is_empty() { Mix::ALL.to_vec() } else { args.mix.clone() };
    mixes.sort_by_key(|mix| mix.name());
    mixes.dedup();
    let mut threads = common.threads.clone();
    if threads.is_empty() {
        threads = vec![1, machine::cpus()];
    }
    threads.sort_unstable();
    threads.dedup();
    let plan = Plan {
        subjects,
        mixes,
        threads,
        keys: args.keys,
        seconds: common.seconds,
        stall: args.stall_reader,
    };
    println!("{}\n{} keys, zipfian 0.99, every read validated\n", machine::line(), plan.keys);
    let outcome = plan.run("table");
    outcome.show(&mut output);
    if args.stall_reader.is_none() {
        free_latency::show(&plan.subjects, LATENCY_SAMPLES, &mut output);
    }
    let mut verdict = Verdict::default();
    outcome.verdict(&mut verdict);
    Ok(verdict)
}
