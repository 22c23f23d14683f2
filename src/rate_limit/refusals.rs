//! Rejected attempts, for operators: in the log, the metrics and the audit trail.
//!
//! An attacker must not control the volume of logs. Rejections within a minute that agree in event,
//! account, client and network (IPv4 /24, IPv6 /48) share a line of the audit trail, with a count. Only
//! the first is logged. Beyond `LINES_MAX` lines in a minute, further rejections are aggregated by
//! event only.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Mutex;

use super::{locked, site_of};
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::store::audit::Entry;
use crate::telemetry::metrics;

/// Maximum number of audit lines per process and minute, plus a line per event.
const LINES_MAX: usize = 100;

tokio::task_local! {
    static ADDRESS: IpAddr;
}

/// Runs a request handler with the client address as task-local context, for [`RejectionLog::record`].
pub async fn from_address<T>(address: IpAddr, request: impl Future<Output = T>) -> T {
    ADDRESS.scope(address, request).await
}

/// Rejections not yet written to the audit trail.
#[derive(Debug, Default)]
pub struct RejectionLog(Mutex<HashMap<AggregationKey, Entry>>);

/// The aggregation key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AggregationKey {
    event: &'static str,
    account: Option<AccountId>,
    client: Option<String>,
    network: Option<String>,
}

impl RejectionLog {
    /// Records a rejection of the current request.
    pub fn record(&self, mut entry: Entry) {
        metrics::refused(entry.event.name());
        let address = ADDRESS.try_with(|address| *address).ok();
        entry.address = address.map(|address| address.to_string());
        let network = address.map(site_of);
        if self.add(entry.clone(), network) {
            log(&entry);
        }
    }

    /// Removes and returns the lines of past minutes, which are complete.
    #[must_use]
    pub fn take_complete(&self, now: Timestamp) -> Vec<Entry> {
        let minute = |at: Timestamp| at.unix_seconds().div_euclid(60);
        let mut lines = locked(&self.0);
        let complete = lines.extract_if(|_, entry| minute(entry.at) < minute(now));
        complete.map(|(_, entry)| entry).collect()
    }

    /// Removes and returns every line.
    #[must_use]
    pub fn take_all(&self) -> Vec<Entry> {
        locked(&self.0).drain().map(|(_, entry)| entry).collect()
    }

    /// Puts back lines that could not be written.
    pub fn put_back(&self, entries: Vec<Entry>) {
        for entry in entries {
            let network = entry.address.as_deref().map(|text| {
                text.parse()
                    .map_or_else(|_| text.to_owned(), |address: IpAddr| site_of(address))
            });
            self.add(entry, network);
        }
    }

    /// Adds a rejection; true if the rejection started a new line.
    fn add(&self, mut entry: Entry, network: Option<String>) -> bool {
        let mut lines = locked(&self.0);
        let mut same = AggregationKey {
            event: entry.event.name(),
            account: entry.account.clone(),
            client: entry.client.clone(),
            network,
        };
        if !lines.contains_key(&same) && lines.len() >= LINES_MAX {
            same = AggregationKey {
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
