//! `client update`: changes an application. Flags that are not given leave a setting unchanged.

use clap::Args;

use super::create::without_repeats;
use super::keys::{KeyFlags, require_available, require_no_contradiction};
use super::pages::PageFlags;
use super::{entry, find, no_client, show};
use crate::cli::{Error, arguments};
use crate::context::Context;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::ClientKeys;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::resources;
use crate::store::audit::{self, Event};
use crate::store::client_changes::{self, Changes};
use crate::store::clients::Client;
use crate::store::{self, client_keys};

/// Change an application.
///
/// Settings that are not named stay. A list, such as --redirect-uri, replaces the whole list.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth client update my-app --fapi true --jwks my-app.jwks.json"
)]
pub(in crate::cli) struct Update {
    /// The client id.
    client_id: String,
    /// Name shown on the consent page, for example Calendar.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    name: Option<String>,
    /// Allowed scopes, for example "openid profile"; repeatable, replaces all.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = arguments::scope)]
    scopes: Vec<Scope>,
    /// Redirect URI; repeatable, replaces all.
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = arguments::redirect_uri)]
    redirect_uris: Vec<String>,
    #[command(flatten)]
    pages: PageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    /// Hold the application to the FAPI 2.0 Security Profile, or not. Needs keys.
    #[arg(long, value_name = "BOOL")]
    fapi: Option<bool>,
    /// Require a DPoP proof in every token request.
    #[arg(long, value_name = "BOOL")]
    dpop: Option<bool>,
    /// Require that every authorization request is pushed (RFC 9126).
    #[arg(long, value_name = "BOOL")]
    require_pushed_requests: Option<bool>,
    /// Allow authorization requests without PKCE; confidential applications only.
    #[arg(long, value_name = "BOOL")]
    without_pkce: Option<bool>,
    /// Algorithm of ID tokens, or none for the first of `OAUTH_SIGNING_ALGORITHMS`.
    #[arg(long, value_name = "NAME", value_parser = algorithm_or_none)]
    id_token_alg: Option<Choice>,
    /// Algorithm of access tokens, or none for the first of `OAUTH_SIGNING_ALGORITHMS`.
    #[arg(long, value_name = "NAME", value_parser = algorithm_or_none)]
    access_token_alg: Option<Choice>,
    /// Algorithm of userinfo responses, or none for plain JSON.
    #[arg(long, value_name = "NAME", value_parser = algorithm_or_none)]
    signed_userinfo: Option<Choice>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A chosen algorithm, or the end of a choice.
#[derive(Clone, Copy, Debug)]
struct Choice(Option<SigningAlgorithm>);

fn algorithm_or_none(text: &str) -> Result<Choice, String> {
    if text == "none" {
        return Ok(Choice(None));
    }
    arguments::signing_algorithm(text).map(|algorithm| Choice(Some(algorithm)))
}

impl Update {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let client = find(context, &self.client_id).await?;
        let keys = client_keys::find(&context.db, &client.row_id).await?;
        let changes = self.changes(context, &client)?;
        if changes.is_empty() {
            return Err(Error::because(
                "nothing to change: name a setting, as in --name; `client update --help` shows all",
            ));
        }
        if let Some(scope) = &changes.allowed_scopes {
            resources::check_scopes(context, scope, &client.scope.allowed, None)
                .await
                .map_err(|error| Error::because(format!("--scope: {error}")))?;
        }
        require_consistent(context, &client, keys, &changes)?;
        let mut entry = entry(
            context,
            Event::ClientUpdated,
            &client.client_id,
            &client.row_id,
        );
        entry.account.clone_from(&client.owner);
        let input = (client.row_id, changes, entry);
        let written = context.db.write(input, |tx, (id, changes, entry)| {
            Box::pin(async move {
                if !client_changes::update(tx, id, changes, entry.at).await? {
                    return Err(store::Error::Gone);
                }
                audit::insert(tx, entry).await
            })
        });
        match written.await {
            Err(store::Error::Gone) => return Err(no_client(&self.client_id)),
            written => written?,
        }
        let client = find(context, &self.client_id).await?;
        show(context, client).await?.print(self.json)
    }

    /// The given settings.
    fn changes(&self, context: &Context, client: &Client) -> Result<Changes, Error> {
        if self.without_pkce == Some(true) && client.kind == ClientType::Public {
            let problem = "--without-pkce is only allowed for confidential clients";
            return Err(Error::because(problem));
        }
        let schemes = context.config.private_use_schemes();
        for uri in &self.redirect_uris {
            schemes.check(uri, client.kind).map_err(|refused| {
                Error::because(format!("--redirect-uri: redirect URI {uri} {refused}"))
            })?;
        }
        let uris = without_repeats(self.redirect_uris.clone());
        let scope: Scope = self.scopes.iter().flat_map(Scope::iter).collect();
        let keys = self.keys.read()?;
        let is_keyed = keys.is_some() && client.kind == ClientType::Confidential;
        let uses_key = is_keyed || self.fapi == Some(true);
        let pushed = self.require_pushed_requests;
        Ok(Changes {
            name: self.name.clone(),
            redirect_uris: (!uris.is_empty()).then_some(uris),
            allowed_scopes: (!self.scopes.is_empty()).then_some(scope),
            pkce_required: self.without_pkce.map(|exempt| !exempt),
            request_protection: pushed.map(|pushed| RequestProtection {
                pushed,
                ..client.request_protection
            }),
            dpop_bound: self.dpop,
            algorithms: self.algorithms(client.algorithms),
            fapi: self.fapi,
            auth_method: uses_key.then_some(AuthMethod::PrivateKeyJwt),
            keys,
            pages: self.pages.changes(),
            ..Changes::default()
        })
    }

    /// The algorithms after the change; `None` if no flag is given.
    fn algorithms(&self, before: ClientAlgorithms) -> Option<ClientAlgorithms> {
        let given = [
            self.id_token_alg,
            self.access_token_alg,
            self.signed_userinfo,
        ];
        if given.iter().all(Option::is_none) {
            return None;
        }
        let after = |given: Option<Choice>, before| given.map_or(before, |choice| choice.0);
        Some(ClientAlgorithms {
            id_token: after(self.id_token_alg, before.id_token),
            access_token: after(self.access_token_alg, before.access_token),
            userinfo: after(self.signed_userinfo, before.userinfo),
        })
    }
}

/// Checks the application after the changes.
fn require_consistent(
    context: &Context,
    client: &Client,
    keys: ClientKeys,
    changes: &Changes,
) -> Result<(), Error> {
    if let Some(algorithms) = changes.algorithms {
        require_available(context, algorithms)?;
    }
    let after = changes.applied_to(client.clone());
    if after.grants.contains(&GrantType::AuthorizationCode) && after.redirect_uris.is_empty() {
        let problem = "--redirect-uri is missing: authorization_code needs a redirect URI";
        return Err(Error::because(problem));
    }
    let keys = changes.keys.clone().unwrap_or(keys);
    require_no_contradiction(context, &after, &keys)
}
