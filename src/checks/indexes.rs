//! Checks of this server's indexes on Storyden's tables.

use super::Findings;
use crate::context::Context;
use crate::store::{self, indexes};

/// Reports missing indexes.
///
/// # Errors
/// If the database does not answer.
pub async fn examine(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let missing: Vec<&str> = indexes::missing(&context.db)
        .await?
        .into_iter()
        .map(|index| index.name)
        .collect();
    if missing.is_empty() {
        findings.ok(
            "indexes",
            "every index of this server on Storyden's tables is there",
        );
        return Ok(());
    }
    findings.warn(
        "indexes",
        format!("missing: {}", missing.join(", ")),
        "leave `serve` running: the server creates them within a minute, and again after a \
         Storyden dropped them; clean-up, revocation and sign-in are slow until then. If they stay \
         missing, see the log of `serve`: on PostgreSQL only the owner of a table may create an \
         index on it",
    );
    Ok(())
}
