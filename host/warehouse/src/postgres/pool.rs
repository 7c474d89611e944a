//! Whose turn it is to have what waits, or to make a new one: things that are dear to begin and serve one user after another.
//!
//! Whoever comes while few are being begun begins one. Everybody else stands in line, and has what comes first: one that
//! another user has given back, or the turn to begin one. While they come back one after another, one more is begun only
//! now and then. So where many users come at once for a short time, as syncs do that are due together, a few things serve them
//! all; and where many stay, there are soon as many as they need.

use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many of one key are begun at the same time.
const BEGUN_AT_ONCE: usize = 4;
/// Things that wait, of all keys together. Where users follow one another closely, few wait.
const IDLE_MAX: usize = 16;

/// Things of type `T`, each serving users of one key.
pub(super) struct Pool<K: PartialEq + Clone + 'static, T: 'static> {
    /// How long after one came back it counts as the flow.
    flow: Duration,
    /// While they flow, one is begun in so long.
    growth: Duration,
    state: Mutex<State<K, T>>,
}

struct State<K: PartialEq + Clone + 'static, T: 'static> {
    idle: Vec<(K, T)>,
    /// Once for each that is being begun.
    beginning: Vec<K>,
    /// In the order they came.
    line: Vec<Waiting<K, T>>,
    /// When one last came back; those that did not long ago.
    came_back: Vec<(K, Instant)>,
    /// When one was last begun; those that were not long ago.
    begun: Vec<(K, Instant)>,
    /// What the next one in line is known by.
    number: u64,
}

struct Waiting<K: PartialEq + Clone + 'static, T: 'static> {
    key: K,
    number: u64,
    turn: SyncSender<Turn<K, T>>,
}

/// What a user got.
pub(super) enum Turn<K: PartialEq + Clone + 'static, T: 'static> {
    /// One that waited.
    Use(T),
    /// The turn to begin one; keep it until that has ended.
    Begin(Beginning<K, T>),
}

/// One is being begun; dropping this says that it has, or that it failed.
pub(super) struct Beginning<K: PartialEq + Clone + 'static, T: 'static> {
    pool: &'static Pool<K, T>,
    key: K,
}

