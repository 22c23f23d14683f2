//! Logos of clients: fetched by this server, shown from its origin (req_141).

use time::Duration;

use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{Answer, Member, NewClient, Server, Setup, both};

/// The first bytes of a PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nimage";

/// A server, a member, a host with images, and the internet.
async fn start(setup: Setup) -> (Server, Member, Host, SimulatedInternet) {
    let outside = SimulatedInternet::new();
    let server = outside.around(setup).start().await;
    let frigg = server.member("frigg", &[]).await;
    let cdn = outside.host("cdn.example").await;
    (server, frigg, cdn, outside)
}

/// Registers a client with a logo.
async fn client(server: &Server, client_id: &'static str, logo_uri: &str) {
    let new = NewClient {
        client_id,
        ..NewClient::default()
    };
    let client = server.client(new).await;
    let mut details = storyden_auth::store::client_details::Details::default();
    details.about.logo_uri = Some(logo_uri.to_owned());
    let saved = server
        .context
        .db
        .write((client.row_id, details), |tx, (row, details)| {
            Box::pin(storyden_auth::store::client_details::save(tx, row, details))
        });
    saved.await.unwrap();
}

/// A response with an image.
fn image(media_type: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    Reply::Raw([head.as_bytes(), body].concat())
}

/// Fetches a logo with a session.
async fn logo(server: &Server, member: &Member, client_id: &str) -> Answer {
    let path = "/api/oauth/client_logo";
    let request = server
        .request("GET", path)
        .query(&[("client_id", client_id)]);
    server.send(request.header("cookie", member.cookie())).await
}

both! {
    /// req_141: the image comes from this origin, as an inert image; the host is asked once, without a cookie.
    async fn a_logo_is_shown_from_this_origin(setup: Setup) {
        let (server, frigg, cdn, _outside) = start(setup).await;
        cdn.reply("/logo", image("text/html", PNG));
        client(&server, "app", &cdn.url("/logo")).await;
        for _ in 0..3 {
            let request = server.request("GET", "/api/oauth/client_logo").query(&[("client_id", "app")]);
            let request = request.header("cookie", frigg.cookie());
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), "image/png"); // by content, not by the declared type
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
            assert_eq!(header("cache-control"), "private, max-age=3600");
            assert_eq!(response.bytes().await.unwrap(), PNG);
        }
        let asked = cdn.asked();
        assert_eq!(asked.len(), 1);
        let head = asked[0].to_ascii_lowercase();
        assert!(head.contains("accept: image/png") && !head.contains("cookie"), "{head}");
        let guest = server.request("GET", "/api/oauth/client_logo").query(&[("client_id", "app")]);
        server.send(guest).await.expect(401);
    }

    /// A document with scripts, a redirect, a large or missing image are not shown, and not asked for again for
    /// ten minutes.
    async fn only_small_images_are_shown(setup: Setup) {
        let (server, frigg, cdn, _outside) = start(setup).await;
        cdn.reply("/svg", image("image/svg+xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"));
        cdn.reply("/html", image("image/png", b"<!doctype html><script>alert(1)</script>"));
        cdn.reply("/large", image("image/png", &[PNG, &vec![0; 300_000]].concat()));
        cdn.reply("/moved", Reply::body("302 Found", "Location: https://cdn.example/logo\r\n", ""));
        cdn.reply("/logo", image("image/png", PNG));
        for (client_id, path) in [("svg", "/svg"), ("html", "/html"), ("large", "/large"), ("moved", "/moved"), ("gone", "/gone")] {
            client(&server, client_id, &cdn.url(path)).await;
            for _ in 0..2 {
                logo(&server, &frigg, client_id).await.expect(404);
            }
            assert_eq!(cdn.asked_at(path).len(), 1, "{path}");
        }
        assert_eq!(cdn.asked_at("/logo").len(), 0);
        server.turn(Duration::minutes(10));
        cdn.reply("/gone", image("image/gif", b"GIF89a"));
        let answer = logo(&server, &frigg, "gone").await.expect(200);
        assert_eq!(answer.header("content-type"), "image/gif");
    }

    /// the SSRF guard applies.
    async fn a_logo_is_fetched_behind_the_guard(setup: Setup) {
        let (server, frigg, _cdn, outside) = start(setup).await;
        outside.name("internal.example", &[&["10.0.0.1"]]);
        for (client_id, uri) in [
            ("private", "https://internal.example/logo"), ("literal", "https://127.0.0.1/logo"),
            ("port", "https://cdn.example:8443/logo"), ("own", "https://auth.example/logo"),
        ] {
            client(&server, client_id, uri).await;
            logo(&server, &frigg, client_id).await.expect(404);
        }
        assert_eq!(outside.dialled(), [] as [std::net::IpAddr; 0]);
        logo(&server, &frigg, "nobody").await.expect(404);
        server.public_client().await;
        logo(&server, &frigg, "app").await.expect(404);
    }

    /// After a day the image is shown once more, while it is fetched again; fetches of an account are limited.
    async fn an_old_logo_is_fetched_again(setup: Setup) {
        let (server, frigg, cdn, _outside) = start(setup).await;
        cdn.reply("/logo", image("image/png", PNG));
        client(&server, "app", &cdn.url("/logo")).await;
        logo(&server, &frigg, "app").await.expect(200);
        server.turn(Duration::hours(24));
        cdn.reply("/logo", image("image/gif", b"GIF89a"));
        let old = logo(&server, &frigg, "app").await.expect(200);
        assert_eq!(old.header("content-type"), "image/png");
        let logos = &server.context.logos;
        let fetched_at = |url: &str| logos.get(url).unwrap().fetched_at;
        while fetched_at(&cdn.url("/logo")) < server.context.clock.now() {
            tokio::task::yield_now().await;
        }
        let new = logo(&server, &frigg, "app").await.expect(200);
        assert_eq!(new.header("content-type"), "image/gif");
        assert_eq!(cdn.asked().len(), 2);
    }

    /// The fetches of an account are limited; an image in the cache is not a fetch.
    async fn fetches_of_an_account_are_limited(setup: Setup) {
        let (server, frigg, cdn, _outside) = start(setup.with("RATE_LIMIT", "250")).await;
        cdn.reply("/a", image("image/png", PNG));
        client(&server, "first", &cdn.url("/a")).await;
        logo(&server, &frigg, "first").await.expect(200);
        for client_id in ["second", "third"] {
            client(&server, client_id, &cdn.url(&format!("/{client_id}"))).await;
            logo(&server, &frigg, client_id).await.expect(404);
        }
        client(&server, "fourth", &cdn.url("/a?4")).await;
        let answer = logo(&server, &frigg, "fourth").await.expect(429);
        assert!(answer.json()["detail"].as_str().unwrap().contains("logos"));
        logo(&server, &frigg, "first").await.expect(200);
    }
}
