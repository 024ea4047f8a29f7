//! Memory straight from the system, for what must not enter the program's allocator.

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Maps `bytes` (rounded up to pages) of zeroed memory, or gives up as an allocator does.
pub(crate) fn map_or_abort(bytes: usize) -> NonNull<u8> {
    // SAFETY: a new private mapping, at an address of the system's choice.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    match NonNull::new(address.cast::<u8>()) {
        Some(start) if address != libc::MAP_FAILED => start,
        _ => {
            handle_alloc_error(Layout::from_size_align(bytes, 4096).unwrap_or(Layout::new::<u64>()))
        }
    }
}