impl<K: PartialEq + Clone, T> Pool<K, T> {
    /// An empty one. While things come back with no more than `flow` between them (about as long as to begin one takes), one
    /// more is begun in `growth` only.
    pub(super) const fn new(flow: Duration, growth: Duration) -> Self {
        let state = State {
            idle: Vec::new(),
            beginning: Vec::new(),
            line: Vec::new(),
            came_back: Vec::new(),
            begun: Vec::new(),
            number: 0,
        };
        Self { flow, growth, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<K, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn, but no longer than `patience`: then it is time to begin one, however many others do.
    pub(super) fn turn(&'static self, key: &K, patience: Duration) -> Turn<K, T> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        if let Some(place) = state.idle.iter().rposition(|(idle, _)| idle == key) {
            return Turn::Use(state.idle.remove(place).1);
        }
        if state.ahead(key, None) == 0 && self.may_begin(&state, key) {
            return Turn::Begin(self.begin(&mut state, key));
        }
        let (number, turn) = state.stand_in_line(key);
        loop {
            // Whoever is first looks soon whether they still come back, those behind later.
            let pause = self.flow.min(self.growth).saturating_mul(state.ahead(key, Some(number)).saturating_add(1));
            drop(state);
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(turn) = turn.recv_timeout(pause.min(left)) {
                return turn;
            }
            state = self.state();
            // It may have come just now.
            if let Ok(turn) = turn.try_recv() {
                return turn;
            }
            if Instant::now() >= until || self.may_begin(&state, key) {
                state.line.retain(|waiting| waiting.number != number);
                return Turn::Begin(self.begin(&mut state, key));
            }
        }
    }

    /// Whether it would help to begin one more.
    fn may_begin(&self, state: &State<K, T>, key: &K) -> bool {
        let lately = |list: &[(K, Instant)], long: Duration| {
            list.iter().any(|(other, when)| other == key && when.elapsed() < long)
        };
        let may_grow = !lately(&state.came_back, self.flow) || !lately(&state.begun, self.growth);
        may_grow && state.beginning(key) < BEGUN_AT_ONCE
    }

    fn begin(&'static self, state: &mut State<K, T>, key: &K) -> Beginning<K, T> {
        state.beginning.push(key.clone());
        let growth = self.growth;
        state.begun.retain(|(other, when)| other != key && when.elapsed() < growth);
        state.begun.push((key.clone(), Instant::now()));
        Beginning { pool: self, key: key.clone() }
    }

    /// One is begun, or could not be: the next one in line may begin one.
    fn begun(&'static self, key: &K) {
        let mut state = self.state();
        if let Some(place) = state.beginning.iter().position(|beginning| beginning == key) {
            state.beginning.remove(place);
        }
        if self.may_begin(&state, key)
            && let Some(first) = state.first(key)
        {
            let turn = Turn::Begin(self.begin(&mut state, key));
            let sent = first.send(turn);
            // Were it unheard, its drop would come here again.
            drop(state);
            drop(sent);
        }
    }

    /// Gives one back: to the first in line, or to wait. What need not wait any longer is returned, to be closed without
    /// holding up others: one too many, and those that `is_over`.
    #[must_use]
    pub(super) fn put(&self, key: K, thing: T, is_over: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = self.state();
        state.came_back.retain(|(other, when)| *other != key && when.elapsed() < self.flow);
        state.came_back.push((key.clone(), Instant::now()));
        let Err(thing) = state.hand_over(&key, thing) else { return Vec::new() };
        let (mut over, mut kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.idle).into_iter().partition(|(_, idle)| is_over(idle));
        if kept.len() >= IDLE_MAX {
            over.push(kept.remove(0));
        }
        kept.push((key, thing));
        state.idle = kept;
        over.into_iter().map(|(_, idle)| idle).collect()
    }
}

impl<K: PartialEq + Clone, T> Drop for Beginning<K, T> {
    fn drop(&mut self) {
        self.pool.begun(&self.key);
    }
}

impl<K: PartialEq + Clone, T> State<K, T> {
    fn beginning(&self, key: &K) -> usize {
        self.beginning.iter().filter(|beginning| *beginning == key).count()
    }

    /// How many stand in line for a key: before one of them, or all.
    fn ahead(&self, key: &K, number: Option<u64>) -> u32 {
        let before =
            |waiting: &&Waiting<K, T>| waiting.key == *key && number.is_none_or(|number| waiting.number < number);
        u32::try_from(self.line.iter().filter(before).count()).unwrap_or(u32::MAX)
    }

    fn stand_in_line(&mut self, key: &K) -> (u64, Receiver<Turn<K, T>>) {
        let (sender, receiver) = sync_channel(1);
        self.number += 1;
        self.line.push(Waiting { key: key.clone(), number: self.number, turn: sender });
        (self.number, receiver)
    }

    /// The first in line for a key, who stands there no longer.
    fn first(&mut self, key: &K) -> Option<SyncSender<Turn<K, T>>> {
        let place = self.line.iter().position(|waiting| waiting.key == *key)?;
        Some(self.line.remove(place).turn)
    }

