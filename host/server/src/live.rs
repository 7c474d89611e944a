//! What a running sync tells: the last lines are kept, and whoever listens hears the next ones as they come.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use stream::{Event, Observer, Progress, lines};

/// Lines kept of a sync.
const LINES_MAX: usize = 1_000;
/// Bytes of them.
const BYTES_MAX: usize = 256 << 10;
/// Bytes of a state that is shown in a line.
const STATE_SHOWN_MAX: usize = 4 << 10;
/// Lines that a slow listener may be behind before it misses some.
const BEHIND_MAX: usize = 256;

/// A line, shared by everyone who reads it.
pub(super) type Line = Arc<str>;

/// One running sync, as others see it.
pub(super) struct Live {
    /// The tenant's folder: where it lies is not for the tenant to know.
    folder: String,
    pub(super) progress: Arc<Progress>,
    kept: Mutex<Kept>,
    lines: broadcast::Sender<Line>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Live {
    pub(super) fn new(folder: &Path) -> Self {
        let folder = format!("{}/", folder.display());
        Self { folder, progress: Arc::default(), kept: Mutex::default(), lines: broadcast::Sender::new(BEHIND_MAX) }
    }

    /// A text in which files of the tenant's folder are named as the tenant named them.
    pub(super) fn concealed(&self, text: &str) -> String {
        text.replace(&self.folder, "")
    }

    /// The lines kept so far, and the next ones from there on.
    pub(super) fn listen(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        // Both under the lock, so that no line is missed or heard twice.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.lines.iter().cloned().collect(), self.lines.subscribe())
    }

    /// The lines kept so far.
    pub(super) fn kept(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.lines.iter().map(ToString::to_string).collect()
    }

    fn tell(&self, line: Line) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.len();
        kept.lines.push_back(Arc::clone(&line));
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
        // Mostly nobody listens.
        let _ = self.lines.send(line);
    }
}

impl Observer for Live {
    fn event(&self, event: &Event) {
        self.tell(self.concealed(&lines::line(&with_short_state(event), &lines::now())).into());
    }
}

/// The event, its state replaced by its length where it is long.
fn with_short_state(event: &Event) -> Event {
    let mut event = event.clone();
    if let Event::Started { state: Some(state), .. } | Event::Committed { state: Some(state), .. } = &mut event
        && state.len() > STATE_SHOWN_MAX
    {
        *state = format!("{} bytes, not shown", state.len());
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use stream::LogLevel;

    fn say(live: &Live, message: &str) {
        live.event(&Event::Log { level: LogLevel::Info, message: message.to_owned() });
    }

    #[test]
    fn the_last_lines_are_kept_within_bounds() {
        let live = Live::new(Path::new("/data/a"));
        (0..2_000).for_each(|number| say(&live, &number.to_string()));
        let kept = live.kept();
        assert_eq!(kept.len(), LINES_MAX);
        assert!(kept[LINES_MAX - 1].contains("\"1999\"") && kept[0].contains("\"1000\""));
        (0..100).for_each(|_| say(&live, &"x".repeat(8 << 10)));
        assert!(live.kept().iter().map(String::len).sum::<usize>() <= BYTES_MAX);
    }

    #[test]
    fn a_listener_hears_every_line_once() {
        let live = Live::new(Path::new("/data/a"));
        say(&live, "before");
        let (past, mut next) = live.listen();
        say(&live, "after");
        assert_eq!((past.len(), next.try_recv().unwrap().contains("after")), (1, true));
        assert!(next.try_recv().is_err());
    }

    #[test]
    fn where_the_folder_lies_is_not_told() {
        let live = Live::new(Path::new("/data/a"));
        say(&live, "cannot write /data/a/w.db");
        assert!(live.kept()[0].contains("cannot write w.db\""), "{}", live.kept()[0]);
    }

    #[test]
    fn a_long_state_is_not_shown() {
        let live = Live::new(Path::new("/data/a"));
        let state = Some(format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20)));
        live.event(&Event::Committed { sequence: 1, rows: 1, state, duration: std::time::Duration::ZERO });
        assert!(live.kept()[0].contains("\"state\":\"1048584 bytes, not shown\""), "{}", live.kept()[0]);
    }
}
