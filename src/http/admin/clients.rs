//! Clients of every account: `/api/admin/oauth/clients` (storyden-contract.md#administration).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::client_input::{self, CreateClient, UpdateClient};
use super::entry;
use super::listing::{AdministratorQuery, PageParameters, unless_whole};
use crate::clients::resource::ClientResource;
use crate::clients::secrets;
use crate::compat::ClientInput;
use crate::context::{Context, SharedContext};
use crate::http::client_about::{require_fitting, with_about};
use crate::http::client_members::{require_consistent_changes, with_protection};
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::{Actor, Administrator};
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{About, ClientKeys};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::ClientType;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::resources;
use crate::secret::Secret;
use crate::store;
use crate::store::accounts;
use crate::store::audit::{self, Entry, Event};
use crate::store::client_changes::{self, Changes};
use crate::store::client_deletion;
use crate::store::client_details;
use crate::store::client_keys;
use crate::store::client_list::{self, Filter};
use crate::store::clients::{self, Client};
use crate::store::paging::Pages;

/// The owner's id in the response for a client without an owner (storyden-contract.md#administration).
const NO_ACCOUNT: &str = "00000000000000000000";

/// A page of clients, or all clients.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientListResult)]
pub struct ClientList {
    /// Oldest first.
    clients: Vec<ClientResource>,
    /// The page; absent if all clients are listed.
    #[serde(flatten)]
    pages: Option<Pages>,
}

