//! Client metadata documents (OAuth Client ID Metadata Document §4). Parsing is lenient where that is
//! safe: real clients publish one document for many servers.

use serde_json::{Map, Value};

use super::auth_method::AuthMethod;
use super::client_metadata::{About, is_web_page};
use super::client_name;
use super::grant_type::GrantType;
use super::id_token::SIGNING_ALGORITHM;
use super::key_set;
use super::redirect_uri::check_registration;
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

/// The most redirect URIs in a document.
const REDIRECTS_MAX: usize = 20;

/// A valid document.
#[derive(Clone, Debug)]
pub struct ClientDocument {
    /// The client's name; its id if it has no name that can be shown.
    pub name: String,
    /// The authentication method: none, or a key of the client.
    pub auth_method: AuthMethod,
    /// The client's public keys, inline.
    pub jwks: Option<Value>,
    /// The URL of the client's public keys.
    pub jwks_uri: Option<String>,
    /// The redirect URIs, byte for byte.
    pub redirect_uris: Vec<String>,
    /// The allowed grant types.
    pub grants: Vec<GrantType>,
    /// The allowed scope.
    pub allowed: Scope,
    /// The scope of a request without `scope`.
    pub default_scope: Option<Scope>,
    /// True if userinfo responses are signed (`userinfo_signed_response_alg`).
    pub signed_userinfo: bool,
    /// Additional display metadata.
    pub about: About,
}

/// The reason why a document is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DocumentError(pub &'static str);

/// Checks a document fetched from the client id's URL. `cap` limits the scope of such clients.
///
/// # Errors
/// The first fault.
pub fn check(
    policy: DocumentPolicy,
    client_id: &str,
    document: &Value,
    cap: &Scope,
) -> Result<ClientDocument, DocumentError> {
    let document = document
        .as_object()
        .ok_or(DocumentError("is not a JSON object"))?;
    let text = |name| text(document, name);
    // req_152, A-99: byte for byte
    let own_id = text("client_id")?.unwrap_or_default();
    let is_own = match policy.id_comparison {
        IdComparison::Exact => own_id == client_id,
        IdComparison::Trimmed => own_id.trim() == with_lower_case_scheme(client_id),
    };
    if !is_own {
        return Err(DocumentError("has a client_id that differs from its URL"));
    }
    // req_153: a published secret proves nothing.
    let expires = document.get("client_secret_expires_at");
    let expires =
        expires.is_some_and(|at| !(policy.zero_secret_expiry_accepted && at.as_i64() == Some(0)));
    if document.contains_key("client_secret") || expires {
        return Err(DocumentError("has a client_secret, which would be public"));
    }
    let (jwks, jwks_uri) = keys(document)?;
    let auth_method = auth_method(document, policy, jwks.is_some() || jwks_uri.is_some())?;
    let redirect_uris = redirect_uris(document)?;
    let asked = text("scope")?.map(known_scope);
    let standard: Scope = ScopeName::STANDARD.iter().copied().collect();
    let within =
        |scope: &Scope| -> Scope { scope.iter().filter(|one| cap.contains(*one)).collect() };
    let named = within(asked.as_ref().unwrap_or(&standard));
    let allowed = if policy.limited_to_scope {
        named.clone()
    } else {
        cap.clone()
    };
    let grants = grants(document, policy, &allowed, auth_method)?;
    let name = text("client_name")?
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let name = match name {
        Some(name) if policy.name_unchecked => Some(name.to_owned()),
        // A name that is too long, unreadable or reserved is not shown; the id identifies the client
        //
        Some(name) => client_name::clean(name).unwrap_or_default(),
        None => None,
    };
    Ok(ClientDocument {
        name: name.unwrap_or_else(|| client_id.to_owned()),
        auth_method,
        jwks,
        jwks_uri,
        redirect_uris,
        grants,
        allowed,
        default_scope: (!policy.limited_to_scope && asked.is_some() && !named.is_empty())
            .then_some(named),
        signed_userinfo: document.get("userinfo_signed_response_alg")
            == Some(&Value::from(SIGNING_ALGORITHM)),
        about: about(document),
    })
}

/// A text member; `null` counts as absent.
fn text<'a>(
    document: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, DocumentError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(DocumentError("has a member of the wrong type")),
    }
}

/// A member with a list of texts; `null` counts as absent.
fn list<'a>(
    document: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<Vec<&'a str>>, DocumentError> {
    let wrong = DocumentError("has a member of the wrong type");
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(Value::as_str).collect::<Option<_>>();
            texts.map(Some).ok_or(wrong)
        }
        Some(_) => Err(wrong),
    }
}

