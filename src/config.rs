//! Every setting: one struct, read from the environment (and `--env-file`), checked as a whole.
//!
//! Names and defaults are Storyden's where it has them, so that a Storyden's environment can be
//! handed over as it is; a variable that nobody here knows is no error.

mod parse;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use time::Duration;
use url::Url;

use crate::clock::Timestamp;
use crate::fetch;
use crate::fetch::address::Opening;
use crate::oauth::permission::{Permission, PermissionSet};
use crate::oauth::redirect_uri::is_loopback;
use crate::oauth::resource::KnownResources;
use crate::oauth::scope::{Scope, ScopeName};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::store::url::{DatabaseUrl, SqliteUrl};
use parse::Setting;
pub use parse::{
    Level, LogFormat, Origins, Permissions, Ports, Proxies, Resources, TokenStorage, parse_duration,
};

/// A variable, for `config/storyden-auth.env` and the documentation.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is when it is not set; empty when something else says.
    pub default: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
}

/// A value that stops the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it and what would do.
    pub problem: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)
    }
}

/// Makes the struct, the list of variables and the reader from one table.
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

            /// Reads every variable; an empty one counts as not set.
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
    /// Where the data is: `sqlite://FILE` or `postgres://USER@HOST/NAME`. Not set: an SQLite file in `DATA_DIR`.
    database_url: Option<DatabaseUrl> = "DATABASE_URL" or "";
    /// The folder of the SQLite file and of the generated signing key.
    data_dir: PathBuf = "DATA_DIR" or "data";
    /// The address and port to listen on.
    listen_addr: SocketAddr = "LISTEN_ADDR" or "127.0.0.1:8000";
    /// Where clients reach this server: the issuer. Must be https unless it is this computer.
    public_api_address: Url = "PUBLIC_API_ADDRESS" or "http://localhost:8000";
    /// Where people reach the pages. Not set: the API address while `WEB_ENABLED`, else `http://localhost:3000`.
    public_web_address: Option<Url> = "PUBLIC_WEB_ADDRESS" or "";
    /// Further origins whose pages may call the API with a session, separated by commas.
    cors_allowed_origins: Origins = "CORS_ALLOWED_ORIGINS" or "";
    /// Networks whose X-Forwarded-For is believed, separated by commas, as in 10.0.0.0/8.
    trusted_proxies: Proxies = "TRUSTED_PROXIES" or "";
    /// How much is logged: error, warn, info, debug or trace.
    log_level: Level = "LOG_LEVEL" or "info";
    /// How it is logged: text for people, json for machines.
    log_format: LogFormat = "LOG_FORMAT" or "text";
    /// The address and port where Prometheus may read `/metrics`; not set: nowhere.
    metrics_addr: Option<SocketAddr> = "METRICS_ADDR" or "";
    /// Requests that one address may make in `RATE_LIMIT_PERIOD`. Scales the limits on failures too: 10000 doubles them.
    rate_limit: u64 = "RATE_LIMIT" or "5000";
    /// The sliding window of `RATE_LIMIT`.
    rate_limit_period: Duration = "RATE_LIMIT_PERIOD" or "1h";
    /// How finely that window slides.
    rate_limit_bucket: Duration = "RATE_LIMIT_BUCKET" or "1m";
    /// How many units a request costs that comes without a valid credential.
    rate_limit_guest_cost: u64 = "RATE_LIMIT_GUEST_COST" or "1";
    /// Whether the authorization server is on. Off, its endpoints say so.
    oauth_enabled: bool = "OAUTH_ENABLED" or "true";
    /// Whose answers are given: standards (the RFCs') or storyden (a Storyden's, to the letter).
    profile: Profile = "OAUTH_PROFILE" or "standards";
    /// How long access tokens and ID tokens are good.
    access_token_ttl: Duration = "OAUTH_ACCESS_TOKEN_TTL" or "15m";
    /// How long a refresh token is good, anew at each rotation.
    refresh_token_ttl: Duration = "OAUTH_REFRESH_TOKEN_TTL" or "720h";
    /// How long an approval lasts in all, however often it is refreshed. Not set: 4320h, in the profile storyden without end.
    grant_ttl: Option<Duration> = "OAUTH_GRANT_TTL" or "";
    /// How long an authorization code is good; at most 10m. Not set: 60s, in the profile storyden 10m.
    authorization_code_ttl: Option<Duration> = "OAUTH_AUTHORISATION_CODE_TTL" or "";
    /// How long device and user codes are good.
    device_code_ttl: Duration = "OAUTH_DEVICE_CODE_TTL" or "10m";
    /// How often a device may poll; 0s lets it poll as it likes.
    device_poll_every: Duration = "OAUTH_DEVICE_POLL_EVERY" or "5s";
    /// The page where a person enters a user code. Not set: /oauth/consent on the web address.
    device_consent_url: Option<Url> = "OAUTH_DEVICE_AUTHORISATION_CONSENT_URL" or "";
    /// The page where a person approves a code flow. Not set: /oauth/authorize/consent on the web address.
    code_consent_url: Option<Url> = "OAUTH_AUTHORISATION_CODE_CONSENT_URL" or "";
    /// The page where a person signs in. Not set: /login on the web address.
    login_url: Option<Url> = "OAUTH_AUTHORISATION_LOGIN_URL" or "";
    /// The RSA signing key: base64 of a PEM, PKCS#8 or PKCS#1. Not set: generated into `DATA_DIR` (SQLite only).
    signing_key: Option<Secret> = "OAUTH_SIGNING_KEY_BASE64" or "";
    /// The kid of the signing key. Not set: derived from the key.
    signing_key_id: Option<String> = "OAUTH_SIGNING_KEY_ID" or "";
    /// How long a lost answer to a refresh may be asked for again; 0s never.
    refresh_reuse_window: Duration = "OAUTH_REFRESH_TOKEN_REUSE_WINDOW" or "10s";
    /// How long the audit trail is kept; 0 keeps it for ever.
    audit_retention: Duration = "AUDIT_RETENTION" or "2160h";
    /// Whether the built-in client storyden-cli exists.
    cli_enabled: bool = "OAUTH_CLI_ENABLED" or "true";
    /// Whether anybody may make an account by themselves; beside a Storyden that is Storyden's.
    signup_enabled: bool = "SIGNUP_ENABLED" or "false";
    /// Whether applications may register themselves (RFC 7591).
    registration_enabled: bool = "OAUTH_DYNAMIC_REGISTRATION_ENABLED" or "false";
    /// The permissions that they may have beside openid, profile, email and `offline_access`, separated by commas or spaces; privileged ones only when named here. Not set: the six that read, in the profile storyden every unprivileged one.
    registration_permissions: Option<Permissions> = "OAUTH_DYNAMIC_REGISTRATION_ALLOWED_SCOPES" or "";
    /// How many applications that registered themselves there may be.
    registration_max: u64 = "OAUTH_DYNAMIC_REGISTRATION_MAX" or "10000";
    /// Whether applications may introduce themselves by a URL as their client id (client ID metadata documents). Not set: true, in the profile storyden false.
    cimd_enabled: Option<bool> = "OAUTH_CIMD_ENABLED" or "";
    /// The permissions that they may have beside openid, profile, email and `offline_access`, separated by commas or spaces. Not set: the six that read.
    cimd_permissions: Option<Permissions> = "OAUTH_CIMD_ALLOWED_SCOPES" or "";
    /// Whether privileged permissions may be among `OAUTH_CIMD_ALLOWED_SCOPES`; otherwise those named there are passed over.
    cimd_privileged: bool = "OAUTH_CIMD_ALLOW_PRIVILEGED_SCOPES" or "false";
    /// The ports that documents and keys of applications are fetched from, separated by commas.
    cimd_ports: Ports = "OAUTH_CIMD_ALLOWED_PORTS" or "443";
    /// For development alone: fetch them from any address and port, by plain http too, and check no certificate.
    cimd_insecure: bool = "OAUTH_CIMD_ALLOW_INSECURE_FETCH" or "false";
    /// Further resources that tokens may be for (RFC 8707), as absolute URIs separated by commas or spaces; such a token is for that resource alone.
    resources: Resources = "OAUTH_RESOURCES" or "";
    /// How the tokens of remote connections are kept: sealed with a key, or storyden: in the clear, for a Storyden that uses them too. Not set: sealed, in the profile storyden as that.
    remote_token_storage: Option<TokenStorage> = "REMOTE_TOKEN_STORAGE" or "";
    /// The key that seals them: base64 of 32 bytes. Not set: generated into `DATA_DIR` (SQLite only).
    remote_token_key: Option<Secret> = "REMOTE_TOKEN_KEY" or "";
    /// For development alone: remote servers on this computer, by plain http too. Not set: false, in the profile storyden true.
    remote_insecure: Option<bool> = "REMOTE_ALLOW_INSECURE" or "";
    /// The ports that remote servers are asked on, separated by commas.
    remote_ports: Ports = "REMOTE_ALLOWED_PORTS" or "443";
    /// Whether backends may be given access tokens of remote connections.
    remote_tokens_given: bool = "REMOTE_TOKEN_ENDPOINT_ENABLED" or "false";
    /// Whether a Storyden beside this server has an MCP endpoint, which the resource metadata then name.
    mcp_enabled: bool = "MCP_ENABLED" or "false";
    /// Whether the built-in pages are served.
    web_enabled: bool = "WEB_ENABLED" or "true";
}

