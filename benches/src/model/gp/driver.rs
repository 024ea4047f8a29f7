//! The driver: takes the sequence through a grace period, alone or along with another driver.

use super::reader::stamp_of;
use super::state::{Exchange, Gp, Heavy, Mutation, SEQ, SLOT, State, Step, THREADS};
use crate::model::strategy::Strategy;

/// Where a driver is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Driver {
    at: At,
    /// The sequence before the grace period it works on.
    s: u8,
    /// The set of readers its scan has yet to see outside.
    unseen: u8,
    /// With [`Mutation::RelaxedLook`], the set of readers a load executed early may find idle.
    early: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum At {
    #[default]
    Look,
    Begin,
    Heavy,
    HeavyWait,
    Middle,
    Scan,
    LateHeavy,
    LateHeavyWait,
    End,
    Done,
}

impl Driver {
    /// Whether it runs no more grace periods.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Whether its next step orders its later loads: all but looking and scanning do.
    fn orders_loads(&self) -> bool {
        !matches!(self.at, At::Look | At::Scan)
    }

    /// Whether it is inside a heavy barrier that other threads take part in.
    pub(super) fn waits_for_heavy(&self) -> bool {
        matches!(self.at, At::HeavyWait | At::LateHeavyWait)
    }

    /// A line of a trace, for a step from here.
    pub(super) fn text(&self, what: &str) -> String {
        let s = self.s;
        match self.at {
            At::Begin => format!("{what} {s} -> {}", s + 1),
            At::Middle => format!("{what} {} -> {}", s + 1, s + 2),
            At::End => format!("{what} {} -> {}", s + 2, s + 4),
            _ => what.to_owned(),
        }
    }
}

impl Gp {
    /// A driver that has not begun.
    pub(super) fn new_driver(&self) -> Driver {
        let early = if self.has(Mutation::RelaxedLook) { (1 << self.readers) - 1 } else { 0 };
        Driver { early, ..Driver::default() }
    }

    /// Notes which slots the drivers' scans may have found idle already, in a step that led from
    /// `from` to `to`: those idle at some instant since the driver's last barrier.
    pub(super) fn load_slots_early(&self, from: &State, step: Step, to: &mut State) {
        let idle = (0..self.readers)
            .filter(|&reader| to.machine.load(self.driver_thread(0), SLOT + reader) == 0)
            .fold(0, |set, reader| set | 1 << reader);
        for driver in 0..self.drivers {
            let thread = self.driver_thread(driver);
            let own = matches!(step, Step::Driver(at, _) if at == driver)
                && from.drivers[driver].orders_loads();
            let heavy = (0..THREADS).any(|by| self.arrived(from, to, by) >> thread & 1 == 1);
            let before = if own || heavy { 0 } else { to.drivers[driver].early };
            to.drivers[driver].early = before | idle;
        }
    }

