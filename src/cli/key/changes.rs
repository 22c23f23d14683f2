//! `key rotate` and `key revoke`.

use clap::Args;

use super::{open_with_keys, print_list};
use crate::cli::progress::with_time;
use crate::cli::{Error, arguments, output};
use crate::config::Config;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::signing_keys;
use crate::store::audit::{Entry, Event};
use crate::store::forged_access::ForgedAccess;

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
    #[arg(long, value_name = "NAME", value_parser = arguments::signing_algorithm)]
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

impl Rotate {
    /// Rotates and prints the keys.
    pub(super) async fn run(self, config: Config) -> Result<(), Error> {
        let context = open_with_keys(config).await?;
        let entry = Entry::new(Event::SigningKeyRotated, context.clock.now());
        let rotated = signing_keys::rotate(&context, self.algorithm, self.now, &entry);
        rotated.await?;
        print_list(&signing_keys::list(&context).await?, self.json)
    }
}

impl Revoke {
    /// Revokes, or counts.
    pub(super) async fn run(self, config: Config) -> Result<(), Error> {
        let context = open_with_keys(config).await?;
        let found = with_time(signing_keys::count(&context, &self.kid), "counting").await?;
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
        let entry = Entry::new(Event::SigningKeyRevoked, context.clock.now());
        let ended = signing_keys::revoke(&context, &self.kid, entry);
        let ended = with_time(ended, "ending access").await?;
        self.print(&ended)
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
