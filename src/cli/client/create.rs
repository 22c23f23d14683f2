//! `client create`: validates all flags of a new application together.

use clap::{Args, ValueEnum};

use super::keys::{KeyFlags, require_available, require_no_contradiction};
use super::pages::PageFlags;
use super::{Shown, grant_names};
use crate::checks::pkce::PKCE_EXEMPTION;
use crate::cli::{Error, account, arguments, output};
use crate::clients::{new_id, secrets};
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{About, ClientKeys};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::{Scope, ScopeName};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::resources;
use crate::secret::Secret;
use crate::store::audit::{self, Event};
use crate::store::client_changes;
use crate::store::client_details::{self, Details};
use crate::store::{self, clients};

/// Create an application.
///
/// A web application with a server is confidential and gets a secret, which is printed once. An
/// application on a user's device (a page, a phone, a terminal) is public.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth client create --name Calendar --type confidential \
    --redirect-uri https://calendar.example/callback"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command"
)]
pub(in crate::cli) struct Create {
    /// Name shown on the consent page, for example Calendar.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    name: String,
    /// Public or confidential.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Type,
    /// Client id, for example my-app [default: a random id].
    #[arg(long, value_name = "ID", value_parser = arguments::client_id)]
    client_id: Option<String>,
    /// Handle of the owner; `client_credentials` acts as this account [default: no owner].
    #[arg(long, value_name = "HANDLE")]
    owner: Option<String>,
    /// Allowed scope.
    #[arg(long = "scope", help = "Allowed scope, for example \"openid profile\"; repeatable \
        [default: openid profile email offline_access]", value_name = "SCOPE", value_parser = arguments::scope)]
    scopes: Vec<Scope>,
    /// Grant type.
    #[arg(long = "grant", help = "Grant type: authorization_code, refresh_token, \
        client_credentials or device_code; repeatable [default: authorization_code refresh_token]", value_name = "GRANT", value_parser = arguments::grant)]
    grants: Vec<GrantType>,
    /// Redirect URI.
    #[arg(long = "redirect-uri", help = "Redirect URI, for example \
        https://app.example/callback; repeatable; a loopback address matches on any port", value_name = "URI", value_parser = arguments::redirect_uri)]
    redirect_uris: Vec<String>,
    /// Redirect URI after logout.
    #[arg(long = "post-logout-redirect-uri", help = "Redirect URI after logout, for example \
        https://app.example/goodbye; repeatable, compared byte for byte", value_name = "URI", value_parser = arguments::post_logout_redirect_uri)]
    post_logout_redirect_uris: Vec<String>,
    #[command(flatten)]
    pages: PageFlags,
    #[command(flatten)]
    keys: KeyFlags,
    /// Hold the application to the FAPI 2.0 Security Profile: pushed requests, PKCE, `private_key_jwt`, DPoP, and the
    /// algorithms PS256, ES256 and EdDSA. Needs --jwks or --jwks-uri.
    #[arg(long, conflicts_with = "without_pkce")]
    fapi: bool,
    /// Require a DPoP proof in every token request, for tokens that are bound to a key of the application.
    #[arg(long)]
    dpop: bool,
    /// Algorithm of ID tokens, for example ES256 [default: the first of `OAUTH_SIGNING_ALGORITHMS`].
    #[arg(long, value_name = "NAME", value_parser = arguments::signing_algorithm)]
    id_token_alg: Option<SigningAlgorithm>,
    /// Algorithm of access tokens [default: the first of `OAUTH_SIGNING_ALGORITHMS`].
    #[arg(long, value_name = "NAME", value_parser = arguments::signing_algorithm)]
    access_token_alg: Option<SigningAlgorithm>,
    /// Sign userinfo responses (media type application/jwt), with the algorithm RS256 or NAME.
    #[arg(long, value_name = "NAME", value_parser = arguments::signing_algorithm, num_args = 0..=1,
        require_equals = true, default_missing_value = "RS256")]
    signed_userinfo: Option<SigningAlgorithm>,
    /// Grant all permissions of the approving account, beyond --scope.
    #[arg(long)]
    inherit: bool,
    /// Allow authorization requests without PKCE, for a library that has none; confidential applications
    /// only. A stolen code can then be injected into another user's session.
    #[arg(long)]
    without_pkce: bool,
    /// Require that every authorization request is pushed (RFC 9126).
    #[arg(long)]
    require_pushed_requests: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The client types of RFC 6749 §2.1.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Type {
    /// Runs on users' devices.
    Public,
    /// Runs on a server and keeps a secret.
    Confidential,
}

