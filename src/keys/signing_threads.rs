//! The threads that sign, one per processor, started with the first signature.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Error;

/// The nice value of the threads: with a third of the weight of a normal thread, a loaded machine still signs.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// The work of a request: all signatures of its answer.
pub(super) type Work = Box<dyn FnOnce() + Send>;

/// The threads. A drop ends each thread after the work that is queued.
#[derive(Debug)]
pub(super) struct SigningThreads {
    shared: Arc<Shared>,
    count: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when work arrives, and at the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bounded: a request holds one of `count` permits until its work is done.
    work: VecDeque<Work>,
    started: bool,
    ended: bool,
}

impl SigningThreads {
    /// Prepares `count` threads.
    pub(super) fn new(count: usize) -> Self {
        Self {
            shared: Arc::default(),
            count,
        }
    }

    /// Hands work to the next free thread.
    ///
    /// # Errors
    /// [`Error::Signature`] if no thread can be started.
    pub(super) fn run(&self, work: Work) -> Result<(), Error> {
        let mut state = self.shared.state();
        if !state.started {
            self.start().map_err(|error| {
                tracing::error!(%error, "no thread for signatures can be started");
                Error::Signature
            })?;
            state.started = true;
        }
        state.work.push_back(work);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    fn start(&self) -> std::io::Result<()> {
        for number in 0..self.count {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name(format!("signatures-{number}"));
            let started = thread.spawn(move || shared.run_until_end());
            if number == 0 {
                started?; // with one thread, signatures are slower but made
            }
        }
        Ok(())
    }
}

impl Drop for SigningThreads {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_until_end(&self) {
        lower_priority();
        while let Some(work) = self.next() {
            // A panic ends only the request, which sees that its work was dropped.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a signature panicked");
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if let Some(work) = state.work.pop_front() {
                return Some(work);
            }
            if state.ended {
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lowers the priority of the calling thread below the threads that answer requests, so that a request without a
/// signature does not wait for signatures of others. On Linux, where a thread has a priority of its own.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the priority of a signing thread stays");
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared { .. }")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_panic_ends_no_thread() {
        let threads = SigningThreads::new(1);
        threads.run(Box::new(|| panic!("a bug"))).unwrap();
        let (sender, receiver) = channel();
        threads
            .run(Box::new(move || sender.send(1).unwrap()))
            .unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        let shared = Arc::downgrade(&threads.shared);
        drop(threads);
        while shared.strong_count() > 0 {
            std::thread::yield_now(); // the thread ends with the last reference
        }
    }
}
