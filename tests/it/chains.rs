//! T7: a hundred refresh chains with replays, lost responses and pauses in random order, compared with
//! a sequential model.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::RequestBuilder;
use time::Duration;
use tokio::task::JoinSet;

use crate::support::{Answer, Client, Server, both};

const CHAINS: usize = 100;
const STEPS: usize = 8;
const WINDOW: i64 = 10;
const LIVE: &str = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";

/// Model of a refresh chain.
struct ChainModel {
    /// Every token in order; `None` if the response was lost.
    tokens: Vec<Option<String>>,
    /// Time of the last rotation, in seconds.
    rotated_at: i64,
    /// True after a detected reuse.
    dead: bool,
}

/// Expected result of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A new token.
    Rotated,
    /// The successor returned before (repeat window).
    Repeated,
    /// `invalid_grant`, for the rest of the chain.
    Refused,
}

impl ChainModel {
    /// Returns the expected result of a use.
    fn outcome(&self, token: usize, now: i64) -> Outcome {
        let leaf = self.tokens.len() - 1;
        match token {
            _ if self.dead => Outcome::Refused,
            used if used == leaf => Outcome::Rotated,
            used if used + 1 == leaf && now - self.rotated_at < WINDOW => Outcome::Repeated,
            _ => Outcome::Refused,
        }
    }

    /// Updates the model with a result.
    fn follow(&mut self, outcome: Outcome, given: Option<String>, now: i64) {
        match outcome {
            Outcome::Rotated => {
                self.tokens.push(given);
                self.rotated_at = now;
            }
            Outcome::Repeated => {
                let leaf = self.tokens.last_mut().unwrap();
                if let (Some(known), Some(given)) = (&leaf, &given) {
                    assert_eq!(known, given, "a repeat gave another successor");
                }
                *leaf = given.or(leaf.take());
            }
            Outcome::Refused => self.dead = true,
        }
    }

    /// Picks a token that the client has: mostly the newest, sometimes an old token.
    fn pick(&self, chance: &mut StdRng) -> usize {
        let known: Vec<usize> = (0..self.tokens.len())
            .filter(|at| self.tokens[*at].is_some())
            .collect();
        let newest = known.len() - 1;
        match chance.random_range(0..10) {
            0 => known[chance.random_range(0..known.len())],
            1 | 2 => known[newest.saturating_sub(1)],
            _ => known[newest],
        }
    }
}

/// Sends a request, and keeps it for a repetition.
async fn repeatable(request: &RequestBuilder) -> Answer {
    let request = request.try_clone().unwrap();
    Answer::of(request.send().await.unwrap()).await
}

/// Refreshes every chain concurrently.
async fn step(
    server: &Server,
    app: &Client,
    chains: &mut [ChainModel],
    chance: &mut StdRng,
    now: i64,
) {
    let mut running = JoinSet::new();
    for (at, chain) in chains.iter().enumerate() {
        let token = chain.pick(chance);
        let (lost, outcome) = (chance.random_range(0..5) == 0, chain.outcome(token, now));
        let text = chain.tokens[token].clone().unwrap();
        let request = server.token_request(&app.refresh_form(&text));
        running.spawn(async move {
            let mut answer = repeatable(&request).await;
            while answer.status == 503 {
                answer = repeatable(&request).await; // P3: a busy server consumes nothing
            }
            (at, outcome, lost, answer)
        });
    }
    for (at, outcome, lost, answer) in running.join_all().await {
        let given = if outcome == Outcome::Refused {
            answer.expect_error(400, "invalid_grant");
            None
        } else {
            Some(answer.expect(200).text("refresh_token"))
        };
        chains[at].follow(outcome, given.filter(|_| !lost), now);
    }
}

both! {
    /// T7, P2, P3, A-24, A-25, A-28: with replays and lost responses, a chain has at most a single live
    /// token, as in the model.
    async fn a_hundred_refresh_chains_follow_the_model(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let mut chance = StdRng::seed_from_u64(setup.seed);
        let mut chains = Vec::new();
        for _ in 0..CHAINS {
            let first = server.tokens(&frigg, &app, &[("scope", "offline_access")]).await;
            let tokens = vec![Some(first.text("refresh_token"))];
            chains.push(ChainModel { tokens, rotated_at: 0, dead: false });
        }
        let mut now = 0;
        for _ in 0..STEPS {
            step(&server, &app, &mut chains, &mut chance, now).await;
            let alive = chains.iter().filter(|chain| !chain.dead).count();
            assert_eq!(server.count(LIVE, &[]).await, i64::try_from(alive).unwrap());
            let idle = [0, 0, 1, 4, WINDOW - 1, WINDOW, 60][chance.random_range(0..7)];
            server.turn(Duration::seconds(idle));
            now += idle;
        }
        // The walk reached both outcomes: some chains were revoked, some were not.
        let dead = chains.iter().filter(|chain| chain.dead).count();
        assert!((1..CHAINS).contains(&dead), "{dead} chains died");
        for chain in chains.iter().filter(|chain| chain.dead) {
            for token in chain.tokens.iter().flatten() {
                server.refresh(&app, token).await.expect_error(400, "invalid_grant");
            }
        }
        server.held.count("chains", CHAINS);
        server.held.count("uses", CHAINS * STEPS);
        server.held.count("thefts", dead);
    }
}
