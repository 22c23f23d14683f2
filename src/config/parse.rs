//! Parsers of settings, by type. Errors follow the name of the variable.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use time::Duration;
use url::Url;

use super::brand::Color;
use crate::compat::Policies;
use crate::database_url::DatabaseUrl;
use crate::oauth::permission::PermissionSet;
use crate::oauth::private_use_scheme::PrivateUseSchemes;
use crate::oauth::scope::ScopeName;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::secret::Secret;

/// A type that a setting may have.
pub(super) trait Setting: Sized {
    /// Parses a value; the error tells the valid values.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub tracing::Level);

/// Log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object per line.
    Json,
}

/// Origins as browsers send them, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Origins(pub Vec<String>);

/// Networks of proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Vec<IpNet>);

/// Storage of remote servers' tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStorage {
    /// Sealed with a key.
    Sealed,
    /// In the clear, as a Storyden does.
    Storyden,
}

/// Ports.
#[derive(Clone, Debug, Default)]
pub struct Ports(pub Vec<u16>);

/// Resource identifiers (RFC 8707 §2), as written.
#[derive(Clone, Debug, Default)]
pub struct Resources(pub Vec<String>);

/// Signature algorithms, at least one, in order of preference.
#[derive(Clone, Debug)]
pub struct SigningAlgorithms(pub Vec<SigningAlgorithm>);

/// Permissions, by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permissions(pub PermissionSet);

impl Proxies {
    /// Returns the networks that contain every address of a version of IP.
    #[must_use]
    pub fn of_everybody(&self) -> Vec<String> {
        let all = self.0.iter().filter(|network| network.prefix_len() == 0);
        all.map(ToString::to_string).collect()
    }

    /// True if the list contains the address.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Types of settings that may be absent.
macro_rules! optional {
    ($($type:ty),*) => {$(
        impl Setting for Option<$type> {
            fn parse(text: &str) -> Result<Self, String> {
                if text.is_empty() { Ok(None) } else { <$type as Setting>::parse(text).map(Some) }
            }
        }
    )*};
}

optional!(
    DatabaseUrl,
    Duration,
    SocketAddr,
    Url,
    Secret,
    String,
    PathBuf,
    Color,
    Permissions,
    TokenStorage,
    PrivateUseSchemes,
    bool
);

impl Setting for DatabaseUrl {
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Setting for Secret {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Setting for Color {
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Setting for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        let full = match text.strip_prefix(':') {
            Some(port) => format!("0.0.0.0:{port}"), // Go's way to say every address
            None => text.replace("localhost:", "127.0.0.1:"),
        };
        full.parse()
            .map_err(|_| format!("is {text:?}; use ADDRESS:PORT, as in 0.0.0.0:8000"))
    }
}

impl Setting for Url {
    fn parse(text: &str) -> Result<Self, String> {
        match Self::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(format!(
                "is {text:?}; use an address like https://community.example"
            )),
        }
    }
}

impl Setting for Origins {
    fn parse(text: &str) -> Result<Self, String> {
        let origin = |entry: &str| match Url::parse(entry) {
            Ok(url) if url.has_host() && matches!(url.path(), "" | "/") => {
                Ok(entry.trim_end_matches('/').to_ascii_lowercase())
            }
            _ => Err(format!(
                "has {entry:?}; use origins like https://app.example"
            )),
        };
        entries(text)
            .map(origin)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Setting for Permissions {
    fn parse(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let known = names.map(|name| match ScopeName::from_name(name) {
            Some(known) if !known.is_of_resource() => Ok(known.permission()), // standard scopes are allowed anyway
            _ => Err(format!(
                "has {name:?}; use names of permissions like READ_PROFILE"
            )),
        });
        let known: Vec<_> = known.collect::<Result<_, _>>()?;
        Ok(Self(known.into_iter().flatten().collect()))
    }
}

impl Setting for SigningAlgorithms {
    fn parse(text: &str) -> Result<Self, String> {
        let mut algorithms = Vec::new();
        for name in text.split([',', ' ']).filter(|name| !name.is_empty()) {
            match SigningAlgorithm::from_name(name) {
                Some(algorithm) if !algorithms.contains(&algorithm) => algorithms.push(algorithm),
                Some(_) => {}
                None => {
                    let known: Vec<_> =
                        SigningAlgorithm::ALL.iter().map(|one| one.name()).collect();
                    return Err(format!("has {name:?}; use {}", known.join(", ")));
                }
            }
        }
        if algorithms.is_empty() {
            return Err("has no algorithm; use RS256".to_owned());
        }
        Ok(Self(algorithms))
    }
}

impl Setting for TokenStorage {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "sealed" => Ok(Self::Sealed),
            "storyden" => Ok(Self::Storyden),
            _ => Err("must be sealed or storyden".to_owned()),
        }
    }
}

impl Setting for Ports {
    fn parse(text: &str) -> Result<Self, String> {
        let ports = text
            .split(',')
            .map(str::trim)
            .filter(|port| !port.is_empty());
        let ports = ports.map(|port| match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!(
                "has '{port}', which is not a port; separate ports by commas, as in 443,8443"
            )),
        });
        ports.collect::<Result<_, _>>().map(Self)
    }
}

