//! `key`: the key that signs tokens.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Error, output};
use crate::config::Config;
use crate::context;
use crate::database_url::DatabaseUrl;
use crate::keys::SigningKey;

/// Commands for the signing key.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    Generate(Generate),
    Show(Show),
}

/// Generate an RSA-2048 signing key and print it; nothing is stored.
///
/// Standard output contains only the value of `OAUTH_SIGNING_KEY_BASE64`; with --json {"pem", "base64",
/// "kid", "jwk"}.
#[derive(Args, Debug)]
pub(super) struct Generate {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Show the signing key in use: source, kid and public key.
///
/// With --json also the private key, as in `key generate`: keep the output secret.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// Print JSON, with the private key.
    #[arg(long)]
    json: bool,
}

impl Generate {
    /// Generates and prints a key.
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let key = SigningKey::generate()?;
        if self.json {
            print_json(&key)?;
        } else {
            output::note(&format!(
                "A signing key with the kid {}. It is not stored. Keep it secret and \
                 set\nOAUTH_SIGNING_KEY_BASE64 to the line below, with the same value on every \
                 replica.",
                key.kid()
            ));
            output::print(&key.to_base64()?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    /// Prints the configured key.
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Error> {
        if will_be_generated(config) {
            return Err(Error::because(format!(
                "there is no signing key yet: `storyden-auth serve` generates one in DATA_DIR \
                 ({}), or set OAUTH_SIGNING_KEY_BASE64 to the output of `storyden-auth key \
                 generate`",
                config.data_dir.display()
            )));
        }
        let key = context::signing_key(config)?;
        if self.json {
            print_json(&key)?;
            return Ok(ExitCode::SUCCESS);
        }
        let jwk = serde_json::to_string(&key.jwk())
            .map_err(|error| Error::Io("the JSON cannot be written".to_owned(), error.into()))?;
        output::print(&format!(
            "kid   {}\nfrom  {}\njwk   {jwk}",
            key.kid(),
            origin(config)
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// True if the first start will generate the key.
pub(super) fn will_be_generated(config: &Config) -> bool {
    config.signing_key.is_none()
        && matches!(config.database(), DatabaseUrl::Sqlite(_))
        && !SigningKey::is_in_folder(&config.data_dir)
}

/// Describes the source of the key in use.
pub(super) fn origin(config: &Config) -> String {
    match config.signing_key {
        Some(_) => "OAUTH_SIGNING_KEY_BASE64".to_owned(),
        None => SigningKey::file_in(&config.data_dir).display().to_string(),
    }
}

fn print_json(key: &SigningKey) -> Result<(), Error> {
    output::print_json(&serde_json::json!({
        "pem": key.to_pem()?,
        "base64": key.to_base64()?,
        "kid": key.kid(),
        "jwk": key.jwk(),
    }))
}
