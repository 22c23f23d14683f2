//! `doctor`: checks a deployment, and reports problems with advice.

mod addresses;
mod database;
mod files;
mod folder;
mod issuer;
mod key;
mod listening;
mod reach;
mod variables;
mod writing;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::{Error, output};
use crate::checks::{Finding, Findings, Status, beside, examine_oauth, pkce};
use crate::config::{Config, Fault};

/// Check the configuration, the database, the files, the signing key and the addresses.
///
/// Every problem is reported with advice. Exit codes: 0 without a problem, 1 with warnings only, 2 if a check
/// failed.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Print JSON: a list of {"status", "check", "finding", "advice"}.
    #[arg(long)]
    json: bool,
}

/// The owner of the community data in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Storyden; this server runs beside.
    Storyden,
    /// This server only. Also the default while the database is unavailable.
    ThisServer,
}

impl Doctor {
    /// Runs all checks.
    pub(super) async fn run(
        self,
        config: Result<Config, Vec<Fault>>,
        env_file: Option<&Path>,
    ) -> Result<ExitCode, Error> {
        let mut findings = Findings::default();
        variables::examine(env_file, &mut findings);
        match config {
            Ok(config) => Box::pin(examine(&config, env_file, &mut findings)).await,
            Err(faults) => {
                for fault in faults {
                    let advice = format!("correct {} and run doctor again", fault.variable);
                    findings.fail("configuration", fault.to_string(), advice);
                }
            }
        }
        let Findings(findings) = findings;
        if self.json {
            output::print_json(&findings)?;
        } else {
            output::print(&text(&findings))?;
        }
        Ok(exit_code(&findings))
    }
}

/// 0 without a problem, 1 with warnings only, 2 with a failure.
fn exit_code(findings: &[Finding]) -> ExitCode {
    let worst = findings.iter().map(|finding| finding.status).max();
    match worst {
        None | Some(Status::Ok) => ExitCode::SUCCESS,
        Some(Status::Warn) => ExitCode::from(1),
        Some(Status::Fail) => ExitCode::from(2),
    }
}

async fn examine(config: &Config, env_file: Option<&Path>, findings: &mut Findings) {
    findings.ok("configuration", "every setting can be used");
    let mut owner = Owner::ThisServer;
    let mut key = None;
    if folder::examine(config, findings) {
        owner = database::examine(config, findings).await;
        files::examine(config, env_file, owner, findings);
        key = Box::pin(key::examine(config, findings)).await;
    }
    listening::examine(config, key.as_ref(), findings).await;
    examine_oauth(config, findings);
    pkce::examine_setting(config, findings);
    addresses::examine(config, findings);
    if owner == Owner::Storyden {
        beside::examine(config, findings);
    }
    if config.oauth_enabled {
        issuer::examine(config, owner, key.as_ref(), findings).await;
    }
}

/// Formats the findings, a line each, with the advice below.
fn text(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for Finding {
        status,
        check,
        what,
        advice,
    } in findings
    {
        let status = match status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        lines.push(format!("{status}  {check:<13}  {}", output::clean(what)));
        if let Some(advice) = advice {
            lines.push(format!("{:<21}-> {advice}", ""));
        }
    }
    let count = |status| {
        findings
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    };
    let (warned, failed) = (count(Status::Warn), count(Status::Fail));
    lines.push(match (failed, warned) {
        (0, 0) => "\nAll is well.".to_owned(),
        _ => format!("\n{failed} failed, {warned} to look at."),
    });
    lines.join("\n")
}
