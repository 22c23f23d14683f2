//! Origins of sessions and grants: device, browser, place, first and last use, and sign-ins from unknown browsers.

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, Member, PASSWORD, Server, both};

const SESSIONS: &str = "/api/auth/sessions";
const APPLICATIONS: &str = "/api/auth/oauth/applications";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Signs in from a browser, with cookies.
async fn sign_in(server: &Server, member: &Member, address: &str, cookie: &str) -> Answer {
    let body = json!({ "identifier": member.handle, "token": PASSWORD });
    let request = server
        .request("POST", "/api/auth/password/signin")
        .header("x-forwarded-for", address)
        .header("user-agent", FIREFOX)
        .header("cookie", cookie)
        .json(&body);
    server.send(request).await.expect(200)
}

/// Lists the sessions of a member, with those of other browsers first.
async fn sessions(server: &Server, member: &Member) -> Vec<Value> {
    let list = server.get_as(member, SESSIONS).await.expect(200).json();
    let mut all = list["sessions"].as_array().expect("a list").clone();
    all.sort_by_key(|session| session["current"] == true);
    all
}

fn with_session(member: &Member, answer: &Answer) -> Member {
    Member {
        session: answer.cookie("storyden-session"),
        ..member.clone()
    }
}

both! {
    /// A session says browser, system and address of its sign-in, first and last use.
    async fn a_session_says_where_it_began(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let begun = server.clock.now();
        let browser = with_session(&frigg, &sign_in(&server, &frigg, "203.0.113.7", "").await);
        let current = sessions(&server, &browser).await.pop().expect("a session");
        assert_eq!(current["current"], true);
        assert_eq!(
            current["origin"],
            json!({ "address": "203.0.113.7", "browser": "Firefox", "system": "Linux", "user_agent": FIREFOX })
        );
        assert_eq!(current["last_used_at"], json!(begun));
        // A use is recorded every 15 minutes, after the response.
        server.turn(Duration::minutes(20));
        server.get_as(&browser, SESSIONS).await.expect(200);
        let recorded = "SELECT COUNT(*) AS n FROM auth_sessions WHERE last_used_at > (SELECT MIN(created_at) FROM sessions \
                        WHERE id = session_id)";
        for _ in 0..600 {
            if server.count(recorded, &[]).await == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let current = sessions(&server, &browser).await.pop().expect("a session");
        assert_eq!(current["last_used_at"], json!(server.clock.now()));
        assert_eq!(current["createdAt"], json!(begun));
    }

    /// A sign-in from an unknown browser is shown in other sessions: in older ones, and in those of a known browser. The
    /// session itself does not show it, and can neither hide it there.
    async fn a_sign_in_from_an_unknown_browser_is_shown(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let first = sign_in(&server, &frigg, "203.0.113.7", "").await;
        let device = format!("__Host-storyden-auth-device={}", first.cookie("storyden-auth-device"));
        let own = with_session(&frigg, &first);
        server.turn(Duration::minutes(1));
        let thief = with_session(&frigg, &sign_in(&server, &frigg, "198.51.100.9", "").await);
        let seen = sessions(&server, &own).await;
        let new: Vec<_> = seen.iter().filter(|session| session["is_new"] == true).collect();
        assert_eq!(new.len(), 1);
        assert_eq!(new[0]["origin"]["address"], "198.51.100.9");
        assert!(sessions(&server, &thief).await.iter().all(|session| session["is_new"] == false));
        // A later session of the known browser sees both sign-ins without a device cookie.
        server.turn(Duration::minutes(1));
        let again = with_session(&frigg, &sign_in(&server, &frigg, "203.0.113.7", &device).await);
        let seen = sessions(&server, &again).await;
        assert_eq!(seen.iter().filter(|session| session["is_new"] == true).count(), 2);
        // The button ends the session.
        let id = new[0]["id"].as_str().expect("an id");
        let request = server.request("DELETE", &format!("{SESSIONS}/{id}")).header("cookie", own.cookie());
        server.send(request.header("origin", "https://auth.example")).await.expect(204);
        server.get_as(&thief, SESSIONS).await.expect(401);
    }

    /// RFC 8628 §5.4: a grant of the device flow says the device, with the name that the member gave it.
    async fn a_device_has_the_name_that_the_member_gave(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, "openid offline_access").await.expect(200);
        let user_code = started.text("user_code");
        server.open_device(&frigg, &user_code).await.expect(200);
        let long = "x".repeat(65);
        for wrong in [long.as_str(), "two\nlines"] {
            let body = json!({ "user_code": user_code, "decision": "approve", "device_name": wrong });
            let refused = server.post_as(&frigg, "/api/oauth/device/consent", &body).await;
            refused.expect_error(400, "invalid_request");
        }
        let body = json!({ "user_code": user_code, "decision": "approve", "device_name": "  Kitchen tablet " });
        server.post_as(&frigg, "/api/oauth/device/consent", &body).await.expect(200);
        let code = started.text("device_code");
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [("grant_type", grant), ("device_code", &code), ("client_id", &app.client_id)];
        server.token(&form).await.expect(200);
        let list = server.get_as(&frigg, APPLICATIONS).await.expect(200).json();
        let access = &list["applications"][0]["accesses"][0];
        assert_eq!(access["origin"]["device_name"], "Kitchen tablet");
        assert_eq!(access["origin"]["address"], "127.0.0.1");
        assert_eq!(access["granted_at"], json!(server.clock.now()));
    }

    /// A grant of the code flow says the browser that approved.
    async fn a_grant_says_the_browser_that_approved(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let body = json!({ "request_id": request_id, "decision": "approve" });
        server.consent(&frigg, &request_id).await.expect(200);
        let request = server.request("POST", "/api/oauth/authorize/consent").header("cookie", frigg.cookie());
        let request = request.header("origin", "https://auth.example").header("user-agent", FIREFOX);
        let approved = server.send(request.header("x-forwarded-for", "203.0.113.7").json(&body)).await.expect(200);
        let code = approved.sent("code").expect("a code");
        server.exchange(&app, &code).await.expect(200);
        let list = server.get_as(&frigg, APPLICATIONS).await.expect(200).json();
        let origin = &list["applications"][0]["accesses"][0]["origin"];
        assert_eq!(origin["address"], "203.0.113.7");
        assert_eq!(origin["browser"], "Firefox");
    }

    /// `GEOIP_DB` that is no MaxMind DB stops the start.
    async fn a_wrong_file_of_countries_stops_the_start(setup: Setup) {
        let file = setup.folder.join("countries.mmdb");
        std::fs::write(&file, "not a database").unwrap();
        let ended = setup.run(&["serve"], &[("GEOIP_DB", file.to_str().unwrap())]).await;
        assert_ne!(ended.code, Some(0));
        assert!(ended.stderr.contains("GEOIP_DB"), "{}", ended.stderr);
    }
}
