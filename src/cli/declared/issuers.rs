//! The difference between a trusted issuer of the file and of the database.

use super::file::DeclaredIssuer;
use super::steps::{Change, Step, difference};
use crate::cli::Error;
use crate::context::Context;
use crate::ids::IssuerId;
use crate::issuers::{self, Draft};
use crate::store::issuers::Issuer;

/// Compares an issuer with the `known` ones; `None` if nothing differs.
pub(super) fn change(
    context: &Context,
    declared: &DeclaredIssuer,
    known: &mut Vec<Issuer>,
) -> Result<Option<Change>, Error> {
    let refused = |error: issuers::Error| Error::because(error.to_string());
    let now = context.clock.now();
    let draft = Draft {
        url: declared.url.clone(),
        name: declared.name.clone(),
        jwks_uri: declared.jwks_uri.clone(),
        by_email: declared.by_email,
    };
    let before = known.iter().find(|one| one.url == declared.url).cloned();
    let new = if let Some(before) = &before {
        issuers::check(context, draft, before.id.clone(), (before.created_at, now))
    } else {
        issuers::check_new(context, known, &declared.url).map_err(refused)?;
        issuers::check(context, draft, IssuerId::generate(now), (now, now))
    };
    let new = new.map_err(refused)?;
    let details = differences(before.as_ref(), &new);
    let is_new = before.is_none();
    if !is_new && details.is_empty() {
        return Ok(None);
    }
    let step = if is_new {
        known.push(new.clone());
        Step::NewIssuer(new)
    } else {
        Step::Issuer(new)
    };
    Ok(Some(Change {
        is_new,
        kind: "issuer",
        name: declared.url.clone(),
        details,
        step,
    }))
}

/// A line per property that differs; for a new issuer, per property that is set.
fn differences(before: Option<&Issuer>, after: &Issuer) -> Vec<String> {
    let properties = |issuer: &Issuer| {
        [
            issuer.name.clone().unwrap_or_default(),
            issuer.jwks_uri.clone().unwrap_or_default(),
            issuer.by_email.to_string(),
        ]
    };
    let without = [String::new(), String::new(), false.to_string()];
    let old = before.map_or(without, properties);
    let nouns = ["name", "jwks_uri", "by_email"];
    let pairs = nouns.into_iter().zip(old).zip(properties(after));
    pairs
        .filter(|((_, old), new)| old != new)
        .map(|((noun, old), new)| difference(noun, &old, &new))
        .collect()
}
