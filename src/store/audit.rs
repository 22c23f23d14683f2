//! The audit trail, `auth_audit`: who did what, to which client and account, from where and when.
//! Written in the transaction of what it tells of; secrets are never in it.

use serde::Serialize;

use super::db::{Db, Tx};
use super::error::Result;
use super::paging::{Page, Pages, Total};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AuditId};
use crate::telemetry::trace_id;

/// Makes the events and their names.
macro_rules! events {
    ($($(#[doc = $doc:literal])+ $event:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[doc = $doc])+ $event,)* }

        impl Event {
            /// Every event.
            pub const ALL: &[Self] = &[$(Self::$event,)*];

            /// Its name in the database and on the wire.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$event => $name,)* }
            }

            /// The event of a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|event| event.name() == name)
            }
        }
    };
}

events! {
    /// Somebody signed in with a password.
    SignedIn = "signed_in",
    /// Somebody signed out.
    SignedOut = "signed_out",
    /// Somebody ended all their sessions, or had them ended.
    SessionsEnded = "sessions_ended",
    /// A password was changed.
    PasswordChanged = "password_changed",
    /// An account was made.
    AccountCreated = "account_created",
    /// An account was suspended.
    AccountSuspended = "account_suspended",
    /// The suspension of an account was ended.
    AccountReinstated = "account_reinstated",
    /// An access key was made.
    AccessKeyCreated = "access_key_created",
    /// An access key was deleted.
    AccessKeyDeleted = "access_key_deleted",
    /// A client was made by a person.
    ClientCreated = "client_created",
    /// A client registered itself (RFC 7591).
    ClientRegistered = "client_registered",
    /// A client was changed.
    ClientUpdated = "client_updated",
    /// A client got another secret.
    ClientSecretRotated = "client_secret_rotated",
    /// The secret of a client was ended, and no other put in its place.
    ClientSecretEnded = "client_secret_ended",
    /// A client was deleted.
    ClientDeleted = "client_deleted",
    /// A connection to another server was made.
    RemoteCreated = "remote_created",
    /// A connection to another server was changed.
    RemoteUpdated = "remote_updated",
    /// A connection to another server was deleted.
    RemoteDeleted = "remote_deleted",
    /// A connection to another server was authorized there.
    RemoteConnected = "remote_connected",
    /// An access token of a connection was given to a backend.
    RemoteTokenGiven = "remote_token_given",
    /// Somebody approved a client.
    GrantApproved = "grant_approved",
    /// Somebody denied a client.
    GrantDenied = "grant_denied",
    /// A grant was ended, by its client, its person or an administrator.
    GrantRevoked = "grant_revoked",
    /// Every grant of an account, of a client, or of the one to the other was ended at once.
    GrantsRevoked = "grants_revoked",
    /// An access token without a grant was ended by its client.
    AccessTokenRevoked = "access_token_revoked",
    /// Refreshing with one token was ended by a person.
    RefreshTokenRevoked = "refresh_token_revoked",
    /// A refresh token was used again after its successor, and its grant ended.
    RefreshTokenReused = "refresh_token_reused",
    /// A lost answer to a refresh was given again, within the window.
    RefreshRepeated = "refresh_repeated",
    /// A code was used again, and its grant ended.
    CodeReplayed = "code_replayed",
    /// Wrong passwords at sign-in.
    SignInFailed = "sign_in_failed",
    /// Sign-in attempts refused by a limit.
    SignInLimited = "sign_in_limited",
    /// Wrong current passwords at a change of password.
    PasswordChangeFailed = "password_change_failed",
    /// Changes of a password refused by a limit.
    PasswordChangeLimited = "password_change_limited",
    /// Wrong client secrets and client assertions.
    ClientAuthenticationFailed = "client_authentication_failed",
    /// Client authentication refused by a limit.
    ClientAuthenticationLimited = "client_authentication_limited",
    /// Unknown access keys, and wrong secrets of known ones.
    AccessKeyFailed = "access_key_failed",
    /// Access keys refused by a limit.
    AccessKeyLimited = "access_key_limited",
    /// Wrong user codes.
    UserCodeFailed = "user_code_failed",
    /// User codes refused by a limit.
    UserCodeLimited = "user_code_limited",
    /// Refused client registrations (RFC 7591).
    RegistrationRefused = "registration_refused",
    /// Client registrations refused by a limit.
    RegistrationLimited = "registration_limited",
    /// Wrong registration access tokens (RFC 7592).
    RegistrationTokenFailed = "registration_token_failed",
    /// Refused sign-ups.
    SignUpRefused = "sign_up_refused",
    /// Sign-ups refused by a limit.
    SignUpLimited = "sign_up_limited",
    /// Refused device authorization requests.
    DeviceStartRefused = "device_start_refused",
    /// Device authorization requests refused by a limit.
    DeviceStartLimited = "device_start_limited",
    /// Authorization requests refused by a limit.
    AuthorizationRequestLimited = "authorization_request_limited",
    /// Fetches of client metadata documents refused by a limit.
    ClientDocumentLimited = "client_document_limited",
    /// Requests of an address that spent `RATE_LIMIT`.
    RequestLimited = "request_limited",
}

