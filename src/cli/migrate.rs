//! `migrate`: runs or checks migrations.

use std::process::ExitCode;

use clap::Args;

use super::{Error, output, serve};
use crate::config::Config;
use crate::context::{Context, Environment};
use crate::database_url::{DatabaseUrl, SqliteMode};
use crate::store::migrate;
use crate::telemetry;

/// Run the pending migrations; `serve` also runs pending migrations.
#[derive(Args, Debug)]
pub(super) struct Migrate {
    /// Only list pending migrations, and exit with 1 if there are any.
    #[arg(long)]
    check: bool,
    /// Print JSON: {"ran": […]}, or {"pending": […]} with --check.
    #[arg(long)]
    json: bool,
}

impl Migrate {
    /// Migrates or checks.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        telemetry::start(&config);
        if self.check {
            return self.check(config).await;
        }
        let context = Context::without_keys(config, Environment::machine()).await?;
        let ran = serve::run_migrations(&context).await?;
        if self.json {
            output::print_json(&serde_json::json!({ "ran": ran }))?;
        } else if ran.is_empty() {
            output::print("nothing was pending")?;
        } else {
            output::print(&output::table(
                ["RAN"],
                ran.into_iter().map(|name| [name.to_owned()]),
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn check(self, config: Config) -> Result<ExitCode, Error> {
        let pending = match without_creating(config) {
            Some(config) => {
                let context = Context::without_keys(config, Environment::machine()).await?;
                migrate::pending(&context.db).await?
            }
            None => migrate::all(),
        };
        if self.json {
            output::print_json(&serde_json::json!({ "pending": pending }))?;
        } else if pending.is_empty() {
            output::print("nothing is pending")?;
        } else {
            let rows = pending.iter().map(|name| [(*name).to_owned()]);
            output::print(&output::table(["PENDING"], rows))?;
        }
        Ok(if pending.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Returns settings that open the database without creating an SQLite file; `None` if the file is
/// missing.
pub(super) fn without_creating(mut config: Config) -> Option<Config> {
    let DatabaseUrl::Sqlite(mut url) = config.database() else {
        return Some(config);
    };
    if url.mode == SqliteMode::Create {
        if !url.path.exists() {
            return None;
        }
        url.mode = SqliteMode::ReadWrite;
    }
    config.database_url = Some(DatabaseUrl::Sqlite(url));
    Some(config)
}
