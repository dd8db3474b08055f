//! Parts of a list that are read and rated while those before them are written.
//!
//! *Invariant:* results come in the order of the parts; no more than [`PARTS_AHEAD_MAX`] are begun
//! before they are asked for, and what was begun ends with who asked.

use std::collections::VecDeque;
use std::future::Future;
use std::slice::Chunks;

use model::ErrorKind;
use tokio_util::task::AbortOnDropHandle;

use crate::problem::Problem;

/// Parts begun before they are asked for: one that waits for its rows and one that is worked on, as
/// either leaves a core idle by itself.
const PARTS_AHEAD_MAX: usize = 2;

type Working<R> = AbortOnDropHandle<Result<R, Problem>>;

/// Work on parts of a list, begun ahead.
pub(super) struct Ahead<'a, T, R> {
    parts: Chunks<'a, T>,
    begun: VecDeque<(&'a [T], Working<R>)>,
}

impl<'a, T, R: Send + 'static> Ahead<'a, T, R> {
    pub(super) fn new(parts: Chunks<'a, T>) -> Self {
        Self { parts, begun: VecDeque::with_capacity(PARTS_AHEAD_MAX) }
    }

    /// The next part with what `work` made of it, after the ones behind it were begun.
    pub(super) async fn next<F>(
        &mut self,
        work: impl Fn(&'a [T]) -> F,
    ) -> Result<Option<(&'a [T], R)>, Problem>
    where
        F: Future<Output = Result<R, Problem>> + Send + 'static,
    {
        // One more than are ahead: the one that is waited for.
        while self.begun.len() <= PARTS_AHEAD_MAX {
            let Some(part) = self.parts.next() else { break };
            self.begun.push_back((part, AbortOnDropHandle::new(tokio::spawn(work(part)))));
        }
        let Some((part, working)) = self.begun.pop_front() else { return Ok(None) };
        let done =
            working.await.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
        Ok(Some((part, done?)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn parts_come_in_order_and_few_are_begun() -> Result<(), Problem> {
        let list: Vec<usize> = (0..20).collect();
        let begun = Arc::new(AtomicUsize::new(0));
        let mut ahead = Ahead::new(list.chunks(3));
        let (mut seen, mut asked) = (Vec::new(), 0);
        let work = |part: &[usize]| {
            let (own, begun) = (part.to_vec(), Arc::clone(&begun));
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                // The first of the parts is the slowest.
                for _ in 0..20_usize.saturating_sub(own.len()) {
                    tokio::task::yield_now().await;
                }
                Ok(own)
            }
        };
        while let Some((part, made)) = ahead.next(work).await? {
            asked += 1;
            assert_eq!(part, made);
            assert!(begun.load(Ordering::Relaxed) <= asked + PARTS_AHEAD_MAX);
            seen.extend(made);
        }
        assert_eq!(seen, list);
        Ok(())
    }

    #[tokio::test]
    async fn the_first_mistake_ends_it() {
        let list = [1, 2, 3];
        let mut ahead = Ahead::new(list.chunks(1));
        let work = |part: &[i32]| {
            let wrong = part == [2];
            async move { if wrong { Err(Problem::invalid("/part", "two")) } else { Ok(()) } }
        };
        assert!(matches!(ahead.next(work).await, Ok(Some(_))));
        let Err(problem) = ahead.next(work).await else { panic!("no mistake") };
        assert_eq!(problem.detail, "two");
    }
}
