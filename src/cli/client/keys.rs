//! Public keys of an application, with which it authenticates in place of a secret (`private_key_jwt`).

use std::path::PathBuf;

use clap::Args;

use super::{entry, find};
use crate::cli::{Error, output};
use crate::context::Context;
use crate::oauth::client_metadata::{ClientKeys, check_keys};
use crate::oauth::grant_type::ClientType;
use crate::oauth::strict_json;
use crate::store::audit::{self, Event};
use crate::store::client_keys;

/// The place of the keys.
#[derive(Args, Debug)]
pub(super) struct KeySource {
    /// File with the public keys of the application, a JWK set: it then authenticates with `private_key_jwt` (RFC
    /// 7523), and has no secret.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// URL of these keys, as in <https://app.example/keys>.
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    jwks_uri: Option<String>,
}

impl KeySource {
    /// Reads and checks the keys; `None` if no place is given.
    pub(super) fn read(&self) -> Result<Option<ClientKeys>, Error> {
        let jwks = match &self.jwks {
            Some(path) => {
                let shown = path.display();
                let text = std::fs::read(path)
                    .map_err(|error| Error::Io(format!("--jwks: {shown} cannot be read"), error))?;
                let parsed = strict_json::parse(&text);
                Some(parsed.map_err(|why| Error::because(format!("--jwks: {shown}: {why}")))?)
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
        check_keys(&keys).map_err(|error| Error::because(error.description))?;
        Ok(Some(keys))
    }
}

/// Replace the public keys of a confidential application, or return to its secret.
///
/// The application's own access tokens (`client_credentials`) end.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth client set-keys my-agent --jwks keys.json")]
pub(super) struct SetKeys {
    /// The client id.
    client_id: String,
    #[command(flatten)]
    keys: KeySource,
    /// Remove the keys; the application then authenticates with its secret. Without a secret, make one with
    /// `client rotate-secret`.
    #[arg(long, conflicts_with_all = ["jwks", "jwks_uri"])]
    remove: bool,
}

impl SetKeys {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let keys = match self.keys.read()? {
            Some(keys) => keys,
            None if self.remove => ClientKeys::default(),
            None => {
                return Err(Error::because("give --jwks, --jwks-uri or --remove"));
            }
        };
        let client = find(context, &self.client_id).await?;
        if client.kind == ClientType::Public {
            return Err(Error::because(format!(
                "{} is a public client and does not authenticate",
                client.client_id
            )));
        }
        let entry = entry(
            context,
            Event::ClientUpdated,
            &client.client_id,
            &client.row_id,
        );
        let input = (client.row_id, keys, entry);
        let replaced = context.db.write(input, |tx, (id, keys, entry)| {
            Box::pin(async move {
                client_keys::replace(tx, id, keys, entry.at).await?;
                audit::insert(tx, entry).await
            })
        });
        replaced.await?;
        let method = if self.remove {
            "its secret"
        } else {
            "its keys"
        };
        output::note(&format!("{} authenticates with {method}", client.client_id));
        Ok(())
    }
}
