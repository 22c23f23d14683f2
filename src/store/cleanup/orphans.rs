//! Clean-up of side rows with parents that a Storyden or an operator deleted.

use time::Duration;

use super::step::{DAILY, DUE_IF, Delete, END_IF, PLACE, Step, search};
use crate::store::delete_by_id;

pub(super) const DEVICE_ORIGINS: Step = Step::walk(
    "device origins",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.device_id AS id, ",
        DUE_IF,
        "(SELECT d.id FROM oauth_device_authorisations d WHERE d.id = x.device_id) IS NULL",
        END_IF,
        ", x.device_id AS place FROM auth_device_origins x WHERE x.device_id > ",
        PLACE,
        " ORDER BY x.device_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::DEVICE_ORIGINS)],
);

pub(super) const REMOTE_FLOW_DETAILS: Step = Step::walk(
    "remote authorization details",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.flow_id AS id, ",
        DUE_IF,
        "(SELECT f.id FROM oauth_remote_authorisation_flows f WHERE f.id = x.flow_id) IS NULL",
        END_IF,
        ", x.flow_id AS place FROM auth_remote_flows x WHERE x.flow_id > ",
        PLACE,
        " ORDER BY x.flow_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::REMOTE_FLOW_DETAILS)],
);

pub(super) const REMOTE_CONNECTION_DETAILS: Step = Step::walk(
    "remote connection details",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.connection_id AS id, ",
        DUE_IF,
        "(SELECT c.id FROM oauth_remote_connections c WHERE c.id = x.connection_id) IS NULL",
        END_IF,
        ", x.connection_id AS place FROM auth_remote_connections x WHERE x.connection_id > ",
        PLACE,
        " ORDER BY x.connection_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::REMOTE_CONNECTION_DETAILS)],
);

pub(super) const REQUEST_DETAILS: Step = Step::walk(
    "request details",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.request_id AS id, ",
        DUE_IF,
        "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.id = x.request_id) IS NULL \
         AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.id = x.code_id) IS NULL",
        END_IF,
        ", x.request_id AS place FROM auth_request_details x WHERE x.request_id > ",
        PLACE,
        " ORDER BY x.request_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::REQUEST_DETAILS)],
);

pub(super) const SHOWN_CONSENTS: Step = Step::walk(
    "shown consents",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.request_id AS id, ",
        DUE_IF,
        "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.id = x.request_id) IS NULL \
         AND (SELECT d.id FROM oauth_device_authorisations d WHERE d.id = x.request_id) IS NULL",
        END_IF,
        ", x.request_id AS place FROM auth_shown_consents x WHERE x.request_id > ",
        PLACE,
        " ORDER BY x.request_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::SHOWN_CONSENTS)],
);

pub(super) const REFRESH_TOKEN_MEMBERSHIPS: Step = Step::walk(
    "refresh token memberships",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.token_id AS id, ",
        DUE_IF,
        "(SELECT t.id FROM oauth_refresh_tokens t WHERE t.id = x.token_id) IS NULL",
        END_IF,
        ", x.token_id AS place FROM auth_refresh_tokens x WHERE x.token_id > ",
        PLACE,
        " ORDER BY x.token_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::MEMBERSHIPS)],
);

/// Remembered consents of deleted accounts and clients.
pub(super) const CONSENTS: Step = Step::walk(
    "consents of deleted accounts and clients",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.id AS id, ",
        DUE_IF,
        "((SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NULL \
         OR (SELECT a.id FROM accounts a WHERE a.id = x.account_id) IS NULL)",
        END_IF,
        ", x.id AS place FROM auth_consents x WHERE x.id > ",
        PLACE,
        " ORDER BY x.id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::CONSENTS)],
);

pub(super) const SESSION_DETAILS: Step = Step::walk(
    "session details",
    Duration::ZERO,
    DAILY,
    search!(
        "SELECT x.session_id AS id, ",
        DUE_IF,
        "(SELECT s.id FROM sessions s WHERE s.id = x.session_id) IS NULL",
        END_IF,
        ", x.session_id AS place FROM auth_sessions x WHERE x.session_id > ",
        PLACE,
        " ORDER BY x.session_id LIMIT $2"
    ),
    &[Delete::Ids(delete_by_id::SESSION_DETAILS)],
);