/// `GET /api/admin/oauth/clients`.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/clients",
    operation_id = "AdminOAuthClientList",
    tag = "admin",
    params(
        PageParameters,
        ("account_id" = Option<String>, Query, description = "Filter by owner: account id or handle"),
        ("client_id" = Option<String>, Query, description = "Filter by client id"),
        ("q" = Option<String>, Query, description = "Filter by a substring of name or client id, case-insensitive"),
        ("sort" = Option<String>, Query, description = "Order: -created, or created for the oldest first, as without this parameter"),
    ),
    responses(
        (status = 200, description = "List of clients", body = ClientList),
        Invalid,
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<Json<ClientList>, ApiError> {
    let asked = query.read(&["account_id", "client_id", "q", "sort"])?;
    let filter = Filter {
        owner: asked.account(&context, "account_id").await?,
        client_id: asked.text("client_id"),
        text: asked.text("q"),
        newest_first: asked.oldest_first()? == Some(false),
    };
    let page = asked.page_or_whole(context.config.policies.admin.lists_unpaged)?;
    let found = client_list::list(&context.db, &filter, page).await?;
    let clients = found.rows.into_iter();
    Ok(Json(ClientList {
        clients: clients.map(|client| shown(&context, client)).collect(),
        pages: unless_whole(found.pages),
    }))
}

/// A new client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedClient {
    #[serde(flatten)]
    client: ClientResource,
    /// The generated secret, shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// `POST /api/admin/oauth/clients`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/clients",
    operation_id = "AdminOAuthClientCreate",
    tag = "admin",
    request_body = CreateClient,
    responses(
        (status = 200, description = "The client", body = CreatedClient),
        Invalid,
        GuardErrors,
        Conflict,
        BodyErrors,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(mut new): JsonBody<CreateClient>,
) -> Result<Json<CreatedClient>, ApiError> {
    if context.config.policies.admin.client_input == ClientInput::Checked
        && let Some(owner) = accounts::find_named(&context.db, &new.account_id).await?
    {
        new.account_id = owner.id.to_string();
    }
    let about = std::mem::take(&mut new.about);
    let (client, keys, secret) = checked(&context, new).await?;
    let (client, pages) = with_about(&context, client, &about)?;
    resources::check_scopes(&context, &client.scope.allowed, &Scope::default(), None).await?;
    let entry = client_entry(&context, Event::ClientCreated, &actor, &client);
    let input = (client.clone(), keys.clone(), pages.clone(), entry);
    let inserted = context.db.write(input, |tx, (client, keys, pages, entry)| {
        Box::pin(async move {
            client_changes::insert_with_keys(tx, client, keys).await?;
            client_details::change_pages(tx, &client.row_id, pages).await?;
            audit::insert(tx, entry).await
        })
    });
    inserted.await.map_err(|error| match error {
        store::Error::Taken(_) => {
            let detail = "client_id is taken; choose another client id";
            ApiError::new(Kind::AlreadyExists, detail)
        }
        store::Error::Gone => ApiError::invalid("account_id names no account"),
        error => error.into(),
    })?;
    let is_ownerless = client.owner.is_none();
    let client = ClientResource::shown_with_keys(client, keys, &context.config);
    let about = pages.applied_to(About::default());
    let mut client = client.with_pages(about, &context.config);
    if is_ownerless {
        client.account_id = Some(AccountId::new(NO_ACCOUNT));
    }
    Ok(Json(CreatedClient {
        client,
        client_secret: secret.map(|secret| secret.reveal().to_owned()),
    }))
}

/// Validates a new client and generates the secret if needed.
async fn checked(
    context: &Context,
    new: CreateClient,
) -> Result<(Client, ClientKeys, Option<Secret>), ApiError> {
    let (input, now) = (
        context.config.policies.admin.client_input,
        context.clock.now(),
    );
    let kind = new.kind.0;
    let schemes = context.config.private_use_schemes();
    let pkce_required = client_input::pkce_required(input, kind, new.pkce_required.as_ref())?;
    let method = new.token_endpoint_auth_method.as_ref();
    let client = Client {
        row_id: ClientRowId::generate(now),
        client_id: client_input::client_id(input, new.client_id)?,
        secret_hash: None,
        old_secret: None,
        auth_method: client_input::auth_method(input, kind, method)?,
        name: client_input::name(&new.name)?,
        kind,
        application_type: None,
        pkce_required: pkce_required.unwrap_or(true),
        request_protection: RequestProtection::NONE,
        dpop_bound: false,
        fapi: false,
        algorithms: ClientAlgorithms::default(),
        scope: ClientScope {
            policy: new
                .scope_policy
                .map_or(ScopePolicy::Explicit, |policy| policy.0),
            allowed: client_input::scopes(input, &new.allowed_scopes)?,
            self_registered: false,
        },
        grants: client_input::grants(&new.allowed_grants)?,
        redirect_uris: client_input::redirect_uris(input, new.redirect_uris, kind, &schemes)?,
        redirect_uris_omitted: false,
        owner: client_input::owner(input, &new.account_id)?,
        created_at: now,
        updated_at: now,
    };
    let (mut client, keys) = with_protection(context, client, &new.protection)?;
    let has_redirect_uris = !client.redirect_uris.is_empty();
    client_input::check_grants(input, kind, &client.grants, has_redirect_uris)?;
    let mut secret = None;
    match (kind, &new.client_secret_hash) {
        (_, Some(hash)) if may_have_secret(context, kind) => {
            client.secret_hash = Some(client_input::secret_hash(hash)?);
        }
        (_, Some(_)) => return Err(no_secret()),
        (_, None) if input == ClientInput::Checked && client.has_secret() => {
            let (made, hash) = secrets::generate(context).await?;
            (secret, client.secret_hash) = (Some(made), Some(hash));
        }
        (_, None) => {}
    }
    Ok((client, keys, secret))
}

fn may_have_secret(context: &Context, kind: ClientType) -> bool {
    kind == ClientType::Confidential
        || context.config.policies.admin.client_input == ClientInput::AsSent
}

fn no_secret() -> ApiError {
    ApiError::invalid("client_secret_hash is only for confidential clients")
}

/// `GET /api/admin/oauth/clients/{oauth_client_id}`.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/clients/{oauth_client_id}",
    operation_id = "AdminOAuthClientGet",
    tag = "admin",
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, description = "The client", body = ClientResource),
        GuardErrors,
        NotFound,
    )
)]
pub async fn get(
    State(context): State<SharedContext>,
    _: Administrator,
    PathId(id): PathId,
) -> Result<Json<ClientResource>, ApiError> {
    let client = find(&context, &ClientRowId::new(id)).await?;
    Ok(Json(shown_whole(&context, client).await?))
}

