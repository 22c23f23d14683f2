//! Claims about an account, for ID tokens and userinfo (OpenID Connect Core §5.1).

use url::Url;

use crate::context::Context;
use crate::oauth::claims_request::{ClaimList, PersonClaim};
use crate::oauth::id_token::PersonClaims;
use crate::store::accounts::{self, Account};
use crate::store::{self, profiles};

/// An e-mail address, and true if it is verified.
type EmailClaim = (String, bool);

/// Collects the claims that are released. Reads from the database only the data of these claims.
///
/// # Errors
/// If the database does not answer.
pub async fn collect(
    context: &Context,
    account: &Account,
    released: &ClaimList,
) -> Result<PersonClaims, store::Error> {
    use PersonClaim::{Email, EmailVerified, Name, Picture, PreferredUsername, Profile, UpdatedAt};
    let has = |claim| released.contains(claim);
    let mut claims = PersonClaims {
        name: has(Name).then(|| account.name.clone()),
        preferred_username: has(PreferredUsername).then(|| account.handle.clone()),
        ..PersonClaims::default()
    };
    if (has(Email) || has(EmailVerified))
        && let Some((address, is_verified)) = email(context, account).await?
    {
        claims.email = Some(address).filter(|_| has(Email));
        claims.email_verified = Some(is_verified).filter(|_| has(EmailVerified));
    }
    if (has(Profile) || has(Picture) || has(UpdatedAt))
        && let Some(profile) = profiles::find(&context.db, &account.id).await?
    {
        claims.updated_at = has(UpdatedAt).then(|| profile.updated_at.unix_seconds());
        if profile.has_pages.0 {
            claims.profile = has(Profile).then(|| profile_page(context, &account.handle));
            claims.picture = has(Picture).then(|| avatar(context, &account.handle));
        }
    }
    Ok(claims)
}

async fn email(context: &Context, account: &Account) -> Result<Option<EmailClaim>, store::Error> {
    let found = chosen(accounts::emails(&context.db, &account.id).await?);
    let is_empty = context.config.policies.tokens.absent_email_empty;
    Ok(found.or(is_empty.then(|| (String::new(), false))))
}

/// Picks the first verified address, or the last address if none is verified
/// (storyden-contract.md#token-formats).
fn chosen(mut emails: Vec<accounts::Email>) -> Option<EmailClaim> {
    let proven = emails.iter().position(|email| email.verified.0);
    let chosen = match proven {
        Some(first) => emails.swap_remove(first),
        None => emails.pop()?,
    };
    Some((chosen.email_address, chosen.verified.0))
}

/// The profile page at the frontend of a Storyden.
fn profile_page(context: &Context, handle: &str) -> String {
    below(context.config.web_address(), &["m", handle])
}

/// The avatar at the API of a Storyden.
fn avatar(context: &Context, handle: &str) -> String {
    let path = ["accounts", handle, "avatar"];
    let base = Url::parse(&context.config.endpoint_base());
    base.map(|base| below(base, &path)).unwrap_or_default()
}

fn below(mut url: Url, path: &[&str]) -> String {
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url.into()
}
