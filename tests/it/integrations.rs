//! The recipe of docs/integrations.md for the crate `openidconnect`. The other recipes run in `tests/run peers`,
//! which reads their code from the document.

use crate::support::both;
use crate::support::relying_party::Http;

#[expect(unreachable_pub, reason = "code of an application, as in the document")]
#[path = "recipes/openidconnect.rs"]
mod signin;

#[test]
fn the_document_has_the_tested_code() {
    let document = include_str!("../../docs/integrations.md");
    let tested = include_str!("recipes/openidconnect.rs");
    assert!(document.contains(&format!("```rust signin.rs\n{tested}```\n")));
}

both! {
    /// T25: a member signs in at an application that is written as in the document.
    async fn a_member_signs_in_as_in_the_document(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock(); // the library checks times with the machine's clock
        let server = setup.start_with_own_issuer().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.confidential_client(&frigg.id).await;
        let http = Http::of(&server);
        let credentials = (app.client_id.as_str(), app.secret.as_deref().unwrap());
        let client = signin::discover(&http, &server.address, credentials, &app.redirect_uri);
        let client = client.await.unwrap();
        let (url, checks) = signin::login(&client);
        let back = server.approve_in_browser(&frigg, &url).await;
        let sent: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
        let user = signin::callback(&client, &http, checks, (&sent["state"], &sent["code"]));
        let user = user.await.unwrap();
        assert_eq!(user.preferred_username().unwrap().as_str(), "frigg");
        assert_eq!(user.email().unwrap().as_str(), "frigg@example.com");
    }
}
