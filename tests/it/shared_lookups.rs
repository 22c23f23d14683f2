//! Issue 17: on PostgreSQL, look-ups that wait at the same time share a statement. Each request still gets the answer
//! for its own key, as of its own time. SQLite runs the same tests, without sharing.

use tokio::task::JoinSet;

use crate::support::race::send_concurrently;
use crate::support::{Answer, Client, Member, Server, both};

const USERINFO: &str = "/api/oauth/userinfo";

/// Members, each with an access token.
const MEMBERS: usize = 12;

/// Requests of each member in a burst: more than the connections of the pool, and than a statement answers.
const EACH: usize = 12;

/// A member and an access token.
struct Holder {
    member: Member,
    token: String,
}

/// A server with members that granted an application access.
async fn holders(server: &Server) -> (Client, Vec<Holder>) {
    let app = server.public_client().await;
    let mut holders = Vec::new();
    for number in 0..MEMBERS {
        let member = server.member(&format!("member-{number}"), &[]).await;
        let scope = [("scope", "openid profile email")];
        let token = server
            .tokens(&member, &app, &scope)
            .await
            .text("access_token");
        holders.push(Holder { member, token });
    }
    (app, holders)
}

/// Sends concurrent userinfo requests of every member. Returns the member with the status and the subject.
async fn burst<'a>(server: &Server, holders: &'a [Holder]) -> Vec<(&'a Member, u16, String)> {
    let order = || (0..EACH).flat_map(|_| holders);
    let requests = order().map(|holder| server.request("GET", USERINFO).bearer_auth(&holder.token));
    let answers = send_concurrently(requests.collect()).await;
    let outcome = |(holder, answer): (&'a Holder, Answer)| {
        let subject = match answer.status {
            200 => answer.text("sub"),
            _ => String::new(),
        };
        (&holder.member, answer.status, subject)
    };
    order().zip(answers).map(outcome).collect()
}

both! {
    /// Concurrent requests with different tokens, clients and device codes get their own answers.
    async fn concurrent_requests_get_their_own_answers(setup: Setup) {
        let server = setup.start().await;
        let (app, holders) = holders(&server).await;
        for (member, status, subject) in burst(&server, &holders).await {
            assert_eq!((status, subject.as_str()), (200, member.id.as_str()));
        }
        let mut devices = Vec::new();
        for (at, holder) in holders.iter().enumerate() {
            let device = match at % 2 {
                0 => server.approved_device(&holder.member, &app, "openid").await,
                _ => server.start_device(&app, "openid").await.expect(200).text("device_code"),
            };
            devices.push(device);
        }
        devices.push("unknown".to_owned());
        let polls = devices.iter().map(|device| server.token_request(&app.poll_form(device)));
        let answers = send_concurrently(polls.collect()).await;
        for (at, answer) in answers.into_iter().enumerate() {
            match at {
                MEMBERS => _ = answer.expect_error(400, "invalid_grant"),
                _ if at % 2 == 0 => {
                    let id_token = answer.expect(200).claims("id_token");
                    assert_eq!(id_token["sub"], holders[at].member.id.as_str());
                }
                _ => _ = answer.expect_error(400, "authorization_pending"),
            }
        }
    }

    /// Every request after a suspension is refused, also in a statement that answers other members; the others are not
    /// concerned.
    async fn a_suspension_counts_in_a_shared_statement(setup: Setup) {
        let server = setup.start().await;
        let (_, holders) = holders(&server).await;
        for suspended in 0..3 {
            server.suspend(&holders[suspended].member).await;
            for (member, status, _) in burst(&server, &holders).await {
                let ended = holders[..=suspended].iter().any(|holder| holder.member.id == member.id);
                assert_eq!(status, if ended { 401 } else { 200 }, "{}", member.id);
            }
        }
    }

    /// Clients that disconnect while others wait for the same statement do not take the answers of the others away.
    async fn a_lost_client_leaves_the_answers_of_others(setup: Setup) {
        let server = setup.start().await;
        let (_, holders) = holders(&server).await;
        for _ in 0..10 {
            let mut lost = JoinSet::new();
            for holder in &holders {
                let request = server.request("GET", USERINFO).bearer_auth(&holder.token);
                lost.spawn(async move { request.send().await.map(drop) });
            }
            tokio::task::yield_now().await;
            let answers = burst(&server, &holders);
            lost.abort_all();
            for (member, status, subject) in answers.await {
                assert_eq!((status, subject.as_str()), (200, member.id.as_str()));
            }
        }
    }
}
