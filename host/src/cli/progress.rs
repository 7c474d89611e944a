//! What people see while a sync runs: live lines on a terminal, plain lines elsewhere, the log in between.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::screen::Screen;
use super::text::{self, Paint, counted};
use model::schema::SchemaChange;
use sandbox::Exchange;
use stream::lines::level_text;
use stream::{Event, LogLevel, Observer, Progress, Rejection};

/// Plain lines about commits come at most this often.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// The live lines are drawn anew this often.
const DRAW_EVERY: Duration = Duration::from_millis(150);
/// Tables with a live line of their own; more are counted in one.
const TABLES_SHOWN: usize = 12;

/// The display of one sync.
pub(super) struct Display {
    screen: Screen,
    verbose: bool,
    live: Option<MultiProgress>,
    progress: Arc<Progress>,
    began: Instant,
    /// Milliseconds after `began` of the last plain line about a commit.
    told_ms: AtomicU64,
    chatter: Mutex<Chatter>,
}

/// Decides which of the connector's info lines are shown: a few at once, then one a second. A connector may write one a
/// page; a person wants to see that it goes on, not a thousand lines.
#[derive(Debug, Default)]
struct Chatter {
    /// Lines shown, as if at least one had been in every second.
    shown: u64,
    hidden: u64,
}

impl Chatter {
    /// Lines shown at once.
    const BURST: u64 = 5;

    /// Whether a line that comes so long after the start is shown.
    fn admits(&mut self, elapsed: Duration) -> bool {
        // Time that passed in silence saves up no more than a burst.
        self.shown = self.shown.max(elapsed.as_secs());
        let admitted = self.shown < elapsed.as_secs() + Self::BURST;
        if admitted {
            self.shown += 1;
        } else {
            self.hidden += 1;
        }
        admitted
    }
}

impl Display {
    /// A display, live where a person watches a terminal. `verbose` shows fine lines too.
    pub(super) fn new(screen: Screen, verbose: bool, progress: Arc<Progress>) -> Self {
        let live = screen.is_live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self {
            screen,
            verbose,
            live,
            progress,
            began: Instant::now(),
            told_ms: AtomicU64::new(0),
            chatter: Mutex::default(),
        }
    }

    /// Tells people something, above the live lines.
    pub(super) fn tell(&self, text: &str) {
        match &self.live {
            Some(live) => live.suspend(|| self.screen.people(text)),
            None => self.screen.people(text),
        }
    }

    /// Says at the end what was not shown.
    pub(super) fn conclude(&self) {
        let hidden = self.chatter.lock().map_or(0, |chatter| chatter.hidden);
        if hidden > 0 {
            let lines = counted(hidden, "info line was", "info lines were");
            self.tell(&self.screen.paint.dim(&format!("         {lines} not shown; -v shows all")));
        }
    }

