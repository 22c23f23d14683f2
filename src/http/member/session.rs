//! Sign-in with a password, and sign-out (storyden-contract.md#sign-in-and-sign-out).

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use time::Duration;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::context::{App, Shared};
use crate::http::caller::Caller;
use crate::http::cookies::set_cookies;
use crate::http::device_cookie::{self, KnownBrowser, SigningIn};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{ClientAddress, JsonBody};
use crate::http::guards::require_own_origin;
use crate::http::session_cookie;
use crate::ids::{AccountId, SessionId};
use crate::rate_limit::{
    Attempt, SIGN_IN_ADDRESS, SIGN_IN_IDENTIFIER, SIGN_IN_PAIR, Wait, network_of, networks,
};
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::{self, PasswordRow};
use crate::store::audit::{self, Entry, Event};
use crate::store::sessions::{self, NewSession};

/// Lifetime of a session (storyden-contract.md#session-cookie).
const SESSION_TTL: Duration = Duration::days(90);

/// Minimum length of a password, in bytes; shorter passwords are rejected before any look-up.
pub const PASSWORD_MIN: usize = 8;

/// Maximum length of a password, in bytes: bounds the cost of a hash.
pub const PASSWORD_MAX: usize = 1_024;

/// Request body of sign-in and sign-up.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AuthPair)]
pub struct SignIn {
    /// The handle; at sign-in also an e-mail address.
    pub(super) identifier: String,
    /// The password.
    #[schema(value_type = String)]
    pub(super) token: Secret,
}

/// Response of sign-in and sign-up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthSuccess)]
pub struct SignedIn {
    pub(super) id: AccountId,
}

/// `POST /api/auth/password/signin`.
#[utoipa::path(
    post,
    path = "/api/auth/password/signin",
    operation_id = "AuthPasswordSignin",
    tag = "auth",
    security(()),
    request_body = SignIn,
    responses(
        (
            status = 200,
            description = "Signed in",
            body = SignedIn,
            headers(("Set-Cookie" = String, description = "The session"))
        ),
        responses::Invalid,
        responses::Unauthenticated,
        responses::Forbidden,
        responses::NotFound,
        responses::TooLarge,
        responses::UnsupportedMediaType,
        responses::TooManyRequests,
    ),
)]
pub async fn sign_in(
    State(app): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    JsonBody(SignIn { identifier, token }): JsonBody<SignIn>,
) -> Result<impl IntoResponse, ApiError> {
    require_own_origin(&app, &Method::POST, &headers)?;
    require_length(&token, "The password is shorter than any that exists here")?;
    if app.config.profile.sign_in_tells_handles() {
        tell_unknown_handle(&app, &identifier).await?;
    }
    if token.reveal().len() > PASSWORD_MAX || identifier.len() > 320 || identifier.contains('\0') {
        return Err(ApiError::invalid(
            "The identifier or the password is longer than any that exists",
        ));
    }
    let row = accounts::find_password(&app.db, &identifier).await?;
    let who = row.as_ref().map(signing_in);
    let browser = device_cookie::recognize(&app, &headers, who).await?;
    let refused = |event| match &row {
        Some(row) => app.refused_account(event, &row.account_id),
        None => app.refused(event),
    };
    let attempt = attempt(&app, &identifier, address, browser.as_ref()).map_err(|wait| {
        refused(Event::SignInLimited);
        ApiError::new(
            Kind::TooManyRequests,
            "Too many wrong passwords; wait before trying again",
        )
        .retry_after(wait.0)
    })?;
    // User enumeration and timing attack: the same cost and response for known and unknown names.
    let stored = row.as_ref().map(|row| row.password_hash.as_str());
    let matches = app.passwords.verify(&token, stored).await?;
    if !matches {
        refused(Event::SignInFailed);
    }
    let Some(row) = row.filter(|_| matches) else {
        attempt.failed();
        if let Some(browser) = browser {
            app.limits.fail(&networks(SIGN_IN_ADDRESS, address));
            browser.count_failure(&app).await?;
        }
        return Err(wrong());
    };
    drop(attempt);
    if row.deleted_at.is_some() {
        return Err(ApiError::forbidden("This account is suspended").title("Forbidden"));
    }
    // A-54 (session fixation): always a new session, regardless of cookies in the request
    let held = Held {
        address,
        password_hash: row.password_hash.clone(),
    };
    let (session, expires_at) = match begin_from(&app, &row.account_id, Some(held)).await {
        Err(store::Error::Lost) => return Err(wrong()), // a concurrent change
        begun => begun?,
    };
    let mut cookies = session_cookie::begin(&app.config, &headers, &session, expires_at);
    cookies.extend(device_cookie::remember(&app, &headers, signing_in(&row)).await);
    Ok((
        [(CACHE_CONTROL, "no-store")],
        set_cookies(cookies),
        Json(SignedIn { id: row.account_id }),
    ))
}

fn signing_in(row: &PasswordRow) -> SigningIn<'_> {
    SigningIn {
        account: &row.account_id,
        password_hash: &row.password_hash,
    }
}

/// Counts an attempt before the password check, so that concurrent attempts cannot exceed the limit.
///
/// An unknown browser is counted by the identifier as typed, never by account: the limit of an
/// identifier would reveal other identifiers of the same account.
fn attempt<'a>(
    app: &'a App,
    identifier: &str,
    address: IpAddr,
    browser: Option<&KnownBrowser>,
) -> Result<Attempt<'a>, Wait> {
    if let Some(browser) = browser {
        return app.limits.attempt(&browser.subject());
    }
    let typed = identifier.to_lowercase(); // like the account look-up
    let mut subjects = networks(SIGN_IN_ADDRESS, address);
    subjects.push((SIGN_IN_PAIR, format!("{typed}\0{}", network_of(address))));
    subjects.push((SIGN_IN_IDENTIFIER, typed));
    app.limits.attempt(&subjects)
}

