//! Steps of the clean-up, in order (storyden-contract.md#clean-up, and tables that a Storyden never
//! purges). Each statement touches only as many rows as the batch has, however large the tables are.

use super::step::Step;
use super::{expired, grants, orphans, registrations};

/// All steps except the audit trail: referencing rows before referenced rows.
pub(super) const STEPS: &[Step] = &[
    expired::DEVICE_AUTHORIZATIONS,
    expired::AUTHORIZATION_REQUESTS,
    expired::PENDING_REQUESTS,
    expired::PUSHED_REQUESTS,
    expired::AUTHORIZATION_CODES,
    grants::REFRESH_TOKENS,
    registrations::UNUSED_REGISTRATIONS,
    registrations::UNUSED_DOCUMENTS,
    expired::REMEMBERED_CONSENTS,
    expired::REVOKED_ACCESS_TOKENS,
    expired::DEVICE_FAILURES,
    expired::CLIENT_ASSERTIONS,
    expired::DPOP_PROOFS,
    expired::WEBHOOK_DELIVERIES,
    expired::CLIENT_ERRORS,
    expired::REMOTE_FLOWS,
    expired::SESSIONS,
    grants::GRANTS_WITHOUT_TOKENS,
    grants::REVOCATIONS,
    orphans::DEVICE_ORIGINS,
    orphans::REMOTE_FLOW_DETAILS,
    orphans::REMOTE_CONNECTION_DETAILS,
    orphans::REQUEST_DETAILS,
    orphans::SHOWN_CONSENTS,
    orphans::REFRESH_TOKEN_MEMBERSHIPS,
    orphans::DERIVED_GRANTS,
    orphans::ISSUER_SUBJECTS,
    orphans::CONSENTS,
    orphans::SESSION_DETAILS,
    registrations::CLIENT_DETAILS,
];
