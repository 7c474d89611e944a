//! `log`: what the connector tells, cut and counted so that it cannot flood.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::guest::Limits;
use crate::guest::bindings::elt::connector::log;
use crate::guest::instance::{Guest, Listener};
use crate::model::LogLevel;

impl log::Host for Guest {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.wires.listener.log(level.into(), &message);
        Ok(())
    }
}

/// A listener that passes on so many lines a second, and of each line so many bytes.
pub(in crate::guest) struct Gate {
    inner: Arc<dyn Listener>,
    lines_per_second_max: u64,
    line_bytes_max: usize,
    window: Mutex<Window>,
}

struct Window {
    start: Instant,
    lines: u64,
    dropped: u64,
}

impl Gate {
    pub(in crate::guest) fn new(inner: Arc<dyn Listener>, limits: &Limits) -> Self {
        Self {
            inner,
            lines_per_second_max: limits.log_lines_per_second_max,
            line_bytes_max: usize::try_from(limits.log_line_bytes_max).unwrap_or(usize::MAX),
            window: Mutex::new(Window { start: Instant::now(), lines: 0, dropped: 0 }),
        }
    }

    /// Whether a line may pass now, and how many were dropped before it.
    fn admit(&self) -> (bool, u64) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if window.start.elapsed() >= Duration::from_secs(1) {
            dropped = window.dropped;
            *window = Window { start: Instant::now(), lines: 0, dropped: 0 };
        }
        if window.lines >= self.lines_per_second_max {
            window.dropped += 1;
            return (false, 0);
        }
        window.lines += 1;
        (true, dropped)
    }
}

impl Listener for Gate {
    fn log(&self, level: LogLevel, message: &str) {
        let (admitted, dropped) = self.admit();
        if dropped > 0 {
            self.inner
                .log(LogLevel::Warning, &format!("{dropped} lines of log were dropped (limit log-lines-per-second)"));
        }
        if !admitted {
            return;
        }
        if message.len() <= self.line_bytes_max {
            return self.inner.log(level, message);
        }
        let cut = message.floor_char_boundary(self.line_bytes_max);
        self.inner.log(level, &format!("{}… ({} bytes cut)", &message[..cut], message.len() - cut));
    }

    fn memory(&self, bytes: u64) {
        self.inner.memory(bytes);
    }

    fn retrying(&self, reason: &str, wait: Duration) {
        self.inner.retrying(reason, wait);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let dropped = self.window.get_mut().unwrap_or_else(PoisonError::into_inner).dropped;
        if dropped > 0 {
            self.inner
                .log(LogLevel::Warning, &format!("{dropped} lines of log were dropped (limit log-lines-per-second)"));
        }
    }
}
