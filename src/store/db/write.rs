//! Writes: a step in a transaction, in a separate task, repeated after a serialization failure.

use std::any::Any;

use tokio::task::JoinHandle;

use super::{Db, Step, Tx};
use crate::store::error::{Error, Result};
use crate::store::sql::Sql;
use crate::store::value::Value;

/// Maximum number of attempts for a transaction with a serialization failure or deadlock (PostgreSQL).
const MAX_ATTEMPTS: usize = 4;

/// The result of a step with its type erased.
type Outcome = Box<dyn Any + Send>;

/// A write with its types erased.
trait Attempt: Send + Sync {
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
    /// Runs `step` in a transaction and commits, in a separate task, so that a client disconnect
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
        let outcome = self.spawn(Box::new(Write { input, step })).await;
        let outcome = outcome.map_err(|_| Error::Aborted)??.downcast();
        Ok(*outcome.expect("the outcome has the type of the step"))
    }

    /// Runs a single statement in a transaction. Returns the number of changed rows.
    pub async fn execute(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64> {
        self.write((sql.into(), args), |tx, (sql, args)| tx.execute(*sql, args))
            .await
    }

    /// Runs a transaction in a separate task. Not generic, so that the task is compiled once instead of
    /// with every kind of write.
    fn spawn(&self, write: Box<dyn Attempt>) -> JoinHandle<Result<Outcome>> {
        let db = self.clone();
        tokio::spawn(async move {
            let mut attempt = 1;
            loop {
                match db.attempt(&*write).await {
                    Err(error) if error.is_retryable() && attempt < MAX_ATTEMPTS => attempt += 1,
                    outcome => return outcome,
                }
            }
        })
    }

    async fn attempt(&self, write: &dyn Attempt) -> Result<Outcome> {
        let mut tx = self.begin().await?;
        let outcome = write.run(&mut tx).await?;
        tx.commit().await?;
        Ok(outcome)
    }
}
