//! Checks of the deployment, with advice for each problem: for `doctor`, and the checks of a running server for the
//! overview of administrators.

pub mod agents;
pub mod beside;
pub mod clean_up;
pub mod clock;
pub mod fapi;
pub mod indexes;
pub mod pkce;
pub mod signing_keys;

use serde::Serialize;

use crate::config::Config;
use crate::context::Context;
use crate::store::{self, inspect};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlertStatus)]
pub enum Status {
    /// No problem.
    Ok,
    /// Works, with a possible problem.
    Warn,
    /// Does not work.
    Fail,
}

/// The finding of a check.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Alert)]
pub struct Finding {
    /// The result.
    pub status: Status,
    /// Name of the check.
    pub check: &'static str,
    /// The finding.
    #[serde(rename = "finding")]
    pub what: String,
    /// The change that solves the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The findings, in order.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds a check without a problem.
    pub fn ok(&mut self, check: &'static str, finding: impl Into<String>) {
        self.0.push(Finding {
            status: Status::Ok,
            check,
            what: finding.into(),
            advice: None,
        });
    }

    /// Adds a possible problem, with advice.
    pub fn warn(
        &mut self,
        check: &'static str,
        finding: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (what, advice) = (finding.into(), Some(advice.into()));
        self.0.push(Finding {
            status: Status::Warn,
            check,
            what,
            advice,
        });
    }

    /// Adds a failure, with advice.
    pub fn fail(
        &mut self,
        check: &'static str,
        finding: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (what, advice) = (finding.into(), Some(advice.into()));
        self.0.push(Finding {
            status: Status::Fail,
            check,
            what,
            advice,
        });
    }
}

/// Runs the checks that need no request, no file and no scan of a growing table. `doctor` checks the rest.
///
/// # Errors
/// If the database does not answer.
pub async fn of_running_server(
    context: &Context,
    clean_up: &clean_up::State,
) -> store::Result<Findings> {
    let (config, mut findings) = (&context.config, Findings::default());
    examine_oauth(config, &mut findings);
    clock::examine(context, &mut findings);
    indexes::examine(context, &mut findings).await?;
    clean_up.examine(context.clock.now(), &mut findings);
    if let Some(keys) = &context.keys {
        signing_keys::examine_settings(config, &mut findings);
        signing_keys::examine_status(config, keys, &mut findings);
    }
    pkce::examine_setting(config, &mut findings);
    pkce::examine_clients(context, &mut findings).await?;
    fapi::examine_clients(context, &mut findings).await?;
    agents::examine(context, &mut findings).await?;
    if inspect::has_storyden_tables(&context.db).await? {
        beside::examine(config, &mut findings);
    }
    Ok(findings)
}

/// Reports that OAuth is off.
pub fn examine_oauth(config: &Config, findings: &mut Findings) {
    if config.oauth_enabled {
        findings.ok("oauth", "OAUTH_ENABLED is true");
    } else {
        findings.warn(
            "oauth",
            "OAUTH_ENABLED is false: all OAuth endpoints answer that OAuth is disabled",
            "set OAUTH_ENABLED=true to enable the OAuth endpoints",
        );
    }
}