impl From<Type> for ClientType {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Public => Self::Public,
            Type::Confidential => Self::Confidential,
        }
    }
}

impl Create {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let kind = ClientType::from(self.kind);
        let grants = self.grants();
        check(
            kind,
            &grants,
            !self.redirect_uris.is_empty(),
            self.owner.is_some(),
        )?;
        if self.without_pkce && kind == ClientType::Public {
            let problem = "--without-pkce is only allowed for confidential clients";
            return Err(Error::Other(problem.to_owned()));
        }
        let schemes = context.config.private_use_schemes();
        for uri in &self.redirect_uris {
            schemes.check(uri, kind).map_err(|refused| {
                Error::because(format!("--redirect-uri: redirect URI {uri} {refused}"))
            })?;
        }
        let owner = match &self.owner {
            Some(handle) => Some(owner(context, handle).await?),
            None => None,
        };
        let algorithms = self.algorithms(context)?;
        let keys = self.keys.read()?.unwrap_or_default();
        let has_keys = keys != ClientKeys::default();
        let auth_method =
            (has_keys && kind == ClientType::Confidential).then_some(AuthMethod::PrivateKeyJwt);
        let scope = self.scope();
        resources::check_scopes(context, &scope.allowed, &Scope::default(), None)
            .await
            .map_err(|error| Error::because(format!("--scope: {error}")))?;
        let client = clients::Client {
            row_id: ClientRowId::generate(context.clock.now()),
            client_id: match &self.client_id {
                Some(id) => id.clone(),
                None => new_id(&context.random, owner.is_some()),
            },
            secret_hash: None,
            name: self.name.clone(),
            kind,
            application_type: None,
            old_secret: None,
            auth_method,
            pkce_required: !self.without_pkce,
            request_protection: RequestProtection {
                pushed: self.require_pushed_requests,
                ..RequestProtection::NONE
            },
            dpop_bound: self.dpop,
            fapi: self.fapi,
            algorithms,
            scope,
            redirect_uris: without_repeats(self.redirect_uris),
            redirect_uris_omitted: false,
            grants,
            owner: owner.as_ref().map(|owner| owner.id.clone()),
            created_at: context.clock.now(),
            updated_at: context.clock.now(),
        };
        let mut client = client.with_fapi();
        require_no_contradiction(context, &client, &keys)?;
        let secret = if client.has_secret() {
            let (secret, hash) = secrets::generate(context).await?;
            client.secret_hash = Some(hash);
            Some(secret)
        } else {
            None
        };
        let details = Details {
            // An application that lists no scope has the default of every such client.
            default_scope: self
                .scopes
                .is_empty()
                .then(|| client.scope.allowed.to_string()),
            post_logout_redirect_uris: without_repeats(self.post_logout_redirect_uris),
            about: self.pages.changes().applied_to(About::default()),
            ..Details::default()
        };
        insert(context, (&client, &keys), &details).await?;
        warn(&client);
        let shown = Shown::new(client, owner.map(|owner| owner.handle));
        let mut shown = shown.with_details(details).with_keys(keys, Vec::new());
        shown.client_secret = secret.as_ref().map(Secret::reveal).map(str::to_owned);
        shown.print(self.json)
    }

    /// The grants without duplicates.
    fn grants(&self) -> Vec<GrantType> {
        if self.grants.is_empty() {
            return vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        }
        without_repeats(self.grants.clone())
    }

    /// The chosen algorithms, if this server signs with each.
    fn algorithms(&self, context: &Context) -> Result<ClientAlgorithms, Error> {
        let algorithms = ClientAlgorithms {
            id_token: self.id_token_alg,
            access_token: self.access_token_alg,
            userinfo: self.signed_userinfo,
        };
        require_available(context, algorithms)?;
        Ok(algorithms)
    }

    fn scope(&self) -> ClientScope {
        let policy = if self.inherit {
            ScopePolicy::Inherit
        } else {
            ScopePolicy::Explicit
        };
        let given: Scope = self.scopes.iter().flat_map(Scope::iter).collect();
        let standard = || ScopeName::STANDARD.iter().copied().collect();
        ClientScope {
            policy,
            allowed: if given.is_empty() { standard() } else { given },
            self_registered: false,
        }
    }
}

