//! Checks of the clients that are held to the FAPI 2.0 Security Profile: settings that contradict it.

use super::Findings;
use crate::clients::fapi;
use crate::context::Context;
use crate::store::{self, client_keys, clients};

/// The most clients that are looked at.
const EXAMINED: i64 = 500;

/// The most contradictions that are reported.
const NAMED: usize = 10;

/// Reports the contradictions, a finding each.
///
/// # Errors
/// If the database does not answer.
pub async fn examine_clients(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let held = clients::list_fapi(&context.db, EXAMINED).await?;
    let count = held.len();
    let mut found = Vec::new();
    for client in held {
        let keys = client_keys::find(&context.db, &client.row_id).await?;
        let contradictions = fapi::contradictions(&context.config, &client, &keys);
        let id = client.client_id;
        found.extend(contradictions.into_iter().map(|why| format!("{id}: {why}")));
    }
    if found.is_empty() && count > 0 {
        let what = format!("no setting contradicts FAPI 2.0 (clients held to it: {count})");
        findings.ok("fapi", what);
    }
    for contradiction in found.into_iter().take(NAMED) {
        findings.warn(
            "fapi",
            contradiction,
            "the client cannot get tokens; `client update` changes its settings, or ends FAPI 2.0 with --fapi false",
        );
    }
    Ok(())
}
