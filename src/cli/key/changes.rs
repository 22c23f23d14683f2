//! `key rotate` and `key revoke`.

use clap::Args;

use super::{keys_of, open_with_keys, print_status};
use crate::cli::progress::with_time;
use crate::cli::{Error, output};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::context::Context;
use crate::keys::{KeyStatus, Keys};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::forged_access::{self, ForgedAccess};

/// Let a new key sign, 15 minutes after clients can fetch the key, or at once.
///
/// The key in use stays valid for the tokens that it signed. Running servers follow within seconds.
#[derive(Args, Debug)]
pub(in crate::cli) struct Rotate {
    /// Sign with the new key at once. Clients that cached the key set fetch the set again at the first token
    /// of the new key.
    #[arg(long)]
    now: bool,
    /// The algorithm, as in ES256. Not given: every algorithm of `OAUTH_SIGNING_ALGORITHMS`.
    #[arg(long, value_name = "NAME", value_parser = algorithm)]
    algorithm: Option<SigningAlgorithm>,
    /// Print JSON, as `key list`.
    #[arg(long)]
    json: bool,
}

/// End a stolen key, and everything that an attacker may have created with it.
///
/// Every token that the key signed is refused at once. Sessions, access keys, grants, codes, approved devices,
/// refresh tokens and remembered approvals that began since the key exists end. For the first key, which may
/// be older than the database says, these are all. Changes of accounts, roles and applications are not undone:
/// look through the audit trail.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth key revoke 0a1b2c3d4e5f6071 --dry-run")]
pub(in crate::cli) struct Revoke {
    /// The key id, as in `key list`.
    #[arg(value_name = "KID")]
    kid: String,
    /// Only count, without revoking.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn algorithm(name: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = SigningAlgorithm::ALL.iter().map(|one| one.name()).collect();
        format!("use {}", names.join(", "))
    })
}

impl Rotate {
    /// Rotates and prints the keys.
    pub(super) async fn run(self, config: Config) -> Result<(), Error> {
        let algorithms = match self.algorithm {
            Some(algorithm) => vec![algorithm],
            None => config.rotated_algorithms(),
        };
        let context = open_with_keys(config).await?;
        let keys = keys_of(&context)?;
        let is_rotated = |one: &SigningAlgorithm| keys.rotated_algorithms().contains(one);
        if algorithms.is_empty() || !algorithms.iter().all(is_rotated) {
            return Err(Error::because(
                "only generated keys rotate by command. To replace the key of OAUTH_SIGNING_KEY_BASE64: put \
                 the output of `storyden-auth key generate` into OAUTH_RETIRED_KEYS of every replica and \
                 restart; exchange the two values after 10 minutes and restart again",
            ));
        }
        for algorithm in algorithms {
            keys.rotate(algorithm, self.now).await?;
        }
        print_status(&keys.status(), self.json)
    }
}

impl Revoke {
    /// Revokes, or counts.
    pub(super) async fn run(self, config: Config) -> Result<(), Error> {
        let context = open_with_keys(config).await?;
        let keys = keys_of(&context)?;
        let key = self.find(keys)?;
        // A key of an earlier version was taken over as the first key, and is older than the row.
        let since = if key.facts.predecessor.is_empty() {
            Timestamp::FIRST
        } else {
            key.facts.created_at
        };
        let found = forged_access::count(&context.db, since, context.clock.now());
        let found = with_time(found, "counting").await?;
        if self.dry_run {
            return self.print(&found);
        }
        if !self.yes {
            let question = format!("Revoke the key {} and end {}?", self.kid, sentence(&found));
            match output::confirm(&question)? {
                Some(true) => {}
                Some(false) => return Err(Error::because("nothing was revoked")),
                None => return Err(Error::because("nothing was revoked; confirm with --yes")),
            }
        }
        self.revoke(&context, since).await
    }

    async fn revoke(&self, context: &Context, since: Timestamp) -> Result<(), Error> {
        // The key first: from then on, nothing new can be created with a forged token.
        keys_of(context)?.revoke(&self.kid).await?;
        let ended = forged_access::end(&context.db, since, context.clock.now());
        let ended = with_time(ended, "ending access").await?;
        self.print(&ended)
    }

    fn find(&self, keys: &Keys) -> Result<KeyStatus, Error> {
        let found = keys
            .status()
            .into_iter()
            .find(|key| key.facts.kid == self.kid);
        found.ok_or_else(|| {
            Error::because(format!(
                "there is no generated key with the kid {}; `storyden-auth key list` lists the keys. A key \
                 of OAUTH_SIGNING_KEY_BASE64 or OAUTH_RETIRED_KEYS is revoked by removing the value and \
                 restarting every replica",
                self.kid
            ))
        })
    }

    fn print(&self, ended: &ForgedAccess) -> Result<(), Error> {
        if self.json {
            let mut answer = serde_json::json!(ended);
            answer["dry_run"] = self.dry_run.into();
            answer["kid"] = self.kid.as_str().into();
            return output::print_json(&answer);
        }
        let verb = if self.dry_run { "would end" } else { "ended" };
        output::print(&format!("{verb}: {}", sentence(ended)))
    }
}

/// Formats the numbers in words.
fn sentence(ended: &ForgedAccess) -> String {
    let parts = [
        (ended.sessions, "sessions"),
        (ended.access_keys, "access keys"),
        (ended.grants, "grants"),
        (ended.refresh_tokens, "refresh tokens"),
        (ended.codes, "codes"),
        (ended.device_authorizations, "approved devices"),
        (ended.remembered_consents, "remembered approvals"),
    ];
    let parts = parts
        .iter()
        .map(|(number, noun)| format!("{number} {noun}"));
    parts.collect::<Vec<_>>().join(", ")
}
