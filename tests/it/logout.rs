//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): the ended session, the redirect, and
//! the confirmation page.

use serde_json::json;
use time::Duration;
use url::Url;

use crate::support::forgery::{signed, signed_by_another};
use crate::support::{Answer, Client, Member, NewClient, Server, both};

const PATH: &str = "/api/oauth/end_session";
/// The registered redirect URI after logout.
const OUT: &str = "https://app.example/out?a=%20b";

/// A client with a redirect URI after logout.
async fn client(server: &Server, client_id: &'static str) -> Client {
    let client = server
        .client(NewClient {
            client_id,
            ..NewClient::default()
        })
        .await;
    let details = storyden_auth::store::client_details::Details {
        post_logout_redirect_uris: vec![OUT.to_owned(), "https://app.example/plain".to_owned()],
        ..Default::default()
    };
    let row = client.row_id.clone();
    let saved = server
        .context
        .db
        .write((row, details), |tx, (row, details)| {
            Box::pin(storyden_auth::store::client_details::save(tx, row, details))
        });
    saved.await.unwrap();
    client
}

/// Follows an application's logout link, with or without a session.
async fn sign_out(server: &Server, who: Option<&Member>, query: &[(&str, &str)]) -> Answer {
    let request = server.request("GET", PATH).query(query);
    let request = match who {
        Some(member) => request.header("cookie", member.cookie()),
        None => request,
    };
    server.send(request).await
}

/// True if the session is live.
async fn is_signed_in(server: &Server, member: &Member) -> bool {
    let answer = server
        .get_as(member, "/api/oauth/authorize/consent?request_id=x")
        .await;
    answer.status != 401
}

/// Expects the page at the end of a sign-out without a redirect.
#[track_caller]
fn assert_signed_out_page(answer: &Answer) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(
        answer
            .header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert!(answer.body.contains("<h1>You are signed out</h1>"));
}

/// Expects the confirmation page and returns the page's `return_url`.
#[track_caller]
fn assert_confirmation(answer: Answer) -> Option<String> {
    let answer = answer.expect(303);
    assert_eq!(answer.find_header("set-cookie"), None);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        answer.location().as_str().split('?').next(),
        Some("https://auth.example/logout")
    );
    assert!(!answer.location().as_str().contains("id_token_hint"));
    answer.sent("return_url")
}

