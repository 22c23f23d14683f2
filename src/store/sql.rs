//! SQL text of both engines: [`Sql`], and [`sql!`], which joins texts at compile time.

/// A statement, or a fragment of a statement, with the text for each engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl Sql {
    /// A text for each engine.
    #[must_use]
    pub const fn new(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }

    /// The same text for both engines.
    #[must_use]
    pub const fn same(text: &'static str) -> Self {
        Self::new(text, text)
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::same(text)
    }
}

/// Joins parts to a constant [`Sql`]. A part is a literal, the name of a constant `Sql`, or a pair of
/// literals, for SQLite and for PostgreSQL:
///
/// ```ignore
/// const LOCK: Sql = sql!("SELECT c.id FROM oauth_clients c WHERE ", IS_NOT_DELETED, ("", " FOR UPDATE"));
/// ```
///
/// Row locks are for PostgreSQL only: on SQLite the transaction (`BEGIN IMMEDIATE`) is the lock.
macro_rules! sql {
    (@ $engine:ident $text:literal) => { $text };
    (@ $engine:ident $fragment:ident) => { $fragment.$engine };
    (@ sqlite ($sqlite:literal, $postgres:literal $(,)?)) => { $sqlite };
    (@ postgres ($sqlite:literal, $postgres:literal $(,)?)) => { $postgres };
    ($($part:tt),+ $(,)?) => {
        $crate::store::sql::Sql {
            sqlite: const_format::concatcp!($($crate::store::sql::sql!(@ sqlite $part)),+),
            postgres: const_format::concatcp!($($crate::store::sql::sql!(@ postgres $part)),+),
        }
    };
}
pub(super) use sql;

/// The ids in the JSON list `$1`, as a table with a single column.
pub(super) const IDS: Sql = Sql::new(
    "(SELECT value FROM json_each(CAST($1 AS TEXT)))",
    "(SELECT jsonb_array_elements_text($1))",
);
