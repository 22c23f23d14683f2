//! The pushed authorization request endpoint, `POST /api/oauth/par` (RFC 9126).
//!
//! The client is authenticated as at the token endpoint, and the request is validated as at the authorization
//! endpoint, except for the member's part: sign-in, permissions and consent. A DPoP proof in the request binds the
//! authorization code to its key (RFC 9449 §10.1).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use time::Duration;
use utoipa::ToSchema;

use super::parameters::{
    AuthorizeParameters, KNOWN, PARAMETERS_BYTES_MAX, PUSHED_REQUEST_URI, REQUEST_ID,
};
use super::request::{ResolvedRequest, completed};
use super::{protection, request_object};
use crate::clients::documents::{self, Requester};
use crate::clients::{self, Credentials};
use crate::context::{Context, SharedContext};
use crate::dpop::{self as dpop_proof, Proof};
use crate::http::dpop::RequestHead;
use crate::http::endpoints::{refuse_client, require_enabled};
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, Decoded, credentials, read_form};
use crate::oauth::{OAuthError, dpop};
use crate::rate_limit::{PUSHED_REQUESTS, PUSHED_REQUESTS_CLIENT, networks};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::Event;
use crate::store::clients::Client;
use crate::store::dpop_proofs;
use crate::store::pushed_requests::{self, NewPushedRequest};
use crate::telemetry::metrics;

/// The path of the endpoint.
const PATH: &str = "/api/oauth/par";

/// Lifetime of a pushed request (RFC 9126 §2.2).
const PUSHED_TTL: Duration = Duration::seconds(60);

/// Parameters of client authentication (RFC 6749 §2.3.1, RFC 7521 §4.2).
const CREDENTIALS: &[&str] = &["client_secret", "client_assertion", "client_assertion_type"];

/// The parameters of a pushed request: those of an authorization request, and the credentials of the client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthPushedRequestProps)]
pub struct PushForm {
    /// The authorization request.
    #[serde(flatten)]
    pub request: AuthorizeParameters,
    /// The client secret, unless sent in the `Authorization` header.
    pub client_secret: Option<String>,
    /// A JWT signed by the client, in place of a secret (RFC 7523 §2.2).
    pub client_assertion: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    pub client_assertion_type: Option<String>,
}

/// The response (RFC 9126 §2.2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthPushedRequest)]
pub struct PushedRequest {
    /// The reference for the authorization endpoint, valid once and for this client.
    request_uri: String,
    /// Lifetime, in seconds.
    expires_in: i64,
}

/// `POST /api/oauth/par`.
#[utoipa::path(
    post,
    path = "/api/oauth/par",
    operation_id = "OAuthPushedRequest",
    tag = "auth",
    security((), ("client" = [])),
    params(("DPoP" = Option<String>, Header, description = "A DPoP proof: the authorization code is then bound to the key of the proof, as with the parameter dpop_jkt (RFC 9449 §10.1)")),
    request_body(content = PushForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 201, description = "The request is valid and stored", body = PushedRequest),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
        responses::OAuthTooManyRequests,
    ),
)]
pub async fn push(
    State(context): State<SharedContext>,
    address: ClientAddress,
    request: Request,
) -> Response {
    let outcome = answer(&context, address, request).await;
    metrics::pushed_request(
        outcome
            .as_ref()
            .map_or_else(|error| error.code.as_str(), |_| "ok"),
    );
    match outcome {
        Ok(pushed) => (StatusCode::CREATED, Json(pushed)).into_response(),
        Err(error) => refuse_client(&context, error),
    }
}

async fn answer(
    context: &Context,
    address: ClientAddress,
    request: Request,
) -> Result<PushedRequest, OAuthError> {
    require_enabled(context)?;
    let headers = request.headers().clone();
    let path = request.uri().path().to_owned();
    let syntax = context.config.policies.requests.form_syntax;
    let form = read_form(syntax, request, &[KNOWN, CREDENTIALS].concat()).await?;
    let policy = context.config.policies.client_authentication;
    let push = Push {
        credentials: credentials(policy, &headers, &form)?,
        head: RequestHead {
            method: &Method::POST,
            path: &path,
            headers: &headers,
        },
        form,
        address,
    };
    let client = push.client(context).await?;
    let pushed = push.store(context, &client).await;
    pushed.inspect_err(|error| context.record_client_error(PATH, &client, error))
}

/// A request to the endpoint.
struct Push<'a> {
    head: RequestHead<'a>,
    form: Decoded,
    credentials: Credentials,
    address: ClientAddress,
}

