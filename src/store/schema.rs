//! Comparison of Storyden's tables with the known schema: differences come from an older or newer
//! Storyden, or from manual changes.

use std::fmt;

use super::db::Db;
use super::error::Result;
use super::migrate;
use super::row::row;
use super::sql::Sql;
use super::value::Flag;

/// A difference from the known schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A missing table.
    TableMissing(String),
    /// A missing column.
    ColumnMissing(String),
    /// A column with a different type.
    TypeDiffers {
        /// The column, with the table.
        column: String,
        /// The type in the database.
        found: String,
        /// The known type.
        known: String,
    },
    /// An unknown column that requires a value, so that inserts fail.
    ColumnRequired(String),
    /// A missing unique index: table and name.
    IndexMissing(String, String),
}

impl Difference {
    /// True if requests fail because of the difference.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::TableMissing(_) | Self::ColumnMissing(_) | Self::ColumnRequired(_) => true,
            Self::TypeDiffers { .. } | Self::IndexMissing(..) => false,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableMissing(table) => write!(f, "the table {table} is missing"),
            Self::ColumnMissing(column) => write!(f, "the column {column} is missing"),
            Self::TypeDiffers {
                column,
                found,
                known,
            } => write!(f, "the column {column} is {found}, not {known}"),
            Self::ColumnRequired(column) => write!(
                f,
                "the column {column} is not known here and has to be filled: no row can be added"
            ),
            Self::IndexMissing(table, index) => {
                write!(f, "{table} lacks the unique index {index}")
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    of_table: String,
    name: String,
    kind: String,
    /// True if inserts must give a value.
    demanded: Flag,
}

row!(Column: of_table, name, kind, demanded);

impl Column {
    fn is(&self, other: &Self) -> bool {
        self.of_table == other.of_table && self.name == other.name
    }

    fn full_name(&self) -> String {
        format!("{}.{}", self.of_table, self.name)
    }
}

/// The known schema.
#[derive(Debug, Default)]
struct Known {
    tables: Vec<String>,
    columns: Vec<Column>,
    /// Tables with the names of the unique indexes.
    indexes: Vec<(String, String)>,
}

/// Returns the differences from the known schema, worst first.
pub async fn differences(db: &Db) -> Result<Vec<Difference>> {
    let columns = Sql::new(
        "SELECT m.name AS of_table, c.name AS name, lower(c.type) AS kind, \
         c.\"notnull\" = 1 AND c.dflt_value IS NULL AS demanded \
         FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
        "SELECT table_name::text AS of_table, column_name::text AS name, data_type::text AS kind, \
         is_nullable = 'NO' AND column_default IS NULL AS demanded \
         FROM information_schema.columns WHERE table_schema = current_schema()",
    );
    let indexes = Sql::new(
        "SELECT name FROM sqlite_master WHERE type = 'index'",
        "SELECT indexname::text AS name FROM pg_indexes WHERE schemaname = current_schema()",
    );
    let columns: Vec<Column> = db.fetch_all(columns, &[]).await?;
    let indexes: Vec<String> = db.fetch_all(indexes, &[]).await?;
    let known = Known::read(migrate::storyden_schema(db));
    Ok(known.differences(&columns, &indexes))
}

impl Known {
    /// Parses the statements that create the tables.
    fn read(text: &str) -> Self {
        let mut known = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.trim_end_matches(',').split_whitespace().collect();
            match words[..] {
                ["CREATE", "TABLE", table, ..] => known.tables.push(table.to_owned()),
                ["CREATE", "UNIQUE", "INDEX", index, "ON", table, ..] => {
                    known.indexes.push((table.to_owned(), index.to_owned()));
                }
                ["PRIMARY" | "CONSTRAINT" | "FOREIGN", ..] => {}
                [column, ref kind @ ..] if line.starts_with("    ") => {
                    let ends = |word: &&&str| !matches!(**word, "NOT" | "NULL" | "DEFAULT");
                    let kind: Vec<&str> = kind.iter().take_while(ends).copied().collect();
                    known.columns.push(Column {
                        of_table: known.tables.last().cloned().unwrap_or_default(),
                        name: column.to_owned(),
                        kind: kind.join(" "),
                        demanded: Flag(false), // unused for known columns
                    });
                }
                _ => {}
            }
        }
        known
    }

    fn differences(&self, columns: &[Column], indexes: &[String]) -> Vec<Difference> {
        let is_there = |table: &str| columns.iter().any(|column| column.of_table == table);
        let mut found: Vec<Difference> = Vec::new();
        for table in self.tables.iter().filter(|table| !is_there(table)) {
            found.push(Difference::TableMissing(table.clone()));
        }
        for known in self
            .columns
            .iter()
            .filter(|known| is_there(&known.of_table))
        {
            match columns.iter().find(|column| column.is(known)) {
                None => found.push(Difference::ColumnMissing(known.full_name())),
                Some(column) if column.kind != known.kind => found.push(Difference::TypeDiffers {
                    column: known.full_name(),
                    found: column.kind.clone(),
                    known: known.kind.clone(),
                }),
                Some(_) => {}
            }
        }
        let stranger = |column: &&Column| {
            column.demanded.0
                && self.tables.contains(&column.of_table)
                && !self.columns.iter().any(|known| known.is(column))
        };
        let strangers = columns.iter().filter(stranger);
        found.extend(strangers.map(|column| Difference::ColumnRequired(column.full_name())));
        for (table, index) in self.indexes.iter().filter(|(table, _)| is_there(table)) {
            if !indexes.contains(index) {
                found.push(Difference::IndexMissing(table.clone(), index.clone()));
            }
        }
        found.sort_by_key(|difference| !difference.is_fatal());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_texts_say_the_same_tables() {
        let texts = [
            include_str!("../../migrations/sqlite/storyden.sql"),
            include_str!("../../migrations/postgres/storyden.sql"),
        ];
        let [sqlite, postgres] = texts.map(Known::read);
        assert_eq!(sqlite.tables, postgres.tables);
        let names = |known: &Known| {
            known
                .columns
                .iter()
                .map(Column::full_name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&sqlite), names(&postgres));
        assert_eq!(sqlite.columns.len(), 162);
        assert_eq!(sqlite.indexes.len(), postgres.indexes.len());
        let kind = |known: &Known, name: &str| {
            let found = known
                .columns
                .iter()
                .find(|column| column.full_name() == name);
            found.unwrap().kind.clone()
        };
        assert_eq!(kind(&sqlite, "sessions.revoked_at"), "datetime");
        assert_eq!(
            kind(&postgres, "sessions.revoked_at"),
            "timestamp with time zone"
        );
        assert_eq!(kind(&postgres, "roles.sort_key"), "double precision");
    }
}
