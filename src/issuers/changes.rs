//! Changes of issuers by an operator.

use url::Url;

use super::Error;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::IssuerId;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry};
use crate::store::issuers::{self as rows, Issuer};

/// The most issuers, so that reading all of these stays cheap.
const ISSUERS_MAX: usize = 50;

/// The most mapped subjects of an issuer.
const SUBJECTS_MAX: i64 = 10_000;

/// The most characters of a name.
const NAME_MAX: usize = 64;

/// The most bytes of a URL.
const URL_MAX: usize = 1_024;

/// The most bytes of a subject.
const SUBJECT_MAX: usize = 255;

/// An issuer as an operator describes it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The claim `iss`.
    pub url: String,
    /// Name for administrators.
    pub name: Option<String>,
    /// URL of the keys; `None`: as the issuer's metadata name.
    pub jwks_uri: Option<String>,
    /// True if a subject is also mapped by the verified e-mail address.
    pub by_email: bool,
}

/// Checks that an issuer may be added to `stored`, apart from the other properties.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Taken`] with the reason.
pub fn check_new(context: &Context, stored: &[Issuer], url: &str) -> Result<(), Error> {
    check_url(context, "url", url)?;
    if url == context.config.issuer() {
        return Err(Error::Invalid(
            "url is this server itself, which does not accept its own tokens as assertions"
                .to_owned(),
        ));
    }
    if stored.iter().any(|known| known.url == url) {
        return Err(Error::Taken("This issuer exists already".to_owned()));
    }
    if stored.len() >= ISSUERS_MAX {
        return Err(Error::Invalid(format!(
            "There are {ISSUERS_MAX} issuers already, the most that are possible"
        )));
    }
    Ok(())
}

/// Checks a draft, apart from the URL. `times`: creation, this change.
///
/// # Errors
/// [`Error::Invalid`] with the value and the reason.
pub fn check(
    context: &Context,
    draft: Draft,
    id: IssuerId,
    (created_at, updated_at): (Timestamp, Timestamp),
) -> Result<Issuer, Error> {
    let given = |text: Option<String>| {
        let text = text.map(|text| text.trim().to_owned());
        text.filter(|text| !text.is_empty())
    };
    let (name, jwks_uri) = (given(draft.name), given(draft.jwks_uri));
    let is_name =
        |name: &String| name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if !name.as_ref().is_none_or(is_name) {
        return Err(Error::Invalid(format!(
            "name must have at most {NAME_MAX} characters and no control characters"
        )));
    }
    if let Some(uri) = &jwks_uri {
        check_url(context, "jwks_uri", uri)?;
    }
    Ok(Issuer {
        id,
        created_at,
        updated_at,
        url: draft.url,
        name,
        jwks_uri,
        by_email: draft.by_email,
    })
}

/// Checks a URL that this server fetches: https, because keys that come by http are anybody's.
fn check_url(context: &Context, what: &str, text: &str) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::Invalid(format!("{what} {text:?} {why}")));
    if text.len() > URL_MAX {
        return Err(Error::Invalid(format!(
            "{what} is longer than {URL_MAX} bytes"
        )));
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte);
    let Some(url) = Url::parse(text).ok().filter(|_| text.bytes().all(is_plain)) else {
        return refused("must be a URL, as in https://idp.example");
    };
    let is_secure = url.scheme() == "https";
    let is_allowed_http = url.scheme() == "http" && context.config.cimd_insecure;
    if !is_secure && !is_allowed_http {
        return refused("must be an https URL");
    }
    if url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
        return refused("must have a host, and no user name or password");
    }
    if text.contains('#') || what == "url" && text.contains('?') {
        return refused("must not have a query or fragment"); // RFC 8414 §2
    }
    Ok(())
}

/// Adds an issuer.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Taken`] with the value and the reason.
pub async fn create(context: &Context, draft: Draft, entry: Entry) -> Result<Issuer, Error> {
    let now = context.clock.now();
    let stored = rows::list(&context.db).await?;
    check_new(context, &stored, &draft.url)?;
    let new = check(context, draft, IssuerId::generate(now), (now, now))?;
    let entry = entry.subject(&new.id);
    let inserted = context.db.write((new.clone(), entry), |tx, (new, entry)| {
        Box::pin(async move {
            rows::insert(tx, new).await?;
            audit::insert(tx, entry).await
        })
    });
    inserted.await.map_err(of_write)?;
    Ok(new)
}

