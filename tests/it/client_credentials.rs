//! Client credentials grant (RFC 6749 §4.4).

use storyden_auth::ids::AccountId;
use storyden_auth::oauth::grant_type::GrantType;
use storyden_auth::secret::Secret;
use storyden_auth::store::client_secrets;
use storyden_auth::store::clients;
use time::Duration;

use crate::support::race::{Form, count, send_concurrently};
use crate::support::{Answer, Client, Member, NewClient, Server, both};

/// Requests a token with client credentials, and a scope unless `scope` is empty.
async fn ask(server: &Server, client: &Client, scope: &str) -> Answer {
    let mut form: Form<'_> = vec![("grant_type", "client_credentials")];
    form.extend(client.credentials());
    if !scope.is_empty() {
        form.push(("scope", scope));
    }
    server.token(&form).await
}

/// Creates a client with the client_credentials grant.
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

/// True if userinfo, introspection and the API all accept an access token, false if all reject the
/// token.
async fn is_accepted(server: &Server, administrator: &Member, token: &str) -> bool {
    let userinfo = server.get_with_bearer("/api/oauth/userinfo", token).await;
    let key = server.access_key(administrator, "sdpak").await;
    let asked = server.request("POST", "/api/oauth/introspect");
    let asked = asked.bearer_auth(key).form(&[("token", token)]);
    let active = server.send(asked).await.expect(200).json()["active"] == true;
    // The API answers 403 to a valid access token and 401 to an invalid credential.
    let sessions = server.get_with_bearer("/api/auth/sessions", token).await;
    let good = [userinfo.status == 200, active, sessions.status == 403];
    assert!(good == [true; 3] || good == [false; 3], "{good:?}");
    active
}

/// Looks up the client re-created with the id `service`.
async fn find_client(server: &Server) -> Client {
    let found = clients::find(&server.context.db, "service")
        .await
        .unwrap()
        .unwrap();
    Client {
        row_id: found.row_id,
        client_id: found.client_id,
        secret: None,
        redirect_uri: String::new(),
    }
}

