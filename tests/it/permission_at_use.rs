//! `USE_OAUTH_CLIENTS` is checked at each use of an application, not only at the approval.

use serde_json::json;

use crate::support::{Member, NewClient, Server, both};

const USERINFO: &str = "/api/oauth/userinfo";

async fn is_active(server: &Server, admin: &Member, token: &str) -> bool {
    let key = server.access_key(admin, "sdpak").await;
    let request = server.request("POST", "/api/oauth/introspect");
    let request = request.bearer_auth(key).form(&[("token", token)]);
    server.send(request).await.expect(200).json()["active"] == true
}

both! {
    /// Issue 13, A-106: after an account loses the permission, every application of the account is
    /// refused from the next request on, in both profiles; with the permission back, the applications
    /// continue.
    async fn a_lost_permission_stops_the_applications(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            server.sql("UPDATE oauth_clients SET client_id = client_id || '-older'", &[]).await;
            let frigg = server.member(&format!("frigg-{profile}"), &["MANAGE_ROBOTS"]).await;
            let odin = server.admin(&format!("odin-{profile}")).await;
            let app = server
                .client(NewClient { scope: "openid offline_access MANAGE_ROBOTS", ..NewClient::default() })
                .await;
            let service = server.confidential_client(&frigg.id).await;
            let tokens = server.tokens(&frigg, &app, &[("scope", "openid offline_access MANAGE_ROBOTS")]).await;
            let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
            let (code, later) = (server.code(&frigg, &app, &[]).await, server.code(&frigg, &app, &[]).await);
            let device = server.approved_device(&frigg, &app, "openid").await;
            let mut machine = vec![("grant_type", "client_credentials")];
            machine.extend(service.credentials());
            let own = server.token(&machine).await.expect(200).text("access_token");
            let remote = "/api/admin/oauth/remote/connections";

            let lose = "UPDATE roles SET permissions = '[\"MANAGE_ROBOTS\"]' WHERE name = $1";
            let role = format!("role of frigg-{profile}");
            assert_eq!(server.sql(lose, &[&role]).await, 1);
            for token in [&access, &own] {
                server.get_with_bearer(USERINFO, token).await.expect(401);
                assert!(!is_active(&server, &odin, token).await);
                server.get_with_bearer(remote, token).await.expect(403);
            }
            assert!(!is_active(&server, &odin, &refresh).await);
            server.refresh(&app, &refresh).await.expect_error(400, "invalid_grant");
            server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
            server.poll(&app, &device).await.expect_error(400, "access_denied");
            server.token(&machine).await.expect_error(400, "unauthorized_client");

            let back = "UPDATE roles SET permissions = '[\"MANAGE_ROBOTS\",\"USE_OAUTH_CLIENTS\"]' WHERE name = $1";
            assert_eq!(server.sql(back, &[&role]).await, 1);
            server.get_with_bearer(USERINFO, &access).await.expect(200);
            server.get_with_bearer(remote, &access).await.expect(200);
            assert!(is_active(&server, &odin, &own).await);
            server.refresh(&app, &refresh).await.expect(200);
            server.exchange(&app, &later).await.expect(200);
            server.token(&machine).await.expect(200);
        }
    }

    /// Issue 13: `ADMINISTRATOR` implies `USE_OAUTH_CLIENTS`.
    async fn an_administrator_may_use_applications(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let tokens = server.tokens(&odin, &app, &[]).await;
        let info = server.get_with_bearer(USERINFO, &tokens.text("access_token")).await.expect(200);
        assert_eq!(info.json()["sub"], json!(odin.id.as_str()));
    }
}
