//! The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
//!
//! The check has two steps. First the client and the redirect URI: an error there is never redirected.
//! Then the remaining parameters: an error there is sent to the client's redirect URI.

use std::collections::BTreeMap;

use serde::Deserialize;
use time::Duration;

use super::claims_request::ClaimsRequest;
use super::dpop::{self, Thumbprint};
use super::error::{ErrorCode, OAuthError};
use super::mistake::MistakeKind;
use super::pkce::CodeChallenge;
use super::scope::{Scope, ScopeSyntax};
use super::scope_parameter::scope_of;
use super::unverified_claims::unverified_claims;
use crate::clock::Timestamp;

/// The parameters of a request: each given once, empty values left out.
pub type Parameters = BTreeMap<String, String>;

/// A well-formed request. The granted scope is decided later.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// The requested scope.
    pub scope: Scope,
    /// `state`, returned unchanged.
    pub state: Option<String>,
    /// `nonce`, copied into the ID token unchanged.
    pub nonce: Option<String>,
    /// The PKCE challenge; absent for a client that is exempt from PKCE.
    pub code_challenge: Option<CodeChallenge>,
    /// The way of the response to the client.
    pub response_mode: ResponseMode,
    /// The claims that the client requests one by one.
    pub claims: ClaimsRequest,
    /// The key that the code is bound to (RFC 9449 §10).
    pub dpop_jkt: Option<Thumbprint>,
}

/// The way of an authorization response to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// Parameters in the query of a redirect (RFC 6749 §4.1.2).
    #[default]
    Query,
    /// A form, posted by the browser (OAuth 2.0 Form Post Response Mode §2).
    FormPost,
}

impl ResponseMode {
    /// The values of `response_modes_supported`.
    pub const NAMES: &[&'static str] = &["query", "form_post"];

    /// The value on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }

    /// The mode of a value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Query, Self::FormPost]
            .into_iter()
            .find(|mode| mode.name() == name)
    }

    /// Returns the mode for errors of a request. A browser cannot post a form to a private-use scheme, and a
    /// mode that does not exist is itself an error: both are reported by redirect. The error for a request object
    /// that is not supported is sent in the mode of the object, because a client may send the mode nowhere else
    /// (OpenID Connect Core §6.1).
    #[must_use]
    pub fn of(parameters: &Parameters, redirect_uri: &str) -> Self {
        let mode = match (parameters.get("response_mode"), parameters.get("request")) {
            (None, Some(object)) => Self::in_request_object(object),
            (mode, _) => mode.and_then(|mode| Self::from_name(mode)),
        };
        mode.filter(|mode| *mode == Self::Query || takes_forms(redirect_uri))
            .unwrap_or_default()
    }

    /// The mode in a request object. The signature is not verified: the redirect URI is registered, and both modes
    /// send the same error there.
    fn in_request_object(object: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Claims {
            response_mode: String,
        }
        let claims: Claims = unverified_claims(object)?;
        Self::from_name(&claims.response_mode)
    }
}