impl Setting for Resources {
    fn parse(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let names = names.map(|name| match Url::parse(name) {
            Ok(url) if url.fragment().is_none() => Ok(name.to_owned()),
            _ => Err(format!(
                "has '{name}', which is no absolute URI without a fragment, as in https://api.example/"
            )),
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl Setting for Proxies {
    fn parse(text: &str) -> Result<Self, String> {
        let network = |entry: &str| {
            let address = entry.parse::<IpAddr>().map(IpNet::from);
            address
                .or_else(|_| entry.parse::<IpNet>())
                .map_err(|_| format!("has {entry:?}; use networks like 10.0.0.0/8 or addresses"))
        };
        entries(text)
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Setting for Level {
    fn parse(text: &str) -> Result<Self, String> {
        let level = text.to_ascii_lowercase();
        level
            .parse()
            .map(Self)
            .map_err(|_| format!("is {text:?}; use error, warn, info, debug or trace"))
    }
}

impl Setting for &'static Policies {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "standards" => Ok(&Policies::STANDARDS),
            "storyden" => Ok(&Policies::STORYDEN),
            _ => Err(format!("is {text:?}; use standards or storyden")),
        }
    }
}

impl Setting for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("is {text:?}; use text or json")),
        }
    }
}

impl Setting for u64 {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("is {text:?}; use a whole number from 1")),
        }
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" => Ok(true),
            "false" | "0" | "f" => Ok(false),
            _ => Err(format!("is {text:?}; use true or false")),
        }
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        parse_duration(text)
            .ok_or_else(|| format!("is {text:?}; use a duration like 15m, 1.5h, 90s or 0s"))
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// Parses a duration in Go's syntax: numbers with units from `ns` to `h`, for example `1h30m` or
/// `-1.5s`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|symbol: char| symbol.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(letters);
        nanos = nanos.checked_add(nanos_of(number, unit)?)?;
        rest = next;
    }
    // Go's durations are 64-bit nanoseconds: 292 years.
    i64::try_from(nanos * sign).ok().map(Duration::nanoseconds)
}

fn nanos_of(number: &str, unit: &str) -> Option<i128> {
    let unit: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let parse = |digits: &str| {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse::<i128>().ok()
        }
    };
    let places = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    parse(whole)?
        .checked_mul(unit)?
        .checked_add(parse(fraction)?.checked_mul(unit)? / places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [
            ("15m", 900.0),
            ("1.5h", 5_400.0),
            ("0s", 0.0),
            ("0", 0.0),
            ("-1h", -3_600.0),
            ("1h30m5s", 5_405.0),
            ("250ms", 0.25),
            (".5s", 0.5),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::seconds_f64(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "15",
            "m",
            "1d",
            "1.2.3s",
            "1 h",
            "9999999999h",
            "-",
            ".",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        /// T18: no text makes the reader fall over.
        #[test]
        fn any_text_is_a_duration_or_is_refused(text in "[-+0-9.a-zµ]{0,40}") {
            let _ = parse_duration(&text);
        }
    }
}