    /// Begins to draw live lines where there is a terminal; ends when dropped.
    pub(super) fn draw(&self) -> Option<Drawing> {
        let live = self.live.clone()?;
        let (progress, began, paint) = (Arc::clone(&self.progress), self.began, self.screen.paint);
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut lines = LiveLines::new(&live, paint);
            while ended.recv_timeout(DRAW_EVERY) == Err(RecvTimeoutError::Timeout) {
                lines.draw(&live, &progress, began.elapsed());
            }
            drop(lines);
            let _closed = live.clear();
        });
        Some(Drawing { end: Some(end), thread: Some(thread) })
    }

    /// Whether a plain line about a commit is due; a live display shows commits anyway.
    fn is_due(&self) -> bool {
        if self.live.is_some() {
            return false;
        }
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.told_ms.load(Ordering::Relaxed);
        let every = u64::try_from(PLAIN_EVERY.as_millis()).unwrap_or(u64::MAX);
        now.saturating_sub(last) >= every
            && self.told_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Observer for Display {
    fn event(&self, event: &Event) {
        let paint = self.screen.paint;
        let line = match event {
            Event::Started { connection, connector, destination, state } => Some(format!(
                "{}: {} -> {} ({})",
                paint.bold(connection),
                text::printable(connector),
                text::printable(destination),
                if state.is_some() { "going on from the last checkpoint" } else { "from the beginning" }
            )),
            Event::Log { level, message } => self.shows(*level).then(|| said(*level, None, message, paint)),
            Event::Notice { level, message } => self.shows(*level).then(|| said(*level, Some("host"), message, paint)),
            Event::Rejected(rejection) => Some(said(LogLevel::Warning, Some("host"), &set_aside(rejection), paint)),
            Event::SchemaChanged { .. } if self.verbose => schema_change(event),
            Event::SchemaChanged { .. } => None,
            Event::Committed { sequence, .. } => self.is_due().then(|| {
                let rows = self.progress.rows_committed.load(Ordering::Relaxed);
                format!(
                    "commit {sequence}: {} durable so far, {}",
                    counted(rows, "row", "rows"),
                    counters(&self.progress, self.began.elapsed())
                )
            }),
        };
        if let Some(line) = line {
            self.tell(&line);
        }
    }
}

impl Display {
    /// Whether a line of log is shown: with -v all, otherwise warnings and worse, and info as long as it does not flood.
    fn shows(&self, level: LogLevel) -> bool {
        match level {
            _ if self.verbose => true,
            LogLevel::Fine => false,
            LogLevel::Info => self.chatter.lock().is_ok_and(|mut chatter| chatter.admits(self.began.elapsed())),
            LogLevel::Warning | LogLevel::Severe => true,
        }
    }
}

/// A line of log: level, who says it unless it is the connector, what.
pub(super) fn said(level: LogLevel, who: Option<&str>, message: &str, paint: Paint) -> String {
    let who = who.map(|name| format!("{name}: ")).unwrap_or_default();
    let line = format!("{:>7}  {who}{}", level_text(level), text::printable(message));
    match level {
        LogLevel::Fine => paint.dim(&line),
        LogLevel::Info => line,
        LogLevel::Warning => paint.yellow(&line),
        LogLevel::Severe => paint.red(&line),
    }
}

/// A record that was set aside, as a sentence.
pub(super) fn set_aside(Rejection { table, position, reason }: &Rejection) -> String {
    format!("record {position} of table \"{table}\" is set aside: {reason}")
}

/// A change of the warehouse's schema as a sentence; none for other events.
pub(super) fn schema_change(event: &Event) -> Option<String> {
    let Event::SchemaChanged { table, column, change, data_type } = event else { return None };
    let (table, column) = (text::printable(table), text::printable(column.as_deref().unwrap_or_default()));
    let kind = data_type.as_deref().unwrap_or_default();
    Some(match change {
        SchemaChange::NewTable { .. } => format!("new table {table}"),
        SchemaChange::HistoryBegun { .. } => format!("history of table {table} begins"),
        SchemaChange::NewColumn { .. } => format!("new column {table}.{column} {kind}"),
        SchemaChange::Widened { from, .. } => format!("widened {table}.{column} from {} to {kind}", from.data_type()),
    })
}

/// `101 requests, 45.3 MiB received, 12,345 rows/s, 3.2 s`
fn counters(progress: &Progress, elapsed: Duration) -> String {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut text = format!(
        "{}, {} received",
        counted(progress.meter.requests(), "request", "requests"),
        text::bytes(progress.meter.response_bytes())
    );
    if progress.meter.retries() > 0 {
        text = format!("{text}, {}", counted(progress.meter.retries(), "retry", "retries"));
    }
    if let Some(rate) = text::rate(read(&progress.rows), elapsed) {
        text = format!("{text}, {rate}");
    }
    format!("{text}, {}", text::duration(elapsed))
}

/// Live lines being drawn by a thread; dropping it wipes them away.
pub(super) struct Drawing {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// One line for the whole sync, one per table below it.
struct LiveLines {
    style: ProgressStyle,
    paint: Paint,
    whole: ProgressBar,
    tables: Vec<(ProgressBar, Speed)>,
    more: Option<ProgressBar>,
}

impl LiveLines {
    fn new(live: &MultiProgress, paint: Paint) -> Self {
        let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let whole = live.add(ProgressBar::new_spinner().with_style(style.clone()));
        Self { style, paint, whole, tables: vec![], more: None }
    }

    fn draw(&mut self, live: &MultiProgress, progress: &Progress, elapsed: Duration) {
        let tables = progress.tables();
        let shown = tables.len().min(TABLES_SHOWN);
        while self.tables.len() < shown {
            self.tables.push((self.add(live), Speed::default()));
        }
        let width = tables.iter().take(shown).map(|table| table.table.chars().count()).max().unwrap_or(0).min(40);
        for ((bar, speed), table) in self.tables.iter_mut().zip(&tables) {
            let name = text::cut(&text::printable(&table.table), width);
            let (rows, rate) = (text::number(table.rows), text::number(speed.measure(table.rows, elapsed)));
            bar.set_message(format!("   {name:<width$}  {rows:>13} rows  {rate:>9} rows/s"));
        }
        if tables.len() > shown {
            let bar = self.more.take().unwrap_or_else(|| self.add(live));
            bar.set_message(format!("   and {} more tables", tables.len() - shown));
            self.more = Some(bar);
        }
        self.whole.set_message(whole_line(progress, elapsed, self.paint));
    }

    fn add(&self, live: &MultiProgress) -> ProgressBar {
        live.add(ProgressBar::new_spinner().with_style(self.style.clone()))
    }
}

/// `⠹ 1.6 s · 59,329 rows/s · 100 requests · 40.8 MiB · 50,000 rows durable, commit 2`: fits 80 columns.
fn whole_line(progress: &Progress, elapsed: Duration, paint: Paint) -> String {
    const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    let frame = FRAMES[usize::try_from(elapsed.as_millis() / DRAW_EVERY.as_millis()).unwrap_or(0) % FRAMES.len()];
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut parts = vec![text::duration(elapsed)];
    parts.extend(text::rate(read(&progress.rows), elapsed));
    parts.push(counted(progress.meter.requests(), "request", "requests"));
    if progress.meter.retries() > 0 {
        parts.push(counted(progress.meter.retries(), "retry", "retries"));
    }
    parts.push(text::bytes(progress.meter.response_bytes()));
    let rows = counted(read(&progress.rows_committed), "row", "rows");
    parts.push(match (read(&progress.commits), read(&progress.checkpoints)) {
        (0, 0) => "no checkpoint yet".to_owned(),
        (0, checkpoints) => counted(checkpoints, "checkpoint", "checkpoints"),
        (commits, _) => format!("{rows} durable, commit {}", text::number(commits)),
    });
    format!("{} {}", paint.green(frame), parts.join(" · "))
}

/// Rows a second, smoothed over the last second or so.
#[derive(Default)]
struct Speed {
    rows: u64,
    at: Duration,
    per_second: f64,
}

impl Speed {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed for the eye"
    )]
    fn measure(&mut self, rows: u64, at: Duration) -> u64 {
        const WEIGHT: f64 = 0.2;
        let seconds = at.saturating_sub(self.at).as_secs_f64();
        if seconds > 0.0 {
            let now = rows.saturating_sub(self.rows) as f64 / seconds;
            self.per_second = if self.at.is_zero() { now } else { self.per_second * (1.0 - WEIGHT) + now * WEIGHT };
            (self.rows, self.at) = (rows, at);
        }
        self.per_second as u64
    }
}

