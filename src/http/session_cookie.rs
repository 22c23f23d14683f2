//! The session cookie (storyden-contract.md#session-cookie, A-55).
//!
//! A browser may hold several session cookies, set under earlier settings: profile, domain, public
//! address. All are read, the first valid value counts, and signing out clears all.

use axum::http::HeaderMap;
use url::Host;

use super::accounts_cookie;
use super::cookies::{self, Lifetime, Scope};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::audit::{self, Entry};
use crate::store::sessions::{self, TOKENS_MAX};

/// The name of the session cookie at a Storyden (storyden-contract.md#session-cookie).
const NAME: &str = "storyden-session";

/// The name with the prefix [`cookies::HOST_PREFIX`].
const HOST_NAME: &str = "__Host-storyden-session";

/// The maximum number of domains to clear the cookie in: the API host and its parent domains.
const DOMAINS_MAX: usize = 6;

/// The name of the session cookie that this server sets.
///
/// The prefix needs https and no domain. Storyden's frontend looks for the cookie by name, so the prefix
/// is for servers with the built-in pages.
#[must_use]
pub fn name(config: &Config) -> &'static str {
    let is_https = config.public_api_address.scheme() == "https";
    if is_https && config.web_enabled && cookie_domain(config).is_none() {
        HOST_NAME
    } else {
        NAME
    }
}

/// The hashes of the session tokens of a request, at most [`TOKENS_MAX`]. Values under the prefixed name
/// come first: other hosts cannot plant them. With `storyden_name_only` the prefixed name is not read,
/// because a Storyden could not end a session under that name.
#[must_use]
pub fn tokens(config: &Config, headers: &HeaderMap) -> Vec<SecretHash> {
    if config.policies.session_cookie.storyden_name_only {
        read(headers, &[NAME])
    } else {
        read(headers, &[HOST_NAME, NAME])
    }
}

/// The hashes of the session tokens under both names, in every profile, and of the further accounts of the
/// browser: for signing out.
#[must_use]
pub fn every_token(config: &Config, headers: &HeaderMap) -> Vec<SecretHash> {
    let mut tokens = read(headers, &[HOST_NAME, NAME]);
    let others = accounts_cookie::tokens(config, headers);
    tokens.extend(others.iter().map(Secret::hash));
    tokens
}

