//! Unit tests of `oauth::redirect_uri`.
#![expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]

use super::*;
use proptest::prelude::*;

const POLICY: RedirectUriPolicy = RedirectUriPolicy {
    loopback: LoopbackMatching::Lenient,
    mismatch_error: MismatchError::Detailed,
};

fn registered(uri: &str) -> [String; 1] {
    [uri.to_owned()]
}

/// A-2, req_012, req_110: only the identical string matches.
#[test]
fn nothing_but_the_same_string_matches() {
    let known = registered("https://app.example/cb");
    assert!(is_registered("https://app.example/cb", &known));
    for other in [
        "https://app.example/cb/../evil",
        "https://app.example/cb%2f..",
        "https://app.example.evil.com/cb",
        "https://app.example/cb?x=1",
        "https://app.example/cb/",
        "https://APP.example/cb",
        "https://app.example:443/cb",
        "https://app@evil/cb",
        "https://app.example/cb%23x",
    ] {
        assert!(!is_registered(other, &known), "{other}");
    }
}

/// req_068: on loopback only the port may differ.
#[test]
fn on_loopback_the_port_alone_may_differ() {
    for (known, asked) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234/cb"),
        ("http://[::1]/cb?a=1", "http://[::1]:1/cb?a=1"),
        ("http://localhost:9/cb", "http://localhost:65535/cb"),
        ("http://127.0.0.1:80/cb", "http://127.0.0.1/cb"),
    ] {
        assert!(is_registered(asked, &registered(known)), "{asked}");
    }
    for (known, asked) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51234/other"),
        ("http://127.0.0.1/cb", "http://127.0.0.2/cb"),
        ("http://127.0.0.1/cb", "http://localhost/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.com/cb"),
        ("https://app.example/cb", "https://app.example:8443/cb"),
        ("http://app.example/cb", "http://app.example:81/cb"),
    ] {
        assert!(!is_registered(asked, &registered(known)), "{asked}");
    }
}

/// req_012, req_110: on loopback the final slash is forgiven, and the response goes to the registered
/// form with the requested port.
#[test]
fn on_loopback_the_final_slash_is_forgiven() {
    let known = [
        "http://127.0.0.1:7000".to_owned(),
        "http://localhost/cb/".to_owned(),
        "http://[::1]/a?x=/".to_owned(),
        "https://localhost/cb".to_owned(),
        "https://app.example/cb".to_owned(),
    ];
    for (asked, form) in [
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("http://localhost:5000/cb", "http://localhost:5000/cb/"),
        ("http://[::1]:5000/a/?x=/", "http://[::1]:5000/a?x=/"),
    ] {
        assert_eq!(resolve(POLICY, Some(asked), &known).unwrap(), form);
        assert!(repeats(POLICY, asked, form) && repeats(POLICY, form, form));
        let exact = RedirectUriPolicy {
            loopback: LoopbackMatching::Exact,
            ..POLICY
        };
        assert!(resolve(exact, Some(asked), &known).is_err(), "{asked}");
        assert!(!repeats(exact, asked, form));
    }
    for asked in [
        "http://127.0.0.1:5000//",
        "http://127.0.0.1:5000/cb",
        "http://127.0.0.2:5000/",
        "http://localhost:5000/CB",
        "http://localhost:5000/cb//",
        "http://localhost:5000/cb/?",
        "http://[::1]:5000/a?x=",
        "https://localhost/cb/",
        "https://app.example/cb/",
    ] {
        assert!(resolve(POLICY, Some(asked), &known).is_err(), "{asked}");
    }
    let both = [
        "http://127.0.0.1/cb".to_owned(),
        "http://127.0.0.1/cb/".to_owned(),
    ];
    for asked in ["http://127.0.0.1:1/cb", "http://127.0.0.1:1/cb/"] {
        assert_eq!(resolve(POLICY, Some(asked), &both).unwrap(), asked);
    }
    assert!(!repeats(
        POLICY,
        "https://app.example/cb/",
        "https://app.example/cb"
    ));
}

/// A-8, req_010, req_116: an unsafe URI that Storyden stored unchecked does not match.
#[test]
fn a_stored_uri_that_no_browser_may_be_sent_to_is_not_registered() {
    for uri in [
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "https://a.example/cb#x",
        "http://a.example/cb",
        "https://u@a.example/cb",
    ] {
        assert!(!is_registered(uri, &registered(uri)), "{uri}");
        assert!(resolve(POLICY, None, &registered(uri)).is_err(), "{uri}");
    }
    assert!(is_registered(
        "myapp://callback",
        &registered("myapp://callback")
    ));
}

