//! Roles, resources, trusted issuers and applications of the database, as a file.

use super::file::{
    Declared, DeclaredClient, DeclaredIssuer, DeclaredResource, DeclaredRole, DeclaredScope, Kind,
};
use crate::cli::Error;
use crate::clients::builtin;
use crate::context::Context;
use crate::oauth::client_id_url::is_url;
use crate::oauth::client_scope::ScopePolicy;
use crate::oauth::grant_type::ClientType;
use crate::oauth::permission::Permission;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::client_details::{self, Details};
use crate::store::client_keys;
use crate::store::clients::{self, Client, Owner};
use crate::store::issuers::{self, Issuer};
use crate::store::resources as rows;
use crate::store::resources::StoredResource;
use crate::store::roles::{self, Role};

/// Reads the entries that a file may have.
pub(super) async fn collect(context: &Context) -> Result<Declared, Error> {
    let known = roles::list(&context.db).await?;
    let resources = rows::list(&context.db).await?;
    let owners = clients::owners(&context.db).await?;
    let mut declared = Declared {
        roles: known
            .iter()
            .filter(|role| !roles::is_default(role))
            .map(role)
            .collect(),
        resources: resources.iter().map(|one| resource(one, &known)).collect(),
        issuers: issuers::list(&context.db)
            .await?
            .into_iter()
            .map(issuer)
            .collect(),
        clients: Vec::new(),
    };
    for client in clients::list(&context.db).await? {
        if client.client_id == builtin::CLIENT_ID || is_url(&client.client_id) {
            continue;
        }
        let details = client_details::find(&context.db, &client.row_id).await?;
        if !details.registered {
            let keys = client_keys::find(&context.db, &client.row_id).await?;
            let mut client = of_client(client, details, &owners);
            (client.jwks, client.jwks_uri) = (keys.jwks, keys.jwks_uri);
            declared.clients.push(client);
        }
    }
    Ok(declared)
}

fn role(role: &Role) -> DeclaredRole {
    let permissions = role.permissions.iter().map(Permission::name);
    DeclaredRole {
        name: role.name.clone(),
        permissions: permissions.map(str::to_owned).collect(),
    }
}

fn resource(stored: &StoredResource, known: &[Role]) -> DeclaredResource {
    let scopes = stored.resource.scopes.iter().zip(&stored.roles);
    let scopes = scopes.map(|(scope, ids)| {
        let roles = known.iter().filter(|role| ids.contains(&role.id));
        DeclaredScope {
            name: scope.name.name().to_owned(),
            description: scope.description.clone(),
            roles: roles.map(|role| role.name.clone()).collect(),
        }
    });
    DeclaredResource {
        url: stored.resource.url.clone(),
        name: stored.resource.name.clone(),
        server: stored.server.clone(),
        scopes: scopes.collect(),
    }
}

fn issuer(stored: Issuer) -> DeclaredIssuer {
    DeclaredIssuer {
        url: stored.url,
        name: stored.name,
        jwks_uri: stored.jwks_uri,
        by_email: stored.by_email,
    }
}

fn algorithm(chosen: Option<SigningAlgorithm>) -> Option<String> {
    chosen.map(|algorithm| algorithm.name().to_owned())
}

fn of_client(client: Client, details: Details, owners: &[Owner]) -> DeclaredClient {
    let owner = owners
        .iter()
        .find(|owner| Some(&owner.id) == client.owner.as_ref());
    let names = client.scope.allowed.names();
    let grants = client.grants.iter().map(|grant| grant.stored_name());
    DeclaredClient {
        kind: match client.kind {
            ClientType::Public => Kind::Public,
            ClientType::Confidential => Kind::Confidential,
        },
        owner: owner.map(|owner| owner.handle.clone()),
        grants: grants.map(str::to_owned).collect(),
        scopes: names.into_iter().map(str::to_owned).collect(),
        inherit: client.scope.policy == ScopePolicy::Inherit,
        post_logout_redirect_uris: details.post_logout_redirect_uris,
        id_token_alg: algorithm(client.algorithms.id_token),
        access_token_alg: algorithm(client.algorithms.access_token),
        userinfo_alg: algorithm(client.algorithms.userinfo),
        // FAPI 2.0 implies both
        require_pushed_requests: client.request_protection.pushed && !client.fapi,
        dpop: client.dpop_bound && !client.fapi,
        fapi: client.fapi,
        jwks: None,
        jwks_uri: None,
        without_pkce: client.kind == ClientType::Confidential && !client.pkce_required,
        secret: None,
        id: client.client_id,
        name: client.name,
        redirect_uris: client.redirect_uris,
    }
}