/// The session tokens under the name that this server sets, and of the further accounts of the browser. Empty if
/// a browser has a single account: in the profile `storyden`, and where a sibling host could plant the session
/// cookie, because the cookie has no prefix.
#[must_use]
pub fn tokens_of_accounts(config: &Config, headers: &HeaderMap) -> Vec<Secret> {
    if !holds_several_accounts(config) {
        return Vec::new();
    }
    let mut found = read_tokens(headers, &[name(config)]);
    for token in accounts_cookie::tokens(config, headers) {
        if found.len() < TOKENS_MAX && !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

/// True if a browser keeps the sessions of further accounts.
fn holds_several_accounts(config: &Config) -> bool {
    // plain http is a server on this computer
    let is_plain = config.public_api_address.scheme() == "http";
    !config.policies.sign_in.single_account && (is_plain || name(config) == HOST_NAME)
}

/// Ends the sessions of some tokens, and writes an audit line for each open session. `entry` is that line
/// without account and session.
///
/// # Errors
/// When the database does not answer.
pub async fn revoke_all(
    tx: &mut store::Tx,
    tokens: &[SecretHash],
    entry: &Entry,
) -> store::Result<()> {
    for token in tokens {
        if let Some(ended) = sessions::revoke(tx, token, entry.at).await? {
            let entry = entry.clone().by(&ended.account_id).subject(&ended.id);
            audit::insert(tx, &entry).await?;
        }
    }
    Ok(())
}

fn read(headers: &HeaderMap, names: &[&str]) -> Vec<SecretHash> {
    read_tokens(headers, names)
        .iter()
        .map(Secret::hash)
        .collect()
}

fn read_tokens(headers: &HeaderMap, names: &[&str]) -> Vec<Secret> {
    let mut found: Vec<Secret> = Vec::new();
    let values = names.iter().flat_map(|name| cookies::values(headers, name));
    for token in values
        .filter(|value| cookies::is_token(value))
        .map(Secret::new)
    {
        if found.len() == TOKENS_MAX {
            tracing::debug!("request has more than {TOKENS_MAX} session cookies");
            break;
        }
        if !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

/// The `Set-Cookie` headers of a new session. Session cookies of other scopes are cleared first if the
/// browser sent any.
#[must_use]
pub fn begin(
    config: &Config,
    headers: &HeaderMap,
    session: &Secret,
    expires_at: Timestamp,
) -> Vec<String> {
    let ours = scope(config);
    let mut set = Vec::new();
    if has_others(config, headers) {
        set.extend(cleared_others(config, &ours));
    }
    let secure = config.secure_cookies();
    set.push(ours.set(session.reveal(), Lifetime::Until(expires_at), secure));
    set
}

/// The `Set-Cookie` headers that sign a browser out: a header for every scope that this server uses under
/// some settings. With `storyden_name_only`, only the current scope is cleared, unless the browser sent
/// cookies of more than that scope. The cookie of further accounts is cleared too.
#[must_use]
pub fn end(config: &Config, headers: &HeaderMap, now: Timestamp) -> Vec<String> {
    let ours = scope(config);
    let mut set = vec![ours.set("", Lifetime::Until(now), config.secure_cookies())];
    if !config.policies.session_cookie.storyden_name_only || has_others(config, headers) {
        set.extend(cleared_others(config, &ours));
    }
    set.extend(accounts_cookie::clear(config, headers));
    set
}

/// True if a request has session cookies of more than the current scope.
fn has_others(config: &Config, headers: &HeaderMap) -> bool {
    let count = |name| cookies::values(headers, name).count();
    let ours = count(name(config));
    ours > 1 || count(NAME) + count(HOST_NAME) > ours
}

/// Clears the cookie in every scope except the current scope. The date is long past, so that a browser
/// with a slow clock drops the cookies too.
fn cleared_others(config: &Config, ours: &Scope) -> impl Iterator<Item = String> {
    let past = Lifetime::Until(Timestamp::from_unix_seconds(0));
    let secure = config.secure_cookies();
    let others = scopes(config)
        .into_iter()
        .filter(move |scope| scope != ours);
    others.map(move |scope| scope.set("", past, secure))
}

/// The current scope of the cookie.
fn scope(config: &Config) -> Scope {
    Scope {
        name: name(config).to_owned(),
        path: "/".to_owned(),
        domain: cookie_domain(config),
    }
}

/// Every scope that this server uses under some settings, at this host.
fn scopes(config: &Config) -> Vec<Scope> {
    let scope = |name: &str, domain: Option<String>| Scope {
        name: name.to_owned(),
        path: "/".to_owned(),
        domain,
    };
    let mut scopes = vec![scope(NAME, None)];
    if config.public_api_address.scheme() == "https" {
        scopes.push(scope(HOST_NAME, None));
    }
    let domains = domains(config).into_iter();
    scopes.extend(domains.map(|domain| scope(NAME, Some(domain))));
    scopes
}

/// The API host and its parent domains, except top-level domains: the domains of cookies that a browser
/// sends to the API.
fn domains(config: &Config) -> Vec<String> {
    match config.public_api_address.host() {
        Some(Host::Domain(name)) => {
            let starts = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
            let names = starts.map(|at| &name[at..]);
            names
                .filter(|part| *part == name || part.contains('.'))
                .take(DOMAINS_MAX)
                .map(str::to_owned)
                .collect()
        }
        Some(host) => vec![host.to_string()],
        None => Vec::new(),
    }
}

/// The `Domain` of the cookie. `None` (a host-only cookie) if API and pages share the host, except with
/// `always_with_domain`. With two hosts: the web host if the API host is below that host, and the API
/// host in every other case (storyden-contract.md#session-cookie).
#[must_use]
pub fn cookie_domain(config: &Config) -> Option<String> {
    let api = config.public_api_address.host_str()?.to_owned();
    let web = config.web_address();
    let web = web.host_str()?;
    if api == web && !config.policies.session_cookie.always_with_domain {
        return None;
    }
    Some(if api.ends_with(&format!(".{web}")) {
        web.to_owned()
    } else {
        api
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Config {
        let value = |name: &str| {
            let found = settings.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(&value).unwrap()
    }

    #[test]
    fn the_prefix_needs_https_one_host_and_our_pages() {
        let https = ("PUBLIC_API_ADDRESS", "https://auth.example");
        assert_eq!(name(&config(&[https])), HOST_NAME);
        for (settings, why) in [
            (vec![], "plain http"),
            (
                vec![
                    https,
                    ("WEB_ENABLED", "false"),
                    ("PUBLIC_WEB_ADDRESS", "https://auth.example"),
                ],
                "other pages",
            ),
            (
                vec![https, ("PUBLIC_WEB_ADDRESS", "https://www.auth.example")],
                "two hosts",
            ),
            (vec![https, ("OAUTH_PROFILE", "storyden")], "storyden"),
        ] {
            assert_eq!(name(&config(&settings)), NAME, "{why}");
        }
    }

    #[test]
    fn the_domains_are_the_host_and_the_names_above_it() {
        let of = |address| domains(&config(&[("PUBLIC_API_ADDRESS", address)]));
        assert_eq!(
            of("https://a.b.forum.example/x"),
            ["a.b.forum.example", "b.forum.example", "forum.example"]
        );
        assert_eq!(of("http://localhost:8000"), ["localhost"]);
        assert_eq!(of("https://192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(of("https://a.b.c.d.e.f.g.h.example").len(), DOMAINS_MAX);
    }
}
