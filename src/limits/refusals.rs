//! Refused attempts, for operators: in the log, in the metrics and in the audit trail.
//!
//! An attacker must not choose how much is written. Equal refusals of one minute are one line of the
//! audit trail, with a count: equal in event, account, client and network (IPv4 /24, IPv6 /48). The log
//! has the first of them at once. Beyond `LINES_MAX` lines a minute, the rest is one line per event.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Mutex;

use super::{locked, site_of};
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::store::audit::Entry;
use crate::telemetry::metrics;

/// The lines that one process adds to the audit trail in a minute, besides one per event.
const LINES_MAX: usize = 100;

tokio::task_local! {
    static ADDRESS: IpAddr;
}

/// Runs the handling of a request, whose refusals are recorded with its address.
pub async fn from_address<T>(address: IpAddr, request: impl Future<Output = T>) -> T {
    ADDRESS.scope(address, request).await
}

/// Refusals that are not in the audit trail yet.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Same, Entry>>);

/// What equal refusals have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    event: &'static str,
    account: Option<AccountId>,
    client: Option<String>,
    network: Option<String>,
}

impl Refusals {
    /// Records a refusal of the request in progress.
    pub fn record(&self, mut entry: Entry) {
        metrics::refused(entry.event.name());
        let address = ADDRESS.try_with(|address| *address).ok();
        entry.address = address.map(|address| address.to_string());
        let network = address.map(site_of);
        if self.add(entry.clone(), network) {
            log(&entry);
        }
    }

    /// Takes the lines that began before the minute of `now`: nothing is added to these any more.
    #[must_use]
    pub fn take_complete(&self, now: Timestamp) -> Vec<Entry> {
        let minute = |at: Timestamp| at.unix_seconds().div_euclid(60);
        let mut lines = locked(&self.0);
        let complete = lines.extract_if(|_, entry| minute(entry.at) < minute(now));
        complete.map(|(_, entry)| entry).collect()
    }

    /// Takes every line.
    #[must_use]
    pub fn take_all(&self) -> Vec<Entry> {
        locked(&self.0).drain().map(|(_, entry)| entry).collect()
    }

    /// Returns lines that were not written.
    pub fn put_back(&self, entries: Vec<Entry>) {
        for entry in entries {
            let network = entry.address.as_deref().map(|text| {
                text.parse()
                    .map_or_else(|_| text.to_owned(), |address: IpAddr| site_of(address))
            });
            self.add(entry, network);
        }
    }

    /// Adds to the equal line; true if there was none.
    fn add(&self, mut entry: Entry, network: Option<String>) -> bool {
        let mut lines = locked(&self.0);
        let mut same = Same {
            event: entry.event.name(),
            account: entry.account.clone(),
            client: entry.client.clone(),
            network,
        };
        if !lines.contains_key(&same) && lines.len() >= LINES_MAX {
            same = Same {
                account: None,
                client: None,
                network: None,
                ..same
            };
            (entry.account, entry.client, entry.subject) = (None, None, None);
            entry.address = None;
        }
        if let Some(line) = lines.get_mut(&same) {
            line.occurrences += entry.occurrences;
            if line.address != entry.address {
                line.address = same.network;
            }
            if line.subject != entry.subject {
                line.subject = None;
            }
            return false;
        }
        lines.insert(same, entry);
        true
    }
}

fn log(entry: &Entry) {
    let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
    tracing::warn!(
        event = entry.event.name(),
        account = text(entry.account.as_ref().map(AccountId::as_str)),
        client = text(entry.client.as_deref()),
        subject = text(entry.subject.as_deref()),
        address = text(entry.address.as_deref()),
        "refused"
    );
}
