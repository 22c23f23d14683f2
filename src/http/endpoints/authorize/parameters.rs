//! Parameters of the authorization endpoint (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core
//! §3.1.2.1).

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::context::Context;
use crate::http::endpoints::require_enabled;
use crate::http::extract::{Decoded, decode};
use crate::oauth::OAuthError;
use crate::oauth::dpop;
use crate::secret::Secret;

/// The error description of a request without `client_id`.
pub(super) const CLIENT_ID_MISSING: &str = "client_id is missing";

/// The parameter with the id of a pending request.
pub(super) const REQUEST_ID: &str = "request_id";

/// Size limit for the stored parameters of one authorization request, in bytes. Requests are stored
/// before sign-in, so a small request must not become a large row.
pub(super) const PARAMETERS_BYTES_MAX: usize = 8 * 1_024;

/// The prefix of the `request_uri` of a pushed request (RFC 9126 §2.2).
pub(super) const PUSHED_REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// Markers, stored beside the parameters of a request. They cannot collide with a parameter, because only names in
/// [`KNOWN`] are decoded. This marker: the name of the first repeated parameter.
pub(super) const REPEATED: &str = "(repeated)";

/// Marks a request that was pushed.
pub(super) const PUSHED: &str = "(pushed)";

/// Marks a request whose parameters are from a verified request object.
pub(super) const SIGNED: &str = "(signed)";

/// Marks a request whose request object was rejected: the fault.
pub(super) const INVALID_OBJECT: &str = "(invalid request object)";

/// The parameters that this endpoint reads; others are ignored (RFC 6749 §3.1).
pub(super) const KNOWN: &[&str] = &[
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "acr_values",
    "display",
    "ui_locales",
    "claims",
    "claims_locales",
    "request",
    "request_uri",
    "registration",
    "resource",
    dpop::PARAMETER,
    REQUEST_ID,
];

/// The parameters of an authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
#[derive(Debug, IntoParams, Serialize, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = OAuthAuthoriseProps)]
pub struct AuthorizeParameters {
    /// `code`.
    pub response_type: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// The redirect URI of the answer. Optional if the client registered exactly one.
    pub redirect_uri: Option<String>,
    /// Requested scopes, separated by spaces.
    pub scope: Option<String>,
    /// Returned unchanged.
    pub state: Option<String>,
    /// Copied to the ID token.
    pub nonce: Option<String>,
    /// The SHA-256 of a `code_verifier`, base64url.
    pub code_challenge: Option<String>,
    /// `S256`.
    pub code_challenge_method: Option<String>,
    /// `query` or `form_post`.
    pub response_mode: Option<String>,
    /// `none`, or a list of `login`, `select_account` and `consent`, separated by spaces.
    pub prompt: Option<String>,
    /// Maximum age of the sign-in, in seconds.
    pub max_age: Option<String>,
    /// A handle or e-mail address to fill in on the login page.
    pub login_hint: Option<String>,
    /// An ID token of the account that must be signed in.
    pub id_token_hint: Option<String>,
    /// Requested authentication context classes, separated by spaces. Voluntary: the ID token tells the
    /// class in `acr`.
    pub acr_values: Option<String>,
    /// Claims requested one by one, a JSON object (OpenID Connect Core §5.5).
    pub claims: Option<String>,
    /// The resource that the tokens are for. May be repeated (RFC 8707 §2.1).
    pub resource: Option<String>,
    /// A request object: a JWT with the parameters, signed by the client (RFC 9101). Replaces all other parameters
    /// except `client_id`.
    pub request: Option<String>,
    /// The `request_uri` of a pushed request (RFC 9126). Replaces all other parameters except `client_id`.
    pub request_uri: Option<String>,
    /// SHA-256 thumbprint of the public key whose DPoP proof the token request will have (RFC 9449 §10).
    pub dpop_jkt: Option<String>,
    /// The id of a pending request. Resumes that request and replaces all other parameters.
    pub request_id: Option<String>,
}

/// The content of a request to this endpoint.
pub(super) enum Sent {
    /// The parameters of a new request.
    Parameters(Decoded),
    /// A reference to a pushed request.
    Pushed(Reference),
    /// The id of a pending request.
    RequestId(Secret),
}

impl Sent {
    /// Reads the decoded parameters of a request.
    ///
    /// # Errors
    /// An error that is not redirected: OAuth is off, or the parameters are malformed, too long, or
    /// repeat the client id or the redirect URI.
    pub(super) fn read(
        context: &Context,
        decoded: Result<Decoded, OAuthError>,
    ) -> Result<Self, OAuthError> {
        require_enabled(context)?;
        let mut parameters = decoded?.within(PARAMETERS_BYTES_MAX)?;
        if context.config.protects_requests()
            && let Some(reference) = Reference::of(&parameters)
        {
            return reference.unless_ambiguous(&parameters).map(Self::Pushed);
        }
        let decisive = ["client_id", "redirect_uri", "request", "request_uri"];
        let decisive = |name: &&&str| decisive.contains(*name);
        if let Some(name) = parameters.repeated.iter().find(decisive) {
            return Err(OAuthError::invalid_request(format!(
                "{name} is given more than once"
            )));
        }
        let request_id = parameters.values.remove(REQUEST_ID);
        match (request_id, parameters.get("client_id")) {
            (Some(request_id), None) => Ok(Self::RequestId(Secret::new(request_id))),
            (_, Some(_)) => Ok(Self::Parameters(parameters)),
            (None, None) => Err(OAuthError::invalid_request(CLIENT_ID_MISSING)),
        }
    }
}

/// A reference to a pushed request, as sent to the authorization endpoint.
pub(super) struct Reference {
    pub(super) client_id: String,
    /// The random part of the `request_uri`.
    pub(super) request_uri: Secret,
}

impl Reference {
    /// Reads the reference of a request; `None` for other requests. All parameters beside `client_id` and
    /// `request_uri` are ignored.
    pub(super) fn of(parameters: &Decoded) -> Option<Self> {
        let request_uri = parameters.get("request_uri")?;
        let request_uri = request_uri.strip_prefix(PUSHED_REQUEST_URI)?;
        Some(Self {
            client_id: parameters.get("client_id")?.to_owned(),
            request_uri: Secret::new(request_uri),
        })
    }

    /// Returns the id of the request while it waits for the sign-in. A browser that opens the reference again finds its
    /// request by this id; the cookie of the pending request tells that it is the same browser.
    pub(super) fn pending_id(&self) -> Secret {
        let text = format!("pending {}", self.request_uri.reveal());
        Secret::new(Secret::new(text).hash().as_str())
    }

    /// Rejects a reference beside a second reference, a second client id or a request object (RFC 9101 §5).
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn unless_ambiguous(self, parameters: &Decoded) -> Result<Self, OAuthError> {
        let is_decisive = |name: &&&str| matches!(**name, "client_id" | "request_uri");
        if let Some(name) = parameters.repeated.iter().find(is_decisive) {
            let description = format!("{name} is given more than once");
            return Err(OAuthError::invalid_request(description));
        }
        if parameters.get("request").is_some() {
            let description = "request and request_uri cannot be combined";
            return Err(OAuthError::invalid_request(description));
        }
        Ok(self)
    }
}

/// True if a query has a request object or the `request_uri` of a pushed request, and these are enabled.
pub(super) fn has_protection(context: &Context, query: &str) -> bool {
    let decoded = decode(query, &["request", "request_uri"]);
    context.config.protects_requests() && decoded.is_ok_and(|decoded| !decoded.values.is_empty())
}
