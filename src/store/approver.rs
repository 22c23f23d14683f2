//! The access key that approved a grant, as columns of queries about grants.

use super::row::row;
use super::sql::{Sql, sql};
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::AccessKeyId;

/// Columns of the access key `v`.
const KEY_COLUMNS: Sql =
    Sql::same("v.disabled AS approver_key_disabled, v.expires_at AS approver_key_expires_at");

/// Columns of the access key `v` that approved the grant `g`.
pub(super) const GRANT_APPROVER: Sql = sql!("g.access_key_id AS approver_key_id, ", KEY_COLUMNS);

/// Columns of the access key `v` that approved the authorization request with the details `i`.
pub(super) const REQUEST_APPROVER: Sql = sql!("i.access_key_id AS approver_key_id, ", KEY_COLUMNS);

/// The columns of an approver; all NULL for an approval by session.
#[expect(clippy::struct_field_names, reason = "other tables are joined too")]
pub(super) struct ApproverColumns {
    approver_key_id: Option<AccessKeyId>,
    approver_key_disabled: Option<Flag>,
    approver_key_expires_at: Option<Timestamp>,
}

row!(ApproverColumns: approver_key_id, approver_key_disabled, approver_key_expires_at);

impl ApproverColumns {
    /// Returns the credential of the approval. A key without a row was deleted.
    pub(super) fn approver(&self) -> Approver {
        match &self.approver_key_id {
            None => Approver::Session,
            Some(id) => Approver::AccessKey {
                id: id.clone(),
                ended: self.approver_key_disabled.is_none_or(|disabled| disabled.0),
                expires_at: self.approver_key_expires_at,
            },
        }
    }
}

/// The credential that approved a request.
#[derive(Clone, Debug)]
pub enum Approver {
    /// A browser session. The approval outlives the session.
    Session,
    /// An access key. The approval ends with the key.
    AccessKey {
        /// Row id of the key.
        id: AccessKeyId,
        /// True if the key was disabled or deleted.
        ended: bool,
        /// Expiry of the key, if any.
        expires_at: Option<Timestamp>,
    },
}

impl Approver {
    /// True if the approval is still valid: an access key must be live, and the account must have the
    /// permission to use access keys.
    #[must_use]
    pub fn counts(&self, may_use_access_keys: bool, now: Timestamp) -> bool {
        match self {
            Self::Session => true,
            Self::AccessKey {
                ended, expires_at, ..
            } => !ended && expires_at.is_none_or(|at| now < at) && may_use_access_keys,
        }
    }

    /// The access key of the approval; `None` for a session.
    #[must_use]
    pub fn access_key(&self) -> Option<&AccessKeyId> {
        match self {
            Self::Session => None,
            Self::AccessKey { id, .. } => Some(id),
        }
    }
}
