//! The same work on any number of threads, with the results in the order of the input.
//!
//! *Invariant:* results do not depend on the number of threads, because each is a function of its
//! own item and they are put together in input order.

/// The most threads one run uses.
const THREADS_MAX: usize = 64;

/// Applies `work` to every item; `threads` 0 means as many as the machine has.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let wanted = if threads == 0 {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    } else {
        threads
    };
    let threads = wanted.clamp(1, THREADS_MAX).min(items.len().max(1));
    if threads == 1 {
        return items.iter().map(work).collect();
    }
    // Items are dealt in turn, so that a thread that starts late does not hold a whole half.
    let lanes: Vec<Vec<R>> = std::thread::scope(|scope| {
        let work = &work;
        let lane = |first: usize| {
            scope.spawn(move || items.iter().skip(first).step_by(threads).map(work).collect())
        };
        let running: Vec<std::thread::ScopedJoinHandle<'_, Vec<R>>> =
            (0..threads).map(lane).collect();
        let finish = |handle: std::thread::ScopedJoinHandle<'_, Vec<R>>| {
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().map(finish).collect()
    });
    let mut lanes: Vec<std::vec::IntoIter<R>> = lanes.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::with_capacity(items.len());
    for i in 0..items.len() {
        all.extend(lanes[i % threads].next());
    }
    all
}