    /// Gives a thing to the first in line, or back. Who stands in line listens: it leaves the line before it goes.
    fn hand_over(&mut self, key: &K, thing: T) -> Result<(), T> {
        let Some(first) = self.first(key) else { return Err(thing) };
        match first.send(Turn::Use(thing)) {
            Err(SendError(Turn::Use(thing))) => Err(thing),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    fn pool() -> &'static Pool<&'static str, u32> {
        flowing(Duration::from_millis(1), LONG)
    }

    fn flowing(flow: Duration, growth: Duration) -> &'static Pool<&'static str, u32> {
        Box::leak(Box::new(Pool::new(flow, growth)))
    }

    fn begin(pool: &'static Pool<&'static str, u32>, key: &'static str) -> Beginning<&'static str, u32> {
        match pool.turn(&key, LONG) {
            Turn::Begin(beginning) => beginning,
            Turn::Use(thing) => panic!("{thing} waited"),
        }
    }

    /// Somebody stands in line; what it gets, or none where it was to begin one.
    fn in_line(pool: &'static Pool<&'static str, u32>, key: &'static str) -> thread::JoinHandle<Option<u32>> {
        let before = pool.state().line.len();
        let user = thread::spawn(move || match pool.turn(&key, LONG) {
            Turn::Use(thing) => Some(thing),
            Turn::Begin(_) => None,
        });
        while pool.state().line.len() == before {
            thread::yield_now();
        }
        user
    }

    #[test]
    fn what_was_given_back_serves_the_next_user_of_its_key() {
        let pool = pool();
        assert!(pool.put("a", 1, |_| false).is_empty());
        drop(begin(pool, "b"));
        assert!(matches!(pool.turn(&"a", LONG), Turn::Use(1)));
        drop(begin(pool, "a"));
    }

    #[test]
    fn the_first_in_line_has_what_comes_first() {
        let pool = pool();
        let mut beginnings: Vec<_> = (0..BEGUN_AT_ONCE).map(|_| begin(pool, "a")).collect();
        let users: Vec<_> = (0..3).map(|_| in_line(pool, "a")).collect();
        // Another key has a line of its own.
        drop(begin(pool, "b"));
        assert!(pool.put("b", 7, |_| false).is_empty());
        assert!(pool.put("a", 1, |_| false).is_empty());
        drop(beginnings.pop());
        let got = users.into_iter().map(|user| user.join().unwrap()).collect::<Vec<_>>();
        // The turn of the second one ends at once, and is that of the third.
        assert_eq!(got, [Some(1), None, None]);
        assert_eq!(pool.state().beginning(&"a"), BEGUN_AT_ONCE - 1);
        assert!(pool.state().line.is_empty());
    }

    #[test]
    fn while_they_come_back_none_is_begun() {
        let pool = flowing(LONG, LONG);
        drop(begin(pool, "a"));
        assert!(pool.put("a", 1, |_| false).is_empty());
        assert!(matches!(pool.turn(&"a", LONG), Turn::Use(1)));
        let user = in_line(pool, "a");
        drop(begin(pool, "b"));
        assert!(pool.put("a", 1, |_| false).is_empty());
        assert_eq!(user.join().unwrap(), Some(1));
        assert!(matches!(pool.turn(&"a", Duration::ZERO), Turn::Begin(_)));
    }

    #[test]
    fn when_none_comes_back_any_more_the_first_in_line_begins() {
        let pool = flowing(Duration::from_millis(20), LONG);
        assert!(pool.put("a", 1, |_| false).is_empty());
        assert!(matches!(pool.turn(&"a", LONG), Turn::Use(1)));
        drop(begin(pool, "a"));
    }

    #[test]
    fn while_they_come_back_one_more_is_begun_now_and_then() {
        let pool = flowing(LONG, Duration::from_millis(20));
        let begun = begin(pool, "a");
        assert!(pool.put("a", 1, |_| false).is_empty());
        assert!(matches!(pool.turn(&"a", LONG), Turn::Use(1)));
        drop(begin(pool, "a"));
        drop(begun);
    }

    #[test]
    fn nobody_waits_longer_than_its_patience() {
        let pool = pool();
        let beginnings: Vec<_> = (0..BEGUN_AT_ONCE).map(|_| begin(pool, "a")).collect();
        assert!(matches!(pool.turn(&"a", Duration::from_millis(1)), Turn::Begin(_)));
        assert!(pool.state().line.is_empty());
        drop(beginnings);
        assert_eq!(pool.state().beginning(&"a"), 0);
    }

    #[test]
    fn few_wait_and_the_oldest_goes_first() {
        let pool = pool();
        for number in 0..u32::try_from(IDLE_MAX).unwrap() {
            assert!(pool.put("a", number, |_| false).is_empty());
        }
        assert_eq!(pool.put("b", 100, |_| false), [0]);
        assert_eq!(pool.put("b", 101, |number| *number < 3 || *number == 100), [1, 2, 100]);
        assert!(matches!(pool.turn(&"b", LONG), Turn::Use(101)));
    }
}
