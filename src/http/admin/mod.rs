//! JSON API for administrators (storyden-contract.md#administration): the overview, clients, access keys, device
//! authorizations and refresh tokens of all accounts, members, resources, trusted issuers, revocation, signing keys, and
//! the audit trail. Requires ADMINISTRATOR, with any credential.

pub mod access_keys;
pub mod audit;
pub mod blocked_clients;
pub mod client_errors;
mod client_input;
pub mod clients;
pub mod device_authorizations;
pub mod issuers;
pub mod listing;
pub mod members;
pub mod overview;
pub mod refresh_tokens;
pub mod remote;
pub mod resources;
pub mod revocation;
pub mod signing_keys;

use crate::context::Context;
use crate::http::guards::Actor;
use crate::ids::AccountId;
use crate::store::audit::{Entry, Event};

/// Builds the audit event of an administrator's action, optionally about an account.
fn entry(context: &Context, event: Event, actor: &Actor, account: Option<&AccountId>) -> Entry {
    let mut entry = Entry::new(event, context.clock.now())
        .by(&actor.account.id)
        .from(actor.address);
    entry.account = account.cloned();
    entry
}
