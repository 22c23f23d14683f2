//! The overview of administrators: `GET /api/admin/oauth/overview`.

mod figures;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::checks::clean_up;
use crate::checks::{self, Finding, Status};
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::error::ApiError;
use crate::http::error::responses::GuardErrors;
use crate::http::guards::Administrator;
use crate::keys::schedule::KeyState;
use crate::signing_keys;
use crate::store::apply_revocations;
use crate::store::cleanup::COUNTED;
use figures::Statistics;

/// The overview.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverview)]
pub struct Overview {
    /// Version of the program that answered.
    version: &'static str,
    /// Counts of events of all replicas; absent while `STATISTICS_RETENTION` is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<Statistics>,
    /// Open alerts: problems that the checks of `doctor` found which are quick and need no file.
    alerts: Vec<Finding>,
    /// The work that background jobs have to do.
    backlog: JobBacklog,
    /// The keys that sign, one for each algorithm; none while OAuth is off.
    signing_keys: Vec<CurrentKey>,
}

/// The work that background jobs have to do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewBacklog)]
pub struct JobBacklog {
    /// Rows that are due for deletion.
    due_rows: i64,
    /// The steps of the clean-up that have due rows.
    steps: Vec<DueStep>,
    /// Time at which a step of the clean-up last completed; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    /// True while a large revocation, or the revocation of a signing key, is not complete. What it covers is revoked
    /// already.
    revocation_in_progress: bool,
}

/// A step of the clean-up with due rows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewStep)]
pub struct DueStep {
    /// Name of the step, as in the metrics.
    name: &'static str,
    /// Rows that are due for deletion, counted up to 10,000.
    due_rows: i64,
    /// True if there may be more rows than were counted.
    more: bool,
}

/// A key that signs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AdminOverviewKey)]
pub struct CurrentKey {
    /// Signature algorithm (RFC 7518 §3.1).
    algorithm: &'static str,
    /// Key id (RFC 7515 §4.1.4).
    kid: String,
    /// Time since which the key signs; absent for a key of the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_from: Option<Timestamp>,
    /// Time at which the next key signs; absent for a key that does not rotate.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotates_at: Option<Timestamp>,
}

/// `GET /api/admin/oauth/overview`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/overview",
    operation_id = "AdminOverview",
    tag = "admin",
    responses(
        (status = 200, description = "The overview", body = Overview),
        GuardErrors,
    )
)]
pub async fn get(
    State(context): State<SharedContext>,
    _: Administrator,
) -> Result<Json<Overview>, ApiError> {
    let clean_up = clean_up::State::read(&context).await?;
    let findings = checks::of_running_server(&context, &clean_up).await?;
    let alerts = findings.0.into_iter();
    Ok(Json(Overview {
        version: env!("CARGO_PKG_VERSION"),
        statistics: figures::read(&context).await?,
        alerts: alerts.filter(|one| one.status != Status::Ok).collect(),
        backlog: backlog(&context, &clean_up).await?,
        signing_keys: current_keys(&context),
    }))
}

async fn backlog(context: &Context, state: &clean_up::State) -> Result<JobBacklog, ApiError> {
    let due = state.backlog.iter().filter(|step| step.rows > 0);
    let steps = due.map(|step| DueStep {
        name: step.step,
        due_rows: step.rows,
        more: step.rows >= COUNTED,
    });
    Ok(JobBacklog {
        due_rows: state.backlog.iter().map(|step| step.rows).sum(),
        steps: steps.collect(),
        completed_at: state.completed_at(),
        revocation_in_progress: apply_revocations::any_open(&context.db).await?
            || signing_keys::has_incomplete_revocation(context).await?,
    })
}

/// Returns the key that signs for each algorithm. A key of the settings signs in place of the generated keys of its
/// algorithm.
fn current_keys(context: &Context) -> Vec<CurrentKey> {
    let Some(keys) = &context.keys else {
        return Vec::new();
    };
    let configured = keys.configured().signing.map(|key| CurrentKey {
        algorithm: key.algorithm().name(),
        kid: key.kid().to_owned(),
        signs_from: None,
        rotates_at: None,
    });
    let now = context.clock.now();
    let rotations = keys.ages();
    let rotation = |algorithm| {
        let known = rotations.iter().find(|(one, _, _)| *one == algorithm);
        known.and_then(|(_, _, next)| next.map(|next| now + next))
    };
    let status = keys.status().into_iter();
    let generated = status.filter(|key| key.state == KeyState::Current);
    let generated = generated.map(|key| CurrentKey {
        algorithm: key.facts.algorithm.name(),
        signs_from: Some(key.facts.signs_from),
        rotates_at: rotation(key.facts.algorithm),
        kid: key.facts.kid,
    });
    let replaced = configured.as_ref().map(|key| key.algorithm);
    let generated: Vec<_> = generated
        .filter(|key| Some(key.algorithm) != replaced)
        .collect();
    configured.into_iter().chain(generated).collect()
}