/// Rejects a password below the minimum length.
fn require_length(password: &Secret, detail: &'static str) -> Result<(), ApiError> {
    if password.reveal().len() < PASSWORD_MIN {
        return Err(ApiError::invalid(detail).title("Password must be at least 8 characters."));
    }
    Ok(())
}

/// Checks the length of a new password.
///
/// # Errors
/// 400, with the allowed length.
pub(super) fn check_new_password(password: &Secret) -> Result<(), ApiError> {
    require_length(password, "A password has at least 8 bytes")?;
    if password.reveal().len() > PASSWORD_MAX {
        return Err(ApiError::invalid("A password has at most 1024 bytes"));
    }
    Ok(())
}

/// Rejects an unknown handle with 404, as in Storyden (storyden-contract.md#sign-in-and-sign-out). An
/// e-mail address is never a known handle.
async fn tell_unknown_handle(app: &App, identifier: &str) -> Result<(), ApiError> {
    let known = if identifier.contains('@') {
        None
    } else {
        accounts::find_by_handle(&app.db, identifier).await?
    };
    if known.is_some() {
        return Ok(());
    }
    app.refused(Event::SignInFailed);
    let title = "No account was found with the provided handle.";
    Err(ApiError::new(Kind::NotFound, "There is no account with this handle").title(title))
}

/// Creates a session without a password check. Returns the value of the session cookie and the expiry.
///
/// # Errors
/// If the database is unavailable.
pub async fn begin(app: &App, account: &AccountId) -> Result<(Secret, Timestamp), store::Error> {
    begin_from(app, account, None).await
}

fn wrong() -> ApiError {
    ApiError::new(Kind::Unauthenticated, "The handle or the password is wrong")
        .title("The handle or the password is wrong.")
}

/// The verified password of a sign-in, and the client address.
struct Held {
    address: IpAddr,
    /// The stored hash that the password matched.
    password_hash: String,
}

/// Creates a session. With `held`, the transaction requires that the password is still the current one.
async fn begin_from(
    app: &App,
    account: &AccountId,
    held: Option<Held>,
) -> Result<(Secret, Timestamp), store::Error> {
    let (session, now) = (Secret::generate(&app.random), app.clock.now());
    let new = NewSession {
        id: SessionId::generate(),
        token: session.hash(),
        account: account.clone(),
        created_at: now,
        expires_at: now + SESSION_TTL,
    };
    let expires_at = new.expires_at;
    let entry = Entry::new(Event::SignedIn, now).subject(&new.id);
    let entry = match &held {
        Some(held) => entry.by(account).from(held.address),
        None => entry.of(account),
    };
    let password_hash = held.map(|held| held.password_hash);
    app.db
        .write(
            (new, password_hash, entry),
            |tx, (new, password_hash, entry)| {
                Box::pin(async move {
                    if let Some(hash) = password_hash
                        && !accounts::hold_password(tx, &new.account, hash).await?
                    {
                        return Err(store::Error::Lost);
                    }
                    sessions::insert(tx, new).await?;
                    audit::insert(tx, entry).await
                })
            },
        )
        .await?;
    Ok((session, expires_at))
}

/// `POST /api/auth/logout`: ends the session, and clears cookies and site data
/// (storyden-contract.md#sign-in-and-sign-out).
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    operation_id = "AuthProviderLogout",
    tag = "auth",
    security((), ("browser" = [])),
    params(("redirect" = Option<String>, Query, description = "Passed over: the start page follows")),
    responses(
        (
            status = 302,
            description = "Signed out",
            headers(
                ("Location" = String, description = "The start page"),
                ("Set-Cookie" = String, description = "An empty session")
            )
        ),
        responses::Forbidden,
    ),
)]
pub async fn sign_out(
    State(app): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    require_own_origin(&app, &Method::POST, &headers)?;
    let caller = Caller::of(&app, &headers).await?;
    if let Caller::PersonalKey(_)
    | Caller::BotKey(_)
    | Caller::AccessToken(..)
    | Caller::NotPermitted(_) = caller
    {
        return Err(ApiError::forbidden("This credential has no session to end"));
    }
    let now = app.clock.now();
    let tokens = session_cookie::every_token(&headers);
    if !tokens.is_empty() {
        let entry = Entry::new(Event::SignedOut, now).from(address);
        let ended = app.db.write((tokens, entry), |tx, (tokens, entry)| {
            Box::pin(session_cookie::revoke_all(tx, tokens, entry))
        });
        ended.await?;
    }
    let web = app.config.web_address();
    // `Clear-Site-Data: "cookies"` deletes all cookies of the domain, the device cookie included.
    let clear = if app.config.profile.sign_in_sets_one_cookie() {
        "\"cache\", \"cookies\", \"storage\", \"executionContexts\""
    } else {
        "\"cache\", \"storage\", \"executionContexts\""
    };
    Ok((
        StatusCode::FOUND,
        [
            (LOCATION, web.as_str().trim_end_matches('/').to_owned()),
            (HeaderName::from_static("clear-site-data"), clear.to_owned()),
            (
                CACHE_CONTROL,
                "no-cache, no-store, must-revalidate".to_owned(),
            ),
        ],
        set_cookies(session_cookie::end(&app.config, &headers, now)),
    ))
}
