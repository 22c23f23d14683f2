//! Client metadata documents (OAuth Client ID Metadata Document §4). Real clients publish one document
//! for many servers, so the rules of registrations apply, and a part that cannot be accepted is left
//! out.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::auth_method::AuthMethod;
use super::client_algorithms::ClientAlgorithms;
use super::client_metadata::{
    About, Bounds, ClientKeys, Faults, Members, RegistrationErrors, RegistrationPolicy,
    RequestMetadata, RequestedAlgorithms, Rules,
};
use super::client_name;
use super::error::OAuthError;
use super::grant_type::{ClientType, GrantType};
use super::key_set;
use super::scope::{Scope, ScopeName};

/// The rules for documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent rule"
)]
pub struct DocumentPolicy {
    /// Comparison of the document's `client_id` with the URL.
    pub id_comparison: IdComparison,
    /// True if a member of the wrong type, or a redirect URI that cannot be accepted, is an error. If
    /// false, the part is left out.
    pub faults_rejected: bool,
    /// True if `client_secret_expires_at` may be 0.
    pub zero_secret_expiry_accepted: bool,
    /// True if `private_key_jwt` is rejected.
    pub keys_rejected: bool,
    /// True if the device grant is ignored.
    pub device_grant_rejected: bool,
    /// True if the document's `scope` limits the client. If false, `scope` is the scope of a request
    /// without `scope`.
    pub limited_to_scope: bool,
    /// True if any name may be shown.
    pub name_unchecked: bool,
}

/// The comparison of a document's `client_id` with the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdComparison {
    /// Byte for byte.
    Exact,
    /// Without surrounding white space, and with a lower-case scheme of the URL.
    Trimmed,
}

/// A valid document.
#[derive(Clone, Debug)]
pub struct ClientDocument {
    /// The client's name; its id if it has no name that can be shown.
    pub name: String,
    /// The authentication method: none, or a key of the client.
    pub auth_method: AuthMethod,
    /// The client's public keys.
    pub keys: ClientKeys,
    /// The redirect URIs, byte for byte.
    pub redirect_uris: Vec<String>,
    /// The redirect URIs after logout, byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// The allowed grant types.
    pub grants: Vec<GrantType>,
    /// The allowed scope.
    pub allowed: Scope,
    /// The scope of a request without `scope`.
    pub default_scope: Option<Scope>,
    /// Metadata about authorization requests.
    pub requests: RequestMetadata,
    /// True if token requests need a DPoP proof (RFC 9449 §5.2).
    pub dpop_bound: bool,
    /// True if the client is held to the FAPI 2.0 Security Profile.
    pub fapi: bool,
    /// The chosen signature algorithms.
    pub algorithms: ClientAlgorithms,
    /// Additional display metadata.
    pub about: About,
    /// The parts that were left out, and the reasons.
    pub warnings: Vec<String>,
}

/// The reason why a document is invalid, as the end of a sentence that starts with "the document".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DocumentError(pub Cow<'static, str>);

fn invalid(why: impl Into<Cow<'static, str>>) -> DocumentError {
    DocumentError(why.into())
}

/// A fault that leaves nothing usable.
impl From<OAuthError> for DocumentError {
    fn from(fault: OAuthError) -> Self {
        invalid(format!("cannot be used: {}", fault.description))
    }
}

