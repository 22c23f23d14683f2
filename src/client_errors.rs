//! Errors in requests of clients, for their developers: collected in memory, and written to the database in batches.
//!
//! Anyone who knows a client id can cause errors, so that the writes are bounded: equal errors share a row with a count,
//! and beyond ten rows of a client in a minute, further errors are counted without their value. The price:
//! after a crash, a few seconds of errors are lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::oauth::OAuthError;
use crate::oauth::mistake::MistakeKind;
use crate::store::Db;
use crate::store::client_errors::{self, ClientError};

/// The most rows of a client with a value in a minute.
const VALUES_MAX: usize = 10;

/// The most rows of a client in a minute.
const ROWS_MAX: usize = 20;

/// The most characters of a description.
const DESCRIPTION_MAX: usize = 500;

/// The most rows of all clients in a minute.
const PROCESS_ROWS_MAX: usize = 600;

/// Errors not written yet.
#[derive(Debug, Default)]
pub struct ClientErrors {
    collected: Mutex<Collected>,
    /// Held during a write, so that [`ClientErrors::write`] also waits for a write in progress.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Collected {
    errors: HashMap<Key, ClientError>,
    /// The minute that `rows` counts in, in minutes since 1970.
    minute: i64,
    /// Rows of this minute by client, also those that were written since.
    rows: HashMap<ClientRowId, usize>,
    rows_of_process: usize,
}

/// Errors with the same key share a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: ClientRowId,
    endpoint: &'static str,
    error: &'static str,
    mistake: MistakeKind,
    value: Option<String>,
}

impl ClientErrors {
    /// Records an error in a request of a client, unless the client made no mistake.
    pub fn record(
        &self,
        endpoint: &'static str,
        client: &ClientRowId,
        error: &OAuthError,
        now: Timestamp,
    ) {
        let Some(mistake) = error.mistake_of_client() else {
            return;
        };
        let key = Key {
            client: client.clone(),
            endpoint,
            error: error.code.as_str(),
            mistake: mistake.kind,
            value: mistake.value,
        };
        let description = error.description.chars().take(DESCRIPTION_MAX);
        self.collected().add(key, description.collect(), now);
    }

    /// Writes the collected errors. A failed batch is logged, and lost.
    pub async fn write(&self, db: &Db) {
        let _writing = self.writing.lock().await;
        let errors = std::mem::take(&mut self.collected().errors);
        let mut by_client: HashMap<ClientRowId, Vec<ClientError>> = HashMap::new();
        for (key, error) in errors {
            by_client.entry(key.client).or_default().push(error);
        }
        for (client, mut errors) in by_client {
            errors.sort_by_cached_key(ClientError::id);
            let written = db.write((client, errors), |tx, (client, errors)| {
                Box::pin(client_errors::record(tx, client, errors))
            });
            if let Err(error) = written.await {
                tracing::warn!(%error, "errors of a client were not written to the database");
            }
        }
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn add(&mut self, mut key: Key, description: String, now: Timestamp) {
        let minute = now.unix_seconds().div_euclid(60);
        if minute != self.minute {
            self.minute = minute;
            self.rows.clear();
            self.rows_of_process = 0;
        }
        if !self.errors.contains_key(&key) {
            let rows = self.rows.get(&key.client).copied().unwrap_or_default();
            if rows >= VALUES_MAX {
                key.value = None;
            }
            let is_new = !self.errors.contains_key(&key);
            if is_new && (rows >= ROWS_MAX || self.rows_of_process >= PROCESS_ROWS_MAX) {
                return;
            }
            if is_new {
                self.rows.insert(key.client.clone(), rows + 1);
                self.rows_of_process += 1;
            }
        }
        let new = || ClientError {
            client_id: key.client.clone(),
            endpoint: key.endpoint.to_owned(),
            error: key.error.to_owned(),
            description: String::new(),
            mistake: key.mistake.name().to_owned(),
            value: key.value.clone(),
            occurrences: 0,
            first_at: now,
            last_at: now,
        };
        let row = self.errors.entry(key.clone()).or_insert_with(new);
        row.occurrences += 1;
        row.last_at = now;
        row.description = description;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(collected: &mut Collected, client: &str, value: &str, now: Timestamp) {
        let key = Key {
            client: ClientRowId::new(client),
            endpoint: "/api/oauth/authorize",
            error: "invalid_request",
            mistake: MistakeKind::RedirectUri,
            value: Some(value.to_owned()),
        };
        collected.add(key, "description".to_owned(), now);
    }

    /// An attacker with a client id causes a bounded number of rows, for the client and for the process, and other
    /// clients keep theirs. Every error counts.
    #[test]
    fn rows_of_a_minute_are_bounded() {
        let now = Timestamp::from_unix_seconds(1_795_828_560);
        let mut collected = Collected::default();
        for value in 0..1_000 {
            added(&mut collected, "one", &value.to_string(), now);
        }
        assert_eq!(collected.errors.len(), VALUES_MAX + 1);
        let count: i64 = collected.errors.values().map(|row| row.occurrences).sum();
        assert_eq!(count, 1_000);
        added(&mut collected, "two", "x", now);
        assert_eq!(collected.errors.len(), VALUES_MAX + 2);
        for client in 0..1_000 {
            added(&mut collected, &format!("client {client}"), "x", now);
        }
        assert_eq!(collected.errors.len(), PROCESS_ROWS_MAX);

        // a write in between changes no bound; the next minute does
        collected.errors.clear();
        for value in 0..1_000 {
            added(&mut collected, "one", &value.to_string(), now);
        }
        assert_eq!(collected.errors.len(), 0, "the process has its rows");
        added(&mut collected, "one", "x", now + time::Duration::minutes(1));
        assert_eq!(collected.errors.len(), 1);
    }
}
