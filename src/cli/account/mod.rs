//! `account`: accounts of members.

mod details;
mod list;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::password::PasswordSource;
use super::{Error, arguments, open, open_or_create, output};
use crate::accounts::suspension;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::context::Context;
use crate::ids::AccountId;
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::closing::{self, AccountClosing, SessionlessCredentials};
use crate::store::new_accounts::{self, NewAccount, NewEmail};
use crate::store::{account_passwords, accounts};

/// Commands for members' accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    Create(Create),
    List(list::List),
    Show(details::Show),
    SignOut(details::SignOut),
    Suspend(Suspend),
    Reinstate(Reinstate),
    Password(SetPassword),
}

/// Create an account.
///
/// Without a password, sign-in is impossible; `account password` sets a password later.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth account create --handle odin --name Odin --admin --generate-password"
)]
pub(super) struct Create {
    /// The unique name: 1 to 30 letters (a-z), digits, hyphens and underscores, as in odin.
    #[arg(long, value_name = "HANDLE", value_parser = arguments::handle)]
    handle: String,
    /// Display name, as in "Odin Borson" [default: the handle].
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    name: Option<String>,
    /// E-mail address, for example odin@example.com.
    #[arg(long, value_name = "EMAIL", value_parser = arguments::email)]
    email: Option<String>,
    /// Mark the e-mail address as verified; applications see this in `email_verified`.
    #[arg(long, requires = "email")]
    email_verified: bool,
    /// Make the account an administrator, with every permission.
    #[arg(long)]
    admin: bool,
    #[command(flatten)]
    password: PasswordSource,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Suspend an account: sign-in is refused, and sessions and grants end.
///
/// Nothing that the member created is deleted; `account reinstate` lifts the suspension. This is
/// Storyden's own suspension.
#[derive(Args, Debug)]
pub(super) struct Suspend {
    /// The handle or id of the account, as in loki.
    handle: String,
    /// Suspend without asking.
    #[arg(long)]
    yes: bool,
}

/// End the suspension of an account.
#[derive(Args, Debug)]
pub(super) struct Reinstate {
    /// The handle or id of the account, as in loki.
    handle: String,
}

/// Set a new password. Ends sessions and grants of the account, and revokes the access keys and the
/// secrets of the account's applications with the client credentials grant.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth account password odin --generate-password")]
pub(super) struct SetPassword {
    /// The handle or id of the account, as in odin.
    handle: String,
    #[command(flatten)]
    password: PasswordSource,
    /// Do not revoke the access keys of the account.
    #[arg(long)]
    keep_access_keys: bool,
    /// Do not revoke the secrets of the account's applications.
    #[arg(long)]
    keep_client_secrets: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A new account.
#[derive(Serialize)]
struct CreatedAccount {
    id: AccountId,
    handle: String,
    name: String,
    admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl Account {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = match &self {
            Self::Create(_) => open_or_create(config).await?,
            _ => open(config).await?,
        };
        match self {
            Self::Create(create) => create.run(&context).await,
            Self::List(list) => list.run(&context).await,
            Self::Show(show) => show.run(&context).await,
            Self::SignOut(sign_out) => sign_out.run(&context).await,
            Self::Suspend(Suspend { handle, yes }) => suspend(&context, &handle, yes).await,
            Self::Reinstate(Reinstate { handle }) => reinstate(&context, &handle).await,
            Self::Password(set) => set.run(&context).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let password = self.password.read(&context.random)?;
        let password_hash = match &password {
            Some(password) => Some(context.passwords.hash(&password.secret).await?),
            None => None,
        };
        let now = context.clock.now();
        let new = NewAccount {
            id: AccountId::generate(now),
            name: self.name.unwrap_or_else(|| self.handle.clone()),
            handle: self.handle,
            admin: self.admin,
            email: self.email.map(|address| {
                NewEmail::without_verification(address, self.email_verified, &context.random)
            }),
            password_hash,
        };
        let made = CreatedAccount {
            id: new.id.clone(),
            handle: new.handle.clone(),
            name: new.name.clone(),
            admin: new.admin,
            email: new.email.as_ref().map(|email| email.address.clone()),
            email_verified: new.email.as_ref().map(|email| email.verified),
            created_at: now,
            password: password
                .as_ref()
                .filter(|password| password.made)
                .map(|password| password.secret.reveal().to_owned()),
        };
        let entry = entry(context, Event::AccountCreated, &new.id);
        let inserted = context
            .db
            .write((new, entry), |tx, (new, entry)| {
                Box::pin(async move {
                    new_accounts::insert(tx, new, entry.at).await?;
                    audit::insert(tx, entry).await
                })
            })
            .await;
        inserted.map_err(|error| taken(error, &made))?;
        made.print(self.json)?;
        if password.is_none() {
            let (program, handle) = (output::program(), &made.handle);
            output::note(&format!(
                "{handle} has no password yet; set one with: {program} account password {handle} \
                 --generate-password"
            ));
        }
        note_missing_permission(context, &made.handle).await
    }
}

/// Prints how to let a new account use applications, if no role does.
async fn note_missing_permission(context: &Context, handle: &str) -> Result<(), Error> {
    let account = accounts::find_by_handle(&context.db, handle).await?;
    if account.is_none_or(|account| account.may_use_clients()) {
        return Ok(());
    }
    let program = output::program();
    output::note(&format!(
        "{handle} cannot approve applications yet: no role of the account has the permission \
         USE_OAUTH_CLIENTS; create a role with: {program} role create Developers --permission \
         USE_OAUTH_CLIENTS, and assign the role with: {program} role assign {handle} Developers"
    ));
    Ok(())
}

/// Tells which unique value of a new account is taken.
fn taken(error: store::Error, made: &CreatedAccount) -> Error {
    match (&error, &made.email) {
        (store::Error::Taken(what), Some(email)) if what.contains("email") => {
            Error::because(format!("--email: {email} belongs to another account"))
        }
        (store::Error::Taken(_), _) => Error::because(format!(
            "--handle: {} is taken; `account list` shows all accounts",
            made.handle
        )),
        _ => error.into(),
    }
}

impl CreatedAccount {
    fn print(&self, json: bool) -> Result<(), Error> {
        if json {
            return output::print_json(self);
        }
        let mut facts = vec![
            ("id", self.id.to_string()),
            ("handle", self.handle.clone()),
            ("name", self.name.clone()),
            ("admin", if self.admin { "yes" } else { "no" }.to_owned()),
        ];
        if let Some(email) = &self.email {
            let verified = if self.email_verified == Some(true) {
                ""
            } else {
                " (not verified)"
            };
            facts.push(("email", format!("{email}{verified}")));
        }
        if let Some(password) = &self.password {
            facts.push(("password", format!("{password}   (shown this once)")));
        }
        output::print(&output::facts(facts))
    }
}

impl SetPassword {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let Some(password) = self.password.read(&context.random)? else {
            return Err(Error::because(
                "choose a source of the password: --password-stdin or --generate-password",
            ));
        };
        let account = find(context, &self.handle).await?;
        let hash = context.passwords.hash(&password.secret).await?;
        let entry = entry(context, Event::PasswordChanged, &account.id);
        let closing = AccountClosing {
            account: account.id.clone(),
            keep: None,
            access_keys: !self.keep_access_keys,
            client_secrets: !self.keep_client_secrets,
            because: "password_changed",
        };
        let counted = closing.count_open(&context.db, entry.at).await?;
        let write = context
            .db
            .write((closing, hash, entry), |tx, (closing, hash, entry)| {
                Box::pin(async move {
                    account_passwords::set(tx, &closing.account, hash, entry.at).await?;
                    audit::insert(tx, entry).await?;
                    closing.close(tx, entry).await
                })
            });
        let ended = write.await?.or_counted(counted);
        let left = closing::count(&context.db, &account.id, context.clock.now()).await?;
        let shown = password.made.then(|| password.secret.reveal());
        if self.json {
            let mut answer = serde_json::json!({
                "id": account.id, "handle": account.handle, "ended": ended, "left": left,
            });
            if let Some(password) = shown {
                answer["password"] = password.into();
            }
            return output::print_json(&answer);
        }
        if let Some(password) = shown {
            output::print(password)?;
        }
        output::note(&format!(
            "{} has a new password; ended: {} sessions, {} grants, {}; left: {}",
            account.handle,
            ended.sessions,
            ended.grants(),
            sentence(ended.lasting),
            sentence(left),
        ));
        Ok(())
    }
}

/// Describes the credentials that stay valid without a session.
fn sentence(credentials: SessionlessCredentials) -> String {
    format!(
        "{} access keys, {} client secrets",
        credentials.access_keys, credentials.client_secrets
    )
}

async fn suspend(context: &Context, handle: &str, yes: bool) -> Result<(), Error> {
    let account = find(context, handle).await?;
    let (handle, person) = (
        account.handle.clone(),
        person(&account.name, &account.handle),
    );
    output::agree(
        &format!("Suspend {person} and end all sessions and tokens of the account?"),
        yes,
    )?;
    let entry = entry(context, Event::AccountSuspended, &account.id);
    let write = context.db.write((account, entry), |tx, (account, entry)| {
        Box::pin(suspension::suspend(tx, &account.handle, &account.id, entry))
    });
    if !write.await? {
        return Err(no_account(&handle));
    }
    output::note(&format!(
        "{handle} is suspended: all sessions and tokens of the account are revoked. Access keys \
         and client secrets of the account are rejected until `account reinstate {handle}`, which \
         also allows sign-in again"
    ));
    Ok(())
}

async fn reinstate(context: &Context, handle: &str) -> Result<(), Error> {
    let account = find(context, handle).await?;
    let handle = account.handle.clone();
    let entry = entry(context, Event::AccountReinstated, &account.id);
    let write = context.db.write((account, entry), |tx, (account, entry)| {
        Box::pin(suspension::reinstate(tx, &account.handle, entry))
    });
    if !write.await? {
        return Err(no_account(&handle));
    }
    output::note(&format!("{handle} is no longer suspended"));
    Ok(())
}

/// Builds the audit event of an operator's action on an account.
fn entry(context: &Context, event: Event, account: &AccountId) -> Entry {
    Entry::new(event, context.clock.now()).of(account)
}

/// Finds the account that the command line names by handle or id.
pub(super) async fn find(context: &Context, name: &str) -> Result<accounts::Account, Error> {
    let account = accounts::find_named(&context.db, name).await?;
    account.ok_or_else(|| no_account(name))
}

/// Names a person: the display name and the handle.
fn person(name: &str, handle: &str) -> String {
    format!("{} (@{handle})", output::clean(name))
}

fn no_account(name: &str) -> Error {
    Error::because(format!(
        "no account has the handle or id {name:?}; `account list` shows all"
    ))
}
