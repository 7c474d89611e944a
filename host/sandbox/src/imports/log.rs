//! `log`: what the connector tells, cut and counted so that it cannot flood.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bindings::elt::connector::log;
use crate::instance::{Guest, Listener};
use crate::{Exchange, Limits, Secrets};
use model::LogLevel;

impl log::Host for Guest {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.wires.listener.log(level.into(), &message);
        Ok(())
    }
}

/// A listener that passes on so many lines a second, without secrets, and of each line so many bytes.
pub(crate) struct Gate {
    inner: Arc<dyn Listener>,
    secrets: Secrets,
    lines_per_second_max: u64,
    line_bytes_max: usize,
    /// Fine lines, and all others: chatter must not push out what people need to see.
    windows: [Mutex<Window>; 2],
}

#[derive(Debug)]
struct Window {
    start: Instant,
    lines: u64,
    dropped: u64,
}

impl Gate {
    pub(crate) fn new(inner: Arc<dyn Listener>, secrets: Secrets, limits: &Limits) -> Self {
        Self {
            inner,
            secrets,
            lines_per_second_max: limits.log_lines_per_second_max,
            line_bytes_max: usize::try_from(limits.log_line_bytes_max).unwrap_or(usize::MAX),
            windows: [(); 2].map(|()| Mutex::new(Window { start: Instant::now(), lines: 0, dropped: 0 })),
        }
    }

    /// Whether a line may pass now, and how many were dropped before it.
    fn admit(&self, level: LogLevel) -> (bool, u64) {
        let window = &self.windows[usize::from(level == LogLevel::Fine)];
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn tell_dropped(&self, fine: bool, dropped: u64) {
        if dropped > 0 {
            let (level, kind) = if fine { (LogLevel::Fine, "fine ") } else { (LogLevel::Warning, "") };
            let message = format!("{dropped} lines of {kind}log were dropped (limit log-lines-per-second)");
            self.inner.log(level, &message);
        }
    }
}

impl Listener for Gate {
    fn log(&self, level: LogLevel, message: &str) {
        let (admitted, dropped) = self.admit(level);
        self.tell_dropped(level == LogLevel::Fine, dropped);
        if !admitted {
            return;
        }
        // Before the line is cut: half a secret would not be found.
        let message = self.secrets.redact(message);
        if message.len() <= self.line_bytes_max {
            return self.inner.log(level, &message);
        }
        let cut = message.floor_char_boundary(self.line_bytes_max);
        self.inner.log(level, &format!("{}… ({} bytes cut)", &message[..cut], message.len() - cut));
    }

    fn cpu(&self, spent: Duration) {
        self.inner.cpu(spent);
    }

    fn memory(&self, bytes: u64) {
        self.inner.memory(bytes);
    }

    fn exchanged(&self, exchange: &Exchange) {
        self.inner.exchanged(exchange);
    }

    fn retrying(&self, reason: &str, wait: Duration) {
        self.inner.retrying(&self.secrets.redact(reason), wait);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        for (index, window) in self.windows.iter().enumerate() {
            let dropped = window.lock().unwrap_or_else(PoisonError::into_inner).dropped;
            self.tell_dropped(index == 1, dropped);
        }
    }
}
