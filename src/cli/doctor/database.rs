//! Checks of the database: connection, owner, migrations, tables, indexes, clock and clean-up.

use time::Duration;

use super::{Findings, Owner, agents, fapi, key, pkce, reach, writing};
use crate::cli::migrate::without_creating;
use crate::cli::{database_advice, with_causes};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::context::{self, Context, Environment};
use crate::database_url::DatabaseUrl;
use crate::store::cleanup::{Backlog, COUNTED};
use crate::store::schema::{self, Difference};
use crate::store::{self, Db, cleanup, indexes, inspect, migrate};

/// Maximum difference between PostgreSQL's clock and this machine's clock.
const CLOCK_MAX: Duration = Duration::seconds(5);

/// Maximum time since a clean-up step last completed: the slowest steps run once a day.
const COMPLETED_WITHIN: Duration = Duration::hours(26);

/// Checks the database, without creating a missing SQLite file, and returns the owner.
pub(super) async fn examine(config: &Config, findings: &mut Findings) -> Owner {
    let database = config.database();
    if let DatabaseUrl::Postgres(url) = &database
        && !reach::examine_postgres(url, findings).await
    {
        return Owner::ThisServer;
    }
    let place = context::database_setting(config);
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
    examine_clock(context, findings);
    if !pending.contains(&"storyden") && examine_tables(context, findings).await? {
        examine_indexes(context, findings).await?;
        if pending.is_empty() {
            pkce::examine_clients(context, findings).await?;
            key::examine_chosen(context, findings).await?;
            fapi::examine_clients(context, findings).await?;
            agents::examine(context, findings).await?;
            examine_clean_up(context, findings).await?;
        }
        examine_time_texts(context, findings).await?;
    }
    Ok(owner)
}

/// Checks the backlog of the clean-up, and the last completion of each step.
async fn examine_clean_up(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let now = context.clock.now();
    let progress = cleanup::progress(&context.db).await?;
    let backlog = cleanup::backlog(&context.db, now, context.config.audit_retention).await?;
    let mut behind = false;
    for Backlog { step, rows } in &backlog {
        let Some(known) = progress.iter().find(|known| known.name == *step) else {
            continue;
        };
        let due = if *rows < COUNTED {
            format!("{rows} due")
        } else {
            format!("at least {COUNTED} due")
        };
        if known.completed_at.is_some_and(|at| at > now + CLOCK_MAX) {
            behind = true;
            let advice = "the clock was ahead when the step ran; `serve` overwrites the time with the next pass, at \
                          the latest after an hour";
            let at = known.completed_at.map(Timestamp::to_rfc3339);
            let at = at.unwrap_or_default();
            findings.warn(
                "clean-up",
                format!("{step}: completed in the future, at {at}"),
                advice,
            );
            continue;
        }
        let completed = match known.completed_at {
            Some(at) => format!("last completed at {}", at.to_rfc3339()),
            None => "never completed".to_owned(),
        };
        let finding = format!("{step}: {due}, {completed}, {} deleted", known.deleted);
        if let Some(error) = &known.error {
            behind = true;
            let advice = "the log of `serve` has more; if it is a timeout, see that the finding \
                          `indexes` is ok, and leave `serve` running: the server retries every \
                          hour with smaller batches";
            findings.warn("clean-up", format!("{finding}; it failed: {error}"), advice);
        } else if known
            .completed_at
            .is_none_or(|at| now - at > COMPLETED_WITHIN)
        {
            behind = true;
            let advice = "leave `serve` running: the clean-up continues while rows are due, with \
                          at least one pass an hour";
            findings.warn("clean-up", finding, advice);
        } else if *rows > 0 {
            findings.ok("clean-up", finding);
        }
    }
    if progress.is_empty() {
        let due: i64 = backlog.iter().map(|step| step.rows).sum();
        let finding = format!("has not run yet, {due} rows are due; `serve` runs the clean-up");
        findings.ok("clean-up", finding);
    } else if !behind {
        let last = progress.iter().filter_map(|known| known.completed_at).max();
        let last = last.map_or_else(String::new, |at| format!("; last at {}", at.to_rfc3339()));
        findings.ok("clean-up", format!("every step ran through{last}"));
    }
    Ok(())
}

/// Checks this server's indexes on Storyden's tables.
async fn examine_indexes(context: &Context, findings: &mut Findings) -> store::Result<()> {
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

/// Formats the lead of a clock, as in `2.500 s ahead of` and `3 days behind`.
pub(super) fn lead(ahead: Duration) -> String {
    let direction = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let by = ahead.abs();
    if by >= Duration::days(2) {
        format!("{} days {direction}", by.whole_days())
    } else if by >= Duration::hours(2) {
        format!("{} hours {direction}", by.whole_hours())
    } else {
        format!("{:.3} s {direction}", by.as_seconds_f64())
    }
}

fn examine_clock(context: &Context, findings: &mut Findings) {
    if let Db::Sqlite(_) = context.db {
        return;
    }
    let ahead = context.clock.ahead();
    let finding = format!("PostgreSQL's clock is {} this machine's", lead(ahead));
    if ahead.abs() <= CLOCK_MAX {
        return findings.ok("clock", finding);
    }
    let advice = "let NTP set both clocks; this server follows the database's, others may not";
    findings.warn("clock", finding, advice);
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
    fn a_clock_is_ahead_or_behind() {
        assert_eq!(lead(Duration::milliseconds(2)), "0.002 s ahead of");
        assert_eq!(lead(-Duration::seconds(259_200)), "3 days behind");
        assert_eq!(lead(Duration::hours(5)), "5 hours ahead of");
    }

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
