//! The statements that a server runs, as it logs them with `LOG_LEVEL=trace`, and their plans.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sqlx::{AssertSqlSafe, Row as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use super::server::Setup;
use super::storyden::Storyden;

/// A statement: its text, and the types of its parameters as PostgreSQL names them, those that were NULL
/// with `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    types: String,
}

/// Keeps every statement that is logged.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<BTreeSet<Statement>>>);

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "storyden_auth::sql"
    }

    fn event(&self, event: &Event<'_>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        self.0.lock().unwrap().insert(statement);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1) // none is enabled
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "sql" {
            value.clone_into(&mut self.sql);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "parameters" {
            self.types = format!("{value:?}");
        }
    }
}

/// What runs while statements are recorded.
pub(crate) type Flow = fn(Setup) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs something on threads of its own, and gives every statement that servers ran there.
pub(crate) async fn recorded(setup: Setup, flow: Flow) -> BTreeSet<Statement> {
    let recorder = Recorder::default();
    let dispatch = Dispatch::new(recorder.clone());
    let run = move || {
        let on_threads = dispatch.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // The guard ends with the thread.
            .on_thread_start(move || {
                std::mem::forget(tracing::dispatcher::set_default(&on_threads));
            })
            .enable_all()
            .build()
            .unwrap();
        let _here = tracing::dispatcher::set_default(&dispatch);
        runtime.block_on(flow(setup));
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    };
    let thread = std::thread::spawn(run);
    if let Err(failure) = tokio::task::spawn_blocking(move || thread.join())
        .await
        .unwrap()
    {
        std::panic::resume_unwind(failure);
    }
    recorder.0.lock().unwrap().clone()
}

impl Statement {
    /// A value of each type for a plan; every text reads as a time, too.
    fn values(&self) -> String {
        let value = |name: &str| match name {
            "text" | "timestamptz" => "'2026-01-01 00:00:00+00'",
            "bigint" => "50",
            "boolean" => "true",
            "jsonb" => "'[\"x\"]'",
            "text[]" => "ARRAY['2026-01-01 00:00:00+00']",
            null if null.ends_with('?') => "NULL",
            other => panic!("{other}?"),
        };
        let values: Vec<&str> = self.types().map(value).collect();
        values.join(", ")
    }

    fn types(&self) -> impl Iterator<Item = &str> {
        self.types.split(", ").filter(|name| !name.is_empty())
    }

    /// The name that a table has in the statement, which may be its own.
    fn table<'a>(&'a self, name: &'a str, tables: &[&'a str]) -> Option<&'a str> {
        let words: Vec<&str> = self
            .sql
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let is_alias = |at: usize, table: &str| {
            let after = words
                .get(at + 1)
                .filter(|word| !word.eq_ignore_ascii_case("as"));
            let alias = after.or_else(|| words.get(at + 2));
            words[at] == table && (alias.copied() == Some(name) || table == name)
        };
        let find = |table: &&&str| (0..words.len()).any(|at| is_alias(at, table));
        tables.iter().find(find).copied()
    }
}

impl Storyden {
    /// Lets the planner of PostgreSQL count each page of a table as a hundred, so that some thousand rows are
    /// as many as there are after years.
    pub(crate) async fn imagine_large_tables(&mut self) {
        let sql = self.pick("SELECT 1", "SET seq_page_cost = 100");
        self.run(sql).await;
    }

    /// The full scans of growing tables in the plan of a statement, in the engine's words.
    pub(crate) async fn full_scans(
        &mut self,
        statement: &Statement,
        tables: &[&str],
    ) -> Vec<String> {
        let bounded = statement.sql.contains("LIMIT");
        match self {
            Self::Sqlite(db) => {
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.sql));
                let plan = sqlx::query(explain).fetch_all(db).await.unwrap();
                let steps = plan.iter().map(|row| row.get::<String, _>("detail"));
                let is_full = |step: &String| {
                    let words: Vec<&str> = step.split(' ').collect();
                    let scan = match words[..] {
                        ["SCAN", name] | ["SEARCH", name, "USING", "AUTOMATIC", ..] => Some(name),
                        ["SCAN", name, "USING", ..] if !bounded => Some(name),
                        _ => None,
                    };
                    scan.is_some_and(|name| statement.table(name, tables).is_some())
                };
                steps.filter(is_full).collect()
            }
            Self::Postgres(_) => {
                let types: Vec<&str> = statement
                    .types()
                    .map(|name| name.trim_end_matches('?'))
                    .collect();
                let (types, values) = (types.join(", "), statement.values());
                let [types, values] = [types, values].map(|list| match list.as_str() {
                    "" => String::new(),
                    list => format!("({list})"),
                });
                self.run(&format!("PREPARE looked_at {types} AS {}", statement.sql))
                    .await;
                let plan = self
                    .texts(&format!("EXPLAIN EXECUTE looked_at {values}"))
                    .await;
                self.run("DEALLOCATE looked_at").await;
                let plan: Vec<String> = plan.into_iter().flatten().collect();
                let is_full = |at: &usize| {
                    let step = plan[*at].trim_start_matches([' ', '-', '>']);
                    let table = |words: &str| words.split(' ').next().unwrap().to_owned();
                    if let Some((_, on)) = step.split_once("Seq Scan on ") {
                        return tables.contains(&table(on).as_str());
                    }
                    let index = step
                        .split_once("Scan using ")
                        .and_then(|(_, scan)| scan.split_once(" on "));
                    index.is_some_and(|(_, on)| {
                        let has_condition = plan
                            .get(at + 1)
                            .is_some_and(|next| next.contains("Index Cond"));
                        !bounded && !has_condition && tables.contains(&table(on).as_str())
                    })
                };
                (0..plan.len())
                    .filter(is_full)
                    .map(|at| plan[at].trim().to_owned())
                    .collect()
            }
        }
    }
}
