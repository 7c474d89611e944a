//! Keeps to the rate limits that a connector declares for its source: at most so many requests within any window.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use model::RateLimit;

/// Starts remembered for one limit. A larger number is divided, the window with it: as strict, only smoother.
const STARTS_MAX: u32 = 4_096;

/// When requests may start. Whoever has a copy of it keeps to the same schedule.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Mutex<Schedule>>);

/// What the requests of a sync share with those of others.
#[derive(Clone, Debug, Default)]
pub struct Pacing {
    /// The source's rate limits, where several syncs ask with the same credential; none: the sync keeps to them alone.
    pub source: Option<Pace>,
    /// A quota on requests.
    pub quota: Option<Pace>,
}

impl Pace {
    /// A schedule in which no window holds more than its limit allows.
    pub fn new(limits: &[RateLimit]) -> Self {
        Self(Arc::new(Mutex::new(Schedule::new(limits))))
    }

    /// Whether somebody else has a copy of it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Takes the next place in the schedule and returns how long to wait for it.
    pub fn wait(&self, now: Instant) -> Duration {
        // A schedule left by a panic is still in order: places are taken one after another.
        let mut schedule = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        schedule.next(now).saturating_duration_since(now)
    }
}

#[derive(Debug)]
struct Schedule {
    windows: Vec<Window>,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    length: Duration,
    starts_max: usize,
    starts: VecDeque<Instant>,
}

impl Schedule {
    fn new(limits: &[RateLimit]) -> Self {
        let windows = limits.iter().map(|limit| {
            let parts = limit.requests.div_ceil(STARTS_MAX).max(1);
            let starts_max = (limit.requests / parts).max(1);
            // A day is longer than any sync; it keeps the arithmetic from overflowing.
            let length = Duration::from_millis(limit.window_ms).min(Duration::from_hours(24)) / parts;
            Window { length, starts_max: starts_max as usize, starts: VecDeque::new() }
        });
        Self { windows: windows.collect(), last: None }
    }

    fn next(&mut self, now: Instant) -> Instant {
        let earliest = self.windows.iter().filter_map(Window::earliest).chain(self.last).fold(now, Instant::max);
        for window in &mut self.windows {
            if window.starts.len() >= window.starts_max {
                window.starts.pop_front();
            }
            window.starts.push_back(earliest);
        }
        self.last = Some(earliest);
        earliest
    }
}

impl Window {
    /// When the next start may be; none: at once.
    fn earliest(&self) -> Option<Instant> {
        if self.starts.len() < self.starts_max {
            return None;
        }
        self.starts.front()?.checked_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(limits: &[RateLimit], count: usize) -> Vec<u64> {
        let now = Instant::now();
        let mut schedule = Schedule::new(limits);
        let since = |start: Instant| u64::try_from((start - now).as_millis()).unwrap();
        (0..count).map(|_| since(schedule.next(now))).collect()
    }

    fn limit(requests: u32, window_ms: u64) -> RateLimit {
        RateLimit { requests, window_ms }
    }

    #[test]
    fn no_window_holds_more_than_its_number() {
        assert_eq!(starts(&[], 3), [0, 0, 0]);
        assert_eq!(starts(&[limit(2, 1000)], 5), [0, 0, 1000, 1000, 2000]);
        assert_eq!(starts(&[limit(1, 10), limit(3, 100)], 7), [0, 10, 20, 100, 110, 120, 200]);
    }

    #[test]
    fn copies_keep_to_one_schedule() {
        let now = Instant::now();
        let pace = Pace::new(&[limit(1, 1000)]);
        let copy = pace.clone();
        let waits = [pace.wait(now), copy.wait(now), pace.wait(now)];
        assert_eq!(waits.map(|wait| wait.as_secs()), [0, 1, 2]);
    }

    #[test]
    fn strange_limits_do_no_harm() {
        assert_eq!(starts(&[limit(0, 5)], 3), [0, 5, 10]);
        assert_eq!(starts(&[limit(5, 0)], 20), [0; 20]);
        assert_eq!(starts(&[limit(1, u64::MAX)], 2), [0, 24 * 3600 * 1000]);
        // 4,294,967,295 within a window are not remembered one by one.
        let many = starts(&[limit(u32::MAX, 1_000)], 10_000);
        assert!(many.is_sorted());
        assert_eq!(Schedule::new(&[limit(u32::MAX, 1_000)]).windows[0].starts_max, STARTS_MAX as usize - 1);
    }
}
