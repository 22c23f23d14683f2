//! Final slashes: an issuer, a resource and a loopback redirect URI with and without. Forgiven only where
//! no other resource and no other URI is meant.

use crate::support::race::with;
use crate::support::{Answer, Client, NewClient, Server, Setup, both, refused};

const DOCUMENTS: &[&str] = &["openid-configuration", "oauth-authorization-server"];

/// Reads a document that must exist.
async fn issuer_of(server: &Server, path: &str) -> String {
    let answer = server.get(path).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json", "{path}");
    answer.text("issuer")
}

/// Exchanges a code with a redirect URI.
async fn exchange(server: &Server, app: &Client, code: &str, redirect_uri: &str) -> Answer {
    let form = with(&app.exchange_form(code), "redirect_uri", redirect_uri);
    server.token(&form).await
}

both! {
    /// req_183, req_076, req_078: the metadata of an issuer that the client writes with a final slash name
    /// the issuer without.
    async fn an_issuer_with_a_final_slash_has_the_same_metadata(setup: Setup) {
        let server = setup.clone().start().await;
        for document in DOCUMENTS {
            for path in [
                format!("/.well-known/{document}"),
                format!("/.well-known/{document}/"),
                format!("//.well-known/{document}"),
            ] {
                assert_eq!(issuer_of(&server, &path).await, "https://auth.example");
            }
            for path in [format!("/.well-known/{document}//"), format!("///.well-known/{document}")] {
                server.get(&path).await.expect(404);
            }
        }
        let resource = "/.well-known/oauth-protected-resource";
        for path in [format!("{resource}/"), format!("/{resource}")] {
            assert_eq!(server.get(&path).await.expect(200).text("resource"), "https://auth.example");
        }
        let resource = server.get("/.well-known/oauth-protected-resource/api/").await.expect(200);
        assert_eq!(resource.text("resource"), "https://auth.example/api");
        let issuer = "https://auth.example/forum";
        let server = setup.with("PUBLIC_API_ADDRESS", &format!("{issuer}/")).start().await;
        for document in DOCUMENTS {
            for path in [
                format!("/.well-known/{document}/forum"),
                format!("/.well-known/{document}/forum/"),
                format!("/forum/.well-known/{document}"),
                format!("/forum//.well-known/{document}"),
            ] {
                assert_eq!(issuer_of(&server, &path).await, issuer, "{path}");
            }
        }
    }

    /// a page of any origin reads the metadata there too.
    async fn metadata_with_a_final_slash_can_be_read_from_anywhere(setup: Setup) {
        let server = setup.start().await;
        let path = "/.well-known/oauth-authorization-server/";
        let request = server.request("GET", path).header("origin", "https://app.example");
        let answer = server.send(request).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let answer = server.send(server.request("POST", path)).await.expect(405);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }

    /// storyden-contract.md#paths: in the profile `storyden` only the resource metadata have a path with a
    /// final slash.
    async fn in_the_storyden_profile_metadata_have_no_final_slash(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        for document in DOCUMENTS {
            server.get(&format!("/.well-known/{document}/")).await.expect(404);
            server.get(&format!("//.well-known/{document}")).await.expect(404);
        }
        server.get("//.well-known/oauth-protected-resource").await.expect(404);
        server.get("/.well-known/oauth-protected-resource/").await.expect(200);
    }

    /// req_012, req_110, req_028, A-5: a loopback redirect URI may have or lack the final slash of its
    /// path. The code goes to the registered form with the requested port, and the token request may
    /// repeat either form.
    async fn a_loopback_redirect_uri_has_or_lacks_its_final_slash(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient {
            redirect_uris: &["http://127.0.0.1:7000", "http://localhost/cb/", "http://[::1]/a?x=1"],
            ..NewClient::default()
        }).await;
        for (asked, form) in [
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
            ("http://localhost:5000/cb", "http://localhost:5000/cb/"),
            ("http://[::1]:5000/a/?x=1", "http://[::1]:5000/a?x=1"),
        ] {
            for sent in [asked, form] {
                let request_id = server.pending(&frigg, &app, &[("redirect_uri", asked)]).await;
                let page = server.consent(&frigg, &request_id).await.expect(200);
                assert_eq!(page.text("redirect_uri"), form);
                let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
                assert!(approved.text("location").starts_with(form), "{approved:?}");
                let code = approved.sent("code").unwrap();
                for other in ["http://127.0.0.1:5001", "http://localhost:5000/c", "http://[::1]:5000/a//?x=1"] {
                    exchange(&server, &app, &code, other).await.expect_error(400, "invalid_grant");
                }
                exchange(&server, &app, &code, sent).await.expect(200);
            }
            let asked = [("redirect_uri", asked), ("scope", "op\"enid")];
            let error = server.authorize(Some(&frigg), &app, &asked).await.expect(302);
            assert!(error.header("location").starts_with(form));
        }
    }

    /// A-2, req_110: everywhere else a slash is a different URI.
    async fn a_slash_is_a_difference_everywhere_else(setup: Setup) {
        let server = setup.clone().start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient {
            redirect_uris: &["https://app.example/cb", "com.example.app:/cb", "http://localhost/cb", "https://localhost/cb"],
            ..NewClient::default()
        }).await;
        for asked in [
            "https://app.example/cb/", "com.example.app:/cb/", "http://localhost:1/cb//", "http://localhost:1/cb/x",
            "https://localhost/cb/", "http://localhost:1/cb/?x=1",
        ] {
            refused(server.authorize(Some(&frigg), &app, &[("redirect_uri", asked)]).await, "invalid_request");
        }
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        for asked in ["http://localhost/cb/", "http://localhost:1/cb"] {
            let answer = server.authorize(Some(&frigg), &app, &[("redirect_uri", asked)]).await;
            let answer = answer.expect_error(400, "invalid_request");
            assert_eq!(answer.text("error_description"), "Redirect URI is not registered for this client");
        }
    }

    /// The description compares with the most similar registered URI and names the parts that differ,
    /// never the port of a loopback address.
    async fn a_mismatch_is_explained_by_the_most_similar_uri(setup: Setup) {
        let server = setup.start().await;
        let app = server.client(NewClient {
            redirect_uris: &[
                "https://other.example/cb", "http://127.0.0.1:7000/callback", "https://app.example/cb",
                "https://app.example/deep/path",
            ],
            ..NewClient::default()
        }).await;
        for (asked, parts) in [
            ("https://app.example/cb/", "the trailing slash of the path"),
            ("http://127.0.0.1:5000/other", "the path"),
            ("http://localhost:5000/callback", "the host"),
            ("https://app.example/deep/Path", "the case of the path"),
            ("https://app.example:8443/deep/path", "the port"),
            ("https://127.0.0.1/callback", "the scheme"),
        ] {
            let answer = server.authorize(None, &app, &[("redirect_uri", asked)]).await;
            let expected = format!(
                "redirect_uri matches none of the 4 registered redirect URIs; it differs from the nearest one in {parts}"
            );
            assert_eq!(answer.expect(400).text("error_description"), expected);
        }
        for (asked, fault) in [
            ("http://app.example/cb", "must use https, or http on localhost, 127.0.0.1 or [::1]"),
            ("https://app.example/cb#x", "must not have a fragment"),
            ("/cb", "must be an absolute URI"),
        ] {
            let answer = server.authorize(None, &app, &[("redirect_uri", asked)]).await;
            let expected = format!("redirect_uri {fault}");
            assert_eq!(answer.expect(400).text("error_description"), expected);
        }
    }

    /// req_144, req_145: a resource with or without its final slash is the registered one, unless both are
    /// registered: then each is a resource of its own.
    async fn a_resource_has_or_lacks_its_final_slash(setup: Setup) {
        let audience = async |server: &Server, asked: &str| {
            let odin = server.admin("odin").await;
            let service = server.confidential_client(&odin.id).await;
            let mut form = vec![("grant_type", "client_credentials"), ("resource", asked)];
            form.extend(service.credentials());
            let tokens = server.token(&form).await.expect(200);
            server.sql("DELETE FROM oauth_clients", &[]).await;
            server.sql("UPDATE accounts SET handle = id WHERE handle = 'odin'", &[]).await;
            server.sql("UPDATE emails SET email_address = id", &[]).await;
            tokens.claims("access_token")["aud"].clone()
        };
        let (bare, slash) = ("https://files.example/v1", "https://files.example/v1/");
        let start = async |setup: &Setup, resources: &str| {
            setup.clone().with("OAUTH_RESOURCES", resources).start().await
        };
        let server = start(&setup, bare).await;
        assert_eq!(audience(&server, slash).await, bare);
        assert_eq!(audience(&server, bare).await, bare);
        let server = start(&setup, slash).await;
        assert_eq!(audience(&server, bare).await, slash);
        let server = start(&setup, &format!("{bare} {slash}")).await;
        assert_eq!(audience(&server, bare).await, bare);
        assert_eq!(audience(&server, slash).await, slash);
    }
}
