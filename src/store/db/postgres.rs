//! The connections to PostgreSQL, and look-ups that travel together.
//!
//! A round trip to PostgreSQL costs more than the look-up itself. While two statements of a query are in progress,
//! further requests of the same query wait, and the next statement answers all of these. A request that finds fewer in
//! progress is sent at once. Every answer is read after its request, so an answer is never older than without sharing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{PgPool, Row as _};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::ACQUIRE_TIMEOUT;
use super::lookup_connections::LookupConnections;
use super::statement::{Wanted, postgres_look_up, postgres_rows};
use crate::store::error::{Cause, Error, Result};
use crate::store::lookup::{Keys, Lookup, values};
use crate::store::row::EngineRow;

/// Maximum number of statements of a query that are in progress at a time.
const IN_PROGRESS_MAX: usize = 2;

/// Maximum number of requests that a statement answers.
const REQUESTS_MAX: usize = 64;

/// A PostgreSQL server. Clones share the connections.
#[derive(Clone)]
pub struct PostgresDb {
    pub(in crate::store) pool: PgPool,
    pub(super) lookups: LookupConnections,
    queues: Arc<Mutex<Queues>>,
}

/// The queue of each query, by the address of its text.
type Queues = HashMap<usize, Queue>;

/// The requests of a query.
#[derive(Default)]
struct Queue {
    in_progress: usize,
    waiting: Vec<Request>,
}

/// A request that waits for a statement.
struct Request {
    keys: Vec<Option<String>>,
    answer: oneshot::Sender<Answer>,
}

/// The rows of a request, or a temporary error. `None`: the request must be sent alone.
type Answer = Option<std::result::Result<Vec<EngineRow>, Failure>>;

/// The failure of a statement, for each of its requests.
#[derive(Clone)]
enum Failure {
    /// No connection was free in time.
    Pool,
    /// Any other temporary error, as a text.
    Other(String),
}

impl Failure {
    /// Describes an error, if it is temporary. An error about a value concerns one of the requests.
    fn of(error: &Error) -> Option<Self> {
        match error.cause() {
            _ if !error.is_temporary() => None,
            Cause::Pool => Some(Self::Pool),
            _ => Some(Self::Other(error.to_string())),
        }
    }

    fn error(self) -> sqlx::Error {
        match self {
            Self::Pool => sqlx::Error::PoolTimedOut,
            Self::Other(text) => sqlx::Error::Io(std::io::Error::other(text)),
        }
    }
}

impl fmt::Debug for PostgresDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresDb").field(&self.pool).finish()
    }
}

impl PostgresDb {
    /// Uses the connections of a pool, and others for look-ups.
    pub(super) fn new(pool: PgPool, lookups: LookupConnections) -> Self {
        Self {
            pool,
            lookups,
            queues: Arc::default(),
        }
    }

    /// Reads the rows of a query by keys, with other requests of the same query where these wait.
    ///
    /// # Errors
    /// As for a single statement.
    pub(super) async fn look_up(&self, lookup: Lookup, keys: Keys<'_>) -> Result<Vec<EngineRow>> {
        let answer = match self.enter(lookup, keys) {
            Entry::Sent(_place) => return self.alone(lookup, keys).await,
            Entry::Waits(answer) => tokio::time::timeout(ACQUIRE_TIMEOUT, answer).await,
        };
        match answer {
            Ok(Ok(Some(Ok(rows)))) => Ok(rows),
            Ok(Ok(Some(Err(failure)))) => Err(failure.error().into()),
            Ok(Ok(None) | Err(_)) => self.alone(lookup, keys).await,
            Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
        }
    }

    async fn alone(&self, lookup: Lookup, keys: Keys<'_>) -> Result<Vec<EngineRow>> {
        let mut connection = self.lookups.take().await?;
        let keys = values(keys);
        let rows = connection.run(async |connection| {
            postgres_rows(connection, Wanted::All, lookup.one.postgres, &keys).await
        });
        Ok(rows.await?)
    }

    /// Takes a place among the statements in progress, or waits for one.
    fn enter(&self, lookup: Lookup, keys: Keys<'_>) -> Entry {
        let id = lookup.many.as_ptr().addr();
        let mut queues = self.queues();
        let queue = queues.entry(id).or_default();
        if queue.in_progress < IN_PROGRESS_MAX {
            queue.in_progress += 1;
            return Entry::Sent(Place {
                db: self.clone(),
                lookup,
            });
        }
        let (sender, answer) = oneshot::channel();
        queue.waiting.push(Request {
            keys: keys.iter().map(|key| key.map(str::to_owned)).collect(),
            answer: sender,
        });
        Entry::Waits(answer)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers requests with one statement.
    async fn answer(&self, lookup: Lookup, requests: Vec<Request>) {
        match self.read(lookup, &requests).await {
            Ok(answers) => {
                for (request, rows) in requests.into_iter().zip(answers) {
                    _ = request.answer.send(Some(Ok(rows))); // the request may have gone
                }
            }
            Err(error) => {
                let failure = Failure::of(&error);
                for request in requests {
                    _ = request.answer.send(failure.clone().map(Err));
                }
            }
        }
    }

    /// Returns the rows of each request.
    async fn read(&self, lookup: Lookup, requests: &[Request]) -> Result<Vec<Vec<EngineRow>>> {
        let keys = requests.first().map_or(0, |request| request.keys.len());
        let keys = (0..keys).map(|key| {
            let of_request = |request: &Request| request.keys.get(key).cloned().flatten();
            requests.iter().map(of_request).collect()
        });
        let keys: Vec<_> = keys.collect();
        let mut connection = self.lookups.take().await?;
        let rows = connection
            .run(async |connection| postgres_look_up(connection, lookup.many, keys).await);
        let rows = rows.await?;
        let mut answers: Vec<Vec<EngineRow>> = requests.iter().map(|_| Vec::new()).collect();
        for row in rows {
            let number: i64 = row.try_get(0)?;
            let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
            if let Some(answer) = answers.get_mut(place) {
                answer.push(EngineRow::Postgres(row));
            }
        }
        Ok(answers)
    }
}

/// The begin of a request.
enum Entry {
    /// To be sent at once.
    Sent(Place),
    /// A later statement answers.
    Waits(oneshot::Receiver<Answer>),
}

/// A place among the statements of a query in progress. At the end, also of a cancelled request, it passes to the
/// requests that wait.
struct Place {
    db: PostgresDb,
    lookup: Lookup,
}

impl Place {
    /// Takes the requests of the next statement; without any, the place becomes free.
    fn next(&self) -> Option<Vec<Request>> {
        let mut queues = self.db.queues();
        let queue = queues.entry(self.lookup.many.as_ptr().addr()).or_default();
        if queue.waiting.is_empty() {
            queue.in_progress -= 1;
            return None;
        }
        let count = queue.waiting.len().min(REQUESTS_MAX);
        Some(queue.waiting.drain(..count).collect())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(requests) = self.next() else { return };
        let place = Self {
            db: self.db.clone(),
            lookup: self.lookup,
        };
        // Without a runtime, at the end of the process, the requests are sent alone, and fail.
        if let Ok(runtime) = Handle::try_current() {
            // A task of its own, so that a cancelled request does not cancel the others.
            runtime.spawn(async move { place.db.answer(place.lookup, requests).await });
        }
    }
}
