//! Rooms: processes in which cases are measured, one for each number of registered threads.
//!
//! Slots of readers are never given back to the system and liburcu's lists are the process's, so
//! numbers of registered threads can be compared in turns only between processes.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process,
    time::Duration,
};

use super::{
    case::{Case, Setting},
    lap::measure,
    reader::sleepers,
};

/// The parent's end of a room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) registered: usize,
    stream: UnixStream,
}

/// Sent once, when the room has its threads.
const READY: u8 = 1;

impl Room {
    /// Makes a process, and in it `registered` threads that sleep. The error says why there cannot be
    /// so many.
    ///
    /// To be called while there are no other threads: the child goes on with what this one has.
    pub(crate) fn open(registered: usize) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: there is no other thread, whose locks the child might find held.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(ours);
                let status = serve(theirs, registered).is_err();
                // SAFETY: ends the process at once; what it would clean up is the parent's.
                unsafe { libc::_exit(status.into()) }
            }
            _ => {
                drop(theirs);
                Room::of(registered, ours)
            }
        }
    }

    /// Waits until the room is ready.
    fn of(registered: usize, mut stream: UnixStream) -> io::Result<Self> {
        let mut ready = [0];
        stream.read_exact(&mut ready)?;
        Ok(Room { registered, stream })
    }

    /// Measures a case: nanoseconds.
    pub(crate) fn measure(&mut self, case: &Case, slice: Duration) -> f64 {
        self.ask(case, slice).unwrap_or_else(|error| {
            eprintln!("rcubench: a process that measures has died: {error}");
            process::exit(1);
        })
    }

    fn ask(&mut self, case: &Case, slice: Duration) -> io::Result<f64> {
        self.stream.write_all(&question(case, slice))?;
        let mut answer = [0; 8];
        self.stream.read_exact(&mut answer)?;
        Ok(f64::from_ne_bytes(answer))
    }
}

/// Bytes of a question: the case in three words, and for how many nanoseconds.
const QUESTION: usize = 32;

fn question(case: &Case, slice: Duration) -> [u8; QUESTION] {
    let (setting, count) = match case.setting {
        Setting::Updaters(count) => (0, count),
        Setting::Readers(count) => (1, count),
        Setting::Registered(count) => (2, count),
    };
    let nanos = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
    let mut bytes = [0; QUESTION];
    let words = [case.kind as u64, setting, count as u64, nanos];
    for (at, word) in bytes.chunks_exact_mut(8).zip(words) {
        at.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// What was asked; `None` if it makes no sense.
fn understood(question: &[u8; QUESTION]) -> Option<(Case, Duration)> {
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| question[at * 8 + byte]));
    let count = word(2) as usize;
    let setting = match word(1) {
        0 => Setting::Updaters(count),
        1 => Setting::Readers(count),
        2 => Setting::Registered(count),
        _ => return None,
    };
    Some((Case { kind: word(0) as usize, setting }, Duration::from_nanos(word(3))))
}

/// The life of a room: ends when the parent's end is closed.
fn serve(mut stream: UnixStream, registered: usize) -> io::Result<()> {
    sleepers(registered).inspect_err(|error| {
        eprintln!("rcubench: no {registered} registered threads: {error}");
    })?;
    stream.write_all(&[READY])?;
    let mut question = [0; QUESTION];
    while stream.read_exact(&mut question).is_ok() {
        let (case, slice) = understood(&question).ok_or(io::ErrorKind::InvalidData)?;
        stream.write_all(&measure(&case, slice).to_ne_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_room_answers_until_it_is_closed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || serve(theirs, 2));
        let mut room = Room::of(2, ours).unwrap();
        for setting in [Setting::Updaters(1), Setting::Registered(2), Setting::Readers(1)] {
            let case = Case { kind: 0, setting };
            let (back, slice) = understood(&question(&case, Duration::from_nanos(7))).unwrap();
            assert_eq!((back.kind, back.setting, slice.as_nanos()), (0, setting, 7));
            assert!(room.measure(&case, Duration::from_micros(20)) > 0.0);
        }
        drop(room);
        server.join().unwrap().unwrap();
    }
}
