//! `rcubench rcuscale`: how long each kind of wait for a grace period takes, and what it takes with
//! readers at work and with many threads registered.
//!
//! All cases take turns in each of many short rounds, and are compared round by round. Among them is
//! the bare heavy barrier, which no grace period can be cheaper than.

mod case;
mod kind;
mod lap;
mod page;
mod reader;
mod room;

use std::time::Duration;

use crate::{
    cli::{Common, RoundsArgs, chosen},
    report::{
        human, machine,
        output::Output,
        progress::Progress,
        verdict::{Unusable, Verdict},
    },
};
use case::Case;
use kind::{HEAVY, KINDS};
use room::Room;

/// A measurement's time is not cut shorter than this.
const SHORTEST: Duration = Duration::from_micros(200);

/// Nanoseconds, by case and round.
type Costs = Vec<Vec<f64>>;

pub(crate) fn run(common: &Common, args: &RoundsArgs) -> Result<Verdict, Unusable> {
    let subjects = chosen(KINDS, |kind| kind.subject, &common.subject)?;
    let wanted = |case: &Case| {
        // The yardstick stays, whoever is measured.
        let kind = case.kind();
        kind.names == [HEAVY] || subjects.iter().any(|other| other.subject == kind.subject)
    };
    let updaters = if common.threads.is_empty() { vec![1] } else { common.threads.clone() };
    let mut cases = case::all(&updaters, machine::cpus());
    cases.retain(wanted);
    let mut output = Output::open(common.json.as_deref(), common.plot.as_deref())?;
    println!("{}\nload {}\n", machine::line(), machine::load());
    let mut rooms = rooms(&mut cases);
    let rounds = args.rounds as usize;
    let costs = measure(&cases, &mut rooms, rounds, common.seconds);
    drop(rooms);
    println!("{}", page::text(&cases, &costs));
    println!("load {}", machine::load());
    output.rows(&page::rows(&cases, &costs));
    output.plot("rcuscale-registered", &page::chart(&cases, &costs));
    let mut verdict = Verdict::default();
    verdict.check(true, format!("{} cases in {rounds} paired rounds", cases.len()));
    Ok(verdict)
}

/// The processes that the cases need. Cases whose process the system refuses are dropped.
fn rooms(cases: &mut Vec<Case>) -> Vec<Room> {
    let mut registered: Vec<usize> = cases.iter().map(|case| case.setting.registered()).collect();
    registered.sort_unstable();
    registered.dedup();
    let open = |threads: &usize| {
        let told = |error: &_| {
            eprintln!(
                "rcubench: not measured with {} registered: {error}",
                human::threads(*threads)
            );
        };
        Room::open(*threads).inspect_err(told).ok()
    };
    let rooms: Vec<Room> = registered.iter().filter_map(open).collect();
    cases.retain(|case| rooms.iter().any(|room| room.registered == case.setting.registered()));
    rooms
}

/// Measures every case once a round.
fn measure(cases: &[Case], rooms: &mut [Room], rounds: usize, time: Duration) -> Costs {
    let slice = (time / (rounds * cases.len()).max(1) as u32).max(SHORTEST);
    let mut progress = Progress::new("rcuscale", rounds);
    let mut costs = vec![Vec::with_capacity(rounds); cases.len()];
    // Warm-up: the first waits of a process start its threads.
    for turn in 0..cases.len() {
        ask(cases, turn, rooms, SHORTEST);
    }
    for round in 0..rounds {
        for turn in 0..cases.len() {
            // A different one goes first each time.
            let case = (turn + round) % cases.len();
            costs[case].push(ask(cases, case, rooms, slice));
        }
        progress.step(&format!("round {} of {rounds}", round + 1));
    }
    costs
}

fn ask(cases: &[Case], case: usize, rooms: &mut [Room], slice: Duration) -> f64 {
    let registered = cases[case].setting.registered();
    let room = rooms.iter_mut().find(|room| room.registered == registered);
    room.expect("cases without a room are dropped").measure(&cases[case], slice)
}
