//! `/api/auth/oauth/clients`: the applications that an account owns
//! (storyden-contract.md#self-service-clients).

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::client_body::{CreateClient, UpdateClient};
use super::refusal::Refusal;
use super::{entry, require_manager, require_open, require_room, unless_signed_out};
use crate::clients::resource::ClientResource;
use crate::clients::{new_id, secrets};
use crate::context::{App, Shared};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{ClientAddress, JsonBody, PathId};
use crate::http::guards::Person;
use crate::ids::ClientRowId;
use crate::oauth::client_rules::{Rules, Shape};
use crate::oauth::grant_type::ClientType;
use crate::oauth::permission::Permission;
use crate::oauth::scope::{ClientScope, ScopePolicy};
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Event};
use crate::store::clients::{self, Changes, Client};

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
        responses::Unauthenticated,
        responses::Forbidden,
        responses::Broken,
    )
)]
pub async fn list(State(app): State<Shared>, person: Person) -> Result<Json<ClientList>, ApiError> {
    require_manager(&app, &person)?;
    let profile = app.config.profile;
    let owned = clients::list_of(&app.db, &person.0.account.id).await?;
    let clients = owned
        .into_iter()
        .map(|client| ClientResource::shown(profile, client))
        .collect();
    Ok(Json(ClientList { clients }))
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
        responses::Unauthenticated,
        responses::Forbidden,
        responses::TooLarge,
        responses::UnsupportedMediaType,
        responses::TooManyRequests,
        responses::Broken,
    )
)]
pub async fn create(
    State(app): State<Shared>,
    person: Person,
    ClientAddress(address): ClientAddress,
    body: Result<JsonBody<CreateClient>, ApiError>,
) -> Result<Json<IssuedClient>, ApiError> {
    require_manager(&app, &person)?;
    person.require(Permission::UseOauthClients)?;
    let (session, account) = (person.0.id, person.0.account);
    let client = check(&app, &account, &body?.0)?;
    let have = clients::count_of(&app.db, &account.id).await?;
    require_room(&app, &account.id, have, MOST)?;
    let (secret, secret_hash) = match client.kind {
        ClientType::Public => (None, None),
        ClientType::Confidential => {
            let (secret, hash) = secrets::generate(&app).await?;
            (Some(secret), Some(hash))
        }
    };
    let client = Client {
        secret_hash,
        ..client
    };
    let entry = entry(&app, Event::ClientCreated, &account.id, address)
        .client(&client.client_id)
        .subject(&client.row_id);
    let input = (session, client.clone(), entry);
    let write = app.db.write(input, |tx, (session, client, entry)| {
        Box::pin(async move {
            require_open(tx, session).await?;
            clients::insert(tx, client).await?;
            audit::insert(tx, entry).await
        })
    });
    write.await.map_err(unless_signed_out)?;
    Ok(Json(IssuedClient {
        client: ClientResource::shown(app.config.profile, client),
        client_secret: secret.as_ref().map(Secret::reveal).map(str::to_owned),
    }))
}

/// Checks a new application, and builds the client without a secret. The checks run in Storyden's order
/// (storyden-contract.md#order-of-validation).
fn check(app: &App, account: &Account, new: &CreateClient) -> Result<Client, ApiError> {
    let profile = app.config.profile;
    let rules = Rules {
        profile,
        held: account.permissions,
    };
    let kind = ClientType::from(new.kind);
    let allowed = rules.scopes(&new.allowed_scopes)?;
    let grants = rules.grants(&new.allowed_grants)?;
    let redirect_uris = rules.redirect_uris(new.redirect_uris.as_deref().unwrap_or_default())?;
    rules.fit(Shape {
        kind,
        grants: &grants,
        has_redirect_uris: !redirect_uris.is_empty(),
        pkce_required: new.pkce_required,
    })?;
    let method = new.token_endpoint_auth_method.as_deref();
    let now = app.clock.now();
    Ok(Client {
        row_id: ClientRowId::generate(),
        client_id: new_id(&app.random, true),
        secret_hash: None,
        old_secret: None,
        auth_method: rules.auth_method(kind, method)?,
        name: rules.name(&new.name)?,
        kind,
        pkce_required: true, // only administrators can waive PKCE (RFC 9700 §2.1.1)
        scope: ClientScope {
            policy: ScopePolicy::Explicit,
            allowed,
        },
        redirect_uris_left_out: new.redirect_uris.is_none() && profile.self_service_is_storydens(),
        redirect_uris,
        grants,
        owner: Some(account.id.clone()),
        created_at: now,
        updated_at: now,
    })
}

/// `GET /api/auth/oauth/clients/{oauth_client_id}`.
///
/// # Errors
/// 400 for an application of a different account, 401, 403, 404.
#[utoipa::path(
    get, path = "/api/auth/oauth/clients/{oauth_client_id}", operation_id = "OAuthClientGet",
    tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "The row's id")),
    responses(
        (status = 200, body = ClientResource),
        responses::OAuthInvalid,
        responses::Unauthenticated,
        responses::Forbidden,
        responses::NotFound,
        responses::Broken,
    )
)]
pub async fn get(
    State(app): State<Shared>,
    person: Person,
    PathId(id): PathId,
) -> Result<Json<ClientResource>, Refusal> {
    require_manager(&app, &person)?;
    let client = find(&app, &ClientRowId::new(id)).await?;
    if client.owner.as_ref() != Some(&person.0.account.id) {
        let description = "Client does not belong to the requesting account";
        return Err(Refusal::not_yours(description));
    }
    Ok(Json(ClientResource::shown(app.config.profile, client)))
}

