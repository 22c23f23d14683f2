//! Device authorizations of every account: `/api/admin/oauth/device-authorizations`
//! (storyden-contract.md#administration).

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::listing::{AdministratorQuery, PageParameters, client_row, unless_whole};
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, Invalid};
use crate::store::device_list::{self, Filter, ListedDevice, Stage};
use crate::store::paging::Pages;

/// A page of device authorizations, or all device authorizations.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthDeviceAuthorisationListResult)]
pub struct DeviceList {
    /// Oldest first.
    device_authorisations: Vec<ListedDevice>,
    /// The page; absent if all device authorizations are listed.
    #[serde(flatten)]
    pages: Option<Pages>,
}

/// `GET /api/admin/oauth/device-authorizations`.
///
/// A live user code is not shown, because an administrator's access token could then be used to approve
/// devices of other people.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/device-authorizations",
    operation_id = "AdminOAuthDeviceAuthorisationList",
    tag = "admin",
    params(
        PageParameters,
        ("account_id" = Option<String>, Query, description = "Filter by the account that opened or approved the device: id or handle"),
        ("client_id" = Option<String>, Query, description = "Filter by client: client id or row id"),
        ("state" = Option<String>, Query, description = "Filter by state: pending, approved, denied, consumed or expired"),
        ("sort" = Option<String>, Query, description = "Order: -created, or created for the oldest first, as without this parameter"),
    ),
    responses(
        (status = 200, description = "List of device authorizations", body = DeviceList),
        Invalid,
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<Json<DeviceList>, ApiError> {
    let asked = query.read(&["account_id", "client_id", "state", "sort"])?;
    let stages: Vec<_> = Stage::ALL.iter().map(|stage| stage.name()).collect();
    let filter = Filter {
        account: asked.account(&context, "account_id").await?,
        client: client_row(&context, &asked).await?,
        stage: asked.parse_choice("state", Stage::from_name, &stages)?,
        newest_first: asked.oldest_first()? == Some(false),
    };
    let (policy, now) = (context.config.policies.admin, context.clock.now());
    let page = asked.page_or_whole(policy.lists_unpaged)?;
    // Poll times are buffered in memory: write them first, so that the listed rows are current.
    if let Err(error) = context.polls.write(&context.db).await {
        tracing::warn!(%error, "poll times were not written to the database");
    }
    let mut found = device_list::list(&context.db, &filter, page, now).await?;
    if !policy.live_user_codes_listed {
        for device in found
            .rows
            .iter_mut()
            .filter(|device| device.awaits_decision(now))
        {
            device.user_code = None;
        }
    }
    Ok(Json(DeviceList {
        device_authorisations: found.rows,
        pages: unless_whole(found.pages),
    }))
}
