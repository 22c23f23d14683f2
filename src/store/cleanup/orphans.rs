//! Clean-up of side rows with parents that a Storyden or an operator deleted.

use time::Duration;

use super::step::{DAILY, DUE_IF, Delete, END_IF, PLACE, Search, Step, search};
use crate::store::delete_by_id;

const fn orphans(name: &'static str, search: Search, delete: &'static [Delete]) -> Step {
    Step::walk(name, Duration::ZERO, DAILY, search, delete)
}

pub(super) const DEVICE_ORIGINS: Step = orphans(
    "device origins",
    search!(walk "auth_device_origins" by "device_id" due if
        "(SELECT d.id FROM oauth_device_authorisations d WHERE d.id = x.device_id) IS NULL"),
    &[Delete::Ids(delete_by_id::DEVICE_ORIGINS)],
);

pub(super) const REMOTE_FLOW_DETAILS: Step = orphans(
    "remote authorization details",
    search!(walk "auth_remote_flows" by "flow_id" due if
        "(SELECT f.id FROM oauth_remote_authorisation_flows f WHERE f.id = x.flow_id) IS NULL"),
    &[Delete::Ids(delete_by_id::REMOTE_FLOW_DETAILS)],
);

pub(super) const REMOTE_CONNECTION_DETAILS: Step = orphans(
    "remote connection details",
    search!(walk "auth_remote_connections" by "connection_id" due if
        "(SELECT c.id FROM oauth_remote_connections c WHERE c.id = x.connection_id) IS NULL"),
    &[Delete::Ids(delete_by_id::REMOTE_CONNECTION_DETAILS)],
);

pub(super) const REQUEST_DETAILS: Step = orphans(
    "request details",
    search!(walk "auth_request_details" by "request_id" due if
        "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.id = x.request_id) IS NULL \
         AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.id = x.code_id) IS NULL"),
    &[Delete::Ids(delete_by_id::REQUEST_DETAILS)],
);

pub(super) const SHOWN_CONSENTS: Step = orphans(
    "shown consents",
    search!(walk "auth_shown_consents" by "request_id" due if
        "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.id = x.request_id) IS NULL \
         AND (SELECT d.id FROM oauth_device_authorisations d WHERE d.id = x.request_id) IS NULL"),
    &[Delete::Ids(delete_by_id::SHOWN_CONSENTS)],
);

pub(super) const REFRESH_TOKEN_MEMBERSHIPS: Step = orphans(
    "refresh token memberships",
    search!(walk "auth_refresh_tokens" by "token_id" due if
        "(SELECT t.id FROM oauth_refresh_tokens t WHERE t.id = x.token_id) IS NULL"),
    &[Delete::Ids(delete_by_id::MEMBERSHIPS)],
);

/// Ancestors of derived grants that were deleted.
pub(super) const DERIVED_GRANTS: Step = orphans(
    "ancestors of derived grants",
    search!(walk "auth_derived_grants" by "grant_id" due if
        "(SELECT g.id FROM auth_grants g WHERE g.id = x.grant_id) IS NULL"),
    &[Delete::Ids(delete_by_id::DERIVED_GRANTS)],
);

/// Mapped subjects of deleted accounts.
pub(super) const ISSUER_SUBJECTS: Step = orphans(
    "issuer subjects of deleted accounts",
    search!(walk "auth_issuer_subjects" by "account_id" due if
        "(SELECT a.id FROM accounts a WHERE a.id = x.account_id) IS NULL"),
    &[Delete::Ids(delete_by_id::ISSUER_SUBJECTS)],
);

/// Remembered consents of deleted accounts and clients.
pub(super) const CONSENTS: Step = orphans(
    "consents of deleted accounts and clients",
    search!(walk "auth_consents" by "id" due if
        "((SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NULL \
         OR (SELECT a.id FROM accounts a WHERE a.id = x.account_id) IS NULL)"),
    &[Delete::Ids(delete_by_id::CONSENTS)],
);

pub(super) const SESSION_DETAILS: Step = orphans(
    "session details",
    search!(walk "auth_sessions" by "session_id" due if
        "(SELECT s.id FROM sessions s WHERE s.id = x.session_id) IS NULL"),
    &[Delete::Ids(delete_by_id::SESSION_DETAILS)],
);
