//! Form and claims of the userinfo response, by the grant of an access token: `auth_grants` and
//! `auth_clients`.

use super::db::Db;
use super::error::Result;
use super::row::row;
use super::value::JsonColumn;
use crate::ids::GrantId;
use crate::oauth::claims_request::GrantedClaims;

/// The terms of a userinfo response.
#[derive(Clone, Debug, Default)]
pub struct UserinfoTerms {
    /// The claims that the client requested one by one.
    pub claims: GrantedClaims,
    /// True if the response is signed (`userinfo_signed_response_alg`).
    pub signed: bool,
}

struct TermsRow {
    claims: Option<JsonColumn<GrantedClaims>>,
    userinfo_signed_response_alg: Option<String>,
}

row!(TermsRow: claims, userinfo_signed_response_alg);

/// Finds the terms of a grant; the defaults if there is no row.
pub async fn find(db: &Db, grant: &GrantId) -> Result<UserinfoTerms> {
    let row: Option<TermsRow> = db
        .fetch_optional(
            "SELECT g.claims, y.userinfo_signed_response_alg FROM auth_grants g \
             LEFT JOIN auth_clients y ON y.client_id = g.client_id WHERE g.id = $1",
            &[grant.into()],
        )
        .await?;
    Ok(
        row.map_or_else(UserinfoTerms::default, |row| UserinfoTerms {
            claims: row.claims.unwrap_or_default().0,
            signed: row.userinfo_signed_response_alg.is_some(),
        }),
    )
}
