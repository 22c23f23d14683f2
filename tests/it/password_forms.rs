//! A password is accepted in each Unicode normalization form (Unicode Standard Annex #15).

use serde_json::json;
use storyden_auth::secret::Secret;

use crate::support::{Answer, Member, Server, both};

/// `Fjörðr ﬁsk` with a precomposed ö and the ligature fi.
const NFC: &str = "Fj\u{f6}r\u{f0}r \u{fb01}sk";
/// With a combining diaeresis.
const NFD: &str = "Fjo\u{308}r\u{f0}r \u{fb01}sk";
/// With a precomposed ö, without the ligature.
const NFKC: &str = "Fj\u{f6}r\u{f0}r fisk";

/// Stores a password as typed, as Storyden and this server do.
async fn store(server: &Server, member: &Member, password: &str) {
    let hash = server.context.passwords.hash(&Secret::new(password)).await;
    let sql = "UPDATE authentications SET token = $1 WHERE account_authentication = $2 AND service = 'password'";
    let hash = hash.unwrap();
    assert_eq!(server.sql(sql, &[&hash, member.id.as_str()]).await, 1);
}

/// Signs in from the loopback address.
async fn sign_in(server: &Server, password: &str) -> Answer {
    server.sign_in_from("127.0.0.1", "frigg", password).await
}

both! {
    /// The stored form may be any that the typed one normalizes to.
    /// <https://github.com/mattermost/mattermost/issues/36877>, <https://github.com/ulsklyc/yuvomi/issues/608>: a password
    /// with an umlaut was accepted from Safari and refused from Firefox on the same computer.
    async fn a_password_is_accepted_in_each_form(setup: Setup) {
        let server = setup.clone().start().await;
        let frigg = server.member("frigg", &[]).await;
        let beside = setup.with("OAUTH_PROFILE", "storyden").start().await;
        for server in [server, beside] {
            for (stored, typed, status) in [
                (NFC, NFC, 200),
                (NFC, NFD, 200),
                (NFD, NFC, 200),
                (NFD, NFD, 200),
                (NFKC, NFC, 200),
                (NFKC, NFD, 200),
                (NFKC, NFKC, 200),
                // NFKC loses the ligature: there is no way back.
                (NFC, NFKC, 401),
                (NFC, "Fjor\u{f0}r \u{fb01}sk", 401),
                (NFC, "fj\u{f6}r\u{f0}r \u{fb01}sk", 401),
            ] {
                store(&server, &frigg, stored).await;
                assert_eq!(sign_in(&server, typed).await.status, status, "{stored:?} {typed:?}");
            }
        }
    }

    /// A new password is stored as typed, so that a Storyden, which compares bytes, accepts it.
    async fn a_new_password_is_stored_as_typed(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        store(&server, &frigg, NFC).await;
        for (current, new) in [(NFD, NFD), (NFC, NFKC), (NFKC, NFC)] {
            let body = json!({ "current": current, "new": new });
            server.post_as(&frigg, "/api/auth/password", &body).await.expect(200);
            let stored = stored_hash(&server).await;
            // `verify_secret` compares the bytes alone, as Storyden does.
            for typed in [NFC, NFD, NFKC] {
                let matches = server.context.passwords.verify_secret(&Secret::new(typed), &stored).await;
                assert_eq!(matches.unwrap(), typed == new);
            }
        }
    }

    /// req_004: a wrong password counts as one failure, in however many forms it is checked.
    async fn a_wrong_password_is_one_failure(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        store(&server, &frigg, NFC).await;
        for guess in 0..10 {
            sign_in(&server, &format!("{NFD}{guess}")).await.expect(401);
        }
        sign_in(&server, NFC).await.expect(429);
    }

    /// an unknown account is answered like a wrong password.
    async fn an_unknown_account_is_answered_like_a_wrong_password(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        for password in [NFC, NFD, NFKC] {
            let wrong = sign_in(&server, password).await.expect(401);
            let unknown = server.sign_in_from("127.0.0.1", "nobody", password).await.expect(401);
            assert_eq!(wrong.text("detail"), unknown.text("detail"));
        }
    }
}

/// The stored password hash of the only account.
async fn stored_hash(server: &Server) -> String {
    let sql = "SELECT token FROM authentications WHERE service = 'password'";
    server.context.db.fetch_one(sql, &[]).await.unwrap()
}
