//! The difference between an application of a file and its row.

use super::client_difference::{changes, differences};
use super::file::{DeclaredClient, Kind, SecretSource};
use super::steps::{Change, ChangedClient, NewClient, Step};
use crate::cli::{Error, account, arguments};
use crate::clients::fapi;
use crate::compat::Policies;
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{ClientKeys, check_keys};
use crate::oauth::client_rules::{ClientRuleError, Rules, Shape};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::permission::PermissionSet;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::store::client_changes::Changes;
use crate::store::client_details::{self, Details};
use crate::store::client_keys;
use crate::store::clients::{self, Client};
use crate::store::resources::StoredResource;

/// An application of the file as rows: the client, its keys, and its details.
type Wanted = (Client, ClientKeys, Details);

/// Compares an application with its row. `stored` has the resources after the change.
pub(super) async fn change(
    context: &Context,
    declared: &DeclaredClient,
    stored: &[StoredResource],
) -> Result<Option<Change>, Error> {
    let wanted = wanted(context, declared, stored).await?;
    let contradictions = fapi::contradictions(&context.config, &wanted.0, &wanted.1);
    if !contradictions.is_empty() {
        return Err(Error::because(contradictions.join("; ")));
    }
    match clients::find(&context.db, &declared.id).await? {
        Some(before) => changed(context, declared, (before, wanted)).await,
        None => created(declared, wanted).map(Some),
    }
}

/// Checks an application of the file, and builds its row.
async fn wanted(
    context: &Context,
    declared: &DeclaredClient,
    stored: &[StoredResource],
) -> Result<Wanted, Error> {
    let because = |text: String| Error::because(text);
    let owner = match &declared.owner {
        Some(handle) => Some(account::find(context, handle).await?.id),
        None => None,
    };
    let kind = match declared.kind {
        Kind::Public => ClientType::Public,
        Kind::Confidential => ClientType::Confidential,
    };
    let (grants, redirect_uris) = flow(context, declared, kind)?;
    let keys = keys(declared)?;
    let uses_key = kind == ClientType::Confidential && keys != ClientKeys::default();
    if uses_key && declared.secret.is_some() {
        return Err(because(
            "a client with jwks or jwks_uri has no secret".to_owned(),
        ));
    }
    let now = context.clock.now();
    let client = Client {
        row_id: ClientRowId::generate(now),
        client_id: arguments::client_id(&declared.id).map_err(because)?,
        secret_hash: None,
        old_secret: None,
        auth_method: uses_key.then_some(AuthMethod::PrivateKeyJwt),
        name: arguments::name(&declared.name).map_err(because)?,
        kind,
        application_type: None,
        pkce_required: !declared.without_pkce,
        dpop_bound: declared.dpop,
        fapi: declared.fapi,
        request_protection: RequestProtection {
            pushed: declared.require_pushed_requests,
            ..RequestProtection::NONE
        },
        algorithms: algorithms(context, declared)?,
        scope: scope(declared, stored)?,
        redirect_uris,
        redirect_uris_omitted: false,
        grants,
        owner,
        created_at: now,
        updated_at: now,
    };
    let uris = declared.post_logout_redirect_uris.iter();
    let uris = uris.map(|uri| arguments::post_logout_redirect_uri(uri));
    let details = Details {
        post_logout_redirect_uris: uris.collect::<Result<_, _>>().map_err(because)?,
        ..Details::default()
    };
    Ok((client.with_fapi(), keys, details))
}

/// Reads the keys.
fn keys(declared: &DeclaredClient) -> Result<ClientKeys, Error> {
    let keys = ClientKeys {
        jwks: declared.jwks.clone(),
        jwks_uri: declared.jwks_uri.clone(),
    };
    check_keys(&keys).map_err(|error| Error::because(error.description.into_owned()))?;
    Ok(keys)
}

/// Checks the chosen algorithms.
fn algorithms(context: &Context, declared: &DeclaredClient) -> Result<ClientAlgorithms, Error> {
    let known = |name: &Option<String>| match name {
        Some(name) => {
            let algorithm = arguments::signing_algorithm(name).map_err(Error::because)?;
            if context.config.signing_algorithms.0.contains(&algorithm) {
                Ok(Some(algorithm))
            } else {
                let text = format!("{name} is not in OAUTH_SIGNING_ALGORITHMS");
                Err(Error::because(text))
            }
        }
        None => Ok(None),
    };
    Ok(ClientAlgorithms {
        id_token: known(&declared.id_token_alg)?,
        access_token: known(&declared.access_token_alg)?,
        userinfo: known(&declared.userinfo_alg)?,
    })
}

/// Checks grants and redirect URIs, with the rules for members' applications, and an administrator's permissions.
fn flow(
    context: &Context,
    declared: &DeclaredClient,
    kind: ClientType,
) -> Result<(Vec<GrantType>, Vec<String>), Error> {
    let is_public = kind == ClientType::Public;
    if is_public && declared.secret.is_some() {
        return Err(Error::because("a public client has no secret"));
    }
    if is_public && declared.without_pkce {
        return Err(Error::because(
            "without_pkce is only for confidential clients",
        ));
    }
    let rules = Rules {
        policy: Policies::STANDARDS.member_clients,
        held: PermissionSet::ADMIN,
    };
    let refused = |error: ClientRuleError| Error::because(error.to_string());
    let grants = rules.grants(&declared.grants).map_err(refused)?;
    let schemes = context.config.private_use_schemes();
    let uris = rules.redirect_uris(&declared.redirect_uris, kind, &schemes);
    let uris = uris.map_err(refused)?;
    let shape = Shape {
        kind,
        grants: &grants,
        has_redirect_uris: !uris.is_empty(),
        pkce_required: !declared.without_pkce,
    };
    rules.fit(shape).map_err(refused)?;
    if grants.contains(&GrantType::ClientCredentials) && declared.owner.is_none() {
        return Err(Error::because(
            "client_credentials needs an owner: the client acts as this account",
        ));
    }
    Ok((grants, uris))
}

