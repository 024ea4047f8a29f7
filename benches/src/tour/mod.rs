//! The tour: what `rcubench` shows when it is asked for nothing else.
//!
//! YCSB A, B and C over one hash table, once for each way of reclaiming its entries, in short paired
//! rounds; then how soon an object is freed on an idle system; then whether all of it was correct.

use std::path::Path;

use crate::{
    cli::{Common, chosen},
    compare::{free_latency, rounds::Plan},
    report::{
        machine,
        output::Output,
        verdict::{Unusable, Verdict},
    },
    workload::{subjects, ycsb::Mix},
};

const PLOTS: &str = "target/rcubench";
const KEYS: u64 = 100_000;
const LATENCY_SAMPLES: u64 = 100;

pub(crate) fn run(common: &Common) -> Result<Verdict, Unusable> {
    let subjects = chosen(subjects::ALL, |subject| subject.name, &common.subject)?;
    let plots = common.plot.as_deref().unwrap_or(Path::new(PLOTS));
    let mut output = Output::open(common.json.as_deref(), Some(plots))?;
    let threads = match &common.threads[..] {
        [] => vec![machine::cpus()],
        threads => threads.to_vec(),
    };
    let plan = Plan {
        subjects,
        mixes: Mix::ALL.to_vec(),
        threads,
        keys: KEYS,
        seconds: common.seconds,
        stall: None,
    };
    println!("{}\n", machine::line());
    println!("  One hash table of {KEYS} keys under YCSB A, B and C, zipfian 0.99. The subjects");
    println!("  differ only in how a replaced entry is freed. Every read is validated.\n");
    let outcome = plan.run("tour");
    outcome.show(&mut output);
    free_latency::show(&plan.subjects, LATENCY_SAMPLES, &mut output);
    let mut verdict = Verdict::default();
    outcome.verdict(&mut verdict);
    Ok(verdict)
}
