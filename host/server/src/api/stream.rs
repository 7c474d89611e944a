//! A running sync as it happens: its events as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::Shared;
use super::caller::Scope;
use super::problem::{Problem, Problems};
use super::syncs::{find, lines};
use crate::Server;
use crate::live::Line;
use crate::store::syncs;
use crate::turns::Turn;
use crate::types::{StreamEvent, SyncOutcome};
use model::error::Result;

/// Lines that wait for a slow reader.
const LINES_WAITING: usize = 64;
/// How often it is looked whether a sync that waits has begun, or one that ran has ended.
const LOOK: Duration = Duration::from_millis(200);
/// How often a silent stream says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A sync's events as they happen (`text/event-stream`): first those that were kept, then the next ones, at last the report;
/// with it the stream ends. A reader that is too slow misses lines, which a `missed` event counts. A tenant can have 32 streams open.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/syncs/{sync}/events", tag = "syncs", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("sync" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The events.", body = StreamEvent, content_type = "text/event-stream"), Problems)
)]
pub(super) async fn follow_sync(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    find(&server, &scope.tenant, &id).await?;
    let turn = server.streams_of_one.enter(&scope.tenant)?;
    let (sender, receiver) = mpsc::channel(LINES_WAITING);
    tokio::spawn(async move {
        // The reader may go at any time, and then nothing is left to do.
        let _gone = follow(&server, &scope.tenant, &id, &sender).await;
    });
    Ok(Sse::new(Lines { receiver, _turn: turn }).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The reader has gone.
struct Gone;

type Sender = mpsc::Sender<Event>;

async fn follow(server: &Arc<Server>, tenant: &str, id: &str, sender: &Sender) -> Result<(), Gone> {
    // Until it begins.
    loop {
        if let Some(running) = server.scheduler.running(tenant, id) {
            let (past, next) = running.live.listen();
            drop(running);
            for line in past {
                send(sender, &line).await?;
            }
            return follow_running(server, (tenant, id), next, sender).await;
        }
        match find(server, tenant, id).await {
            Ok(sync) if sync.outcome == SyncOutcome::Queued => tokio::time::sleep(LOOK).await,
            Ok(_) => break,
            Err(_) => return Err(Gone),
        }
        if sender.is_closed() {
            return Err(Gone);
        }
    }
    for line in lines(server, tenant, id).await.unwrap_or_default() {
        send(sender, &line).await?;
    }
    send_report(server, (tenant, id), sender).await
}

async fn follow_running(
    server: &Arc<Server>,
    (tenant, id): (&str, &str),
    mut next: Receiver<Line>,
    sender: &Sender,
) -> Result<(), Gone> {
    loop {
        match hear(&mut next, sender).await? {
            Ok(line) => send(sender, &line).await?,
            Err(RecvError::Lagged(lines)) => {
                let missed = Event::default().event("missed").data(lines.to_string());
                sender.send(missed).await.map_err(|_| Gone)?;
            }
            // The sync is over, and nobody holds it any more.
            Err(RecvError::Closed) => return send_report(server, (tenant, id), sender).await,
        }
    }
}

/// The next line, unless the reader goes: a sync can be silent for hours, and then nobody listens to it any more.
async fn hear(next: &mut Receiver<Line>, sender: &Sender) -> Result<Result<Line, RecvError>, Gone> {
    tokio::select! {
        heard = next.recv() => Ok(heard),
        () = sender.closed() => Err(Gone),
    }
}

async fn send(sender: &Sender, line: &str) -> Result<(), Gone> {
    sender.send(Event::default().event("event").data(line)).await.map_err(|_| Gone)
}

async fn send_report(server: &Arc<Server>, (tenant, id): (&str, &str), sender: &Sender) -> Result<(), Gone> {
    let (owner, name) = (tenant.to_owned(), id.to_owned());
    let detail = server.store.note(move |session| syncs::detail(session, &owner, &name)).await;
    if let Some(report) = detail.ok().flatten().and_then(|detail| detail.report) {
        send(sender, &report).await?;
    }
    let outcome = find(server, tenant, id).await.map_or("gone", |sync| syncs::outcome_text(sync.outcome));
    sender.send(Event::default().event("end").data(outcome)).await.map_err(|_| Gone)
}

/// A channel as a stream, one of those that its tenant may have open.
struct Lines {
    receiver: mpsc::Receiver<Event>,
    _turn: Turn,
}

impl Stream for Lines {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|line| line.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_follows_a_silent_sync_and_goes_is_not_waited_for() {
        let (live, mut next) = tokio::sync::broadcast::channel::<Line>(1);
        let (sender, receiver) = mpsc::channel(1);
        live.send("a line".into()).unwrap();
        assert!(matches!(hear(&mut next, &sender).await, Ok(Ok(heard)) if &*heard == "a line"));
        drop(receiver);
        let heard = tokio::time::timeout(Duration::from_mins(1), hear(&mut next, &sender)).await;
        assert!(matches!(heard, Ok(Err(Gone))), "it still listens");
    }
}
