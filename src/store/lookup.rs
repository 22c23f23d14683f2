//! The text of a query by keys: [`Lookup`], and [`lookup!`], which writes it.

use super::sql::Sql;
use super::value::Value;

/// The keys of a request; `None` is NULL.
pub(super) type Keys<'a> = &'a [Option<&'a str>];

/// Returns keys as parameters of a statement.
pub(super) fn values(keys: Keys<'_>) -> Vec<Value> {
    let keys = keys.iter().copied();
    keys.map(|key| Value::Text(key.map(str::to_owned)))
        .collect()
}

/// A query by text keys that is sent for one request, or on PostgreSQL for several requests together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    /// The query for one request, with the keys `$1`, `$2`, …
    pub(super) one: Sql,
    /// The query of PostgreSQL for several requests. The parameters are arrays with the keys of each request; the
    /// first column is the number of the request, from 1.
    pub(super) many: &'static str,
}

/// Writes a [`Lookup`]: the number of keys, the selected columns, and the text from the first table on. Parts are as
/// of [`sql!`](super::sql::sql), and `[N]` stands for the key with the number `N`:
///
/// ```ignore
/// const FIND: Lookup = lookup!(1 key: SELECT "c.name"; FROM "oauth_clients c WHERE c.client_id = ", [1]);
/// ```
///
/// The rows of several requests may come in any order, unless the text has an `ORDER BY`.
macro_rules! lookup {
    (@ requests 1) => { "unnest($1) WITH ORDINALITY AS q (key1, n) CROSS JOIN " };
    (@ requests 5) => {
        "unnest($1, $2, $3, $4, $5) \
         WITH ORDINALITY AS q (key1, key2, key3, key4, key5, n) CROSS JOIN "
    };
    (@ many [$key:literal]) => { concat!("q.key", $key) };
    (@ many $part:tt) => { $crate::store::sql::sql!(@ postgres $part) };
    (@ $engine:ident [$key:literal]) => { concat!("$", $key) };
    (@ $engine:ident $part:tt) => { $crate::store::sql::sql!(@ $engine $part) };
    ($keys:tt $(key)? $(keys)?: SELECT $($column:tt),+; FROM $($part:tt),+ $(,)?) => {
        $crate::store::lookup::Lookup {
            one: $crate::store::sql::Sql {
                sqlite: const_format::concatcp!(
                    "SELECT ", $($crate::store::lookup::lookup!(@ sqlite $column),)+
                    " FROM ", $($crate::store::lookup::lookup!(@ sqlite $part)),+
                ),
                postgres: const_format::concatcp!(
                    "SELECT ", $($crate::store::lookup::lookup!(@ postgres $column),)+
                    " FROM ", $($crate::store::lookup::lookup!(@ postgres $part)),+
                ),
            },
            many: const_format::concatcp!(
                "SELECT q.n, ", $($crate::store::lookup::lookup!(@ many $column),)+
                " FROM ", $crate::store::lookup::lookup!(@ requests $keys),
                $($crate::store::lookup::lookup!(@ many $part)),+
            ),
        }
    };
}
pub(super) use lookup;