/// Tells several observers of each event, in order, and remembers whether the sync has begun.
pub(super) struct Everyone {
    observers: Vec<Arc<dyn Observer>>,
    began: AtomicBool,
}

impl Everyone {
    /// Tells these.
    pub(super) fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Self { observers, began: AtomicBool::new(false) }
    }

    /// Whether the sync has begun: the destination is open and nothing spoke against it.
    pub(super) fn began(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }
}

impl Observer for Everyone {
    fn event(&self, event: &Event) {
        if matches!(event, Event::Started { .. }) {
            self.began.store(true, Ordering::Relaxed);
        }
        for observer in &self.observers {
            observer.event(event);
        }
    }

    fn exchanged(&self, exchange: &Exchange) {
        for observer in &self.observers {
            observer.exchanged(exchange);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_log_names_its_level_and_cannot_drive_the_terminal() {
        let plain = Paint { colours: false };
        assert_eq!(said(LogLevel::Info, None, "page\x1b[2J 1", plain), "   info  page\\u{1b}[2J 1");
        assert_eq!(said(LogLevel::Warning, Some("host"), "retrying", plain), "warning  host: retrying");
        assert_eq!(said(LogLevel::Warning, None, "odd", Paint { colours: true }), "\x1b[33mwarning  odd\x1b[0m");
    }

    #[test]
    fn a_flood_of_info_lines_becomes_one_a_second() {
        let mut chatter = Chatter::default();
        let mut shown_at = |ms: u64| (0..100).filter(|_| chatter.admits(Duration::from_millis(ms))).count();
        assert_eq!([0, 900, 1_000, 3_000, 60_000].map(&mut shown_at), [5, 0, 1, 2, 5]);
        assert_eq!(chatter.hidden, 487);
    }

    #[test]
    fn the_counters_are_a_sentence() {
        let progress = Progress::default();
        progress.rows.store(5_000, Ordering::Relaxed);
        assert_eq!(counters(&progress, Duration::from_secs(2)), "0 requests, 0 bytes received, 2,500 rows/s, 2.0 s");
    }

    #[test]
    fn the_live_line_tells_what_is_durable() {
        let (progress, plain) = (Progress::default(), Paint { colours: false });
        let line = || whole_line(&progress, Duration::from_secs(2), plain);
        assert_eq!(line(), "⠸ 2.0 s · 0 rows/s · 0 requests · 0 bytes · no checkpoint yet");
        progress.checkpoints.store(3, Ordering::Relaxed);
        assert!(line().ends_with(" · 3 checkpoints"));
        progress.commits.store(2, Ordering::Relaxed);
        progress.rows_committed.store(50_000, Ordering::Relaxed);
        assert!(line().ends_with(" · 50,000 rows durable, commit 2"));
    }

    #[test]
    fn speed_follows_the_rows() {
        let mut speed = Speed::default();
        assert_eq!(speed.measure(100, Duration::from_secs(1)), 100);
        assert_eq!(speed.measure(100, Duration::from_secs(1)), 100);
        assert_eq!(speed.measure(100, Duration::from_secs(2)), 80);
    }
}