    /// The steps of one driver.
    pub(super) fn driver_steps(&self, state: &State, driver: usize, out: &mut Vec<(Step, State)>) {
        let thread = self.driver_thread(driver);
        let mut next = *state;
        let me = &mut next.drivers[driver];
        let late = self.has(Mutation::ScanBeforeHeavy);
        let what = match me.at {
            At::Look => {
                let seq = next.machine.load_acquire(thread, SEQ);
                me.s = seq & !3;
                me.at = match seq & 3 {
                    _ if seq >= self.last() => At::Done,
                    0 => At::Begin,
                    1 if late || self.has(Mutation::NoOwnHeavy) => At::Middle,
                    1 => At::Heavy,
                    _ => At::Scan,
                };
                match me.at {
                    At::Done => {
                        me.s = 0;
                        "loads seq: all grace periods are over"
                    }
                    At::Begin => "loads seq: idle",
                    At::Scan => {
                        me.unseen = (1 << self.readers) - 1;
                        "loads seq: s+2, begins to scan"
                    }
                    _ => "loads seq: s+1",
                }
            }
            At::Begin => {
                let then = if late { At::Middle } else { At::Heavy };
                let (from, to) = (me.s, me.s + 1);
                let Some(what) = self.advance(&mut next, driver, from, to, then) else { return };
                what
            }
            At::Heavy if self.has(Mutation::NoHeavy) => {
                me.at = At::Middle;
                "goes on without a heavy barrier"
            }
            At::Heavy | At::LateHeavy => {
                let waiting = if late { At::LateHeavyWait } else { At::HeavyWait };
                let over = if late { At::End } else { At::Middle };
                me.at = match (self.strategy, self.heavy) {
                    (Strategy::Fence, _) => {
                        next.machine.fence(thread);
                        over
                    }
                    (Strategy::Membarrier, Heavy::AtOneInstant) => {
                        next.machine.heavy_at_one_instant();
                        over
                    }
                    (Strategy::Membarrier, Heavy::EachAtItsOwn) => {
                        next.machine.heavy(thread);
                        waiting
                    }
                };
                "heavy()"
            }
            At::HeavyWait | At::LateHeavyWait if next.machine.heavy_is_over(thread) => {
                next.machine.fence(thread);
                me.at = if late { At::End } else { At::Middle };
                "heavy() returns"
            }
            At::HeavyWait | At::LateHeavyWait => return,
            At::Middle => {
                let (from, to) = (me.s + 1, me.s + 2);
                let Some(what) = self.advance(&mut next, driver, from, to, At::Look) else {
                    return;
                };
                what
            }
            At::Scan => return self.scan_steps(state, driver, out),
            At::End => {
                let (from, to) = (me.s + 2, me.s + 4);
                let Some(what) = self.advance(&mut next, driver, from, to, At::Look) else {
                    return;
                };
                what
            }
            At::Done => return,
        };
        out.push((Step::Driver(driver, what), next));
    }

    /// The scan sees readers outside in any order. It may be given up once another driver has ended
    /// the grace period.
    fn scan_steps(&self, state: &State, driver: usize, out: &mut Vec<(Step, State)>) {
        let thread = self.driver_thread(driver);
        let Driver { s, unseen, early, .. } = state.drivers[driver];
        let skips_s1 = self.has(Mutation::SkipS1Relaxed) || self.has(Mutation::SkipS1Acquire);
        for reader in (0..self.readers).filter(|reader| unseen >> reader & 1 == 1) {
            let slot = match early >> reader & 1 {
                1 => 0,
                _ => state.machine.load(thread, SLOT + reader),
            };
            let outside =
                slot == 0 || stamp_of(slot) == s + 2 || skips_s1 && stamp_of(slot) == s + 1;
            if outside {
                let mut next = *state;
                let me = &mut next.drivers[driver];
                me.unseen &= !(1 << reader);
                if me.unseen == 0 {
                    me.at =
                        if self.has(Mutation::ScanBeforeHeavy) { At::LateHeavy } else { At::End };
                }
                let what = match (slot == 0, reader) {
                    (true, 0) => "scans: R0 is idle",
                    (true, _) => "scans: R1 is idle",
                    (false, 0) => "scans: R0 is newer",
                    (false, _) => "scans: R1 is newer",
                };
                out.push((Step::Driver(driver, what), next));
            }
        }
        if self.drivers > 1 && state.machine.load(thread, SEQ) != s + 2 {
            let mut next = *state;
            next.drivers[driver].unseen = 0;
            next.drivers[driver].at = At::Look;
            out.push((Step::Driver(driver, "sees that the grace period is over"), next));
        }
    }

    /// One step of the sequence; if it is not what the driver saw, the driver looks again. `None`
    /// while the driver has to wait.
    fn advance(
        &self,
        next: &mut State,
        driver: usize,
        from: u8,
        to: u8,
        then: At,
    ) -> Option<&'static str> {
        let thread = self.driver_thread(driver);
        let machine = &mut next.machine;
        let done = if self.has(Mutation::PlainStores) {
            if !machine.can_store(thread) {
                return None;
            }
            machine.store(thread, SEQ, to, true);
            true
        } else {
            match self.exchange {
                Exchange::AcqRel => machine.compare_exchange_acq_rel(thread, SEQ, from, to)?,
                Exchange::FullBarrier => machine.compare_exchange(thread, SEQ, from, to),
            }
        };
        next.drivers[driver].at = if done { then } else { At::Look };
        Some(if done { "advances seq" } else { "fails to advance seq" })
    }
}
