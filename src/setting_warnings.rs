//! Log lines about requests that show a wrong setting. Requests cause them, so each is limited: an attacker must not
//! control the volume of the log.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::clock::Timestamp;
use crate::config::Config;

/// Maximum number of logged characters of an origin.
const ORIGIN_MAX: usize = 200;

/// Limits of the lines.
#[derive(Debug)]
pub struct SettingWarnings {
    /// True once an ignored header of a private address was logged, and of a public address: proxies mostly have
    /// private addresses, and any client can send the header.
    forwarded: [AtomicBool; 2],
    /// The minute of the last refused origin that was logged.
    origin_minute: AtomicI64,
}

impl Default for SettingWarnings {
    fn default() -> Self {
        Self {
            forwarded: [AtomicBool::new(false), AtomicBool::new(false)],
            origin_minute: AtomicI64::new(i64::MIN),
        }
    }
}

impl SettingWarnings {
    /// Warns once that the `X-Forwarded-For` of a peer was ignored.
    pub fn forwarded_ignored(&self, peer: IpAddr) {
        let logged = &self.forwarded[usize::from(is_private(peer))];
        if !logged.load(Ordering::Relaxed) && !logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "X-Forwarded-For from {peer} ignored: not in TRUSTED_PROXIES; if this is your proxy, all its clients share \
                 one address and its rate limits"
            );
        }
    }

    /// Warns that a request was refused because of its origin, once a minute.
    pub fn origin_refused(&self, origin: &str, config: &Config, now: Timestamp) {
        let minute = now.unix_seconds().div_euclid(60);
        if self.origin_minute.swap(minute, Ordering::Relaxed) == minute {
            return;
        }
        let origin: String = origin.chars().take(ORIGIN_MAX).collect();
        tracing::warn!(
            ?origin,
            public_api_address = %config.public_api_address,
            public_web_address = %config.web_address(),
            "request refused: its origin is neither that of PUBLIC_API_ADDRESS and PUBLIC_WEB_ADDRESS nor in \
             CORS_ALLOWED_ORIGINS"
        );
    }
}

/// True for addresses of this machine and of private networks (RFC 1918, RFC 4193, RFC 6598).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0xC0 == 64;
            address.is_loopback() || address.is_private() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address.is_loopback() || first & 0xFE00 == 0xFC00 || first & 0xFFC0 == 0xFE80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_have_private_addresses() {
        for (address, private) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("100.64.0.1", true),
            ("::ffff:192.168.0.1", true),
            ("fd00::1", true),
            ("::1", true),
            ("203.0.113.7", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }
}