/// `PATCH /api/auth/oauth/clients/{oauth_client_id}`.
///
/// # Errors
/// 400 for an application of a different account or invalid members, 401, 403, 404.
#[utoipa::path(
    patch, path = "/api/auth/oauth/clients/{oauth_client_id}", operation_id = "OAuthClientUpdate",
    tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "The row's id")),
    request_body = UpdateClient,
    responses(
        (status = 200, body = ClientResource),
        (status = 400, description = "It is somebody else's, or something cannot be, and which"),
        responses::Unauthenticated,
        responses::Forbidden,
        responses::NotFound,
        responses::TooLarge,
        responses::UnsupportedMediaType,
        responses::Broken,
    )
)]
pub async fn update(
    State(app): State<Shared>,
    person: Person,
    PathId(id): PathId,
    ClientAddress(address): ClientAddress,
    body: Result<JsonBody<UpdateClient>, ApiError>,
) -> Result<Json<ClientResource>, Refusal> {
    require_manager(&app, &person)?;
    let JsonBody(asked) = body?;
    let account = &person.0.account;
    let client = find(&app, &ClientRowId::new(id)).await?;
    if client.owner.as_ref() != Some(&account.id) {
        if app.config.profile.self_service_is_storydens() {
            return Err(Refusal::Empty);
        }
        let description = "Client does not belong to the requesting account";
        return Err(Refusal::not_yours(description));
    }
    let changes = check_changes(&app, account, &client, asked)?;
    let entry = entry(&app, Event::ClientUpdated, &account.id, address)
        .client(&client.client_id)
        .subject(&client.row_id);
    let input = (client.row_id.clone(), changes, entry);
    let write = app.db.write(input, |tx, (id, changes, entry)| {
        Box::pin(async move {
            if !clients::update(tx, id, changes, entry.at).await? {
                return Err(store::Error::Gone);
            }
            audit::insert(tx, entry).await
        })
    });
    match write.await {
        Err(store::Error::Gone) => return Err(Refusal::not_found("The application is gone")),
        written => written?,
    }
    let client = find(&app, &client.row_id).await?;
    Ok(Json(ClientResource::shown(app.config.profile, client)))
}

fn check_changes(
    app: &App,
    account: &Account,
    client: &Client,
    asked: UpdateClient,
) -> Result<Changes, ApiError> {
    let rules = Rules {
        profile: app.config.profile,
        held: account.permissions,
    };
    let scopes = asked.allowed_scopes.as_deref();
    let uris = asked.redirect_uris.as_deref();
    let changes = Changes {
        allowed_scopes: scopes.map(|names| rules.scopes(names)).transpose()?,
        redirect_uris: uris.map(|uris| rules.redirect_uris(uris)).transpose()?,
        // An unchanged name is not checked: the name may be older than a rule.
        name: asked
            .name
            .filter(|name| *name != client.name)
            .map(|name| rules.name(&name))
            .transpose()?,
        ..Changes::default()
    };
    if let Some(uris) = &changes.redirect_uris
        && !app.config.profile.self_service_is_storydens()
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
    params(("oauth_client_id" = String, Path, description = "The row's id")),
    responses(
        (status = 204, description = "It is gone, with all it was given"),
        responses::OAuthInvalid,
        responses::Unauthenticated,
        responses::Forbidden,
        responses::Broken,
    )
)]
pub async fn delete(
    State(app): State<Shared>,
    person: Person,
    PathId(id): PathId,
    ClientAddress(address): ClientAddress,
) -> Result<StatusCode, Refusal> {
    require_manager(&app, &person)?;
    let account = &person.0.account.id;
    let client = owned(&app, account, id, address, Event::ClientDeleted).await?;
    let (client, entry) = client;
    app.db
        .write((client.row_id, entry), |tx, (id, entry)| {
            Box::pin(async move {
                clients::delete(tx, id, entry.at).await?;
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
    app: &App,
    account: &crate::ids::AccountId,
    id: String,
    address: IpAddr,
    event: Event,
) -> Result<(Client, audit::Entry), Refusal> {
    let client = clients::find_by_row(&app.db, &ClientRowId::new(id)).await?;
    let client = client.filter(|client| client.owner.as_ref() == Some(account));
    let client = client
        .ok_or_else(|| Refusal::not_yours("Client not found or does not belong to account"))?;
    let entry = entry(app, event, account, address)
        .client(&client.client_id)
        .subject(&client.row_id);
    Ok((client, entry))
}

async fn find(app: &App, id: &ClientRowId) -> Result<Client, Refusal> {
    let client = clients::find_by_row(&app.db, id).await?;
    client
        .ok_or_else(|| ApiError::new(Kind::NotFound, "There is no application with this id").into())
}
