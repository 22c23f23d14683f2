//! Plain http URIs on a loopback address: the port does not count (RFC 8252 §7.3), and a final slash of
//! the path is forgiven.

/// True for plain http on a loopback address, where the port does not count.
pub(super) fn has_any_port(text: &str) -> bool {
    without_port(text).is_some()
}

/// Splits a plain http loopback URI into host and path with query, without the port; `None` for every
/// other URI.
pub(super) fn without_port(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = host_of(authority);
    let port = authority[host.len()..].strip_prefix(':');
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return None;
    }
    let literal = host == "localhost" || host == "[::1]" || is_loopback_v4(host);
    literal.then_some((host, path))
}

/// Adds the final slash of the path, or removes it; `None` for a path with two slashes at its end, and
/// for a URI that is not on a loopback address.
pub(super) fn with_other_slash(text: &str) -> Option<String> {
    without_port(text)?;
    let (base, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    match base.strip_suffix('/') {
        Some(path) if path.ends_with('/') => None,
        Some(path) => Some(format!("{path}{query}")),
        None => Some(format!("{base}/{query}")),
    }
}

/// An authority without its port.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// True for an address of 127.0.0.0/8 in dotted decimal form.
fn is_loopback_v4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>()
        .is_ok_and(|address| address.is_loopback())
}
