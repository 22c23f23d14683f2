//! `/api/auth/oauth/applications`: the applications that the account authorized, revocation of all grants to
//! an application, and the end of a remembered approval.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::origin::Origin;
use super::{RequestedPage, entry};
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::PathId;
use crate::http::guards::Person;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::known_resources::KnownResources;
use crate::oauth::scope::Scope;
use crate::resources;
use crate::store::applications::Counted;
use crate::store::audit::{self, Event};
use crate::store::consents::ListedConsent;
use crate::store::paging::{Page, Pages};
use crate::store::revocation::RevokedCounts;
use crate::store::{self, applications, clients, consents, revocation};

/// A grant of an application: an approval with its tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthApplicationAccess)]
pub struct Access {
    /// Time of the approval's exchange for tokens.
    granted_at: Timestamp,
    /// Time of the last token response.
    last_used_at: Timestamp,
    /// The browser that approved or, in the device flow, the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

/// An application authorized by the account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthAuthorizedApplication)]
pub struct Application {
    /// The newest grants with a known origin, at most 20.
    accesses: Vec<Access>,
    /// Public client id.
    client_id: String,
    /// Name of the client.
    client_name: String,
    /// Time of the oldest grant that is still valid.
    first_granted_at: Timestamp,
    /// Row id.
    id: ClientRowId,
    /// Time of the last token response.
    last_used_at: Timestamp,
    /// Until then, the application gets the same or less without asking. Absent if the application asks each
    /// time.
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered_until: Option<Timestamp>,
    /// True if a remembered approval is outdated: the application or a resource changed or was removed since, so
    /// that the application asks again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    remembered_outdated: bool,
    /// Union of the granted and the remembered scopes.
    #[schema(value_type = Vec<String>)]
    scopes: Scope,
}

/// A page of authorized applications, ordered by name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthAuthorizedApplicationListResult)]
pub struct ApplicationList {
    /// The applications.
    applications: Vec<Application>,
    #[serde(flatten)]
    pages: Pages,
}

/// `GET /api/auth/oauth/applications`.
///
/// # Errors
/// 400 for a repeated `page`, 401, 403.
#[utoipa::path(
    get, path = "/api/auth/oauth/applications", operation_id = "OAuthApplicationList", tag = "auth",
    security(("browser" = [])),
    params(("page" = Option<String>, Query, description = "Page number, from 1; an invalid number is page 1")),
    responses(
        (status = 200, body = ApplicationList),
        responses::Invalid,
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    person: Person,
    RequestedPage(page): RequestedPage,
) -> Result<Json<ApplicationList>, ApiError> {
    let account = &person.session.account.id;
    Ok(Json(ApplicationList::of(&context, account, page).await?))
}

impl ApplicationList {
    /// Lists a page of the applications that an account authorized.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn of(
        context: &Context,
        account: &AccountId,
        page: Page,
    ) -> Result<Self, store::Error> {
        let counted = Counted {
            now: context.clock.now(),
            access_token_ttl: context.config.access_token_ttl,
            consents: context.config.remembers_consent(),
        };
        let found = applications::list(&context.db, account, counted, page).await?;
        let remembered = Remembered::of(context, account, counted).await?;
        let applications = found.rows.into_iter().map(|application| Application {
            accesses: accesses(context, application.accesses),
            client_id: application.client_id,
            client_name: application.name,
            first_granted_at: application.first_granted_at,
            last_used_at: application.last_used_at,
            remembered_until: remembered.until(&application.row_id),
            remembered_outdated: remembered.is_outdated(&application.row_id),
            id: application.row_id,
            scopes: application.scope,
        });
        Ok(Self {
            applications: applications.collect(),
            pages: found.pages,
        })
    }

    /// The applications, without the numbers of the pages.
    pub(crate) fn into_applications(self) -> Vec<Application> {
        self.applications
    }
}

/// The remembered approvals of an account.
struct Remembered<'a> {
    known: Cow<'a, KnownResources>,
    consents: Vec<ListedConsent>,
}

impl<'a> Remembered<'a> {
    async fn of(
        context: &'a Context,
        account: &AccountId,
        counted: Counted,
    ) -> Result<Self, store::Error> {
        let consents = if counted.consents {
            consents::list(&context.db, account, counted.now).await?
        } else {
            Vec::new()
        };
        let resources = consents.iter().flat_map(|consent| &consent.resources);
        let resources: Vec<String> = resources.flatten().cloned().collect();
        Ok(Self {
            known: resources::known_to(context, Some(&resources)).await?,
            consents,
        })
    }

