//! The cursor API: `GET /cds_data?page_size=N&cursor=C`.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use bytes::Bytes;

use super::answer::{Answer, Query};
use super::options::Options;
use super::records::Records;

const PAGE_SIZE_DEFAULT: u64 = 100;
const PAGE_SIZE_MAX: u64 = 1000;
const START: &[u8] = br#"{"cds_records":["#;

/// Answers pages of records.
#[derive(Debug)]
pub(super) struct CursorApi {
    records: Records,
    rendered: Option<Rendered>,
    /// Records before this position are gone.
    pruned: AtomicU64,
}

/// All records, joined by commas, and where each of them begins; any page is a slice of it and costs no copy.
#[derive(Debug)]
struct Rendered {
    text: Bytes,
    starts: Vec<usize>,
}

impl CursorApi {
    pub(super) fn new(options: &Options) -> Self {
        let records = Records::new(options);
        Self { records, rendered: options.cache.then(|| Rendered::new(records)), pruned: AtomicU64::new(0) }
    }

    pub(super) fn prune(&self, position: u64) {
        self.pruned.fetch_max(position, Ordering::Relaxed);
    }

    pub(super) fn record(&self, position: u64) -> String {
        let mut out = Vec::new();
        self.records.write(position, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A page; `overlap`: with so many records of the page before it.
    pub(super) fn answer(&self, query: &Query, overlap: u64) -> Answer {
        self.page(query, overlap).unwrap_or_else(|refusal| refusal)
    }

    fn page(&self, query: &Query, overlap: u64) -> Result<Answer, Answer> {
        let size = query.number("page_size", PAGE_SIZE_DEFAULT, 1, PAGE_SIZE_MAX)?;
        let start = match query.get("cursor") {
            None => 0,
            Some(cursor) => self.position(cursor).ok_or_else(|| {
                Answer::bad_request(&format!("cursor {cursor:?} is unknown; use the next_cursor of a page"))
            })?,
        };
        if start < self.pruned.load(Ordering::Relaxed) {
            return Err(Answer::error(StatusCode::GONE, "gone", "these records were served before and are pruned"));
        }
        let end = self.records.count.min(start + size);
        let start = start.saturating_sub(overlap);
        let next = (end < self.records.count).then_some(end);
        let parts = match &self.rendered {
            Some(rendered) => vec![Bytes::from_static(START), rendered.slice(start, end), closing(next).into()],
            None => vec![self.render(start, end, next).into()],
        };
        Ok(Answer::ok(parts, end - start))
    }

    fn position(&self, cursor: &str) -> Option<u64> {
        let digits = cursor.strip_prefix("after-")?;
        let position = digits.parse().ok().filter(|position| *position <= self.records.count)?;
        // One spelling a position: "after-+5" and "after-05" were never given out.
        (cursor == cursor_at(position)).then_some(position)
    }

    fn render(&self, start: u64, end: u64, next: Option<u64>) -> Vec<u8> {
        let records = usize::try_from(end - start).unwrap_or(0);
        let mut out = Vec::with_capacity(records * 480 + 64);
        out.extend_from_slice(START);
        for index in start..end {
            self.records.write(index, &mut out);
            out.push(b',');
        }
        if end > start {
            out.pop();
        }
        out.extend_from_slice(closing(next).as_bytes());
        out
    }
}

impl Rendered {
    fn new(records: Records) -> Self {
        let count = usize::try_from(records.count).unwrap_or(0);
        let (mut text, mut starts) = (Vec::with_capacity(count * 440), Vec::with_capacity(count + 1));
        for index in 0..records.count {
            starts.push(text.len());
            records.write(index, &mut text);
            text.push(b',');
        }
        starts.push(text.len());
        Self { text: text.into(), starts }
    }

    fn slice(&self, start: u64, end: u64) -> Bytes {
        let place = |index| usize::try_from(index).ok().and_then(|index: usize| self.starts.get(index).copied());
        match (place(start), place(end)) {
            // Without the comma behind the last record.
            (Some(from), Some(to)) if from < to => self.text.slice(from..to - 1),
            _ => Bytes::new(),
        }
    }
}

fn cursor_at(position: u64) -> String {
    format!("after-{position}")
}

fn closing(next: Option<u64>) -> String {
    next.map_or_else(|| r#"],"next_cursor":null}"#.into(), |next| format!(r#"],"next_cursor":"{}"}}"#, cursor_at(next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(records: u64, cache: bool) -> CursorApi {
        CursorApi::new(&Options { records, cache, ..Options::default() })
    }

    fn get(api: &CursorApi, size: &str, cursor: Option<&str>) -> Answer {
        let cursor = cursor.map(|cursor| ("cursor".into(), cursor.into()));
        api.answer(&Query::new([("page_size".into(), size.into())].into_iter().chain(cursor).collect()), 0)
    }

    #[test]
    fn pages_together_are_all_records_in_order() {
        for (records, pages) in [(0, 1), (1, 1), (10, 1), (11, 2), (25, 3)] {
            let (api, mut cursor, mut seen, mut served) = (api(records, false), None::<String>, vec![], 0);
            loop {
                let page = get(&api, "10", cursor.as_deref()).whole();
                let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
                seen.extend(page["cds_records"].as_array().unwrap().iter().map(|r| r["record_id"].as_u64().unwrap()));
                served += 1;
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = Some(next.into()),
                    None => break,
                }
            }
            assert_eq!((seen, served), ((1..=records).collect(), pages));
        }
    }

    #[test]
    fn the_cache_serves_the_same_bytes() {
        let (plain, cached) = (api(25, false), api(25, true));
        for cursor in [None, Some("after-10"), Some("after-20"), Some("after-25")] {
            assert_eq!(get(&plain, "10", cursor).whole(), get(&cached, "10", cursor).whole());
        }
    }

    #[test]
    fn pages_that_overlap_lead_on_to_the_same_page() {
        let api = api(25, false);
        let query =
            |cursor: &str| Query::new(vec![("page_size".into(), "10".into()), ("cursor".into(), cursor.into())]);
        let records = |body: &[u8]| {
            let page: serde_json::Value = serde_json::from_slice(body).unwrap();
            let ids =
                page["cds_records"].as_array().unwrap().iter().map(|record| record["record_id"].as_u64().unwrap());
            (ids.collect::<Vec<_>>(), page["next_cursor"].clone())
        };
        assert_eq!(records(&api.answer(&query("after-10"), 3).whole()), ((8..=20).collect(), "after-20".into()));
        assert_eq!(records(&api.answer(&query("after-0"), 3).whole()), ((1..=10).collect(), "after-10".into()));
    }

    #[test]
    fn bad_parameters_are_refused() {
        let api = api(25, false);
        for size in ["0", "1001", "-1", "ten", ""] {
            assert_eq!(get(&api, size, None).status, 400, "{size}");
        }
        for cursor in ["", "10", "after-", "after-26", "after-010", "after--1"] {
            assert_eq!(get(&api, "10", Some(cursor)).status, 400, "{cursor}");
        }
    }
}
