//! Writes: a step in a transaction, on the thread of the SQLite writer or in a task, repeated after a
//! serialization failure.

use std::any::Any;

use sqlx::PgPool;

use super::{Db, Step, Tx};
use crate::store::error::{Error, Result};
use crate::store::sql::Sql;
use crate::store::value::Value;
use crate::trace_id::step;

/// Maximum number of attempts for a transaction with a serialization failure or deadlock (PostgreSQL).
const MAX_ATTEMPTS: usize = 4;

/// The result of a step with its type erased.
pub(super) type Outcome = Box<dyn Any + Send>;

/// A write with its types erased.
pub(super) trait Attempt: Send + Sync {
    /// Runs the step in a transaction.
    fn run<'a>(&'a self, tx: &'a mut Tx) -> Step<'a, Outcome>;
}

/// The arguments of [`Db::write`].
struct Write<A, T> {
    input: A,
    step: for<'a> fn(&'a mut Tx, &'a A) -> Step<'a, T>,
}

impl<A: Send + Sync, T: Send + 'static> Attempt for Write<A, T> {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> Step<'a, Outcome> {
        let outcome = (self.step)(tx, &self.input);
        Box::pin(async move { Ok(Box::new(outcome.await?) as Outcome) })
    }
}

impl Db {
    /// Runs `step` in a transaction and commits, apart from the request, so that a client disconnect
    /// cancels nothing. After a serialization failure of PostgreSQL the step runs again, so `step` must
    /// have no effect except on the transaction.
    ///
    /// # Errors
    /// The error of the step, after a rollback, or of the commit.
    pub async fn write<A, T>(
        &self,
        input: A,
        step: for<'a> fn(&'a mut Tx, &'a A) -> Step<'a, T>,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let outcome = self.run(Box::new(Write { input, step })).await?.downcast();
        Ok(*outcome.expect("the outcome has the type of the step"))
    }

    /// Runs a single statement in a transaction. Returns the number of changed rows.
    pub async fn execute(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64> {
        self.write((sql.into(), args), |tx, (sql, args)| tx.execute(*sql, args))
            .await
    }

    /// Runs a write. Not generic, so that it is compiled once instead of with every kind of write.
    async fn run(&self, write: Box<dyn Attempt>) -> Result<Outcome> {
        let _step = step("database write");
        match self {
            Self::Sqlite(db) => db.write(write).await,
            Self::Postgres(db) => {
                let task = tokio::spawn(attempts(db.pool.clone(), write));
                task.await.map_err(|_| Error::Aborted)?
            }
        }
    }
}

async fn attempts(pool: PgPool, write: Box<dyn Attempt>) -> Result<Outcome> {
    let mut attempt = 1;
    loop {
        match attempt_on_postgres(&pool, &*write).await {
            Err(error) if error.is_retryable() && attempt < MAX_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn attempt_on_postgres(pool: &PgPool, write: &dyn Attempt) -> Result<Outcome> {
    let mut tx = Tx::Postgres(pool.begin().await?);
    let outcome = write.run(&mut tx).await?;
    if let Tx::Postgres(tx) = tx {
        tx.commit().await?; // after a lost connection the outcome is unknown until the rows are read again
    }
    Ok(outcome)
}