/// The public keys: inline or by URL, not both (RFC 7591 §2). Private and symmetric keys are rejected.
fn keys(document: &Map<String, Value>) -> Result<(Option<Value>, Option<String>), DocumentError> {
    let uri = text(document, "jwks_uri")?.map(str::to_owned);
    let jwks = document.get("jwks").filter(|jwks| !jwks.is_null());
    if jwks.is_some() && uri.is_some() {
        return Err(DocumentError("has both jwks and jwks_uri"));
    }
    if let Some(jwks) = jwks {
        key_set::check(jwks).map_err(|why| DocumentError(why.0))?;
    }
    Ok((jwks.cloned(), uri))
}

/// The authentication method. If the document lists several methods, the strongest supported method is
/// chosen.
fn auth_method(
    document: &Map<String, Value>,
    policy: DocumentPolicy,
    has_keys: bool,
) -> Result<AuthMethod, DocumentError> {
    let refused = DocumentError("must have token_endpoint_auth_method none or private_key_jwt");
    let by_key = |method: AuthMethod| match method {
        AuthMethod::PrivateKeyJwt if !has_keys => Err(DocumentError(
            "has private_key_jwt and neither jwks nor jwks_uri",
        )),
        method => Ok(method),
    };
    let chosen = text(document, "token_endpoint_auth_method")?.unwrap_or_default();
    if policy.keys_rejected {
        return if matches!(chosen, "" | "none") {
            Ok(AuthMethod::None)
        } else {
            Err(refused)
        };
    }
    match chosen {
        "none" => Ok(AuthMethod::None),
        "private_key_jwt" => by_key(AuthMethod::PrivateKeyJwt),
        "" => {
            let can = list(document, "token_endpoint_auth_methods_supported")?;
            match can {
                Some(can) if can.contains(&"private_key_jwt") && has_keys => {
                    Ok(AuthMethod::PrivateKeyJwt)
                }
                Some(can) if !can.contains(&"none") => Err(refused),
                _ => Ok(AuthMethod::None),
            }
        }
        _ => Err(refused),
    }
}

/// At least one redirect URI, each valid for a registration.
fn redirect_uris(document: &Map<String, Value>) -> Result<Vec<String>, DocumentError> {
    let given = list(document, "redirect_uris")?.unwrap_or_default();
    if given.is_empty() {
        return Err(DocumentError("has no redirect_uris"));
    }
    if given.len() > REDIRECTS_MAX {
        return Err(DocumentError("has more than 20 redirect_uris"));
    }
    let mut kept: Vec<String> = Vec::with_capacity(given.len());
    for uri in given {
        check_registration(uri)
            .map_err(|_| DocumentError("has a redirect URI that may not be used"))?;
        if !kept.iter().any(|known| known == uri) {
            kept.push(uri.to_owned());
        }
    }
    Ok(kept)
}

/// Authorization code always; refresh token and device code unless the document excludes them
/// (storyden-contract.md#mapping-a-document). Unknown grant types are ignored.
fn grants(
    document: &Map<String, Value>,
    policy: DocumentPolicy,
    allowed: &Scope,
    auth_method: AuthMethod,
) -> Result<Vec<GrantType>, DocumentError> {
    let given = list(document, "grant_types")?.unwrap_or_default();
    let lists = |grant: GrantType| given.contains(&grant.wire_name());
    let mut grants = vec![GrantType::AuthorizationCode];
    let may_refresh = !policy.limited_to_scope || allowed.contains(ScopeName::OfflineAccess);
    if may_refresh && (given.is_empty() || lists(GrantType::RefreshToken)) {
        grants.push(GrantType::RefreshToken);
    }
    let is_public = auth_method == AuthMethod::None;
    if !policy.device_grant_rejected && is_public && lists(GrantType::DeviceCode) {
        grants.push(GrantType::DeviceCode);
    }
    Ok(grants)
}

/// The known names of a scope; any white space separates names.
fn known_scope(text: &str) -> Scope {
    let names = text.split_whitespace().filter_map(ScopeName::from_name);
    let mut scope = Scope::default();
    for name in names {
        if !scope.contains(name) {
            scope.push(name);
        }
    }
    scope
}

/// The display URLs that are valid. An invalid URL is left out and has no other effect.
fn about(document: &Map<String, Value>) -> About {
    let page = |name| {
        let uri = document.get(name).and_then(Value::as_str);
        uri.filter(|uri| is_web_page(uri)).map(str::to_owned)
    };
    About {
        client_uri: page("client_uri"),
        logo_uri: page("logo_uri"),
        policy_uri: page("policy_uri"),
        tos_uri: page("tos_uri"),
        ..About::default()
    }
}

