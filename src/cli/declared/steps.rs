//! The changes of a plan as steps of a single transaction.

use crate::cli::Error;
use crate::clients::secrets;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::oauth::client_metadata::ClientKeys;
use crate::secret::Secret;
use crate::store::audit::{self, Entry, Event};
use crate::store::client_changes::{self, Changes};
use crate::store::client_details::{self, Details};
use crate::store::clients::Client;
use crate::store::issuers::{self, Issuer};
use crate::store::resources::{self, StoredResource};
use crate::store::roles::{self, Role};
use crate::store::{self, Tx};

/// A change.
pub(super) struct Change {
    /// True for a new entry.
    pub(super) is_new: bool,
    /// `role`, `resource`, `issuer` or `client`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// A line per difference.
    pub(super) details: Vec<String>,
    /// The step that makes the change.
    pub(super) step: Step,
}

/// A step.
#[derive(Clone)]
pub(super) enum Step {
    /// Inserts or replaces a role.
    Role(Role),
    /// Inserts a resource.
    NewResource(StoredResource),
    /// Replaces a resource.
    Resource(StoredResource),
    /// Inserts a trusted issuer.
    NewIssuer(Issuer),
    /// Replaces the properties of a trusted issuer.
    Issuer(Issuer),
    /// Inserts a client.
    NewClient(Box<NewClient>),
    /// Changes a client.
    Client(Box<ChangedClient>),
}

/// A new client.
#[derive(Clone)]
pub(super) struct NewClient {
    pub(super) client: Client,
    pub(super) keys: ClientKeys,
    pub(super) details: Details,
    /// The secret of the file; generated if absent and the client is confidential.
    pub(super) secret: Option<Secret>,
    pub(super) has_secret: bool,
}

/// A changed client.
#[derive(Clone)]
pub(super) struct ChangedClient {
    pub(super) before: Client,
    pub(super) changes: Changes,
    /// The new details; `None` if unchanged.
    pub(super) details: Option<Details>,
    /// The new secret; `None` if unchanged.
    pub(super) secret: Option<Secret>,
}

/// Hashes the secrets, and makes all changes in a single transaction. Returns the generated secrets by client id.
pub(super) async fn commit(
    context: &Context,
    changes: Vec<Change>,
) -> Result<Vec<(String, String)>, Error> {
    let mut generated = Vec::new();
    let mut steps: Vec<Step> = changes.into_iter().map(|change| change.step).collect();
    for step in &mut steps {
        match step {
            Step::NewClient(new) => generated.extend(set_hash(context, new).await?),
            Step::Client(update) => {
                if let Some(secret) = &update.secret {
                    update.changes.secret_hash = Some(context.passwords.hash(secret).await?);
                }
            }
            Step::Role(_)
            | Step::NewResource(_)
            | Step::Resource(_)
            | Step::NewIssuer(_)
            | Step::Issuer(_) => {}
        }
    }
    if steps.is_empty() {
        return Ok(generated);
    }
    let input = (steps, context.clock.now());
    let written = context.db.write(input, |tx, (steps, now)| {
        Box::pin(async move {
            for step in steps {
                step.commit(tx, *now).await?;
            }
            Ok(())
        })
    });
    written.await.map_err(told)?;
    Ok(generated)
}

/// The line of a changed value.
pub(super) fn difference(noun: &str, before: &str, after: &str) -> String {
    let shown = |text: &str| {
        if text.is_empty() {
            "none".to_owned()
        } else {
            text.to_owned()
        }
    };
    format!("{noun}: {} -> {}", shown(before), shown(after))
}

fn told(error: store::Error) -> Error {
    match error {
        store::Error::Taken(_) | store::Error::Gone => Error::because(
            "nothing was changed: an entry was created or deleted since the plan was made, or two resources have the \
             same scope; run `storyden-auth plan` again",
        ),
        error => error.into(),
    }
}

/// Sets the hash of a new client's secret. Returns a generated secret with the client id.
async fn set_hash(
    context: &Context,
    new: &mut NewClient,
) -> Result<Option<(String, String)>, Error> {
    if let Some(secret) = &new.secret {
        new.client.secret_hash = Some(context.passwords.hash(secret).await?);
        return Ok(None);
    }
    if !new.has_secret {
        return Ok(None);
    }
    let (secret, hash) = secrets::generate(context).await?;
    new.client.secret_hash = Some(hash);
    Ok(Some((
        new.client.client_id.clone(),
        secret.reveal().to_owned(),
    )))
}

impl Step {
    async fn commit(&self, tx: &mut Tx, now: Timestamp) -> store::Result<()> {
        match self {
            Self::Role(role) => roles::save(tx, role, now).await,
            Self::NewResource(resource) => {
                resources::insert(tx, resource).await?;
                let entry = Entry::new(Event::ResourceCreated, now).subject(&resource.id);
                audit::insert(tx, &entry).await
            }
            Self::Resource(resource) => {
                resources::replace(tx, resource).await?;
                let entry = Entry::new(Event::ResourceUpdated, now).subject(&resource.id);
                audit::insert(tx, &entry).await
            }
            Self::NewIssuer(issuer) => {
                issuers::insert(tx, issuer).await?;
                let entry = Entry::new(Event::IssuerCreated, now).subject(&issuer.id);
                audit::insert(tx, &entry).await
            }
            Self::Issuer(issuer) => {
                issuers::replace(tx, issuer).await?;
                let entry = Entry::new(Event::IssuerUpdated, now).subject(&issuer.id);
                audit::insert(tx, &entry).await
            }
            Self::NewClient(new) => new.commit(tx, now).await,
            Self::Client(changed) => changed.commit(tx, now).await,
        }
    }
}

fn entry(event: Event, client: &Client, now: Timestamp) -> Entry {
    let mut entry = Entry::new(event, now)
        .client(&client.client_id)
        .subject(&client.row_id);
    entry.account.clone_from(&client.owner);
    entry
}

impl NewClient {
    async fn commit(&self, tx: &mut Tx, now: Timestamp) -> store::Result<()> {
        client_changes::insert_with_keys(tx, &self.client, &self.keys).await?;
        client_details::save(tx, &self.client.row_id, &self.details).await?;
        audit::insert(tx, &entry(Event::ClientCreated, &self.client, now)).await
    }
}

impl ChangedClient {
    async fn commit(&self, tx: &mut Tx, now: Timestamp) -> store::Result<()> {
        let row = &self.before.row_id;
        if !client_changes::update(tx, row, &self.changes, now).await? {
            return Err(store::Error::Gone);
        }
        if let Some(details) = &self.details {
            client_details::save(tx, row, details).await?;
        }
        if self.changes.secret_hash.is_some() {
            audit::insert(tx, &entry(Event::ClientSecretRotated, &self.before, now)).await?;
        }
        audit::insert(tx, &entry(Event::ClientUpdated, &self.before, now)).await
    }
}
