//! Flags about the keys of an application, and checks of keys and algorithms.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Error;
use crate::clients::fapi;
use crate::context::Context;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{ClientKeys, check_keys};
use crate::oauth::strict_json;
use crate::store::clients::Client;

/// The public keys of an application.
#[derive(Args, Debug, Default)]
pub(super) struct KeyFlags {
    /// File with the public keys (JWK Set). A confidential application then authenticates with a key
    /// (`private_key_jwt`) and has no secret.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<PathBuf>,
    /// HTTPS URL of the public keys, which the application publishes. As --jwks.
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
}

impl KeyFlags {
    /// Reads and checks the keys; `None` without a flag.
    pub(super) fn read(&self) -> Result<Option<ClientKeys>, Error> {
        let jwks = match &self.jwks {
            Some(file) => {
                let shown = file.display();
                let unreadable =
                    |error: std::io::Error| Error::because(format!("--jwks: {shown}: {error}"));
                let text = std::fs::read(file).map_err(unreadable)?;
                let jwks = strict_json::parse(&text);
                Some(jwks.map_err(|why| Error::because(format!("--jwks: {shown} {why}")))?)
            }
            None => None,
        };
        let keys = ClientKeys {
            jwks,
            jwks_uri: self.jwks_uri.clone(),
        };
        if keys == ClientKeys::default() {
            return Ok(None);
        }
        check_keys(&keys).map_err(|why| Error::because(why.description.into_owned()))?;
        Ok(Some(keys))
    }
}

/// Requires that this server signs with each algorithm.
pub(super) fn require_available(
    context: &Context,
    algorithms: ClientAlgorithms,
) -> Result<(), Error> {
    let available = &context.config.signing_algorithms.0;
    let Some(missing) = algorithms.iter().find(|one| !available.contains(one)) else {
        return Ok(());
    };
    let names: Vec<&str> = available.iter().map(|one| one.name()).collect();
    Err(Error::because(format!(
        "this server does not sign with {}: OAUTH_SIGNING_ALGORITHMS has {}",
        missing.name(),
        names.join(", ")
    )))
}

/// Refuses settings that contradict FAPI 2.0, if the application is held to it.
pub(super) fn require_no_contradiction(
    context: &Context,
    client: &Client,
    keys: &ClientKeys,
) -> Result<(), Error> {
    let found = fapi::contradictions(&context.config, client, keys);
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::because(found.join("; ")))
}