/// Checks a document fetched from the client id's URL, within the operator's bounds.
///
/// # Errors
/// The first fault.
pub fn check(
    policy: DocumentPolicy,
    client_id: &str,
    document: &Value,
    bounds: Bounds<'_>,
) -> Result<ClientDocument, DocumentError> {
    let object = document
        .as_object()
        .ok_or_else(|| invalid("is not a JSON object"))?;
    check_identity(policy, client_id, object)?;
    let members = Members {
        object,
        null_is_wrong: false,
    };
    let mut faults = Faults::new(policy.faults_rejected);
    let keys = keys(members, &mut faults)?;
    let has_keys = keys != ClientKeys::default();
    let auth_method = auth_method(members, &mut faults, policy, has_keys)?;
    let kind = match auth_method {
        AuthMethod::None => ClientType::Public,
        _ => ClientType::Confidential,
    };
    let listed_uris = members.list(&mut faults, "redirect_uris")?;
    let listed_grants = members.list(&mut faults, "grant_types")?;
    let listed_scope = members.text(&mut faults, "scope")?;
    let given_name = members.text(&mut faults, "client_name")?;
    let mut rules = Rules {
        policy: policy.metadata(),
        bounds,
        faults,
    };
    let redirect_uris = rules.redirect_uris(listed_uris.unwrap_or_default(), kind)?;
    if redirect_uris.is_empty() {
        let fault = rules.faults.first_of("redirect_uris");
        return Err(fault.map_or_else(|| invalid("has no redirect_uris"), DocumentError::from));
    }
    // Storyden rejects no fault of the other members (storyden-contract.md#rules-for-a-document).
    rules.faults = rules.faults.never_rejecting();
    let scope = rules.scope(listed_scope.as_deref().unwrap_or_default())?;
    let allowed = if policy.limited_to_scope {
        scope.clone()
    } else {
        bounds.scope.clone()
    };
    let grants = grants(&mut rules, policy, listed_grants, &allowed, auth_method)?;
    let mut about = members.about(&mut rules.faults, !policy.keys_rejected)?;
    about = rules.about(about)?;
    about.application_type = rules.application_type(about.application_type, &redirect_uris)?;
    let post_logout = members.list(&mut rules.faults, "post_logout_redirect_uris")?;
    let post_logout = post_logout.filter(|_| !policy.keys_rejected);
    let post_logout = post_logout.unwrap_or_default();
    let dpop_bound = members.flag(&mut rules.faults, "dpop_bound_access_tokens")?;
    let algorithms = if policy.keys_rejected {
        RequestedAlgorithms::default()
    } else {
        members.algorithms(&mut rules.faults)?
    };
    let algorithms = rules.algorithms(&algorithms)?;
    let is_fapi = !policy.keys_rejected && members.flag(&mut rules.faults, "fapi")? == Some(true);
    if is_fapi {
        rules.require_fapi(auth_method, &keys, &redirect_uris, algorithms)?;
    }
    let name = name(policy, &mut rules.faults, given_name);
    let requests = if policy.keys_rejected {
        RequestMetadata::default()
    } else {
        RequestMetadata::read(members, &mut rules.faults)?.check(&keys, &mut rules.faults)?
    };
    Ok(ClientDocument {
        name: name.unwrap_or_else(|| client_id.to_owned()),
        auth_method,
        keys,
        redirect_uris,
        post_logout_redirect_uris: rules.post_logout_redirect_uris(post_logout, kind)?,
        grants,
        allowed,
        default_scope: (!policy.limited_to_scope).then_some(scope),
        requests,
        dpop_bound: dpop_bound == Some(true),
        fapi: is_fapi,
        algorithms,
        about,
        warnings: rules.faults.into_warnings(),
    })
}

impl DocumentPolicy {
    /// The rules for the members that registrations have too.
    fn metadata(self) -> RegistrationPolicy {
        RegistrationPolicy {
            faults_rejected: self.faults_rejected,
            null_rejected: false,
            basic_members_only: self.keys_rejected,
            device_grant_rejected: self.device_grant_rejected,
            web_redirects_only: false,
            application_type_unchecked: false,
            limited_to_scope: self.limited_to_scope,
            errors: RegistrationErrors::Detailed,
        }
    }
}

/// Checks that the document belongs to its URL and has no secret.
fn check_identity(
    policy: DocumentPolicy,
    client_id: &str,
    document: &Map<String, Value>,
) -> Result<(), DocumentError> {
    // req_152, A-99: byte for byte
    let own_id = document.get("client_id").and_then(Value::as_str);
    let own_id = own_id.unwrap_or_default();
    let is_own = match policy.id_comparison {
        IdComparison::Exact => own_id == client_id,
        IdComparison::Trimmed => own_id.trim() == with_lower_case_scheme(client_id),
    };
    if !is_own {
        return Err(invalid("has a client_id that differs from its URL"));
    }
    // req_153: a published secret proves nothing.
    let expires = document.get("client_secret_expires_at");
    let expires =
        expires.is_some_and(|at| !(policy.zero_secret_expiry_accepted && at.as_i64() == Some(0)));
    if document.contains_key("client_secret") || expires {
        return Err(invalid("has a client_secret, which would be public"));
    }
    Ok(())
}

