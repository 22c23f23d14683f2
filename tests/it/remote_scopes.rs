//! Scope of remote connections, as the MCP authorization specification of 2026-07-28 selects and extends a
//! scope: SEP-835, SEP-2207 and SEP-2350.

use serde_json::{Value, json};
use time::Duration;

use crate::remote_connections::{
    CONNECTIONS, authorize, begin, callback, parameter, refused_for, remote, tokens,
};
use crate::support::simulated_internet::{Host, Reply};
use crate::support::{Answer, Member, Server, both};

/// Sets the scope of the resource's challenge and of the resource's metadata.
fn protect(host: &Host, challenged: Option<&str>, listed: &Value) {
    let scope = challenged.map(|scope| format!(", scope=\"{scope}\""));
    let scope = scope.unwrap_or_default();
    let challenge = format!("WWW-Authenticate: Bearer realm=\"tools\"{scope}");
    host.reply(
        "/mcp",
        Reply::json("401 x", &format!("{challenge}\r\n"), &json!({})),
    );
    let mut resource =
        json!({ "resource": host.url("/mcp"), "authorization_servers": [host.url("")] });
    resource["scopes_supported"] = listed.clone();
    host.reply(
        "/.well-known/oauth-protected-resource/mcp",
        Reply::json("200 OK", "", &resource),
    );
}

async fn connect(server: &Server, thor: &Member, host: &Host, scope: Option<&str>) -> Answer {
    let body = json!({ "resource_url": host.url("/mcp"), "scope": scope });
    server.post_as(thor, CONNECTIONS, &body).await.expect(200)
}

/// The scope of the authorization request.
async fn requested(server: &Server, thor: &Member, id: &str) -> Option<String> {
    parameter(&authorize(server, thor, id).await, "scope")
}

/// Completes an authorization that requests further scopes; returns the requested scope.
async fn step_up(server: &Server, thor: &Member, id: &str, scope: &str) -> (String, Answer) {
    let path = format!("{CONNECTIONS}/{id}/authorize");
    let started = server
        .post_as(thor, &path, &json!({ "scope": scope }))
        .await;
    let url: reqwest::Url = started
        .expect(200)
        .text("authorization_url")
        .parse()
        .unwrap();
    let state = parameter(&url, "state").unwrap();
    let answer = callback(server, thor, &[("state", &state), ("code", "c")]).await;
    (parameter(&url, "scope").unwrap(), answer)
}

async fn shown(server: &Server, thor: &Member, id: &str) -> Value {
    let path = format!("{CONNECTIONS}/{id}");
    server.get_as(thor, &path).await.expect(200).json()
}

