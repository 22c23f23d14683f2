//! The audit trail, `auth_audit`: event, actor, client, account, address, and time. Entries are written
//! in the transaction of the audited change and never contain secrets.

use super::db::Tx;
use super::error::Result;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AuditId};
use crate::trace_id::trace_id;

/// Defines the events with the stored names.
macro_rules! events {
    ($($(#[doc = $doc:literal])+ $event:ident = $name:literal,)*) => {
        /// An audited event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[doc = $doc])+ $event,)* }

        impl Event {
            /// All events.
            pub const ALL: &[Self] = &[$(Self::$event,)*];

            /// Name in the database and in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$event => $name,)* }
            }

            /// Parses a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|event| event.name() == name)
            }
        }
    };
}

events! {
    /// Sign-in with a password.
    SignedIn = "signed_in",
    /// Sign-out.
    SignedOut = "signed_out",
    /// All sessions of an account ended, by the member or by an administrator.
    SessionsEnded = "sessions_ended",
    /// Password changed.
    PasswordChanged = "password_changed",
    /// Account created.
    AccountCreated = "account_created",
    /// Account suspended.
    AccountSuspended = "account_suspended",
    /// Suspension ended.
    AccountReinstated = "account_reinstated",
    /// Role given to an account by an administrator.
    RoleGiven = "role_given",
    /// Role taken from an account by an administrator.
    RoleTaken = "role_taken",
    /// Access key created.
    AccessKeyCreated = "access_key_created",
    /// Access key deleted.
    AccessKeyDeleted = "access_key_deleted",
    /// Client created by a member or an administrator.
    ClientCreated = "client_created",
    /// Client registered dynamically (RFC 7591) or by metadata document.
    ClientRegistered = "client_registered",
    /// Client changed.
    ClientUpdated = "client_updated",
    /// Client secret replaced.
    ClientSecretRotated = "client_secret_rotated",
    /// Client secret removed without a new secret.
    ClientSecretEnded = "client_secret_ended",
    /// Client deleted.
    ClientDeleted = "client_deleted",
    /// Client known by a URL blocked.
    ClientBlocked = "client_blocked",
    /// Block of a client ended.
    ClientUnblocked = "client_unblocked",
    /// Resource added by an administrator.
    ResourceCreated = "resource_created",
    /// Name, scopes or roles of a resource changed.
    ResourceUpdated = "resource_updated",
    /// Resource removed.
    ResourceDeleted = "resource_deleted",
    /// Trusted issuer added by an administrator.
    IssuerCreated = "issuer_created",
    /// Name, keys or mapping of a trusted issuer changed.
    IssuerUpdated = "issuer_updated",
    /// Trusted issuer removed.
    IssuerDeleted = "issuer_deleted",
    /// Subject of an issuer mapped to an account.
    IssuerSubjectMapped = "issuer_subject_mapped",
    /// Mapping of a subject removed.
    IssuerSubjectUnmapped = "issuer_subject_unmapped",
    /// Signing key generated; published from then on.
    SigningKeyCreated = "signing_key_created",
    /// Change of the signing key started by a command or an administrator.
    SigningKeyRotated = "signing_key_rotated",
    /// Signing key revoked by a command or an administrator, with everything that the key signed.
    SigningKeyRevoked = "signing_key_revoked",
    /// Remote connection created.
    RemoteCreated = "remote_created",
    /// Remote connection changed.
    RemoteUpdated = "remote_updated",
    /// Remote connection deleted.
    RemoteDeleted = "remote_deleted",
    /// Remote connection authorized at the remote server.
    RemoteConnected = "remote_connected",
    /// Access token of a remote connection handed to a backend.
    RemoteTokenGiven = "remote_token_given",
    /// Consent approved.
    GrantApproved = "grant_approved",
    /// Request approved without a page, by a remembered consent.
    ConsentRepeated = "consent_repeated",
    /// Remembered consent ended by the member; grants stay.
    ConsentForgotten = "consent_forgotten",
    /// Consent denied.
    GrantDenied = "grant_denied",
    /// First exchange of an access token by a resource server within a grant (RFC 8693).
    GrantDerived = "grant_derived",
    /// Grant made by the assertion of a trusted issuer (RFC 7523 §2.1).
    GrantAsserted = "grant_asserted",
    /// Grant revoked by the client, the member, or an administrator.
    GrantRevoked = "grant_revoked",
    /// All grants of an account, of a client, or of an account to a client revoked.
    GrantsRevoked = "grants_revoked",
    /// Access token without a member's grant revoked by the client.
    AccessTokenRevoked = "access_token_revoked",
    /// Single refresh token revoked by a member or an administrator.
    RefreshTokenRevoked = "refresh_token_revoked",
    /// Refresh token reused after rotation; the grant was revoked.
    RefreshTokenReused = "refresh_token_reused",
    /// Refresh response repeated within the grace window, after a lost response.
    RefreshRepeated = "refresh_repeated",
    /// Authorization code replayed; the grant was revoked.
    CodeReplayed = "code_replayed",
    /// Wrong password at sign-in.
    SignInFailed = "sign_in_failed",
    /// Sign-in rejected by the rate limit.
    SignInLimited = "sign_in_limited",
    /// Wrong current password at a password change.
    PasswordChangeFailed = "password_change_failed",
    /// Password change rejected by the rate limit.
    PasswordChangeLimited = "password_change_limited",
    /// Wrong client secret or client assertion.
    ClientAuthenticationFailed = "client_authentication_failed",
    /// Client authentication rejected by the rate limit.
    ClientAuthenticationLimited = "client_authentication_limited",
    /// Assertion of a grant refused (RFC 7523 §2.1).
    AssertionRefused = "assertion_refused",
    /// Unknown access key, or wrong secret of a known key.
    AccessKeyFailed = "access_key_failed",
    /// Access key rejected by the rate limit.
    AccessKeyLimited = "access_key_limited",
    /// Wrong user code.
    UserCodeFailed = "user_code_failed",
    /// User code rejected by the rate limit.
    UserCodeLimited = "user_code_limited",
    /// Client registration rejected (RFC 7591).
    RegistrationRefused = "registration_refused",
    /// Client registration rejected by the rate limit.
    RegistrationLimited = "registration_limited",
    /// Wrong registration access token (RFC 7592).
    RegistrationTokenFailed = "registration_token_failed",
    /// Sign-up rejected.
    SignUpRefused = "sign_up_refused",
    /// Sign-up rejected by the rate limit.
    SignUpLimited = "sign_up_limited",
    /// Device authorization request rejected.
    DeviceStartRefused = "device_start_refused",
    /// Device authorization request rejected by the rate limit.
    DeviceStartLimited = "device_start_limited",
    /// Authorization request rejected by the rate limit.
    AuthorizationRequestLimited = "authorization_request_limited",
    /// Fetch of a client metadata document rejected by the rate limit.
    ClientDocumentLimited = "client_document_limited",
    /// Request from an address that exceeded `RATE_LIMIT`.
    RequestLimited = "request_limited",
}

