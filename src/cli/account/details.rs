//! `account show` and `account sign-out`.

use clap::Args;

use super::{Error, find, output, person};
use crate::context::Context;
use crate::ids::RoleId;
use crate::oauth::permission::Permission;
use crate::store::accounts::{self, ADMIN_ROLE};
use crate::store::applications::{self, Counted};
use crate::store::audit::{self, Entry, Event};
use crate::store::paging::Page;
use crate::store::{closing, members, revocation, roles, sessions};

/// Show an account: roles, state, sessions, applications, keys.
#[derive(Args, Debug)]
pub(in crate::cli) struct Show {
    /// The handle or id of the account, as in odin.
    handle: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// End every session of an account. Approvals of applications stay; `grant revoke` ends these.
#[derive(Args, Debug)]
pub(in crate::cli) struct SignOut {
    /// The handle or id of the account, as in loki.
    handle: String,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

impl Show {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let account = find(context, &self.handle).await?;
        let (id, now) = (&account.id, context.clock.now());
        let counted = Counted {
            now,
            access_token_ttl: context.config.access_token_ttl,
            consents: context.config.remembers_consent(),
        };
        let allowed = applications::list(&context.db, id, counted, Page::asked(None)).await?;
        let emails = accounts::emails(&context.db, id).await?;
        let emails: Vec<String> = emails
            .into_iter()
            .map(|email| email.email_address)
            .collect();
        let roles = role_names(context, &account).await?;
        let lasting = closing::count(&context.db, id, now).await?;
        let open = sessions::list(&context.db, id, now).await?.len();
        let permissions: Vec<&str> = account.permissions.iter().map(Permission::name).collect();
        let names: Vec<String> = allowed.rows.into_iter().map(|client| client.name).collect();
        if self.json {
            return output::print_json(&serde_json::json!({
                "id": account.id, "handle": account.handle, "name": account.name,
                "emails": emails, "roles": roles, "permissions": permissions,
                "suspended": account.suspended, "sessions": open, "applications": names,
                "access_keys": lasting.access_keys, "client_secrets": lasting.client_secrets,
            }));
        }
        let state = if account.suspended {
            "suspended"
        } else {
            "active"
        };
        output::print(&output::facts([
            ("member", person(&account.name, &account.handle)),
            ("id", account.id.to_string()),
            ("state", state.to_owned()),
            ("e-mail", emails.join("\n")),
            ("roles", roles.join(", ")),
            ("permissions", permissions.join(" ")),
            ("sessions", open.to_string()),
            ("applications", names.join("\n")),
            ("access keys", lasting.access_keys.to_string()),
            ("client secrets", lasting.client_secrets.to_string()),
        ]))
    }
}

/// Returns the names of the roles that were given to an account.
async fn role_names(context: &Context, account: &accounts::Account) -> Result<Vec<String>, Error> {
    let mut held: Vec<RoleId> = members::roles(&context.db, std::slice::from_ref(&account.id))
        .await?
        .remove(&account.id)
        .unwrap_or_default();
    if account.admin {
        held.insert(0, RoleId::new(ADMIN_ROLE));
    }
    let known = roles::list(&context.db).await?.into_iter();
    let named = known.filter(|role| held.contains(&role.id));
    Ok(named.map(|role| role.name).collect())
}

impl SignOut {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let account = find(context, &self.handle).await?;
        let person = person(&account.name, &account.handle);
        output::agree(&format!("End every session of {person}?"), self.yes)?;
        let open = sessions::count_open(&context.db, &account.id, None).await?;
        let entry = Entry::new(Event::SessionsEnded, context.clock.now()).of(&account.id);
        let write = context.db.write((account.id, entry), |tx, (id, entry)| {
            Box::pin(async move {
                let ended = revocation::end_sessions(tx, id, entry.at).await?;
                audit::insert(tx, entry).await?;
                Ok(ended)
            })
        });
        let ended = write.await?.max(open);
        output::note(&format!("{person} is signed out; ended: {ended} sessions"));
        Ok(())
    }
}