/// True if a browser can post a form to the URI.
fn takes_forms(uri: &str) -> bool {
    let scheme = uri.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

impl AuthorizationRequest {
    /// Checks the parameters of a request with a valid client and redirect URI. `pkce_required` is true
    /// if this client must use PKCE.
    ///
    /// # Errors
    /// The error that is sent to the redirect URI.
    pub fn parse(
        parameters: &Parameters,
        redirect_uri: &str,
        pkce_required: bool,
    ) -> Result<Self, OAuthError> {
        let get = |name: &str| parameters.get(name).map(String::as_str);
        refuse_request_objects(parameters)?;
        match get("response_type") {
            Some("code") => {}
            Some(other) => {
                let description = "response_type must be code; this server has no other";
                let error = OAuthError::unsupported_response_type(description);
                return Err(error.mistake(MistakeKind::Request, Some(other)));
            }
            None => {
                let description = "response_type is missing; it must be code";
                return Err(OAuthError::invalid_request(description));
            }
        }
        let response_mode = response_mode(get("response_mode"), redirect_uri)?;
        let nonce = get("nonce").map(str::to_owned);
        let code_challenge = challenge_of(get("code_challenge"), get("code_challenge_method"))?;
        // OAuth 2.1 §4.1.2.1. A client that its owner or an administrator exempted needs no nonce either:
        // libraries without PKCE often send none.
        if code_challenge.is_none() && pkce_required {
            let error = OAuthError::invalid_request(
                "code_challenge is missing, because this server requires PKCE; switch on PKCE with \
                 the method S256 in the library of the client. For a client with a secret, the owner \
                 or an administrator can switch off the requirement",
            );
            return Err(error.mistake(MistakeKind::PkceMissing, None));
        }
        Ok(Self {
            scope: scope_of(ScopeSyntax::Spaces, get("scope"), "")?,
            state: get("state").map(str::to_owned),
            nonce,
            code_challenge,
            response_mode,
            claims: claims_of(parameters)?,
            dpop_jkt: dpop_jkt_of(get(dpop::PARAMETER))?,
        })
    }
}

/// Parses `claims`; an absent parameter requests nothing.
///
/// # Errors
/// `invalid_request`, for the redirect URI.
pub fn claims_of(parameters: &Parameters) -> Result<ClaimsRequest, OAuthError> {
    let claims = parameters.get("claims");
    claims.map_or_else(
        || Ok(ClaimsRequest::default()),
        |text| ClaimsRequest::parse(text),
    )
}

/// Parses `dpop_jkt` (RFC 9449 §10).
fn dpop_jkt_of(given: Option<&str>) -> Result<Option<Thumbprint>, OAuthError> {
    let parse = |text| {
        Thumbprint::parse(text).ok_or_else(|| {
            OAuthError::invalid_request(
                "dpop_jkt must be the base64url SHA-256 thumbprint of the public key: 43 characters, no \
                 padding",
            )
        })
    };
    given.map(parse).transpose()
}

fn response_mode(given: Option<&str>, redirect_uri: &str) -> Result<ResponseMode, OAuthError> {
    let mode = given.map_or(Some(ResponseMode::Query), ResponseMode::from_name);
    match mode {
        None => {
            let description = "response_mode must be query or form_post";
            Err(OAuthError::invalid_request(description))
        }
        Some(ResponseMode::FormPost) if !takes_forms(redirect_uri) => {
            let description = "response_mode form_post needs a redirect URI with https or http";
            Err(OAuthError::invalid_request(description))
        }
        Some(mode) => Ok(mode),
    }
}

/// OpenID Connect Core §3.1.2.6 and §6: request objects by reference, and those that the caller has not replaced by
/// their parameters, are not supported and never ignored silently.
fn refuse_request_objects(parameters: &Parameters) -> Result<(), OAuthError> {
    let refused = [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ];
    match refused
        .into_iter()
        .find(|(name, _)| parameters.contains_key(*name))
    {
        None => Ok(()),
        Some((name, code)) => Err(OAuthError::new(
            code,
            format!("the parameter {name} is not supported here"),
        )),
    }
}

/// RFC 7636 §4.3 and §4.4.1; only S256.
fn challenge_of(
    challenge: Option<&str>,
    method: Option<&str>,
) -> Result<Option<CodeChallenge>, OAuthError> {
    let challenge = match (challenge, method) {
        (Some(challenge), Some("S256")) => challenge,
        (_, Some(method)) if method != "S256" => {
            let error = OAuthError::invalid_request("code_challenge_method must be S256");
            return Err(error.mistake(MistakeKind::PkceMethod, Some(method)));
        }
        // §4.3: without a method the challenge would be plain.
        (Some(_), _) => {
            let description = "code_challenge_method is missing; it must be S256";
            let error = OAuthError::invalid_request(description);
            return Err(error.mistake(MistakeKind::PkceMethod, None));
        }
        (None, _) => return Ok(None),
    };
    CodeChallenge::parse(challenge).map(Some).ok_or_else(|| {
        let error = OAuthError::invalid_request(
            "code_challenge must be the base64url SHA-256 of the verifier: 43 characters, no padding",
        );
        error.mistake(MistakeKind::PkceChallenge, None)
    })
}

/// The parameters that control sign-in and consent (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the values of `prompt` are independent"
)]
pub struct Interaction {
    /// `prompt=none`: no page may be shown.
    pub silent: bool,
    /// `prompt=login`: the person signs in again after this request.
    pub fresh_login: bool,
    /// `prompt=select_account`: the person chooses an account after this request, or signs in.
    pub account_choice: bool,
    /// `prompt=consent`: the consent page is shown, regardless of earlier approvals.
    pub consent_page: bool,
    /// `max_age`: the longest time since the person's sign-in.
    pub max_age: Option<Duration>,
}

impl Interaction {
    /// Parses `prompt` and `max_age`.
    ///
    /// # Errors
    /// `invalid_request` for contradictory values.
    pub fn parse(parameters: &Parameters) -> Result<Self, OAuthError> {
        let prompt = parameters
            .get("prompt")
            .map(String::as_str)
            .unwrap_or_default();
        let has = |value: &str| prompt.split(' ').any(|one| one == value);
        let silent = Self::is_silent(parameters);
        if silent && prompt != "none" {
            return Err(OAuthError::invalid_request(
                "prompt=none cannot be combined with other \
                values",
            ));
        }
        let max_age = match parameters.get("max_age") {
            None => None,
            Some(seconds) if seconds.bytes().all(|byte| byte.is_ascii_digit()) => {
                // 136 years: larger values mean the same.
                let seconds = seconds.parse().unwrap_or(u32::MAX);
                Some(Duration::seconds(seconds.into()))
            }
            Some(_) => {
                let description = "max_age must be a number of seconds, 0 or more";
                return Err(OAuthError::invalid_request(description));
            }
        };
        Ok(Self {
            silent,
            fresh_login: has("login"),
            account_choice: has("select_account"),
            consent_page: has("consent"),
            max_age,
        })
    }

    /// True if `prompt` contains `none`: no page is shown then, even if other parameters are invalid.
    #[must_use]
    pub fn is_silent(parameters: &Parameters) -> bool {
        let prompt = parameters.get("prompt").map(String::as_str);
        prompt.is_some_and(|prompt| prompt.split(' ').any(|one| one == "none"))
    }

    /// True if a person who signed in at `auth_time` must sign in again for a request made at
    /// `asked_at`. `None` is an access key, which proves no sign-in and satisfies neither
    /// `prompt=login` nor `max_age`.
    #[must_use]
    pub fn demands_login(
        &self,
        auth_time: Option<Timestamp>,
        asked_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let Some(auth_time) = auth_time else {
            return self.fresh_login || self.max_age.is_some();
        };
        let too_old = self
            .max_age
            .is_some_and(|age| now - auth_time > age && auth_time < asked_at);
        too_old || self.fresh_login && auth_time <= asked_at
    }

    /// True if a person who signed in at `auth_time` must still choose an account for a request made at
    /// `asked_at`. A sign-in after the request is a choice.
    #[must_use]
    pub fn demands_choice(&self, auth_time: Option<Timestamp>, asked_at: Timestamp) -> bool {
        self.account_choice && auth_time.is_none_or(|at| at <= asked_at)
    }
}
