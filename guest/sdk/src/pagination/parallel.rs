//! Reads several lists at once, a page of each in turn.

use std::collections::VecDeque;
use std::iter::Fuse;

use super::{Page, Pages, Pagination};
use crate::error::Result;

/// Reads the pages of several lists, `count` of them at a time: each has its next page under way while the pages of
/// the others are worked on. Gives a page of each in turn, with the name that came with its list.
///
/// The pages of one list keep their order, so a list's own [slice](crate::state::State::slice) of the state can move on
/// with each of them. An error ends its list alone: return it by `?`, or note it and go on with the others.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|_| Answer::json(r#"{"items": [], "next": null}"#));
/// fn readings(http: &Client, state: &mut State, operations: &mut Operations) -> Result<()> {
///     let mut lists = Vec::new();
///     for region in ["eu", "us", "asia"] {
///         lists.push((region, state.slice(region)?.get("cursor")));
///     }
///     let lists = lists.into_iter().map(|(region, cursor)| {
///         (region, http.get(format!("{region}/readings")).pages("items", Cursor::new("cursor", "next").start(cursor)))
///     });
///     for (region, page) in parallel(4, lists) {
///         let page = page?;
///         operations.upsert_page("readings", &page)?;
///         state.set(region, json!({"cursor": page.cursor()}))?;
///         operations.checkpoint(state)?;
///     }
///     Ok(())
/// }
/// ```
pub fn parallel<K, P, I>(count: usize, lists: I) -> Parallel<K, P, I::IntoIter>
where
    I: IntoIterator<Item = (K, Pages<P>)>,
{
    Parallel { lists: lists.into_iter().fuse(), open: VecDeque::new(), count: count.max(1) }
}

/// The iterator of [`parallel`].
pub struct Parallel<K, P, I> {
    lists: Fuse<I>,
    /// The lists being read; the front one is next.
    open: VecDeque<(K, Pages<P>)>,
    count: usize,
}

impl<K: Clone, P: Pagination, I: Iterator<Item = (K, Pages<P>)>> Iterator for Parallel<K, P, I> {
    type Item = (K, Result<Page>);

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        let (name, mut pages) = self.open.pop_front()?;
        // A list that is open has a page to come.
        let page = pages.next()?;
        if pages.has_more() {
            self.open.push_back((name.clone(), pages));
        }
        self.fill();
        Some((name, page))
    }
}

impl<K, P, I: Iterator<Item = (K, Pages<P>)>> Parallel<K, P, I> {
    /// Opens as many lists as there is room for; a list asks for its first page as soon as it is made.
    fn fill(&mut self) {
        let room = self.count.saturating_sub(self.open.len());
        self.open.extend(self.lists.by_ref().take(room));
    }
}
