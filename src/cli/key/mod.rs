//! `key`: the keys that sign tokens.

mod changes;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::migrate::without_creating;
use super::{Error, output, require_database, serve, with_causes};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::context::{self, Context, Environment};
use crate::keys::SigningKey;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::signing_keys::{self, KeyResource};
use crate::telemetry;
use changes::{Revoke, Rotate};

/// Commands for signing keys.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    Generate(Generate),
    Show(Show),
    List(List),
    Rotate(Rotate),
    Revoke(Revoke),
    Export(Export),
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

/// List the keys: kid, algorithm, state and times.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print JSON: a list of keys with kid, algorithm, state and times.
    #[arg(long)]
    json: bool,
}

/// Print the public keys as a JWK set, as /api/oauth/jwks does.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Confirm that public keys are wanted: private keys of the database are never printed as a set.
    #[arg(long, required = true)]
    public: bool,
}

impl Key {
    /// Runs a command that reads the settings.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        match self {
            Self::Generate(generate) => return generate.run(),
            Self::Show(show) => Box::pin(show.run(config)).await?,
            Self::List(list) => Box::pin(list.run(config)).await?,
            Self::Rotate(rotate) => Box::pin(rotate.run(config)).await?,
            Self::Revoke(revoke) => Box::pin(revoke.run(config)).await?,
            Self::Export(export) => Box::pin(export.run(config)).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Generate {
    /// Generates and prints a key.
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let key = SigningKey::generate(SigningAlgorithm::Rs256)?;
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
    async fn run(self, config: Config) -> Result<(), Error> {
        if will_be_generated(&config) {
            return Err(no_key_yet(&config));
        }
        let origin = origin(&config);
        let missing = no_key_yet(&config);
        let key = if is_configured(&config) {
            context::configured_keys(&config)?.signing
        } else {
            let context = open_with_keys(config).await?;
            let keys = signing_keys::keys_of(&context)?;
            keys.signing_key(keys.default_algorithm())
        };
        let key = key.ok_or(missing)?;
        if self.json {
            return print_json(&key);
        }
        let jwk = serde_json::to_string(&key.jwk())
            .map_err(|error| Error::Io("the JSON cannot be written".to_owned(), error.into()))?;
        output::print(&format!("kid   {}\nfrom  {origin}\njwk   {jwk}", key.kid()))
    }
}

impl List {
    async fn run(self, config: Config) -> Result<(), Error> {
        let context = open_without_keys(config).await?;
        // The other keys are listed too if one cannot be opened.
        if let Some(keys) = &context.keys
            && let Err(error) = keys.load_existing().await
        {
            output::note(&format!("storyden-auth: {}", with_causes(&error)));
        }
        print_list(&signing_keys::list(&context).await?, self.json)
    }
}

impl Export {
    async fn run(self, config: Config) -> Result<(), Error> {
        let context = open_with_keys(config).await?;
        output::print_json(&signing_keys::keys_of(&context)?.key_set().await)
    }
}

/// Opens the database and reads the keys, without creating any.
pub(super) async fn open_with_keys(config: Config) -> Result<Context, Error> {
    let context = open_without_keys(config).await?;
    if let Some(keys) = &context.keys {
        keys.load_existing().await?;
    }
    Ok(context)
}

/// Opens the database and reads no keys.
async fn open_without_keys(config: Config) -> Result<Context, Error> {
    require_database(&config)?;
    telemetry::start(&config);
    let context = Context::new(config, Environment::machine()).await?;
    serve::migrate(&context).await?;
    Ok(context)
}

/// Prints keys as a table or as JSON.
pub(super) fn print_list(keys: &[KeyResource], json: bool) -> Result<(), Error> {
    if json {
        return output::print_json(&keys);
    }
    let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339).unwrap_or_default();
    let row = |key: &KeyResource| {
        [
            key.kid.clone(),
            key.algorithm.to_owned(),
            key.state.to_owned(),
            time(key.created_at),
            time(key.signs_from),
            time(key.revoked_at),
        ]
    };
    let heads = [
        "KID",
        "ALGORITHM",
        "STATE",
        "CREATED",
        "SIGNS FROM",
        "REVOKED",
    ];
    output::print(&output::table(heads, keys.iter().map(row)))
}

/// True if the key that signs comes from the settings or from the file of the profile `storyden`.
pub(super) fn is_configured(config: &Config) -> bool {
    !config
        .rotated_algorithms()
        .contains(&config.default_algorithm())
}

/// True if the first start will generate the key.
pub(super) fn will_be_generated(config: &Config) -> bool {
    if config.has_key_file() {
        return !SigningKey::is_in_folder(&config.data_dir);
    }
    !is_configured(config) && without_creating(config.clone()).is_none()
}

/// Describes the source of the key in use.
pub(super) fn origin(config: &Config) -> String {
    if config.has_key_file() {
        return SigningKey::file_in(&config.data_dir).display().to_string();
    }
    if is_configured(config) {
        return "OAUTH_SIGNING_KEY_BASE64".to_owned();
    }
    "the database (auth_keys)".to_owned()
}

fn no_key_yet(config: &Config) -> Error {
    let place = if config.has_key_file() {
        format!("in DATA_DIR ({})", config.data_dir.display())
    } else {
        "in the database".to_owned()
    };
    Error::because(format!(
        "there is no signing key yet: `storyden-auth serve` generates one {place}, or set \
         OAUTH_SIGNING_KEY_BASE64 to the output of `storyden-auth key generate`"
    ))
}

fn print_json(key: &SigningKey) -> Result<(), Error> {
    output::print_json(&serde_json::json!({
        "pem": key.to_pem()?,
        "base64": key.to_base64()?,
        "kid": key.kid(),
        "jwk": key.jwk(),
    }))
}
