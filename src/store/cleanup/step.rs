//! A step of the clean-up, and the common parts of the statements.

use time::Duration;

use crate::store::sql::Sql;

/// A step of the clean-up.
#[derive(Debug)]
pub(super) struct Step {
    /// Name in the log, in `auth_jobs`, in `doctor` and in the metrics.
    pub(super) name: &'static str,
    /// Retention after the time of the row.
    pub(super) keep: Duration,
    /// The rows to examine.
    pub(super) rows: Rows,
    /// The search for due rows.
    pub(super) search: Search,
    /// Statements that delete due rows, in this order, in a single transaction.
    pub(super) delete: &'static [Delete],
}

impl Step {
    /// A step over due rows.
    pub(super) const fn due(
        name: &'static str,
        keep: Duration,
        search: Search,
        delete: &'static [Delete],
    ) -> Self {
        Self {
            name,
            keep,
            rows: Rows::Due,
            search,
            delete,
        }
    }

    /// A walk through a table.
    pub(super) const fn walk(
        name: &'static str,
        keep: Duration,
        every: Duration,
        search: Search,
        delete: &'static [Delete],
    ) -> Self {
        Self {
            name,
            keep,
            rows: Rows::Walk { every },
            search,
            delete,
        }
    }
}

/// The rows that a step examines.
#[derive(Debug)]
pub(super) enum Rows {
    /// Due rows, in the order of an index on the time.
    Due,
    /// All rows of a table, in the order of the primary key, because no index tells which rows are due.
    /// `every`: minimum time between two walks through the table.
    Walk { every: Duration },
}

/// The statements of a search. `$1`: rows with an earlier time are due. `$2`: maximum number of rows. `$3`:
/// position where the last batch ended, or NULL.
#[derive(Debug)]
pub(super) struct Search {
    /// Finds rows.
    pub(super) find: Sql,
    /// Counts due rows.
    pub(super) count: Sql,
}

/// A statement that deletes rows of a batch. `$1`: the ids, a JSON list.
#[derive(Debug)]
pub(super) enum Delete {
    /// Takes only the ids.
    Ids(Sql),
    /// Also takes `$2`: rows with an earlier time are due.
    IdsBefore(Sql),
}

/// Joins parts to a search, as `sql!` does, or builds the search of a walk through the rows `x` of a table in
/// the order of the primary key. A macro, because the count repeats the text of the search.
macro_rules! search {
    (walk $table:literal by $id:literal due if $($part:tt),+ $(,)?) => {
        $crate::store::cleanup::step::search!(
            "SELECT x.", $id, " AS id, ",
            DUE_IF, $($part),+, END_IF,
            ", x.", $id, " AS place FROM ", $table, " x WHERE x.", $id, " > ", PLACE,
            " ORDER BY x.", $id, " LIMIT $2"
        )
    };
    ($($part:tt),+ $(,)?) => {{
        const FIND: $crate::store::sql::Sql = $crate::store::sql::sql!($($part),+);
        $crate::store::cleanup::step::Search {
            find: FIND,
            count: $crate::store::sql::sql!("SELECT COUNT(*) AS n FROM (", FIND, ") z WHERE z.due"),
        }
    }};
}
pub(super) use search;

pub(super) const HOURLY: Duration = Duration::ZERO;
pub(super) const DAILY: Duration = Duration::hours(24);

/// Columns of a due row `x`. PostgreSQL continues where the last batch ended: until a vacuum, the index
/// keeps the entries of deleted rows, and each batch would scan past these again. SQLite removes the
/// entries, and a stored time may be text that does not parse back.
pub(super) const DUE: Sql = Sql::new(
    "1 AS due, NULL AS place",
    "true AS due, x.expires_at::text AS place",
);

/// Expired rows `x`, in the order of the index on the expiry.
pub(super) const EXPIRED: Sql = Sql::new(
    "WHERE julianday(x.expires_at) < julianday($1) \
     AND julianday(x.expires_at) >= COALESCE(julianday($3), 0) \
     ORDER BY julianday(x.expires_at) LIMIT $2",
    "WHERE x.expires_at < $1 AND x.expires_at >= COALESCE($3::text::timestamptz, '-infinity') \
     ORDER BY x.expires_at LIMIT $2",
);

/// Begins the condition for a due row of a walk. A row of another table is tested as
/// `(SELECT … LIMIT 1) IS NULL`: PostgreSQL could plan `EXISTS` as a hash of the whole other table, built
/// again for each window.
pub(super) const DUE_IF: Sql = Sql::new(
    "COALESCE($1 IS NOT NULL AND ",
    "COALESCE($1::timestamptz IS NOT NULL AND ",
);

/// Ends the condition for a due row of a walk.
pub(super) const END_IF: Sql = Sql::new(", 0) AS due", ", false) AS due");

/// The position where the last window of a walk ended.
pub(super) const PLACE: Sql = Sql::new("COALESCE($3, '')", "COALESCE($3::text, '')");
