//! Device cookies (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"): a browser that
//! signed in to an account before has a separate budget of wrong passwords. Guesses by other browsers
//! lock out other browsers, never the owner.
//!
//! The cookie holds an entry for each of the last accounts, signed with a key that all replicas share:
//!
//! ```text
//! device "." expiry "." HMAC-SHA256(key, account ‖ password hash ‖ device ‖ expiry)
//! ```
//!
//! An entry names no account, and a changed password invalidates every entry of the account. A stolen
//! cookie allows [`SIGN_IN_BROWSER`] guesses in total, counted in the database. A live session of the
//! account is equivalent to an entry.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::SameSite;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::Duration;

use super::caller::session_of;
use super::cookies::{self, Lifetime, Scope};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::context::DEVICE_COOKIE_KEY;
use crate::ids::AccountId;
use crate::rate_limit::{Rule, SIGN_IN_BROWSER};
use crate::secret::Secret;
use crate::store::{self, device_failures};

/// The name of the cookie on plain http.
const NAME: &str = "storyden-auth-device";

/// The name with the prefix [`cookies::HOST_PREFIX`]: other hosts of the domain cannot plant the cookie.
const HOST_NAME: &str = "__Host-storyden-auth-device";

/// The lifetime of an entry.
const TTL: Duration = Duration::days(365);

/// The most accounts remembered for a browser.
const ENTRIES_MAX: usize = 4;

/// The length of a device id in base64url: 16 bytes.
const DEVICE_LENGTH: usize = 22;

/// The length of an HMAC-SHA256 in base64url.
const MAC_LENGTH: usize = 43;

/// A browser that signed in to an account before.
#[derive(Clone, Debug)]
pub struct KnownBrowser {
    /// The subject of the rate limit: a session id or a device id.
    name: String,
    /// The expiry of the device cookie; `None` if the browser has a session of the account.
    expires_at: Option<Timestamp>,
}

/// The account that a browser signs in to.
#[derive(Clone, Copy, Debug)]
pub struct AccountPassword<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The stored password hash of the account.
    pub password_hash: &'a str,
}

/// An entry of a device cookie.
#[derive(Clone, Copy)]
struct Entry<'a> {
    device: &'a str,
    expiry: &'a str,
    mac: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (device, expiry, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let is_base64url = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let fits = parts.next().is_none()
            && device.len() == DEVICE_LENGTH
            && is_base64url(device)
            && (1..=12).contains(&expiry.len())
            && expiry.bytes().all(|byte| byte.is_ascii_digit())
            && mac.len() == MAC_LENGTH
            && is_base64url(mac);
        fits.then_some(Self {
            device,
            expiry,
            mac,
        })
    }

    fn expires_at(self) -> Option<Timestamp> {
        let seconds = self.expiry.parse().ok()?;
        let at = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        Some(Timestamp::new(at))
    }

    /// True if the entry was signed for this account and password hash.
    fn is_signed_for(self, key: &Secret, who: AccountPassword<'_>) -> bool {
        let Ok(mac) = URL_SAFE_NO_PAD.decode(self.mac) else {
            return false;
        };
        signer(key, who, self.device, self.expiry)
            .verify_slice(&mac) // constant time (timing attack)
            .is_ok()
    }

    fn text(self) -> String {
        format!("{}.{}.{}", self.device, self.expiry, self.mac)
    }
}

impl KnownBrowser {
    /// The rate-limit rule and subject for wrong passwords of this browser.
    #[must_use]
    pub fn subject(&self) -> [(Rule, &str); 1] {
        [(SIGN_IN_BROWSER, self.name.as_str())]
    }

    /// Counts a wrong password in the database, so that a stolen cookie cannot be used for unlimited
    /// guesses.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_failure(&self, context: &Context) -> Result<(), store::Error> {
        match self.expires_at {
            Some(expires_at) => device_failures::add(&context.db, &self.name, expires_at).await,
            None => Ok(()),
        }
    }
}

