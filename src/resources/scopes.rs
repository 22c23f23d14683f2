//! Scopes of resources: the scopes that exist, and the scopes that an account may grant.

use super::{Error, Granted, known, known_at, known_if};
use crate::context::Context;
use crate::oauth::OAuthError;
use crate::oauth::access_token::Audience;
use crate::oauth::client_scope::Held;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::scope::{Scope, ScopeName};
use crate::oauth::scope_parameter;
use crate::store;
use crate::store::accounts::Account;
use crate::store::resources as rows;

/// Returns the part of a scope that an account may grant now. Reads the scopes of resources only if `scope` has
/// any.
///
/// # Errors
/// If the database does not answer.
pub async fn held(
    context: &Context,
    account: &Account,
    scope: &Scope,
) -> Result<Held, store::Error> {
    let mut held = Held::from(account.permissions);
    if scope.has_resource_scopes() {
        held.resource_scopes = rows::held_by(&context.db, &account.id).await?;
    }
    Ok(held)
}

/// Leaves out the scopes that no resource has. The scopes in `certain` stay.
///
/// # Errors
/// If the database does not answer.
pub async fn defined(
    context: &Context,
    scope: &Scope,
    certain: &Scope,
) -> Result<Scope, store::Error> {
    let open = |name| !certain.contains(name);
    if !scope.iter().any(|name| name.is_of_resource() && open(name)) {
        return Ok(scope.clone());
    }
    let mut kept = known(context).await?.defined(scope);
    certain.iter().for_each(|name| kept.push(name));
    Ok(scope.without_resource_scopes(&kept))
}

/// Returns the scopes of resources that a client may list itself: the existing ones in the text `listed`, or none
/// where such clients are `limited` to a scope of the settings. Reads the database only if the text has such names.
///
/// # Errors
/// If the database does not answer.
pub async fn listable(
    context: &Context,
    limited: bool,
    listed: &str,
) -> Result<Scope, store::Error> {
    if limited {
        return Ok(Scope::default());
    }
    let named = Scope::stored(listed);
    let named: Scope = named.iter().filter(ScopeName::is_of_resource).collect();
    defined(context, &named, &Scope::default()).await
}

/// Returns the part of a token's scope that the resources of its audience still have: a scope may have moved to
/// another resource since, and a resource that was added after `issued_at` is another one. Reads the database
/// only for scopes of resources.
///
/// # Errors
/// If the database does not answer.
pub async fn still_of(
    context: &Context,
    scope: &Scope,
    audience: &Audience,
    issued_at: Option<i64>,
) -> Result<Scope, store::Error> {
    if !scope.has_resource_scopes() {
        return Ok(scope.clone());
    }
    let resources: Vec<String> = audience.iter().map(str::to_owned).collect();
    let known = known_if(context, |stored| {
        issued_at.is_some_and(|at| stored.created_at.unix_seconds() <= at)
    });
    Ok(known.await?.limit(scope, Some(&resources)))
}

/// Returns the part of a grant's scope that the resources of the grant still have; `None` is a grant of a
/// Storyden, which has no other resources. Reads the database only for scopes of resources.
///
/// # Errors
/// If the database does not answer.
pub async fn still_granted(
    context: &Context,
    scope: &Scope,
    grant: Option<Granted<'_>>,
) -> Result<Scope, store::Error> {
    if !scope.has_resource_scopes() {
        return Ok(scope.clone());
    }
    let Some(grant) = grant else {
        return Ok(scope.without_resource_scopes(&Scope::default()));
    };
    let known = known_at(context, grant.at).await?;
    Ok(known.limit(scope, grant.resources))
}

/// Returns the error for a request that has only scopes of resources, and no scope that `requested` may have
/// here: scopes that no resource has, or scopes of a resource that the request does not name.
pub async fn none_left(context: &Context, requested: &Scope) -> OAuthError {
    let known = match known(context).await {
        Ok(known) => known,
        Err(error) => return error.into(),
    };
    let owner = requested
        .iter()
        .find_map(|name| Some((name, known.with_scope(name)?)));
    match (owner, requested.iter().next()) {
        (Some((name, resource)), _) => {
            let error = OAuthError::invalid_scope(format!(
                "scope {} is of the resource {}, which the request does not name; send that URL in the \
                 parameter resource",
                name.name(),
                resource.url
            ));
            error.mistake(MistakeKind::Resource, Some(name.name()))
        }
        (None, Some(name)) => scope_parameter::none_known(name.name()),
        (None, None) => OAuthError::invalid_scope("the request has no scope"),
    }
}

/// Checks the list of scopes that a client may request: a resource has each scope that is no scope of
/// this community, and `holder`, if any, may grant these. The scopes in `before` are on the list already.
///
/// # Errors
/// [`Error::Invalid`] with the first scope that is not accepted.
pub async fn check_scopes(
    context: &Context,
    scope: &Scope,
    before: &Scope,
    holder: Option<&Account>,
) -> Result<(), Error> {
    let is_new = |name: &_| !before.contains(*name);
    let added: Scope = scope.iter().filter(is_new).collect();
    if !added.has_resource_scopes() {
        return Ok(());
    }
    let known = defined(context, &added, &Scope::default()).await?;
    if let Some(unknown) = added.iter().find(|name| !known.contains(*name)) {
        return Err(Error::Invalid(format!(
            "The scope {} is no scope of this server or of a resource; `resource list` and the page \
             of resources show all",
            unknown.name()
        )));
    }
    let Some(holder) = holder else {
        return Ok(());
    };
    let held = held(context, holder, &added).await?;
    let lacking = added
        .iter()
        .find(|name| name.is_of_resource() && !held.holds(*name));
    match lacking {
        None => Ok(()),
        Some(lacking) => Err(Error::Invalid(format!(
            "None of your roles gives the scope {}",
            lacking.name()
        ))),
    }
}
