//! The parameters of a token request.

use crate::compat::Policies;
use crate::http::extract::Decoded;
use crate::oauth::OAuthError;
use crate::oauth::grant_type::GrantType;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::scope::{Scope, ScopeSyntax};
use crate::oauth::scope_parameter::{is_blank, scope_of};
use crate::oauth::token_exchange::TokenTypes;
use crate::secret::Secret;

/// The parameters that this endpoint reads.
pub(super) const KNOWN: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "scope",
    "resource",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "audience",
    "actor_token",
    "actor_token_type",
];

/// The parameters of a token request, one variant per grant.
#[derive(Debug)]
pub(super) enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret,
        /// The redirect URI of the authorization request.
        redirect_uri: Option<String>,
        /// The PKCE code verifier (RFC 7636 §4.5).
        code_verifier: Option<Secret>,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The token.
        refresh_token: Secret,
        /// A narrower scope than the granted one.
        scope: Option<Scope>,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 6749 §4.4.2.
    ClientCredentials {
        /// The requested scope.
        scope: Option<Scope>,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 8628 §3.4.
    DeviceCode {
        /// The device code.
        device_code: Secret,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 8693 §2.1.
    TokenExchange {
        /// The access token to exchange.
        subject_token: Secret,
        /// The requested scope.
        scope: Option<Scope>,
        /// The resources that the token is for: `resource` and `audience`, separated by spaces.
        target: Option<String>,
    },
    /// RFC 7523 §2.1.
    JwtBearer {
        /// The assertion of a trusted issuer.
        assertion: Secret,
        /// A narrower scope than that of the assertion.
        scope: Option<Scope>,
        /// Fewer resources than the assertion names (RFC 8707 §2.2).
        resource: Option<String>,
    },
}

impl TokenRequest {
    /// Reads the parameters of a grant.
    pub(super) fn parse(
        policies: &Policies,
        grant: GrantType,
        form: &Decoded,
    ) -> Result<Self, OAuthError> {
        let policy = policies.token_endpoint;
        let text = |name| form.get(name).map(str::to_owned);
        let resource = || text("resource").filter(|_| !policy.resource_ignored);
        let scope = || {
            let syntax = policies.requests.scope_syntax;
            // storyden-contract.md#scopes-for-client-credentials: a blank scope requests nothing
            let is_given = |scope: &&str| match syntax {
                ScopeSyntax::Spaces => !is_blank(Some(scope)),
                ScopeSyntax::WhiteSpace => !scope.is_empty(),
            };
            let given = form.get("scope").filter(is_given);
            given
                .map(|scope| scope_of(syntax, Some(scope), "Requested scope is not permitted"))
                .transpose()
        };
        if grant == GrantType::AuthorizationCode && policy.parameters_checked_first {
            let of = |kind| move |error: OAuthError| error.mistake(kind, None);
            form.require("code", "Missing authorization code")?;
            form.require("redirect_uri", "Missing redirect_uri")
                .map_err(of(MistakeKind::RedirectUriRepeat))?;
            form.require("code_verifier", "Missing code_verifier")
                .map_err(of(MistakeKind::VerifierMissing))?;
        }
        Ok(match grant {
            GrantType::AuthorizationCode => Self::AuthorizationCode {
                code: Secret::new(form.require("code", "Missing authorization code")?),
                redirect_uri: text("redirect_uri"),
                code_verifier: text("code_verifier").map(Secret::new),
                resource: resource(),
            },
            GrantType::RefreshToken => Self::RefreshToken {
                refresh_token: Secret::new(form.require("refresh_token", "Missing refresh_token")?),
                scope: if policy.refresh_scope_ignored {
                    None
                } else {
                    scope()?
                },
                resource: resource(),
            },
            GrantType::ClientCredentials => Self::ClientCredentials {
                scope: scope()?,
                resource: resource(),
            },
            GrantType::DeviceCode => Self::DeviceCode {
                device_code: Secret::new(form.require("device_code", "Missing device_code")?),
                resource: resource(),
            },
            GrantType::TokenExchange => {
                token_types(form).check()?;
                let subject = form.require("subject_token", "Missing subject_token")?;
                let target = [resource(), text("audience")].into_iter().flatten();
                Self::TokenExchange {
                    subject_token: Secret::new(subject),
                    scope: scope()?,
                    target: Some(target.collect::<Vec<_>>().join(" ")).filter(|t| !t.is_empty()),
                }
            }
            GrantType::JwtBearer => Self::JwtBearer {
                assertion: Secret::new(form.require("assertion", "Missing assertion")?),
                scope: scope()?,
                resource: resource(),
            },
        })
    }
}

fn token_types(form: &Decoded) -> TokenTypes<'_> {
    TokenTypes {
        subject: form.get("subject_token_type"),
        requested: form.get("requested_token_type"),
        has_actor: form.get("actor_token").is_some() || form.get("actor_token_type").is_some(),
    }
}

/// The parameters of all grants.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthTokenProps)]
pub struct TokenForm {
    /// The grant type (RFC 6749 §4.5).
    pub grant_type: String,
    /// The client id, unless sent in the `Authorization` header.
    pub client_id: Option<String>,
    /// The client secret, unless sent in the `Authorization` header.
    pub client_secret: Option<String>,
    /// The authorization code.
    pub code: Option<String>,
    /// The redirect URI of the authorization request, if that request had one.
    pub redirect_uri: Option<String>,
    /// The PKCE code verifier (RFC 7636 §4.5).
    pub code_verifier: Option<String>,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The device code (RFC 8628 §3.4).
    pub device_code: Option<String>,
    /// Requested scopes, separated by spaces.
    pub scope: Option<String>,
    /// The resource that the token is for, of the granted resources. May be repeated (RFC 8707 §2.2).
    pub resource: Option<String>,
    /// A JWT signed by the client, in place of a secret (RFC 7523 §2.2).
    pub client_assertion: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    pub client_assertion_type: Option<String>,
    /// The assertion of a trusted issuer, an ID-JAG (RFC 7523 §2.1).
    pub assertion: Option<String>,
    /// The access token to exchange (RFC 8693 §2.1).
    pub subject_token: Option<String>,
    /// `urn:ietf:params:oauth:token-type:access_token` or `urn:ietf:params:oauth:token-type:jwt`.
    pub subject_token_type: Option<String>,
    /// `urn:ietf:params:oauth:token-type:access_token`, also if absent.
    pub requested_token_type: Option<String>,
    /// As `resource`, for a token exchange. May be repeated.
    pub audience: Option<String>,
}
