//! Acceptance of an identity assertion: claims, issuer, signature, account.

use crate::clock::Timestamp;
use crate::context::Context;
use crate::keys::{self, AssertionError};
use crate::oauth::OAuthError;
use crate::oauth::error_value::named;
use crate::oauth::id_jag::Claims;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::accounts::{self, Account};
use crate::store::issuers::{self as rows, Issuer};

/// An accepted assertion.
#[derive(Debug)]
pub struct Accepted {
    /// The issuer.
    pub issuer: Issuer,
    /// The account of the subject, not suspended.
    pub account: Account,
    /// Verified claims.
    pub claims: Claims,
    /// Hash of issuer and `jti`, to be stored against replay.
    pub spent: SecretHash,
    /// Time from which the assertion is refused as expired.
    pub expires_at: Timestamp,
}

/// Verifies an assertion for a client, and finds the account of its subject. The claims are checked before the
/// keys are fetched, so that a useless assertion causes no request.
///
/// # Errors
/// `invalid_grant` with the reason (RFC 7521 §4.1.1); `temporarily_unavailable` if the keys of the issuer were
/// fetched too often or are unavailable.
pub async fn accept(
    context: &Context,
    client_id: &str,
    assertion: &Secret,
) -> Result<Accepted, OAuthError> {
    let text = assertion.reveal();
    let claims: Option<Claims> = keys::peek_assertion(text);
    let claims = claims.ok_or_else(|| refuse("is no JWT with iss, sub, aud, client_id and exp"))?;
    let now = context.clock.now();
    let once = claims
        .check(client_id, &context.config.issuer(), now)
        .map_err(refuse)?;
    let issuer = rows::find(&context.db, &claims.iss).await?.ok_or_else(|| {
        let issuer = named("the issuer", &claims.iss);
        OAuthError::invalid_grant(format!("{issuer} of the assertion is not trusted here"))
    })?;
    let malformed = || {
        refuse(
            "must have the typ oauth-id-jag+jwt, an asymmetric alg, as in RS256, ES256 or EdDSA, and no crit",
        )
    };
    if !keys::is_identity_assertion(text) {
        return Err(malformed());
    }
    super::keys::check_signature(context, &issuer, text)
        .await?
        .map_err(|why| match why {
            AssertionError::Malformed => malformed(),
            AssertionError::NoKey => refuse("is signed by none of the issuer's keys"),
        })?;
    let spent = Secret::new(format!("id-jag\0{}\0{}", issuer.id, once.jti)).hash();
    let expires_at = Timestamp::from_unix_seconds(once.expires_at);
    let account = account_of(context, &issuer, &claims).await?;
    let account = account.ok_or_else(|| {
        refuse("has a subject that is not mapped to an account of this community")
    })?;
    if account.suspended || !account.may_use_clients() {
        return Err(refuse(
            "is for an account that is suspended or may not use applications",
        ));
    }
    Ok(Accepted {
        issuer,
        account,
        claims,
        spent,
        expires_at,
    })
}

/// Finds the account of a subject: by the table, or by the verified e-mail address if the issuer is trusted with
/// addresses.
async fn account_of(
    context: &Context,
    issuer: &Issuer,
    claims: &Claims,
) -> Result<Option<Account>, store::Error> {
    let mapped = rows::find_account(&context.db, &issuer.id, &claims.sub).await?;
    match (mapped, claims.verified_email()) {
        (None, Some(email)) if issuer.by_email => {
            accounts::find_by_verified_email(&context.db, email).await
        }
        (mapped, _) => Ok(mapped),
    }
}

fn refuse(why: &str) -> OAuthError {
    OAuthError::invalid_grant(format!("The assertion {why}"))
}
