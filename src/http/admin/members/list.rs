//! `GET /api/admin/oauth/members`: search, filters and order.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::admin::listing::{AdministratorQuery, ListQuery, PageParameters};
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, Invalid};
use crate::ids::{AccountId, RoleId};
use crate::store::accounts::ADMIN_ROLE;
use crate::store::members::{self, Filter, Member, Order, State as MemberState};
use crate::store::paging::{Page, Paged, Pages};
use crate::store::roles::{self, Role};

/// Maximum number of ids in a query: a parameter has at most 4 KiB.
const IDS_MAX: usize = 150;

/// A role that an account holds.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberRole)]
pub struct HeldRole {
    /// Id of the role.
    id: RoleId,
    /// Name of the role.
    name: String,
}

/// An account in the list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Member)]
pub struct ShownMember {
    /// True for an account with the built-in role Admin.
    administrator: bool,
    /// Time of sign-up.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// Oldest e-mail address, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Unique name.
    handle: String,
    /// Account id.
    id: AccountId,
    /// `human` or `bot`.
    kind: String,
    /// Display name.
    name: String,
    /// Roles that were given to the account. Every account holds Member as well.
    roles: Vec<HeldRole>,
    /// Time of suspension, if the account is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_at: Option<Timestamp>,
}

/// A page of members.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberListResult)]
pub struct MemberList {
    /// The members, in the requested order.
    members: Vec<ShownMember>,
    #[serde(flatten)]
    pages: Pages,
}

/// `GET /api/admin/oauth/members`.
///
/// # Errors
/// 400 for an invalid query, 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/members",
    operation_id = "AdminMemberList",
    tag = "admin",
    params(
        PageParameters,
        ("q" = Option<String>, Query, description = "Beginning of a handle, of a name, of the name after the first space, or of an e-mail address; or an id"),
        ("role" = Option<String>, Query, description = "Filter by role: name or id"),
        ("state" = Option<String>, Query, description = "Filter by state: active or suspended"),
        ("sort" = Option<String>, Query, description = "Order: handle, name or joined; with a hyphen in front, reversed. handle unless given"),
        ("ids" = Option<String>, Query, description = "These accounts only: up to 150 ids, separated by commas, without other filters"),
    ),
    responses(
        (status = 200, description = "List of members", body = MemberList),
        Invalid,
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<Json<MemberList>, ApiError> {
    let asked = query.read(&["q", "role", "state", "sort", "ids"])?;
    let known = roles::list(&context.db).await?;
    let found = match asked.text("ids") {
        Some(ids) => of_ids(&context, &ids).await?,
        None => filtered(&context, &asked, &known).await?,
    };
    Ok(Json(MemberList {
        members: shown(&context, found.rows, &known).await?,
        pages: found.pages,
    }))
}

async fn filtered(
    context: &Context,
    asked: &ListQuery,
    known: &[Role],
) -> Result<Paged<Member>, ApiError> {
    let text = asked.text("q").map(|text| text.trim().to_owned());
    let text = text.map(|text| text.strip_prefix('@').unwrap_or(&text).to_owned());
    let filter = Filter {
        text: text.filter(|text| !text.is_empty()),
        role: match asked.text("role") {
            Some(name) => Some(role_named(known, &name)?.id.clone()),
            None => None,
        },
        state: asked.parse_choice("state", MemberState::from_name, MemberState::NAMES)?,
    };
    let order = asked.parse_choice("sort", Order::from_name, Order::NAMES)?;
    let page = asked.page()?;
    Ok(members::list(&context.db, &filter, order.unwrap_or_default(), page).await?)
}

/// Finds the accounts of a list of ids, without order or filter.
async fn of_ids(context: &Context, ids: &str) -> Result<Paged<Member>, ApiError> {
    let ids: Vec<AccountId> = ids.split(',').map(AccountId::new).collect();
    if ids.len() > IDS_MAX {
        let detail = format!("ids has {} ids; send at most {IDS_MAX} at once", ids.len());
        return Err(ApiError::invalid(detail));
    }
    let rows = members::find(&context.db, &ids).await?;
    let page = Page {
        number: 1,
        size: Page::SIZE_MAX,
    };
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let pages = page.of(total, rows.len());
    Ok(Paged { rows, pages })
}

/// Finds a role by id or name.
///
/// # Errors
/// 400 with the names of all roles.
pub(super) fn role_named<'a>(known: &'a [Role], text: &str) -> Result<&'a Role, ApiError> {
    let is_named =
        |role: &&Role| role.id.as_str() == text || role.name.to_lowercase() == text.to_lowercase();
    known.iter().find(is_named).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|role| role.name.as_str()).collect();
        let text: String = text.chars().take(64).collect();
        let names = names.join(", ");
        ApiError::invalid(format!(
            "No role is called {text:?}; the roles are: {names}"
        ))
    })
}

/// Adds e-mail addresses and roles to accounts.
///
/// # Errors
/// If the database does not answer.
pub(super) async fn shown(
    context: &Context,
    found: Vec<Member>,
    known: &[Role],
) -> Result<Vec<ShownMember>, ApiError> {
    let ids: Vec<AccountId> = found.iter().map(|member| member.id.clone()).collect();
    let mut emails = members::emails(&context.db, &ids).await?;
    let mut held = members::roles(&context.db, &ids).await?;
    let names: HashMap<&RoleId, &str> = known
        .iter()
        .map(|role| (&role.id, role.name.as_str()))
        .collect();
    let role = |id: RoleId| {
        let name = (*names.get(&id)?).to_owned();
        Some(HeldRole { id, name })
    };
    let members = found.into_iter().map(|member| {
        let admin = member.admin.0.then(|| RoleId::new(ADMIN_ROLE));
        let assigned = held.remove(&member.id).unwrap_or_default();
        ShownMember {
            administrator: member.admin.0,
            created_at: member.created_at,
            email: emails.remove(&member.id),
            handle: member.handle,
            kind: member.kind,
            name: member.name,
            roles: admin.into_iter().chain(assigned).filter_map(role).collect(),
            suspended_at: member.deleted_at,
            id: member.id,
        }
    });
    Ok(members.collect())
}