impl Push<'_> {
    /// Finds the client. The metadata document of a client is fetched, as at a device start.
    async fn client(&self, context: &Context) -> Result<Client, OAuthError> {
        let client_id = &self.credentials.client_id;
        if !documents::is_document(context, client_id) {
            return clients::identify(context, &self.credentials).await;
        }
        let visitor = Requester {
            account: None,
            address: self.address.0,
        };
        documents::find(context, client_id, visitor).await
    }

    /// Authenticates the client (RFC 9126 §2.1), and validates and stores the request.
    async fn store(self, context: &Context, client: &Client) -> Result<PushedRequest, OAuthError> {
        clients::prove(context, client, &self.credentials, self.address.0).await?;
        let proof = self.head.proof_of_client(context, client).await?;
        limit(context, client, self.address)?;
        let request = validate(context, client, self.form, proof.as_ref()).await?;
        save(context, &request, proof).await
    }
}

/// Limits the stored requests of a network and of a client.
fn limit(
    context: &Context,
    client: &Client,
    ClientAddress(address): ClientAddress,
) -> Result<(), OAuthError> {
    let mut limits = networks(PUSHED_REQUESTS, address);
    limits.push((PUSHED_REQUESTS_CLIENT, client.row_id.to_string()));
    context.limits.spend(&limits).map_err(|wait| {
        context.refused(Event::AuthorizationRequestLimited);
        let description =
            "Too many pushed authorization requests from this network or by this client";
        OAuthError::limited(description, wait.0)
    })
}

/// Validates the request as the authorization endpoint does (RFC 9126 §2.1 step 3).
async fn validate(
    context: &Context,
    client: &Client,
    form: Decoded,
    proof: Option<&Proof>,
) -> Result<ResolvedRequest, OAuthError> {
    let mut parameters = form;
    let is_parameter = |name: &String, value: &mut String| {
        KNOWN.contains(&name.as_str()) && name != REQUEST_ID && !value.is_empty()
    };
    parameters.values.retain(is_parameter);
    if parameters.get("request_uri").is_some() {
        return Err(OAuthError::invalid_request(
            "request_uri must not be pushed; push the parameters, or a request object as request",
        ));
    }
    let client_id = client.client_id.clone();
    parameters.values.insert("client_id".to_owned(), client_id);
    let parameters = parameters.within(PARAMETERS_BYTES_MAX)?;
    let now = context.clock.now();
    let parameters = request_object::expand(context, client, parameters, now).await?;
    request_object::fault(&parameters)?;
    protection::require_signature(client, &parameters)?;
    if client.fapi {
        // FAPI 2.0 §5.3.2.2 item 6
        let missing = "redirect_uri is missing: this client is held to FAPI 2.0";
        parameters.require("redirect_uri", missing)?;
    }
    let parameters = bind_to_key(parameters, proof)?;
    let (parameters, redirect_uri) = completed(context, client, parameters).await?;
    let request = ResolvedRequest {
        client: client.clone(),
        parameters,
        redirect_uri,
    };
    request.check(context).await?;
    Ok(request)
}

/// Binds the authorization code to the key of the proof, as the parameter `dpop_jkt` does (RFC 9449 §10.1).
///
/// # Errors
/// `invalid_request` if the parameter names another key.
fn bind_to_key(mut parameters: Decoded, proof: Option<&Proof>) -> Result<Decoded, OAuthError> {
    let Some(proof) = proof else {
        return Ok(parameters);
    };
    let key = proof.key.as_str();
    if parameters
        .get(dpop::PARAMETER)
        .is_some_and(|given| given != key)
    {
        return Err(OAuthError::invalid_request(
            "dpop_jkt is not the thumbprint of the key of the DPoP proof; send one of them, or both for one key",
        ));
    }
    let parameter = (dpop::PARAMETER.to_owned(), key.to_owned());
    parameters.values.extend([parameter]);
    Ok(parameters)
}

/// Stores the request, and records the proof in the same transaction.
async fn save(
    context: &Context,
    request: &ResolvedRequest,
    proof: Option<Proof>,
) -> Result<PushedRequest, OAuthError> {
    let (reference, now) = (Secret::generate(&context.random), context.clock.now());
    let new = NewPushedRequest {
        request_uri: reference.hash(),
        client: request.client.row_id.clone(),
        parameters: serde_json::json!(request.parameters.values),
        created_at: now,
        expires_at: now + PUSHED_TTL,
    };
    let used = proof.map(|proof| proof.used);
    let insert = context.db.write((new, used), |tx, (new, used)| {
        Box::pin(async move {
            if let Some(used) = used {
                dpop_proofs::spend(tx, used).await?;
            }
            pushed_requests::insert(tx, new).await
        })
    });
    insert.await.map_err(|error| match error {
        store::Error::Replayed => dpop_proof::replayed(),
        error => error.into(),
    })?;
    Ok(PushedRequest {
        request_uri: format!("{PUSHED_REQUEST_URI}{}", reference.reveal()),
        expires_in: PUSHED_TTL.whole_seconds(),
    })
}
