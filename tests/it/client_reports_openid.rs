//! OpenID Connect requests of clients that exist, from public reports about other servers. Each test names the report.

use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    Answer, Client, Member, NewClient, Server, assert_redirect_to_login, both, told,
};

const USERINFO: &str = "/api/oauth/userinfo";
const FORM: &str = "application/x-www-form-urlencoded";

/// Posts to userinfo, with a header `Content-Type` if given.
async fn post_userinfo(
    server: &Server,
    bearer: Option<&str>,
    kind: Option<&str>,
    body: String,
) -> Answer {
    let request = server.request("POST", USERINFO).body(body);
    let request = kind.into_iter().fold(request, |request, kind| {
        request.header("content-type", kind)
    });
    let request = bearer
        .into_iter()
        .fold(request, reqwest::RequestBuilder::bearer_auth);
    server.send(request).await
}

async fn access_token(server: &Server, member: &Member, app: &Client) -> String {
    server
        .tokens(member, app, &[("scope", "openid profile")])
        .await
        .text("access_token")
}

/// Opens the logout endpoint in the browser of a member.
async fn sign_out(server: &Server, member: &Member, query: &[(&str, &str)]) -> Answer {
    let request = server.request("GET", "/api/oauth/end_session").query(query);
    server.send(request.header("cookie", member.cookie())).await
}

async fn is_signed_in(server: &Server, member: &Member) -> bool {
    server.get_as(member, "/api/auth/sessions").await.status == 200
}

/// A member and a client with a redirect URI after logout.
async fn with_logout(server: &Server) -> (Member, Client) {
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let details = storyden_auth::store::client_details::Details {
        post_logout_redirect_uris: vec!["https://app.example/out".to_owned()],
        ..Default::default()
    };
    let input = (app.row_id.clone(), details);
    let saved = server.context.db.write(input, |tx, (row, details)| {
        Box::pin(storyden_auth::store::client_details::save(tx, row, details))
    });
    saved.await.unwrap();
    (frigg, app)
}

