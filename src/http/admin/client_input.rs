//! Validation of clients that administrators create and change: values that would break the client or
//! harm members are rejected.

use serde::Deserialize;
use serde_json::Value;

use crate::clients::builtin;
use crate::compat::ClientInput;
use crate::http::client_about::AboutProps;
use crate::http::client_members::{ProtectionProps, given};
use crate::http::error::{ApiError, Kind};
use crate::ids::AccountId;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_scope::ScopePolicy;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::private_use_scheme::PrivateUseSchemes;
use crate::oauth::redirect_uri::RedirectUriError;
use crate::oauth::scope::{Scope, ScopeName};
use crate::passwords;
use crate::secret::Secret;

/// Maximum length of a name and of a client id, in bytes.
const TEXT_MAX: usize = 255;

/// A new client.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientCreateProps)]
pub struct CreateClient {
    /// Id or handle of the owning account.
    pub(super) account_id: String,
    /// Grant types: `authorization_code`, `refresh_token`, `client_credentials`, `device_code`.
    pub(super) allowed_grants: Vec<String>,
    /// Allowed scopes.
    pub(super) allowed_scopes: Vec<String>,
    /// Public client id (RFC 6749 §2.2).
    pub(super) client_id: String,
    /// Argon2id hash of the secret, as a PHC string; if absent, a secret is generated for a
    /// confidential client.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) client_secret_hash: Option<Secret>,
    #[serde(flatten)]
    pub(super) protection: ProtectionProps,
    #[serde(flatten)]
    pub(super) about: AboutProps,
    /// Name shown on the consent page.
    pub(super) name: String,
    /// False exempts a confidential client from PKCE; true if absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub(super) pkce_required: Option<Value>,
    /// Redirect URIs.
    pub(super) redirect_uris: Vec<String>,
    /// `explicit`, or `inherit` for a client that gets the permissions of the approving account.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) scope_policy: Option<PolicyName>,
    /// Authentication method. If absent, `private_key_jwt` for a confidential client with keys, and every method of the
    /// type for other clients. With another method, keys are for signed requests.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) token_endpoint_auth_method: Option<Value>,
    /// `public` or `confidential`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub(super) kind: ClientTypeName,
}

/// Changes of a client.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientUpdateProps)]
pub struct UpdateClient {
    /// Grant types.
    #[serde(default, deserialize_with = "given")]
    pub(super) allowed_grants: Option<Vec<String>>,
    /// Allowed scopes.
    #[serde(default, deserialize_with = "given")]
    pub(super) allowed_scopes: Option<Vec<String>>,
    /// Argon2id hash of the secret, as a PHC string.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) client_secret_hash: Option<Secret>,
    #[serde(flatten)]
    pub(super) protection: ProtectionProps,
    #[serde(flatten)]
    pub(super) about: AboutProps,
    /// Name shown on the consent page.
    #[serde(default, deserialize_with = "given")]
    pub(super) name: Option<String>,
    /// False exempts a confidential client from PKCE.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub(super) pkce_required: Option<Value>,
    /// Redirect URIs.
    #[serde(default, deserialize_with = "given")]
    pub(super) redirect_uris: Option<Vec<String>>,
    /// `explicit` or `inherit`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) scope_policy: Option<PolicyName>,
}

/// The name of a client type.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ClientTypeName(pub(super) ClientType);

impl TryFrom<String> for ClientTypeName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "public" => Ok(Self(ClientType::Public)),
            "confidential" => Ok(Self(ClientType::Confidential)),
            _ => Err("a type is public or confidential"),
        }
    }
}

/// The name of a scope policy.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PolicyName(pub(super) ScopePolicy);

impl TryFrom<String> for PolicyName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "explicit" => Ok(Self(ScopePolicy::Explicit)),
            "inherit" => Ok(Self(ScopePolicy::Inherit)),
            _ => Err("a scope policy is explicit or inherit"),
        }
    }
}

/// Parses a display name.
pub(super) fn name(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    if name.is_empty() || name.len() > TEXT_MAX || name.chars().any(char::is_control) {
        let detail = "name must have 1 to 255 bytes and no control characters";
        return Err(ApiError::invalid(detail));
    }
    Ok(name.to_owned())
}

/// Parses the client id of a new client.
pub(super) fn client_id(input: ClientInput, text: String) -> Result<String, ApiError> {
    if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        let detail = "client_id must have 1 to 255 bytes and no control characters";
        return Err(ApiError::invalid(detail));
    }
    if input == ClientInput::AsSent {
        return Ok(text);
    }
    // RFC 6749 appendix A.1, without spaces
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "client_id must be printable ASCII without spaces";
        return Err(ApiError::invalid(detail));
    }
    if text == builtin::CLIENT_ID {
        let detail = "client_id must not be storyden-cli, the built-in client";
        return Err(ApiError::invalid(detail));
    }
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("http" | "https")) {
        let detail = "client_id must not be a URL: that means a document at that URL";
        return Err(ApiError::invalid(detail));
    }
    Ok(text)
}

/// Parses the owner's id. With [`ClientInput::AsSent`] an invalid id means no owner
/// (storyden-contract.md#administration).
pub(super) fn owner(input: ClientInput, id: &str) -> Result<Option<AccountId>, ApiError> {
    let first = id.get(..20).unwrap_or_default();
    let is_xid = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v');
    if first.len() == 20 && first.bytes().all(is_xid) {
        return Ok(Some(AccountId::new(first)));
    }
    if input == ClientInput::AsSent {
        return Ok(None);
    }
    Err(ApiError::invalid(
        "account_id must be the id or the handle of an account",
    ))
}

