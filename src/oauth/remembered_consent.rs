//! Rules of remembered consent: the requests that an earlier approval may answer without a page, and the
//! scopes that an approval leaves behind.

use url::{Host, Url};

use super::grant_type::ClientType;
use super::permission::Permission;
use super::redirect_uri::is_loopback;
use super::scope::{Scope, ScopeName};

/// True if the identity of a client is assured at this redirect URI, so that an earlier approval may count
/// again (RFC 6749 §10.2, RFC 8252 §8.6): the client has a secret or a key, or the redirect URI is a web
/// address of a different machine. Any program can receive a loopback or private-use redirect URI and pass as the
/// approved client.
#[must_use]
pub fn is_identity_assured(kind: ClientType, redirect_uri: &str) -> bool {
    if kind == ClientType::Confidential {
        return true;
    }
    Url::parse(redirect_uri).is_ok_and(|url| {
        url.scheme() == "https" && !is_loopback(&url) && !is_local_name(url.host().as_ref())
    })
}

/// True for names below `localhost`, which resolve to loopback addresses (RFC 6761 §6.3).
fn is_local_name(host: Option<&Host<&str>>) -> bool {
    let Some(Host::Domain(name)) = host else {
        return false;
    };
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns the part of a scope that may be remembered: everything except privileged permissions, which
/// always need a page.
#[must_use]
pub fn rememberable(scope: &Scope) -> Scope {
    let is_privileged = |name: &ScopeName| name.permission().is_some_and(Permission::is_privileged);
    scope.iter().filter(|name| !is_privileged(name)).collect()
}

/// True if a remembered scope answers a request that would be granted `granted`. A request that would be
/// granted nothing needs a page, which says so.
#[must_use]
pub fn covers(remembered: &Scope, granted: &Scope) -> bool {
    !granted.is_empty() && granted.is_within(remembered) && rememberable(granted) == *granted
}

/// Returns the earlier scopes that an approval leaves as they are: the scopes that its page did not offer.
/// An offered scope is remembered again only if granted again.
#[must_use]
pub fn untouched(earlier: &Scope, offered: &Scope) -> Scope {
    let is_untouched = |name: &ScopeName| !offered.contains(*name);
    earlier.iter().filter(is_untouched).collect()
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// req_073: without a secret, only a web address of a different machine assures the identity.
    #[test]
    fn a_public_client_is_known_by_a_web_address_alone() {
        for uri in [
            "http://127.0.0.1/cb",
            "http://127.9.9.9:7777/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
            "https://localhost:8443/cb",
            "https://app.localhost/cb",
            "https://app.localhost./cb",
            "https://127.0.0.1/cb",
            "com.example.app:/cb",
            "myapp://callback",
            "http://app.example/cb",
            "not a uri",
            "",
        ] {
            assert!(!is_identity_assured(ClientType::Public, uri), "{uri}");
            assert!(is_identity_assured(ClientType::Confidential, uri), "{uri}");
        }
        assert!(is_identity_assured(
            ClientType::Public,
            "https://app.example/cb"
        ));
    }

    #[test]
    fn a_privileged_permission_is_not_remembered() {
        let scope = Scope::stored("openid ADMINISTRATOR CREATE_POST MANAGE_ROLES");
        assert_eq!(rememberable(&scope).to_string(), "openid CREATE_POST");
        assert!(!covers(&scope, &Scope::stored("openid ADMINISTRATOR")));
        assert!(covers(&scope, &Scope::stored("CREATE_POST")));
        assert!(!covers(&scope, &Scope::default()));
    }

    #[test]
    fn a_scope_that_was_offered_and_left_out_is_forgotten() {
        let earlier = Scope::stored("openid email CREATE_POST");
        let offered = Scope::stored("openid email");
        assert_eq!(untouched(&earlier, &offered).to_string(), "CREATE_POST");
    }

    proptest! {
        /// T18: a remembered scope never answers for a name that the scope lacks.
        #[test]
        fn nothing_new_is_covered(
            remembered in prop::collection::vec(0..38_usize, 0..12),
            granted in prop::collection::vec(0..38_usize, 0..6),
        ) {
            let all: Vec<ScopeName> = Scope::all().iter().collect();
            let scope = |indexes: &[usize]| indexes.iter().map(|index| all[*index]).collect::<Scope>();
            let (remembered, granted) = (scope(&remembered), scope(&granted));
            if covers(&remembered, &granted) {
                prop_assert!(granted.iter().all(|name| remembered.contains(name)));
                prop_assert!(granted.permissions().iter().all(|one| !one.is_privileged()));
            }
        }
    }
}
