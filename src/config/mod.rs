//! Settings of the server, read from the environment (and `--env-file`) and checked as a whole.
//!
//! Names and defaults match Storyden's where Storyden has the setting, so that a Storyden's environment
//! works unchanged. Unknown variables are ignored.

mod addresses;
mod brand;
mod derived;
mod egress_rules;
mod env_file;
mod environment;
mod faults;
mod keys;
mod lifetimes;
mod parse;
mod registration;
mod requests;
mod tracing;

use std::net::SocketAddr;
use std::path::PathBuf;

use time::Duration;
use url::Url;

use crate::compat::Policies;
use crate::database_url::DatabaseUrl;
use crate::oauth::private_use_scheme::PrivateUseSchemes;
use crate::secret::Secret;
pub use brand::Color;
pub use environment::{UnknownVariable, secrets_in, unknown_variables, variable};
use parse::Setting;
pub use parse::{
    Level, LogFormat, Origins, Permissions, Ports, Proxies, Resources, SigningAlgorithms,
    TokenStorage, parse_duration,
};
pub use registration::RegistrationPkce;
pub use tracing::{HeaderFields, Ratio};

/// An environment variable, for `config/storyden-auth.env` and the documentation.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Name of the variable.
    pub name: &'static str,
    /// Default value; empty if derived from other settings.
    pub default: &'static str,
    /// Description in a single line.
    pub doc: &'static str,
}

/// An invalid setting, which stops the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub variable: &'static str,
    /// The fault, and the values that are accepted.
    pub problem: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)
    }
}

/// Makes the struct, the list of variables and the reader from a single table.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $name:literal or $default:literal;)*) => {
        /// The settings.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl Config {
            /// Every variable, in the order of `config/storyden-auth.env`.
            pub const VARIABLES: &[Variable] = &[
                $(Variable { name: $name, default: $default, doc: concat!($($doc),+) },)*
            ];

            /// Reads every variable; an empty variable counts as not set.
            fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
                let mut faults = Vec::new();
                $(let $field = {
                    let given = get($name).filter(|value| !value.trim().is_empty());
                    match <$type as Setting>::parse(given.as_deref().unwrap_or($default).trim()) {
                        Ok(value) => Some(value),
                        Err(problem) => {
                            faults.push(Fault { variable: $name, problem });
                            None
                        }
                    }
                };)*
                match ($($field,)*) {
                    ($(Some($field),)*) => Ok(Self { $($field,)* }),
                    _ => Err(faults),
                }
            }
        }
    };
}