both! {
    /// req_031, req_033, req_036: the granted scope is the requested scope, without refresh token and
    /// ID token.
    async fn requested_scope_is_granted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let client = service(&server, Some(&frigg.id), "openid offline_access MANAGE_POSTS READ_PROFILE").await;
        let body = ask(&server, &client, "MANAGE_POSTS").await.expect(200).json();
        assert_eq!(body["scope"], "MANAGE_POSTS");
        assert_eq!((body.get("id_token"), body.get("refresh_token")), (None, None));
    }

    /// req_031, req_179: `openid` and `offline_access` are dropped, because no user is involved.
    async fn standard_scopes_are_dropped(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = service(&server, Some(&frigg.id), "openid offline_access READ_PROFILE").await;
        let body = ask(&server, &client, "openid offline_access READ_PROFILE").await.expect(200).json();
        assert_eq!(body["scope"], "READ_PROFILE");
        assert_eq!((body.get("id_token"), body.get("refresh_token")), (None, None));
    }

    /// req_019, req_020: without a requested scope, the client gets the allowed scopes that the owner
    /// holds.
    async fn omitted_scope_grants_allowed_scopes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let scope = "openid MANAGE_POSTS READ_PROFILE MANAGE_ROLES";
        let client = service(&server, Some(&frigg.id), scope).await;
        assert_eq!(ask(&server, &client, "").await.expect(200).scope(), ["MANAGE_POSTS", "READ_PROFILE"]);
        server.remove_permissions_except_use_clients(&frigg).await;
        assert_eq!(ask(&server, &client, "").await.expect(200).scope(), ["READ_PROFILE"]);
    }

    /// req_020, req_017: a scope not allowed for the client, or malformed, is invalid_scope.
    async fn scope_beyond_allowed_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let client = service(&server, Some(&odin.id), "READ_PROFILE").await;
        for scope in ["MANAGE_POSTS", "READ_PROFILE ADMINISTRATOR", "read_profile", "NOBODY_KNOWS", "READ_PROFILE\t"] {
            ask(&server, &client, scope).await.expect_error(400, "invalid_scope");
        }
    }

    /// req_020: the allowed scope ADMINISTRATOR permits every permission that the owner holds.
    async fn allowed_administrator_permits_every_permission(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let client = service(&server, Some(&odin.id), "ADMINISTRATOR").await;
        let tokens = ask(&server, &client, "MANAGE_REPORTS").await.expect(200);
        assert_eq!(tokens.scope(), ["MANAGE_REPORTS"]);
    }

    /// req_096, req_126: `gty` and `client_id` mark the access token as issued without a user (RFC 9068
    /// §5).
    async fn access_token_is_marked_as_client_credentials(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = service(&server, Some(&frigg.id), "openid READ_PROFILE").await;
        let tokens = ask(&server, &client, "").await.expect(200);
        let claims = tokens.claims("access_token");
        assert_eq!(claims["sub"], frigg.id.as_str());
        assert_eq!(claims["client_id"], "service");
        assert_eq!(claims["gty"], "client-credentials");
        assert_eq!(claims["gid"].as_str().unwrap().len(), 20); // the grant, for revocation
        let access_token = tokens.text("access_token");
        let refused = server.get_with_bearer("/api/oauth/userinfo", &access_token).await;
        refused.expect_error(403, "insufficient_scope");
    }

    /// req_030, req_071: a public client cannot use the grant.
    async fn public_client_is_rejected(setup: Setup) {
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

    /// req_036: a client without the grant, or without an owner, is rejected.
    async fn grant_and_owner_are_required(setup: Setup) {
        let server = setup.start().await;
        let homeless = service(&server, None, "READ_PROFILE").await;
        let refused = ask(&server, &homeless, "").await.expect_error(400, "unauthorized_client");
        assert_eq!(refused.text("error_description"), "Client has no associated account");
        let other = server
            .client(NewClient { client_id: "other", secret: Some("other secret"), ..NewClient::default() })
            .await;
        let refused = ask(&server, &other, "").await.expect_error(400, "unauthorized_client");
        let text = "Client is not authorized for client_credentials grant; its grant types are ";
        assert!(refused.text("error_description").starts_with(text));
    }

    /// a client is rejected while the owner is suspended.
    async fn suspended_owner_is_rejected(setup: Setup) {
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

    /// deletion of a client by either program invalidates the access tokens, also after a new
    /// client gets the same id.
    async fn client_deletion_invalidates_tokens(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await; // userinfo accepts tokens without openid
        let (odin, frigg) = (server.admin("odin").await, server.admin("frigg").await);
        for by_storyden in [false, true] {
            let client = service(&server, Some(&frigg.id), "READ_PROFILE").await;
            let token = ask(&server, &client, "").await.expect(200).text("access_token");
            assert!(is_accepted(&server, &odin, &token).await);
            if by_storyden {
                server.sql("DELETE FROM oauth_clients WHERE client_id = 'service'", &[]).await;
            } else {
                let path = format!("/api/auth/oauth/clients/{}", client.row_id);
                let delete = server.request("DELETE", &path).header("cookie", frigg.cookie());
                server.send(delete).await.expect(204);
            }
            assert!(!is_accepted(&server, &odin, &token).await, "by Storyden: {by_storyden}");
            service(&server, Some(&frigg.id), "READ_PROFILE").await;
            assert!(!is_accepted(&server, &odin, &token).await, "by Storyden: {by_storyden}");
            server.delete_client(&find_client(&server).await).await;
        }
    }

    /// revocation by an administrator or by the owner invalidates the client's tokens; a token
    /// issued afterwards is valid.
    async fn revocation_invalidates_tokens(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let client = service(&server, Some(&frigg.id), "READ_PROFILE").await;
        let (account, row) = (frigg.id.as_str(), client.row_id.as_str());
        let path = "/api/admin/oauth/revoke";
        for body in [
            serde_json::json!({ "client_id": "service" }),
            serde_json::json!({ "account_id": account }),
            serde_json::json!({ "account_id": account, "client_id": row }),
        ] {
            let tokens = [ask(&server, &client, "").await, ask(&server, &client, "").await];
            let tokens = tokens.map(|answer| answer.expect(200).text("access_token"));
            let ended = server.post_as(&odin, path, &body).await.expect(200).json();
            assert_eq!(ended["grants"], 1, "{body}"); // a client has a single grant for all own tokens
            for token in &tokens {
                assert!(!is_accepted(&server, &odin, token).await, "{body}");
            }
        }
        let token = ask(&server, &client, "").await.expect(200).text("access_token");
        let application = format!("/api/auth/oauth/applications/{row}");
        let end = server.request("DELETE", &application).header("cookie", frigg.cookie());
        server.send(end).await.expect(204);
        assert!(!is_accepted(&server, &odin, &token).await);
        // Revocation for a different account does not end the client's tokens.
        let token = ask(&server, &client, "").await.expect(200).text("access_token");
        let body = serde_json::json!({ "account_id": odin.id.as_str() });
        server.post_as(&odin, path, &body).await.expect(200);
        assert!(is_accepted(&server, &odin, &token).await);
        server.turn(Duration::minutes(15));
        assert!(!is_accepted(&server, &odin, &token).await);
    }

    /// replacing the secret invalidates the client's own tokens, and no token that members
    /// approved. During an overlap the old secret is accepted and the tokens stay valid.
    async fn secret_replacement_invalidates_tokens(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let (odin, frigg) = (server.admin("odin").await, server.admin("frigg").await);
        let client = server.confidential_client(&frigg.id).await;
        let approved = server.tokens(&frigg, &client, &[]).await;
        let own = ask(&server, &client, "").await.expect(200).text("access_token");
        let path = format!("/api/auth/oauth/clients/{}/secret", client.row_id);
        let body = serde_json::json!({ "overlap_seconds": 60 });
        let rotated = server.post_as(&frigg, &path, &body).await.expect(200);
        assert!(is_accepted(&server, &odin, &own).await);
        let by_old_secret = ask(&server, &client, "").await.expect(200).text("access_token");
        let body = serde_json::json!({ "overlap_seconds": 0 });
        let again = server.post_as(&frigg, &path, &body).await.expect(200);
        for token in [&own, &by_old_secret] {
            assert!(!is_accepted(&server, &odin, token).await);
        }
        assert!(is_accepted(&server, &odin, &approved.text("access_token")).await);
        for secret in [client.secret.clone().unwrap(), rotated.text("client_secret")] {
            let old = Client { secret: Some(secret), ..client.clone() };
            ask(&server, &old, "").await.expect_error(400, "invalid_client");
        }
        let client = Client { secret: Some(again.text("client_secret")), ..client };
        let own = ask(&server, &client, "").await.expect(200).text("access_token");
        assert!(is_accepted(&server, &odin, &own).await);
        // An administrator replaces the hash.
        let hash = server.context.passwords.hash(&Secret::new("another")).await.unwrap();
        let change = serde_json::json!({ "client_secret_hash": hash });
        let path = format!("/api/admin/oauth/clients/{}", client.row_id);
        let update = server.request("PATCH", &path).header("cookie", odin.cookie()).json(&change);
        server.send(update).await.expect(200);
        assert!(!is_accepted(&server, &odin, &own).await);
    }

    /// of tokens requested while the secret is replaced, every token by the old secret is
    /// invalid on both replicas; concurrent first requests of a client all succeed.
    async fn concurrent_secret_replacement_leaves_no_token(setup: Setup) {
        let setup = setup.with("OAUTH_PROFILE", "storyden");
        let (server, replica) = (setup.start().await, setup.start().await);
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let client = service(&server, Some(&frigg.id), "READ_PROFILE").await;
        let mut form: Form<'_> = vec![("grant_type", "client_credentials")];
        form.extend(client.credentials());
        let requests = (0..8).map(|at| [&server, &replica][at % 2].token_request(&form));
        let answers = send_concurrently(requests.collect()).await;
        assert_eq!(count(&answers, 200), 8);
        for answer in &answers {
            assert!(is_accepted(&server, &odin, &answer.text("access_token")).await);
        }
        for round in 0..6 {
            let secret = format!("secret {round}");
            let hash = server.context.passwords.hash(&Secret::new("s")).await.unwrap();
            server.sql("UPDATE oauth_clients SET client_secret_hash = $1", &[&hash]).await;
            let old = Client { secret: Some("s".to_owned()), ..client.clone() };
            let mut form: Form<'_> = vec![("grant_type", "client_credentials")];
            form.extend(old.credentials());
            let requests = (0..8).map(|at| [&server, &replica][at % 2].token_request(&form));
            let rotation = client_secrets::Rotation {
                client: client.row_id.clone(),
                hash: server.context.passwords.hash(&Secret::new(&secret)).await.unwrap(),
                old_until: None,
                now: server.clock.now(),
            };
            let rotate = server.context.db.write(rotation, |tx, rotation| {
                Box::pin(client_secrets::rotate_secret(tx, rotation))
            });
            let (answers, rotated) = tokio::join!(send_concurrently(requests.collect()), rotate);
            assert!(rotated.unwrap());
            for answer in &answers {
                if answer.status == 200 {
                    assert!(!is_accepted(&server, &odin, &answer.text("access_token")).await);
                } else {
                    answer.clone().expect_error(400, "invalid_client");
                }
            }
        }
    }

    /// signing out everywhere leaves a client's own tokens valid; suspension of the owner ends
    /// these permanently. The grant of such tokens is not listed as an authorized application.
    async fn sign_out_keeps_client_tokens(setup: Setup) {
        let mut setup = setup.with("OAUTH_PROFILE", "storyden");
        setup.use_machine_clock(); // the command uses the machine's clock
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let client = service(&server, Some(&frigg.id), "READ_PROFILE").await;
        let token = ask(&server, &client, "").await.expect(200).text("access_token");
        let list = server.get_as(&frigg, "/api/auth/oauth/applications").await.expect(200).json();
        assert_eq!(list["applications"], serde_json::json!([]));
        let everywhere = server.request("DELETE", "/api/auth/sessions").header("cookie", frigg.cookie());
        server.send(everywhere).await.expect(200);
        assert!(is_accepted(&server, &odin, &token).await);
        for command in ["suspend", "reinstate"] {
            let done = setup.run(&["account", command, "frigg"], &[]).await;
            assert_eq!(done.code, Some(0), "{done:?}");
            assert!(!is_accepted(&server, &odin, &token).await, "{command}");
        }
        let token = ask(&server, &client, "").await.expect(200).text("access_token");
        assert!(is_accepted(&server, &odin, &token).await);
    }

    /// The grant of a client's own tokens is kept as long as the client; a revoked grant is kept until
    /// the last access token has expired.
    async fn own_grant_is_kept_while_tokens_live(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let client = service(&server, Some(&frigg.id), "READ_PROFILE").await;
        ask(&server, &client, "").await.expect(200);
        server.turn(Duration::days(3));
        crate::cleanup::clean_up(&server).await;
        let token = ask(&server, &client, "").await.expect(200).text("access_token");
        let grants = "SELECT COUNT(*) AS n FROM auth_grants";
        assert_eq!(server.count(grants, &[]).await, 1);
        server.delete_client(&client).await;
        service(&server, Some(&frigg.id), "READ_PROFILE").await;
        crate::cleanup::clean_up(&server).await;
        assert!(!is_accepted(&server, &odin, &token).await);
        server.turn(Duration::days(3));
        crate::cleanup::clean_up(&server).await;
        assert_eq!(server.count(grants, &[]).await, 0);
    }
}
