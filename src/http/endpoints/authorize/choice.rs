//! The choice among the accounts of a browser: `POST /api/oauth/authorize/account` (OpenID Connect Core §3.1.2.1,
//! `prompt=select_account`).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pending_cookie::browsers_of;
use crate::context::{Context, SharedContext};
use crate::http::cookies::set_cookies;
use crate::http::error::{ApiError, Kind, responses};
use crate::http::extract::JsonBody;
use crate::http::guards::require_own_origin;
use crate::http::member::accounts;
use crate::ids::AccountId;
use crate::secret::Secret;
use crate::store;
use crate::store::authorization_requests;

/// A choice of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OAuthAuthoriseAccountProps)]
pub struct ChoiceBody {
    /// An account that is signed in in this browser.
    account_id: String,
    /// The pending authorization request that the account is chosen for, if any.
    #[schema(value_type = Option<String>)]
    request_id: Option<Secret>,
}

/// The account that is now the current account of the browser.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthAuthoriseAccount)]
pub struct Chosen {
    /// Account id.
    id: AccountId,
}

/// `POST /api/oauth/authorize/account`: makes a different signed-in account of the browser the current account.
///
/// # Errors
/// 403 for a page of a foreign origin, 404 if the account is not signed in in this browser.
#[utoipa::path(
    post,
    path = "/api/oauth/authorize/account",
    operation_id = "OAuthAuthoriseAccount",
    tag = "auth",
    security((), ("browser" = [])),
    request_body = ChoiceBody,
    responses(
        (
            status = 200,
            description = "The account is the current account",
            body = Chosen,
            headers(("Set-Cookie" = String, description = "Session cookie of the account"))
        ),
        responses::Invalid,
        responses::Forbidden,
        responses::NotFound,
        responses::BodyErrors,
    ),
)]
pub async fn choose(
    State(context): State<SharedContext>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ChoiceBody>,
) -> Result<impl IntoResponse, ApiError> {
    require_own_origin(&context, &Method::POST, &headers)?;
    let account = AccountId::new(body.account_id);
    let cookies = accounts::choose(&context, &headers, &account).await?;
    let cookies = cookies.ok_or_else(|| {
        let detail = "This account is not signed in in this browser; sign in with the password";
        ApiError::new(Kind::NotFound, detail)
    })?;
    if let Some(request_id) = &body.request_id {
        record(&context, &headers, request_id, &account).await?;
    }
    Ok((set_cookies(cookies), Json(Chosen { id: account })))
}

/// Records the choice for a pending request of this browser. A request that is not pending stays as it is.
async fn record(
    context: &Context,
    headers: &HeaderMap,
    request_id: &Secret,
    account: &AccountId,
) -> Result<(), store::Error> {
    let hash = request_id.hash();
    let browsers = browsers_of(headers, &hash);
    let pending = authorization_requests::find_pending(&context.db, &hash).await?;
    if pending.is_some_and(|pending| pending.is_open(&browsers, context.clock.now())) {
        authorization_requests::choose_account(&context.db, &hash, account).await?;
    }
    Ok(())
}
