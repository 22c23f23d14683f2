//! Advice for errors of the database, by cause, for `serve` and `doctor`.

use crate::database_url::DatabaseUrl;
use crate::store::{self, Cause};

/// The advice for a role without rights.
pub(super) const RIGHTS: &str = "give the role of DATABASE_URL the rights, as the owner of the database: GRANT USAGE, CREATE \
     ON SCHEMA public TO the role, and let it own the auth_* tables";

/// Returns the advice for a database that nothing can be written to.
pub(super) fn read_only(url: &DatabaseUrl) -> &'static str {
    match url {
        DatabaseUrl::Sqlite(_) => {
            "chmod 600 the file and its -wal and -shm, which have the mode that the file had when they were created, and \
             give them to the user of the server with chown; or remove mode=ro from DATABASE_URL"
        }
        DatabaseUrl::Postgres(_) => {
            "let DATABASE_URL name the primary and not a standby, and remove default_transaction_read_only from the \
             role, the database and the URL"
        }
    }
}

/// Returns the change that removes the cause of an error.
pub(super) fn advice(error: &store::Error, url: &DatabaseUrl) -> &'static str {
    let is_sqlite = matches!(url, DatabaseUrl::Sqlite(_));
    match error.cause() {
        Cause::TooManyConnections => {
            "each replica opens up to 16 connections: raise max_connections of PostgreSQL or the limit of the role (ALTER \
             ROLE … CONNECTION LIMIT), or run fewer replicas"
        }
        Cause::Credentials => {
            "check user and password of DATABASE_URL (special characters percent-encoded, as %40 for @), and \
             pg_hba.conf of PostgreSQL"
        }
        Cause::NoDatabase => "create the database, or correct the name at the end of DATABASE_URL",
        Cause::Permission => RIGHTS,
        Cause::NoTable => "run `storyden-auth migrate`, or restore the rest of the database",
        Cause::Timeout => {
            "look for locks: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE \
             cardinality(pg_blocking_pids(pid)) > 0"
        }
        Cause::Locked => {
            "another process holds the write lock of the file: `fuser -v FILE` names the processes; end the transaction \
             of the one that is no storyden-auth"
        }
        Cause::ReadOnly => read_only(url),
        Cause::Full => {
            "free space on the disk of the database, and look at the quota and at the log of the kernel"
        }
        Cause::CannotOpen => {
            "check that the folder exists, and that the user of the server may read and write the file and the folder"
        }
        Cause::Damaged => {
            "the file is damaged or no database: stop the server, keep a copy, and restore the last backup"
        }
        Cause::Tls => {
            "check sslmode and sslrootcert in DATABASE_URL; SSL_CERT_FILE names a file with further authorities"
        }
        Cause::Pool => {
            "the database is overloaded, or its connections are in use: look at its load and at locks"
        }
        Cause::Other if is_sqlite => {
            "check the file of DATABASE_URL or DATA_DIR and its write permission"
        }
        Cause::Other => {
            "check host, port, name, user and password of DATABASE_URL, and that PostgreSQL runs"
        }
    }
}