    /// The approvals of an application, each with true if client and resources are as approved.
    fn of_client(&self, client: &ClientRowId) -> impl Iterator<Item = (&ListedConsent, bool)> {
        let own = self
            .consents
            .iter()
            .filter(move |consent| consent.client == *client);
        own.map(move |consent| {
            let is_current = consent.is_current(|urls| self.known.consent_identities(urls));
            (consent, is_current)
        })
    }

    fn until(&self, client: &ClientRowId) -> Option<Timestamp> {
        let current = self.of_client(client).filter(|(_, is_current)| *is_current);
        current.map(|(consent, _)| consent.expires_at).max()
    }

    fn is_outdated(&self, client: &ClientRowId) -> bool {
        self.of_client(client).any(|(_, is_current)| !is_current)
    }
}

fn accesses(context: &Context, stored: Vec<applications::Access>) -> Vec<Access> {
    let access = |one: applications::Access| Access {
        granted_at: one.granted_at,
        last_used_at: one.last_used_at,
        origin: Origin::of(context, one.origin),
    };
    stored.into_iter().map(access).collect()
}

/// `DELETE /api/auth/oauth/applications/{oauth_client_id}`: revokes every grant, code and token that
/// the application holds for this account, cancels pending requests, and forgets the remembered approval.
///
/// # Errors
/// 401, 403, 404 for an unknown application.
#[utoipa::path(
    delete, path = "/api/auth/oauth/applications/{oauth_client_id}",
    operation_id = "OAuthApplicationRevoke", tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "All access of the application is revoked"),
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn revoke(
    State(context): State<SharedContext>,
    person: Person,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let account = person.session.account.id;
    let client = clients::find_by_row(&context.db, &ClientRowId::new(id)).await?;
    let client = client
        .ok_or_else(|| ApiError::new(Kind::NotFound, "There is no application with this id"))?;
    let entry = entry(&context, Event::GrantRevoked, &account, person.address)
        .client(&client.client_id)
        .subject(&client.row_id);
    context
        .db
        .write(
            (account, client.row_id, entry),
            |tx, (account, client, entry)| {
                Box::pin(async move {
                    revocation::revoke_application(tx, account, client, "member", entry.at).await?;
                    audit::insert(tx, entry).await
                })
            },
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/auth/oauth/applications`: revokes every grant, code and token of all applications, cancels pending
/// requests, and forgets the remembered approvals. Sessions stay.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    delete, path = "/api/auth/oauth/applications",
    operation_id = "OAuthApplicationRevokeAll", tag = "auth",
    security(("browser" = [])),
    responses(
        (status = 200, description = "Counts of the revoked objects", body = RevokedCounts),
        responses::GuardErrors,
    )
)]
pub async fn revoke_all(
    State(context): State<SharedContext>,
    person: Person,
) -> Result<Json<RevokedCounts>, ApiError> {
    let account = person.session.account.id;
    let entry = entry(&context, Event::GrantsRevoked, &account, person.address);
    let ended = revocation::revoke_applications(&context.db, account, "member", entry).await?;
    Ok(Json(ended))
}

/// `DELETE /api/auth/oauth/applications/{oauth_client_id}/consent`: forgets the remembered approval, so that the
/// application asks again. Grants and tokens stay valid.
///
/// # Errors
/// 401, 403, 404 if no approval is remembered.
#[utoipa::path(
    delete, path = "/api/auth/oauth/applications/{oauth_client_id}/consent",
    operation_id = "OAuthApplicationConsentForget", tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "The application asks again; its access stays"),
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn forget_consent(
    State(context): State<SharedContext>,
    person: Person,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let missing = "No approval of this application is remembered";
    let account = person.session.account.id;
    let client = clients::find_by_row(&context.db, &ClientRowId::new(id)).await?;
    let client = client.ok_or_else(|| ApiError::new(Kind::NotFound, missing))?;
    let entry = entry(&context, Event::ConsentForgotten, &account, person.address)
        .client(&client.client_id)
        .subject(&client.row_id);
    let input = (account, client.row_id, entry);
    let forgotten = context
        .db
        .write(input, |tx, (account, client, entry)| {
            Box::pin(async move {
                if consents::forget(tx, account, client).await? == 0 {
                    return Err(store::Error::Gone);
                }
                audit::insert(tx, entry).await
            })
        })
        .await;
    forgotten.map_err(|error| ApiError::of_write(error, missing))?;
    Ok(StatusCode::NO_CONTENT)
}
