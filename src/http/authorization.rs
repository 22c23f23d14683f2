//! The header `Authorization`, and access tokens in requests to this server: as bearer tokens (RFC 6750 §2), or
//! bound to a key, with a proof of the key (DPoP, RFC 9449 §7).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::compat::{BearerScheme, Policies};
use crate::context::Context;
use crate::http::dpop::RequestHead;
use crate::keys::Verified;
use crate::oauth::OAuthError;
use crate::oauth::access_token::{
    self, AccessTokenFormat, ForWhom, ReadClaims, VerifiedAccessToken,
};
use crate::oauth::dpop::{AuthScheme, DpopSupport, SCHEME};
use crate::secret::Secret;
use crate::store::accounts::TokenAccount;
use crate::store::{self, accounts};

/// The content of the `Authorization` header.
pub enum Authorization {
    /// No header, or a scheme other than Bearer and DPoP.
    None,
    /// A bearer token (RFC 6750 §2.1).
    Bearer(Secret),
    /// An access token that is bound to a key (RFC 9449 §7.1).
    Dpop(Secret),
    /// Several `Authorization` headers (RFC 6750 §2).
    Ambiguous,
}

/// Reads the token in the `Authorization` header of a request.
#[must_use]
pub fn authorization(policies: &Policies, headers: &HeaderMap) -> Authorization {
    match presented(policies, headers) {
        Presented::None => Authorization::None,
        Presented::Token(AuthScheme::Bearer, token) => Authorization::Bearer(Secret::new(token)),
        Presented::Token(AuthScheme::Dpop, token) => Authorization::Dpop(Secret::new(token)),
        Presented::Ambiguous => Authorization::Ambiguous,
    }
}

/// [`Authorization`], borrowed from the request.
enum Presented<'a> {
    None,
    Token(AuthScheme, &'a str),
    Ambiguous,
}

fn presented<'a>(policies: &Policies, headers: &'a HeaderMap) -> Presented<'a> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Presented::Ambiguous;
    }
    let Some((name, token)) = first.and_then(|value| value.to_str().ok()?.split_once(' ')) else {
        return Presented::None;
    };
    match policies.callers.bearer_scheme {
        _ if policies.tokens.dpop == DpopSupport::Supported
            && name.eq_ignore_ascii_case(SCHEME) =>
        {
            Presented::Token(AuthScheme::Dpop, token.trim())
        }
        BearerScheme::AnyCase if name.eq_ignore_ascii_case("bearer") => {
            Presented::Token(AuthScheme::Bearer, token.trim())
        }
        BearerScheme::Exact if name == "Bearer" && !token.starts_with(' ') => {
            Presented::Token(AuthScheme::Bearer, token)
        }
        _ => Presented::None,
    }
}

/// Returns the scheme of the challenge for a request: that of the token, or `Bearer`.
#[must_use]
pub fn challenge_scheme(policies: &Policies, headers: &HeaderMap) -> AuthScheme {
    match presented(policies, headers) {
        Presented::Token(scheme, _) => scheme,
        Presented::None | Presented::Ambiguous => AuthScheme::Bearer,
    }
}

/// A credential of the header `Authorization`.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// RFC 6750 §2.1, or in the form of a request (§2.2).
    Bearer(&'a Secret),
    /// RFC 9449 §7.1, with the request that the proof is for; without a request, no proof is checked.
    Dpop(&'a Secret, Option<RequestHead<'a>>),
}

impl<'a> Credential<'a> {
    fn token(self) -> &'a Secret {
        match self {
            Self::Bearer(token) | Self::Dpop(token, _) => token,
        }
    }
}

/// The reason why an access token does not authenticate a request.
#[derive(Debug)]
pub enum TokenError {
    /// An error for the client: `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`.
    Refused(Box<OAuthError>),
    /// The database is unavailable.
    Store(store::Error),
}

impl From<store::Error> for TokenError {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<OAuthError> for TokenError {
    fn from(error: OAuthError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Refused(error) => *error,
            TokenError::Store(error) => error.into(),
        }
    }
}

/// Returns the error for an invalid credential.
#[must_use]
pub fn invalid_token() -> OAuthError {
    OAuthError::invalid_token("The access token is malformed, expired or revoked")
}

