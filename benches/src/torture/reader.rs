//! Readers: sections of many lengths, with what must hold inside and at the end of each.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use super::Torture;
use super::checks::Check;
use super::interrupt::Interruptible;
use super::pool::{Element, RETIRED};
use super::rng::Rng;
use super::stats::{Tally, count};
use super::subject::{Subject, grace_periods};
use super::waits::take_in_section;

/// Sections between two passes of the gate.
const BURST: usize = 64;

/// A reader that lives as long as the run.
pub(super) fn run<F: Subject>(torture: &'static Torture<F>, me: usize) {
    let mut rng = Rng::new();
    let mut tally = Tally::default();
    section(torture, None, &mut rng, &mut tally);
    let _interruptible = Interruptible::new(torture);
    while torture.gate.pass() {
        for _ in 0..BURST {
            if torture.readers.receive(me, &torture.failures) {
                tally.notes_read += 1;
            }
            torture.readers.begin(me);
            section(torture, Some(me), &mut rng, &mut tally);
        }
        torture.merge(&mut tally);
        if rng.one_in(16) {
            thread::yield_now();
        }
    }
    torture.merge(&mut tally);
}

/// How a section spends its time.
#[derive(Clone, Copy)]
enum Length {
    Empty,
    /// Up to a few microseconds.
    Short,
    /// The kernel's common long delay.
    Long,
    Yield,
    Sleep,
}

impl Length {
    fn pick(rng: &mut Rng) -> Self {
        match rng.below(8192) {
            0 => Length::Sleep,
            1..16 => Length::Yield,
            16..80 => Length::Long,
            80..1024 => Length::Short,
            _ => Length::Empty,
        }
    }

    fn spend(self, rng: &mut Rng) {
        match self {
            Length::Empty => {}
            Length::Short => super::waits::pause(rng),
            Length::Long => {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_micros(200) {
                    hint::spin_loop();
                }
            }
            Length::Yield => thread::yield_now(),
            Length::Sleep => thread::sleep(Duration::from_micros(1 + rng.below(8000) as u64)),
        }
    }
}

/// What a section got hold of.
pub(super) struct Held<F: Subject> {
    element: &'static Element<F>,
    mbtest: u64,
}

impl<F: Subject> Held<F> {
    pub(super) fn take(torture: &'static Torture<F>) -> Self {
        let element = torture.current();
        Self { element, mbtest: element.mbtest() }
    }

    /// Whether it is at most retired, without a grace period since.
    pub(super) fn is_young(&self) -> bool {
        self.element.age() <= RETIRED
    }

    /// Whether it is, and was, in the use it was taken in.
    pub(super) fn is_same(&self) -> bool {
        self.mbtest != 0 && self.element.mbtest() == self.mbtest
    }

    /// At the section's end: the element is what it was, and at most retired.
    pub(super) fn check(&self, torture: &Torture<F>, tally: &mut Tally) {
        let age = self.element.age();
        let mbtest = self.element.mbtest();
        torture.failures.expect(self.mbtest != 0 && mbtest == self.mbtest, Check::Mbtest, || {
            format!("element in use {} at first, {mbtest} at the section's end", self.mbtest)
        });
        torture.failures.expect(age <= RETIRED, Check::ReaderPipe, || {
            format!("{} grace periods since retirement, in one section", age - RETIRED)
        });
        count(&mut tally.pipe, age as usize);
    }
}

/// One outermost section; `who` is the number of a long-lived reader.
pub(super) fn section<F: Subject>(
    torture: &'static Torture<F>,
    who: Option<usize>,
    rng: &mut Rng,
    tally: &mut Tally,
) {
    let Torture { flavor, failures, readers, .. } = torture;
    // A section that begins behind full store buffers must last until somebody could miss it.
    let clogged = rng.one_in(8);
    let length = if clogged { Length::Short } else { Length::pick(rng) };
    let pair = &torture.pairs[rng.below(torture.pairs.len())];
    // Few of each: cookies and notes bring barriers of their own into the section.
    let (nested, cookie, note) = (rng.one_in(8), rng.one_in(16), rng.one_in(16));
    expect_section(torture, false);
    if clogged {
        torture.clog.store(rng);
    }

    let outer = flavor.read_lock();
    let before = pair.read_before();
    let seq = flavor.seq();
    let held = Held::take(torture);
    let inner = nested.then(|| (flavor.read_lock(), Held::take(torture)));
    let cookie = cookie.then(|| take_in_section(flavor, failures, rng));
    let note = who.filter(|_| note && held.element.note.open()).map(|me| readers.content(me, rng));

    length.spend(rng);

    // A nested section ends in either order; one guard goes on until all is checked.
    let (last, inner_held) = match inner {
        Some((inner, held)) if rng.one_in(2) => {
            drop(outer);
            (inner, Some(held))
        }
        Some((inner, held)) => {
            drop(inner);
            (outer, Some(held))
        }
        None => (outer, None),
    };
    expect_section(torture, true);
    if let Some(content) = note {
        held.element.note.seal(content);
        tally.notes_left += 1;
    }
    if let Some(cookie) = cookie {
        tally.cookies += 1;
        failures.expect(!flavor.poll(cookie), Check::CookieInSection, || {
            format!("{cookie:?}, taken inside a section, is done at its end")
        });
    }
    held.check(torture, tally);
    if let Some(held) = inner_held {
        held.check(torture, tally);
    }
    count(&mut tally.batch, grace_periods(seq, flavor.seq()) as usize);
    pair.check_after(before, failures);
    drop(last);
    expect_section(torture, false);
    tally.sections += 1;
}

fn expect_section<F: Subject>(torture: &Torture<F>, inside: bool) {
    let said = torture.flavor.in_section();
    torture.failures.expect(said.is_none_or(|said| said == inside), Check::SectionState, || {
        format!("in_section() says {said:?} {} a section", if inside { "in" } else { "outside" })
    });
}
