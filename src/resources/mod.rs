//! Resources beside this community's own API: the resources that tokens may be for, the scopes that an
//! account may grant there, and changes by an operator.

mod changes;
mod scopes;
mod shown;
mod target;

use crate::context::Context;
use crate::oauth::known_resources::KnownResources;
use crate::store;
use crate::store::resources as rows;
pub use changes::{Draft, DraftScope, check, check_new, create, delete, replace};
pub use scopes::{check_scopes, defined, held, listable, none_left, still_of};
pub use shown::{Shown, list, metadata};
pub use target::Target;

/// Returns the resources that tokens may be for, of the settings and of the database.
///
/// # Errors
/// If the database does not answer.
pub async fn known(context: &Context) -> Result<KnownResources, store::Error> {
    let stored = rows::list(&context.db).await?;
    let stored = stored.into_iter().map(|stored| stored.resource);
    Ok(context.resources.clone().with(stored.collect()))
}

/// Returns the identities of the resources of a request for a remembered consent. Reads the database only for
/// other resources than the community's own API.
///
/// # Errors
/// If the database does not answer.
pub async fn consent_identities(
    context: &Context,
    resources: Option<&[String]>,
) -> Result<Option<Vec<String>>, store::Error> {
    let Some(resources) = resources else {
        return Ok(None);
    };
    if context.resources.are_own(resources) {
        return Ok(Some(resources.to_vec()));
    }
    let known = known(context).await?;
    Ok(Some(known.consent_identities(resources)))
}

/// Why a resource was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not accepted.
    #[error("{0}")]
    Invalid(String),
    /// The resource or a scope exists already.
    #[error("{0}")]
    Taken(String),
    /// There is no such resource.
    #[error("There is no resource with this id")]
    Missing,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}
