//! The writer of an SQLite file: a thread with the single writing connection.
//!
//! Writes that wait at the same moment commit together, because a durable commit waits for the disk: each runs in a
//! savepoint, and each is acknowledged after the commit of all. A failed write leaves nothing in the transaction; a
//! failed commit fails every write in the transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::sqlite_connection::{SqliteConnection, SqliteOptions};
use super::sqlite_error::again;
use super::write::{Attempt, Outcome};
use super::{ACQUIRE_TIMEOUT, Tx};
use crate::clock::Timer;
use crate::store::error::{Error, Result};

/// Maximum number of writes that wait; more get [`Error::Busy`].
const MAX_WAITING_WRITES: usize = 1_024;

/// Maximum number of writes in a transaction.
const TOGETHER_MAX: usize = 64;

/// Time after which no further write joins a transaction, in seconds.
const JOIN_SECONDS: f64 = 0.005;

/// Handle to the writer. Clones share the thread, which ends after the last clone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    commands: UnboundedSender<Command>,
    /// A permit per place among the waiting writes, so that the channel is bounded.
    places: Arc<Semaphore>,
}

enum Command {
    Write(Job),
    /// A statement outside a transaction.
    Statement(&'static str, oneshot::Sender<sqlx::Result<()>>),
    /// Ends the thread, and closes the connection.
    Close(oneshot::Sender<()>),
}

/// A write that waits.
struct Job {
    write: Box<dyn Attempt>,
    /// Set by the writer as it begins the write, or by the request as it stops waiting: the first wins.
    claimed: Arc<AtomicBool>,
    answer: oneshot::Sender<Result<Outcome>>,
    place: OwnedSemaphorePermit,
}

/// A write in the transaction.
struct Done {
    outcome: Result<Outcome>,
    answer: oneshot::Sender<Result<Outcome>>,
    _place: OwnedSemaphorePermit,
}

impl Writer {
    /// Opens the connection, and starts the thread.
    ///
    /// # Errors
    /// If the file cannot be opened, or no thread can be started.
    pub(super) fn open(options: &SqliteOptions) -> sqlx::Result<Self> {
        let (commands, received) = unbounded_channel();
        let thread = WriterThread {
            tx: Tx::Sqlite(options.connect()?),
            options: options.clone(),
            is_broken: false,
            commands: received,
            next: None,
            runtime: Handle::current(),
        };
        let builder = std::thread::Builder::new().name("sqlite-writer".to_owned());
        // The thread logs where this thread logs, also if that is not the global subscriber.
        let log = tracing::dispatcher::get_default(Clone::clone);
        builder.spawn(move || tracing::dispatcher::with_default(&log, || thread.run()))?;
        Ok(Self {
            commands,
            places: Arc::new(Semaphore::new(MAX_WAITING_WRITES)),
        })
    }

    /// Runs a write and waits for the commit. A write that has begun is finished even if the request ends.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many writes wait, [`Error::Unavailable`] if the write does not begin in time or the
    /// commit fails, and errors of the write, which leaves nothing behind.
    pub(super) async fn write(&self, write: Box<dyn Attempt>) -> Result<Outcome> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|error| match error {
            TryAcquireError::NoPermits => Error::Busy,
            TryAcquireError::Closed => sqlx::Error::PoolClosed.into(),
        })?;
        let claimed = Arc::new(AtomicBool::new(false));
        let (answer, mut outcome) = oneshot::channel();
        self.send(Command::Write(Job {
            write,
            claimed: Arc::clone(&claimed),
            answer,
            place,
        }))?;
        if let Ok(outcome) = tokio::time::timeout(ACQUIRE_TIMEOUT, &mut outcome).await {
            return outcome.map_err(|_| Error::Aborted)?;
        }
        if !claimed.swap(true, Ordering::AcqRel) {
            return Err(sqlx::Error::PoolTimedOut.into());
        }
        outcome.await.map_err(|_| Error::Aborted)?
    }

    /// Runs a statement outside a transaction.
    ///
    /// # Errors
    /// The error of the statement.
    pub(super) async fn statement(&self, sql: &'static str) -> sqlx::Result<()> {
        let (answer, outcome) = oneshot::channel();
        self.send(Command::Statement(sql, answer))?;
        outcome.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Closes the connection after the writes that wait.
    pub(super) async fn close(&self) {
        self.places.close();
        let (answer, closed) = oneshot::channel();
        if self.send(Command::Close(answer)).is_ok() {
            let _ = closed.await; // fails if the thread is gone
        }
    }

    /// Returns the number of writes that wait or run.
    pub(super) fn waiting(&self) -> usize {
        MAX_WAITING_WRITES.saturating_sub(self.places.available_permits())
    }

    fn send(&self, command: Command) -> sqlx::Result<()> {
        let sent = self.commands.send(command);
        sent.map_err(|_| sqlx::Error::PoolClosed)
    }
}

