//! Members that describe a client, which its owner and administrators set by the same rules: the application type,
//! the pages and the logo.

use serde::Deserialize;
use serde_json::Value;

use crate::context::Context;
use crate::http::client_members::given;
use crate::http::error::ApiError;
use crate::oauth::application_type::ApplicationType;
use crate::oauth::client_metadata::PageChanges;
use crate::store::client_changes::Changes;
use crate::store::clients::Client;

/// Description of a client, as given. The consent page shows the addresses; `null` or an empty text removes one.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientAboutProps)]
pub struct AboutProps {
    /// `web` for a server or a page in a browser, `native` for an application on a device (OpenID Connect
    /// Registration §2). Grants nothing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    application_type: Option<Value>,
    /// Website, an HTTPS URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    client_uri: Option<Value>,
    /// Logo, the HTTPS URL of an image.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    logo_uri: Option<Value>,
    /// Privacy policy, an HTTPS URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    policy_uri: Option<Value>,
    /// Terms of service, an HTTPS URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    tos_uri: Option<Value>,
}

impl AboutProps {
    /// Reads the given members as changes. A profile without these members ignores them.
    ///
    /// # Errors
    /// 400 for a value of the wrong type, and for an address that is no HTTPS URL.
    pub fn changes(&self, context: &Context) -> Result<Changes, ApiError> {
        if context.config.policies.self_service.added_members_omitted {
            return Ok(Changes::default());
        }
        let pages = PageChanges {
            client_uri: text("client_uri", self.client_uri.as_ref())?,
            logo_uri: text("logo_uri", self.logo_uri.as_ref())?,
            policy_uri: text("policy_uri", self.policy_uri.as_ref())?,
            tos_uri: text("tos_uri", self.tos_uri.as_ref())?,
        };
        let checked = pages.check();
        checked.map_err(|error| ApiError::invalid(error.to_string()))?;
        Ok(Changes {
            application_type: self.application_type.as_ref().map(kind).transpose()?,
            pages,
            ..Changes::default()
        })
    }
}

fn kind(given: &Value) -> Result<ApplicationType, ApiError> {
    let name = given.as_str().and_then(ApplicationType::from_name);
    name.ok_or_else(|| ApiError::invalid("application_type must be web or native"))
}

fn text(member: &str, given: Option<&Value>) -> Result<Option<String>, ApiError> {
    match given {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(String::new())),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(_) => Err(ApiError::invalid(format!(
            "{member} must be an address, or null for none"
        ))),
    }
}

/// Returns a new client with the given application type, and its pages.
///
/// # Errors
/// As [`AboutProps::changes`], and 400 for redirect URIs that do not fit the type.
pub fn with_about(
    context: &Context,
    client: Client,
    given: &AboutProps,
) -> Result<(Client, PageChanges), ApiError> {
    let changes = given.changes(context)?;
    require_fitting(&client, &changes)?;
    Ok((changes.applied_to(client), changes.pages))
}

/// Requires that type and redirect URIs fit after changes of one of the two.
///
/// # Errors
/// 400 with the contradiction.
pub fn require_fitting(client: &Client, changes: &Changes) -> Result<(), ApiError> {
    let is_concerned = changes.application_type.is_some() || changes.redirect_uris.is_some();
    let kind = changes.application_type.or(client.application_type);
    let uris = changes
        .redirect_uris
        .as_ref()
        .unwrap_or(&client.redirect_uris);
    match kind.filter(|_| is_concerned) {
        Some(kind) => kind.check(uris).map_err(ApiError::invalid),
        None => Ok(()),
    }
}
