//! The built-in pages: identical for all users, restricted to a single origin by CSP, not frameable
//! (clickjacking).

use sha2::{Digest as _, Sha256};
use storyden_auth::oauth::permission::Permission;
use storyden_auth::secret::hex;

use crate::support::both;

/// Paths of the pages.
const PAGES: &[&str] = &[
    "/",
    "/login",
    "/logout",
    "/oauth/authorize/consent",
    "/oauth/consent",
    "/oauth/remote/callback",
    "/settings/applications",
    "/settings/clients",
    "/settings/access-keys",
    "/settings/security",
    "/admin/oauth",
    "/api/docs",
];
/// Assets of the pages, with the media type.
const ASSETS: &[(&str, &str)] = &[
    ("/web/access-keys.js", "text/javascript; charset=utf-8"),
    ("/web/account.js", "text/javascript; charset=utf-8"),
    ("/web/admin-audit.js", "text/javascript; charset=utf-8"),
    ("/web/admin-blocked.js", "text/javascript; charset=utf-8"),
    ("/web/admin-clients.js", "text/javascript; charset=utf-8"),
    (
        "/web/admin-connections.js",
        "text/javascript; charset=utf-8",
    ),
    ("/web/admin-devices.js", "text/javascript; charset=utf-8"),
    ("/web/admin-issuers.js", "text/javascript; charset=utf-8"),
    ("/web/admin-keys.js", "text/javascript; charset=utf-8"),
    ("/web/admin-list.js", "text/javascript; charset=utf-8"),
    ("/web/admin-member.js", "text/javascript; charset=utf-8"),
    ("/web/admin-members.js", "text/javascript; charset=utf-8"),
    ("/web/admin-overview.js", "text/javascript; charset=utf-8"),
    ("/web/admin-resources.js", "text/javascript; charset=utf-8"),
    ("/web/admin-table.js", "text/javascript; charset=utf-8"),
    ("/web/admin-tokens.js", "text/javascript; charset=utf-8"),
    ("/web/admin.js", "text/javascript; charset=utf-8"),
    ("/web/api.js", "text/javascript; charset=utf-8"),
    ("/web/applications.js", "text/javascript; charset=utf-8"),
    ("/web/client-details.js", "text/javascript; charset=utf-8"),
    ("/web/client-errors.js", "text/javascript; charset=utf-8"),
    ("/web/client-form.js", "text/javascript; charset=utf-8"),
    ("/web/client-kinds.js", "text/javascript; charset=utf-8"),
    ("/web/client-pages.js", "text/javascript; charset=utf-8"),
    (
        "/web/client-protection.js",
        "text/javascript; charset=utf-8",
    ),
    ("/web/clients.js", "text/javascript; charset=utf-8"),
    ("/web/confirm.js", "text/javascript; charset=utf-8"),
    ("/web/consent.js", "text/javascript; charset=utf-8"),
    ("/web/charts.js", "text/javascript; charset=utf-8"),
    ("/web/copyable.js", "text/javascript; charset=utf-8"),
    ("/web/device.js", "text/javascript; charset=utf-8"),
    ("/web/docs.js", "text/javascript; charset=utf-8"),
    ("/web/drafts.js", "text/javascript; charset=utf-8"),
    ("/web/dialog.js", "text/javascript; charset=utf-8"),
    ("/web/guard.js", "text/javascript; charset=utf-8"),
    ("/web/i18n.js", "text/javascript; charset=utf-8"),
    ("/web/index.js", "text/javascript; charset=utf-8"),
    ("/web/layout.js", "text/javascript; charset=utf-8"),
    ("/web/login.js", "text/javascript; charset=utf-8"),
    ("/web/logout.js", "text/javascript; charset=utf-8"),
    ("/web/messages/ar.json", "application/json"),
    ("/web/messages/de.json", "application/json"),
    ("/web/messages/en.json", "application/json"),
    ("/web/messages/es.json", "application/json"),
    ("/web/messages/fr.json", "application/json"),
    ("/web/messages/ja.json", "application/json"),
    ("/web/messages/pt-BR.json", "application/json"),
    ("/web/messages/zh-Hans.json", "application/json"),
    ("/web/navigation.js", "text/javascript; charset=utf-8"),
    ("/web/origins.js", "text/javascript; charset=utf-8"),
    ("/web/page.js", "text/javascript; charset=utf-8"),
    ("/web/people.js", "text/javascript; charset=utf-8"),
    ("/web/remote-callback.js", "text/javascript; charset=utf-8"),
    ("/web/scopes.js", "text/javascript; charset=utf-8"),
    ("/web/security.js", "text/javascript; charset=utf-8"),
    ("/web/snippet-browser.js", "text/javascript; charset=utf-8"),
    ("/web/snippets.js", "text/javascript; charset=utf-8"),
    (
        "/web/swagger-ui/swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
    ),
    ("/web/swagger-ui/swagger-ui.css", "text/css; charset=utf-8"),
    ("/web/text.js", "text/javascript; charset=utf-8"),
    ("/web/style.css", "text/css; charset=utf-8"),
    ("/web/icon.svg", "image/svg+xml; charset=utf-8"),
];

