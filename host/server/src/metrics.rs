//! Numbers about the server, in the text format that Prometheus reads. docs/guides/operate.md says what each means.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::store::syncs::outcome_text;
use super::types::SyncOutcome;

/// Upper bounds of the buckets of a histogram, in seconds.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3_600.0, 21_600.0];

/// Counters since the server began.
#[derive(Default)]
pub(super) struct Metrics {
    tenants: Mutex<BTreeMap<String, Totals>>,
    waited: Histogram,
    took: Histogram,
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
}

/// What a tenant's syncs did.
#[derive(Clone, Debug, Default)]
struct Totals {
    syncs: BTreeMap<&'static str, u64>,
    rows: u64,
    requests: u64,
    response_bytes: u64,
    cpu: Duration,
}

#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

/// A sync that has ended, for the counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) outcome: SyncOutcome,
    pub(super) took: Duration,
    pub(super) rows: u64,
    pub(super) requests: u64,
    pub(super) response_bytes: u64,
    pub(super) cpu: Duration,
}

/// What is now, not since when.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    /// Syncs that run, and that wait, by tenant.
    pub(super) running: BTreeMap<String, u64>,
    pub(super) waiting: BTreeMap<String, u64>,
    /// The server is about to end.
    pub(super) draining: bool,
}

impl Histogram {
    fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            if seconds <= bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn write(&self, page: &mut Page, name: &str, help: &str) {
        page.begin(name, "histogram", help);
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            page.line(&format!("{name}_bucket"), &[("le", &bound.to_string())], bucket.load(Ordering::Relaxed));
        }
        let count = self.count.load(Ordering::Relaxed);
        page.line(&format!("{name}_bucket"), &[("le", "+Inf")], count);
        let sum = Duration::from_micros(self.sum_us.load(Ordering::Relaxed));
        page.line(&format!("{name}_sum"), &[], sum.as_secs_f64());
        page.line(&format!("{name}_count"), &[], count);
    }
}

impl Metrics {
    /// A sync has begun, so long after it was due.
    pub(super) fn begun(&self, waited: Duration) {
        self.waited.observe(waited);
    }

    /// A sync has ended.
    pub(super) fn ended(&self, tenant: &str, ended: &Ended) {
        self.took.observe(ended.took);
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = tenants.entry(tenant.to_owned()).or_default();
        *totals.syncs.entry(outcome_text(ended.outcome)).or_default() += 1;
        totals.rows += ended.rows;
        totals.requests += ended.requests;
        totals.response_bytes += ended.response_bytes;
        totals.cpu += ended.cpu;
    }

    /// A request to the API was answered.
    pub(super) fn answered(&self, method: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method, status)).or_default() += 1;
    }

    /// A tenant is gone, and so are its numbers.
    pub(super) fn forget(&self, tenant: &str) {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }

    /// Everything, as text.
    pub(super) fn text(&self, now: &Now) -> String {
        let mut page = Page(String::new());
        page.begin("elt_up", "gauge", "1 while the server takes syncs, 0 while it drains.");
        page.line("elt_up", &[], u8::from(!now.draining));
        for (name, help, values) in [
            ("elt_syncs_running", "Syncs that run.", &now.running),
            ("elt_syncs_waiting", "Syncs that are due and wait for their turn.", &now.waiting),
        ] {
            page.begin(name, "gauge", help);
            for (tenant, count) in values {
                page.line(name, &[("tenant", tenant)], count);
            }
        }
        self.write_tenants(&mut page);
        self.waited.write(&mut page, "elt_sync_wait_seconds", "From when a sync was due to when it began.");
        self.took.write(&mut page, "elt_sync_duration_seconds", "From a sync's beginning to its end.");
        page.begin("elt_api_requests_total", "counter", "Requests to the API that were answered.");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((method, status), count) in &*requests {
            page.line("elt_api_requests_total", &[("method", method), ("status", &status.to_string())], count);
        }
        page.0
    }

    fn write_tenants(&self, page: &mut Page) {
        type Number = fn(&Totals) -> String;
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        page.begin("elt_syncs_total", "counter", "Syncs that have ended, by outcome.");
        for (tenant, totals) in &*tenants {
            for (outcome, count) in &totals.syncs {
                page.line("elt_syncs_total", &[("tenant", tenant), ("outcome", outcome)], count);
            }
        }
        let numbers: [(&str, &str, Number); 4] = [
            ("elt_rows_total", "Rows made durable.", |totals| totals.rows.to_string()),
            ("elt_source_requests_total", "Requests to sources.", |totals| totals.requests.to_string()),
            ("elt_source_bytes_total", "Bytes of sources' answers, decompressed.", |totals| {
                totals.response_bytes.to_string()
            }),
            ("elt_guest_cpu_seconds_total", "Time that connectors computed.", |totals| {
                totals.cpu.as_secs_f64().to_string()
            }),
        ];
        for (name, help, number) in numbers {
            page.begin(name, "counter", help);
            for (tenant, totals) in &*tenants {
                page.line(name, &[("tenant", tenant)], number(totals));
            }
        }
    }
}

/// The text being written.
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _infallible = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.begun(Duration::from_millis(20));
        metrics.ended(
            "shop",
            &Ended {
                outcome: SyncOutcome::Succeeded,
                took: Duration::from_millis(1_500),
                rows: 7,
                requests: 2,
                response_bytes: 300,
                cpu: Duration::from_millis(250),
            },
        );
        metrics.answered("GET", 200);
        let running = BTreeMap::from([("a\"b".to_owned(), 1)]);
        let text = metrics.text(&Now { running, ..Now::default() });
        for line in [
            "elt_up 1",
            "elt_syncs_running{tenant=\"a\\\"b\"} 1",
            "elt_syncs_total{tenant=\"shop\",outcome=\"succeeded\"} 1",
            "elt_rows_total{tenant=\"shop\"} 7",
            "elt_guest_cpu_seconds_total{tenant=\"shop\"} 0.25",
            "elt_sync_wait_seconds_bucket{le=\"0.01\"} 0",
            "elt_sync_wait_seconds_bucket{le=\"0.025\"} 1",
            "elt_sync_duration_seconds_bucket{le=\"+Inf\"} 1",
            "elt_sync_duration_seconds_sum 1.5",
            "elt_api_requests_total{method=\"GET\",status=\"200\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        metrics.forget("shop");
        assert!(!metrics.text(&Now::default()).contains("shop"));
    }
}