/// Replaces the properties of an issuer. The URL of an issuer never changes.
///
/// # Errors
/// [`Error::Missing`], or as [`create`].
pub async fn replace(
    context: &Context,
    before: &Issuer,
    draft: Draft,
    entry: Entry,
) -> Result<Issuer, Error> {
    let times = (before.created_at, context.clock.now());
    let draft = Draft {
        url: before.url.clone(),
        ..draft
    };
    let new = check(context, draft, before.id.clone(), times)?;
    let entry = entry.subject(&new.id);
    let replaced = context.db.write((new.clone(), entry), |tx, (new, entry)| {
        Box::pin(async move {
            rows::replace(tx, new).await?;
            audit::insert(tx, entry).await
        })
    });
    replaced.await.map_err(of_write)?;
    Ok(new)
}

/// Removes an issuer with its mapped subjects. Assertions of the issuer are refused from then on; access tokens
/// from earlier assertions expire.
///
/// # Errors
/// [`Error::Missing`].
pub async fn delete(context: &Context, id: &IssuerId, entry: Entry) -> Result<(), Error> {
    let entry = entry.subject(id);
    let deleted = context.db.write((id.clone(), entry), |tx, (id, entry)| {
        Box::pin(async move {
            rows::delete(tx, id).await?;
            audit::insert(tx, entry).await
        })
    });
    deleted.await.map_err(of_write)
}

/// Finds an issuer by row id.
///
/// # Errors
/// [`Error::Missing`].
pub async fn find(context: &Context, id: &IssuerId) -> Result<Issuer, Error> {
    let stored = rows::list(&context.db).await?;
    let found = stored.into_iter().find(|stored| stored.id == *id);
    found.ok_or_else(missing)
}

/// Maps a subject of an issuer to an account, in place of an earlier account.
///
/// # Errors
/// [`Error::Invalid`] for a malformed subject or too many mappings.
pub async fn map(
    context: &Context,
    issuer: &Issuer,
    subject: &str,
    account: &Account,
    entry: Entry,
) -> Result<(), Error> {
    let has_length = (1..=SUBJECT_MAX).contains(&subject.len());
    if !has_length || subject.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "subject must have 1 to {SUBJECT_MAX} bytes and no control characters"
        )));
    }
    let entry = entry.subject(&issuer.id).of(&account.id);
    let input = (
        issuer.id.clone(),
        subject.to_owned(),
        account.id.clone(),
        entry,
    );
    let mapped = context
        .db
        .write(input, |tx, (issuer, subject, account, entry)| {
            Box::pin(async move {
                if !rows::hold(tx, issuer).await? {
                    return Err(store::Error::Gone);
                }
                if rows::count_other_subjects(tx, issuer, subject).await? >= SUBJECTS_MAX {
                    return Ok(false);
                }
                rows::map(tx, issuer, subject, account, entry.at).await?;
                audit::insert(tx, entry).await?;
                Ok(true)
            })
        });
    if mapped.await.map_err(of_write)? {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The issuer has {SUBJECTS_MAX} mapped subjects already, the most that are possible"
    )))
}

/// Removes the mapping of a subject.
///
/// # Errors
/// [`Error::Missing`] if the subject is not mapped.
pub async fn unmap(
    context: &Context,
    issuer: &Issuer,
    subject: &str,
    entry: Entry,
) -> Result<(), Error> {
    let entry = entry.subject(&issuer.id);
    let input = (issuer.id.clone(), subject.to_owned(), entry);
    let removed = context.db.write(input, |tx, (issuer, subject, entry)| {
        Box::pin(async move {
            let removed = rows::unmap(tx, issuer, subject).await?;
            if removed {
                audit::insert(tx, entry).await?;
            }
            Ok(removed)
        })
    });
    if removed.await? {
        return Ok(());
    }
    Err(Error::Missing(
        "The issuer has no such mapped subject".to_owned(),
    ))
}

fn missing() -> Error {
    Error::Missing("There is no issuer with this id".to_owned())
}

fn of_write(error: store::Error) -> Error {
    match error {
        store::Error::Taken(_) => Error::Taken("This issuer exists already".to_owned()),
        store::Error::Gone => missing(),
        error => error.into(),
    }
}
