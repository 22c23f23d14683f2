//! Members and applications of the demo. Missing items are created in a single transaction, so that the
//! next run completes an interrupted run.

use crate::cli::{Error, password};
use crate::clients::secrets;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::{AccountId, ClientRowId, RoleId};
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::permission::{Permission, PermissionSet};
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::{Scope, ScopeName};
use crate::secret::Secret;
use crate::store::client_changes;
use crate::store::clients::{self, Client};
use crate::store::db::{Step, Tx};
use crate::store::new_accounts::{self, NewAccount, NewEmail};
use crate::store::{self, account_passwords, accounts, roles};

/// The role that lets frigg authorize applications.
const ROLE: &str = "App users";

/// A member of the demo.
pub(super) struct Person {
    pub(super) handle: &'static str,
    name: &'static str,
    admin: bool,
    holds_role: bool,
    /// The member's permissions in words, for the welcome text.
    pub(super) may: &'static str,
}

/// The members of the demo.
pub(super) const PEOPLE: &[Person] = &[
    Person {
        handle: "odin",
        name: "Odin",
        admin: true,
        holds_role: false,
        may: "do everything: an administrator",
    },
    Person {
        handle: "frigg",
        name: "Frigg",
        admin: false,
        holds_role: true,
        may: "authorize applications",
    },
    Person {
        handle: "loki",
        name: "Loki",
        admin: false,
        holds_role: false,
        may: "sign in, and not authorize applications",
    },
];

/// Created items, shown once.
#[derive(Default)]
pub(super) struct Seeded {
    pub(super) passwords: Vec<(&'static str, Secret)>,
    pub(super) client_secret: Option<Secret>,
}

/// The writes of the transaction.
struct Plan {
    now: Timestamp,
    role: roles::Role,
    role_is_missing: bool,
    /// New members, and true if the member holds the role.
    people: Vec<(NewAccount, bool)>,
    /// Present members, with hashes of new passwords.
    passwords: Vec<(AccountId, String)>,
    clients: Vec<Client>,
}

/// Creates missing items; `reset` also sets new passwords for present members.
pub(super) async fn seed(context: &Context, reset: bool) -> Result<Seeded, Error> {
    let mut seeded = Seeded::default();
    let role = roles::find(&context.db, ROLE).await?;
    let mut plan = Plan {
        now: context.clock.now(),
        role_is_missing: role.is_none(),
        role: role.unwrap_or_else(|| roles::Role {
            id: RoleId::generate(context.clock.now()),
            name: ROLE.to_owned(),
            permissions: PermissionSet::of(&[Permission::UseOauthClients]),
        }),
        people: Vec::new(),
        passwords: Vec::new(),
        clients: Vec::new(),
    };
    for person in PEOPLE {
        plan_person(context, person, reset, &mut plan, &mut seeded).await?;
    }
    plan_clients(context, &mut plan, &mut seeded).await?;
    match context.db.write(plan, |tx, plan| write(tx, plan)).await {
        Err(store::Error::Taken(_)) => Err(Error::because(
            "--dir: another demo is writing to the same directory; start this demo again",
        )),
        written => Ok(written.map(|()| seeded)?),
    }
}

async fn plan_person(
    context: &Context,
    person: &Person,
    reset: bool,
    plan: &mut Plan,
    seeded: &mut Seeded,
) -> Result<(), Error> {
    let known = accounts::find_by_handle(&context.db, person.handle).await?;
    if known.is_some() && !reset {
        return Ok(());
    }
    let password = password::generate(&context.random);
    let hash = context.passwords.hash(&password).await?;
    seeded.passwords.push((person.handle, password));
    match known {
        Some(account) => plan.passwords.push((account.id, hash)),
        None => plan
            .people
            .push((person.account(context, hash), person.holds_role)),
    }
    Ok(())
}

impl Person {
    fn account(&self, context: &Context, password_hash: String) -> NewAccount {
        NewAccount {
            id: AccountId::generate(context.clock.now()),
            handle: self.handle.to_owned(),
            name: self.name.to_owned(),
            admin: self.admin,
            email: Some(NewEmail::without_verification(
                format!("{}@example.com", self.handle),
                true,
                &context.random,
            )),
            password_hash: Some(password_hash),
        }
    }
}

async fn plan_clients(
    context: &Context,
    plan: &mut Plan,
    seeded: &mut Seeded,
) -> Result<(), Error> {
    if clients::find(&context.db, "demo-public").await?.is_none() {
        plan.clients.push(public(plan.now));
    }
    if clients::find(&context.db, "demo-confidential")
        .await?
        .is_none()
    {
        let new = plan.people.iter().find(|(new, _)| new.handle == "odin");
        let owner = match new {
            Some((new, _)) => Some(new.id.clone()),
            None => accounts::find_by_handle(&context.db, "odin")
                .await?
                .map(|account| account.id),
        };
        let (secret, hash) = secrets::generate(context).await?;
        plan.clients.push(confidential(plan.now, owner, hash));
        seeded.client_secret = Some(secret);
    }
    Ok(())
}

/// The standard scopes and the read permissions of the demo's applications.
fn scope() -> ClientScope {
    let permissions = [
        Permission::ReadPublishedThreads,
        Permission::ReadPublishedLibrary,
        Permission::ListProfiles,
        Permission::ReadProfile,
    ];
    let permissions = permissions.map(ScopeName::Permission);
    let allowed: Scope = ScopeName::STANDARD
        .iter()
        .copied()
        .chain(permissions)
        .collect();
    ClientScope {
        policy: ScopePolicy::Explicit,
        allowed,
        self_registered: false,
    }
}

fn public(now: Timestamp) -> Client {
    Client {
        row_id: ClientRowId::generate(now),
        client_id: "demo-public".to_owned(),
        secret_hash: None,
        name: "Demo app".to_owned(),
        kind: ClientType::Public,
        application_type: None,
        old_secret: None,
        auth_method: None,
        pkce_required: true,
        request_protection: RequestProtection::NONE,
        dpop_bound: false,
        fapi: false,
        algorithms: ClientAlgorithms::default(),
        scope: scope(),
        redirect_uris: vec![
            "http://127.0.0.1/callback".to_owned(),
            "http://localhost/callback".to_owned(),
        ],
        redirect_uris_omitted: false,
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        owner: None,
        created_at: now,
        updated_at: now,
    }
}

fn confidential(now: Timestamp, owner: Option<AccountId>, secret_hash: String) -> Client {
    Client {
        client_id: "demo-confidential".to_owned(),
        secret_hash: Some(secret_hash),
        name: "Demo web app".to_owned(),
        kind: ClientType::Confidential,
        redirect_uris: vec![
            "https://app.example/callback".to_owned(),
            "http://localhost/callback".to_owned(),
        ],
        grants: vec![
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::ClientCredentials,
        ],
        owner,
        ..public(now)
    }
}

fn write<'a>(tx: &'a mut Tx, plan: &'a Plan) -> Step<'a, ()> {
    Box::pin(async move {
        if plan.role_is_missing {
            roles::save(tx, &plan.role, plan.now).await?;
        }
        for (account, holds_role) in &plan.people {
            new_accounts::insert(tx, account, plan.now).await?;
            if *holds_role {
                roles::assign(tx, &account.id, &plan.role.id, plan.now).await?;
            }
        }
        for (account, hash) in &plan.passwords {
            account_passwords::set(tx, account, hash, plan.now).await?;
        }
        for client in &plan.clients {
            client_changes::insert(tx, client).await?;
        }
        Ok(())
    })
}
