//! `/api/auth/oauth/clients`: the applications that an account owns
//! (storyden-contract.md#self-service-clients).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::client_body::{CreateClient, UpdateClient};
use super::refusal::MemberError;
use super::{Manager, closed_session_error, entry, require_below_limit, require_open_session};
use crate::clients::resource::ClientResource;
use crate::clients::{new_id, secrets};
use crate::compat::OmittedList;
use crate::context::{Context, SharedContext};
use crate::http::client_about::{require_fitting, with_about};
use crate::http::client_members::{require_consistent_changes, with_protection};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::Person;
use crate::ids::ClientRowId;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{About, ClientKeys};
use crate::oauth::client_rules::{Rules, Shape};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::ClientType;
use crate::oauth::permission::Permission;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::resources;
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Event};
use crate::store::client_changes::{self, Changes};
use crate::store::client_deletion;
use crate::store::client_details;
use crate::store::client_keys;
use crate::store::clients::{self, Client};

/// Maximum number of applications per account.
const MOST: i64 = 500;

/// The applications of an account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientListResult)]
pub struct ClientList {
    /// Oldest first.
    clients: Vec<ClientResource>,
}

/// A new application.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientIssued)]
pub struct IssuedClient {
    /// The client.
    client: ClientResource,
    /// The secret, shown only in this response; absent for a public application.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// `GET /api/auth/oauth/clients`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get, path = "/api/auth/oauth/clients", operation_id = "OAuthClientList", tag = "auth",
    security(("browser" = [])),
    responses(
        (status = 200, body = ClientList),
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    Manager(person): Manager,
) -> Result<Json<ClientList>, ApiError> {
    let owned = clients::list_by_owner(&context.db, &person.session.account.id).await?;
    let clients = owned.into_iter().map(|client| shown(&context, client));
    Ok(Json(ClientList {
        clients: clients.collect(),
    }))
}

/// `POST /api/auth/oauth/clients`.
///
/// # Errors
/// 400 for invalid members or combinations, 401, 403, 429.
#[utoipa::path(
    post, path = "/api/auth/oauth/clients", operation_id = "OAuthClientCreate", tag = "auth",
    security(("browser" = [])),
    request_body = CreateClient,
    responses(
        (status = 200, body = IssuedClient),
        responses::Invalid,
        responses::GuardErrors,
        responses::BodyErrors,
        responses::TooManyRequests,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    body: Result<JsonBody<CreateClient>, ApiError>,
) -> Result<Json<IssuedClient>, ApiError> {
    person.require(Permission::UseOauthClients)?;
    let Person { session, address } = person;
    let (session, account) = (session.id, session.account);
    let new = body?.0;
    let (client, keys) = check(&context, &account, &new)?;
    let (client, pages) = with_about(&context, client, &new.about)?;
    let (allowed, none) = (&client.scope.allowed, Scope::default());
    resources::check_scopes(&context, allowed, &none, Some(&account)).await?;
    let have = clients::count_by_owner(&context.db, &account.id).await?;
    require_below_limit(&context, &account.id, have, MOST)?;
    let (secret, secret_hash) = if client.has_secret() {
        let (secret, hash) = secrets::generate(&context).await?;
        (Some(secret), Some(hash))
    } else {
        (None, None)
    };
    let client = Client {
        secret_hash,
        ..client
    };
    let entry = entry(&context, Event::ClientCreated, &account.id, address)
        .client(&client.client_id)
        .subject(&client.row_id);
    let input = (
        session,
        (client.clone(), keys.clone(), pages.clone()),
        entry,
    );
    let write = context
        .db
        .write(input, |tx, (session, (client, keys, pages), entry)| {
            Box::pin(async move {
                require_open_session(tx, session).await?;
                client_changes::insert_with_keys(tx, client, keys).await?;
                client_details::change_pages(tx, &client.row_id, pages).await?;
                audit::insert(tx, entry).await
            })
        });
    write.await.map_err(closed_session_error)?;
    let about = pages.applied_to(About::default());
    let client = ClientResource::shown_with_keys(client, keys, &context.config);
    Ok(Json(IssuedClient {
        client: client.with_pages(about, &context.config),
        client_secret: secret.as_ref().map(Secret::reveal).map(str::to_owned),
    }))
}

/// Checks a new application, and builds the client without a secret. The checks run in Storyden's order
/// (storyden-contract.md#order-of-validation).
fn check(
    context: &Context,
    account: &Account,
    new: &CreateClient,
) -> Result<(Client, ClientKeys), ApiError> {
    let policies = context.config.policies;
    let rules = Rules {
        policy: policies.member_clients,
        held: account.permissions,
    };
    let kind = ClientType::from(new.kind);
    let allowed = rules.scopes(&new.allowed_scopes)?;
    let grants = rules.grants(&new.allowed_grants)?;
    let schemes = context.config.private_use_schemes();
    let given_uris = new.redirect_uris.as_deref().unwrap_or_default();
    let redirect_uris = rules.redirect_uris(given_uris, kind, &schemes)?;
    rules.fit(Shape {
        kind,
        grants: &grants,
        has_redirect_uris: !redirect_uris.is_empty(),
        pkce_required: new.pkce_required,
    })?;
    let method = new.token_endpoint_auth_method.as_deref();
    let now = context.clock.now();
    let client = Client {
        row_id: ClientRowId::generate(now),
        client_id: new_id(&context.random, true),
        secret_hash: None,
        old_secret: None,
        auth_method: rules.auth_method(kind, method)?,
        name: rules.name(&new.name)?,
        kind,
        application_type: None,
        pkce_required: rules.pkce(kind, new.pkce_required),
        request_protection: RequestProtection::NONE,
        dpop_bound: false,
        fapi: false,
        algorithms: ClientAlgorithms::default(),
        scope: ClientScope {
            policy: ScopePolicy::Explicit,
            allowed,
            self_registered: false,
        },
        redirect_uris_omitted: new.redirect_uris.is_none()
            && policies.self_service.omitted_redirect_uris == OmittedList::Null,
        redirect_uris,
        grants,
        owner: Some(account.id.clone()),
        created_at: now,
        updated_at: now,
    };
    with_protection(context, client, &new.protection)
}

/// `GET /api/auth/oauth/clients/{oauth_client_id}`.
///
/// # Errors
/// 400 for an application of a different account, 401, 403, 404.
#[utoipa::path(
    get, path = "/api/auth/oauth/clients/{oauth_client_id}", operation_id = "OAuthClientGet",
    tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, body = ClientResource),
        responses::OAuthInvalid,
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn get(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    PathId(id): PathId,
) -> Result<Json<ClientResource>, MemberError> {
    let client = find_own(&context, &person, id).await?;
    Ok(Json(shown_with_keys(&context, client).await?))
}

