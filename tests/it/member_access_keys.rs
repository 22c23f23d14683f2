//! `/api/auth/access-keys`: personal access keys (storyden-contract.md#access-keys).

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, Member, Server, both};

const PATH: &str = "/api/auth/access-keys";

/// A member with the permission for access keys.
async fn holder(server: &Server, handle: &str) -> Member {
    server.member(handle, &["USE_PERSONAL_ACCESS_KEYS"]).await
}

/// Creates a key and expects 200.
async fn make(server: &Server, member: &Member, name: &str) -> Answer {
    let body = json!({ "name": name });
    server.post_as(member, PATH, &body).await.expect(200)
}

/// Deletes a key with a session.
async fn delete_as(server: &Server, member: &Member, id: &str) -> Answer {
    let request = server.request("DELETE", &format!("{PATH}/{id}"));
    server.send(request.header("cookie", member.cookie())).await
}

/// Sends a request with a key as the bearer.
async fn by_key(server: &Server, method: &str, path: &str, key: &str) -> Answer {
    let request = server.request(method, path).bearer_auth(key);
    server.send(request.json(&json!({ "name": "x" }))).await
}

both! {
    /// storyden-contract.md#sign-in-and-sign-out: a key is created, shown once, listed, used and
    /// deleted.
    async fn a_key_is_made_used_and_deleted(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        let made = make(&server, &frigg, "laptop").await;
        let (key, id) = (made.text("secret"), made.text("id"));
        assert_eq!(key.len(), 50);
        assert!(key.starts_with("sdpak_") && key[6..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(made.json()["enabled"], true);
        assert_eq!(made.text("updatedAt"), made.text("createdAt"));
        assert_eq!(made.json()["expires_at"], Value::Null);
        let list = server.get_as(&frigg, PATH).await.expect(200);
        assert!(!list.body.contains(&key));
        let mut listed = made.json();
        listed.as_object_mut().unwrap().remove("secret");
        assert_eq!(list.json(), json!({ "keys": [listed] }));
        assert_eq!(by_key(&server, "GET", PATH, &key).await.expect(200).json(), list.json());
        delete_as(&server, &frigg, &id).await.expect(204);
        delete_as(&server, &frigg, &id).await.expect(204);
        by_key(&server, "GET", PATH, &key).await.expect(401);
        let list = server.get_as(&frigg, PATH).await.expect(200);
        assert_eq!(list.json()["keys"][0]["enabled"], false);
        for event in ["access_key_created", "access_key_deleted"] {
            let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = $1";
            assert!(server.count(sql, &[event]).await >= 1, "{event}");
        }
    }

    /// storyden-contract.md#callers-of-each-operation: a key may list keys and delete the key itself;
    /// other member operations are 403.
    async fn a_key_may_only_list_keys_and_delete_itself(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        let (one, other) = (make(&server, &frigg, "one").await, make(&server, &frigg, "other").await);
        let key = one.text("secret");
        by_key(&server, "POST", PATH, &key).await.expect(403);
        let path = |made: &Answer| format!("{PATH}/{}", made.text("id"));
        by_key(&server, "DELETE", &path(&other), &key).await.expect(403);
        for operation in [
            "/api/auth/oauth/clients", "/api/auth/oauth/tokens", "/api/auth/oauth/applications", "/api/auth/sessions",
        ] {
            by_key(&server, "GET", operation, &key).await.expect(403);
        }
        by_key(&server, "POST", "/api/auth/logout", &key).await.expect(403);
        by_key(&server, "DELETE", &path(&one), &key).await.expect(204);
        by_key(&server, "DELETE", &path(&one), &key).await.expect(401);
        let bot = "UPDATE authentications SET identifier = replace(identifier, 'sdpak_', 'sdbak_')";
        server.sql(bot, &[]).await;
        let key = other.text("secret").replace("sdpak_", "sdbak_");
        by_key(&server, "GET", PATH, &key).await.expect(200);
        by_key(&server, "POST", PATH, &key).await.expect(403);
        by_key(&server, "DELETE", &path(&other), &key).await.expect(204);
    }

    /// Access keys require the permission, a session, and an account that is not suspended.
    async fn keys_require_permission_session_and_active_account(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (holder(&server, "frigg").await, holder(&server, "thor").await);
        let loki = server.member("loki", &[]).await;
        let made = make(&server, &frigg, "laptop").await;
        let (key, id) = (made.text("secret"), made.text("id"));
        let access = server.tokens(&frigg, &server.public_client().await, &[]).await.text("access_token");
        let one = format!("{PATH}/{id}");
        let last = if key.ends_with('x') { 'y' } else { 'x' };
        let wrong = format!("{}{last}", &key[..49]);
        for (method, path) in [("GET", PATH), ("POST", PATH), ("DELETE", &one)] {
            let request = || server.request(method, path).json(&json!({ "name": 1 }));
            server.send(request()).await.expect(401);
            server.send(request().bearer_auth(&access)).await.expect(403);
            server.send(request().bearer_auth(&wrong)).await.expect(401);
            server.send(request().header("cookie", loki.cookie())).await.expect(403);
        }
        delete_as(&server, &thor, &id).await.expect(404);
        for nothing in ["nonsense", "c000000000000000000g", "%00"] {
            delete_as(&server, &frigg, nothing).await.expect(404);
        }
        server.suspend(&frigg).await;
        server.get_as(&frigg, PATH).await.expect(403);
        by_key(&server, "GET", PATH, &key).await.expect(403);
        server.reinstate(&frigg).await;
        server.demote(&frigg).await;
        by_key(&server, "GET", PATH, &key).await.expect(403);
    }

    /// Names are bounded, an expiry must be in the future, and the expiry is enforced.
    async fn names_are_bounded_and_expiry_is_enforced(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        for bad in [
            json!({}), json!({ "name": "" }), json!({ "name": "x".repeat(65) }), json!({ "name": "a\u{202e}b" }),
            json!({ "name": "x", "expires_at": "soon" }), json!({ "name": "x", "expires_at": "2025-01-01T00:00:00Z" }),
            json!({ "name": "x", "expires_at": null }), json!({ "name": 1 }),
        ] {
            server.post_as(&frigg, PATH, &bad).await.expect(400);
        }
        let body = json!({ "name": "x", "expires_at": "2026-01-01T02:00:00+01:00" });
        let made = server.post_as(&frigg, PATH, &body).await.expect(200);
        assert_eq!(made.text("expires_at"), "2026-01-01T01:00:00Z");
        server.turn(Duration::minutes(59));
        by_key(&server, "GET", PATH, &made.text("secret")).await.expect(200);
        server.turn(Duration::minutes(1));
        by_key(&server, "GET", PATH, &made.text("secret")).await.expect(401);
    }

    /// Issue 5: an account has at most a hundred live keys.
    async fn a_person_may_have_a_hundred_keys(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        for number in 0..100 {
            make(&server, &frigg, &format!("key {number}")).await;
        }
        let one_more = server.post_as(&frigg, PATH, &json!({ "name": "x" })).await.expect(429);
        one_more.header("retry-after");
        let list = server.get_as(&frigg, PATH).await.expect(200).json();
        assert_eq!(list["keys"].as_array().unwrap().len(), 100);
    }

    /// storyden-contract.md#sign-in-and-sign-out: the profile `storyden` answers with Storyden's exact
    /// values.
    async fn the_storyden_profile_answers_exactly_as_storyden(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = holder(&server, "frigg").await;
        let made = make(&server, &frigg, "").await;
        assert_eq!((&made.json()["enabled"], &made.json()["name"]), (&json!(false), &json!("")));
        assert_eq!(made.text("updatedAt"), "0001-01-01T00:00:00Z");
        let past = json!({ "name": "k", "expires_at": "2020-01-01T00:00:00Z" });
        let past = server.post_as(&frigg, PATH, &past).await.expect(200);
        by_key(&server, "GET", PATH, &past.text("secret")).await.expect(401);
        let list = by_key(&server, "GET", PATH, &made.text("secret")).await.expect(200).json();
        assert_eq!(list["keys"][0]["enabled"], true);
    }
}
