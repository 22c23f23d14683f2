//! Checks that the database can be used as a whole: rights of the role, writes, and damage of the file.

use super::Findings;
use crate::cli::database_advice;
use crate::context::Context;
use crate::store::{self, inspect, migrate};

/// Checks the rights of the role on schema and tables. False if they are missing: the further checks would only report
/// consequences, since PostgreSQL hides tables without rights.
pub(super) async fn examine_rights(
    context: &Context,
    findings: &mut Findings,
) -> store::Result<bool> {
    let Some(missing) = inspect::missing_rights(&context.db).await? else {
        return Ok(true);
    };
    let finding = format!("the role of DATABASE_URL lacks rights: {missing}");
    findings.fail("database", finding, database_advice::RIGHTS);
    Ok(false)
}

/// Checks that a transaction can be committed. `has_tables` is false before the migrations: then only the lock is tried.
pub(super) async fn examine_write(context: &Context, has_tables: bool, findings: &mut Findings) {
    let written = match context.db.is_read_only().await {
        Ok(true) => {
            let advice = database_advice::read_only(&context.config.database());
            let finding = "the database can be read, and not written";
            return findings.fail("database", finding, advice);
        }
        Ok(false) if has_tables => inspect::check_write(&context.db, context.clock.now()).await,
        Ok(false) => inspect::check_lock(&context.db).await,
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => findings.ok("database", "a transaction can be written"),
        Err(error) => {
            let advice = database_advice::advice(&error, &context.config.database());
            findings.fail(
                "database",
                format!("nothing can be written: {error}"),
                advice,
            );
        }
    }
}

/// Checks the pages of an SQLite file.
pub(super) async fn examine_damage(
    context: &Context,
    findings: &mut Findings,
) -> store::Result<()> {
    let damage = inspect::damage(&context.db).await?;
    if !damage.is_empty() {
        let advice = "the file is damaged: stop the server, keep a copy of the file, and restore the last backup \
                      (`storyden-auth restore`)";
        let finding = format!("SQLite's quick check found damage: {}", damage.join("; "));
        findings.fail("database", finding, advice);
    }
    Ok(())
}

/// Reports migrations that are pending, that the role cannot run, or that a newer version of this program ran. Returns
/// the names of those that are pending.
pub(super) async fn examine_migrations(
    context: &Context,
    findings: &mut Findings,
) -> store::Result<Vec<&'static str>> {
    let pending = migrate::pending(&context.db).await?;
    let newest = migrate::newest_applied(&context.db).await?;
    if newest > migrate::newest_known() {
        let finding = format!(
            "a newer version migrated the database up to {newest}; this version knows {} and works with it",
            migrate::newest_known()
        );
        findings.ok("migrations", finding);
    }
    if pending.is_empty() {
        findings.ok("migrations", "none is pending");
        return Ok(pending);
    }
    let names = pending.join(", ");
    if inspect::may_create_tables(&context.db).await? {
        let advice = "run `storyden-auth migrate`; `serve` does so when it starts";
        findings.warn("migrations", format!("pending: {names}"), advice);
    } else {
        let finding = format!(
            "pending: {names}; the role of DATABASE_URL may create no tables in its schema"
        );
        findings.fail("migrations", finding, database_advice::RIGHTS);
    }
    Ok(pending)
}