/// Checks that the flags are consistent.
fn check(
    kind: ClientType,
    grants: &[GrantType],
    redirects: bool,
    owned: bool,
) -> Result<(), Error> {
    let has = |grant| grants.contains(&grant);
    let problem = if grants == [GrantType::RefreshToken] {
        "--grant refresh_token alone issues no tokens; add the grant that issues the first refresh \
         token"
    } else if has(GrantType::AuthorizationCode) && !redirects {
        "--redirect-uri is missing: authorization_code needs a redirect URI; add one or choose \
         another --grant"
    } else if has(GrantType::ClientCredentials) && kind == ClientType::Public {
        // RFC 6749 §4.4
        "--grant client_credentials needs --type confidential: a public client has no credentials"
    } else if has(GrantType::ClientCredentials) && !owned {
        "--owner is missing: with client_credentials the client acts as the owner"
    } else if has(GrantType::DeviceCode) && kind == ClientType::Confidential {
        "--grant device_code needs --type public: a device keeps no secret"
    } else {
        return Ok(());
    };
    Err(Error::because(format!(
        "{problem} (grants: {})",
        grant_names(grants)
    )))
}

async fn owner(context: &Context, handle: &str) -> Result<store::accounts::Account, Error> {
    let account = account::find(context, handle).await;
    account.map_err(|error| match error {
        Error::Other(text) => Error::Other(format!("--owner: {text}")),
        error => error,
    })
}

async fn insert(
    context: &Context,
    (client, keys): (&clients::Client, &ClientKeys),
    details: &Details,
) -> Result<(), Error> {
    let mut entry = super::entry(
        context,
        Event::ClientCreated,
        &client.client_id,
        &client.row_id,
    );
    entry.account.clone_from(&client.owner);
    let input = (client.clone(), keys.clone(), details.clone(), entry);
    let inserted = context
        .db
        .write(input, |tx, (client, keys, details, entry)| {
            Box::pin(async move {
                client_changes::insert_with_keys(tx, client, keys).await?;
                let has_uris = !details.post_logout_redirect_uris.is_empty();
                let has_pages = details.about != About::default();
                if details.default_scope.is_some() || has_uris || has_pages {
                    client_details::save(tx, &client.row_id, details).await?;
                }
                audit::insert(tx, entry).await
            })
        })
        .await;
    match inserted {
        Ok(()) => Ok(()),
        Err(store::Error::Taken(_)) => Err(Error::because(format!(
            "--client-id: {} is taken; `client show {0}` shows the client",
            client.client_id
        ))),
        Err(store::Error::Gone) => Err(Error::because(
            "--owner: the account does not exist any \
            more",
        )),
        Err(error) => Err(error.into()),
    }
}

/// Warns about permitted but surprising settings.
fn warn(client: &clients::Client) {
    if !client.pkce_required {
        output::note(&format!("warning: {PKCE_EXEMPTION}"));
    }
    if client.owner.is_none() && client.client_id.starts_with("sdoak_") {
        output::note(
            "warning: a client without an owner and with an id that starts with sdoak_ is deleted \
             if it is not used within seven days; --owner or another --client-id prevents this",
        );
    }
}

pub(super) fn without_repeats<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use GrantType::{AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken};

    #[test]
    fn inconsistent_flags_are_rejected_by_name() {
        let public = ClientType::Public;
        let confidential = ClientType::Confidential;
        let refused = |kind, grants: &[GrantType], redirects, owned| {
            check(kind, grants, redirects, owned)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(public, &[RefreshToken], true, true).starts_with("--grant refresh_token"));
        assert!(refused(public, &[AuthorizationCode], false, true).starts_with("--redirect-uri"));
        assert!(refused(public, &[ClientCredentials], true, true).contains("--type confidential"));
        assert!(refused(confidential, &[ClientCredentials], true, false).starts_with("--owner"));
        assert!(refused(confidential, &[DeviceCode], true, true).contains("--type public"));
        assert!(check(public, &[DeviceCode, RefreshToken], false, false).is_ok());
        assert!(check(confidential, &[ClientCredentials], false, true).is_ok());
    }
}
