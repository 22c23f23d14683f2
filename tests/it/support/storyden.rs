//! A Storyden beside the server, as far as its database notices: whose file it is, what it drops
//! when it starts, and what it finds in its tables.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use super::database::Engine;
use super::server::Setup;

/// What every table of ours, and every index of one, begins with.
const OURS: &str = "auth_";

/// Time for a lock. A server that holds a lock for longer forgot the lock, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Another process with the same database.
pub(crate) enum Storyden {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A table of Storyden's: how it is made, its columns and its indexes.
struct Table {
    name: String,
    statement: String,
    columns: Vec<String>,
    /// Each with its statement.
    indexes: Vec<(String, String)>,
}

impl Setup {
    /// Makes the database a Storyden's: it has a table that only that one has, and on SQLite the
    /// journal that it keeps.
    pub(crate) async fn beside_a_storyden(&self) -> Storyden {
        let mut storyden = self.other_process().await;
        if self.engine == Engine::Sqlite {
            storyden.run("PRAGMA journal_mode = DELETE").await;
        }
        storyden.run("CREATE TABLE posts (id text)").await;
        storyden
    }

    /// A connection of its own to the database, without the server's timeouts.
    pub(crate) async fn other_process(&self) -> Storyden {
        let url = self.database.url.as_str();
        match self.engine {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(url.strip_prefix("sqlite://").unwrap())
                    .busy_timeout(PATIENCE);
                Storyden::Sqlite(options.connect().await.unwrap())
            }
            Engine::Postgres => Storyden::Postgres(PgConnection::connect(url).await.unwrap()),
        }
    }
}

