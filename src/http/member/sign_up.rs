//! `POST /api/auth/password/signup` (storyden-contract.md#sign-in-and-sign-out). Disabled unless
//! `SIGNUP_ENABLED`, because beside a Storyden accounts are created by Storyden.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, Method};
use axum::response::IntoResponse;

use super::entry;
use super::session::{SignIn, SignedIn, begin_after_sign_up, check_new_password};
use crate::accounts::handle;
use crate::context::SharedContext;
use crate::http::cookies::set_cookies;
use crate::http::device_cookie::{self, AccountPassword};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{ClientAddress, JsonBody};
use crate::http::guards::require_own_origin;
use crate::http::session_cookie;
use crate::ids::AccountId;
use crate::rate_limit::{SIGN_UPS, networks};
use crate::store;
use crate::store::audit::{self, Event};
use crate::store::new_accounts::{self, NewAccount};
use crate::store::origins::Origin;

/// `POST /api/auth/password/signup`: creates an account and a session. The very first account becomes
/// an administrator.
///
/// # Errors
/// 400 for an invalid handle or password, 403 while sign-up is disabled, 409 for a taken handle, 429.
#[utoipa::path(
    post, path = "/api/auth/password/signup", operation_id = "AuthPasswordSignup", tag = "auth",
    security(()),
    params(("invitation_id" = Option<String>, Query, description = "Ignored; this server has no invitations")),
    request_body = SignIn,
    responses(
        (status = 200, body = SignedIn),
        responses::Invalid,
        responses::Forbidden,
        responses::Conflict,
        responses::BodyErrors,
        responses::TooManyRequests,
    )
)]
pub async fn sign_up(
    State(context): State<SharedContext>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Result<JsonBody<SignIn>, ApiError>,
) -> Result<impl IntoResponse, ApiError> {
    require_own_origin(&context, &Method::POST, &headers)?;
    if !context.config.signup_enabled {
        context.refused(Event::SignUpRefused);
        let detail = "Sign-up is disabled; the operator can enable it with SIGNUP_ENABLED=true";
        return Err(ApiError::forbidden(detail));
    }
    let JsonBody(SignIn { identifier, token }) = body?;
    check_new_password(&token)?;
    let handle = handle::parse(&identifier).map_err(|detail| {
        ApiError::invalid(detail)
            .title("Handle must be lowercase letters, numbers, hyphens, and underscores only")
    })?;
    context
        .limits
        .spend(&networks(SIGN_UPS, address))
        .map_err(|wait| {
            context.refused(Event::SignUpLimited);
            let detail = "Too many sign-ups from this network; wait before trying again";
            ApiError::new(Kind::TooManyRequests, detail).retry_after(wait.0)
        })?;
    let origin = Origin::of(ClientAddress(address), &headers);
    let hash = context.passwords.hash(&token).await?;
    let new = NewAccount {
        id: AccountId::generate(context.clock.now()),
        name: handle.clone(),
        handle,
        admin: false,
        email: None,
        password_hash: Some(hash.clone()),
    };
    let id = new.id.clone();
    let entry = entry(&context, Event::AccountCreated, &id, address);
    let write = context.db.write((new, entry), |tx, (new, entry)| {
        Box::pin(async move {
            let admin = new_accounts::lock_and_check_empty(tx).await?;
            let new = NewAccount {
                admin,
                ..new.clone()
            };
            new_accounts::insert(tx, &new, entry.at).await?;
            audit::insert(tx, entry).await
        })
    });
    match write.await {
        Err(store::Error::Taken(_)) => {
            context.refused(Event::SignUpRefused);
            let detail = "This handle is taken; choose another";
            return Err(ApiError::new(Kind::AlreadyExists, detail)
                .title("The specified handle has already been registered."));
        }
        written => written?,
    }
    let (session, expires_at) = begin_after_sign_up(&context, &id, origin).await?;
    let mut cookies = session_cookie::begin(&context.config, &headers, &session, expires_at);
    cookies.extend(super::accounts::keep_others(&context, &headers, &id).await?);
    let who = AccountPassword {
        account: &id,
        password_hash: &hash,
    };
    cookies.extend(device_cookie::remember(&context, &headers, who).await);
    Ok((
        [(CACHE_CONTROL, "no-store")],
        set_cookies(cookies),
        Json(SignedIn { id }),
    ))
}
