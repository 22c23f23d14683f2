//! A client as the JSON API shows it (contract 14): to its owner and to administrators. Never its
//! secret.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::scope::Scope;
use crate::profile::Profile;
use crate::store::clients::{Client, policy_name};

/// A client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClient)]
pub struct ClientResource {
    /// Who made it; left out when nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// How it may get tokens.
    pub allowed_grants: Vec<&'static str>,
    /// What it may have.
    #[schema(value_type = Vec<String>)]
    pub allowed_scopes: Scope,
    /// Its public id (RFC 6749 §2.2).
    pub client_id: String,
    /// When it was made.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// Its row.
    pub id: ClientRowId,
    /// Its name.
    pub name: String,
    /// Where it may be answered.
    #[schema(value_type = Vec<String>)]
    pub redirect_uris: Option<Vec<String>>,
    /// `explicit`, or `inherit` for one that gets what its person holds.
    pub scope_policy: &'static str,
    /// `public` or `confidential`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it was changed last.
    #[serde(rename = "updatedAt")]
    pub updated_at: Timestamp,
}

impl ClientResource {
    /// A client as a profile shows it: Storyden's has `null` for a list that a person left out.
    #[must_use]
    pub fn shown(profile: Profile, client: Client) -> Self {
        let is_null = client.redirect_uris_left_out && profile.self_service_is_storydens();
        let mut shown = Self::from(client);
        if is_null {
            shown.redirect_uris = None;
        }
        shown
    }
}

impl From<Client> for ClientResource {
    fn from(client: Client) -> Self {
        Self {
            account_id: client.owner,
            allowed_grants: client
                .grants
                .iter()
                .map(|grant| grant.wire_name())
                .collect(),
            allowed_scopes: client.scope.allowed,
            client_id: client.client_id,
            created_at: client.created_at,
            id: client.row_id,
            name: client.name,
            redirect_uris: Some(client.redirect_uris),
            scope_policy: policy_name(client.scope.policy),
            kind: client.kind.name(),
            updated_at: client.updated_at,
        }
    }
}