settings! {
    /// Database: `sqlite://FILE` or `postgres://USER@HOST/NAME`. Not set: an SQLite file in `DATA_DIR`.
    database_url: Option<DatabaseUrl> = "DATABASE_URL" or "";
    /// Folder of the SQLite file and of generated secrets.
    data_dir: PathBuf = "DATA_DIR" or "data";
    /// Address and port to listen on.
    listen_addr: SocketAddr = "LISTEN_ADDR" or "127.0.0.1:8000";
    /// URL of this server for clients: the issuer. Must be https, except on this computer.
    public_api_address: Url = "PUBLIC_API_ADDRESS" or "http://localhost:8000";
    /// URL of the pages. Not set: the API address with `WEB_ENABLED`, `http://localhost:3000` without.
    public_web_address: Option<Url> = "PUBLIC_WEB_ADDRESS" or "";
    /// Further origins with pages that may call the API with a session, separated by commas.
    cors_allowed_origins: Origins = "CORS_ALLOWED_ORIGINS" or "";
    /// Networks of proxies trusted to set X-Forwarded-For, separated by commas, as in 10.0.0.0/8.
    trusted_proxies: Proxies = "TRUSTED_PROXIES" or "";
    /// Log level: error, warn, info, debug or trace.
    log_level: Level = "LOG_LEVEL" or "info";
    /// Log format: text for people, json for machines.
    log_format: LogFormat = "LOG_FORMAT" or "text";
    /// Address and port where Prometheus may read `/metrics`. Not set: no metrics endpoint.
    metrics_addr: Option<SocketAddr> = "METRICS_ADDR" or "";
    /// Address of an OpenTelemetry collector that receives traces by OTLP over HTTP, as in `http://localhost:4318`.
    /// Not set: no traces.
    otlp_endpoint: Option<Url> = "OTEL_EXPORTER_OTLP_ENDPOINT" or "";
    /// Header fields of the requests to the collector, as in api-key=SECRET, separated by commas.
    otlp_headers: HeaderFields = "OTEL_EXPORTER_OTLP_HEADERS" or "";
    /// Name of this server in traces.
    otel_service_name: String = "OTEL_SERVICE_NAME" or "storyden-auth";
    /// Part of the requests that is traced, from 0 to 1.
    trace_ratio: Ratio = "OTEL_TRACES_SAMPLER_ARG" or "1";
    /// Requests allowed to an address in `RATE_LIMIT_PERIOD`. Scales the limits on failed attempts too:
    /// 10000 doubles the limits.
    rate_limit: u64 = "RATE_LIMIT" or "5000";
    /// Sliding window of `RATE_LIMIT`.
    rate_limit_period: Duration = "RATE_LIMIT_PERIOD" or "1h";
    /// Width of the buckets of that window.
    rate_limit_bucket: Duration = "RATE_LIMIT_BUCKET" or "1m";
    /// Units that a request without a valid credential costs.
    rate_limit_guest_cost: u64 = "RATE_LIMIT_GUEST_COST" or "1";
    /// Enables the authorization server. While disabled, the endpoints answer with an error.
    oauth_enabled: bool = "OAUTH_ENABLED" or "true";
    /// Behaviour of responses: standards (the RFCs) or storyden (exactly like a Storyden).
    policies: &'static Policies = "OAUTH_PROFILE" or "standards";
    /// Lifetime of access tokens and ID tokens.
    access_token_ttl: Duration = "OAUTH_ACCESS_TOKEN_TTL" or "15m";
    /// Lifetime of a refresh token, renewed at each rotation.
    refresh_token_ttl: Duration = "OAUTH_REFRESH_TOKEN_TTL" or "720h";
    /// Lifetime of an approval, refreshes included. Not set: 4320h; unlimited in the profile storyden.
    grant_ttl: Option<Duration> = "OAUTH_GRANT_TTL" or "";
    /// Remembers approvals on the consent page for `OAUTH_GRANT_TTL`, so that an application gets the same
    /// permissions again without asking. Never in the profile storyden.
    remember_consent: bool = "OAUTH_REMEMBER_CONSENT" or "true";
    /// Lifetime of an authorization code; at most 10m. Not set: 60s; 10m in the profile storyden.
    authorization_code_ttl: Option<Duration> = "OAUTH_AUTHORISATION_CODE_TTL" or "";
    /// Lifetime of device and user codes.
    device_code_ttl: Duration = "OAUTH_DEVICE_CODE_TTL" or "10m";
    /// Minimum time between polls of a device; 0s allows any rate.
    device_poll_every: Duration = "OAUTH_DEVICE_POLL_EVERY" or "5s";
    /// Page to enter a user code. Not set: /oauth/consent on the web address.
    device_consent_url: Option<Url> = "OAUTH_DEVICE_AUTHORISATION_CONSENT_URL" or "";
    /// Page to approve a code flow. Not set: /oauth/authorize/consent on the web address.
    code_consent_url: Option<Url> = "OAUTH_AUTHORISATION_CODE_CONSENT_URL" or "";
    /// Sign-in page. Not set: /login on the web address.
    login_url: Option<Url> = "OAUTH_AUTHORISATION_LOGIN_URL" or "";
    /// RSA signing key (RS256): base64 of a PEM, PKCS#8 or PKCS#1. Does not rotate. Not set: keys are
    /// generated, stored in the database and rotated; in the profile storyden, one is generated into
    /// `DATA_DIR` (SQLite only).
    signing_key: Option<Secret> = "OAUTH_SIGNING_KEY_BASE64" or "";
    /// Key id (kid) of the signing key. Not set: derived from the key.
    signing_key_id: Option<String> = "OAUTH_SIGNING_KEY_ID" or "";
    /// Former or future values of `OAUTH_SIGNING_KEY_BASE64`, separated by commas: published and verified,
    /// not signed with. Public keys are enough. A value with its own kid is written kid:value. Also base64 of
    /// the output of `key export --public`.
    retired_keys: Option<Secret> = "OAUTH_RETIRED_KEYS" or "";
    /// Algorithms of signing keys, separated by commas: RS256, PS256, ES256, EdDSA, Ed25519. The first signs
    /// access tokens and ID tokens.
    signing_algorithms: SigningAlgorithms = "OAUTH_SIGNING_ALGORITHMS" or "RS256";
    /// Time that a generated key signs before the next key does; at least 24h, or 0s: keys do not rotate.
    key_rotation: Duration = "OAUTH_KEY_ROTATION" or "2160h";
    /// Secret that encrypts generated keys in the database, the same on every replica: at least 32
    /// characters, as printed by openssl rand -base64 32. Not set: generated into `DATA_DIR` (SQLite only).
    keys_secret: Option<Secret> = "OAUTH_KEYS_SECRET" or "";
    /// Time in which a client may repeat a refresh after a lost response; 0s: never.
    refresh_reuse_window: Duration = "OAUTH_REFRESH_TOKEN_REUSE_WINDOW" or "10s";
    /// Requires a nonce of this server in DPoP proofs (RFC 9449 §8), so that proofs cannot be made long before
    /// their use. A client needs one more request every two to four minutes.
    dpop_nonce: bool = "OAUTH_DPOP_NONCE" or "false";
    /// Retention of the audit trail; 0 keeps entries for ever.
    audit_retention: Duration = "AUDIT_RETENTION" or "2160h";
    /// Retention of the hourly counts that the overview of administrators shows; 0 turns the counts off.
    statistics_retention: Duration = "STATISTICS_RETENTION" or "2160h";
    /// Address that is told of reused tokens and codes, lockouts, revoked signing keys and suspended accounts, as
    /// `https://ops.example.org/hook`. Not set: no webhook.
    webhook_url: Option<Url> = "WEBHOOK_URL" or "";
    /// Secret that signs the requests to `WEBHOOK_URL` (Standard Webhooks), at least 24 characters.
    webhook_secret: Option<Secret> = "WEBHOOK_SECRET" or "";
    /// Enables the built-in client storyden-cli.
    cli_enabled: bool = "OAUTH_CLI_ENABLED" or "true";
    /// Enables sign-up without an administrator; next to a Storyden, leave sign-up to Storyden.
    signup_enabled: bool = "SIGNUP_ENABLED" or "false";
    /// Enables dynamic client registration (RFC 7591).
    registration_enabled: bool = "OAUTH_DYNAMIC_REGISTRATION_ENABLED" or "false";
    /// Permissions allowed to dynamically registered clients besides openid, profile, email and
    /// `offline_access`, separated by commas or spaces; privileged permissions only if named here. Not
    /// set: the six read permissions; every unprivileged permission in the profile storyden.
    registration_permissions: Option<Permissions> = "OAUTH_DYNAMIC_REGISTRATION_ALLOWED_SCOPES" or "";
    /// PKCE of dynamically registered clients with a secret: required, or optional for libraries without
    /// PKCE. Clients without a secret always need PKCE.
    registration_pkce: RegistrationPkce = "OAUTH_DYNAMIC_REGISTRATION_PKCE" or "required";
    /// Initial access token (RFC 7591): a registration with this bearer token and with a client secret
    /// needs no PKCE. At least 32 characters. Not set: no such token.
    registration_token: Option<Secret> = "OAUTH_DYNAMIC_REGISTRATION_TOKEN" or "";
    /// Maximum number of dynamically registered clients.
    registration_max: u64 = "OAUTH_DYNAMIC_REGISTRATION_MAX" or "10000";
    /// Enables URLs as client ids (client ID metadata documents). Not set: true; false in the profile
    /// storyden.
    cimd_enabled: Option<bool> = "OAUTH_CIMD_ENABLED" or "";
    /// Permissions allowed to clients from metadata documents besides openid, profile, email and
    /// `offline_access`, separated by commas or spaces. Not set: the six read permissions.
    cimd_permissions: Option<Permissions> = "OAUTH_CIMD_ALLOWED_SCOPES" or "";
    /// Allows privileged permissions in `OAUTH_CIMD_ALLOWED_SCOPES`; when false, privileged permissions
    /// there are ignored.
    cimd_privileged: bool = "OAUTH_CIMD_ALLOW_PRIVILEGED_SCOPES" or "false";
    /// Enables pushed authorization requests (RFC 9126) and signed authorization requests (RFC 9101). Not set:
    /// true; false in the profile storyden.
    par_enabled: Option<bool> = "OAUTH_PAR_ENABLED" or "";
    /// Requires of every client that authorization requests are pushed (RFC 9126). Clients may demand this for
    /// themselves.
    pushed_requests_required: bool = "OAUTH_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS" or "false";
    /// Enables token exchange (RFC 8693): the server of a resource, a client that `resource set --server` names,
    /// exchanges an access token for one with less scope and another audience.
    token_exchange: bool = "OAUTH_TOKEN_EXCHANGE" or "false";
    /// Enables the JWT bearer grant (RFC 7523) with identity assertions (ID-JAG) of the issuers that `issuer add`
    /// added.
    jwt_bearer: bool = "OAUTH_JWT_BEARER" or "false";
    /// Schemes without a dot, as in cursor://, that redirect URIs of clients without a secret may have,
    /// separated by commas or spaces; none: no such scheme. Not set: claude, cursor, vscode,
    /// vscode-insiders, warp and windsurf; none in the profile storyden.
    private_use_schemes: Option<PrivateUseSchemes> = "OAUTH_PRIVATE_USE_SCHEMES" or "";
    /// Ports for fetching documents and keys of clients, separated by commas.
    cimd_ports: Ports = "OAUTH_CIMD_ALLOWED_PORTS" or "443";
    /// Development only: fetch documents and keys of clients from any address and port, also by plain
    /// http, without certificate checks.
    cimd_insecure: bool = "OAUTH_CIMD_ALLOW_INSECURE_FETCH" or "false";
    /// Further resources that tokens may be for (RFC 8707), as absolute URIs separated by commas or
    /// spaces; such a token is for that resource alone.
    resources: Resources = "OAUTH_RESOURCES" or "";
    /// Storage of the tokens of remote connections: sealed (encrypted), or storyden (unencrypted, for a
    /// Storyden that uses the tokens too). Not set: sealed; storyden in the profile storyden.
    remote_token_storage: Option<TokenStorage> = "REMOTE_TOKEN_STORAGE" or "";
    /// Key that seals the tokens of remote connections: base64 of 32 bytes. Not set: generated into
    /// `DATA_DIR` (SQLite only).
    remote_token_key: Option<Secret> = "REMOTE_TOKEN_KEY" or "";
    /// Development only: allow remote servers on this computer, also by plain http. Not set: false;
    /// true in the profile storyden.
    remote_insecure: Option<bool> = "REMOTE_ALLOW_INSECURE" or "";
    /// Ports of remote servers, separated by commas.
    remote_ports: Ports = "REMOTE_ALLOWED_PORTS" or "443";
    /// Enables the endpoint that gives backends the access tokens of remote connections.
    remote_token_endpoint_enabled: bool = "REMOTE_TOKEN_ENDPOINT_ENABLED" or "false";
    /// Names the MCP endpoint of a Storyden next to this server in the resource metadata.
    mcp_enabled: bool = "MCP_ENABLED" or "false";
    /// Address of a copy of `docs/guides/errors.md` for application developers. Errors then have an `error_uri`
    /// with the section of their code. Not set: no `error_uri`; never in the profile storyden.
    docs_url: Option<Url> = "DOCS_URL" or "";
    /// Enables the built-in pages.
    web_enabled: bool = "WEB_ENABLED" or "true";
    /// Name of the community on the pages. Not set: the host of the page.
    brand_name: Option<String> = "BRAND_NAME" or "";
    /// Line of text below every page, such as the name of the operator.
    brand_text: Option<String> = "BRAND_TEXT" or "";
    /// Image beside the name, also the icon of the pages: an SVG, PNG or WebP file of at most 64 KiB. Not set: the
    /// built-in image.
    brand_mark: Option<PathBuf> = "BRAND_MARK" or "";
    /// Colour of links and buttons on light pages, as in #1f6f54. The contrast is checked at the start (WCAG AA).
    brand_color: Option<Color> = "BRAND_COLOR" or "";
    /// Colour of links and buttons on dark pages, as in #74d0aa.
    brand_color_dark: Option<Color> = "BRAND_COLOR_DARK" or "";
    /// Colour of the background of light pages, as in #f4f3ee.
    brand_ground: Option<Color> = "BRAND_GROUND" or "";
    /// Colour of the background of dark pages, as in #101412.
    brand_ground_dark: Option<Color> = "BRAND_GROUND_DARK" or "";
    /// Folder with texts of the pages, in files like it.json: a further language, or other texts for a built-in
    /// language (ar, de, en, es, fr, ja, pt-BR, zh-Hans). Missing texts are taken from the built-in language, or from
    /// English. Read at the start.
    messages_dir: Option<PathBuf> = "MESSAGES_DIR" or "";
    /// MaxMind DB file with the countries of addresses, such as `GeoLite2-Country.mmdb`, for the list of sessions. Not
    /// set: the list shows addresses alone. Read at the start.
    geoip_db: Option<PathBuf> = "GEOIP_DB" or "";
}

