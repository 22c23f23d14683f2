//! Reasons for a failed connection, with the advice for each: refused, timed out, and unknown host.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use url::Url;

use super::Findings;
use crate::cli::with_causes;

/// Time limit of a connection and of a request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// A failed connection.
#[derive(Debug)]
pub(super) struct Unreachable {
    /// The reason.
    pub(super) reason: String,
    /// The change that repairs the reason.
    pub(super) advice: &'static str,
}

const REFUSED: &str = "start the program that belongs at this address, or correct host and port";
const TIMED_OUT: &str = "open the port in the firewalls and security groups between this machine and that host, \
                         or correct the host";
const UNKNOWN_HOST: &str = "correct the host name, or its DNS record";
const CERTIFICATE: &str = "let the server send its whole chain, correct the host name, or trust its authority: in the \
                           certificates of this system, or in a PEM file that SSL_CERT_FILE names";
const OTHER: &str = "check the host, the port and the network";

impl Unreachable {
    fn refused() -> Self {
        Self {
            reason: "connection refused: the host answers, and no program listens at the port"
                .to_owned(),
            advice: REFUSED,
        }
    }

    fn timed_out() -> Self {
        let limit = TIMEOUT.as_secs();
        Self {
            reason: format!(
                "no answer within {limit} s: the host is down, or a firewall drops the connection"
            ),
            advice: TIMED_OUT,
        }
    }

    fn of(error: &std::io::Error) -> Self {
        let text = error.to_string();
        let is_lookup = text.contains("lookup address") || text.contains("resolve");
        if text.contains("certificate") {
            return Self {
                reason: format!("certificate: {text}"),
                advice: CERTIFICATE,
            };
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::refused(),
            ErrorKind::TimedOut => Self::timed_out(),
            _ if is_lookup => Self {
                reason: format!("the host is not known: {text}"),
                advice: UNKNOWN_HOST,
            },
            _ => Self {
                reason: text,
                advice: OTHER,
            },
        }
    }

    /// Reads the reason of a failed request.
    pub(super) fn of_request(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::timed_out();
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
                return Self::of(cause);
            }
            source = cause.source();
        }
        let reason = with_causes(&error.without_url());
        if reason.contains("certificate") {
            return Self {
                reason: format!("certificate: {reason}"),
                advice: CERTIFICATE,
            };
        }
        Self {
            reason,
            advice: OTHER,
        }
    }
}

/// Checks that the server of a PostgreSQL URL accepts connections. The connection pool repeats refused connections
/// until its time is over, and then reports only the time.
pub(super) async fn examine_postgres(url: &str, findings: &mut Findings) -> bool {
    let Some((host, port)) = server_of(url) else {
        return true; // a socket of this machine
    };
    let failed =
        match tokio::time::timeout(TIMEOUT, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => Unreachable::of(&error),
            Err(_) => Unreachable::timed_out(),
        };
    let advice = format!(
        "{}; DATABASE_URL names the host and the port of PostgreSQL",
        failed.advice
    );
    findings.fail(
        "database",
        format!("{host}:{port}: {}", failed.reason),
        advice,
    );
    false
}

/// Host and port of a PostgreSQL URL; `None` for a Unix socket, or for a host in the query.
fn server_of(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    if url
        .query_pairs()
        .any(|(name, _)| matches!(&*name, "host" | "hostaddr" | "port"))
    {
        return None;
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty() && !host.contains('%'))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), url.port().unwrap_or(5432)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgres_url_names_a_server_or_a_socket() {
        let of = server_of;
        assert_eq!(
            of("postgres://a:b@db.internal/x"),
            Some(("db.internal".to_owned(), 5432))
        );
        assert_eq!(
            of("postgresql://a@[::1]:15432/x"),
            Some(("::1".to_owned(), 15432))
        );
        assert_eq!(of("postgres://%2Fvar%2Frun%2Fpostgresql/x"), None);
        assert_eq!(of("postgres:///x?host=/var/run/postgresql"), None);
    }

    #[test]
    fn refused_and_timed_out_are_told_apart() {
        let reason = |kind| Unreachable::of(&std::io::Error::from(kind)).reason;
        assert!(reason(ErrorKind::ConnectionRefused).contains("no program listens"));
        assert!(reason(ErrorKind::TimedOut).contains("a firewall drops"));
        let unknown = std::io::Error::other(
            "failed to lookup address information: Name or service not known",
        );
        assert_eq!(Unreachable::of(&unknown).advice, UNKNOWN_HOST);
        let untrusted = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        let untrusted = Unreachable::of(&untrusted);
        assert_eq!(untrusted.advice, CERTIFICATE);
        assert!(untrusted.reason.starts_with("certificate: invalid peer"));
    }
}
