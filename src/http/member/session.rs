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

use super::accounts;
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::caller::Caller;
use crate::http::cookies::set_cookies;
use crate::http::device_cookie::{self, AccountPassword, KnownBrowser};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{ClientAddress, JsonBody};
use crate::http::guards::require_own_origin;
use crate::http::session_cookie;
use crate::ids::{AccountId, SessionId};
use crate::oauth::sign_in_method::SignInMethod;
use crate::rate_limit::{
    Attempt, RetryAfter, SIGN_IN_ADDRESS, SIGN_IN_IDENTIFIER, SIGN_IN_PAIR, network_of, networks,
};
use crate::secret::Secret;
use crate::store;
use crate::store::account_passwords::{self, PasswordRow};
use crate::store::audit::{self, Entry, Event};
use crate::store::origins::Origin;
use crate::store::sessions::{self, NewSession, NewSignIn};

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
    /// Account id.
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
            headers(("Set-Cookie" = String, description = "Session cookie"))
        ),
        responses::Invalid,
        responses::GuardErrors,
        responses::NotFound,
        responses::BodyErrors,
        responses::TooManyRequests,
    ),
)]
pub async fn sign_in(
    State(context): State<SharedContext>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    JsonBody(SignIn { identifier, token }): JsonBody<SignIn>,
) -> Result<impl IntoResponse, ApiError> {
    require_own_origin(&context, &Method::POST, &headers)?;
    require_length(&token, "The password is shorter than any that exists here")?;
    let policy = context.config.policies.sign_in;
    if policy.unknown_handles_distinguished {
        reject_unknown_handle(&context, &identifier).await?;
    }
    if token.reveal().len() > PASSWORD_MAX || identifier.len() > 320 || identifier.contains('\0') {
        return Err(ApiError::invalid(
            "The identifier or the password is longer than any that exists",
        ));
    }
    let row = account_passwords::find(&context.db, &identifier).await?;
    let who = row.as_ref().map(account_password);
    let browser = device_cookie::recognize(&context, &headers, who).await?;
    let refused = |event| match &row {
        Some(row) => context.record_account_refusal(event, &row.account_id),
        None => context.refused(event),
    };
    let attempt = attempt(&context, &identifier, address, browser.as_ref()).map_err(|wait| {
        refused(Event::SignInLimited);
        ApiError::new(
            Kind::TooManyRequests,
            "Too many wrong passwords; wait before trying again",
        )
        .retry_after(wait.0)
    })?;
    // User enumeration and timing attack: the same cost and response for known and unknown names.
    let stored = row.as_ref().map(|row| row.password_hash.as_str());
    let matches = context.passwords.verify(&token, stored).await?;
    if !matches {
        refused(Event::SignInFailed);
    }
    let Some(row) = row.filter(|_| matches) else {
        attempt.failed();
        if let Some(browser) = browser {
            context.limits.fail(&networks(SIGN_IN_ADDRESS, address));
            browser.count_failure(&context).await?;
        }
        return Err(wrong());
    };
    drop(attempt);
    if row.deleted_at.is_some() {
        return Err(ApiError::forbidden("This account is suspended").title("Forbidden"));
    }
    // A-54 (session fixation): always a new session, regardless of cookies in the request
    let held = VerifiedPassword {
        origin: Origin::of(ClientAddress(address), &headers),
        is_unknown_browser: browser.is_none(),
        password_hash: row.password_hash.clone(),
    };
    let started = create_session(&context, &row.account_id, Start::Password(held)).await;
    let (session, expires_at) = match started {
        Err(store::Error::RaceLost) => return Err(wrong()), // a concurrent change
        begun => begun?,
    };
    let mut cookies = session_cookie::begin(&context.config, &headers, &session, expires_at);
    cookies.extend(accounts::keep_others(&context, &headers, &row.account_id).await?);
    cookies.extend(device_cookie::remember(&context, &headers, account_password(&row)).await);
    Ok((
        [(CACHE_CONTROL, "no-store")],
        set_cookies(cookies),
        Json(SignedIn { id: row.account_id }),
    ))
}

fn account_password(row: &PasswordRow) -> AccountPassword<'_> {
    AccountPassword {
        account: &row.account_id,
        password_hash: &row.password_hash,
    }
}

/// Counts an attempt before the password check, so that concurrent attempts cannot exceed the limit.
///
/// An unknown browser is counted by the identifier as typed, never by account: the limit of an
/// identifier would reveal other identifiers of the same account.
fn attempt<'a>(
    context: &'a Context,
    identifier: &str,
    address: IpAddr,
    browser: Option<&KnownBrowser>,
) -> Result<Attempt<'a>, RetryAfter> {
    if let Some(browser) = browser {
        return context.limits.attempt(&browser.subject());
    }
    let typed = identifier.to_lowercase(); // like the account look-up
    let mut subjects = networks(SIGN_IN_ADDRESS, address);
    subjects.push((SIGN_IN_PAIR, format!("{typed}\0{}", network_of(address))));
    subjects.push((SIGN_IN_IDENTIFIER, typed));
    context.limits.attempt(&subjects)
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
async fn reject_unknown_handle(context: &Context, identifier: &str) -> Result<(), ApiError> {
    let known = if identifier.contains('@') {
        None
    } else {
        store::accounts::find_by_handle(&context.db, identifier).await?
    };
    if known.is_some() {
        return Ok(());
    }
    context.refused(Event::SignInFailed);
    let title = "No account was found with the provided handle.";
    Err(ApiError::new(Kind::NotFound, "There is no account with this handle").title(title))
}

