//! Checks of token exchange and of trusted issuers: switches, addresses, keys.

use super::Findings;
use crate::context::Context;
use crate::issuers;
use crate::store::{self, issuers as rows, resources};

/// Checks the resources with a server, and the switches of grants, without requests to issuers.
///
/// # Errors
/// If the database does not answer.
pub async fn examine(context: &Context, findings: &mut Findings) -> store::Result<()> {
    examine_exchange(context, findings).await?;
    let stored = rows::list(&context.db).await?;
    if context.config.jwt_bearer && stored.is_empty() {
        findings.warn(
            "issuers",
            "OAUTH_JWT_BEARER is true and there is no trusted issuer: every assertion is refused",
            "add an issuer with `storyden-auth issuer add`, or set OAUTH_JWT_BEARER=false",
        );
    }
    if !context.config.jwt_bearer && !stored.is_empty() {
        findings.warn(
            "issuers",
            "there are trusted issuers and OAUTH_JWT_BEARER is false: every assertion is refused",
            "set OAUTH_JWT_BEARER=true, or remove the issuers with `storyden-auth issuer remove`",
        );
    }
    Ok(())
}

/// Checks every issuer, and fetches the keys.
///
/// # Errors
/// If the database does not answer.
pub async fn examine_issuers(context: &Context, findings: &mut Findings) -> store::Result<()> {
    for issuer in &rows::list(&context.db).await? {
        examine_issuer(context, issuer, findings).await;
    }
    Ok(())
}

async fn examine_exchange(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let stored = resources::list(&context.db).await?;
    let is_used = stored.iter().any(|one| one.server.is_some());
    if context.config.token_exchange && !is_used {
        findings.warn(
            "exchange",
            "OAUTH_TOKEN_EXCHANGE is true and no resource has a server: every token exchange is refused",
            "name the server with `storyden-auth resource set URL --server CLIENT_ID`, or set OAUTH_TOKEN_EXCHANGE=false",
        );
    }
    for resource in stored {
        let Some(server) = &resource.server else {
            continue;
        };
        if store::clients::find(&context.db, server).await?.is_none() {
            findings.warn(
                "exchange",
                format!("the server of the resource {} is the client {server}, which does not exist", resource.resource.url),
                "name another client with `storyden-auth resource set URL --server CLIENT_ID`, or none with --server ''",
            );
        }
    }
    Ok(())
}

async fn examine_issuer(context: &Context, issuer: &rows::Issuer, findings: &mut Findings) {
    let url = &issuer.url;
    let keys = issuer.jwks_uri.as_deref().unwrap_or(url);
    if url.starts_with("http:") || keys.starts_with("http:") {
        findings.warn(
            "issuers",
            format!("the keys of the issuer {url} come by http, where anybody on the way can replace these"),
            "remove the issuer, and add it with its https address",
        );
    }
    match issuers::fetch_keys(context, issuer).await {
        Ok(_) => findings.ok("issuers", format!("the keys of {url} can be read")),
        Err(why) => findings.fail(
            "issuers",
            format!("the keys of the issuer {url} cannot be read: {why}"),
            "correct the address with `storyden-auth issuer set --jwks-uri`, or allow its port with OAUTH_CIMD_ALLOWED_PORTS; assertions are refused meanwhile",
        ),
    }
}
