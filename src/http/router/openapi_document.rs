//! The OpenAPI 3.1 document, except the operations.

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::{Contact, OpenApi, RefOr};

use super::document_texts;
use crate::config::Config;
use crate::http::error::{OAuthErrorBody, Problem};
use crate::http::session_cookie;

/// Base document without operations. Title, version and licence come from the crate.
#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(OAuthErrorBody, Problem)),
    security(("browser" = []), ("access_key" = []), ("oauth_token" = [])),
)]
struct BaseDocument;

/// Adds servers, security schemes and the base document to the operations.
pub(super) fn assemble(operations: OpenApi, config: &Config) -> OpenApi {
    let mut document = <BaseDocument as utoipa::OpenApi>::openapi().merge_from(operations);
    let base = config.endpoint_base();
    let base = base.strip_suffix("/api").unwrap_or(&base);
    document.servers = Some(vec![Server::new(base)]);
    let mut contact = Contact::new();
    contact.name = Some("The operator of this server".to_owned());
    contact.url = Some(base.to_owned());
    document.info.contact = Some(contact);
    let components = document.components.get_or_insert_default();
    for (name, scheme) in security_schemes(config) {
        components
            .security_schemes
            .insert(name.to_owned(), scheme.into());
    }
    for (name, members) in UNSENT_MEMBERS {
        let schema = components.schemas.entry(name.to_owned());
        schema.and_modify(|schema| document_members(schema, members));
    }
    // OpenAPI writes wildcard parameters without the asterisk. A path with a final slash is an alias.
    let paths = std::mem::take(&mut document.paths.paths);
    let renamed = paths
        .into_iter()
        .filter(|(path, _)| !path.ends_with('/'))
        .map(|(path, item)| (path.replace("{*", "{"), item));
    document.paths.paths = renamed.collect();
    document_texts::add(&mut document);
    document
}

/// Members that Storyden documents but never sends; generated clients know these.
const UNSENT_MEMBERS: [(&str, &[(&str, Type)]); 5] = [
    (
        "AccessKey",
        &[("deletedAt", Type::String), ("misc", Type::Object)],
    ),
    (
        "AccessKeyIssued",
        &[("deletedAt", Type::String), ("misc", Type::Object)],
    ),
    ("OAuthDeviceAuthorisation", &[("error", Type::String)]),
    ("OAuthToken", &[("error", Type::String)]),
    ("OAuthUserInfo", &[("error", Type::String)]),
];

fn document_members(schema: &mut RefOr<Schema>, members: &[(&str, Type)]) {
    for (name, kind) in members {
        let member = ObjectBuilder::new()
            .schema_type(kind.clone())
            .description(Some(
                "Never sent; other servers of the same API may send this member.",
            ));
        match schema {
            RefOr::T(Schema::Object(object)) => {
                object.properties.insert((*name).to_owned(), member.into());
            }
            RefOr::T(Schema::AllOf(all)) => {
                all.items
                    .push(ObjectBuilder::new().property(*name, member).into());
            }
            _ => {}
        }
    }
}

/// Lists the security schemes (storyden-contract.md#credentials).
fn security_schemes(config: &Config) -> [(&'static str, SecurityScheme); 5] {
    let http = |scheme, description: &str| {
        let mut http = Http::new(scheme);
        http.description = Some(description.to_owned());
        SecurityScheme::Http(http)
    };
    let cookie = ApiKeyValue::with_description(session_cookie::name(config), "A browser session");
    [
        (
            "access_key",
            http(HttpAuthScheme::Bearer, "An access key of a member or a bot"),
        ),
        ("browser", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
        (
            "client",
            http(
                HttpAuthScheme::Basic,
                "A client's id and secret, form-encoded first (RFC 6749 §2.3.1)",
            ),
        ),
        (
            "oauth_token",
            http(HttpAuthScheme::Bearer, "An access token"),
        ),
        (
            "registration_token",
            http(
                HttpAuthScheme::Bearer,
                "A registration access token (RFC 7592 §3)",
            ),
        ),
    ]
}