/// The scopes of a client: scopes of this server, and scopes of the resources after the change.
fn scope(declared: &DeclaredClient, stored: &[StoredResource]) -> Result<ClientScope, Error> {
    let mut allowed = Scope::default();
    for name in &declared.scopes {
        let names = arguments::scope(name).map_err(Error::because)?;
        names.iter().for_each(|name| allowed.push(name));
    }
    let of_resource = |name| {
        let mut scopes = stored.iter().flat_map(|one| one.resource.scope_names());
        scopes.any(|known| known == name)
    };
    let unknown = allowed
        .iter()
        .find(|name| name.is_of_resource() && !of_resource(*name));
    if let Some(unknown) = unknown {
        let text = format!("scopes has {}, which no resource has", unknown.name());
        return Err(Error::because(text));
    }
    Ok(ClientScope {
        policy: if declared.inherit {
            ScopePolicy::Inherit
        } else {
            ScopePolicy::Explicit
        },
        allowed,
        self_registered: false,
    })
}

fn created(declared: &DeclaredClient, (client, keys, details): Wanted) -> Result<Change, Error> {
    let secret = declared
        .secret
        .as_ref()
        .map(SecretSource::read)
        .transpose()?;
    let has_secret = client.has_secret();
    let none = Client {
        name: String::new(),
        scope: ClientScope {
            policy: ScopePolicy::Explicit,
            allowed: Scope::default(),
            self_registered: false,
        },
        redirect_uris: Vec::new(),
        grants: Vec::new(),
        pkce_required: true,
        dpop_bound: false,
        fapi: false,
        request_protection: RequestProtection::NONE,
        algorithms: ClientAlgorithms::default(),
        ..client.clone()
    };
    let mut lines = vec![format!("type: {}", client.kind.name())];
    lines.extend(
        declared
            .owner
            .as_ref()
            .map(|owner| format!("owner: {owner}")),
    );
    lines.extend(differences(
        (&none, &ClientKeys::default(), &Details::default()),
        (&client, &keys, &details),
    ));
    if has_secret {
        let source = if secret.is_some() { "set" } else { "generated" };
        lines.push(format!("secret: {source}"));
    }
    let new = NewClient {
        client,
        keys,
        details,
        secret,
        has_secret,
    };
    Ok(Change {
        is_new: true,
        kind: "client",
        name: declared.id.clone(),
        details: lines,
        step: Step::NewClient(Box::new(new)),
    })
}

async fn changed(
    context: &Context,
    declared: &DeclaredClient,
    (before, (after, new_keys, new_details)): (Client, Wanted),
) -> Result<Option<Change>, Error> {
    let old_keys = client_keys::find(&context.db, &before.row_id).await?;
    let old_details = client_details::find(&context.db, &before.row_id).await?;
    refuse_fixed(&before, &after, &old_details)?;
    let uses_key = before.auth_method == Some(AuthMethod::PrivateKeyJwt);
    if uses_key && new_keys == ClientKeys::default() {
        let text = "the client authenticates with its key (private_key_jwt): give jwks or jwks_uri";
        return Err(Error::because(text));
    }
    let mut lines = differences(
        (&before, &old_keys, &old_details),
        (&after, &new_keys, &new_details),
    );
    let mut secret = None;
    if let Some(source) = &declared.secret {
        let given = source.read()?;
        let is_same = match &before.secret_hash {
            Some(hash) => context.passwords.verify_secret(&given, hash).await?,
            None => false,
        };
        if !is_same {
            lines.push("secret: replaced".to_owned());
            secret = Some(given);
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let details = Details {
        post_logout_redirect_uris: new_details.post_logout_redirect_uris,
        ..old_details.clone()
    };
    let has_other_details =
        details.post_logout_redirect_uris != old_details.post_logout_redirect_uris;
    let step = ChangedClient {
        changes: Changes {
            auth_method: after
                .auth_method
                .filter(|_| after.auth_method != before.auth_method),
            keys: (old_keys != new_keys).then_some(new_keys),
            ..changes(&before, &after)
        },
        details: has_other_details.then_some(details),
        secret,
        before,
    };
    Ok(Some(Change {
        is_new: false,
        kind: "client",
        name: declared.id.clone(),
        details: lines,
        step: Step::Client(Box::new(step)),
    }))
}

/// Rejects changes of a client that need a new client, and registrations, which clients change themselves (RFC 7592).
fn refuse_fixed(before: &Client, after: &Client, details: &Details) -> Result<(), Error> {
    let why = if details.registered {
        "the client registered itself, and changes its registration itself"
    } else if before.kind != after.kind {
        "the type of a client does not change: delete the client first, or use another id"
    } else if before.owner != after.owner {
        "the owner of a client does not change: delete the client first, or use another id"
    } else {
        return Ok(());
    };
    Err(Error::because(why))
}
