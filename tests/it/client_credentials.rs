//! The client credentials grant (RFC 6749 §4.4): a client acts for itself.

use storyden_auth::ids::AccountId;
use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::support::race::Form;
use crate::support::{Answer, Client, NewClient, Server, both};

/// A token for the client itself, with a scope unless it is empty.
async fn ask(server: &Server, client: &Client, scope: &str) -> Answer {
    let mut form: Form<'_> = vec![("grant_type", "client_credentials")];
    form.extend(client.credentials());
    if !scope.is_empty() {
        form.push(("scope", scope));
    }
    server.token(&form).await
}

/// A client that may act for itself.
async fn service(server: &Server, owner: Option<&AccountId>, scope: &'static str) -> Client {
    let new = NewClient {
        client_id: "service",
        secret: Some("a secret"),
        scope,
        grants: &[GrantType::ClientCredentials, GrantType::RefreshToken],
        owner: owner.cloned(),
        ..NewClient::default()
    };
    server.client(new).await
}

both! {
    /// req_031, req_033, req_036: it gets what it asks within its list, no refresh token and no ID token.
    async fn a_client_gets_the_scope_it_asks_for(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let client = service(&server, Some(&frigg.id), "openid offline_access MANAGE_POSTS READ_PROFILE").await;
        let body = ask(&server, &client, "MANAGE_POSTS").await.expect(200).json();
        assert_eq!(body["scope"], "MANAGE_POSTS");
        assert_eq!((body.get("id_token"), body.get("refresh_token")), (None, None));
    }

    /// req_031, req_179: not even when it asks for the scopes that would give them.
    async fn standard_scopes_are_no_use_without_a_person(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = service(&server, Some(&frigg.id), "openid offline_access READ_PROFILE").await;
        let body = ask(&server, &client, "openid offline_access READ_PROFILE").await.expect(200).json();
        assert_eq!(body["scope"], "READ_PROFILE");
        assert_eq!((body.get("id_token"), body.get("refresh_token")), (None, None));
    }

    /// req_019, req_020: without a scope it gets its list, as far as its owner holds that.
    async fn an_omitted_scope_means_all_it_may_have(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let scope = "openid MANAGE_POSTS READ_PROFILE MANAGE_ROLES";
        let client = service(&server, Some(&frigg.id), scope).await;
        assert_eq!(ask(&server, &client, "").await.expect(200).scope(), ["MANAGE_POSTS", "READ_PROFILE"]);
        server.take_all_but_applications(&frigg).await;
        assert_eq!(ask(&server, &client, "").await.expect(200).scope(), ["READ_PROFILE"]);
    }

    /// req_020, req_017: more than its list, or what is no scope at all, is invalid_scope.
    async fn more_than_the_list_is_refused(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let client = service(&server, Some(&odin.id), "READ_PROFILE").await;
        for scope in ["MANAGE_POSTS", "READ_PROFILE ADMINISTRATOR", "read_profile", "NOBODY_KNOWS", "READ_PROFILE\t", "  "] {
            ask(&server, &client, scope).await.expect_error(400, "invalid_scope");
        }
    }

    /// req_020: ADMINISTRATOR in its list lets any permission through that the owner holds.
    async fn administrator_in_the_list_lets_all_through(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let client = service(&server, Some(&odin.id), "ADMINISTRATOR").await;
        let tokens = ask(&server, &client, "MANAGE_REPORTS").await.expect(200);
        assert_eq!(tokens.scope(), ["MANAGE_REPORTS"]);
    }

    /// req_096, req_126: its access token cannot be taken for a person's: it names the client and says how it came.
    async fn its_token_says_that_no_person_is_behind_it(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = service(&server, Some(&frigg.id), "openid READ_PROFILE").await;
        let tokens = ask(&server, &client, "").await.expect(200);
        let claims = tokens.claims("access_token");
        assert_eq!(claims["sub"], frigg.id.as_str());
        assert_eq!(claims["client_id"], "service");
        assert_eq!(claims["gty"], "client-credentials");
        assert_eq!(claims.get("gid"), None);
        let access_token = tokens.text("access_token");
        let refused = server.get_with_bearer("/api/oauth/userinfo", &access_token).await;
        refused.expect_error(403, "insufficient_scope");
    }

    /// req_030, req_071: a public client has no such grant.
    async fn a_public_client_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = server
            .client(NewClient {
                grants: &[GrantType::ClientCredentials],
                owner: Some(frigg.id.clone()),
                ..NewClient::default()
            })
            .await;
        let refused = ask(&server, &client, "").await.expect_error(400, "unauthorized_client");
        assert_eq!(refused.text("error_description"), "Client is not confidential");
    }

    /// req_036: a client without the grant, or without an owner, may not.
    async fn the_grant_and_an_owner_are_needed(setup: Setup) {
        let server = setup.start().await;
        let homeless = service(&server, None, "READ_PROFILE").await;
        let refused = ask(&server, &homeless, "").await.expect_error(400, "unauthorized_client");
        assert_eq!(refused.text("error_description"), "Client has no associated account");
        let other = server
            .client(NewClient { client_id: "other", secret: Some("other secret"), ..NewClient::default() })
            .await;
        let refused = ask(&server, &other, "").await.expect_error(400, "unauthorized_client");
        assert_eq!(refused.text("error_description"), "Client is not authorized for client_credentials grant");
    }

    /// it gets nothing while its owner is suspended, and what it has is good for nothing.
    async fn a_suspended_owner_gets_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = service(&server, Some(&frigg.id), "READ_PROFILE").await;
        ask(&server, &client, "").await.expect(200);
        server.suspend(&frigg).await;
        ask(&server, &client, "").await.expect_error(400, "unauthorized_client");
        server.turn(Duration::hours(1));
        server.reinstate(&frigg).await;
        ask(&server, &client, "").await.expect(200);
    }
}
