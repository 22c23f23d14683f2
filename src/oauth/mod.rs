//! The protocol, pure: no HTTP, no database, no clock. Each file names its RFC.

pub mod access_token;
pub mod auth_method;
pub mod authorization_request;
pub mod claims_request;
pub mod client_assertion;
pub mod client_document;
pub mod client_id_url;
pub mod client_metadata;
pub mod client_name;
pub mod client_rules;
pub mod device_grant;
pub mod display_text;
pub mod error;
pub mod error_value;
pub mod grant_type;
pub mod id_token;
pub mod key_set;
pub mod known_resources;
mod loopback_uri;
pub mod permission;
pub mod pkce;
pub mod private_use_scheme;
pub mod redirect_mismatch;
pub mod redirect_uri;
pub mod refresh_grant;
pub mod remembered_consent;
pub mod resource;
pub mod resource_metadata;
pub mod resource_scope;
pub mod scope;
pub mod scope_parameter;
pub mod server_metadata;
pub mod sign_in_method;
pub mod strict_json;
pub mod user_code;

pub use error::{ErrorCode, OAuthError};
