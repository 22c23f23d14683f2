//! JSON for administrators (contract 15): everybody's clients, device authorizations and refresh
//! tokens, the end of what was granted, and the audit trail. Whoever holds ADMINISTRATOR may use it,
//! by any credential.

pub mod audit;
mod client_input;
pub mod clients;
pub mod device_authorizations;
mod listing;
pub mod refresh_tokens;
pub mod remote;
pub mod revocation;

use crate::accounts::guard::Actor;
use crate::app::App;
use crate::endpoints::extract::ClientAddress;
use crate::ids::AccountId;
use crate::store::audit::{Entry, Event};

/// A line of the trail about what an administrator does, to an account or to nobody's.
fn entry(
    app: &App,
    event: Event,
    actor: &Actor,
    ClientAddress(address): ClientAddress,
    account: Option<&AccountId>,
) -> Entry {
    let mut entry = Entry::new(event, app.clock.now())
        .by(&actor.account.id)
        .from(address);
    entry.account = account.cloned();
    entry
}
