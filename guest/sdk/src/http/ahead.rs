//! Keeps several requests in flight while their answers are read in order.

use std::collections::VecDeque;
use std::iter::Fuse;

/// Takes `count` items from `items` before the first is needed, and keeps so many ahead.
///
/// With [`Pages`](crate::pagination::Pages) or [`Pending`](crate::http::Pending), which ask as soon as they are made,
/// that many requests are in flight, while the items keep their order:
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|_| Answer::json("{}"));
/// let http = Client::new("https://api.example.com");
/// for pending in ahead(8, (1..=20).map(|id| http.get(format!("people/{id}")).start())) {
///     let person = pending?.wait()?.text()?;
/// }
/// # Ok::<(), Error>(())
/// ```
pub fn ahead<I: IntoIterator>(count: usize, items: I) -> Ahead<I::IntoIter> {
    Ahead { queue: VecDeque::new(), items: items.into_iter().fuse(), count }
}

/// The iterator of [`ahead`].
#[derive(Debug)]
pub struct Ahead<I: Iterator> {
    queue: VecDeque<I::Item>,
    items: Fuse<I>,
    count: usize,
}

impl<I: Iterator> Iterator for Ahead<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        while self.queue.len() < self.count.max(1) {
            let Some(item) = self.items.next() else { break };
            self.queue.push_back(item);
        }
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn so_many_items_are_made_ahead_and_order_is_kept() {
        let made = Cell::new(0);
        let mut items = ahead(3, (0..5).inspect(|_| made.set(made.get() + 1)));
        assert_eq!((items.next(), made.get()), (Some(0), 3));
        assert_eq!((items.next(), made.get()), (Some(1), 4));
        assert_eq!(items.collect::<Vec<_>>(), [2, 3, 4]);
    }
}
