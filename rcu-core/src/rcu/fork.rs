//! The process-wide flavour across a `fork`.

use std::sync::MutexGuard;

use super::registry::{FreeSlots, Registry};
use super::{ENGINE, thread};
use crate::gp::Paced;
use crate::runtime::Task;

/// The lock of the slots without a thread.
pub(crate) struct HeldSlots(MutexGuard<'static, FreeSlots>);

/// The lock of the background driver.
pub(crate) type HeldDriver = MutexGuard<'static, Paced<Registry>>;

pub(crate) fn hold_slots() -> HeldSlots {
    HeldSlots(ENGINE.readers().hold_free())
}

pub(crate) fn hold_driver() -> HeldDriver {
    ENGINE.hold_driver()
}

/// The task that is in a list of the runtime, or with one of its threads.
pub(crate) fn driver_task() -> &'static Task {
    ENGINE.task()
}

impl HeldSlots {
    /// In the child: ends the sections of the threads it does not have, and takes their slots back.
    /// What they had borrowed is void with them. The calling thread's section stays open, and so
    /// does one that a thread left open when it exited, before the fork.
    pub(crate) fn forget_others(&mut self) {
        ENGINE.readers().forget_others(&mut self.0, thread::slot());
    }
}

/// In the child, when all locks are free again.
pub(crate) fn resume_in_child() {
    ENGINE.resume_in_child();
}