/// Parses allowed scopes; an unknown scope would break every request of the client.
pub(super) fn scopes(input: ClientInput, names: &[String]) -> Result<Scope, ApiError> {
    let scope = |name: &String| {
        // A Storyden knows no scopes of resources. The handler checks later that a resource has the scope.
        let known = ScopeName::from_name(name)
            .filter(|name| input == ClientInput::Checked || !name.is_of_resource());
        known.ok_or_else(|| {
            let detail = format!(
                "allowed_scopes has the unknown scope {name:?}; scopes_supported in \
                 /.well-known/oauth-authorization-server lists the scopes"
            );
            if input == ClientInput::AsSent {
                ApiError::new(Kind::PermissionDenied, detail) // storyden-contract.md#administration
            } else {
                ApiError::invalid(detail)
            }
        })
    };
    names.iter().map(scope).collect()
}

/// Parses grant types: known names only, duplicates removed.
pub(super) fn grants(names: &[String]) -> Result<Vec<GrantType>, ApiError> {
    let mut grants = Vec::new();
    for name in names {
        let Some(grant) = GrantType::from_stored_name(name) else {
            let known: Vec<_> = GrantType::ALL
                .iter()
                .map(|known| known.stored_name())
                .collect();
            let known = known.join(", ");
            let detail = format!(
                "allowed_grants has the unknown grant {name:?}; valid grants: \
                                  {known}"
            );
            return Err(ApiError::invalid(detail));
        };
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    Ok(grants)
}

/// Checks that a client of a type may register each redirect URI, and removes duplicates.
pub(super) fn redirect_uris(
    input: ClientInput,
    given: Vec<String>,
    kind: ClientType,
    schemes: &PrivateUseSchemes,
) -> Result<Vec<String>, ApiError> {
    let mut uris = Vec::with_capacity(given.len());
    for uri in given {
        match schemes.check(&uri, kind) {
            Ok(()) => {}
            // private-use schemes without a dot, as in Storyden
            // (storyden-contract.md#self-service-clients)
            Err(RedirectUriError::SchemeWithoutDot | RedirectUriError::SchemeWithSecret)
                if input == ClientInput::AsSent => {}
            Err(refused) => {
                let detail = format!("redirect_uris has {uri:?}: a redirect URI {refused}");
                return Err(ApiError::invalid(detail));
            }
        }
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Ok(uris)
}

/// Reads `pkce_required`: `None` if absent. Only a client with a secret may be exempt (RFC 9700 §2.1.1).
/// With [`ClientInput::AsSent`] the member is unknown, and ignored.
pub(super) fn pkce_required(
    input: ClientInput,
    kind: ClientType,
    given: Option<&Value>,
) -> Result<Option<bool>, ApiError> {
    let detail = match (given, kind) {
        (None, _) => return Ok(None),
        _ if input == ClientInput::AsSent => return Ok(None),
        (Some(Value::Bool(false)), ClientType::Public) => {
            "pkce_required must be true for a public client"
        }
        (Some(Value::Bool(required)), _) => return Ok(Some(*required)),
        _ => "pkce_required must be true or false",
    };
    Err(ApiError::invalid(detail))
}

/// Reads `token_endpoint_auth_method`: `None` if absent. With [`ClientInput::AsSent`] the member is unknown, and
/// ignored.
pub(super) fn auth_method(
    input: ClientInput,
    kind: ClientType,
    given: Option<&Value>,
) -> Result<Option<AuthMethod>, ApiError> {
    let Some(given) = given.filter(|_| input == ClientInput::Checked) else {
        return Ok(None);
    };
    let method = given.as_str().and_then(AuthMethod::from_name);
    if let Some(method) = method.filter(|method| method.fits(kind)) {
        return Ok(Some(method));
    }
    let fitting = AuthMethod::ALL.iter().filter(|method| method.fits(kind));
    let names: Vec<&str> = fitting.map(|method| method.name()).collect();
    Err(ApiError::invalid(format!(
        "token_endpoint_auth_method of a {} client must be one of: {}",
        kind.name(),
        names.join(", ")
    )))
}

/// Checks an imported hash of a client secret.
pub(super) fn secret_hash(hash: &Secret) -> Result<String, ApiError> {
    match passwords::check_hash(hash.reveal()) {
        Ok(()) => Ok(hash.reveal().to_owned()),
        Err(refused) => Err(ApiError::invalid(format!("client_secret_hash {refused}"))),
    }
}

/// Checks that type, grant types and redirect URIs of a client are consistent.
pub(super) fn check_grants(
    input: ClientInput,
    kind: ClientType,
    grants: &[GrantType],
    has_redirect_uris: bool,
) -> Result<(), ApiError> {
    if input == ClientInput::AsSent {
        return Ok(());
    }
    let has = |grant| grants.contains(&grant);
    let detail = if grants.is_empty() {
        "allowed_grants must name at least one grant"
    } else if grants == [GrantType::RefreshToken] {
        "allowed_grants must name the grant that the first refresh token comes from"
    } else if has(GrantType::AuthorizationCode) && !has_redirect_uris {
        "redirect_uris must have at least one for authorization_code"
    } else if has(GrantType::ClientCredentials) && kind == ClientType::Public {
        "client_credentials needs the type confidential" // RFC 6749 §4.4
    } else if has(GrantType::DeviceCode) && kind == ClientType::Confidential {
        "device_code needs the type public: a device keeps no secret"
    } else {
        return Ok(());
    };
    Err(ApiError::invalid(detail))
}