/// Finds an application of the account.
///
/// # Errors
/// 400 for an application of a different account, 404.
pub(super) async fn find_own(
    context: &Context,
    person: &Person,
    id: String,
) -> Result<Client, MemberError> {
    let client = find(context, &ClientRowId::new(id)).await?;
    if client.owner.as_ref() != Some(&person.session.account.id) {
        return Err(foreign());
    }
    Ok(client)
}

/// `PATCH /api/auth/oauth/clients/{oauth_client_id}`.
///
/// # Errors
/// 400 for an application of a different account or invalid members, 401, 403, 404.
#[utoipa::path(
    patch, path = "/api/auth/oauth/clients/{oauth_client_id}", operation_id = "OAuthClientUpdate",
    tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    request_body = UpdateClient,
    responses(
        (status = 200, body = ClientResource),
        (status = 400, description = "A client of another account, or an invalid value; the body names the value"),
        responses::GuardErrors,
        responses::NotFound,
        responses::BodyErrors,
    )
)]
pub async fn update(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    PathId(id): PathId,
    body: Result<JsonBody<UpdateClient>, ApiError>,
) -> Result<Json<ClientResource>, MemberError> {
    let JsonBody(asked) = body?;
    let account = &person.session.account;
    let client = find(&context, &ClientRowId::new(id)).await?;
    if client.owner.as_ref() != Some(&account.id) {
        let policy = context.config.policies.self_service;
        if policy.foreign_change_error_empty {
            return Err(MemberError::Empty);
        }
        return Err(foreign());
    }
    let keys = client_keys::find(&context.db, &client.row_id).await?;
    let changes = check_changes(&context, account, (&client, keys), asked)?;
    if let Some(scope) = &changes.allowed_scopes {
        resources::check_scopes(&context, scope, &client.scope.allowed, Some(account))
            .await
            .map_err(ApiError::from)?;
    }
    let entry = entry(&context, Event::ClientUpdated, &account.id, person.address)
        .client(&client.client_id)
        .subject(&client.row_id);
    let input = (client.row_id.clone(), changes, entry);
    let write = context.db.write(input, |tx, (id, changes, entry)| {
        Box::pin(async move {
            if !client_changes::update(tx, id, changes, entry.at).await? {
                return Err(store::Error::Gone);
            }
            audit::insert(tx, entry).await
        })
    });
    match write.await {
        Err(store::Error::Gone) => {
            return Err(MemberError::not_found(
                "The application does not \
            exist any more",
            ));
        }
        written => written?,
    }
    let client = find(&context, &client.row_id).await?;
    Ok(Json(shown_with_keys(&context, client).await?))
}