impl Config {
    /// Reads and checks the settings through `get`.
    ///
    /// # Errors
    /// Every fault there is, not just the first.
    pub fn from_lookup(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let config = Self::read(get)?;
        let faults = config.faults();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    /// Reads and checks the settings of this process; the environment wins over the file.
    ///
    /// # Errors
    /// As [`Config::from_lookup`], and when the file cannot be read.
    pub fn from_environment(env_file: Option<&Path>) -> Result<Self, Vec<Fault>> {
        Self::from_lookup(&environment(env_file)?)
    }

    /// The settings of `demo`: how it logs, how long things live and its limits come from the
    /// environment; where it is, where its data is and what it is called do not.
    ///
    /// # Errors
    /// As [`Config::from_environment`].
    pub fn for_demo(
        env_file: Option<&Path>,
        folder: &Path,
        listen_addr: SocketAddr,
    ) -> Result<Self, Vec<Fault>> {
        let ours = [
            ("LISTEN_ADDR", listen_addr.to_string()),
            (
                "PUBLIC_API_ADDRESS",
                format!("http://localhost:{}", listen_addr.port()),
            ),
            ("DATA_DIR", folder.display().to_string()),
        ];
        let environment = environment(env_file)?;
        Self::from_lookup(&|name| {
            let from_outside = matches!(name, "LOG_LEVEL" | "LOG_FORMAT" | "RATE_LIMIT")
                || name.ends_with("_TTL")
                || matches!(
                    name,
                    "OAUTH_DEVICE_POLL_EVERY" | "OAUTH_REFRESH_TOKEN_REUSE_WINDOW"
                );
            let ours = ours.iter().find(|(ours, _)| *ours == name);
            match ours {
                Some((_, value)) => Some(value.clone()),
                None if from_outside => environment(name),
                None => None,
            }
        })
    }

    /// What `config/storyden-auth.env` holds: every variable with its default.
    #[must_use]
    pub fn env_file_text() -> String {
        let mut text = String::from(
            "# Every setting of storyden-auth, each with its default. Take away the # of a line to set it,\n\
             # and hand the file over: storyden-auth --env-file config/storyden-auth.env\n\
             # The environment wins over this file. Durations are Go's: 15m, 1.5h, 0s.\n",
        );
        for Variable { name, default, doc } in Self::VARIABLES {
            text.extend(["\n# ", doc.trim(), "\n# ", name, "=", default, "\n"]);
        }
        text
    }

    /// What is wrong although each value by itself is well-formed.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |variable, problem: &str| {
            faults.push(Fault {
                variable,
                problem: problem.to_owned(),
            });
        };
        let addresses = [
            ("PUBLIC_API_ADDRESS", Some(&self.public_api_address)),
            ("PUBLIC_WEB_ADDRESS", self.public_web_address.as_ref()),
        ];
        for (variable, url) in addresses {
            let Some(url) = url else { continue };
            if url.scheme() != "https" && !is_this_computer(url) {
                fault(
                    variable,
                    "must begin with https:// (plain http is for localhost alone)",
                );
            }
            if url.query().is_some() || url.fragment().is_some() {
                fault(variable, "must have no query and no fragment");
            }
            if !url.username().is_empty() || url.password().is_some() {
                fault(variable, "must have no user name and no password");
            }
        }
        let positive = [
            ("RATE_LIMIT_PERIOD", self.rate_limit_period),
            ("RATE_LIMIT_BUCKET", self.rate_limit_bucket),
            ("OAUTH_REFRESH_TOKEN_TTL", self.refresh_token_ttl),
            (
                "OAUTH_GRANT_TTL",
                self.grant_ttl.unwrap_or(self.refresh_token_ttl),
            ),
            ("OAUTH_AUTHORISATION_CODE_TTL", self.code_ttl()),
            ("OAUTH_DEVICE_CODE_TTL", self.device_code_ttl),
        ];
        for (variable, ttl) in positive {
            if ttl <= Duration::ZERO {
                fault(variable, "must be longer than nothing");
            }
        }
        if self.rate_limit_period / self.rate_limit_bucket > 3_600.0 {
            fault(
                "RATE_LIMIT_BUCKET",
                "must be at least a 3600th of RATE_LIMIT_PERIOD",
            );
        }
        // RFC 6749 §4.1.2
        if self.code_ttl() > Duration::minutes(10) {
            fault("OAUTH_AUTHORISATION_CODE_TTL", "must be 10m or less");
        }
        // An ended grant is remembered for longer than this, so that its access tokens are refused.
        if self.access_token_ttl > Duration::hours(24) {
            fault("OAUTH_ACCESS_TOKEN_TTL", "must be 24h or less");
        }
        if self.audit_retention.is_negative() {
            fault("AUDIT_RETENTION", "must not be negative");
        }
        if self.device_poll_every.is_negative() {
            fault("OAUTH_DEVICE_POLL_EVERY", "must not be negative");
        }
        if self.refresh_reuse_window.is_negative()
            || self.refresh_reuse_window > Duration::minutes(5)
        {
            fault(
                "OAUTH_REFRESH_TOKEN_REUSE_WINDOW",
                "must be between 0s and 5m",
            );
        }
        faults
    }

    /// The database, also when none is named.
    #[must_use]
    pub fn database(&self) -> DatabaseUrl {
        self.database_url.clone().unwrap_or_else(|| {
            DatabaseUrl::Sqlite(SqliteUrl::file(self.data_dir.join("storyden-auth.db")))
        })
    }

    /// How long an authorization code lives.
    #[must_use]
    pub fn code_ttl(&self) -> Duration {
        self.authorization_code_ttl
            .unwrap_or(self.profile.code_ttl())
    }

    /// When a refresh token ends that is made now, in a grant that began at some time.
    #[must_use]
    pub fn refresh_token_end(&self, now: Timestamp, begun: Timestamp) -> Timestamp {
        let end = now + self.refresh_token_ttl;
        let last = self.grant_ttl.or(self.profile.grant_ttl());
        last.map_or(end, |ttl| end.min(begun + ttl))
    }

    /// How long a lost answer to a refresh may be asked for again.
    #[must_use]
    pub fn reuse_window(&self) -> Duration {
        if self.profile.refresh_reuse_is_strict() {
            Duration::ZERO
        } else {
            self.refresh_reuse_window
        }
    }

    /// What applications may have that registered themselves.
    #[must_use]
    pub fn registration_scope(&self) -> Scope {
        let permissions = match self.registration_permissions {
            Some(Permissions(permissions)) => permissions,
            None if self.profile.registrations_may_write() => {
                let all = Permission::ALL.iter().copied();
                all.filter(|one| !one.is_privileged()).collect()
            }
            None => PermissionSet::READING,
        };
        let permissions = permissions.iter().map(ScopeName::Permission);
        let standard = ScopeName::STANDARD.iter().copied();
        standard.chain(permissions).collect()
    }

    /// What tokens may be for (RFC 8707).
    #[must_use]
    pub fn known_resources(&self) -> KnownResources {
        KnownResources::new(&self.issuer(), &self.resources.0)
    }

    /// Whether a client id may be the URL of a document.
    #[must_use]
    pub fn documents_enabled(&self) -> bool {
        self.oauth_enabled && self.cimd_enabled.unwrap_or(self.profile.documents_are_on())
    }

    /// What applications may have that introduce themselves by a document (contract 13.5).
    #[must_use]
    pub fn document_scope(&self) -> Scope {
        let permissions = match self.cimd_permissions {
            Some(Permissions(permissions)) => permissions,
            None => PermissionSet::READING,
        };
        let permissions = permissions.iter();
        let permissions = permissions.filter(|one| self.cimd_privileged || !one.is_privileged());
        let standard = ScopeName::STANDARD.iter().copied();
        standard
            .chain(permissions.map(ScopeName::Permission))
            .collect()
    }

    /// What clients of strangers may be fetched from.
    #[must_use]
    pub fn document_rules(&self) -> fetch::Rules {
        fetch::Rules {
            opening: if self.cimd_insecure {
                Opening::Everything
            } else {
                Opening::Closed
            },
            ports: self.cimd_ports.0.clone(),
            own_hosts: self.own_hosts(),
        }
    }

    /// What remote servers may be asked.
    #[must_use]
    pub fn remote_rules(&self) -> fetch::Rules {
        fetch::Rules {
            opening: if self.remote_is_insecure() {
                Opening::Loopback
            } else {
                Opening::Closed
            },
            ports: self.remote_ports.0.clone(),
            own_hosts: self.own_hosts(),
        }
    }

    /// Whether remote servers may be on this computer.
    #[must_use]
    pub fn remote_is_insecure(&self) -> bool {
        self.remote_insecure
            .unwrap_or(self.profile.remote_connections_are_storydens())
    }

    /// The client id of this community where it is a client of others: its own metadata document.
    #[must_use]
    pub fn own_client_id(&self) -> Url {
        let mut client_id = self.public_api_address.clone();
        client_id.set_path("/.well-known/oauth-client-metadata");
        client_id
    }

    /// What this community calls itself where it is a client of others. In `standards` its host, since
    /// anybody may call themselves Storyden, and a server like this one refuses that.
    #[must_use]
    pub fn own_name(&self) -> String {
        if self.profile.remote_connections_are_storydens() {
            return "Storyden".to_owned();
        }
        let web = self.web_address();
        web.host_str().unwrap_or("Storyden").to_owned()
    }

    /// The page that a browser comes back to from a remote server.
    #[must_use]
    pub fn remote_callback_page(&self) -> Url {
        let mut page = self.web_address();
        page.set_path("/oauth/remote/callback");
        page
    }

    /// How the tokens of remote connections are kept.
    #[must_use]
    pub fn remote_storage(&self) -> TokenStorage {
        let usual = if self.profile.remote_connections_are_storydens() {
            TokenStorage::Storyden
        } else {
            TokenStorage::Sealed
        };
        self.remote_token_storage.unwrap_or(usual)
    }

    /// The hosts of this server's own addresses.
    fn own_hosts(&self) -> Vec<String> {
        let web = self.web_address();
        let hosts = [self.public_api_address.host_str(), web.host_str()];
        hosts.into_iter().flatten().map(str::to_owned).collect()
    }

    /// The issuer (RFC 8414 §2): the API address without one trailing slash.
    #[must_use]
    pub fn issuer(&self) -> String {
        without_slash(self.public_api_address.as_str()).to_owned()
    }

    /// The path of the issuer, without slashes at its ends; empty when it has none.
    #[must_use]
    pub fn issuer_path(&self) -> &str {
        self.public_api_address.path().trim_matches('/')
    }

    /// What the addresses of endpoints begin with: the API address with `/api`.
    #[must_use]
    pub fn endpoint_base(&self) -> String {
        let base = self.public_api_address.as_str().trim_end_matches('/');
        if base.ends_with("/api") {
            base.to_owned()
        } else {
            format!("{base}/api")
        }
    }

    /// What a `WWW-Authenticate` header asks for: a bearer token, with where the metadata of the API
    /// stand (RFC 9728 §5.1) and what was wrong with the token that came (RFC 6750 §3.1).
    #[must_use]
    pub fn bearer_challenge(&self, error: Option<(&str, &str)>) -> String {
        let issuer = self.issuer();
        let metadata = format!("{issuer}/.well-known/oauth-protected-resource/api");
        let error = match error {
            None => String::new(),
            Some((code, "")) => format!(", error=\"{code}\""),
            Some((code, description)) => {
                format!(", error=\"{code}\", error_description=\"{description}\"")
            }
        };
        format!("Bearer resource_metadata=\"{metadata}\"{error}")
    }

    /// Where people reach the pages.
    #[must_use]
    pub fn web_address(&self) -> Url {
        match &self.public_web_address {
            Some(url) => url.clone(),
            None if self.web_enabled => self.public_api_address.clone(),
            None => Url::parse("http://localhost:3000").expect("a URL that is written here"),
        }
    }

    /// The page where a person signs in.
    #[must_use]
    pub fn login_page(&self) -> Url {
        self.login_url.clone().unwrap_or_else(|| self.page("login"))
    }

    /// The page where a person approves a code flow.
    #[must_use]
    pub fn code_consent_page(&self) -> Url {
        self.code_consent_url
            .clone()
            .unwrap_or_else(|| self.page("oauth/authorize/consent"))
    }

    /// The page where a person enters a user code.
    #[must_use]
    pub fn device_consent_page(&self) -> Url {
        self.device_consent_url
            .clone()
            .unwrap_or_else(|| self.page("oauth/consent"))
    }

    /// The page where a person says whether they want to sign out.
    #[must_use]
    pub fn logout_page(&self) -> Url {
        self.page("logout")
    }

    /// A page below the web address, whose path it keeps.
    fn page(&self, path: &str) -> Url {
        let mut url = self.web_address();
        let below = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&below);
        url
    }

    /// Origins whose pages may use a session here: web, API and what the operator added.
    #[must_use]
    pub fn allowed_origins(&self) -> Vec<String> {
        let own = [self.web_address(), self.public_api_address.clone()];
        let own = own.iter().map(|url| url.origin().ascii_serialization());
        own.chain(self.cors_allowed_origins.0.iter().cloned())
            .collect()
    }

    /// Whether cookies are marked `Secure`: always, unless the API is plain http on this computer.
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.profile.cookie_names_its_domain() || self.public_api_address.scheme() == "https"
    }
}

