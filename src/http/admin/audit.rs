//! The audit trail: `GET /api/admin/audit`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::listing::{AdministratorQuery, PageParameters, named_client};
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, Invalid};
use crate::store::audit::Event;
use crate::store::audit_list::{self, Filter, ListedEntry};
use crate::store::paging::Pages;

/// A page of the trail.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditListResult)]
pub struct AuditList {
    /// The lines, newest first.
    entries: Vec<ListedEntry>,
    #[serde(flatten)]
    pages: Pages,
}

/// `GET /api/admin/audit`: the audit trail, filtered, in pages.
#[utoipa::path(
    get,
    path = "/api/admin/audit",
    operation_id = "AdminAuditList",
    tag = "admin",
    params(
        PageParameters,
        ("event" = Option<String>, Query, description = "Filter by event, such as grant_approved"),
        ("actor" = Option<String>, Query, description = "Filter by the acting account"),
        ("account_id" = Option<String>, Query, description = "Filter by the affected account"),
        ("client_id" = Option<String>, Query, description = "Filter by client: client id or row id"),
        ("since" = Option<String>, Query, description = "Start of the period, inclusive (RFC 3339)"),
        ("until" = Option<String>, Query, description = "End of the period, exclusive (RFC 3339)"),
    ),
    responses(
        (status = 200, description = "Audit entries, newest first", body = AuditList),
        Invalid,
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<Json<AuditList>, ApiError> {
    let filters = [
        "event",
        "actor",
        "account_id",
        "client_id",
        "since",
        "until",
    ];
    let asked = query.read(&filters)?;
    let events: Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
    // Audit lines contain public client ids, which stay meaningful after a client is deleted.
    let client = match asked.text("client_id") {
        Some(id) => {
            let client = named_client(&context, &id).await?;
            Some(client.map_or(id, |client| client.client_id))
        }
        None => None,
    };
    let filter = Filter {
        event: asked.parse_choice("event", Event::from_name, &events)?,
        actor: asked.account("actor"),
        account: asked.account("account_id"),
        client,
        since: asked.time("since")?,
        until: asked.time("until")?,
    };
    let found = audit_list::list(&context.db, &filter, asked.page()?).await?;
    Ok(Json(AuditList {
        entries: found.rows,
        pages: found.pages,
    }))
}
