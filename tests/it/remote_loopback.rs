//! Two servers of this program on loopback addresses, each a client of the other kind: by registration and by
//! document.

use serde_json::json;

use crate::remote_connections::{CONNECTIONS, authorize};
use crate::support::{Server, Setup, both};

const SCOPE: &str = "openid offline_access READ_PROFILE";

/// Connects a community to another in the given mode; returns the granted scope.
async fn connect(one: &Server, two: &Server, mode: Option<&str>) -> String {
    let thor = one.member("thor", &["MANAGE_ROBOTS"]).await;
    let sif = two.member("sif", &[]).await;
    let resource = format!("{}/mcp", two.address);
    let body = json!({ "resource_url": resource, "mode": mode, "scope": SCOPE });
    let created = one.post_as(&thor, CONNECTIONS, &body).await.expect(200);
    let (id, chosen) = (created.text("id"), created.text("mode"));
    assert_eq!(chosen, mode.unwrap_or("cimd"));
    let url = authorize(one, &thor, &id).await;
    assert!(url.as_str().starts_with(&two.address), "{url}");
    let back = two.approve_in_browser(&sif, &url).await;
    assert!(
        back.as_str()
            .starts_with(&format!("{}/oauth/remote/callback", one.address)),
        "{back}"
    );
    let path = format!("/api/oauth/remote/callback?{}", back.query().unwrap());
    let connection = one.get_as(&thor, &path).await.expect(200).json()["connection"].clone();
    assert_eq!(
        (&connection["status"], &connection["has_refresh_token"]),
        (&json!("connected"), &json!(true))
    );
    let token = one
        .post_as(&thor, &format!("{CONNECTIONS}/{id}/token"), &json!({}))
        .await;
    let token = token.expect(200).text("access_token");
    let info = two
        .get_with_bearer("/api/oauth/userinfo", &token)
        .await
        .expect(200);
    assert_eq!(info.text("sub"), sif.id.as_str());
    connection["granted_scope"].as_str().unwrap().to_owned()
}

async fn begin(setup: &Setup, other: &Setup) -> (Server, Server) {
    let one = setup
        .clone()
        .with("REMOTE_ALLOW_INSECURE", "true")
        .with("REMOTE_TOKEN_ENDPOINT_ENABLED", "true")
        .with(
            "REMOTE_TOKEN_KEY",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        );
    let two = other
        .clone()
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .with("OAUTH_CIMD_ENABLED", "true")
        .with("OAUTH_CIMD_ALLOW_INSECURE_FETCH", "true")
        .with("MCP_ENABLED", "true");
    (
        one.start_with_own_issuer().await,
        two.start_with_own_issuer().await,
    )
}

both! {
    /// RFC 7591, SEP-837: registration on loopback addresses works without further settings of the client.
    async fn two_servers_connect_by_registration(setup: Setup) {
        let other = setup.second_community().await;
        let (one, two) = begin(&setup, &other).await;
        assert_eq!(connect(&one, &two, Some("dcr")).await, SCOPE);
        drop(two);
        other.database.remove().await;
    }

    /// Client ID metadata documents on loopback addresses, allowed by the second server's operator.
    async fn two_servers_connect_by_document(setup: Setup) {
        let other = setup.second_community().await;
        let (one, two) = begin(&setup, &other).await;
        assert_eq!(connect(&one, &two, None).await, SCOPE);
        drop(two);
        other.database.remove().await;
    }
}