/// Plain http is for loopback addresses, `localhost` and names under it.
fn is_this_computer(url: &Url) -> bool {
    let named = url
        .host_str()
        .is_some_and(|host| host.ends_with(".localhost"));
    url.scheme() == "http" && (is_loopback(url) || named)
}

/// A text without one slash at its end.
fn without_slash(text: &str) -> &str {
    text.strip_suffix('/').unwrap_or(text)
}

/// Reads variables of this process; the environment wins over the file.
fn environment(
    env_file: Option<&Path>,
) -> Result<impl Fn(&str) -> Option<String> + use<>, Vec<Fault>> {
    let file = match env_file {
        Some(path) => read_env_file(path)?,
        None => HashMap::new(),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    Ok(move |name: &str| std::env::var(name).ok().or_else(|| file.get(name).cloned()))
}

fn read_env_file(path: &Path) -> Result<HashMap<String, String>, Vec<Fault>> {
    let fault = |problem: String| {
        vec![Fault {
            variable: "--env-file",
            problem: format!("{}: {problem}", path.display()),
        }]
    };
    let lines = dotenvy::from_path_iter(path).map_err(|error| fault(error.to_string()))?;
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))
}

/// The variables of a file that hold a secret, of this server or of a Storyden, in order; none if the file
/// cannot be read.
#[must_use]
pub fn secrets_in(path: &Path) -> Vec<String> {
    let is_secret = |(name, value): &(&String, &String)| {
        let has_password = || Url::parse(value).is_ok_and(|url| url.password().is_some());
        let ends = ["_KEY", "_KEY_BASE64", "_SECRET", "_PASSWORD"];
        let is_named_so = ends.iter().any(|end| name.ends_with(end));
        !value.is_empty() && (is_named_so || name.ends_with("_URL") && has_password())
    };
    let variables = read_env_file(path).unwrap_or_default();
    let mut names: Vec<String> = variables
        .iter()
        .filter(is_secret)
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_variables_is_what_the_code_knows() {
        let file = include_str!("../config/storyden-auth.env");
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
