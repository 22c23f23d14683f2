//! `issuer`: trusted issuers of identity assertions (RFC 7523 §2.1, ID-JAG), and the accounts of their subjects.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Error, account, open, output};
use crate::config::Config;
use crate::context::Context;
use crate::issuers::{self, Draft, Shown};
use crate::store::audit::{Entry, Event};
use crate::store::issuers::{self as rows, Issuer as StoredIssuer};

/// Commands for trusted issuers.
#[derive(Debug, Subcommand)]
pub(super) enum Issuer {
    Add(Add),
    List(List),
    Show(Show),
    Set(Set),
    Map(Map),
    Unmap(Unmap),
    Remove(Remove),
}

/// Add a trusted issuer: its identity assertions are accepted as grants, with `OAUTH_JWT_BEARER`.
///
/// The issuer decides which applications act for which members, within the scopes of the application and the
/// permissions of the member. Subjects are mapped with `issuer map`, or by the verified e-mail address with --by-email.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth issuer add https://idp.example --name 'Company sign-in' --by-email"
)]
pub(super) struct Add {
    /// The issuer, the claim `iss` of its assertions, as in <https://idp.example>.
    url: String,
    /// Name for administrators.
    #[arg(long)]
    name: Option<String>,
    /// URL of the keys [default: as the metadata of the issuer name].
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// Map a subject without a mapping to the account with the same verified e-mail address. The issuer can then act
    /// for every member with an address that it claims, administrators too.
    #[arg(long)]
    by_email: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// List the trusted issuers.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Show an issuer with its mapped subjects.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// The issuer.
    url: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Change an issuer.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth issuer set https://idp.example --by-email false")]
pub(super) struct Set {
    /// The issuer.
    url: String,
    /// Name for administrators; an empty text: none.
    #[arg(long)]
    name: Option<String>,
    /// URL of the keys; an empty text: as the metadata of the issuer name.
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// True: map subjects by the verified e-mail address too.
    #[arg(long, value_name = "BOOL")]
    by_email: Option<bool>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Map a subject of an issuer to an account, in place of an earlier account.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth issuer map https://idp.example 00u1abcd --account odin"
)]
pub(super) struct Map {
    /// The issuer.
    url: String,
    /// The claim `sub` of its assertions.
    subject: String,
    /// Handle of the account.
    #[arg(long, value_name = "HANDLE")]
    account: String,
}

/// Remove the mapping of a subject.
#[derive(Args, Debug)]
pub(super) struct Unmap {
    /// The issuer.
    url: String,
    /// The claim `sub` of its assertions.
    subject: String,
}

/// Remove an issuer with its mapped subjects. Access tokens from earlier assertions expire.
#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The issuer.
    url: String,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

impl Issuer {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = open(config).await?;
        match self {
            Self::Add(add) => add.run(&context).await?,
            Self::List(list) => list.run(&context).await?,
            Self::Show(show) => show.run(&context).await?,
            Self::Set(set) => set.run(&context).await?,
            Self::Map(map) => map.run(&context).await?,
            Self::Unmap(unmap) => unmap.run(&context).await?,
            Self::Remove(remove) => return remove.run(&context).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let draft = Draft {
            url: self.url,
            name: self.name,
            jwks_uri: self.jwks_uri,
            by_email: self.by_email,
        };
        let entry = Entry::new(Event::IssuerCreated, context.clock.now());
        let stored = issuers::create(context, draft, entry).await.map_err(told)?;
        if let Err(why) = issuers::fetch_keys(context, &stored).await {
            output::note(&format!(
                "warning: the keys of the issuer cannot be read now: {why}"
            ));
        }
        if !context.config.jwt_bearer {
            output::note("Assertions are refused until OAUTH_JWT_BEARER is true.");
        }
        print(context, stored, self.json).await
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let shown = issuers::list(context).await?;
        if self.json {
            return output::print_json(&shown);
        }
        if shown.is_empty() {
            output::note("There are no trusted issuers; `issuer add` adds one.");
            return Ok(());
        }
        let rows = shown.iter().map(|one| {
            let [name, keys, mapping] = one.facts();
            [one.url().to_owned(), name, keys, mapping]
        });
        output::print(&output::table(["ISSUER", "NAME", "KEYS", "SUBJECTS"], rows))
    }
}

impl Show {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let stored = find(context, &self.url).await?;
        print(context, stored, self.json).await
    }
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let before = find(context, &self.url).await?;
        let draft = Draft {
            url: before.url.clone(),
            name: self.name.or_else(|| before.name.clone()),
            jwks_uri: self.jwks_uri.or_else(|| before.jwks_uri.clone()),
            by_email: self.by_email.unwrap_or(before.by_email),
        };
        let entry = Entry::new(Event::IssuerUpdated, context.clock.now());
        let stored = issuers::replace(context, &before, draft, entry).await;
        print(context, stored.map_err(told)?, self.json).await
    }
}

impl Map {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let issuer = find(context, &self.url).await?;
        let account = account::find(context, &self.account).await?;
        let entry = Entry::new(Event::IssuerSubjectMapped, context.clock.now());
        issuers::map(context, &issuer, &self.subject, &account, entry)
            .await
            .map_err(told)?;
        let (subject, handle) = (output::clean(&self.subject), account.handle);
        output::note(&format!("{subject} of {} is @{handle}", issuer.url));
        Ok(())
    }
}

impl Unmap {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let issuer = find(context, &self.url).await?;
        let entry = Entry::new(Event::IssuerSubjectUnmapped, context.clock.now());
        issuers::unmap(context, &issuer, &self.subject, entry)
            .await
            .map_err(told)?;
        output::note("The mapping is removed.");
        Ok(())
    }
}

impl Remove {
    async fn run(self, context: &Context) -> Result<ExitCode, Error> {
        let stored = find(context, &self.url).await?;
        let question = format!("Remove the issuer {} with its mapped subjects?", stored.url);
        if !self.yes && output::confirm(&question)? != Some(true) {
            output::note("Nothing was removed; --yes removes without asking.");
            return Ok(ExitCode::FAILURE);
        }
        let entry = Entry::new(Event::IssuerDeleted, context.clock.now());
        issuers::delete(context, &stored.id, entry)
            .await
            .map_err(told)?;
        output::note("The issuer is removed.");
        Ok(ExitCode::SUCCESS)
    }
}

async fn find(context: &Context, url: &str) -> Result<StoredIssuer, Error> {
    let found = rows::find(&context.db, url).await?;
    found
        .ok_or_else(|| Error::because(format!("There is no issuer {url}; `issuer list` shows all")))
}

fn told(error: issuers::Error) -> Error {
    match error {
        issuers::Error::Store(error) => error.into(),
        error => Error::because(error.to_string()),
    }
}

async fn print(context: &Context, stored: StoredIssuer, json: bool) -> Result<(), Error> {
    let shown = Shown::of(context, stored).await?;
    if json {
        return output::print_json(&shown);
    }
    let [name, keys, mapping] = shown.facts();
    let subjects = shown.subjects().iter();
    let subjects: Vec<String> = subjects
        .map(|one| format!("{} is @{}", output::clean(&one.subject), one.handle))
        .collect();
    output::print(&output::facts(vec![
        ("issuer", shown.url().to_owned()),
        ("name", name),
        ("keys", keys),
        ("subjects by", mapping),
        ("mapped", subjects.join("\n")),
    ]))
}
