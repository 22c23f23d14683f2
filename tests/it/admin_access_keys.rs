//! `/api/admin/access-keys`: the keys of every account, for administrators
//! (storyden-contract.md#administration).

use serde_json::{Value, json};

use crate::support::{Answer, Member, Server, Setup, both};

const PATH: &str = "/api/admin/access-keys";
const OWN: &str = "/api/auth/access-keys";

async fn make(server: &Server, member: &Member, name: &str) -> Answer {
    let body = json!({ "name": name });
    let made = server.post_as(member, OWN, &body).await.expect(200);
    server.turn(time::Duration::seconds(1));
    made
}

async fn list(server: &Server, member: &Member, query: &str) -> Value {
    let answer = server.get_as(member, &format!("{PATH}{query}")).await;
    answer.expect(200).json()
}

async fn start_with_members(setup: &Setup) -> (Server, Member, Member) {
    let server = setup.start().await;
    let odin = server.admin("odin").await;
    let frigg = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
    (server, odin, frigg)
}

both! {
    /// storyden-contract.md#administration: every key is listed with the owner, in the format of the
    /// member's list.
    async fn list_has_keys_of_every_account(setup: Setup) {
        let (server, odin, frigg) = start_with_members(&setup).await;
        let laptop = make(&server, &frigg, "laptop").await;
        let phone = make(&server, &frigg, "phone").await;
        let backup = make(&server, &odin, "backup").await;
        let shown = list(&server, &odin, "").await;
        let keys = shown["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 3);
        for (made, owner, key) in [(&laptop, &frigg, &keys[0]), (&phone, &frigg, &keys[1]), (&backup, &odin, &keys[2])] {
            let mut expected = made.json();
            expected.as_object_mut().unwrap().remove("secret");
            let mut name = owner.handle.clone();
            name[..1].make_ascii_uppercase();
            expected["created_by"] = json!({
                "handle": owner.handle, "id": owner.id, "joined": "2026-01-01T00:00:00Z", "name": name, "roles": [],
            });
            assert_eq!(*key, expected);
        }
        assert_eq!(shown["total_pages"], 1);
        let page = list(&server, &odin, "?page_size=2&page=2").await;
        assert_eq!((&page["results"], &page["keys"][0]["id"]), (&json!(1), &backup.json()["id"]));
        let of_frigg = list(&server, &odin, &format!("?account_id={}", frigg.id)).await;
        assert_eq!(of_frigg["keys"].as_array().unwrap().len(), 2);
        for query in ["page_size=0", "page_size=201", "page=1&page=2", "account_id=%00"] {
            server.get_as(&odin, &format!("{PATH}?{query}")).await.expect(400);
        }
        server.suspend(&frigg).await;
        let shown = list(&server, &odin, "").await;
        assert!(shown["keys"][0]["created_by"]["suspended"].is_string());
        assert!(!shown.to_string().contains(&laptop.text("secret")));
    }

    /// storyden-contract.md#administration: a key revoked by an administrator is rejected at once, and
    /// the owner's list shows `enabled: false`.
    async fn administrator_revokes_any_key(setup: Setup) {
        let (server, odin, frigg) = start_with_members(&setup).await;
        let made = make(&server, &frigg, "laptop").await;
        let (key, path) = (made.text("secret"), format!("{PATH}/{}", made.text("id")));
        server.call_as(&frigg, ("DELETE", &path), None).await.expect(403);
        server.get_with_bearer(OWN, &key).await.expect(200);
        for _ in 0..2 {
            server.call_as(&odin, ("DELETE", &path), None).await.expect(204); // idempotent
        }
        server.get_with_bearer(OWN, &key).await.expect(401);
        let own = server.get_as(&frigg, OWN).await.expect(200);
        assert_eq!(own.json()["keys"][0]["enabled"], false);
        assert_eq!(list(&server, &odin, "").await["keys"][0]["enabled"], false);
        let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'access_key_deleted' \
                   AND actor_id = $1 AND account_id = $2";
        assert!(server.count(sql, &[odin.id.as_str(), frigg.id.as_str()]).await >= 1);
        for id in ["00000000000000000000", "x", "%00", "%ff"] {
            let answer = server.call_as(&odin, ("DELETE", &format!("{PATH}/{id}")), None).await.expect(404);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }

    /// storyden-contract.md#administration: in the profile `storyden` the list is not paged, and has
    /// Storyden's members.
    async fn storyden_list_is_not_paged(setup: Setup) {
        let setup = setup.with("OAUTH_PROFILE", "storyden");
        let (server, odin, frigg) = start_with_members(&setup).await;
        make(&server, &frigg, "laptop").await;
        let shown = list(&server, &odin, "").await;
        assert_eq!(shown.as_object().unwrap().len(), 1, "nothing but the keys");
        assert_eq!(shown["keys"][0]["updatedAt"], "0001-01-01T00:00:00Z");
        assert_eq!(shown["keys"][0]["enabled"], true);
        let page = list(&server, &odin, "?page=1").await;
        assert_eq!(page["results"], 1);
    }
}
