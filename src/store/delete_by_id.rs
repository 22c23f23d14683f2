//! Statements that delete rows by id, for the clean-up and for the deletion of clients. `$1` is the JSON
//! list of the ids.

use super::sql::{IDS, Sql, sql};

pub(super) const DEVICES: Sql = sql!("DELETE FROM oauth_device_authorisations WHERE id IN ", IDS);

pub(super) const DEVICE_ORIGINS: Sql =
    sql!("DELETE FROM auth_device_origins WHERE device_id IN ", IDS);

/// Contents of consent pages, by authorization request or device authorization.
pub(super) const SHOWN_CONSENTS: Sql =
    sql!("DELETE FROM auth_shown_consents WHERE request_id IN ", IDS);

pub(super) const REQUESTS: Sql = sql!("DELETE FROM oauth_authorisation_requests WHERE id IN ", IDS);

pub(super) const REQUEST_DETAILS: Sql =
    sql!("DELETE FROM auth_request_details WHERE request_id IN ", IDS);

pub(super) const PENDING_REQUESTS: Sql = sql!(
    "DELETE FROM auth_pending_requests WHERE request_id_hash IN ",
    IDS
);

pub(super) const PUSHED_REQUESTS: Sql = sql!(
    "DELETE FROM auth_pushed_requests WHERE request_uri_hash IN ",
    IDS
);

pub(super) const CODES: Sql = sql!("DELETE FROM oauth_authorisation_codes WHERE id IN ", IDS);

/// Remembered consents.
pub(super) const CONSENTS: Sql = sql!("DELETE FROM auth_consents WHERE id IN ", IDS);

pub(super) const REFRESH_TOKENS: Sql = sql!("DELETE FROM oauth_refresh_tokens WHERE id IN ", IDS);

pub(super) const SESSION_DETAILS: Sql = sql!("DELETE FROM auth_sessions WHERE session_id IN ", IDS);

/// Memberships of refresh tokens in grants.
pub(super) const MEMBERSHIPS: Sql = sql!("DELETE FROM auth_refresh_tokens WHERE token_id IN ", IDS);

/// Ancestors of derived grants.
pub(super) const DERIVED_GRANTS: Sql =
    sql!("DELETE FROM auth_derived_grants WHERE grant_id IN ", IDS);

/// Subjects of issuers, by account.
pub(super) const ISSUER_SUBJECTS: Sql =
    sql!("DELETE FROM auth_issuer_subjects WHERE account_id IN ", IDS);

pub(super) const REMOTE_FLOWS: Sql = sql!(
    "DELETE FROM oauth_remote_authorisation_flows WHERE id IN ",
    IDS
);

pub(super) const REMOTE_FLOW_DETAILS: Sql =
    sql!("DELETE FROM auth_remote_flows WHERE flow_id IN ", IDS);

pub(super) const REMOTE_CONNECTION_DETAILS: Sql = sql!(
    "DELETE FROM auth_remote_connections WHERE connection_id IN ",
    IDS
);