/// A client id in the form that Storyden compares.
fn with_lower_case_scheme(client_id: &str) -> String {
    match client_id.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => client_id.to_owned(),
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "https://app.example/client.json?x=1";

    const STANDARDS: DocumentPolicy = DocumentPolicy {
        id_comparison: IdComparison::Exact,
        zero_secret_expiry_accepted: false,
        keys_rejected: false,
        device_grant_rejected: false,
        limited_to_scope: false,
        name_unchecked: false,
    };

    const STORYDEN: DocumentPolicy = DocumentPolicy {
        id_comparison: IdComparison::Trimmed,
        zero_secret_expiry_accepted: true,
        keys_rejected: true,
        device_grant_rejected: true,
        limited_to_scope: true,
        name_unchecked: true,
    };

    fn read(policy: DocumentPolicy, changes: &Value) -> Result<ClientDocument, DocumentError> {
        let mut document = json!({ "client_id": ID, "redirect_uris": ["https://app.example/cb"] });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        let cap = Scope::stored("openid profile email offline_access READ_PROFILE");
        check(policy, ID, &document, &cap)
    }

    /// req_152, req_153, A-99: the document names its own URL and contains no secret.
    #[test]
    fn a_document_is_of_its_url_and_has_no_secret() {
        for bad in [
            json!({ "client_id": "https://APP.example/client.json?x=1" }),
            json!({ "client_id": "https://app.example/client.json" }),
            json!({ "client_id": "https://app.example/client.json?x=1/" }),
            json!({ "client_id": "https://app.example:443/client.json?x=1" }),
            json!({ "client_id": format!(" {ID}") }),
            json!({ "client_id": null }),
            json!({ "client_id": 7 }),
            json!({ "client_secret": "s" }),
            json!({ "client_secret": null }),
            json!({ "client_secret_expires_at": 1 }),
            json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "token_endpoint_auth_method": "client_secret_post" }),
            json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "token_endpoint_auth_methods_supported": ["client_secret_basic"] }),
            json!({ "redirect_uris": [] }),
            json!({ "redirect_uris": "https://app.example/cb" }),
            json!({ "redirect_uris": ["http://app.example/cb"] }),
            json!({ "redirect_uris": ["https://app.example/*"] }),
            json!({ "redirect_uris": ["javascript:alert(1)"] }),
            json!({ "redirect_uris": [7] }),
            json!({ "client_name": 7 }),
            json!({ "jwks": { "keys": [] } }),
            json!({ "jwks": { "keys": [{ "kty": "oct", "k": "x" }] } }),
            json!({ "jwks": { "keys": [{ "kty": "EC", "d": "x" }] } }),
            json!({ "jwks": { "keys": [{ "kty": "EC" }] }, "jwks_uri": "https://app.example/k" }),
        ] {
            assert!(read(STANDARDS, &bad).is_err(), "{bad}");
        }
        let zero = json!({ "client_secret_expires_at": 0 });
        assert!(read(STORYDEN, &zero).is_ok()); // storyden-contract.md#rules-for-a-document
        assert!(read(STANDARDS, &zero).is_err());
    }

    /// Documents that real clients publish work as they are.
    #[test]
    fn documents_of_real_clients_are_read() {
        let document = read(
            STANDARDS,
            &json!({
                "client_name": "An Editor",
                "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
                "grant_types": ["authorization_code", "refresh_token", "urn:x:unknown"],
                "response_types": ["code"],
                "logo_uri": "https://cdn.example/logo.png",
                "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
                "scope": "openid mcp:tools READ_PROFILE ADMINISTRATOR",
            }),
        );
        let document = document.unwrap();
        assert_eq!(document.auth_method, AuthMethod::None);
        assert_eq!(
            document.grants,
            [GrantType::AuthorizationCode, GrantType::RefreshToken]
        );
        assert_eq!(
            document.default_scope.unwrap().to_string(),
            "openid READ_PROFILE"
        );
        assert!(document.about.logo_uri.is_some());
        let keyed = json!({
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "jwks_uri": "https://app.example/keys",
        });
        let keyed = read(STANDARDS, &keyed).unwrap();
        assert_eq!(keyed.auth_method, AuthMethod::PrivateKeyJwt);
        let bare = read(STANDARDS, &json!({})).unwrap();
        assert_eq!(bare.name, ID);
        for unfit in ["Storyden", "a\u{202e}b", "   "] {
            let named = read(STANDARDS, &json!({ "client_name": unfit })).unwrap();
            assert_eq!(named.name, ID, "{unfit}");
        }
        assert_eq!(bare.allowed.len(), 5);
    }

    /// storyden-contract.md#mapping-a-document: the document's scope within the allowed scope.
    #[test]
    fn storydens_scope_is_what_the_document_lists() {
        let scope = json!({ "scope": "openid READ_PROFILE MANAGE_POSTS NOPE" });
        let document = read(STORYDEN, &scope).unwrap();
        assert_eq!(document.allowed.to_string(), "openid READ_PROFILE");
        assert_eq!(document.grants, [GrantType::AuthorizationCode]);
        assert!(document.default_scope.is_none());
    }
}