/// `PATCH /api/admin/oauth/clients/{oauth_client_id}`.
#[utoipa::path(
    patch,
    path = "/api/admin/oauth/clients/{oauth_client_id}",
    operation_id = "AdminOAuthClientUpdate",
    tag = "admin",
    params(("oauth_client_id" = String, Path, description = "Row id")),
    request_body = UpdateClient,
    responses(
        (status = 200, description = "The updated client", body = ClientResource),
        Invalid,
        GuardErrors,
        NotFound,
        BodyErrors,
    )
)]
pub async fn update(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
    JsonBody(sent): JsonBody<UpdateClient>,
) -> Result<Json<ClientResource>, ApiError> {
    let id = ClientRowId::new(id);
    let client = find(&context, &id).await?;
    let keys = client_keys::find(&context.db, &id).await?;
    let changes = changes(&context, &client, keys, sent)?;
    if let Some(scope) = &changes.allowed_scopes {
        resources::check_scopes(&context, scope, &client.scope.allowed, None).await?;
    }
    let entry = |event| client_entry(&context, event, &actor, &client);
    let mut entries = vec![entry(Event::ClientUpdated)];
    if changes.secret_hash.is_some() {
        entries.push(entry(Event::ClientSecretRotated));
    }
    let input = (id.clone(), changes, entries, context.clock.now());
    let updated = context.db.write(input, |tx, (id, changes, entries, now)| {
        Box::pin(async move {
            let there = client_changes::update(tx, id, changes, *now).await?;
            for entry in entries.iter().filter(|_| there) {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    updated.await?;
    let client = find(&context, &id).await?;
    Ok(Json(shown_whole(&context, client).await?))
}

/// Validates only the changed members, so that a row written by Storyden can be renamed even if other
/// columns are invalid here.
fn changes(
    context: &Context,
    client: &Client,
    keys: ClientKeys,
    sent: UpdateClient,
) -> Result<Changes, ApiError> {
    let input = context.config.policies.admin.client_input;
    let schemes = context.config.private_use_schemes();
    let pkce = sent.pkce_required.as_ref();
    let protection = sent.protection.changes(context, client, &keys)?;
    let about = sent.about.changes(context)?;
    let changes = Changes {
        name: sent.name.as_deref().map(client_input::name).transpose()?,
        redirect_uris: match sent.redirect_uris {
            Some(uris) => Some(client_input::redirect_uris(
                input,
                uris,
                client.kind,
                &schemes,
            )?),
            None => None,
        },
        allowed_scopes: match sent.allowed_scopes {
            Some(names) => Some(client_input::scopes(input, &names)?),
            None => None,
        },
        allowed_grants: match sent.allowed_grants {
            Some(names) => Some(client_input::grants(&names)?),
            None => None,
        },
        scope_policy: sent.scope_policy.map(|policy| policy.0),
        secret_hash: match &sent.client_secret_hash {
            Some(_) if !may_have_secret(context, client.kind) => return Err(no_secret()),
            Some(hash) => Some(client_input::secret_hash(hash)?),
            None => None,
        },
        pkce_required: client_input::pkce_required(input, client.kind, pkce)?,
        application_type: about.application_type,
        pages: about.pages,
        ..protection
    };
    require_fitting(client, &changes)?;
    require_consistent_changes(context, client, keys, &changes)?;
    if changes.allowed_grants.is_some() || changes.redirect_uris.is_some() {
        let grants = changes.allowed_grants.as_ref().unwrap_or(&client.grants);
        let uris = changes
            .redirect_uris
            .as_ref()
            .unwrap_or(&client.redirect_uris);
        client_input::check_grants(input, client.kind, grants, !uris.is_empty())?;
    }
    Ok(changes)
}

/// `DELETE /api/admin/oauth/clients/{oauth_client_id}`.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/clients/{oauth_client_id}",
    operation_id = "AdminOAuthClientDelete",
    tag = "admin",
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Deleted; all access of the client is revoked"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let client = find(&context, &ClientRowId::new(id)).await?;
    let entry = client_entry(&context, Event::ClientDeleted, &actor, &client);
    let deleted = context.db.write((client.row_id, entry), |tx, (id, entry)| {
        Box::pin(async move {
            let deleted = client_deletion::delete(tx, id, entry.at).await?;
            if deleted {
                audit::insert(tx, entry).await?;
            }
            Ok(deleted)
        })
    });
    if deleted.await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_found())
    }
}

/// Builds the audit event of an action on a client.
fn client_entry(context: &Context, event: Event, actor: &Actor, client: &Client) -> Entry {
    entry(context, event, actor, client.owner.as_ref())
        .client(&client.client_id)
        .subject(&client.row_id)
}

fn shown(context: &Context, client: Client) -> ClientResource {
    ClientResource::shown(client, &context.config)
}

/// Converts a client with its keys and pages.
async fn shown_whole(context: &Context, client: Client) -> store::Result<ClientResource> {
    let keys = client_keys::find(&context.db, &client.row_id).await?;
    let details = client_details::find(&context.db, &client.row_id).await?;
    let shown = ClientResource::shown_with_keys(client, keys, &context.config);
    Ok(shown.with_pages(details.about, &context.config))
}

pub(super) async fn find(context: &Context, id: &ClientRowId) -> Result<Client, ApiError> {
    let client = clients::find_by_row(&context.db, id).await?;
    client.ok_or_else(not_found)
}

fn not_found() -> ApiError {
    ApiError::new(Kind::NotFound, "There is no client with this id")
}
