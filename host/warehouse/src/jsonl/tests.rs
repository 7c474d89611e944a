//! Readers that end and hosts that die at every call: each commit comes at least once, numbered, and the tables are the same.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ::tests::json_lines::{Reader, Tables};

use super::JsonLines;
use crate::conformance::build::*;
use crate::conformance::crash::{COMMITS, sync};
use model::error::Result;

/// What becomes of the bytes of the last call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    Before,
    Half,
    After,
}

/// A stream that takes so many calls and no more.
#[derive(Clone)]
struct Mortal {
    read: Arc<Mutex<Vec<u8>>>,
    calls_left: Arc<Mutex<u32>>,
    death: Death,
}

impl Mortal {
    fn new(calls: u32, death: Death) -> Self {
        Self { read: Arc::default(), calls_left: Arc::new(Mutex::new(calls)), death }
    }

    fn call(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut left = self.calls_left.lock().unwrap();
        let taken = match (*left, self.death) {
            (0, _) | (1, Death::Before) => 0,
            (1, Death::Half) => bytes.len() / 2,
            _ => bytes.len(),
        };
        self.read.lock().unwrap().extend(&bytes[..taken]);
        let is_dead = *left <= 1;
        *left = left.saturating_sub(1);
        if is_dead { Err(ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
    }

    fn calls_left(&self) -> u32 {
        *self.calls_left.lock().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.read.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Mortal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.call(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.call(&[]).map(drop)
    }
}

/// A sync; `buffer_bytes`: small ones make for more calls.
fn sync_to(out: &Mortal, folder: &Path, buffer_bytes: usize) -> Result<()> {
    let (mut to, opened) = JsonLines::to(out.clone(), folder, request("c"), buffer_bytes)?;
    sync(&mut to, &opened)
}

fn undisturbed() -> Tables {
    let (folder, out, mut reader) =
        (tempfile::tempdir().unwrap(), Mortal::new(u32::MAX, Death::After), Reader::default());
    sync_to(&out, folder.path(), 1 << 20).unwrap();
    reader.hear(&out.text()).unwrap();
    reader.tables().unwrap()
}

#[test]
fn invariant_8_every_call_of_a_sync_may_be_its_last() {
    let expected = undisturbed();
    assert_eq!(expected.keys().collect::<Vec<_>>(), ["t", "u"]);
    let mut replaced = 0;
    for (buffer_bytes, death) in [(64, Death::Before), (64, Death::Half), (64, Death::After), (1 << 20, Death::After)] {
        for calls in 1.. {
            let (folder, first) = (tempfile::tempdir().unwrap(), Mortal::new(calls, death));
            let ended = sync_to(&first, folder.path(), buffer_bytes);
            if first.calls_left() > 0 {
                assert!(ended.is_ok() && calls > 2 * COMMITS as u32, "{calls} calls");
                break;
            }
            assert!(ended.is_err(), "call {calls} failed and nobody noticed, {death:?}");
            let next = Mortal::new(u32::MAX, death);
            sync_to(&next, folder.path(), buffer_bytes).unwrap();
            let mut reader = Reader::default();
            reader.hear(&first.text()).unwrap();
            reader.hear(&next.text()).unwrap();
            let what = format!("call {calls} was the last, {death:?}");
            assert_eq!(reader.tables().unwrap(), expected, "{what}");
            assert_eq!(reader.tables_of_all().unwrap(), expected, "{what}");
            replaced += reader.replaced();
        }
    }
    // The host died between a commit's line and its state: four times a round, where the line came through.
    assert!(replaced >= 2 * COMMITS, "{replaced} commits came twice");
}

/// A commit that is written again need not end where it ended before, so a reader must not take the first for the second.
#[test]
fn a_commit_that_is_written_again_may_hold_more() {
    let folder = tempfile::tempdir().unwrap();
    let commits = [vec![(1, Some("a"))], vec![(1, Some("a")), (2, Some("b"))]];
    let mut reader = Reader::default();
    for (calls, rows) in [(2, &commits[0]), (u32::MAX, &commits[1])] {
        let out = Mortal::new(calls, Death::After);
        let (mut to, opened) = JsonLines::to(out.clone(), folder.path(), request("c"), 1 << 20).unwrap();
        assert_eq!(opened.sequence, 0);
        // Without a flush the line is handed over, and the answer to that is lost.
        let made = commit(&mut to, &pairs(), vec![upserts(0, rows)]);
        assert_eq!(made.is_ok(), calls == u32::MAX);
        drop(to);
        reader.hear(&out.text()).unwrap();
    }
    assert_eq!((reader.replaced(), reader.tables().unwrap()["t"].len()), (1, 2));
}
