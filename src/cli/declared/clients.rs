//! The difference between an application of a file and its row.

use super::file::{DeclaredClient, Kind, SecretSource};
use super::steps::{Change, ChangedClient, NewClient, Step, difference};
use crate::cli::{Error, account, arguments};
use crate::compat::Policies;
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_rules::{ClientRuleError, Rules, Shape};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::permission::PermissionSet;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::client_changes::Changes;
use crate::store::client_details::{self, Details};
use crate::store::clients::{self, Client};
use crate::store::resources::StoredResource;

/// Compares an application with its row. `stored` has the resources after the change.
pub(super) async fn change(
    context: &Context,
    declared: &DeclaredClient,
    stored: &[StoredResource],
) -> Result<Option<Change>, Error> {
    let wanted = wanted(context, declared, stored).await?;
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
) -> Result<(Client, Details), Error> {
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
    let now = context.clock.now();
    let client = Client {
        row_id: ClientRowId::generate(now),
        client_id: arguments::client_id(&declared.id).map_err(because)?,
        secret_hash: None,
        old_secret: None,
        auth_method: None,
        name: arguments::name(&declared.name).map_err(because)?,
        kind,
        pkce_required: !declared.without_pkce,
        dpop_bound: declared.dpop,
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
    Ok((client, details))
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

fn created(
    declared: &DeclaredClient,
    (client, details): (Client, Details),
) -> Result<Change, Error> {
    let secret = declared
        .secret
        .as_ref()
        .map(SecretSource::read)
        .transpose()?;
    let has_secret = client.kind == ClientType::Confidential;
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
        (&none, &Details::default()),
        (&client, &details),
    ));
    if has_secret {
        let source = if secret.is_some() { "set" } else { "generated" };
        lines.push(format!("secret: {source}"));
    }
    let new = NewClient {
        client,
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
    (before, (after, new_details)): (Client, (Client, Details)),
) -> Result<Option<Change>, Error> {
    let old_details = client_details::find(&context.db, &before.row_id).await?;
    refuse_fixed(&before, &after, &old_details)?;
    let mut lines = differences((&before, &old_details), (&after, &new_details));
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
        changes: changes(&before, &after),
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

/// The changed properties.
fn changes(before: &Client, after: &Client) -> Changes {
    let same_scope = is_same_set(before.scope.allowed.names(), after.scope.allowed.names());
    let same_grants = is_same_set(grant_names(before), grant_names(after));
    let pushed = after.request_protection.pushed;
    let protection = RequestProtection {
        pushed,
        ..before.request_protection
    };
    Changes {
        name: (before.name != after.name).then(|| after.name.clone()),
        redirect_uris: (before.redirect_uris != after.redirect_uris)
            .then(|| after.redirect_uris.clone()),
        allowed_scopes: (!same_scope).then(|| after.scope.allowed.clone()),
        allowed_grants: (!same_grants).then(|| after.grants.clone()),
        scope_policy: (before.scope.policy != after.scope.policy).then_some(after.scope.policy),
        secret_hash: None,
        pkce_required: (before.pkce_required != after.pkce_required).then_some(after.pkce_required),
        dpop_bound: (before.dpop_bound != after.dpop_bound).then_some(after.dpop_bound),
        request_protection: (protection != before.request_protection).then_some(protection),
        algorithms: (before.algorithms != after.algorithms).then_some(after.algorithms),
    }
}

fn grant_names(client: &Client) -> Vec<&str> {
    let grants = client.grants.iter();
    grants.map(|grant| grant.stored_name()).collect()
}

fn is_same_set(mut one: Vec<&str>, mut other: Vec<&str>) -> bool {
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

/// The differences, a line each.
fn differences(
    (before, old_details): (&Client, &Details),
    (after, new_details): (&Client, &Details),
) -> Vec<String> {
    let changes = changes(before, after);
    let mut lines = Vec::new();
    let mut line = |noun, before: &str, after: &str| lines.push(difference(noun, before, after));
    if changes.name.is_some() {
        line("name", &before.name, &after.name);
    }
    if changes.allowed_grants.is_some() {
        line(
            "grants",
            &grant_names(before).join(" "),
            &grant_names(after).join(" "),
        );
    }
    if changes.allowed_scopes.is_some() {
        let names = |client: &Client| client.scope.allowed.to_string();
        line("scopes", &names(before), &names(after));
    }
    if changes.scope_policy.is_some() {
        let inherit = |client: &Client| (client.scope.policy == ScopePolicy::Inherit).to_string();
        line("inherit", &inherit(before), &inherit(after));
    }
    if changes.redirect_uris.is_some() {
        line(
            "redirect_uris",
            &before.redirect_uris.join(" "),
            &after.redirect_uris.join(" "),
        );
    }
    if changes.pkce_required.is_some() {
        let exempt = |client: &Client| (!client.pkce_required).to_string();
        line("without_pkce", &exempt(before), &exempt(after));
    }
    if changes.dpop_bound.is_some() {
        let bound = |client: &Client| client.dpop_bound.to_string();
        line("dpop", &bound(before), &bound(after));
    }
    if changes.request_protection.is_some() {
        let pushed = |client: &Client| client.request_protection.pushed.to_string();
        line("require_pushed_requests", &pushed(before), &pushed(after));
    }
    for (noun, old, new) in [
        (
            "id_token_alg",
            before.algorithms.id_token,
            after.algorithms.id_token,
        ),
        (
            "access_token_alg",
            before.algorithms.access_token,
            after.algorithms.access_token,
        ),
        (
            "userinfo_alg",
            before.algorithms.userinfo,
            after.algorithms.userinfo,
        ),
    ] {
        let name = |chosen: Option<SigningAlgorithm>| chosen.map_or("", SigningAlgorithm::name);
        if old != new {
            line(noun, name(old), name(new));
        }
    }
    let (old, new) = (
        &old_details.post_logout_redirect_uris,
        &new_details.post_logout_redirect_uris,
    );
    if old != new {
        line("post_logout_redirect_uris", &old.join(" "), &new.join(" "));
    }
    lines
}
