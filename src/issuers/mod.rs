//! Trusted issuers of identity assertions, which are grants (RFC 7523 §2.1, ID-JAG): their keys, the accounts of their
//! subjects, and changes by an operator.

mod assertion;
mod changes;
mod keys;
mod shown;

use crate::store;
pub use assertion::{Accepted, accept};
pub use changes::{Draft, check, check_new, create, delete, find, map, replace, unmap};
pub use keys::fetch_keys;
pub use shown::{Shown, list};

/// Why an issuer was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not accepted.
    #[error("{0}")]
    Invalid(String),
    /// The issuer exists already.
    #[error("{0}")]
    Taken(String),
    /// There is no such issuer, account or mapping.
    #[error("{0}")]
    Missing(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