/// A line of the trail.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// Who did it, if it was a person.
    pub actor: Option<AccountId>,
    /// Whose account it concerns.
    pub account: Option<AccountId>,
    /// The public id of the client it concerns, which outlives the client.
    pub client: Option<String>,
    /// The id of what it concerns: a token, a key, a session. Never a secret.
    pub subject: Option<String>,
    /// The address it came from.
    pub address: Option<String>,
    /// The trace id of the request, which its log lines and errors carry too.
    pub trace_id: String,
    /// The number of equal events that the line stands for.
    pub occurrences: u32,
}

impl Entry {
    /// Something that happened now, in this request.
    #[must_use]
    pub fn new(event: Event, at: Timestamp) -> Self {
        Self {
            event,
            at,
            actor: None,
            account: None,
            client: None,
            subject: None,
            address: None,
            trace_id: trace_id(),
            occurrences: 1,
        }
    }

    /// The same line for another event.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.event = event;
        self
    }

    /// Who did it, to their own account unless another is named.
    #[must_use]
    pub fn by(mut self, actor: &AccountId) -> Self {
        self.actor = Some(actor.clone());
        self.account.get_or_insert_with(|| actor.clone());
        self
    }

    /// Whose account it concerns.
    #[must_use]
    pub fn of(mut self, account: &AccountId) -> Self {
        self.account = Some(account.clone());
        self
    }

    /// The client it concerns, by its public id.
    #[must_use]
    pub fn client(mut self, client_id: &str) -> Self {
        self.client = Some(client_id.to_owned());
        self
    }

    /// The id of what it concerns.
    #[must_use]
    pub fn subject(mut self, id: impl std::fmt::Display) -> Self {
        self.subject = Some(id.to_string());
        self
    }

    /// The address it came from.
    #[must_use]
    pub fn from(mut self, address: std::net::IpAddr) -> Self {
        self.address = Some(address.to_string());
        self
    }
}

/// Writes a line of the trail.
pub async fn insert(tx: &mut Tx, entry: &Entry) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_audit \
         (id, created_at, event, actor_id, account_id, client_id, subject_id, address, trace_id, \
         occurrences) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&AuditId::generate()).into(),
            entry.at.into(),
            entry.event.name().into(),
            entry.actor.as_ref().into(),
            entry.account.as_ref().into(),
            entry.client.clone().into(),
            entry.subject.clone().into(),
            entry.address.clone().into(),
            entry.trace_id.as_str().into(),
            i64::from(entry.occurrences).into(),
        ],
    )
    .await?;
    Ok(())
}

/// A line of the trail as it is listed.
#[derive(Debug, Serialize, sqlx::FromRow, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct ListedEntry {
    /// Whose account it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Who did it, if it was a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<AccountId>,
    /// The address it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The public id of the client it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The number of equal refusals within a minute, if there was more than one. The address is then
    /// their common network (IPv4 /24, IPv6 /48), unless all came from one address.
    #[serde(rename = "count", skip_serializing_if = "is_one")]
    #[schema(minimum = 2, required = false)]
    pub occurrences: i64,
    /// When it happened.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// What happened.
    pub event: String,
    /// The line.
    pub id: AuditId,
    /// The id of what it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_id: Option<String>,
    /// The trace id of the request.
    pub trace_id: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(count: &i64) -> bool {
    *count == 1
}

/// Which lines are listed: those that fit everything that is named.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this event.
    pub event: Option<Event>,
    /// Done by this person.
    pub actor: Option<AccountId>,
    /// That concern this account.
    pub account: Option<AccountId>,
    /// That concern the client of this public id.
    pub client: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl Filter {
    fn parameters(&self) -> [super::value::Value; 6] {
        [
            self.event.map(|event| event.name().to_owned()).into(),
            self.actor.as_ref().into(),
            self.account.as_ref().into(),
            self.client.clone().into(),
            self.since.into(),
            self.until.into(),
        ]
    }
}

/// The parameters of [`Filter`]. This program alone writes the trail, so on SQLite, too, the texts of
/// its times are in the order of the times, and the index serves.
macro_rules! filtered {
    () => {
        " FROM auth_audit e WHERE ($1 IS NULL OR e.event = $1) \
         AND ($2 IS NULL OR e.actor_id = $2) AND ($3 IS NULL OR e.account_id = $3) \
         AND ($4 IS NULL OR e.client_id = $4) AND ($5 IS NULL OR e.created_at >= $5) \
         AND ($6 IS NULL OR e.created_at < $6)"
    };
}

/// A page of the trail, newest first.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<(Vec<ListedEntry>, Pages)> {
    const LIST: &str = concat!(
        "SELECT e.id, e.created_at, e.event, e.actor_id, e.account_id, e.client_id, e.subject_id, \
         e.address, e.trace_id, e.occurrences",
        filtered!(),
        " ORDER BY e.created_at DESC, e.id DESC LIMIT $7 OFFSET $8"
    );
    const COUNT: &str = concat!("SELECT COUNT(*) AS n", filtered!());
    let mut parameters = filter.parameters().to_vec();
    let total: Total = db.fetch_one(COUNT, &parameters).await?;
    parameters.extend(page.bounds());
    let entries: Vec<ListedEntry> = db.fetch_all(LIST, &parameters).await?;
    let pages = page.of(total.n, entries.len());
    Ok((entries, pages))
}