impl Storyden {
    /// Runs statements.
    pub(crate) async fn run(&mut self, sql: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(db) => _ = statements.execute(db).await.unwrap(),
            Self::Postgres(db) => _ = statements.execute(db).await.unwrap(),
        }
    }

    /// The texts of a query's one column; SQL NULL is none.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<Option<String>> {
        let query = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(db) => sqlx::query_scalar(query).fetch_all(db).await.unwrap(),
            Self::Postgres(db) => sqlx::query_scalar(query).fetch_all(db).await.unwrap(),
        }
    }

    /// One of two texts.
    pub(crate) fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Every column with its type and every index: of Storyden's tables, and of ours. The indexes of
    /// ours on Storyden's tables come and go: [`Storyden::indexes_of_ours`] lists them.
    pub(crate) async fn schema(&mut self) -> (Vec<String>, Vec<String>) {
        let sql = self.pick(
            "SELECT m.name || '.' || c.name || ' ' || c.type FROM sqlite_master m, \
             pragma_table_info(m.name) c WHERE m.type = 'table' \
             UNION ALL SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL \
             AND (tbl_name LIKE 'auth\\_%' ESCAPE '\\' OR name NOT LIKE 'auth\\_%' ESCAPE '\\')",
            "SELECT table_name || '.' || column_name || ' ' || data_type \
             FROM information_schema.columns WHERE table_schema = 'public' \
             UNION ALL SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' \
             AND (tablename LIKE 'auth\\_%' OR indexname NOT LIKE 'auth\\_%')",
        );
        let found = self.texts(sql).await.into_iter().flatten();
        let (mut ours, mut theirs): (Vec<_>, Vec<_>) =
            found.partition(|text| text.starts_with(OURS));
        ours.sort();
        theirs.sort();
        (theirs, ours)
    }

    /// The indexes of ours on Storyden's tables, in the order of their names.
    pub(crate) async fn indexes_of_ours(&mut self) -> Vec<String> {
        let sql = self.pick(
            "SELECT name FROM sqlite_master WHERE type = 'index' \
             AND name LIKE 'auth\\_%' ESCAPE '\\' AND tbl_name NOT LIKE 'auth\\_%' ESCAPE '\\' \
             ORDER BY name",
            "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_class t ON t.oid = i.indrelid WHERE i.indisvalid \
             AND c.relname LIKE 'auth\\_%' AND t.relname NOT LIKE 'auth\\_%' ORDER BY c.relname",
        );
        self.texts(sql).await.into_iter().flatten().collect()
    }

    /// Takes away every table of ours.
    pub(crate) async fn drop_ours(&mut self) {
        let (_, ours) = self.schema().await;
        let columns = ours.iter().filter_map(|text| text.split_once('.'));
        let mut tables: Vec<&str> = columns.map(|(table, _)| table).collect();
        tables.dedup();
        for table in tables {
            self.run(&format!("DROP TABLE {table}")).await;
        }
    }

    /// Its start-up migration, as it was seen to go: of its own tables, columns and indexes that it
    /// does not know are dropped; on SQLite a table is made anew for that. Others are left alone.
    pub(crate) async fn start_up(&mut self) {
        for table in tables(self.pick(
            include_str!("../../../migrations/sqlite/storyden.sql"),
            include_str!("../../../migrations/postgres/storyden.sql"),
        )) {
            match self {
                Self::Sqlite(_) => self.make_anew(&table).await,
                Self::Postgres(_) => self.drop_unknown(&table).await,
            }
        }
    }

    async fn make_anew(&mut self, table: &Table) {
        let Table {
            name,
            statement,
            columns,
            indexes,
        } = table;
        let columns = columns.join(", ");
        let made = statement.replacen(
            &format!("TABLE {name} ("),
            &format!("TABLE new_{name} ("),
            1,
        );
        let indexes: Vec<&str> = indexes.iter().map(|(_, sql)| sql.as_str()).collect();
        let indexes = indexes.join("; ");
        self.run(&format!(
            "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {made}; \
             INSERT INTO new_{name} ({columns}) SELECT {columns} FROM {name}; DROP TABLE {name}; \
             ALTER TABLE new_{name} RENAME TO {name}; {indexes}; COMMIT; PRAGMA foreign_keys = ON"
        ))
        .await;
    }

    async fn drop_unknown(&mut self, table: &Table) {
        let Table {
            name,
            columns,
            indexes,
            ..
        } = table;
        let known = |found: &String| columns.contains(found);
        let query = format!(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = '{name}'"
        );
        let there = self.texts(&query).await;
        for column in there.into_iter().flatten().filter(|column| !known(column)) {
            self.run(&format!("ALTER TABLE {name} DROP COLUMN {column}"))
                .await;
        }
        let query = format!(
            "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' \
             AND tablename = '{name}' AND indexname <> '{name}_pkey'"
        );
        let there = self.texts(&query).await;
        for index in there.into_iter().flatten() {
            if !indexes.iter().any(|(known, _)| *known == index) {
                self.run(&format!("DROP INDEX {index}")).await;
            }
        }
    }
}

/// The tables that a Storyden knows, out of the text that makes them.
fn tables(text: &str) -> Vec<Table> {
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    let statements = text.split(";\n").map(str::trim);
    let mut tables: Vec<Table> = Vec::new();
    for statement in statements.filter(|statement| !statement.is_empty()) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match words[..] {
            ["CREATE", "TABLE", name, ..] => tables.push(Table {
                name: name.to_owned(),
                statement: statement.to_owned(),
                columns: statement.lines().filter_map(column).collect(),
                indexes: Vec::new(),
            }),
            ["CREATE", "UNIQUE", "INDEX", index, "ON", table, ..]
            | ["CREATE", "INDEX", index, "ON", table, ..] => {
                let of_it = tables.iter_mut().find(|known| known.name == table);
                let index = (index.to_owned(), statement.to_owned());
                of_it.unwrap().indexes.push(index);
            }
            // Foreign keys of PostgreSQL that come after the tables.
            ["ALTER", "TABLE", ..] => {}
            _ => panic!("what is {statement}?"),
        }
    }
    assert!(tables.len() > 10, "{} tables", tables.len());
    tables
}

/// The column of a line of `CREATE TABLE`, if it has one.
fn column(line: &str) -> Option<String> {
    let first = line.strip_prefix("    ")?.split_whitespace().next()?;
    let is_constraint = matches!(first, "PRIMARY" | "CONSTRAINT" | "UNIQUE" | "FOREIGN");
    (!is_constraint).then(|| first.trim_matches('"').to_owned())
}