/// req_010, req_069, req_116: rejected URIs. A look-alike host shows
/// as punycode, because only its punycode form can be registered.
#[test]
fn what_may_not_be_registered() {
    for (uri, why) in [
        ("/relative", RedirectUriError::NotAbsolute),
        ("https:callback", RedirectUriError::NotAbsolute),
        ("https://app@evil/cb", RedirectUriError::UserInfo),
        ("https://app\\@evil/cb", RedirectUriError::Characters),
        ("https://\u{430}pp.example/cb", RedirectUriError::Characters),
        ("https://app#@evil/cb", RedirectUriError::Fragment),
        ("https://app.example/cb#", RedirectUriError::Fragment),
        ("https://*.app.example/cb", RedirectUriError::Wildcard),
        ("http://127.0.0.1.evil.com/", RedirectUriError::PlainHttp),
        ("http://0x7f.1/", RedirectUriError::AmbiguousHost),
        ("http://2130706433/", RedirectUriError::AmbiguousHost),
        (
            "http://[::ffff:127.0.0.1]/",
            RedirectUriError::AmbiguousHost,
        ),
        ("http://app.example/cb", RedirectUriError::PlainHttp),
        ("javascript:alert(1)", RedirectUriError::Scheme),
        ("data:text/html,x", RedirectUriError::Scheme),
        ("vbscript:x", RedirectUriError::Scheme),
        ("file:///etc/passwd", RedirectUriError::Scheme),
        ("intent://x", RedirectUriError::Scheme),
        ("myapp://callback", RedirectUriError::SchemeWithoutDot),
        ("https://app.example/a b", RedirectUriError::Characters),
        ("https://app.example/\r\nX: y", RedirectUriError::Characters),
    ] {
        assert_eq!(check_registration(uri), Err(why), "{uri}");
    }
    for uri in [
        "https://app.example/cb?a=1&a=2",
        "https://xn--pp-8ja.example/cb",
        "http://127.0.0.1/cb",
        "http://127.9.9.9:80/cb",
        "http://[::1]:7777/cb",
        "http://localhost/cb",
        "com.example.app:/callback",
    ] {
        assert_eq!(check_registration(uri), Ok(()), "{uri}");
    }
}

/// A-13, req_011: the registered query stays byte for byte.
#[test]
fn the_registered_query_stays_as_it_is() {
    let parameters = [("code", "a/b"), ("state", "x y&z=\r\n")];
    let added = |uri| with_parameters(uri, &parameters);
    assert_eq!(
        added("https://a.example/cb?b=%20&a=1&a=2"),
        "https://a.example/cb?b=%20&a=1&a=2&code=a%2Fb&state=x%20y%26z%3D%0D%0A"
    );
    assert_eq!(
        added("com.example:/cb"),
        "com.example:/cb?code=a%2Fb&state=x%20y%26z%3D%0D%0A"
    );
}

proptest! {
    /// T18, req_042: whatever is requested, a response goes to a registered URI, or to one that
    /// differs only in a loopback port.
    #[test]
    fn a_response_goes_to_a_registered_uri(
        known in "(http|https)://(127\\.0\\.0\\.1|\\[::1\\]|localhost|a\\.example)(:[0-9]{1,5})?/?[a-z]{0,2}/?(\\?/?)?",
        asked in "(http|https)://(127\\.0\\.0\\.1|\\[::1\\]|localhost|a\\.example)(:[0-9]{1,5})?/?[a-z]{0,2}/?(\\?/?)?",
    ) {
        let known = registered(&known);
        if let Ok(form) = resolve(POLICY, Some(&asked), &known) {
            prop_assert!(is_registered(&form, &known));
            prop_assert!(repeats(POLICY, &asked, &form));
        }
    }

    /// T18: a match is the registered string, or differs only in a loopback port.
    #[test]
    fn a_match_is_the_same_string_or_another_loopback_port(
        known in "(http|https)://(127\\.0\\.0\\.1|\\[::1\\]|localhost|a\\.example)(:[0-9]{1,5})?/[a-z]{0,2}",
        asked in "(http|https)://(127\\.0\\.0\\.1|\\[::1\\]|localhost|a\\.example)(:[0-9]{1,5})?/[a-z]{0,2}",
    ) {
        if known != asked && is_registered(&asked, &registered(&known)) {
            let (a, b) = (Url::parse(&known).unwrap(), Url::parse(&asked).unwrap());
            prop_assert!(is_loopback(&a) && a.scheme() == "http");
            prop_assert_eq!((a.host_str(), a.path()), (b.host_str(), b.path()));
        }
    }

    /// T18, A-10: no text causes a panic, and accepted text is plain ASCII.
    #[test]
    fn any_text_is_checked(text in ".{0,80}") {
        if check_registration(&text).is_ok() {
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let _ = is_registered(&text, &registered(&text));
    }
}
