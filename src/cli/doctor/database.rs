//! Checks of the database: connection, owner, migrations and tables.

use super::{Findings, Owner, reach, writing};
use crate::checks::{agents, clean_up, clock, fapi, indexes, pkce, signing_keys};
use crate::cli::migrate::without_creating;
use crate::cli::{database_advice, with_causes};
use crate::config::Config;
use crate::context::{self, Context, Environment};
use crate::database_url::DatabaseUrl;
use crate::store::schema::{self, Difference};
use crate::store::{self, Db, inspect, migrate};

/// Checks the database, without creating a missing SQLite file, and returns the owner.
pub(super) async fn examine(config: &Config, findings: &mut Findings) -> Owner {
    let database = config.database();
    if let DatabaseUrl::Postgres(url) = &database
        && !reach::examine_postgres(url, findings).await
    {
        return Owner::ThisServer;
    }
    let place = config.database_setting();
    let Some(config) = without_creating(config.clone()) else {
        findings.ok(
            "database",
            "there is no SQLite file yet; the first command creates it",
        );
        return Owner::ThisServer;
    };
    let context = match Context::without_keys(config, Environment::machine()).await {
        Ok(context) => context,
        Err(context::Error::Database(_, error)) => {
            let advice = database_advice::advice(&error, &database);
            findings.fail("database", format!("{place}: {error}"), advice);
            return Owner::ThisServer;
        }
        Err(error) => {
            let advice = "correct the setting that the finding names";
            findings.fail("database", with_causes(&error), advice);
            return Owner::ThisServer;
        }
    };
    match examine_open(&context, findings).await {
        Ok(owner) => owner,
        Err(error) => {
            let advice = database_advice::advice(&error, &database);
            findings.fail("database", format!("a query failed: {error}"), advice);
            Owner::ThisServer
        }
    }
}

async fn examine_open(context: &Context, findings: &mut Findings) -> store::Result<Owner> {
    let version = inspect::version(&context.db).await?;
    let engine = match context.db {
        Db::Sqlite(_) => "SQLite",
        Db::Postgres(_) => "PostgreSQL",
    };
    let (owner, whose) = if inspect::has_storyden_tables(&context.db).await? {
        let whose = "the database of a Storyden: this server adds only auth_* tables and indexes";
        (Owner::Storyden, whose)
    } else {
        let whose = "used by this server only: there are no tables of a Storyden";
        (Owner::ThisServer, whose)
    };
    findings.ok("database", format!("{engine} {version} answers; {whose}"));
    if !writing::examine_rights(context, findings).await? {
        return Ok(owner);
    }
    let pending = writing::examine_migrations(context, findings).await?;
    let has_tables = migrate::has_table(&context.db, "auth_leases").await?;
    writing::examine_write(context, has_tables, findings).await;
    writing::examine_damage(context, findings).await?;
    examine_journal(context, owner, findings).await?;
    clock::examine(context, findings);
    if !pending.contains(&"storyden") && examine_tables(context, findings).await? {
        indexes::examine(context, findings).await?;
        if pending.is_empty() {
            pkce::examine_clients(context, findings).await?;
            signing_keys::examine_chosen(context, findings).await?;
            fapi::examine_clients(context, findings).await?;
            agents::examine(context, findings).await?;
            agents::examine_issuers(context, findings).await?;
            let state = clean_up::State::read(context).await?;
            state.examine(context.clock.now(), findings);
        }
        examine_time_texts(context, findings).await?;
    }
    Ok(owner)
}

/// Compares Storyden's tables with the expected schema. True if every table is usable.
async fn examine_tables(context: &Context, findings: &mut Findings) -> store::Result<bool> {
    let differences = schema::differences(&context.db).await?;
    if differences.is_empty() {
        findings.ok("tables", "Storyden's tables have the expected schema");
    }
    let advice = "start the Storyden once, version August 2026 or newer: its migration adds what \
                  is missing; if that does not help, update this server";
    for difference in &differences {
        if difference.is_fatal() {
            findings.fail("tables", difference.to_string(), advice);
        } else {
            findings.warn("tables", difference.to_string(), advice);
        }
    }
    Ok(!differences.iter().any(Difference::is_fatal))
}

async fn examine_journal(
    context: &Context,
    owner: Owner,
    findings: &mut Findings,
) -> store::Result<()> {
    match inspect::journal_mode(&context.db).await?.as_deref() {
        None => {}
        Some(mode) if owner == Owner::Storyden => findings.ok(
            "journal",
            format!("mode {mode}; chosen by the Storyden and not changed"),
        ),
        Some("wal") => findings.ok(
            "journal",
            "write-ahead log: readers do not wait for writers",
        ),
        Some(mode) => findings.warn(
            "journal",
            format!("mode {mode}: readers and writers wait for each other"),
            "with everything stopped: sqlite3 FILE 'PRAGMA journal_mode=WAL'",
        ),
    }
    Ok(())
}

/// Storyden compares times as text, so both servers must write the same offset.
async fn examine_time_texts(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let texts = inspect::newest_stored_times(&context.db).await?;
    let elsewhere = texts.iter().find(|text| !is_utc(text));
    match elsewhere {
        None if texts.is_empty() => {}
        None => findings.ok("time zone", "stored times are in UTC"),
        Some(text) => findings.warn(
            "time zone",
            format!(
                "stored times have a UTC offset, such as {text}, and Storyden compares times \
                     as text"
            ),
            "run the Storyden and this server with TZ=UTC",
        ),
    }
    Ok(())
}

fn is_utc(text: &str) -> bool {
    ["+00:00", "Z", " UTC"]
        .iter()
        .any(|end| text.ends_with(end))
        || !has_offset(text)
}

/// True if a time text ends in `±hh:mm`; a text without an offset is read as UTC.
fn has_offset(text: &str) -> bool {
    text.len() > 6 && matches!(text.as_bytes()[text.len() - 6], b'+' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_text_says_whether_it_is_utc() {
        for text in [
            "2026-11-21 08:24:50.43150596+00:00",
            "2026-11-21 08:24:50",
            "2026-11-21T08:24:50Z",
            "2036-01-01 00:00:00 +0000 UTC",
        ] {
            assert!(is_utc(text), "{text}");
        }
        assert!(!is_utc("2026-11-21 03:33:09.799229598-05:00"));
    }
}
