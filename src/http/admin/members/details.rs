//! `GET /api/admin/oauth/members/{member}`: everything about an account.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::list::{ShownMember, shown};
use super::{kept_by_storyden, named};
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::error::responses::{GuardErrors, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::PathName;
use crate::http::guards::Administrator;
use crate::http::member::applications::{Application, ApplicationList};
use crate::ids::{AccessKeyId, AccountId, SessionId};
use crate::oauth::permission::Permission;
use crate::store::closing::{self, SessionlessCredentials};
use crate::store::paging::Page;
use crate::store::revocation::{self, RevokedCounts, Target};
use crate::store::{access_keys, accounts, members, roles, sessions};

/// Maximum number of sessions, applications and keys in the details of a member.
const SHOWN_MAX: usize = 50;

/// An e-mail address.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberEmail)]
pub struct ShownEmail {
    /// The address.
    address: String,
    /// True if the owner proved control of the address.
    verified: bool,
}

/// An open session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberSession)]
pub struct ShownSession {
    /// Time of sign-in.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// Time of expiry.
    expires_at: Timestamp,
    /// Id of the session.
    id: SessionId,
}

/// An access key that works.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberAccessKey)]
pub struct ShownKey {
    /// Time of creation.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// Time of expiry; absent if the key does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Id of the key.
    id: AccessKeyId,
    /// Name chosen by the owner.
    name: String,
}

/// Numbers of the credentials of an account, each counted up to 100,000.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberCounts)]
pub struct Counts {
    /// Open sessions.
    sessions: u64,
    #[serde(flatten)]
    granted: RevokedCounts,
    #[serde(flatten)]
    lasting: SessionlessCredentials,
}

/// An account with its credentials.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberDetails)]
pub struct Details {
    /// The access keys that work, oldest first, at most 50.
    access_keys: Vec<ShownKey>,
    /// The applications that the member allowed, by name, at most 50.
    applications: Vec<Application>,
    /// Numbers of sessions, grants, tokens, keys and secrets.
    counts: Counts,
    /// The e-mail addresses, oldest first.
    emails: Vec<ShownEmail>,
    /// True if a Storyden keeps members, sessions and roles: these are then changed in Storyden's
    /// administration.
    kept_by_storyden: bool,
    /// The account.
    member: ShownMember,
    /// Permissions of all roles of the account.
    permissions: Vec<&'static str>,
    /// The open sessions, newest first, at most 50.
    sessions: Vec<ShownSession>,
}

/// `GET /api/admin/oauth/members/{member}`.
///
/// # Errors
/// 401, 403, 404 for an unknown account.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/members/{member}",
    operation_id = "AdminMemberGet",
    tag = "admin",
    params(("member" = String, Path, description = "Account id, or handle with or without @")),
    responses(
        (status = 200, description = "The member", body = Details),
        GuardErrors,
        NotFound,
    )
)]
pub async fn get(
    State(context): State<SharedContext>,
    _: Administrator,
    PathName(text): PathName,
) -> Result<Json<Details>, ApiError> {
    let account = named(&context, &text).await?;
    let (id, now) = (&account.id, context.clock.now());
    let roles = roles::list(&context.db).await?;
    let rows = members::find(&context.db, std::slice::from_ref(id)).await?;
    let member = shown(&context, rows, &roles).await?.pop();
    let gone = || ApiError::new(Kind::NotFound, "The account was deleted during the request");
    let emails = accounts::emails(&context.db, id).await?.into_iter();
    let open = sessions::list(&context.db, id, now).await?.into_iter();
    let permissions = account.permissions.iter().map(Permission::name);
    let applications = ApplicationList::of(&context, id, Page::asked(None)).await?;
    Ok(Json(Details {
        access_keys: keys(&context, id, now).await?,
        applications: applications.into_applications(),
        counts: Counts {
            sessions: sessions::count_open(&context.db, id, None).await?,
            granted: revocation::count(&context.db, &Target::of_account(id), now).await?,
            lasting: closing::count(&context.db, id, now).await?,
        },
        emails: emails
            .map(|email| ShownEmail {
                address: email.email_address,
                verified: email.verified.0,
            })
            .collect(),
        kept_by_storyden: kept_by_storyden(&context).await?,
        member: member.ok_or_else(gone)?,
        permissions: permissions.collect(),
        sessions: open
            .take(SHOWN_MAX)
            .map(|session| ShownSession {
                created_at: session.created_at,
                expires_at: session.expires_at,
                id: session.id,
            })
            .collect(),
    }))
}

async fn keys(
    context: &Context,
    account: &AccountId,
    now: Timestamp,
) -> Result<Vec<ShownKey>, ApiError> {
    let keys = access_keys::list(&context.db, account).await?;
    let live = keys
        .into_iter()
        .filter(|key| !key.disabled.0 && key.expires_at.is_none_or(|at| now < at));
    let shown = live.take(SHOWN_MAX).map(|key| ShownKey {
        created_at: key.created_at,
        expires_at: key.expires_at,
        id: key.id,
        name: key.name.unwrap_or_default(),
    });
    Ok(shown.collect())
}
