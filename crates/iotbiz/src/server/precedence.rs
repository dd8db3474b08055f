//! Who goes first when cores are short: the door, then the folds, then history.
//!
//! *Invariant:* only threads that may lag step back, and never so far that they stand still: Linux
//! gives a thread of nice 10 a tenth of what it gives one of nice 0 while both want a core.
//!
//! A weight of the scheduler instead of sleeps: a message that waits for its acknowledgement takes
//! the core at once from a thread that steps back (sched(7), "The nice value").

/// The nice value of a thread that steps back.
#[cfg(target_os = "linux")]
const STEPPED_BACK: i32 = 10;

/// Lets the calling thread step back behind all others of this process.
///
/// Elsewhere than on Linux nice is a matter of the whole process, and nothing is done.
pub(super) fn step_back() {
    #[cfg(target_os = "linux")]
    nice();
}

#[cfg(target_os = "linux")]
fn nice() {
    let done = rustix::process::setpriority_process(Some(rustix::thread::gettid()), STEPPED_BACK);
    // It is a matter of pace only: without it everything works, with a longer tail under load.
    if let Err(error) = done {
        tracing::debug!(%error, "a thread keeps its precedence");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_steps_back_and_its_process_does_not() {
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = nice();
        let stepped = std::thread::spawn(move || {
            step_back();
            nice()
        });
        assert_eq!(stepped.join().unwrap(), STEPPED_BACK.max(before));
        assert_eq!(nice(), before);
    }
}