/// Accepts the access token of a request to this server: verifies the token (RFC 9068 §4) and the proof of its
/// key (RFC 9449 §7), and loads the account. The token is verified first, so that only holders of a valid token
/// cause the verification and the recording of a proof.
///
/// The caller checks `USE_OAUTH_CLIENTS`.
///
/// # Errors
/// [`TokenError`].
pub async fn accept_access_token(
    context: &Context,
    credential: Credential<'_>,
) -> Result<(VerifiedAccessToken, TokenAccount), TokenError> {
    let secret = credential.token();
    let token = read_access_token(context, secret, ForWhom::Us).await?;
    let token = token.ok_or_else(invalid_token)?;
    let proof = match (credential, &token.key) {
        (Credential::Bearer(_), None) | (Credential::Dpop(_, None), Some(_)) => None,
        (Credential::Dpop(_, Some(head)), Some(key)) => {
            Some(head.check_resource_proof(context, secret, key).await??)
        }
        // RFC 9449 §7.2: a stolen token must not be usable as a bearer token
        (Credential::Bearer(_), Some(_)) => {
            return Err(OAuthError::invalid_token(
                "The access token is bound to a key; send the token with the scheme DPoP and a proof",
            )
            .into());
        }
        (Credential::Dpop(..), None) => {
            return Err(OAuthError::invalid_token(
                "The access token is not bound to a key; send the token with the scheme Bearer",
            )
            .into());
        }
    };
    let found = load_account(context, token).await?;
    let found = found.ok_or_else(invalid_token)?;
    if let Some(proof) = proof.filter(|_| found.1.is_of_fapi_client) {
        proof.require_fapi_algorithm()?;
    }
    Ok(found)
}

/// Verifies an access token (RFC 9068 §4) that is the subject of a request, not its credential, and loads the
/// account: a proof is not needed. `None` if the token is malformed,
/// expired or revoked, the grant is revoked, the client is deleted, or the account is suspended,
/// deleted or without `USE_OAUTH_CLIENTS`.
///
/// # Errors
/// If the database is unavailable.
pub async fn verify_access_token(
    context: &Context,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<(VerifiedAccessToken, TokenAccount)>, store::Error> {
    let Some(token) = read_access_token(context, token, whom).await? else {
        return Ok(None);
    };
    let found = load_account(context, token).await?;
    Ok(found.filter(|(_, found)| found.account.may_use_clients()))
}

/// Loads the account of a verified access token. `None` if the token or the grant is revoked, the client is
/// deleted, or the account is suspended or deleted.
async fn load_account(
    context: &Context,
    token: VerifiedAccessToken,
) -> Result<Option<(VerifiedAccessToken, TokenAccount)>, store::Error> {
    let origin = accounts::TokenOrigin {
        account: &token.account,
        grant: token.grant.as_ref(),
        jti: token.jti.as_deref(),
        client_id: token.client_id.as_deref(),
        kid: token.kid.as_deref(),
    };
    let found = accounts::find_by_token(&context.db, origin, context.clock.now()).await?;
    Ok(found
        .filter(|found| !found.account.suspended)
        .map(|found| (token, found)))
}

/// Verifies the signature and the claims of an access token (RFC 9068 §4). Does not check revocation or
/// the account.
///
/// # Errors
/// If the database is unavailable and the keys in memory may be out of date.
pub async fn read_access_token(
    context: &Context,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<VerifiedAccessToken>, store::Error> {
    let Some(keys) = &context.keys else {
        return Ok(None);
    };
    let format = context.config.policies.tokens.access_token_format;
    let verified: Option<Verified<ReadClaims>> = match format {
        AccessTokenFormat::Rfc9068 => keys.verify(access_token::TYPE, token.reveal()).await?,
        AccessTokenFormat::PlainJwt => keys.verify_any(token.reveal()).await?,
    };
    let Some(Verified { claims, kid }) = verified else {
        return Ok(None);
    };
    let token = claims.verify(format, &context.config.issuer(), whom, context.clock.now());
    Ok(token.map(|token| token.signed_by(kid)))
}
