//! Resources beside this community's own API: the resources that tokens may be for, the scopes that an
//! account may grant there, and changes by an operator.

mod changes;
mod scopes;
mod shown;
mod target;

use std::borrow::Cow;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::oauth::known_resources::KnownResources;
use crate::store;
use crate::store::resources::{self as rows, StoredResource};
pub use changes::{Draft, DraftScope, check, check_new, create, delete, replace};
pub use scopes::{check_scopes, defined, held, listable, none_left, still_granted, still_of};
pub use shown::{Shown, list, metadata};
pub use target::{Granted, Target};

/// Returns the resources that tokens may be for, of the settings and of the database.
///
/// # Errors
/// If the database does not answer.
pub async fn known(context: &Context) -> Result<KnownResources, store::Error> {
    known_if(context, |_| true).await
}

/// As [`known`], for a grant of this time. A resource that was added later is another one, also under the URL of
/// a removed resource: the grant was never for it.
///
/// # Errors
/// If the database does not answer.
async fn known_at(
    context: &Context,
    granted_at: Timestamp,
) -> Result<KnownResources, store::Error> {
    known_if(context, |stored| stored.created_at <= granted_at).await
}

async fn known_if(
    context: &Context,
    counts: impl Fn(&StoredResource) -> bool,
) -> Result<KnownResources, store::Error> {
    let stored = rows::list(&context.db).await?;
    let stored = stored.into_iter().filter(counts);
    let resources = stored.map(|stored| stored.resource).collect();
    Ok(context.resources.clone().with(resources))
}

/// Returns the resources that describe `asked`, the resources of a request. Reads the database only for other
/// resources than the community's own API.
///
/// # Errors
/// If the database does not answer.
pub async fn known_to<'a>(
    context: &'a Context,
    asked: Option<&[String]>,
) -> Result<Cow<'a, KnownResources>, store::Error> {
    if context.resources.are_own(asked.unwrap_or_default()) {
        return Ok(Cow::Borrowed(&context.resources));
    }
    known(context).await.map(Cow::Owned)
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