impl Config {
    /// Reads and checks the settings through `get`.
    ///
    /// # Errors
    /// All faults, not only the first.
    pub fn from_lookup(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let config = Self::read(get)?;
        let faults = config.faults();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    /// Returns the text of `config/storyden-auth.env`: every variable with the default.
    #[must_use]
    pub fn env_file_text() -> String {
        let mut text = String::from(
            "# All settings of storyden-auth with their defaults. Remove the # of a line to set \
             it, and use the\n# file with: storyden-auth --env-file config/storyden-auth.env\n# \
             Environment variables take precedence. Durations have Go's form: 15m, 1.5h, 0s.\n# Put a value \
             with spaces in quotes: BRAND_NAME='My community'. Nothing is substituted: a $ stays as it is.\n# In URLs, \
             percent-encode special characters of the password: %40 for @, %23 for #, %2F for /.\n",
        );
        for Variable { name, default, doc } in Self::VARIABLES {
            text.extend(["\n# ", doc.trim(), "\n# ", name, "=", default, "\n"]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_file_of_variables_is_what_the_code_knows() {
        let file = include_str!("../../config/storyden-auth.env");
        assert_eq!(
            file,
            Config::env_file_text(),
            "write what Config::env_file_text gives"
        );
    }

    #[test]
    fn a_demo_is_its_own_whatever_the_environment_says() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8_123));
        let config = Config::for_demo(None, Path::new("x/demo"), address).unwrap();
        assert_eq!(config.issuer(), "http://localhost:8123");
        assert_eq!(config.listen_addr, address);
        assert!(config.database_url.is_none() && config.signing_key.is_none());
    }
}