/// An audit entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// Time of the event.
    pub at: Timestamp,
    /// The account that acted, if any.
    pub actor: Option<AccountId>,
    /// The affected account.
    pub account: Option<AccountId>,
    /// Client id of the affected client. Kept after the client is deleted.
    pub client: Option<String>,
    /// Id of the affected token, key, or session. Never a secret.
    pub subject: Option<String>,
    /// Remote address of the request.
    pub address: Option<String>,
    /// Trace id of the request, also in log lines and error responses.
    pub trace_id: String,
    /// Number of equal events that the entry stands for.
    pub occurrences: u32,
}

impl Entry {
    /// Creates an entry with the trace id of the current request.
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

    /// Replaces the event.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.event = event;
        self
    }

    /// Sets the actor, and the account too if still unset.
    #[must_use]
    pub fn by(mut self, actor: &AccountId) -> Self {
        self.actor = Some(actor.clone());
        self.account.get_or_insert_with(|| actor.clone());
        self
    }

    /// Sets the affected account.
    #[must_use]
    pub fn of(mut self, account: &AccountId) -> Self {
        self.account = Some(account.clone());
        self
    }

    /// Sets the affected client by client id.
    #[must_use]
    pub fn client(mut self, client_id: &str) -> Self {
        self.client = Some(client_id.to_owned());
        self
    }

    /// Sets the id of the affected object.
    #[must_use]
    pub fn subject(mut self, id: impl std::fmt::Display) -> Self {
        self.subject = Some(id.to_string());
        self
    }

    /// Sets the remote address.
    #[must_use]
    pub fn from(mut self, address: std::net::IpAddr) -> Self {
        self.address = Some(address.to_string());
        self
    }
}

/// Inserts an entry.
pub async fn insert(tx: &mut Tx, entry: &Entry) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_audit \
         (id, created_at, event, actor_id, account_id, client_id, subject_id, address, trace_id, \
         occurrences) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&AuditId::generate(entry.at)).into(),
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
