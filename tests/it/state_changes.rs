//! Changes in the middle of a flow: suspensions, roles, clients, secrets.

use storyden_auth::secret::Secret;
use storyden_auth::store::client_secrets;

use crate::support::race::{count, send_concurrently};
use crate::support::{Client, Member, NewClient, Server, both};

/// Replaces a client's secret as an operator does, without an overlap.
async fn rotate_secret(server: &Server, client: &Client, secret: &str) {
    let hash = server
        .context
        .passwords
        .hash(&Secret::new(secret))
        .await
        .unwrap();
    let rotation = client_secrets::Rotation {
        client: client.row_id.clone(),
        hash,
        old_until: None,
        now: server.clock.now(),
    };
    let rotated = server.context.db.write(rotation, |tx, rotation| {
        Box::pin(client_secrets::rotate_secret(tx, rotation))
    });
    assert!(rotated.await.unwrap());
}

/// Fails unless no request, code, device authorization or refresh token is left.
async fn assert_no_rows_left(server: &Server) {
    for sql in [
        "SELECT COUNT(*) AS n FROM oauth_authorisation_requests",
        "SELECT COUNT(*) AS n FROM oauth_authorisation_codes",
        "SELECT COUNT(*) AS n FROM oauth_device_authorisations",
        "SELECT COUNT(*) AS n FROM oauth_refresh_tokens",
    ] {
        assert_eq!(server.count(sql, &[]).await, 0, "{sql}");
    }
}

async fn refused_consent(server: &Server, member: &Member, request_id: &str) {
    let path = format!("/api/oauth/authorize/consent?request_id={request_id}");
    server.get_as(member, &path).await.expect(403);
    server
        .decide(member, request_id, "approve")
        .await
        .expect(403);
    server.decide(member, request_id, "deny").await.expect(403);
}

