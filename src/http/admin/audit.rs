//! The audit trail: `GET /api/admin/audit`, and `GET /api/admin/audit/export` as a file.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use bytes::Bytes;
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, channel};

use super::listing::{AdministratorQuery, ListQuery, PageParameters, named_client};
use crate::audit_export::{Export, Format};
use crate::context::{Context, SharedContext};
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, Invalid};
use crate::store;
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

/// The filters of the trail.
const FILTERS: &[&str] = &[
    "event",
    "actor",
    "account_id",
    "client_id",
    "since",
    "until",
    "address",
];

/// Reads the filters.
async fn filter(context: &Context, asked: &ListQuery) -> Result<Filter, ApiError> {
    let events: Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
    // Audit lines contain public client ids, which stay meaningful after a client is deleted.
    let client = match asked.text("client_id") {
        Some(id) => {
            let client = named_client(context, &id).await?;
            Some(client.map_or(id, |client| client.client_id))
        }
        None => None,
    };
    Ok(Filter {
        event: asked.parse_choice("event", Event::from_name, &events)?,
        actor: asked.account(context, "actor").await?,
        account: asked.account(context, "account_id").await?,
        client,
        since: asked.time("since")?,
        until: asked.time("until")?,
        address: asked.text("address"),
    })
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
        ("actor" = Option<String>, Query, description = "Filter by the acting account: id or handle"),
        ("account_id" = Option<String>, Query, description = "Filter by the affected account: id or handle"),
        ("client_id" = Option<String>, Query, description = "Filter by client: client id or row id"),
        ("address" = Option<String>, Query, description = "Filter by address, as shown in an entry"),
        ("since" = Option<String>, Query, description = "Start of the period, inclusive (RFC 3339)"),
        ("until" = Option<String>, Query, description = "End of the period, exclusive (RFC 3339)"),
        ("sort" = Option<String>, Query, description = "Order: created, or -created for the newest first, as without this parameter"),
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
    let asked = query.read(&[FILTERS, &["sort"]].concat())?;
    let filter = filter(&context, &asked).await?;
    let oldest_first = asked.oldest_first()?.unwrap_or(false);
    let found = audit_list::list(&context.db, &filter, oldest_first, asked.page()?).await?;
    Ok(Json(AuditList {
        entries: found.rows,
        pages: found.pages,
    }))
}

/// `GET /api/admin/audit/export`: the entries of a filter as a file, streamed.
#[utoipa::path(
    get,
    path = "/api/admin/audit/export",
    operation_id = "AdminAuditExport",
    tag = "admin",
    params(
        ("format" = Option<String>, Query, description = "Format: jsonl (an object per line; unless given) or csv"),
        ("event" = Option<String>, Query, description = "Filter by event, such as grant_approved"),
        ("actor" = Option<String>, Query, description = "Filter by the acting account: id or handle"),
        ("account_id" = Option<String>, Query, description = "Filter by the affected account: id or handle"),
        ("client_id" = Option<String>, Query, description = "Filter by client: client id or row id"),
        ("address" = Option<String>, Query, description = "Filter by address, as shown in an entry"),
        ("since" = Option<String>, Query, description = "Start of the period, inclusive (RFC 3339)"),
        ("until" = Option<String>, Query, description = "End of the period, exclusive (RFC 3339)"),
    ),
    responses(
        (
            status = 200,
            description = "The entries, newest first, with the names of accounts that exist",
            content(
                (String = "application/x-ndjson"),
                (String = "text/csv"),
            )
        ),
        Invalid,
        GuardErrors,
    )
)]
pub async fn export(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<impl IntoResponse, ApiError> {
    let asked = query.read(&[FILTERS, &["format"]].concat())?;
    let filter = filter(&context, &asked).await?;
    let format = asked.parse_choice("format", Format::from_name, Format::NAMES)?;
    let format = format.unwrap_or(Format::JsonLines);
    let mut export = Export::new(context.db.clone(), filter, format);
    // The first part now: if the database does not answer, the response is an error.
    let first = export.next().await?;
    let (sender, parts) = channel(1);
    tokio::spawn(async move {
        let mut part = Ok(first);
        while let Some(text) = part.transpose() {
            let failed = text.is_err();
            if sender.send(text).await.is_err() || failed {
                return; // the client is gone, or the connection ends without the end of the body
            }
            part = export.next().await;
        }
    });
    let name = format!("attachment; filename=\"{}\"", format.file_name());
    Ok((
        [
            (CONTENT_TYPE, format.media_type().to_owned()),
            (CONTENT_DISPOSITION, name),
        ],
        Body::new(Parts(parts)),
    ))
}

/// A body of the parts of a channel. An error ends the response before its end, so that a client does not take the
/// file for complete.
struct Parts(Receiver<store::Result<String>>);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = store::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, store::Error>>> {
        let part = self.get_mut().0.poll_recv(task);
        part.map(|part| part.map(|text| text.map(|text| Frame::data(Bytes::from(text)))))
    }
}