fn check_changes(
    context: &Context,
    account: &Account,
    (client, keys): (&Client, ClientKeys),
    asked: UpdateClient,
) -> Result<Changes, ApiError> {
    let policies = context.config.policies;
    let rules = Rules {
        policy: policies.member_clients,
        held: account.permissions,
    };
    let scopes = asked.allowed_scopes.as_deref();
    let uris = asked.redirect_uris.as_deref();
    let protection = asked.protection.changes(context, client, &keys)?;
    let about = asked.about.changes(context)?;
    let schemes = context.config.private_use_schemes();
    let changes = Changes {
        allowed_scopes: scopes.map(|names| rules.scopes(names)).transpose()?,
        redirect_uris: uris
            .map(|uris| rules.redirect_uris(uris, client.kind, &schemes))
            .transpose()?,
        pkce_required: rules.pkce_change(client.kind, asked.pkce_required.as_ref())?,
        // An unchanged name is not checked: the name may be older than a rule.
        name: asked
            .name
            .filter(|name| *name != client.name)
            .map(|name| rules.name(&name))
            .transpose()?,
        application_type: about.application_type,
        pages: about.pages,
        ..protection
    };
    require_fitting(client, &changes)?;
    require_consistent_changes(context, client, keys, &changes)?;
    if let Some(uris) = &changes.redirect_uris
        && !policies.self_service.changed_redirects_unchecked
    {
        rules.fit(Shape {
            kind: client.kind,
            grants: &client.grants,
            has_redirect_uris: !uris.is_empty(),
            pkce_required: true,
        })?;
    }
    Ok(changes)
}

/// `DELETE /api/auth/oauth/clients/{oauth_client_id}`: deletes the application with all requests, codes
/// and tokens.
///
/// # Errors
/// 400 for an unknown application or an application of a different account, 401, 403.
#[utoipa::path(
    delete, path = "/api/auth/oauth/clients/{oauth_client_id}", operation_id = "OAuthClientDelete",
    tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Deleted; all access of the client is revoked"),
        responses::OAuthInvalid,
        responses::GuardErrors,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    PathId(id): PathId,
) -> Result<StatusCode, MemberError> {
    let (client, entry) = owned(&context, &person, id, Event::ClientDeleted).await?;
    context
        .db
        .write((client.row_id, entry), |tx, (id, entry)| {
            Box::pin(async move {
                client_deletion::delete(tx, id, entry.at).await?;
                audit::insert(tx, entry).await
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finds an application of the account, and prepares the audit event of the operation.
///
/// # Errors
/// 400 for an unknown application or an application of a different account.
pub(super) async fn owned(
    context: &Context,
    person: &Person,
    id: String,
    event: Event,
) -> Result<(Client, audit::Entry), MemberError> {
    let account = &person.session.account.id;
    let client = clients::find_by_row(&context.db, &ClientRowId::new(id)).await?;
    let client = client.filter(|client| client.owner.as_ref() == Some(account));
    let client = client.ok_or_else(|| {
        MemberError::missing_or_foreign("Client not found or does not belong to account")
    })?;
    let entry = entry(context, event, account, person.address)
        .client(&client.client_id)
        .subject(&client.row_id);
    Ok((client, entry))
}

fn shown(context: &Context, client: Client) -> ClientResource {
    ClientResource::shown(client, &context.config)
}

async fn shown_with_keys(context: &Context, client: Client) -> store::Result<ClientResource> {
    let keys = client_keys::find(&context.db, &client.row_id).await?;
    let details = client_details::find(&context.db, &client.row_id).await?;
    let shown = ClientResource::shown_with_keys(client, keys, &context.config);
    Ok(shown.with_pages(details.about, &context.config))
}

fn foreign() -> MemberError {
    MemberError::missing_or_foreign("Client does not belong to the requesting account")
}

async fn find(context: &Context, id: &ClientRowId) -> Result<Client, MemberError> {
    let client = clients::find_by_row(&context.db, id).await?;
    client
        .ok_or_else(|| ApiError::new(Kind::NotFound, "There is no application with this id").into())
}
