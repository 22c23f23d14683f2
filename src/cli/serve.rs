//! `serve`: migrate, serve, drain on SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::app::{App, Sources};
use crate::config::Config;
use crate::profile::Profile;
use crate::store::migrate;
use crate::telemetry::prometheus;
use crate::{server, telemetry};

/// Migrate the database and serve: the default command.
#[derive(Args, Debug, Default)]
pub(super) struct Serve {
    /// Do not migrate; refuse to start while migrations are pending.
    #[arg(long)]
    no_migrate: bool,
}

impl Serve {
    /// Serves until a signal says to stop.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        telemetry::start(&config);
        let app = App::new(config, Sources::machine()).await?;
        if self.no_migrate {
            refuse_pending(&app).await?;
        } else {
            migrate(&app).await?;
        }
        let address = app.config.listen_addr;
        let listener = listen("LISTEN_ADDR", address).await?;
        serve(Arc::new(app), listener).await
    }
}

/// Runs pending migrations and logs their names.
pub(super) async fn migrate(app: &App) -> Result<(), Error> {
    let ran = migrate::run(&app.db, app.clock.now()).await?;
    if !ran.is_empty() {
        tracing::info!(migrations = ?ran, "migrated");
    }
    Ok(())
}

async fn refuse_pending(app: &App) -> Result<(), Error> {
    let pending = migrate::pending(&app.db).await?;
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

/// Serves until a signal says to stop.
pub(super) async fn serve(app: Arc<App>, listener: TcpListener) -> Result<ExitCode, Error> {
    let address = app.config.listen_addr;
    let issuer = app.config.issuer();
    let engine = app.config.database().engine();
    tracing::info!(%address, issuer, engine, "serving");
    if !app.config.oauth_enabled {
        tracing::warn!("OAUTH_ENABLED=false: the authorization server answers that it is off");
    }
    if app.config.cimd_insecure {
        tracing::warn!(
            "OAUTH_CIMD_ALLOW_INSECURE_FETCH=true: whoever signs in can have this server send requests to \
             any address it reaches; for development alone"
        );
    }
    if app.config.remote_insecure == Some(true) {
        tracing::warn!(
            "REMOTE_ALLOW_INSECURE=true: remote servers on this computer are asked, by plain http too; for \
             development alone"
        );
    }
    if app.config.profile == Profile::Storyden {
        let differences: Vec<&str> = Profile::DIFFERENCES.iter().map(|(name, _)| *name).collect();
        tracing::info!(
            ?differences,
            "OAUTH_PROFILE=storyden: answers as a Storyden gives them"
        );
    }
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    if let Some(address) = app.config.metrics_addr {
        let listener = listen("METRICS_ADDR", address).await?;
        tracing::info!(%address, "serving metrics");
        tokio::spawn(prometheus::serve(Arc::clone(&app), listener, stop.clone()));
    }
    server::run(app, listener, stop)
        .await
        .map_err(|error| Error::Io("serving ended".to_owned(), error))?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be heard");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
}
