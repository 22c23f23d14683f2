//! `POST /api/auth/password`: change of the own password. Ends every other session and all
//! grants, so that an attacker who knew the old password loses access.

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderName};
use axum::response::AppendHeaders;
use serde::Deserialize;

use super::entry;
use super::session::{PASSWORD_MAX, check_new_password};
use crate::context::SharedContext;
use crate::http::device_cookie::{self, AccountPassword};
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::JsonBody;
use crate::http::guards::Person;
use crate::rate_limit::{PASSWORD_CHANGE, SIGN_IN_ADDRESS, SIGN_IN_PAIR, network_of, networks};
use crate::secret::Secret;
use crate::store::audit::{self, Event};
use crate::store::closing::{self, AccountClosing, Closed};
use crate::store::{self, account_passwords};

/// Request body for a password change.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = AuthPasswordChangeProps)]
pub struct ChangePassword {
    /// Current password.
    #[schema(value_type = String)]
    current: Secret,
    /// New password: 8 to 1024 bytes.
    #[schema(value_type = String)]
    new: Secret,
    /// Also revoke the access keys of the account.
    #[serde(default = "yes")]
    #[schema(default = true)]
    end_access_keys: bool,
    /// Also revoke the secrets and keys of the account's own applications with the client credentials grant.
    #[serde(default = "yes")]
    #[schema(default = true)]
    end_client_secrets: bool,
}

fn yes() -> bool {
    true
}

/// `POST /api/auth/password`. Keeps the session of the request, and ends every other session and all
/// grants.
///
/// # Errors
/// 400 if the new password is too short or the account has no password, 401, 403 for a wrong password,
/// 429.
#[utoipa::path(
    post, path = "/api/auth/password", operation_id = "AuthPasswordChange", tag = "auth",
    security(("browser" = [])),
    request_body = ChangePassword,
    responses(
        (status = 200, description = "Password changed; counts of revoked and of remaining credentials", body = Closed),
        responses::Invalid,
        responses::GuardErrors,
        responses::BodyErrors,
        responses::TooManyRequests,
    )
)]
pub async fn change(
    State(context): State<SharedContext>,
    person: Person,
    headers: HeaderMap,
    body: Result<JsonBody<ChangePassword>, ApiError>,
) -> Result<(AppendHeaders<Option<(HeaderName, String)>>, Json<Closed>), ApiError> {
    let JsonBody(ChangePassword {
        current,
        new,
        end_access_keys,
        end_client_secrets,
    }) = body?;
    let Person { session, address } = person;
    let handle = session.account.handle.to_lowercase();
    let account = session.account.id;
    check_new_password(&new)?;
    let row = account_passwords::find_by_id(&context.db, &account).await?;
    let Some(row) = row else {
        let detail = "This account has no password; an administrator can set one";
        return Err(ApiError::invalid(detail));
    };
    let mut limits = networks(SIGN_IN_ADDRESS, address);
    limits.push((SIGN_IN_PAIR, format!("{handle}\0{}", network_of(address))));
    limits.push((PASSWORD_CHANGE, account.to_string()));
    let attempt = context.limits.attempt(&limits).map_err(|wait| {
        context.record_account_refusal(Event::PasswordChangeLimited, &account);
        let detail = "Too many wrong passwords; wait before trying again";
        ApiError::new(Kind::TooManyRequests, detail).retry_after(wait.0)
    })?;
    let fits = current.reveal().len() <= PASSWORD_MAX;
    if !fits
        || !context
            .passwords
            .verify(&current, Some(&row.password_hash))
            .await?
    {
        attempt.failed();
        context.record_account_refusal(Event::PasswordChangeFailed, &account);
        return Err(wrong());
    }
    drop(attempt);
    let hash = context.passwords.hash(&new).await?;
    let entry = entry(&context, Event::PasswordChanged, &account, address);
    let hashes = (row.password_hash, hash.clone());
    let closing = AccountClosing {
        account: account.clone(),
        keep: Some(session.id),
        access_keys: end_access_keys,
        client_secrets: end_client_secrets,
        because: "password_changed",
    };
    let counted = closing.count_open(&context.db, entry.at).await?;
    let changed = context
        .db
        .write(
            (closing, hashes, entry),
            |tx, (closing, (old, new), entry)| {
                Box::pin(async move {
                    if !account_passwords::replace(tx, &closing.account, old, new).await? {
                        return Err(store::Error::RaceLost);
                    }
                    audit::insert(tx, entry).await?;
                    closing.close(tx, entry).await
                })
            },
        )
        .await;
    let ended = match changed {
        // a concurrent change was first: `current` is no longer the password
        Err(store::Error::RaceLost) => return Err(wrong()),
        changed => changed?.or_counted(counted),
    };
    let left = closing::count(&context.db, &account, context.clock.now()).await?;
    let who = AccountPassword {
        account: &account,
        password_hash: &hash,
    };
    // renew the device cookie, which is bound to the old password
    let device = device_cookie::remember(&context, &headers, who).await;
    let device = device.map(|cookie| (SET_COOKIE, cookie));
    Ok((AppendHeaders(device), Json(Closed { ended, left })))
}

fn wrong() -> ApiError {
    ApiError::forbidden("The current password is wrong")
}
