//! `serve`: migrates, serves, and drains on SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::progress::with_time;
use super::{Error, database_advice, with_causes};
use crate::config::{Config, LogFormat, unknown_variables};
use crate::context::{self, Context, Environment};
use crate::database_url::DatabaseUrl;
use crate::http::listener;
use crate::http::prometheus;
use crate::keys::SigningKey;
use crate::keys::{key_sealer, sealer};
use crate::store::lock::ServerLock;
use crate::store::{inspect, migrate};
use crate::{files, signing_keys, telemetry};

/// Migrate the database and serve: the default command.
#[derive(Args, Debug, Default)]
pub(super) struct Serve {
    /// Do not migrate; refuse to start while migrations are pending.
    #[arg(long)]
    no_migrate: bool,
}

impl Serve {
    /// Runs the command until a signal arrives. An error at the start is a log line too, in the format of the settings.
    pub(super) async fn run(
        self,
        config: Config,
        env_file: Option<&Path>,
    ) -> Result<ExitCode, Error> {
        telemetry::start(&config);
        let is_json = config.log_format == LogFormat::Json;
        match Box::pin(self.start(config, env_file)).await {
            Err(error) if is_json => {
                tracing::error!(error = with_causes(&error), "serving failed");
                Ok(ExitCode::FAILURE)
            }
            ended => ended,
        }
    }

    async fn start(self, config: Config, env_file: Option<&Path>) -> Result<ExitCode, Error> {
        warn_of_settings(&config, env_file);
        let _lock = lock(&config)?;
        let database = config.database();
        let context = Context::new(config, Environment::machine()).await;
        let context = context.map_err(|error| with_advice(error, &database))?;
        require_writable(&context).await?;
        if self.no_migrate {
            make_private(&context).await?;
            refuse_pending(&context).await?;
        } else {
            migrate(&context).await?;
        }
        context.load_keys().await?;
        warn_of_keys(&context).await?;
        let address = context.config.listen_addr;
        let listener = listen("LISTEN_ADDR", address).await?;
        serve(Arc::new(context), listener).await
    }
}

/// Adds advice to an error of the database.
fn with_advice(error: context::Error, database: &DatabaseUrl) -> Error {
    match error {
        context::Error::Database(place, error) => Error::Other(format!(
            "{place}: {error}; {}",
            database_advice::advice(&error, database)
        )),
        error => error.into(),
    }
}

/// Warns of variables and values that are probably mistakes.
fn warn_of_settings(config: &Config, env_file: Option<&Path>) {
    for unknown in unknown_variables(env_file) {
        let name = unknown.name;
        if let Some(setting) = unknown.setting {
            tracing::warn!(
                name,
                setting,
                "variable without effect; a setting has a similar name"
            );
        } else {
            tracing::warn!(name, "variable without effect in the file of --env-file");
        }
    }
    let everybody = config.trusted_proxies.of_everybody();
    if !everybody.is_empty() {
        tracing::warn!(
            networks = everybody.join(", "),
            "TRUSTED_PROXIES has every address: each client chooses its address in X-Forwarded-For, and escapes the rate \
             limits"
        );
    }
}

/// Refuses a database that nothing can be written to. Waits for no lock: a Storyden may be writing.
async fn require_writable(context: &Context) -> Result<(), Error> {
    let place = context.config.database_setting();
    if context.db.is_read_only().await? {
        let database = context.config.database();
        let advice = database_advice::read_only(&database);
        return Err(Error::Other(format!(
            "{place}: the database cannot be written: {advice}"
        )));
    }
    if let Some(missing) = inspect::missing_rights(&context.db).await? {
        return Err(Error::Other(format!(
            "{place}: the role lacks rights: {missing}; {}",
            database_advice::RIGHTS
        )));
    }
    Ok(())
}

/// Warns of generated keys beside a key of the settings.
async fn warn_of_keys(context: &Context) -> Result<(), Error> {
    let kids = signing_keys::replaced_by_setting(context).await?;
    if !kids.is_empty() {
        tracing::warn!(
            advice = signing_keys::REPLACED_BY_SETTING_ADVICE,
            "{}",
            signing_keys::replaced_by_setting_warning(&kids)
        );
    }
    Ok(())
}

/// Locks the SQLite file until the value is dropped. Not in `Db::open`, because commands work beside a
/// server.
pub(super) fn lock(config: &Config) -> Result<Option<ServerLock>, Error> {
    match config.database() {
        DatabaseUrl::Sqlite(url) => Ok(ServerLock::take(&url)?),
        DatabaseUrl::Postgres(_) => Ok(None),
    }
}

