//! Starting a thread by the C library alone.
//!
//! A thread of the standard library takes locks of its own when it starts, which the standard
//! library does not look after across a fork: in the child, where another thread may have held one,
//! such a thread would hang before it ran a line of ours. The C library does look after its own.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::ptr;

use crate::signals::without_signals;

/// What the standard library gives its threads.
const STACK: usize = 2 << 20;
/// What the system keeps of a name.
const NAME: usize = 15;

struct Start {
    name: CString,
    body: Box<dyn FnOnce() + Send>,
}

/// Starts a thread that nobody joins and that blocks all signals from outside. `None` if there is none
/// to be had.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Option<libc::pthread_t> {
    let name: Vec<u8> = name.bytes().filter(|&byte| byte != 0).take(NAME).collect();
    let start = Start { name: CString::new(name).unwrap_or_default(), body: Box::new(body) };
    let start = Box::into_raw(Box::new(start));
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: attributes are initialised before they are used; `run` takes `start` over.
    let error = unsafe {
        let mut error = libc::pthread_attr_init(attributes);
        if error == 0 {
            libc::pthread_attr_setstacksize(attributes, STACK);
            libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
            // A new thread inherits the mask of its maker.
            error = without_signals(|| {
                libc::pthread_create(thread.as_mut_ptr(), attributes, run, start.cast())
            });
            libc::pthread_attr_destroy(attributes);
        }
        error
    };
    if error != 0 {
        // SAFETY: no thread has it.
        drop(unsafe { Box::from_raw(start) });
        return None;
    }
    // SAFETY: written by the call that succeeded.
    Some(unsafe { thread.assume_init() })
}

extern "C" fn run(start: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: from `spawn`, which gave it up.
    let start = unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: names this thread; the string ends in a null.
    unsafe { libc::prctl(libc::PR_SET_NAME, start.name.as_ptr()) };
    (start.body)();
    ptr::null_mut()
}
