//! Web addresses in client metadata: pages and key sets.

use url::Url;

/// The longest URL, in bytes.
const LENGTH_MAX: usize = 2_048;

/// True for an absolute https URL with a host, without user information.
pub(super) fn is_https_url(uri: &str) -> bool {
    let plain = uri.len() <= LENGTH_MAX && uri.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::parse(uri).ok().filter(|_| plain);
    url.is_some_and(|url| {
        url.scheme() == "https"
            && uri.to_ascii_lowercase().starts_with("https://")
            && !uri.contains(['\\', '"', '<', '>'])
            && url.username().is_empty()
            && url.password().is_none()
    })
}