/// Removes group and other permissions from the database and the generated keys. Does not touch a
/// Storyden's database.
async fn make_private(context: &Context) -> Result<(), Error> {
    let folder = &context.config.data_dir;
    let keys = [
        SigningKey::file_in(folder),
        sealer::file_in(folder),
        key_sealer::file_in(folder),
    ];
    let mut open: Vec<(PathBuf, u32)> = open_to_others(keys);
    if let DatabaseUrl::Sqlite(url) = context.config.database() {
        let of_database = open_to_others(url.files());
        if !of_database.is_empty() && !inspect::has_storyden_tables(&context.db).await? {
            open.extend(of_database);
        }
    }
    for (path, mode) in open {
        let (file, was) = (path.display(), format!("{mode:04o}"));
        match files::make_private(&path) {
            Ok(()) => {
                tracing::warn!(%file, was, "file was readable by others; mode changed to 0600");
            }
            Err(error) => tracing::warn!(%file, was, %error, "file is readable by others"),
        }
    }
    Ok(())
}

/// Returns the files with group or other permissions, each with the mode.
pub(super) fn open_to_others(paths: impl IntoIterator<Item = PathBuf>) -> Vec<(PathBuf, u32)> {
    let mode = |path: PathBuf| files::open_to_others(&path).map(|mode| (path, mode));
    paths.into_iter().filter_map(mode).collect()
}

/// Runs pending migrations and logs the names.
pub(super) async fn migrate(context: &Context) -> Result<(), Error> {
    make_private(context).await?;
    let ran = run_migrations(context).await?;
    if !ran.is_empty() {
        let database = context.config.database().place();
        tracing::info!(migrations = ?ran, database, "migrated");
    }
    Ok(())
}

/// Runs pending migrations, and shows the progress. Returns the names.
pub(super) async fn run_migrations(context: &Context) -> Result<Vec<&'static str>, Error> {
    let pending = migrate::pending(&context.db).await?;
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    tracing::info!(migrations = ?pending, "migrating; one process migrates at a time, and others wait for it");
    let ran = Box::pin(migrate::run(&context.db, context.clock.now()));
    Ok(with_time(ran, "migrating the database").await?)
}

async fn refuse_pending(context: &Context) -> Result<(), Error> {
    let pending = migrate::pending(&context.db).await?;
    if pending.is_empty() {
        return Ok(());
    }
    let names = pending.join(", ");
    Err(Error::Other(format!(
        "migrations are pending ({names}); run `storyden-auth migrate`, or serve without --no-migrate"
    )))
}

/// Listens at an address; `setting` is the setting to change if the address is in use.
pub(super) async fn listen(setting: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::Io(format!("{setting}: {address} cannot be listened on"), error))
}

/// Serves until a signal arrives.
pub(super) async fn serve(context: Arc<Context>, listener: TcpListener) -> Result<ExitCode, Error> {
    let address = context.config.listen_addr;
    let issuer = context.config.issuer();
    let engine = context.config.database().engine();
    let database = context.config.database().place();
    let metrics = match context.config.metrics_addr {
        Some(address) => Some((address, listen("METRICS_ADDR", address).await?)),
        None => None,
    };
    // Register before the log line that the server runs: from then on, a signal must drain and not
    // kill.
    let stop = stop_on_signal();
    tracing::info!(%address, issuer, engine, database, "serving");
    if !context.config.oauth_enabled {
        tracing::warn!("OAUTH_ENABLED=false: all OAuth endpoints answer that OAuth is disabled");
    }
    if context.config.cimd_insecure {
        tracing::warn!(
            "OAUTH_CIMD_ALLOW_INSECURE_FETCH=true: any signed-in member can make this server send requests to \
             internal addresses (SSRF); use for development only"
        );
    }
    if context.config.remote_insecure == Some(true) {
        tracing::warn!(
            "REMOTE_ALLOW_INSECURE=true: remote servers on this computer are contacted, also by plain http; \
             use for development only"
        );
    }
    let differences = context.config.policies.differences();
    if !differences.is_empty() {
        let differences: Vec<&str> = differences.iter().map(|(name, _)| *name).collect();
        tracing::info!(
            ?differences,
            "OAUTH_PROFILE=storyden: responses match a Storyden"
        );
    }
    if let Some((address, listener)) = metrics {
        tracing::info!(%address, "serving metrics");
        prometheus::install();
        tokio::spawn(prometheus::serve(
            Arc::clone(&context),
            listener,
            stop.clone(),
        ));
    }
    let ended = listener::run(Arc::clone(&context), listener, stop).await;
    send_last_traces(context).await;
    ended.map_err(|error| Error::Io("serving ended".to_owned(), error))?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Sends the traces that wait in the queue of the exporter, on a thread that may block.
async fn send_last_traces(context: Arc<Context>) {
    let send = move || {
        if let Some(traces) = &context.traces {
            traces.shutdown();
        }
    };
    _ = tokio::task::spawn_blocking(send).await; // a panic ends nothing but the traces
}

/// Registers the handlers of SIGTERM and SIGINT immediately, and cancels the token on the first signal.
fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signal handlers cannot be installed");
        return stop;
    };
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    stop
}