/// The state of the thread.
struct WriterThread {
    /// The connection, in the form that the steps take.
    tx: Tx,
    options: SqliteOptions,
    /// True if a savepoint could not be ended: nothing is committed, and the connection is replaced.
    is_broken: bool,
    commands: UnboundedReceiver<Command>,
    /// A command that was received and cannot join the transaction.
    next: Option<Command>,
    runtime: Handle,
}

impl WriterThread {
    fn run(mut self) {
        loop {
            let next = self.next.take();
            match next.or_else(|| self.commands.blocking_recv()) {
                Some(Command::Write(job)) if job.claim() => self.write_together(job),
                Some(Command::Write(_)) => {} // the request no longer waits
                Some(Command::Statement(sql, answer)) => {
                    let _ = answer.send(self.connection().command(sql));
                }
                Some(Command::Close(answer)) => {
                    drop(self);
                    let _ = answer.send(());
                    return;
                }
                None => return,
            }
        }
    }

    /// Runs a write and the writes that wait in a transaction, and answers all of them.
    fn write_together(&mut self, first: Job) {
        if let Err(error) = self.begin() {
            let _ = first.answer.send(Err(error.into()));
            return;
        }
        let begun = Timer::start();
        let mut done = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            done.push(self.run_in_savepoint(job));
            let is_open = !self.is_broken && !self.connection().is_autocommit();
            let may_join = done.len() < TOGETHER_MAX && begun.seconds() < JOIN_SECONDS;
            next = (is_open && may_join).then(|| self.next_waiting()).flatten();
        }
        self.commit(done);
    }

    /// Begins a transaction. Opens a new connection if the last transaction could not be ended.
    fn begin(&mut self) -> sqlx::Result<()> {
        if self.is_broken || !self.connection().is_autocommit() {
            self.tx = Tx::Sqlite(self.options.connect()?);
            self.is_broken = false;
        }
        self.connection().command("BEGIN IMMEDIATE")
    }

    /// Returns the next write that waits, if a write is next.
    fn next_waiting(&mut self) -> Option<Job> {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Write(job) if job.claim() => return Some(job),
                Command::Write(_) => {}
                other => {
                    self.next = Some(other);
                    return None;
                }
            }
        }
        None
    }

    fn run_in_savepoint(&mut self, job: Job) -> Done {
        let outcome = self.attempt(&*job.write);
        Done {
            outcome,
            answer: job.answer,
            _place: job.place,
        }
    }

    fn attempt(&mut self, write: &dyn Attempt) -> Result<Outcome> {
        self.connection().command("SAVEPOINT write")?;
        let step = write.run(&mut self.tx);
        // The future never waits: the statements run on this thread.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.runtime.block_on(step)));
        let outcome = outcome.unwrap_or(Err(Error::Aborted));
        let connection = self.connection();
        if connection.is_autocommit() {
            return outcome; // an error after which SQLite rolled back by itself
        }
        let ended = if outcome.is_ok() {
            connection.command("RELEASE write")
        } else {
            let undone = connection.command("ROLLBACK TO write");
            undone.and_then(|()| connection.command("RELEASE write"))
        };
        self.is_broken |= ended.is_err();
        outcome
    }

    /// Commits, and answers the writes.
    fn commit(&mut self, done: Vec<Done>) {
        let connection = self.connection();
        // SQLite rolls back by itself if the disk is full: the transaction is gone with all writes in it.
        let committed = if self.is_broken || connection.is_autocommit() {
            Err(sqlx::Error::BeginFailed)
        } else {
            connection.command("COMMIT")
        };
        if !connection.is_autocommit() {
            let rolled_back = connection.command("ROLLBACK");
            rolled_back.unwrap_or_else(|error| tracing::error!(%error, "rollback failed"));
        }
        for write in done {
            let outcome = match (&committed, write.outcome) {
                (Ok(()), outcome) => outcome,
                (Err(_), Err(cause)) if cause.is_temporary() => Err(cause),
                // Also an error, such as a taken name, because it may be due to a write that is undone.
                (Err(error), _) => Err(again(error).into()),
            };
            let _ = write.answer.send(outcome); // fails if the request ended
        }
    }

    fn connection(&self) -> &SqliteConnection {
        match &self.tx {
            Tx::Sqlite(connection) => connection,
            Tx::Postgres(_) => unreachable!("the writer has a connection to a file"),
        }
    }
}

