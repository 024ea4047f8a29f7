//! What the tests share: a flavour whose grace periods the test runs by hand, and objects that
//! know whether they were processed too early, twice, or not at all.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, dead_code, unreachable_pub)] // Each test program uses a part of it.

use rcu_core::gp::Notifier;
use rcu_core::{Cookie, Flavor, GpSeq};
use rcu_pending::alloc::fault;
use rcu_pending::{Item, Link, Process};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Tests of one program share the fault hook and the pretended CPUs, so they take turns. Ends with
/// the hook off.
pub fn alone() -> impl Drop {
    static TURN: Mutex<()> = Mutex::new(());
    struct Turn(#[allow(dead_code)] MutexGuard<'static, ()>);
    impl Drop for Turn {
        fn drop(&mut self) {
            fault::set_every(0);
            rcu_core::percpu::testing::pretend_cpus(0);
            rcu_core::percpu::testing::place_thread(None);
        }
    }
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Lets others run until `done`.
pub fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

/// A flavour without readers: its grace periods go on when the test says so.
#[derive(Clone)]
pub struct Fake(Arc<State>);

struct State {
    seq: AtomicU64,
    armed: Mutex<Vec<(usize, GpSeq)>>,
    /// How often `poll` will say yes when it should say no.
    lies: AtomicUsize,
    /// What `in_section` says: 0 no, 1 yes, 2 cannot tell.
    section: AtomicU8,
    /// Whether notifiers are not called for now.
    deaf: AtomicBool,
    /// Run once, at the start of the next `get_state`, or of the next wait (`on_wait`).
    on_snapshot: Mutex<Option<Hook>>,
    /// Run once, at the end of the next `get_state`.
    after_snapshot: Mutex<Option<Hook>>,
    on_wait: Mutex<Option<Hook>>,
}

/// For the thread that set it: timers and reapers take snapshots too, when they please.
type Hook = (ThreadId, Box<dyn FnOnce() + Send>);

fn run(hook: &Mutex<Option<Hook>>) {
    let own = hook.lock().unwrap().take_if(|(owner, _)| *owner == thread::current().id());
    if let Some((_, hook)) = own {
        hook();
    }
}

impl Fake {
    pub fn new(seq: u64) -> Self {
        Self(Arc::new(State {
            seq: AtomicU64::new(seq),
            armed: Mutex::new(Vec::new()),
            lies: AtomicUsize::new(0),
            section: AtomicU8::new(0),
            deaf: AtomicBool::new(false),
            on_snapshot: Mutex::new(None),
            after_snapshot: Mutex::new(None),
            on_wait: Mutex::new(None),
        }))
    }

    /// Whether notifiers are held back.
    pub fn set_deaf(&self, deaf: bool) {
        self.0.deaf.store(deaf, SeqCst);
        self.call_due();
    }

    pub fn on_snapshot(&self, hook: impl FnOnce() + Send + 'static) {
        *self.0.on_snapshot.lock().unwrap() = Some((thread::current().id(), Box::new(hook)));
    }

    pub fn after_snapshot(&self, hook: impl FnOnce() + Send + 'static) {
        *self.0.after_snapshot.lock().unwrap() = Some((thread::current().id(), Box::new(hook)));
    }

    pub fn on_wait(&self, hook: impl FnOnce() + Send + 'static) {
        *self.0.on_wait.lock().unwrap() = Some((thread::current().id(), Box::new(hook)));
    }

    pub fn seq(&self) -> GpSeq {
        GpSeq::new(self.0.seq.load(SeqCst))
    }

    /// One step of the sequence, and the calls that are due.
    pub fn step(&self) {
        let now = self.seq();
        let _ = self.0.seq.compare_exchange(now.get(), now.next().get(), SeqCst, SeqCst);
        self.call_due();
    }

    /// A whole grace period that covers what was done before.
    pub fn grace_period(&self) {
        self.cond_synchronize(self.get_state());
    }

    pub fn lie(&self, times: usize) {
        self.0.lies.store(times, SeqCst);
    }

    pub fn set_section(&self, section: Option<bool>) {
        self.0.section.store(section.map_or(2, u8::from), SeqCst);
    }

    fn call_due(&self) {
        if self.0.deaf.load(SeqCst) {
            return;
        }
        let now = self.seq();
        let due: Vec<_> = {
            let mut armed = self.0.armed.lock().unwrap();
            let (due, rest) = armed.drain(..).partition(|&(_, cookie)| now.is_done(cookie));
            *armed = rest;
            due
        };
        for (notifier, _) in due {
            let notifier = std::ptr::with_exposed_provenance_mut::<Notifier>(notifier);
            // SAFETY: armed, and taken off the list by us alone.
            unsafe { rcu_core_call(NonNull::new(notifier).unwrap()) };
        }
    }
}

/// Calls a notifier by way of the real engine: with a cookie that is done it calls at once.
///
/// # Safety
///
/// The notifier is not armed with the engine, and valid until it is called.
unsafe fn rcu_core_call(notifier: NonNull<Notifier>) {
    // SAFETY: guaranteed by the caller.
    unsafe { rcu_core::Rcu.notify(notifier, done()) };
}

fn done() -> Cookie<rcu_core::Rcu> {
    static DONE: std::sync::OnceLock<Cookie<rcu_core::Rcu>> = std::sync::OnceLock::new();
    *DONE.get_or_init(|| {
        let cookie = rcu_core::Rcu.get_state();
        rcu_core::Rcu.cond_synchronize(cookie);
        cookie
    })
}

// SAFETY: there are no readers; cookies are done when the sequence says so (unless told to lie).
unsafe impl Flavor for Fake {
    type Guard<'a> = ();

    fn read_lock(&self) {}

    fn get_state(&self) -> Cookie<Self> {
        run(&self.0.on_snapshot);
        fence(SeqCst);
        let cookie = Cookie::from_seq(self.seq().snapshot());
        run(&self.0.after_snapshot);
        cookie
    }

    fn start_poll(&self) -> Cookie<Self> {
        self.get_state()
    }

    fn start_poll_expedited(&self) -> Cookie<Self> {
        self.get_state()
    }

    fn wait_timeout(&self, cookie: Cookie<Self>, _timeout: Duration) -> bool {
        self.cond_synchronize(cookie);
        true
    }

    fn poll(&self, cookie: Cookie<Self>) -> bool {
        let lie = |lies: usize| lies.checked_sub(1);
        cookie.is_done_at(self.seq()) || self.0.lies.fetch_update(SeqCst, SeqCst, lie).is_ok()
    }

    fn poll_any(&self, cookies: &[Cookie<Self>]) -> Option<usize> {
        cookies.iter().position(|&cookie| self.poll(cookie))
    }

    fn cond_synchronize(&self, cookie: Cookie<Self>) {
        run(&self.0.on_wait);
        while !cookie.is_done_at(self.seq()) {
            self.step();
        }
    }

    fn synchronize(&self) {
        self.grace_period();
    }

    fn synchronize_expedited(&self) {
        self.grace_period();
    }

    fn in_section(&self) -> Option<bool> {
        [Some(false), Some(true), None][usize::from(self.0.section.load(SeqCst))]
    }

    unsafe fn notify(&self, notifier: NonNull<Notifier>, cookie: Cookie<Self>) {
        let notifier = notifier.as_ptr().expose_provenance();
        self.0.armed.lock().unwrap().push((notifier, cookie.seq()));
        self.call_due();
    }
}

pub const FRESH: u8 = 0;
pub const QUEUED: u8 = 1;
pub const PROCESSED: u8 = 2;
pub const TAKEN: u8 = 3;

/// An object that is queued. Its memory stays, so that a mistake is seen instead of felt.
#[repr(C)]
pub struct Object {
    pub link: Link,
    pub state: AtomicU8,
    /// The cookie that must be done before it is processed.
    pub needs: AtomicU64,
    pub value: AtomicU64,
}

impl Object {
    pub fn new() -> Self {
        Self {
            link: Link::new(),
            state: AtomicU8::new(FRESH),
            needs: AtomicU64::new(0),
            value: AtomicU64::new(0),
        }
    }

    /// One that stays for ever, where leak checkers find it.
    pub fn make() -> &'static Self {
        static ALL: Mutex<Vec<&'static Object>> = Mutex::new(Vec::new());
        let object: &'static Self = Box::leak(Box::new(Self::new()));
        ALL.lock().unwrap().push(object);
        object
    }

    pub fn is(&self, state: u8) -> bool {
        self.state.load(SeqCst) == state
    }
}

/// How many bytes an object counts for.
pub const BYTES: usize = 10;

/// An item of two words, with a link or without.
#[derive(Clone, Copy, Debug)]
pub struct Two {
    pub object: NonNull<Object>,
    pub linked: usize,
}

impl Two {
    pub fn new(object: &'static Object, linked: bool) -> Self {
        Self { object: NonNull::from(object), linked: usize::from(linked) }
    }

    pub fn object(&self) -> &'static Object {
        // SAFETY: objects stay for ever.
        unsafe { self.object.as_ref() }
    }
}