both! {
    /// a suspended account cannot open or decide a consent.
    async fn a_suspension_before_the_consent_refuses_the_consent(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        server.suspend(&frigg).await;
        refused_consent(&server, &frigg, &request_id).await;
        server.authorize(Some(&frigg), &app, &[]).await.expect(403);
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_authorisation_codes", &[]).await, 0);
    }

    /// after a suspension a code is refused, and not consumed.
    async fn a_suspension_before_the_exchange_refuses_the_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        server.suspend(&frigg).await;
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.reinstate(&frigg).await;
        server.exchange(&app, &code).await.expect(200);
    }

    /// after a suspension refresh tokens are refused, within the reuse window too.
    async fn a_suspension_refuses_refreshes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = server.refresh(&app, &first).await.expect(200).text("refresh_token");
        server.suspend(&frigg).await;
        server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &second).await.expect_error(400, "invalid_grant");
    }

    /// the deletion of an account deletes all grants of the account.
    async fn a_deleted_account_takes_its_grants_with_it(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let code = server.code(&frigg, &app, &[]).await;
        let device_code = server.approved_device(&frigg, &app, "openid").await;
        let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.sql("DELETE FROM accounts WHERE id = $1", &[frigg.id.as_str()]).await;
        server.decide(&frigg, &request_id, "approve").await.expect(401);
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.poll(&app, &device_code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &token).await.expect_error(400, "invalid_grant");
        assert_no_rows_left(&server).await;
    }

    /// an account that lost `USE_OAUTH_CLIENTS` cannot approve a pending request, but can deny.
    async fn a_role_lost_before_the_consent_prevents_approval(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        server.demote(&frigg).await;
        server.decide(&frigg, &request_id, "approve").await.expect_error(400, "access_denied");
        server.decide(&frigg, &request_id, "deny").await.expect(200);
    }

    /// a permission lost between consent and exchange is not in the token; the scope never
    /// exceeds the consent.
    async fn a_role_lost_before_the_exchange_narrows_the_scope(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let scope = [("scope", "openid offline_access READ_PROFILE MANAGE_POSTS")];
        let code = server.code(&frigg, &app, &scope).await;
        server.remove_permissions_except_use_clients(&frigg).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.scope(), ["READ_PROFILE", "offline_access", "openid"]);
    }

    /// a client that inherits gets the permissions of the account at the exchange, within the
    /// permissions held at the consent.
    async fn a_role_gained_after_the_consent_adds_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient { inherit: true, ..NewClient::default() }).await;
        let code = server.code(&frigg, &app, &[]).await;
        server.sql("UPDATE accounts SET admin = true WHERE id = $1", &[frigg.id.as_str()]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert!(!tokens.scope().contains(&"ADMINISTRATOR".to_owned()));
        let again = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(again.scope(), tokens.scope());
    }

    /// a scope removed from the client after the consent is not granted.
    async fn a_scope_that_the_client_lost_is_not_granted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[("scope", "openid email offline_access READ_PROFILE")]).await;
        server.sql("UPDATE oauth_clients SET allowed_scopes = '[\"openid\",\"offline_access\"]'", &[]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.scope(), ["offline_access", "openid"]);
    }

    /// every step of a deleted client is refused, and the client's rows are deleted.
    async fn a_deleted_client_is_refused_everywhere(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let code = server.code(&frigg, &app, &[]).await;
        let waiting = server.start_device(&app, "openid").await.expect(200);
        let device_code = server.approved_device(&frigg, &app, "openid").await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let (token, access_token) = (tokens.text("refresh_token"), tokens.text("access_token"));
        server.delete_client(&app).await;
        assert_no_rows_left(&server).await;
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_refresh_tokens", &[]).await, 0);
        // The access token is refused before the expiry.
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(401);
        server.decide(&frigg, &request_id, "approve").await.expect_error(400, "invalid_request");
        server.exchange(&app, &code).await.expect_error(400, "invalid_client");
        server.poll(&app, &waiting.text("device_code")).await.expect_error(400, "invalid_client");
        server.poll(&app, &device_code).await.expect_error(400, "invalid_client");
        server.refresh(&app, &token).await.expect_error(400, "invalid_client");
        server.open_device(&frigg, &waiting.text("user_code")).await.expect_error(400, "invalid_request");
        server.start_device(&app, "openid").await.expect_error(400, "invalid_client");
    }

    /// a new client with the same id does not inherit codes or tokens of the deleted client.
    async fn a_recreated_client_inherits_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.delete_client(&app).await;
        let app = server.public_client().await;
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &token).await.expect_error(400, "invalid_grant");
    }

    /// a client deletion concurrent with requests of the client causes no server error, and
    /// leaves no row.
    async fn a_client_deleted_in_parallel_leaves_nothing(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let frigg = server.member("frigg", &[]).await;
        for _ in 0..6 {
            let app = server.public_client().await;
            let mut codes = Vec::new();
            for scope in ["openid offline_access", "openid"].repeat(3) {
                codes.push(server.code(&frigg, &app, &[("scope", scope)]).await);
            }
            let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
            let device_code = server.approved_device(&frigg, &app, "offline_access").await;
            let request_id = server.pending(&frigg, &app, &[]).await;
            let mut requests: Vec<_> =
                codes.iter().map(|code| replica.token_request(&app.exchange_form(code))).collect();
            requests.extend((0..4).map(|_| server.token_request(&app.refresh_form(&token))));
            requests.push(replica.token_request(&app.poll_form(&device_code)));
            let body = serde_json::json!({ "request_id": request_id, "decision": "approve" });
            let consent = server.request("POST", "/api/oauth/authorize/consent");
            requests.push(consent.header("cookie", frigg.cookie()).json(&body));
            let (answers, ()) = tokio::join!(send_concurrently(requests), server.delete_client(&app));
            count(&answers, 200);
            for answer in answers.iter().filter(|answer| answer.status != 200) {
                let known = ["invalid_client", "invalid_grant", "invalid_request"];
                assert!(known.contains(&answer.text("error").as_str()), "{}", answer.body);
            }
            assert_no_rows_left(&server).await;
            for given in answers.iter().filter(|answer| answer.json()["access_token"].is_string()) {
                let token = given.text("access_token");
                server.get_with_bearer("/api/oauth/userinfo", &token).await.expect(401);
            }
        }
    }

    /// a replaced secret is refused at once, at every step and on every replica, also if a
    /// successful verification was cached.
    async fn a_replaced_secret_is_refused_at_once(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let frigg = server.member("frigg", &[]).await;
        let old = server.confidential_client(&frigg.id).await;
        let code = server.code(&frigg, &old, &[]).await;
        let token = server.tokens(&frigg, &old, &[]).await.text("refresh_token"); // caches the verification
        let second = replica.refresh(&old, &token).await.expect(200).text("refresh_token"); // on the replica too
        rotate_secret(&server, &old, "the new secret").await;
        for server in [&server, &replica] {
            server.exchange(&old, &code).await.expect_error(400, "invalid_client");
            server.refresh(&old, &second).await.expect_error(400, "invalid_client");
        }
        let new = Client { secret: Some("the new secret".to_owned()), ..old };
        server.exchange(&new, &code).await.expect(200);
        replica.refresh(&new, &second).await.expect(200);
    }

    /// A-107, P6: a secret rotation concurrent with requests causes no server error.
    async fn a_secret_replaced_in_parallel_meets_no_error(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let old = server.confidential_client(&frigg.id).await;
        let token = server.tokens(&frigg, &old, &[]).await.text("refresh_token");
        let requests = (0..8).map(|_| server.token_request(&old.refresh_form(&token)));
        let rotation = rotate_secret(&server, &old, "the new secret");
        let (answers, ()) = tokio::join!(send_concurrently(requests.collect()), rotation);
        assert_eq!(count(&answers, 200) + count(&answers, 400), 8);
        let new = Client { secret: Some("the new secret".to_owned()), ..old };
        server.refresh(&new, &token).await.expect(200);
    }

    /// a client changed from public to confidential must authenticate from then on.
    async fn a_client_made_confidential_must_authenticate(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.sql("UPDATE oauth_clients SET type = 'confidential'", &[]).await;
        server.refresh(&app, &token).await.expect_error(400, "invalid_client");
        rotate_secret(&server, &app, "a secret").await;
        let app = Client { secret: Some("a secret".to_owned()), ..app };
        server.refresh(&app, &token).await.expect(200);
    }
}
