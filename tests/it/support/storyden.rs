//! A simulated Storyden on the same database: the schema and the start-up migration.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use super::database::Engine;
use super::server::Setup;

/// Name prefix of this server's tables and indexes.
const OWN_PREFIX: &str = "auth_";

/// Lock timeout. A longer wait means that the server leaked a lock, even on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A database connection of another process.
pub(crate) enum Storyden {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A table of Storyden: the statement, columns and indexes.
struct Table {
    name: String,
    statement: String,
    columns: Vec<String>,
    /// Names and statements of the indexes.
    indexes: Vec<(String, String)>,
}

impl Setup {
    /// Marks the database as Storyden's: adds a table known only to Storyden, and on SQLite sets
    /// Storyden's journal mode.
    pub(crate) async fn add_storyden_tables(&self) -> Storyden {
        let mut storyden = self.connect_as_other_process().await;
        if self.engine == Engine::Sqlite {
            storyden.run("PRAGMA journal_mode = DELETE").await;
        }
        storyden.run("CREATE TABLE posts (id text)").await;
        storyden
    }

    /// Opens a separate connection to the database, without the server's timeouts.
    pub(crate) async fn connect_as_other_process(&self) -> Storyden {
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

    /// Returns the values of a single-column query; SQL NULL is `None`.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<Option<String>> {
        let query = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(db) => sqlx::query_scalar(query).fetch_all(db).await.unwrap(),
            Self::Postgres(db) => sqlx::query_scalar(query).fetch_all(db).await.unwrap(),
        }
    }

    /// Returns the statement of this engine.
    pub(crate) fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Lists columns with types, and indexes: of Storyden's tables, and of this server's tables.
    /// Excludes this server's indexes on Storyden's tables, which [`Storyden::own_indexes_on_storyden_tables`] lists.
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
            found.partition(|text| text.starts_with(OWN_PREFIX));
        ours.sort();
        theirs.sort();
        (theirs, ours)
    }

    /// Lists this server's indexes on Storyden's tables, by name.
    pub(crate) async fn own_indexes_on_storyden_tables(&mut self) -> Vec<String> {
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

    /// Drops every table of this server.
    pub(crate) async fn drop_ours(&mut self) {
        let (_, ours) = self.schema().await;
        let columns = ours.iter().filter_map(|text| text.split_once('.'));
        let mut tables: Vec<&str> = columns.map(|(table, _)| table).collect();
        tables.dedup();
        for table in tables {
            self.run(&format!("DROP TABLE {table}")).await;
        }
    }

    /// Runs the start-up migration as observed from Storyden: unknown columns and indexes of Storyden's
    /// tables are dropped, on SQLite by recreating the table. Other tables are left alone.
    pub(crate) async fn run_start_up_migration(&mut self) {
        for table in tables(self.pick(
            include_str!("../../../migrations/sqlite/storyden.sql"),
            include_str!("../../../migrations/postgres/storyden.sql"),
        )) {
            match self {
                Self::Sqlite(_) => self.recreate_table(&table).await,
                Self::Postgres(_) => self.drop_unknown(&table).await,
            }
        }
    }

    async fn recreate_table(&mut self, table: &Table) {
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

/// Parses the tables of Storyden from the schema file.
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
            // Foreign keys added after the tables on PostgreSQL.
            ["ALTER", "TABLE", ..] => {}
            _ => panic!("what is {statement}?"),
        }
    }
    assert!(tables.len() > 10, "{} tables", tables.len());
    tables
}

/// Returns the column of a line of `CREATE TABLE`; `None` for a constraint.
fn column(line: &str) -> Option<String> {
    let first = line.strip_prefix("    ")?.split_whitespace().next()?;
    let is_constraint = matches!(first, "PRIMARY" | "CONSTRAINT" | "UNIQUE" | "FOREIGN");
    (!is_constraint).then(|| first.trim_matches('"').to_owned())
}
