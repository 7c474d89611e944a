//! Sessions between two syncs. To begin one costs the server three times what a small sync costs: a process, a login, its own
//! catalog read anew. So the session of a sync that has ended serves the next one with the same address, for a minute.
//!
//! The whole address is the key: who cannot name the password does not get the session. And what a sync has left in a
//! session is taken out of it before the next one has it.

use std::time::{Duration, Instant};

use postgres::Client;
use postgres::types::Type;

use super::address::PostgresAddress;
use super::pool::{Pool, Turn};
use crate::sql::SYSTEM;
use crate::sql::ddl::quoted;
use model::error::Result;

/// How long after its beginning a session still serves: it goes on with the rights that the login had then.
const AGE_MAX: Duration = Duration::from_mins(1);
/// How long a sync waits for a session of another one, where many begin theirs; as long as a session may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// What it takes to begin a session, beside others: a sync that will have one of them sooner need not begin its own.
const BEGINNING: Duration = Duration::from_millis(25);
/// How often one more session is begun while others come back: where syncs last long, or the server is far away, it helps.
const GROWTH: Duration = Duration::from_millis(250);
/// The server ends a session that waits for longer. Nobody who holds the lock of a connection waits.
const REST: &str = "SELECT pg_advisory_unlock_all(); SET idle_session_timeout = '10s'";

static IDLE: Pool<PostgresAddress, Idle> = Pool::new(BEGINNING, GROWTH);

/// Whose session it was: the connection, and the fence of the sync.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) connection: String,
    pub(super) fence: i64,
}

/// A session, and when it began.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) began: Instant,
}

impl Session {
    fn is_old(&self) -> bool {
        self.began.elapsed() >= AGE_MAX
    }
}

struct Idle {
    session: Session,
    held: Held,
}

/// Lets a session wait whose sync has ended.
pub(super) fn put(address: &PostgresAddress, mut session: Session, held: Held) {
    if !session.is_old() && session.client.batch_execute(REST).is_ok() {
        // To close a session takes a while: others need not wait for it.
        drop(IDLE.put(address.clone(), Idle { session, held }, |idle| idle.session.is_old()));
    }
}

/// A session with this address: one that waits, as new but for the settings of `open`, or one that is begun.
pub(super) fn session(
    address: &PostgresAddress,
    set_up: impl Fn(Session) -> Result<Session>,
    begin: impl Fn() -> Result<Session>,
) -> Result<Session> {
    loop {
        match IDLE.turn(address, PATIENCE) {
            // Whatever keeps one from being used, another one may begin.
            Turn::Use(Idle { mut session, held }) => {
                if !session.is_old()
                    && clear(&mut session.client, &held).is_ok_and(|clear| clear)
                    && let Ok(session) = set_up(session)
                {
                    return Ok(session);
                }
            }
            Turn::Begin(_beginning) => return begin(),
        }
    }
}

/// Takes out of a session what its sync has left there, and returns whether it can be used. Where a later sync has taken the
/// fence, it may have found the session while that still held the lock, and be about to end it.
fn clear(client: &mut Client, held: &Held) -> Result<bool, postgres::Error> {
    // Refused inside a transaction, and then the session is not used.
    client.batch_execute("DISCARD ALL")?;
    let sql = format!("SELECT 1 FROM {}.connections WHERE connection = $1 AND fence = $2", quoted(SYSTEM));
    let found = client.query_typed(&sql, &[(&held.connection, Type::TEXT), (&held.fence, Type::INT8)])?;
    Ok(!found.is_empty())
}