// SAFETY: objects are made of atomics, and a link that is only the queue's.
unsafe impl Send for Two {}

// SAFETY: the link is the first field.
unsafe impl Item for Two {
    fn link(self) -> Option<NonNull<Link>> {
        (self.linked != 0).then(|| self.object.cast())
    }

    unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self { object: link.cast(), linked: 1 }
    }

    fn bytes(self) -> usize {
        BYTES
    }
}

/// Processes [`Two`]s, and complains about what should not be.
pub struct Check<F> {
    pub flavor: F,
    pub watch: Arc<Watch>,
}

/// What a [`Check`] saw.
#[derive(Default)]
pub struct Watch {
    pub processed: AtomicUsize,
    complaints: Mutex<Vec<String>>,
    /// Processing waits for this one.
    pub gate: Mutex<()>,
}

impl Watch {
    pub fn complain(&self, what: String) {
        self.complaints.lock().unwrap().push(what);
    }

    pub fn assert_content(&self) {
        let complaints = self.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "{:?}", complaints);
    }
}

impl<F: Flavor> Process for Check<F> {
    type Item = Two;

    fn process(&self, items: &[Two]) {
        drop(self.watch.gate.lock().unwrap_or_else(PoisonError::into_inner));
        if !rcu_core::runtime::in_callback() {
            self.watch.complain("not marked as a callback".to_owned());
        }
        for item in items {
            let object = item.object();
            let needs = Cookie::<F>::from_seq(GpSeq::new(object.needs.load(SeqCst)));
            if !self.flavor.poll(needs) {
                self.watch.complain(format!("early: {needs:?}"));
            }
            // A link that was read after its object went would lead astray.
            if item.linked != 0 {
                // SAFETY: the object is ours now, and its first word is the link.
                unsafe { item.object.cast::<usize>().write(usize::MAX / 2) };
            }
            let before = object.state.swap(PROCESSED, SeqCst);
            if before != QUEUED {
                self.watch.complain(format!("processed in state {before}"));
            }
            self.watch.processed.fetch_add(1, SeqCst);
        }
    }
}

/// Marks an object as unlinked and queued now.
pub fn retire<F: Flavor>(flavor: &F, object: &Object) {
    object.needs.store(flavor.get_state().seq().get(), SeqCst);
    assert_ne!(object.state.swap(QUEUED, SeqCst), QUEUED);
}
