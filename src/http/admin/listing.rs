//! Query parameters of lists: filters and page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::error::ApiError;
use crate::http::extract::{Decoded, decode_query};
use crate::http::guards::Administrator;
use crate::ids::{AccountId, ClientRowId};
use crate::store;
use crate::store::accounts;
use crate::store::clients::{self, Client};
use crate::store::paging::{Page, Pages};

/// The parameters of a page, for the API document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// Which page, from 1
    pub page: Option<String>,
    /// How many on a page, 1 to 200; 50 unless given
    pub page_size: Option<String>,
}

/// The query of a list, sent by an administrator.
pub struct AdministratorQuery(Option<String>);

impl FromRequestParts<SharedContext> for AdministratorQuery {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        Administrator::from_request_parts(parts, context).await?;
        Ok(Self(parts.uri.query().map(str::to_owned)))
    }
}

impl AdministratorQuery {
    /// Parses the query: the page and the given filters; other parameters are ignored.
    ///
    /// # Errors
    /// 400 for a malformed query or a repeated parameter.
    pub(super) fn read(&self, filters: &[&'static str]) -> Result<ListQuery, ApiError> {
        let known = [["page", "page_size"].as_slice(), filters].concat();
        let decoded = decode_query(self.0.as_deref(), &known)?;
        Ok(ListQuery(decoded))
    }
}

/// The parsed query of a list.
pub(super) struct ListQuery(Decoded);

impl ListQuery {
    /// A text parameter, if present.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(str::to_owned)
    }

    /// The account named by id or handle. An unknown name is taken as an id, because the audit trail outlives
    /// accounts; an invalid id finds nothing.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(super) async fn account(
        &self,
        context: &Context,
        name: &str,
    ) -> Result<Option<AccountId>, store::Error> {
        let Some(text) = self.0.get(name) else {
            return Ok(None);
        };
        let account = accounts::find_named(&context.db, text).await?;
        Ok(Some(account.map_or_else(
            || AccountId::new(text),
            |account| account.id,
        )))
    }

    /// A value from a fixed list.
    ///
    /// # Errors
    /// 400, with the allowed values.
    pub(super) fn parse_choice<T>(
        &self,
        name: &'static str,
        from_name: fn(&str) -> Option<T>,
        names: &[&'static str],
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.0.get(name) else {
            return Ok(None);
        };
        let known = || format!("{name} must be one of: {}", names.join(", "));
        from_name(text)
            .map(Some)
            .ok_or_else(|| ApiError::invalid(known()))
    }

    /// The direction of a list by time, from `sort`: `created` for the oldest entry first, `-created` for the newest.
    ///
    /// # Errors
    /// 400 for a different order.
    pub(super) fn oldest_first(&self) -> Result<Option<bool>, ApiError> {
        let direction = |name: &str| match name {
            "created" => Some(true),
            "-created" => Some(false),
            _ => None,
        };
        self.parse_choice("sort", direction, &["created", "-created"])
    }

    /// A time parameter.
    ///
    /// # Errors
    /// 400 for an invalid time.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.0.get(name) else {
            return Ok(None);
        };
        let refused = || {
            let range = Timestamp::RANGE;
            format!("{name} must be a time as in 2026-01-31T12:00:00Z (RFC 3339), {range}")
        };
        Timestamp::parse_rfc3339(text)
            .map(Some)
            .ok_or_else(|| ApiError::invalid(refused()))
    }

    /// The requested page; the whole list if `lists_unpaged`, unless a page was requested.
    ///
    /// # Errors
    /// 400 for an invalid page size.
    pub(super) fn page_or_whole(&self, lists_unpaged: bool) -> Result<Page, ApiError> {
        let is_paged = self.0.get("page").is_some() || self.0.get("page_size").is_some();
        if lists_unpaged && !is_paged {
            return Ok(Page::WHOLE);
        }
        self.page()
    }

    /// The requested page; 1 if absent or invalid (storyden-contract.md#refresh-token-lists).
    ///
    /// # Errors
    /// 400 for an invalid page size.
    pub(super) fn page(&self) -> Result<Page, ApiError> {
        let page = Page::asked(self.0.get("page"));
        let Some(text) = self.0.get("page_size") else {
            return Ok(page);
        };
        match text.parse() {
            Ok(size) if (1..=Page::SIZE_MAX).contains(&size) => Ok(Page { size, ..page }),
            _ => {
                let most = Page::SIZE_MAX;
                let detail = format!("page_size must be a number from 1 to {most}");
                Err(ApiError::invalid(detail))
            }
        }
    }
}

/// The page information of a response; `None` if the whole list is returned.
pub(super) fn unless_whole(pages: Pages) -> Option<Pages> {
    (pages.page_size != Page::WHOLE.size).then_some(pages)
}

/// Finds a client by public id or row id, since lists show both.
///
/// # Errors
/// If the database does not answer.
pub(super) async fn named_client(
    context: &Context,
    id: &str,
) -> Result<Option<Client>, store::Error> {
    if id.contains('\0') {
        return Ok(None); // no engine stores NUL
    }
    match clients::find(&context.db, id).await? {
        Some(client) => Ok(Some(client)),
        None => clients::find_by_row(&context.db, &ClientRowId::new(id)).await,
    }
}

/// The row id of the client named by a filter; an unknown client finds nothing.
///
/// # Errors
/// If the database does not answer.
pub(super) async fn client_row(
    context: &Context,
    asked: &ListQuery,
) -> Result<Option<ClientRowId>, store::Error> {
    let Some(id) = asked.text("client_id") else {
        return Ok(None);
    };
    let client = named_client(context, &id).await?;
    Ok(Some(
        client.map_or(ClientRowId::new(id), |client| client.row_id),
    ))
}