/// Recognizes a browser that signed in to the account before, by session or device cookie. `None` for
/// unknown browsers, exhausted budgets and unknown accounts.
///
/// # Errors
/// If the database is unavailable.
pub async fn recognize(
    context: &Context,
    headers: &HeaderMap,
    who: Option<AccountPassword<'_>>,
) -> Result<Option<KnownBrowser>, store::Error> {
    // A-79 (timing attack): also read the session if the account is unknown.
    let session = session_of(context, headers).await?;
    let Some(who) = who else { return Ok(None) };
    let session = session.filter(|session| session.account.id == *who.account);
    let browser = match session {
        Some(session) => Some(KnownBrowser {
            name: session.id.to_string(),
            expires_at: None,
        }),
        None => recognize_by_cookie(context, headers, who).await?,
    };
    Ok(browser.filter(|browser| context.limits.check(&browser.subject()).is_ok()))
}

async fn recognize_by_cookie(
    context: &Context,
    headers: &HeaderMap,
    who: AccountPassword<'_>,
) -> Result<Option<KnownBrowser>, store::Error> {
    if context.config.policies.sign_in.device_cookie_disabled {
        return Ok(None);
    }
    let mut entries = entries(context, headers).peekable();
    if entries.peek().is_none() {
        return Ok(None);
    }
    let Some(key) = context.device_key.find(&context.db).await? else {
        return Ok(None);
    };
    let Some(entry) = entries.find(|entry| entry.is_signed_for(&key, who)) else {
        return Ok(None);
    };
    let failures = device_failures::count(&context.db, entry.device).await?;
    if failures >= context.limits.allowed(SIGN_IN_BROWSER) {
        return Ok(None);
    }
    Ok(Some(KnownBrowser {
        name: entry.device.to_owned(),
        expires_at: entry.expires_at(),
    }))
}

/// Makes the `Set-Cookie` of a browser that signed in. `None` if the cookie is disabled, or
/// the key is unavailable: sign-in works without the cookie.
pub async fn remember(
    context: &Context,
    headers: &HeaderMap,
    who: AccountPassword<'_>,
) -> Option<String> {
    if context.config.policies.sign_in.device_cookie_disabled {
        return None;
    }
    let key = context
        .device_key
        .find_or_create(&context.db, &context.random, context.clock.now());
    let key = key
        .await
        .inspect_err(|error| tracing::warn!(%error, "device cookie cannot be issued"))
        .ok()?;
    let now = context.clock.now();
    let device = context.random.base64url::<16>();
    let expiry = (now + TTL).unix_seconds().to_string();
    let mac = signer(&key, who, &device, &expiry).finalize().into_bytes();
    let entry = Entry {
        device: &device,
        expiry: &expiry,
        mac: &URL_SAFE_NO_PAD.encode(mac),
    };
    let others = entries(context, headers).filter(|other| !other.is_signed_for(&key, who));
    let entries: Vec<_> = std::iter::once(entry)
        .chain(others)
        .take(ENTRIES_MAX)
        .map(Entry::text)
        .collect();
    Some(set_cookie(context, &entries))
}

fn set_cookie(context: &Context, entries: &[String]) -> String {
    let scope = Scope {
        name: name(context).to_owned(),
        path: "/".to_owned(),
        domain: None,
    };
    let lifetime = Lifetime::For(TTL);
    let mut cookie = scope.cookie(
        &entries.join("~"),
        lifetime,
        context.config.secure_cookies(),
    );
    cookie.set_same_site(SameSite::Strict);
    cookie.to_string()
}

/// The name of the cookie; with the prefix if the cookie is `Secure`, which the prefix demands.
fn name(context: &Context) -> &'static str {
    if context.config.secure_cookies() {
        HOST_NAME
    } else {
        NAME
    }
}

/// The well-formed entries that have not expired, of at most two cookies.
fn entries<'a>(context: &Context, headers: &'a HeaderMap) -> impl Iterator<Item = Entry<'a>> {
    let now = context.clock.now();
    cookies::values(headers, name(context))
        .take(2)
        .flat_map(|value| value.split('~').take(ENTRIES_MAX))
        .filter_map(Entry::parse)
        .filter(move |entry| entry.expires_at().is_some_and(|at| now < at))
}

fn signer(key: &Secret, who: AccountPassword<'_>, device: &str, expiry: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes())
        .expect("HMAC takes a key of any length");
    for part in [
        DEVICE_COOKIE_KEY,
        who.account.as_str(),
        who.password_hash,
        device,
        expiry,
    ] {
        mac.update(part.as_bytes());
        mac.update(&[0]); // separator: no part contains NUL
    }
    mac
}
