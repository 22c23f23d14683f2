//! Hourly counts of events, for the overview of administrators: collected in memory, and added to `auth_statistics` by
//! a job.
//!
//! An event costs a lock and an increment; no request waits for the database. The price: a crash loses the counts
//! since the last write. Events that are metrics as well are counted here, in both.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Timestamp};
use crate::ids::ClientRowId;
use crate::oauth::{ErrorCode, OAuthError};
use crate::store::audit::Event;
use crate::store::statistics::{CLIENT_ERROR, Count, OTHER, UNKNOWN};
use crate::telemetry::metrics;

/// The kind of sign-ins.
pub const SIGN_IN: &str = "sign_in";

/// The kind of approvals, by audit event.
pub const APPROVAL: &str = "approval";

/// The kind of token responses, by grant type.
pub const TOKEN: &str = "token";

/// The kind of replayed codes and refresh tokens, by audit event.
pub const THEFT: &str = "theft";

/// The kind of attempts that a limit on failures rejected, by audit event.
pub const LOCKOUT: &str = "lockout";

/// Maximum number of clients with errors of their own per process and hour.
pub const CLIENTS_MAX: usize = 100;

/// Maximum number of counts in memory while the database is unavailable. An hour has at most 120.
const CELLS_MAX: usize = 10_000;

/// Seconds of an hour.
const HOUR: i64 = 3_600;

tokio::task_local! {
    /// The client of the request in progress.
    static CLIENT: RefCell<Option<ClientRowId>>;
}

/// Runs a request handler with a task-local place for its client, for [`Statistics::client_error`].
pub async fn with_client<T>(request: impl Future<Output = T>) -> T {
    CLIENT.scope(RefCell::default(), request).await
}

/// Sets the client of the request in progress. Without effect outside of a request.
pub fn set_client(client: &ClientRowId) {
    let _ = CLIENT.try_with(|slot| *slot.borrow_mut() = Some(client.clone()));
}

/// Events that are not written to the database yet.
#[derive(Debug)]
pub struct Statistics {
    clock: Clock,
    is_on: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: HashMap<Cell, i64>,
    /// The clients with errors in `hour`.
    clients: HashSet<ClientRowId>,
    hour: i64,
}

/// A row of the table: the hour since 1970, kind and detail.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Cell {
    hour: i64,
    kind: &'static str,
    detail: Cow<'static, str>,
}

impl Statistics {
    /// Creates empty counts; nothing is counted unless `is_on`.
    #[must_use]
    pub fn new(clock: Clock, is_on: bool) -> Self {
        Self {
            clock,
            is_on,
            state: Mutex::default(),
        }
    }

    /// Counts an audit event, if the overview shows it.
    pub fn event(&self, event: Event) {
        if let Some(kind) = kind_of(event) {
            self.count(kind, event.name());
        }
    }

    /// Counts a token request by grant type and outcome: `ok`, or the error code.
    pub fn token_request(&self, grant: &'static str, outcome: &'static str) {
        metrics::token_request(grant, outcome);
        if outcome == "ok" {
            self.count(TOKEN, grant);
        }
    }

    /// Counts an error of the client that [`set_client`] named, unless the error is no fault of the client.
    pub fn client_error(&self, error: &OAuthError) {
        if !self.is_on || !is_fault_of_client(error) {
            return;
        }
        let client = CLIENT.try_with(|slot| slot.borrow().clone());
        match client.ok().flatten() {
            Some(client) => self.count_client(&client),
            None if error.code == ErrorCode::InvalidClient => self.count(CLIENT_ERROR, UNKNOWN),
            None => {}
        }
    }

    /// Removes and returns the counts.
    #[must_use]
    pub fn take(&self) -> Vec<Count> {
        let counts = std::mem::take(&mut self.state().counts);
        let count = |(cell, count): (Cell, i64)| Count {
            hour: Timestamp::from_unix_seconds(cell.hour.saturating_mul(HOUR)),
            kind: cell.kind,
            detail: cell.detail,
            count,
        };
        counts.into_iter().map(count).collect()
    }

    /// Puts back counts that could not be written.
    pub fn put_back(&self, counts: Vec<Count>) {
        let mut state = self.state();
        for count in counts {
            let cell = Cell {
                hour: hour_of(count.hour),
                kind: count.kind,
                detail: count.detail,
            };
            state.add(cell, count.count);
        }
    }

    fn count(&self, kind: &'static str, detail: &'static str) {
        if self.is_on {
            let cell = Cell {
                hour: hour_of(self.clock.now()),
                kind,
                detail: Cow::Borrowed(detail),
            };
            self.state().add(cell, 1);
        }
    }

    fn count_client(&self, client: &ClientRowId) {
        let hour = hour_of(self.clock.now());
        let mut state = self.state();
        let detail = if state.admits(hour, client) {
            Cow::Owned(client.to_string())
        } else {
            Cow::Borrowed(OTHER)
        };
        let cell = Cell {
            hour,
            kind: CLIENT_ERROR,
            detail,
        };
        state.add(cell, 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, cell: Cell, count: i64) {
        if self.counts.len() < CELLS_MAX || self.counts.contains_key(&cell) {
            *self.counts.entry(cell).or_default() += count;
        }
    }

    /// True if the client has a row of its own in this hour.
    fn admits(&mut self, hour: i64, client: &ClientRowId) -> bool {
        if self.hour != hour {
            self.hour = hour;
            self.clients.clear();
        }
        if self.clients.contains(client) {
            return true;
        }
        let has_room = self.clients.len() < CLIENTS_MAX;
        if has_room {
            self.clients.insert(client.clone());
        }
        has_room
    }
}

/// The hour since 1970.
fn hour_of(at: Timestamp) -> i64 {
    at.unix_seconds().div_euclid(HOUR)
}

fn kind_of(event: Event) -> Option<&'static str> {
    match event {
        Event::SignedIn => Some(SIGN_IN),
        Event::GrantApproved | Event::ConsentRepeated => Some(APPROVAL),
        Event::RefreshTokenReused | Event::CodeReplayed => Some(THEFT),
        Event::SignInLimited
        | Event::PasswordChangeLimited
        | Event::ClientAuthenticationLimited
        | Event::AccessKeyLimited
        | Event::UserCodeLimited => Some(LOCKOUT),
        _ => None,
    }
}

/// False for failures of the server, for rate limits, and for answers that belong to a working flow: to the poll of a
/// device (RFC 8628 §3.5), to `prompt=none` (OpenID Connect Core §3.1.2.6), a denial, and the demand for a nonce (RFC
/// 9449 §8).
fn is_fault_of_client(error: &OAuthError) -> bool {
    use ErrorCode::{
        AccessDenied, AuthorizationPending, ConsentRequired, ExpiredToken, LoginRequired,
        ServerError, SlowDown, TemporarilyUnavailable, UnmetAuthenticationRequirements,
        UseDpopNonce,
    };
    let is_of_flow = matches!(
        error.code,
        AccessDenied
            | AuthorizationPending
            | ConsentRequired
            | ExpiredToken
            | LoginRequired
            | ServerError
            | SlowDown
            | TemporarilyUnavailable
            | UnmetAuthenticationRequirements
            | UseDpopNonce
    );
    !error.limited && !is_of_flow
}