/// Creates a session for an operator. Returns the value of the session cookie and the expiry.
///
/// # Errors
/// If the database is unavailable.
pub async fn begin(
    context: &Context,
    account: &AccountId,
) -> Result<(Secret, Timestamp), store::Error> {
    create_session(context, account, Start::Operator).await
}

/// Creates the session of a sign-up, after the password was set.
///
/// # Errors
/// If the database is unavailable.
pub(super) async fn begin_after_sign_up(
    context: &Context,
    account: &AccountId,
    origin: Origin,
) -> Result<(Secret, Timestamp), store::Error> {
    create_session(context, account, Start::SignUp(origin)).await
}

fn wrong() -> ApiError {
    ApiError::new(Kind::Unauthenticated, "The handle or the password is wrong")
        .title("The handle or the password is wrong.")
}

/// The reason of a new session.
enum Start {
    /// A sign-in.
    Password(VerifiedPassword),
    /// A sign-up.
    SignUp(Origin),
    /// A command of the operator.
    Operator,
}

impl Start {
    fn sign_in(&self) -> Option<NewSignIn> {
        let (origin, is_unknown_browser) = match self {
            Self::Password(held) => (&held.origin, held.is_unknown_browser),
            Self::SignUp(origin) => (origin, false), // the first browser of a new account
            Self::Operator => return None,
        };
        Some(NewSignIn {
            method: SignInMethod::Password,
            origin: origin.clone(),
            is_unknown_browser,
        })
    }
}

/// The verified password of a sign-in, and the browser.
struct VerifiedPassword {
    origin: Origin,
    is_unknown_browser: bool,
    /// The stored hash that the password matched.
    password_hash: String,
}

/// Creates a session. At a sign-in, the transaction requires that the password is still the current one.
async fn create_session(
    context: &Context,
    account: &AccountId,
    start: Start,
) -> Result<(Secret, Timestamp), store::Error> {
    let (session, now) = (Secret::generate(&context.random), context.clock.now());
    let new = NewSession {
        id: SessionId::generate(now),
        token: session.hash(),
        account: account.clone(),
        created_at: now,
        expires_at: now + SESSION_TTL,
        sign_in: start.sign_in(),
    };
    let expires_at = new.expires_at;
    let entry = Entry::new(Event::SignedIn, now).subject(&new.id);
    let (entry, password_hash) = match start {
        Start::Password(held) => (
            entry.by(account).from(held.origin.address),
            Some(held.password_hash),
        ),
        Start::SignUp(_) | Start::Operator => (entry.of(account), None),
    };
    context
        .db
        .write(
            (new, password_hash, entry),
            |tx, (new, password_hash, entry)| {
                Box::pin(async move {
                    if let Some(hash) = password_hash
                        && !account_passwords::lock(tx, &new.account, hash).await?
                    {
                        return Err(store::Error::RaceLost);
                    }
                    sessions::insert(tx, new).await?;
                    audit::insert(tx, entry).await
                })
            },
        )
        .await?;
    context.statistics.event(Event::SignedIn);
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
    params(("redirect" = Option<String>, Query, description = "Ignored; the redirect goes to the front page")),
    responses(
        (
            status = 302,
            description = "Signed out",
            headers(
                ("Location" = String, description = "Address of the front page"),
                ("Set-Cookie" = String, description = "Clears the session cookie")
            )
        ),
        responses::Forbidden,
    ),
)]
pub async fn sign_out(
    State(context): State<SharedContext>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    require_own_origin(&context, &Method::POST, &headers)?;
    let caller = Caller::without_proof(&context, &headers).await?;
    if let Caller::PersonalKey(_)
    | Caller::BotKey(_)
    | Caller::AccessToken(..)
    | Caller::Unproven
    | Caller::NotPermitted(_) = caller
    {
        return Err(ApiError::forbidden("This credential has no session to end"));
    }
    let now = context.clock.now();
    let tokens = session_cookie::every_token(&context.config, &headers);
    if !tokens.is_empty() {
        let entry = Entry::new(Event::SignedOut, now).from(address);
        let ended = context.db.write((tokens, entry), |tx, (tokens, entry)| {
            Box::pin(session_cookie::revoke_all(tx, tokens, entry))
        });
        ended.await?;
    }
    let web = context.config.web_address();
    // `Clear-Site-Data: "cookies"` deletes all cookies of the domain, the device cookie included.
    let clear = if context.config.policies.sign_in.sign_out_clears_cookies {
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
        set_cookies(session_cookie::end(&context.config, &headers, now)),
    ))
}