/// The public keys: inline or by URL, not both (RFC 7591 §2). Private and symmetric keys are rejected.
fn keys(members: Members<'_>, faults: &mut Faults) -> Result<ClientKeys, DocumentError> {
    let jwks_uri = members.text(faults, "jwks_uri")?;
    let jwks = members.get("jwks");
    if jwks.is_some() && jwks_uri.is_some() {
        return Err(invalid("has both jwks and jwks_uri"));
    }
    if let Some(jwks) = jwks {
        key_set::check(jwks).map_err(|why| invalid(why.0))?;
    }
    Ok(ClientKeys {
        jwks: jwks.cloned(),
        jwks_uri,
    })
}

/// The authentication method. If the document lists several methods, the strongest supported method is
/// chosen.
fn auth_method(
    members: Members<'_>,
    faults: &mut Faults,
    policy: DocumentPolicy,
    has_keys: bool,
) -> Result<AuthMethod, DocumentError> {
    let refused = || invalid("must have token_endpoint_auth_method none or private_key_jwt");
    let chosen = members.text(faults, "token_endpoint_auth_method")?;
    let chosen = chosen.unwrap_or_default();
    if policy.keys_rejected {
        return match chosen.as_str() {
            "" | "none" => Ok(AuthMethod::None),
            _ => Err(refused()),
        };
    }
    match chosen.as_str() {
        "none" => Ok(AuthMethod::None),
        "private_key_jwt" if has_keys => Ok(AuthMethod::PrivateKeyJwt),
        "private_key_jwt" => Err(invalid("has private_key_jwt and neither jwks nor jwks_uri")),
        "" => {
            let can = members.list(faults, "token_endpoint_auth_methods_supported")?;
            let Some(can) = can else {
                return Ok(AuthMethod::None);
            };
            let can = |method: AuthMethod| can.iter().any(|name| name == method.name());
            if can(AuthMethod::PrivateKeyJwt) && has_keys {
                Ok(AuthMethod::PrivateKeyJwt)
            } else if can(AuthMethod::None) {
                Ok(AuthMethod::None)
            } else {
                Err(refused())
            }
        }
        _ => Err(refused()),
    }
}

/// Authorization code always; refresh token and device code unless the document excludes them
/// (storyden-contract.md#mapping-a-document).
fn grants(
    rules: &mut Rules<'_>,
    policy: DocumentPolicy,
    listed: Option<Vec<String>>,
    allowed: &Scope,
    auth_method: AuthMethod,
) -> Result<Vec<GrantType>, DocumentError> {
    let mut names = listed.unwrap_or_default();
    if !names.is_empty() {
        names.insert(0, GrantType::AuthorizationCode.wire_name().to_owned());
    }
    let mut grants = rules.grants(&names, auth_method)?;
    if policy.limited_to_scope && !allowed.contains(ScopeName::OfflineAccess) {
        grants.retain(|grant| *grant != GrantType::RefreshToken);
    }
    Ok(grants)
}

/// The name to show. A name that is too long, unreadable or reserved is not shown; the client id
/// identifies the client.
fn name(policy: DocumentPolicy, faults: &mut Faults, given: Option<String>) -> Option<String> {
    let given = given?;
    let given = given.trim();
    if policy.name_unchecked {
        return Some(given.to_owned()).filter(|name| !name.is_empty());
    }
    client_name::clean(given).unwrap_or_else(|why| {
        let fault = OAuthError::invalid_client_metadata(why.to_string());
        faults.warn("client_name", fault);
        None
    })
}

/// A client id in the form that Storyden compares.
fn with_lower_case_scheme(client_id: &str) -> String {
    match client_id.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => client_id.to_owned(),
    }
}

#[cfg(test)]
mod tests;