both! {
    /// req_185, req_186: with an ID token of the person as a hint, of any age, the session ends at
    /// once, and the browser is redirected with `state`.
    async fn a_matching_hint_ends_the_session(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let other = server.sign_in_again(&frigg).await;
        let app = client(&server, "app").await;
        let hint = server.tokens(&frigg, &app, &[]).await.text("id_token");
        server.turn(Duration::days(30));
        let query = [("id_token_hint", hint.as_str()), ("client_id", "app"), ("post_logout_redirect_uri", OUT), ("state", "a&b=\u{e9}")];
        let answer = sign_out(&server, Some(&frigg), &query).await.expect(303);
        assert_eq!(answer.header("location"), "https://app.example/out?a=%20b&state=a%26b%3D%C3%A9");
        assert_eq!(answer.cookie("storyden-session"), "");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!is_signed_in(&server, &frigg).await);
        assert!(is_signed_in(&server, &other).await); // another browser of the same account
        let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'signed_out' AND actor_id = $1 AND client_id = 'app'";
        assert_eq!(server.count(sql, &[frigg.id.as_str()]).await, 1);
        // With the hint alone there is no way back: the page tells that the browser is signed out.
        let answer = sign_out(&server, Some(&other), &[("id_token_hint", &hint)]).await;
        assert_eq!(answer.cookie("storyden-session"), "");
        assert_signed_out_page(&answer);
        assert!(!is_signed_in(&server, &other).await);
        // Without a session
        let answer = sign_out(&server, Some(&frigg), &query[..3]).await.expect(303);
        assert_eq!(answer.header("location"), OUT);
        assert_signed_out_page(&sign_out(&server, None, &[]).await);
    }

    /// req_187, A-57: without a valid hint the session survives until the user confirms (CSRF).
    async fn without_a_valid_hint_logout_needs_confirmation(setup: Setup) {
        let server = setup.start().await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let app = client(&server, "app").await;
        let hint = server.tokens(&loki, &app, &[]).await.text("id_token");
        assert_eq!(assert_confirmation(sign_out(&server, Some(&frigg), &[]).await), None);
        assert_eq!(assert_confirmation(sign_out(&server, Some(&frigg), &[("id_token_hint", &hint)]).await), None);
        let query = [("client_id", "app"), ("post_logout_redirect_uri", OUT), ("state", "s")];
        let with_hint = [("id_token_hint", hint.as_str()), query[1], query[2]];
        for query in [query, with_hint] {
            let back = assert_confirmation(sign_out(&server, Some(&frigg), &query).await).unwrap();
            assert!(back.starts_with("/api/oauth/end_session?"), "{back}");
            assert!(is_signed_in(&server, &frigg).await);
            // The confirmation page ends the session and returns to this URL.
            let again = Url::parse("https://auth.example").unwrap().join(&back).unwrap();
            let answer = server.get(&format!("{}?{}", again.path(), again.query().unwrap())).await.expect(303);
            assert_eq!(answer.header("location"), "https://app.example/out?a=%20b&state=s");
        }
    }

    /// req_185, A-57: a cross-site form arrives without the cookie and continues by GET.
    async fn a_cross_site_form_continues_by_get(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client(&server, "app").await;
        let hint = server.tokens(&frigg, &app, &[]).await.text("id_token");
        let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT), ("state", "x y"), ("other", "1")];
        let answer = server.post_form(PATH, &form).await.expect(303);
        let next = answer.location();
        assert_eq!((next.path(), next.query_pairs().count()), (PATH, 3));
        assert!(is_signed_in(&server, &frigg).await);
        let request = server.request("GET", &format!("{PATH}?{}", next.query().unwrap()));
        let answer = server.send(request.header("cookie", frigg.cookie())).await.expect(303);
        assert_eq!(answer.header("location"), "https://app.example/out?a=%20b&state=x%20y");
        assert!(!is_signed_in(&server, &frigg).await);
    }

    /// req_186, req_042: an unregistered redirect URI is rejected, byte for byte.
    async fn an_unregistered_redirect_uri_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client(&server, "app").await;
        server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let hint = server.tokens(&frigg, &app, &[]).await.text("id_token");
        for uri in [
            "https://app.example/out", "https://app.example/out?a=%20b&c", "https://app.example/cb", "https://evil.example/",
            "https://app.example/plain/", "https://APP.example/plain", "//evil.example", "javascript:alert(1)",
        ] {
            let query = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", uri)];
            for who in [Some(&frigg), None] {
                let answer = sign_out(&server, who, &query).await.expect_error(400, "invalid_request");
                assert_eq!(answer.find_header("location"), None);
            }
        }
        for (query, code) in [
            (vec![("post_logout_redirect_uri", OUT)], "invalid_request"),
            (vec![("post_logout_redirect_uri", OUT), ("client_id", "other")], "invalid_request"),
            (vec![("post_logout_redirect_uri", OUT), ("client_id", "nobody")], "invalid_client"),
            (vec![("post_logout_redirect_uri", OUT), ("client_id", "other"), ("id_token_hint", &hint)], "invalid_request"),
            (vec![("client_id", "other"), ("id_token_hint", &hint)], "invalid_request"),
            (vec![("state", "a"), ("state", "b")], "invalid_request"),
        ] {
            sign_out(&server, Some(&frigg), &query).await.expect_error(400, code);
        }
        assert!(is_signed_in(&server, &frigg).await);
        let page = server.request("GET", PATH).query(&[("post_logout_redirect_uri", "https://evil.example/")]);
        let page = server.send(page.header("accept", "text/html")).await.expect(400);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(!page.body.contains("evil.example"));
    }

    /// req_185, req_187, A-76: a hint that is not an ID token of this server, or whose key was replaced, proves
    /// nothing: the user is asked, and the hint vouches for no redirect URI (§2, §4).
    async fn a_hint_that_cannot_be_verified_asks_the_user(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let name = format!("frigg-{profile}");
            let frigg = server.member(&name, &[]).await;
            let app = client(&server, if profile == "standards" { "one" } else { "two" }).await;
            let tokens = server.tokens(&frigg, &app, &[]).await;
            let (header, claims) = (tokens.jwt_header("id_token"), tokens.claims("id_token"));
            let mut elsewhere = claims.clone();
            elsewhere["iss"] = json!("https://elsewhere.example");
            let mut userinfo = claims.clone();
            userinfo.as_object_mut().unwrap().remove("iat");
            for hint in [
                "x".to_owned(),
                tokens.text("access_token"),
                signed_by_another(&header, &claims),
                signed(&header, &elsewhere),
                signed(&header, &userinfo),
                signed(&json!({ "alg": "RS256", "typ": "at+jwt" }), &claims),
            ] {
                let hint = ("id_token_hint", hint.as_str());
                let query = [hint, ("post_logout_redirect_uri", OUT), ("state", "s")];
                for query in [&query[..1], &query] {
                    let answer = sign_out(&server, Some(&frigg), query).await;
                    assert_eq!(assert_confirmation(answer), None);
                    assert_signed_out_page(&sign_out(&server, None, query).await);
                }
                // A named client vouches for the redirect URI, after the user confirmed.
                let query = [hint, ("client_id", &app.client_id), query[1]];
                let answer = sign_out(&server, Some(&frigg), &query).await;
                let back = assert_confirmation(answer).unwrap();
                assert!(back.contains("client_id") && !back.contains("id_token_hint"), "{back}");
                let query = [hint, ("client_id", &app.client_id), ("post_logout_redirect_uri", "https://evil.example/")];
                sign_out(&server, Some(&frigg), &query).await.expect_error(400, "invalid_request");
            }
            assert!(is_signed_in(&server, &frigg).await);
            let good = signed(&header, &claims);
            assert_signed_out_page(&sign_out(&server, Some(&frigg), &[("id_token_hint", &good)]).await);
            assert!(!is_signed_in(&server, &frigg).await);
        }
    }

    /// A-108, P4: while OAuth is off or the database is unavailable, the request fails with the reason.
    async fn logout_fails_while_oauth_or_the_database_is_unavailable(setup: Setup) {
        let off = setup.clone().with("OAUTH_ENABLED", "false").start().await;
        sign_out(&off, None, &[]).await.expect_error(400, "temporarily_unavailable");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.send(server.request("HEAD", PATH)).await.expect(405);
        server.context.db.close().await;
        let away = sign_out(&server, Some(&frigg), &[]).await.expect_error(503, "temporarily_unavailable");
        assert_eq!(away.header("retry-after"), "2");
    }
}
