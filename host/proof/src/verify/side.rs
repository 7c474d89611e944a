//! Trials side by side: as many at a time as there are processors, none begun behind one that ends them all.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

/// Runs of a connector that are kept in memory at one time, at most.
const AT_A_TIME_MAX: usize = 8;

/// The results of `work` on each of `count` trials, in order, up to the first that `ends`; `progress` hears how many are done.
/// `work` blocks its thread.
pub(super) fn side_by_side<T: Send>(
    count: usize,
    work: &(dyn Fn(usize) -> T + Sync),
    ends: &(dyn Fn(&T) -> bool + Sync),
    progress: &dyn Fn(usize),
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(AT_A_TIME_MAX).min(count);
    let (next, end) = (AtomicUsize::new(0), AtomicUsize::new(count));
    let mut found: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..threads {
            let (sender, next, end) = (sender.clone(), &next, &end);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= end.load(Ordering::Acquire) {
                        break;
                    }
                    let result = work(at);
                    if ends(&result) {
                        end.fetch_min(at + 1, Ordering::AcqRel);
                    }
                    // Nobody listens any more only where this scope has panicked.
                    let _ = sender.send((at, result));
                }
            });
        }
        drop(sender);
        for (done, (at, result)) in receiver.iter().enumerate() {
            found[at] = Some(result);
            progress(done + 1);
        }
    });
    found.into_iter().take(end.into_inner()).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_end_at_the_first_that_ends_them() {
        let all = side_by_side(50, &|at| at * 2, &|_| false, &|_| {});
        assert_eq!(all, (0..50).map(|at| at * 2).collect::<Vec<_>>());
        let some = side_by_side(50, &|at| at, &|at| *at >= 20, &|_| {});
        assert_eq!(some, (0..=20).collect::<Vec<_>>());
        assert_eq!(side_by_side(0, &|at| at, &|_| false, &|_| {}), Vec::<usize>::new());
    }
}
