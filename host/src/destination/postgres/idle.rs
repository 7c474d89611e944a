//! Sessions between two syncs. To begin one costs the server three times what a small sync costs: a process, a login, its own
//! catalog read anew. So the session of a sync that has ended serves the next one with the same address, for a minute.
//!
//! The whole address is the key: who cannot name the password does not get the session. And what a sync has left in a
//! session is taken out of it before the next one has it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::types::Type;

use super::address::PostgresAddress;
use crate::destination::sql::SYSTEM;
use crate::destination::sql::ddl::quoted;

/// Sessions that wait, of all addresses together. Where syncs follow one another closely, few wait.
const SESSIONS_MAX: usize = 16;
/// How long after its beginning a session still serves: it goes on with the rights that the login had then.
const AGE_MAX: Duration = Duration::from_mins(1);
/// The server ends a session that waits for longer. Nobody who holds the lock of a connection waits.
const REST: &str = "SELECT pg_advisory_unlock_all(); SET idle_session_timeout = '10s'";

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

struct Idle {
    address: PostgresAddress,
    session: Session,
    held: Held,
}

static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Idle>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a session wait whose sync has ended.
pub(super) fn put(address: &PostgresAddress, mut session: Session, held: Held) {
    if session.began.elapsed() >= AGE_MAX || session.client.batch_execute(REST).is_err() {
        return;
    }
    let mut idle = idle();
    let (old, mut kept): (Vec<Idle>, Vec<Idle>) =
        std::mem::take(&mut *idle).into_iter().partition(|idle| idle.session.began.elapsed() >= AGE_MAX);
    let surplus = if kept.len() < SESSIONS_MAX { None } else { Some(kept.remove(0)) };
    kept.push(Idle { address: address.clone(), session, held });
    *idle = kept;
    drop(idle);
    // To close a session takes a while: others need not wait for it.
    drop((old, surplus));
}

/// A session with this address that waits, as new but for the settings of `open`.
pub(super) fn take(address: &PostgresAddress) -> Option<Session> {
    loop {
        let mut idle_now = idle();
        let place = idle_now.iter().rposition(|idle| idle.address == *address)?;
        let mut found = idle_now.remove(place);
        drop(idle_now);
        if found.session.began.elapsed() < AGE_MAX
            && clear(&mut found.session.client, &found.held).is_ok_and(|clear| clear)
        {
            return Some(found.session);
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