impl Job {
    /// Claims the write; false if the request no longer waits.
    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database_url::SqliteUrl;
    use crate::store::db::{Db, SqliteDb, Step};

    /// A file with a lock of another process, so that writes wait.
    struct LockedFile {
        db: Db,
        holder: SqliteConnection,
        _folder: tempfile::TempDir,
    }

    impl LockedFile {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let url = SqliteUrl::file(folder.path().join("a.db"));
            let db = Db::Sqlite(SqliteDb::open(&url).unwrap());
            let holder = SqliteOptions::new(&url).connect().unwrap();
            let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c \
                          (p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)";
            holder.execute_script(tables).unwrap();
            holder.command("BEGIN IMMEDIATE").unwrap();
            Self {
                db,
                holder,
                _folder: folder,
            }
        }

        /// Runs writes in one transaction. Returns their outcomes, and the rows afterwards.
        async fn write(&self, writes: &[Write]) -> (Vec<Result<u64>>, Vec<i64>) {
            let mut waiting = Vec::new();
            for (index, write) in writes.iter().enumerate() {
                let (db, write) = (self.db.clone(), *write);
                waiting.push(tokio::spawn(async move { db.write(write, run).await }));
                while self.db.load().writers_waiting <= index {
                    tokio::task::yield_now().await;
                }
            }
            self.holder.command("COMMIT").unwrap();
            let mut outcomes = Vec::new();
            for write in waiting {
                outcomes.push(write.await.unwrap());
            }
            let rows = self.db.fetch_all("SELECT id FROM p ORDER BY id", &[]);
            (outcomes, rows.await.unwrap())
        }
    }

    #[derive(Clone, Copy)]
    enum Write {
        /// Inserts a row.
        Insert(i64),
        /// Inserts a row, and then fails.
        InsertAndFail(i64),
        /// Inserts a row, and then panics.
        InsertAndPanic(i64),
        /// Inserts a row that fails the commit.
        FailCommit,
    }

    fn run<'a>(tx: &'a mut Tx, write: &'a Write) -> Step<'a, u64> {
        Box::pin(async move {
            let insert = "INSERT INTO p (id) VALUES ($1)";
            match *write {
                Write::Insert(id) => tx.execute(insert, &[id.into()]).await,
                Write::InsertAndFail(id) => {
                    tx.execute(insert, &[id.into()]).await?;
                    Err(Error::RaceLost)
                }
                Write::InsertAndPanic(id) => {
                    tx.execute(insert, &[id.into()]).await?;
                    panic!("a bug")
                }
                Write::FailCommit => tx.execute("INSERT INTO c (p) VALUES (0)", &[]).await,
            }
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_failed_write_leaves_the_others_of_its_transaction() {
        use Write::{Insert, InsertAndFail, InsertAndPanic};
        let file = LockedFile::new();
        let writes = [
            Insert(1),
            InsertAndFail(2),
            Insert(1),
            InsertAndPanic(3),
            Insert(4),
        ];
        let (outcomes, rows) = file.write(&writes).await;
        assert!(
            matches!(
                outcomes.as_slice(),
                [
                    Ok(1),
                    Err(Error::RaceLost),
                    Err(Error::Taken(_)),
                    Err(Error::Aborted),
                    Ok(1)
                ]
            ),
            "{outcomes:?}"
        );
        assert_eq!(rows, [1, 4]);
    }

    /// No write is acknowledged before the commit, and no error is reported that an undone write caused.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_failed_commit_fails_every_write_of_its_transaction() {
        use Write::{FailCommit, Insert};
        let file = LockedFile::new();
        let (outcomes, rows) = file.write(&[Insert(1), FailCommit, Insert(1)]).await;
        let gone = |outcome: &Result<u64>| matches!(outcome, Err(Error::Gone));
        assert!(outcomes.iter().all(gone), "{outcomes:?}");
        assert_eq!(rows, [] as [i64; 0]);
        let next = file.db.write(Insert(5), run).await;
        assert!(matches!(next, Ok(1)), "{next:?}");
    }

    #[tokio::test]
    async fn no_write_begins_after_the_end() {
        let file = LockedFile::new();
        file.holder.command("COMMIT").unwrap();
        file.db.close().await;
        let refused = file.db.write(Write::Insert(1), run).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        file.db.close().await;
    }
}