both! {
    /// SEP-835: without a given scope, the scope of the challenge is requested, then the scopes of the
    /// resource's metadata, then none. <https://github.com/anthropics/claude-code/issues/55954>: the scopes of
    /// the authorization server are the scopes of other resources too, and are not requested.
    async fn the_scope_is_of_the_challenge_then_of_the_metadata_then_none(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let all = json!({ "scopes_supported": ["sudo", "tools:read", "tools:write"] });
        for (number, (given, challenged, listed, scope)) in [
            (None, Some("tools:read"), json!(["tools:read", "tools:write"]), Some("tools:read")),
            (None, Some(" tools:read  tools:write tools:read "), json!(null), Some("tools:read tools:write")),
            (None, None, json!(["tools:read", "tools:write", "no name"]), Some("tools:read tools:write")),
            (None, Some(""), json!(["tools:write"]), Some("tools:write")),
            (None, None, json!([]), None),
            (None, None, json!(null), None),
            (Some("mine"), Some("tools:read"), json!(["tools:write"]), Some("mine")),
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &all).await;
            protect(&host, challenged, &listed);
            let discovered = json!({ "resource_url": host.url("/mcp") });
            let found = server.post_as(&thor, "/api/admin/oauth/remote/discover", &discovered).await.expect(200).json();
            if given.is_none() {
                assert_eq!(found["scope"], json!(scope));
            }
            let made = connect(&server, &thor, &host, given).await;
            assert_eq!(made.json()["scope"], json!(scope));
            assert_eq!(requested(&server, &thor, &made.text("id")).await.as_deref(), scope);
            let registration = &host.asked_at("/register")[0];
            assert_eq!(registration.contains("\"scope\":"), scope.is_some(), "{registration}");
        }
    }

    /// SEP-2207, <https://github.com/modelcontextprotocol/typescript-sdk/pull/1523>: `offline_access` joins the
    /// scope in the registration and the authorization request if the server knows that scope, with
    /// `prompt=consent` (OpenID Connect Core §11). A request without scope stays without.
    async fn offline_access_is_added_where_the_server_knows_it(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (number, (known, listed, scope)) in [
            (json!(["openid", "offline_access"]), json!(["tools"]), Some("tools offline_access")),
            (json!(["openid", "offline_access"]), json!(["offline_access", "tools"]), Some("offline_access tools")),
            (json!(["openid"]), json!(["tools"]), Some("tools")),
            (json!(null), json!(["tools"]), Some("tools")),
            (json!(["openid", "offline_access"]), json!(null), None),
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &json!({ "scopes_supported": known })).await;
            protect(&host, None, &listed);
            let id = connect(&server, &thor, &host, None).await.text("id");
            let url = authorize(&server, &thor, &id).await;
            assert_eq!(parameter(&url, "scope").as_deref(), scope);
            let offline = scope.is_some_and(|scope| scope.contains("offline_access"));
            assert_eq!(parameter(&url, "prompt").as_deref(), offline.then_some("consent"));
            if let Some(scope) = scope {
                assert!(host.asked_at("/register")[0].contains(&format!("\"scope\":\"{scope}\"")));
            }
        }
    }

    /// RFC 6749 §3.3, §5.1: the granted scope is stored beside the requested scope; a response without
    /// `scope` grants what was requested. A list of names is a scope too, and a refresh changes what is
    /// granted, never what is requested.
    async fn the_granted_scope_is_kept_beside_the_requested_scope(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (number, (answered, granted)) in [
            (json!("tools:read"), "tools:read"),
            (json!(null), "tools:read tools:write"),
            (json!(["tools:read"]), "tools:read"),
            (json!(7), "tools:read tools:write"),
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &json!({})).await;
            protect(&host, None, &json!(["tools:read", "tools:write"]));
            host.reply("/token", tokens(&json!({ "scope": answered })));
            let id = connect(&server, &thor, &host, None).await.text("id");
            let state = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
            callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
            let connection = shown(&server, &thor, &id).await;
            assert_eq!(connection["scope"], "tools:read tools:write");
            assert_eq!(connection["granted_scope"], granted);
            let token = server.post_as(&thor, &format!("{CONNECTIONS}/{id}/token"), &json!({})).await.expect(200);
            assert_eq!(token.text("scope"), granted);
            assert_eq!(requested(&server, &thor, &id).await.unwrap(), "tools:read tools:write");
            host.reply("/token", tokens(&json!({ "scope": null, "access_token": "at-2" })));
            server.turn(Duration::hours(1));
            let token = server.post_as(&thor, &format!("{CONNECTIONS}/{id}/token"), &json!({})).await.expect(200);
            assert_eq!((token.text("access_token"), token.text("scope")), ("at-2".to_owned(), granted.to_owned()));
            host.reply("/token", tokens(&json!({ "scope": "less", "access_token": "at-3" })));
            server.turn(Duration::hours(1));
            let token = server.post_as(&thor, &format!("{CONNECTIONS}/{id}/token"), &json!({})).await.expect(200);
            assert_eq!(token.text("scope"), "less");
            let connection = shown(&server, &thor, &id).await;
            assert_eq!((&connection["scope"], &connection["granted_scope"]), (&json!("tools:read tools:write"), &json!("less")));
        }
    }

    /// RFC 6749 §6, <https://github.com/anthropics/claude-code/issues/89862>,
    /// <https://github.com/punkpeye/mcp-remote/pull/357>: a refresh repeats the scope of the authorization, because some
    /// servers otherwise grant another scope. A server that rejects the parameter is asked without.
    async fn a_refresh_repeats_the_scope_of_the_authorization(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        protect(&host, None, &json!(["tools:read", "tools:write"]));
        host.reply("/token", tokens(&json!({ "scope": "tools:read tools:write" })));
        let id = connect(&server, &thor, &host, None).await.text("id");
        let state = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
        let path = format!("{CONNECTIONS}/{id}/token");
        let supply = async || server.post_as(&thor, &path, &json!({})).await;
        host.reply("/token", tokens(&json!({ "scope": "less" })));
        for round in 1..=2 {
            server.turn(Duration::hours(2));
            assert_eq!(supply().await.expect(200).text("scope"), "less");
            assert!(host.asked_at("/token")[round].contains("scope=tools%3Aread+tools%3Awrite"));
        }
        host.reply("/token", Reply::json("400 x", "", &json!({ "error": "invalid_scope" })));
        server.turn(Duration::hours(2));
        refused_for(&supply().await, "invalid_scope");
        let asked = host.asked_at("/token");
        assert_eq!(asked.len(), 5);
        assert!(asked[3].contains("scope=") && !asked[4].contains("scope="), "{asked:?}");
    }

    /// SEP-2350, <https://github.com/modelcontextprotocol/conformance/issues/281>: a step-up whose challenge names
    /// only the missing scope requests the union, for good, also with what was granted without a request.
    async fn a_step_up_adds_and_never_forgets(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let knows = json!({ "scopes_supported": ["mcp:basic", "mcp:write", "offline_access"] });
        let host = remote(&outside, "tools.example", &knows).await;
        protect(&host, Some("mcp:basic"), &json!(["mcp:basic", "mcp:write"]));
        host.reply("/token", tokens(&json!({ "scope": "mcp:basic profile" })));
        let id = connect(&server, &thor, &host, None).await.text("id");
        let state = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
        host.reply("/token", tokens(&json!({ "scope": "mcp:basic profile mcp:write", "access_token": "at-2" })));
        let (scope, answer) = step_up(&server, &thor, &id, "mcp:write").await;
        assert_eq!(scope, "mcp:basic profile mcp:write offline_access");
        let connection = answer.expect(200).json()["connection"].clone();
        assert_eq!(connection["scope"], "mcp:basic profile mcp:write");
        assert_eq!(connection["granted_scope"], "mcp:basic profile mcp:write");
        let (scope, _) = step_up(&server, &thor, &id, "mcp:write mcp:basic").await;
        assert_eq!(scope, "mcp:basic profile mcp:write offline_access");
        assert_eq!(requested(&server, &thor, &id).await.unwrap(), "mcp:basic profile mcp:write offline_access");
        let path = format!("{CONNECTIONS}/{id}/authorize");
        for scope in ["x".repeat(2_040), "a\u{7f}".to_owned()] {
            let answer = server.post_as(&thor, &path, &json!({ "scope": scope })).await;
            refused_for(&answer, "scope");
        }
        assert_eq!(shown(&server, &thor, &id).await["scope"], "mcp:basic profile mcp:write");
        // An administrator may request less.
        let less = json!({ "scope": "mcp:basic" });
        server.call_as(&thor, ("PATCH", &format!("{CONNECTIONS}/{id}")), Some(&less)).await.expect(200);
        assert_eq!(requested(&server, &thor, &id).await.unwrap(), "mcp:basic offline_access");
    }

    /// SEP-2350: a step-up that the person denies, or that fails at the token endpoint, leaves the tokens of
    /// the earlier authorization in use.
    async fn a_failed_step_up_leaves_the_connection_working(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        protect(&host, Some("tools"), &json!(null));
        let id = connect(&server, &thor, &host, None).await.text("id");
        let state = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
        let state = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        refused_for(&callback(&server, &thor, &[("state", &state), ("error", "access_denied")]).await, "access_denied");
        host.reply("/token", Reply::json("400 x", "", &json!({ "error": "invalid_grant" })));
        let (_, failed) = step_up(&server, &thor, &id, "more").await;
        refused_for(&failed, "invalid_grant");
        let connection = shown(&server, &thor, &id).await;
        assert_eq!(connection["status"], "connected");
        assert!(connection["last_error"].as_str().unwrap().contains("invalid_grant"));
        let token = server.post_as(&thor, &format!("{CONNECTIONS}/{id}/token"), &json!({})).await.expect(200);
        assert_eq!((token.text("access_token"), token.text("scope")), ("at-1".to_owned(), "tools".to_owned()));
        host.reply("/token", tokens(&json!({ "access_token": "at-2" })));
        let (scope, answer) = step_up(&server, &thor, &id, "more").await;
        assert_eq!(scope, "tools more");
        assert_eq!(answer.expect(200).json()["connection"]["last_error"], json!(null));
    }

    /// storyden-contract.md#remote-connections: in the profile `storyden` only the given scope is requested, and
    /// the granted scope replaces that scope.
    async fn the_storyden_profile_requests_the_given_scope(setup: Setup) {
        let (server, thor, outside) = begin(setup.with("OAUTH_PROFILE", "storyden")).await;
        let host = remote(&outside, "tools.example", &json!({ "scopes_supported": ["offline_access"] })).await;
        protect(&host, Some("tools:read"), &json!(["tools:read"]));
        let made = connect(&server, &thor, &host, None).await;
        assert_eq!(made.json().get("scope"), None);
        assert!(!host.asked_at("/register")[0].contains("\"scope\""));
        assert_eq!(host.asked_at("/mcp").len(), 0);
        let id = made.text("id");
        let url = authorize(&server, &thor, &id).await;
        assert_eq!(parameter(&url, "scope"), None);
        let state = parameter(&url, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
        let connection = shown(&server, &thor, &id).await;
        assert_eq!(connection["scope"], "tools");
        assert_eq!(connection.get("granted_scope"), None);
        let state = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        refused_for(&callback(&server, &thor, &[("state", &state), ("code", "c"), ("iss", "https://x.example")]).await, "another");
        assert_eq!(shown(&server, &thor, &id).await["status"], "error");
    }
}
