//! `plan`, `apply` and `export`: roles, resources, trusted issuers and applications as a TOML file.
//!
//! Entries that the file lacks are left alone, so that members and commands may create further ones.

mod client_difference;
mod clients;
mod export;
mod file;
mod issuers;
mod plan;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Error, open, output};
use crate::config::Config;
use crate::context::Context;
use file::Declared;
use plan::Plan;

/// Show what `apply` would change.
///
/// The file is TOML, as printed by `export`, with roles, resources, trusted issuers and applications. Entries that the file lacks are
/// left alone. Secrets are references to a variable or a file.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth plan community.toml")]
pub(super) struct PlanFile {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON: `{"changes": [{"change", "kind", "name", "details"}]}`.
    #[arg(long)]
    json: bool,
}

/// Make the changes that `plan` shows, in a single transaction.
///
/// Applying a file twice changes nothing the second time.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth apply community.toml --yes")]
pub(super) struct Apply {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Apply without asking.
    #[arg(long)]
    yes: bool,
    /// Print JSON, as `plan`, with the secrets that were generated.
    #[arg(long)]
    json: bool,
}

/// Print roles, resources, trusted issuers and applications as a file for `plan` and `apply`.
///
/// Without secrets, without applications that registered themselves, and without built-in roles that were not changed.
#[derive(Args, Debug)]
pub(super) struct Export {}

impl PlanFile {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let declared = Declared::read(&self.file)?;
        let context = open(config).await?;
        let plan = Plan::of(&context, &declared).await?;
        if self.json {
            output::print_json(&plan.shown())?;
        } else {
            output::print(&plan.text())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Apply {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let declared = Declared::read(&self.file)?;
        let context = open(config).await?;
        let plan = Plan::of(&context, &declared).await?;
        if !self.json {
            output::print(&plan.text())?;
        }
        if !plan.is_empty() {
            output::agree("Apply these changes?", self.yes)?;
        }
        let mut shown = plan.shown();
        let secrets = steps::commit(&context, plan.changes).await?;
        if self.json {
            shown.set_secrets(secrets);
            return output::print_json(&shown).map(|()| ExitCode::SUCCESS);
        }
        for (client_id, secret) in secrets {
            output::print(&format!(
                "client_secret of {client_id}: {secret}   (shown this once)"
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context: Context = open(config).await?;
        let declared = export::collect(&context).await?;
        output::print(&format!(
            "# Roles, resources, trusted issuers and applications of {}.\n# Secrets are not exported. To set one: secret = {{ env = \"NAME\" }} or {{ file = \"PATH\" }}\n\n{}",
            context.config.issuer(),
            declared.to_toml()?
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