both! {
    /// A-48, req_118, req_127: the CSP restricts a page to the server's own origin and forbids framing.
    async fn a_page_loads_from_its_own_origin_alone(setup: Setup) {
        let server = setup.start().await;
        for path in PAGES {
            let page = server.get(path).await.expect(200);
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(
                page.header("content-security-policy"),
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                 connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            );
            assert_eq!(page.header("x-frame-options"), "DENY");
            assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
            assert_eq!(page.header("referrer-policy"), "no-referrer");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            assert!(!page.body.contains("{{"), "{path}: {}", page.body);
            for loaded in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "<style", " style=", " onclick="] {
                assert!(!page.body.contains(loaded), "{path} has {loaded}");
            }
        }
    }

    /// req_118: every asset is served with the right media type, and every asset that a page or script
    /// loads is known.
    async fn every_asset_is_served(setup: Setup) {
        let server = setup.start().await;
        for (path, content_type) in ASSETS {
            let asset = server.get(path).await.expect(200);
            assert_eq!(asset.header("content-type"), *content_type, "{path}");
            assert_eq!(asset.header("x-content-type-options"), "nosniff");
        }
        for page in PAGES {
            let body = server.get(page).await.expect(200).body;
            let named = body.split("\"/web/").skip(1).filter_map(|rest| rest.split('"').next());
            for name in named {
                let path = format!("/web/{name}");
                assert!(ASSETS.iter().any(|(known, _)| *known == path), "{path} of {page}");
            }
        }
        for (script, _) in ASSETS {
            let body = server.get(script).await.expect(200).body;
            let named = body.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
            for name in named {
                let path = format!("/web/{name}");
                assert!(ASSETS.iter().any(|(known, _)| *known == path), "{path} of {script}");
            }
        }
    }

    /// The files of Swagger UI are unchanged: their hashes are in the list beside.
    async fn vendored_files_are_unchanged(setup: Setup) {
        const LIST: &str = include_str!("../../web/swagger-ui/README.md");
        let server = setup.start().await;
        for name in ["swagger-ui-bundle.js", "swagger-ui.css"] {
            let body = server.get(&format!("/web/swagger-ui/{name}")).await.expect(200).body;
            let hash = hex(&Sha256::digest(body));
            assert!(LIST.contains(&format!("| `{name}` | `{hash}` |")), "{name}: {hash}");
        }
    }

    /// each permission has a description, and privileged permissions are marked.
    async fn privileged_permissions_are_marked(setup: Setup) {
        let server = setup.start().await;
        let messages = server.get("/web/messages/en.json").await.expect(200).json();
        let scopes = server.get("/web/scopes.js").await.expect(200).body;
        let groups: Vec<&str> = scopes.split("risk: \"").skip(1).collect();
        for permission in Permission::ALL {
            let name = permission.name();
            assert!(messages["scopes"]["labels"][name].is_string(), "{name} has no description");
            let quoted = format!("\"{name}\"");
            let of: Vec<_> = groups.iter().filter(|group| group.contains(&quoted)).collect();
            assert_eq!(of.len(), 1, "{name}");
            let is_powerful = of[0].starts_with("high") || of[0].starts_with("all");
            assert_eq!(is_powerful, permission.is_privileged(), "{name}");
        }
    }

    /// a page is revalidated each time, and sent again only after a change.
    async fn a_page_is_sent_again_only_when_it_changed(setup: Setup) {
        let server = setup.start().await;
        let assets = ASSETS.iter().map(|(path, _)| path);
        for path in PAGES.iter().chain(assets) {
            let page = server.get(path).await.expect(200);
            assert_eq!(page.header("cache-control"), "no-cache");
            let etag = page.header("etag");
            assert!(etag.starts_with('"') && etag.len() == 34, "{etag}");
            let again = server.request("GET", path).header("if-none-match", etag);
            let again = server.send(again).await.expect(304);
            assert_eq!(again.body, "");
            assert_eq!(again.header("etag"), etag);
            assert!(again.header("content-security-policy").contains("frame-ancestors 'none'"));
            let other = server.request("GET", path).header("if-none-match", "\"other\"");
            server.send(other).await.expect(200);
        }
    }

    /// A-38, req_093: a page is the same for all users, and opening a page has no effect.
    async fn a_page_is_identical_for_all_users(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let user_code = server.start_device(&app, "openid").await.text("user_code");
        for path in PAGES {
            let query = format!("{path}?user_code={user_code}&request_id=%3Cscript%3E&return_url=//evil.example");
            let mine = server.get_as(&frigg, &query).await.expect(200);
            assert_eq!(mine.body, server.get(path).await.expect(200).body);
            assert_eq!(mine.find_header("set-cookie"), None);
        }
        let claimed = "SELECT COUNT(*) AS n FROM oauth_device_authorisations \
            WHERE claimed_by_account_id IS NOT NULL";
        assert_eq!(server.count(claimed, &[]).await, 0);
    }

    /// without JavaScript no form puts a password into the URL.
    async fn no_form_puts_a_password_into_the_address(setup: Setup) {
        let server = setup.start().await;
        let login = server.get("/login").await.expect(200).body;
        let form = login.split("<form").nth(1).unwrap().split('>').next().unwrap();
        assert!(form.contains("method=\"post\""), "{form}");
        for path in PAGES {
            server.send(server.request("POST", path).form(&[("x", "1")])).await.expect(405);
        }
    }

    /// `WEB_ENABLED=false` disables the built-in pages in favor of a separate frontend; the API stays.
    async fn the_pages_can_be_switched_off(setup: Setup) {
        let server = setup
            .with("WEB_ENABLED", "false")
            .with("PUBLIC_WEB_ADDRESS", "https://www.example")
            .start().await;
        for path in PAGES {
            server.get(path).await.expect(404);
        }
        for (path, _) in ASSETS {
            server.get(path).await.expect(404);
        }
        server.get("/api/oauth/jwks").await.expect(200);
        // The error page of a refused authorization request is still served.
        let request = server.request("GET", "/api/oauth/authorize").header("accept", "text/html");
        let page = server.send(request).await.expect(400);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
}
