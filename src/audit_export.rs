//! The audit trail as a file: JSON lines or CSV (RFC 4180), newest entry first, read in batches, so that a trail of
//! any length needs little memory.

use std::collections::HashMap;

use serde::Serialize;

use crate::ids::AccountId;
use crate::store::audit_list::{self, Filter, ListedEntry, Position};
use crate::store::{self, Db, members};

/// Entries in a batch.
const BATCH: i64 = 1_000;

/// Form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object per line.
    JsonLines,
    /// A header line, and a line per entry.
    Csv,
}

impl Format {
    /// The names of all formats.
    pub const NAMES: &[&str] = &["jsonl", "csv"];

    /// Parses a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// Name of a file in this format.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::JsonLines => "audit.jsonl",
            Self::Csv => "audit.csv",
        }
    }
}

/// An entry with the names of the people.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a ListedEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
}

/// The header of a CSV file.
const HEADER: &str = "createdAt,event,count,actor_id,actor,account_id,account,client_id,subject_id,address,trace_id,id\r\n";

/// An export in progress.
#[derive(Debug)]
pub struct Export {
    db: Db,
    filter: Filter,
    format: Format,
    after: Option<Position>,
    entries: u64,
    is_complete: bool,
}

impl Export {
    /// Starts an export of the entries that match a filter.
    #[must_use]
    pub fn new(db: Db, filter: Filter, format: Format) -> Self {
        Self {
            db,
            filter,
            format,
            after: None,
            entries: 0,
            is_complete: false,
        }
    }

    /// Number of the entries so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns the next part of the file; `None` at the end.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn next(&mut self) -> store::Result<Option<String>> {
        if self.is_complete {
            return Ok(None);
        }
        let entries = audit_list::batch(&self.db, &self.filter, self.after.as_ref(), BATCH).await?;
        let mut text = String::new();
        if self.format == Format::Csv && self.after.is_none() {
            text.push_str(HEADER);
        }
        let count = i64::try_from(entries.len()).unwrap_or(BATCH);
        self.is_complete = count < BATCH;
        self.entries += count.unsigned_abs();
        let people = people(&self.db, &entries).await?;
        let name = |id: &Option<AccountId>| id.as_ref().and_then(|id| people.get(id));
        for entry in &entries {
            let line = Line {
                account: name(&entry.account_id).map(String::as_str),
                actor: name(&entry.actor_id).map(String::as_str),
                entry,
            };
            match self.format {
                Format::JsonLines => text.push_str(&json(&line)),
                Format::Csv => text.push_str(&csv(&line)),
            }
        }
        self.after = entries.last().map(Position::of);
        Ok(Some(text))
    }
}

/// Finds the names of the people in entries, as in `Odin (@odin)`, by account id. Deleted accounts have no name.
///
/// # Errors
/// If the database does not answer.
pub async fn people(db: &Db, entries: &[ListedEntry]) -> store::Result<HashMap<AccountId, String>> {
    let ids = entries
        .iter()
        .flat_map(|entry| [&entry.actor_id, &entry.account_id]);
    let mut ids: Vec<AccountId> = ids.flatten().cloned().collect();
    ids.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    ids.dedup();
    let found = members::find(db, &ids).await?.into_iter();
    let named = found.map(|member| {
        let name = format!("{} (@{})", member.name, member.handle);
        (member.id, name)
    });
    Ok(named.collect())
}

fn json(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("an entry has only texts and numbers") + "\n"
}

fn csv(line: &Line<'_>) -> String {
    let entry = line.entry;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let id = |id: &Option<AccountId>| id.as_ref().map(ToString::to_string).unwrap_or_default();
    let cells = [
        entry.created_at.to_rfc3339(),
        entry.event.clone(),
        entry.occurrences.to_string(),
        id(&entry.actor_id),
        line.actor.unwrap_or_default().to_owned(),
        id(&entry.account_id),
        line.account.unwrap_or_default().to_owned(),
        text(&entry.client_id),
        text(&entry.subject_id),
        text(&entry.address),
        entry.trace_id.clone(),
        entry.id.to_string(),
    ];
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    cells.join(",") + "\r\n"
}

/// Quotes a cell. A cell that a spreadsheet would run as a formula begins with an apostrophe (CSV injection).
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_and_run_no_formula() {
        for (cell, written) in [
            ("odin", "odin"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a \"b\"\n", "\"a \"\"b\"\"\n\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1,B1)", "\"'@SUM(A1,B1)\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
