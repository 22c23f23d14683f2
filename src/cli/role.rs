//! `role`: the permissions of members. Guest, Member and Admin exist without a row.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::account::find;
use super::{Error, arguments, open, output};
use crate::config::Config;
use crate::context::Context;
use crate::ids::RoleId;
use crate::oauth::permission::{Permission, PermissionSet};
use crate::store;
use crate::store::accounts::{ADMIN_ROLE, GUEST_ROLE, MEMBER_ROLE};
use crate::store::roles;

/// Commands for roles.
#[derive(Debug, Subcommand)]
pub(super) enum Role {
    Create(Create),
    List(List),
    Set(Set),
    Assign(Assign),
    Unassign(Unassign),
}

/// The permissions of a role.
#[derive(Args, Debug)]
struct Granted {
    /// Permission of the role, for example `USE_OAUTH_CLIENTS`; repeatable.
    #[arg(
        long = "permission", value_name = "PERMISSION", num_args = 1.., required = true,
        value_parser = arguments::permission
    )]
    permissions: Vec<Permission>,
}

/// Make a role.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth role create Developers --permission USE_OAUTH_CLIENTS"
)]
pub(super) struct Create {
    /// Name of the role, for example Developers; case is ignored.
    #[arg(value_parser = arguments::name)]
    name: String,
    #[command(flatten)]
    granted: Granted,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// List every role with all permissions.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Replace the permissions of a role.
///
/// `guest`, `member` and `admin` are the built-in roles; the new permissions override the defaults.
#[derive(Args, Debug)]
pub(super) struct Set {
    /// The name of the role, as in member.
    name: String,
    #[command(flatten)]
    granted: Granted,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Give a role to an account.
#[derive(Args, Debug)]
pub(super) struct Assign {
    /// The handle or id of the account, as in frigg.
    handle: String,
    /// The name of the role, as in Developers.
    name: String,
}

/// Take a role from an account.
#[derive(Args, Debug)]
pub(super) struct Unassign {
    /// The handle or id of the account, as in frigg.
    handle: String,
    /// The name of the role, as in Developers.
    name: String,
}

impl Role {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = open(config).await?;
        match self {
            Self::Create(create) => create.run(&context).await,
            Self::List(list) => list.run(&context).await,
            Self::Set(set) => set.run(&context).await,
            Self::Assign(assign) => assign.run(&context).await,
            Self::Unassign(unassign) => unassign.run(&context).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let there = || {
            Error::because(format!(
                "NAME: the role {:?} exists already; change its permissions with `role set`",
                self.name
            ))
        };
        // The unique index is case-sensitive, names are not: `save` finds the role in any case.
        if roles::find(&context.db, &self.name).await?.is_some() {
            return Err(there());
        }
        let role = roles::Role {
            id: RoleId::generate(context.clock.now()),
            name: self.name.clone(),
            permissions: self.granted.permissions.iter().copied().collect(),
        };
        match save(context, &role).await {
            Err(store::Error::Taken(_)) => return Err(there()),
            saved => saved?,
        }
        print_role(&role, self.json)
    }
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let mut role = find_role(context, &self.name).await?;
        role.permissions = self.granted.permissions.iter().copied().collect();
        keeps_administrators(&role)?;
        save(context, &role).await?;
        print_role(&role, self.json)
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let roles = roles::list(&context.db).await?;
        if self.json {
            let roles: Vec<serde_json::Value> = roles.iter().map(json).collect();
            return output::print_json(&roles);
        }
        let rows = roles.into_iter().map(|role| {
            let built_in = output::yes(is_built_in(&role.id));
            [
                role.name,
                built_in,
                names(role.permissions).join(", "),
                role.id.to_string(),
            ]
        });
        output::print(&output::table(
            ["NAME", "BUILT-IN", "PERMISSIONS", "ID"],
            rows,
        ))
    }
}

impl Assign {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let role = assignable(context, &self.name).await?;
        let account = find(context, &self.handle).await?;
        let input = (account.id, role.id, context.clock.now());
        let assigned = context.db.write(input, |tx, (account, role, now)| {
            Box::pin(roles::assign(tx, account, role, *now))
        });
        let (handle, name) = (account.handle, output::clean(&role.name));
        let already = if assigned.await? { "" } else { " already" };
        output::note(&format!("{handle} holds the role {name}{already}"));
        Ok(())
    }
}

impl Unassign {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let role = assignable(context, &self.name).await?;
        let account = find(context, &self.handle).await?;
        let input = (account.id, role.id);
        let held = context.db.write(input, |tx, (account, role)| {
            Box::pin(roles::unassign(tx, account, role))
        });
        let (handle, name) = (account.handle, output::clean(&role.name));
        if held.await? {
            output::note(&format!("{handle} no longer holds the role {name}"));
            return Ok(());
        }
        Err(Error::because(format!(
            "{handle} does not hold the role {name}"
        )))
    }
}

/// Rejects a role Admin without ADMINISTRATOR: no account could administer the community.
pub(super) fn keeps_administrators(role: &roles::Role) -> Result<(), Error> {
    if role.id.as_str() == ADMIN_ROLE && !role.permissions.holds(Permission::Administrator) {
        return Err(Error::because(
            "--permission: the role Admin must keep ADMINISTRATOR, because no account could restore the \
             permission",
        ));
    }
    Ok(())
}

async fn save(context: &Context, role: &roles::Role) -> Result<(), store::Error> {
    let input = (role.clone(), context.clock.now());
    context
        .db
        .write(input, |tx, (role, now)| {
            Box::pin(roles::save(tx, role, *now))
        })
        .await
}

async fn find_role(context: &Context, name: &str) -> Result<roles::Role, Error> {
    let role = roles::find(&context.db, name).await?;
    role.ok_or_else(|| {
        Error::because(format!(
            "NAME: no role is called {name:?}; `role list` shows all"
        ))
    })
}

/// Finds a role that is assigned by a row, i.e. not a built-in role.
async fn assignable(context: &Context, name: &str) -> Result<roles::Role, Error> {
    let role = find_role(context, name).await?;
    let why = match role.id.as_str() {
        MEMBER_ROLE => "every account holds the role Member",
        GUEST_ROLE => "the role Guest applies to visitors without a session",
        ADMIN_ROLE => {
            "the role Admin belongs to administrator accounts; create one with `account create \
             --admin`"
        }
        _ => return Ok(role),
    };
    Err(Error::because(format!(
        "NAME: {why}; the role cannot be assigned or unassigned"
    )))
}

fn is_built_in(id: &RoleId) -> bool {
    [GUEST_ROLE, MEMBER_ROLE, ADMIN_ROLE].contains(&id.as_str())
}

fn names(permissions: PermissionSet) -> Vec<&'static str> {
    permissions.iter().map(Permission::name).collect()
}

fn json(role: &roles::Role) -> serde_json::Value {
    serde_json::json!({
        "id": role.id,
        "name": role.name,
        "built_in": is_built_in(&role.id),
        "permissions": names(role.permissions),
    })
}

fn print_role(role: &roles::Role, as_json: bool) -> Result<(), Error> {
    if as_json {
        return output::print_json(&json(role));
    }
    output::print(&output::facts([
        ("id", role.id.to_string()),
        ("name", role.name.clone()),
        ("permissions", names(role.permissions).join(", ")),
    ]))
}
