//! Client secrets: the chosen authentication method, and the overlap of a replaced secret.

use storyden_auth::clients::secrets;
use storyden_auth::oauth::auth_method::AuthMethod;
use storyden_auth::oauth::grant_type::GrantType;
use storyden_auth::store::audit::{Entry, Event};
use storyden_auth::store::clients;
use time::Duration;

use crate::support::{Answer, Client, NewClient, Server, both};

/// Requests client credentials, with the secret in the body, in the header or absent.
async fn ask(server: &Server, client: &Client, method: AuthMethod, secret: &str) -> Answer {
    let mut form = vec![("grant_type", "client_credentials")];
    if method != AuthMethod::Basic {
        form.push(("client_id", &client.client_id));
    }
    if method == AuthMethod::Post {
        form.push(("client_secret", secret));
    }
    let request = server.token_request(&form);
    let request = match method {
        AuthMethod::Basic => request.basic_auth(&client.client_id, Some(secret)),
        _ => request,
    };
    server.send(request).await
}

/// A confidential client that acts for an owner, with a chosen method.
async fn service(
    server: &Server,
    client_id: &'static str,
    auth_method: Option<AuthMethod>,
) -> Client {
    let owner = server.member(client_id, &[]).await;
    let new = NewClient {
        client_id,
        secret: Some("first-secret"),
        grants: &[GrantType::ClientCredentials],
        owner: Some(owner.id),
        auth_method,
        ..NewClient::default()
    };
    server.client(new).await
}

/// Rotates a client's secret as the owner, with an overlap.
async fn rotate(server: &Server, client: &Client, overlap: Duration) -> String {
    let stored = clients::find(&server.context.db, &client.client_id).await;
    let entry = Entry::new(Event::ClientSecretRotated, server.clock.now());
    let secret = secrets::rotate(
        &server.context,
        &stored.unwrap().unwrap(),
        overlap,
        entry,
        None,
    )
    .await;
    secret.unwrap().reveal().to_owned()
}

both! {
    /// req_177: only the chosen method is accepted; the error names both methods.
    async fn only_the_chosen_method_is_accepted(setup: Setup) {
        let server = setup.start().await;
        for (name, chosen, other, status) in [
            ("odin", AuthMethod::Basic, AuthMethod::Post, 400),
            ("loki", AuthMethod::Post, AuthMethod::Basic, 401),
        ] {
            let client = service(&server, name, Some(chosen)).await;
            ask(&server, &client, chosen, "first-secret").await.expect(200);
            let refused = ask(&server, &client, other, "first-secret").await;
            let refused = refused.expect_error(status, "invalid_client");
            let text = refused.text("error_description");
            assert!(text.contains(chosen.name()) && text.contains(other.name()), "{text}");
            let named = ask(&server, &client, AuthMethod::None, "").await;
            named.expect_error(400, "invalid_client");
        }
    }

    /// req_177: with the column's default any method is accepted, also in a row written by a Storyden.
    async fn a_default_method_accepts_every_method(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server, "odin", None).await;
        for stored in ["client_secret_basic", "client_secret_post", "none"] {
            let sql = "UPDATE oauth_clients SET token_endpoint_auth_method = $1";
            server.sql(sql, &[stored]).await;
            for method in [AuthMethod::Basic, AuthMethod::Post] {
                ask(&server, &client, method, "first-secret").await.expect(200);
            }
        }
    }

    /// req_177: a public client with `none` sends no secret and needs none.
    async fn a_public_client_that_chose_none_presents_no_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let new = NewClient { auth_method: Some(AuthMethod::None), ..NewClient::default() };
        let app = server.client(new).await;
        let code = server.code(&frigg, &app, &[]).await;
        let mut form = app.exchange_form(&code);
        form.push(("client_secret", "made up"));
        server.token(&form).await.expect_error(400, "invalid_client");
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_177, storyden-contract.md#client-authentication: the profile `storyden` accepts every
    /// method.
    async fn the_storyden_profile_accepts_every_method(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let client = service(&server, "odin", Some(AuthMethod::Basic)).await;
        for method in [AuthMethod::Basic, AuthMethod::Post] {
            ask(&server, &client, method, "first-secret").await.expect(200);
        }
        ask(&server, &client, AuthMethod::Post, "wrong").await.expect_error(400, "invalid_client");
    }

    /// Issue 5: the old secret is valid during the overlap only.
    async fn an_old_secret_is_valid_during_the_overlap(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server, "odin", None).await;
        let second = rotate(&server, &client, Duration::hours(24)).await;
        let works = async |secret: &str| {
            let answer = ask(&server, &client, AuthMethod::Post, secret).await;
            answer.status == 200
        };
        assert!(works("first-secret").await && works(&second).await);
        assert!(!works("no secret of its").await);
        server.turn(Duration::hours(24) - Duration::seconds(1));
        assert!(works("first-secret").await && works(&second).await);
        server.turn(Duration::seconds(1));
        assert!(!works("first-secret").await, "it was remembered from before");
        assert!(works(&second).await);
    }

    /// without an overlap the old secret stops at once. A second rotation ends an earlier
    /// overlap, so at most two secrets are valid.
    async fn a_rotation_ends_an_earlier_overlap(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server, "odin", None).await;
        let works = async |secret: &str| {
            let answer = ask(&server, &client, AuthMethod::Post, secret).await;
            answer.status == 200
        };
        let second = rotate(&server, &client, Duration::hours(1)).await;
        let third = rotate(&server, &client, Duration::hours(1)).await;
        assert!(!works("first-secret").await);
        assert!(works(&second).await && works(&third).await);
        let fourth = rotate(&server, &client, Duration::ZERO).await;
        assert!(!works(&second).await && !works(&third).await);
        assert!(works(&fourth).await);
    }
}