both! {
    /// <https://github.com/keycloak/keycloak/issues/20671>, <https://github.com/keycloak/keycloak/issues/19494>,
    /// <https://github.com/openziti/ziti/issues/2704>: Java libraries add a charset to the type of each form, and
    /// userinfo was the only endpoint that refused it.
    async fn userinfo_reads_a_form_with_a_charset(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = access_token(&server, &frigg, &app).await;
        for parameter in [";charset=UTF-8", "; charset=utf-8", "; Charset=\"UTF-8\"", ";charset=UTF8"] {
            let kind = format!("{FORM}{parameter}");
            let answer = post_userinfo(&server, None, Some(&kind), format!("access_token={token}")).await;
            assert_eq!(answer.expect(200).text("sub"), frigg.id.as_str());
        }
    }

    /// <https://github.com/openiddict/openiddict-core/issues/1922>: a client that posts to userinfo with the token in the
    /// header and an empty body of the type JSON. <https://github.com/aspnet-contrib/AspNet.Security.OpenIdConnect.Server/issues/404>:
    /// the same without a type. <https://github.com/keycloak/keycloak/issues/49785>: a malformed type is no server error.
    async fn userinfo_needs_no_content_type_for_a_token_in_the_header(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = access_token(&server, &frigg, &app).await;
        for kind in [Some("application/json"), None, Some(""), Some("x"), Some("a/b/c;;="), Some(FORM)] {
            let answer = post_userinfo(&server, Some(&token), kind, String::new()).await;
            assert_eq!(answer.expect(200).text("sub"), frigg.id.as_str(), "{kind:?}");
        }
        let get = server.request("GET", USERINFO).bearer_auth(&token).header("content-type", "a/b/c;;=");
        server.send(get).await.expect(200);
    }

    /// <https://github.com/panva/openid-client/issues/248>, <https://github.com/zitadel/oidc/issues/876>: clients repeat
    /// `token_type` as the scheme of the header, in the case of the response; Go's x/oauth2 writes `Bearer` for `bearer`.
    async fn the_token_type_is_a_scheme_in_every_case(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let given = tokens.text("token_type");
        assert_eq!(given, "Bearer");
        for scheme in [given.as_str(), "bearer", "BEARER"] {
            let header = format!("{scheme} {}", tokens.text("access_token"));
            let request = server.request("GET", USERINFO).header("authorization", header);
            server.send(request).await.expect(200);
        }
    }

    /// <https://github.com/Abblix/Oidc.Server/issues/558>: an essential claim without a value cost the response its ID
    /// token, against OpenID Connect Core §5.5.1. The request is the example of the specification.
    async fn an_essential_claim_without_a_value_is_no_error(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let claims = json!({
            "userinfo": {
                "given_name": { "essential": true }, "nickname": null, "email": { "essential": true },
                "email_verified": { "essential": true }, "picture": null, "http://example.info/claims/groups": null,
            },
            "id_token": { "auth_time": { "essential": true }, "acr": { "values": ["urn:mace:incommon:iap:silver"] } },
        });
        let asked = claims.to_string();
        let tokens = server.tokens(&frigg, &app, &[("claims", asked.as_str()), ("scope", "openid email")]).await;
        assert_eq!(tokens.claims("id_token")["auth_time"], 1_767_225_600);
        let shown = server.get_with_bearer(USERINFO, &tokens.text("access_token")).await.expect(200).json();
        assert_eq!(shown["email"], "frigg@example.com");
        assert_eq!(shown.get("given_name"), None);
    }

    /// <https://github.com/mitreid-connect/OpenID-Connect-Java-Spring-Server/pull/1199>: `claims` with one member, with
    /// `null`, or with none at all was a server error.
    async fn an_empty_claims_parameter_requests_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for claims in ["{}", r#"{"id_token":{}}"#, r#"{"userinfo":null}"#, r#"{"id_token":{"auth_time":null}}"#] {
            let tokens = server.tokens(&frigg, &app, &[("claims", claims), ("scope", "openid")]).await;
            let shown = server.get_with_bearer(USERINFO, &tokens.text("access_token")).await.expect(200);
            assert_eq!(shown.text("sub"), frigg.id.as_str(), "{claims}");
        }
    }

    /// <https://github.com/juanifioren/django-oidc-provider/issues/187>,
    /// <https://github.com/juanifioren/django-oidc-provider/issues/388>: `prompt=login` and `select_account` led back to the
    /// sign-in page after each sign-in. <https://github.com/journiv/journiv-app/issues/157>: also for a member who was not
    /// signed in, whose sign-in is the one that the client asks for.
    async fn a_prompt_asks_for_one_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for prompt in ["login", "select_account"] {
            for before in [Some(&frigg), None] {
                server.turn(Duration::seconds(1));
                let started = server.authorize(before, &app, &[("prompt", prompt)]).await;
                let detour = assert_redirect_to_login(started);
                server.turn(Duration::seconds(1));
                let signed_in = server.sign_in_again(&frigg).await;
                let resumed = detour.resume(&server, Some(&signed_in)).await.expect(302);
                assert_ne!(resumed.location().path(), "/login", "{prompt}");
            }
        }
    }

    /// <https://github.com/ory/hydra/issues/2538>, <https://github.com/doorkeeper-gem/doorkeeper-openid_connect/pull/221>:
    /// `prompt=create` was an error after the sign-in; OpenID Connect Core recommends to pass over unknown values.
    /// <https://github.com/heroku/heroku-mcp-server/issues/226>: Claude Code sends `prompt=consent` with `offline_access`.
    async fn every_prompt_of_a_client_is_accepted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for prompt in ["create", "consent", "create consent", "consent create"] {
            let asked = [("prompt", prompt), ("scope", "openid offline_access")];
            let answer = server.authorize(Some(&frigg), &app, &asked).await.expect(302);
            assert_eq!(answer.sent("error"), None, "{prompt}");
            assert!(answer.sent("request_id").is_some() || answer.sent("code").is_some(), "{prompt}");
            let tokens = server.tokens(&frigg, &app, &asked).await;
            assert!(!tokens.text("refresh_token").is_empty());
        }
    }

    /// <https://github.com/zitadel/zitadel/issues/5232>, <https://github.com/GluuFederation/oxAuth/issues/332>,
    /// <https://github.com/FusionAuth/fusionauth-issues/issues/3251>: a member comes back after weeks and signs out at the
    /// application, which has an expired ID token; the member was left on an error page.
    async fn an_expired_hint_leads_back_to_the_application(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = with_logout(&server).await;
        let hint = server.tokens(&frigg, &app, &[]).await.text("id_token");
        server.turn(Duration::days(29));
        let query = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://app.example/out"), ("state", "s")];
        let answer = sign_out(&server, &frigg, &query).await.expect(303);
        assert_eq!(answer.header("location"), "https://app.example/out?state=s");
        assert!(!is_signed_in(&server, &frigg).await);
    }

    /// <https://github.com/Abblix/Oidc.Server/issues/549>: a hint of another account ended the session of the current
    /// member without a question. <https://github.com/panva/node-oidc-provider/issues/464>,
    /// <https://github.com/keycloak/keycloak/issues/13188>: `client_id` takes the place of a hint; the member is asked.
    async fn only_the_own_hint_signs_out_without_a_question(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = with_logout(&server).await;
        let loki = server.member("loki", &[]).await;
        let hint = server.tokens(&loki, &app, &[]).await.text("id_token");
        let out = ("post_logout_redirect_uri", "https://app.example/out");
        for proof in [("id_token_hint", hint.as_str()), ("client_id", "app")] {
            let asked = sign_out(&server, &frigg, &[proof, out]).await.expect(303);
            assert_eq!(asked.location().path(), "/logout", "{proof:?}");
            assert!(is_signed_in(&server, &frigg).await, "{proof:?}");
        }
    }

    /// <https://github.com/JavaScriptSolidServer/JavaScriptSolidServer/issues/524>,
    /// <https://github.com/ory/hydra/issues/1482>, <https://github.com/coreos/go-oidc/issues/203>: the operator wrote the
    /// address with a slash, and metadata, `iss` of the response and `iss` of the ID token had it in two forms.
    async fn the_issuer_has_one_form(setup: Setup) {
        let server = setup.with("PUBLIC_API_ADDRESS", "https://auth.example/").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let issuer = server.get("/.well-known/openid-configuration").await.expect(200).text("issuer");
        let request_id = server.pending(&frigg, &app, &[]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        assert_eq!(approved.sent("iss").as_deref(), Some(issuer.as_str()));
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        for token in ["id_token", "access_token"] {
            assert_eq!(tokens.claims(token)["iss"], Value::from(issuer.clone()));
        }
    }

    /// <https://github.com/wso2/financial-services-accelerator/issues/16>: a pushed request with scopes that the server does
    /// not know was refused, where the same request at the authorization endpoint was not.
    async fn a_pushed_request_passes_over_unknown_scopes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let scope = "openid bank:accounts.basic:read common:customer.basic:read email phone";
        let request_uri = server.pushed(&app, &[("scope", scope), ("prompt", "consent")]).await;
        let query = [("client_id", "app"), ("request_uri", request_uri.as_str())];
        let opened = server.send(server.authorize_query(Some(&frigg), &query)).await.expect(302);
        let approved = server.decide(&frigg, &opened.sent("request_id").unwrap(), "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.scope(), ["email", "openid"]);
    }

    /// <https://github.com/ory/hydra/issues/1767>: `response_mode=fragment` was answered in the query, so that the page of
    /// the client waited for ever. A mode that this server does not have is an error that names the others.
    async fn an_unsupported_response_mode_is_told(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient { client_id: "page", ..NewClient::default() }).await;
        let refused = told(server.authorize(Some(&frigg), &app, &[("response_mode", "fragment")]).await, "invalid_request");
        let description = refused.sent("error_description").unwrap();
        let modes = server.get("/.well-known/openid-configuration").await.expect(200).json();
        for mode in modes["response_modes_supported"].as_array().unwrap() {
            assert!(description.contains(mode.as_str().unwrap()), "{description}");
        }
    }
}
