//! The device grant at the token endpoint (RFC 8628 §3.4 and §3.5).

use std::time::Duration;

use super::issue::{Issue, Terms, TokenResponse, first_refresh_token};
use super::proof::{refresh_key, spend};
use super::{ATTEMPTS, committed};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::dpop::Proof;
use crate::ids::{DeviceAuthorizationId, GrantId};
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::device_grant::DeviceState;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::scope::Scope;
use crate::oauth::{ErrorCode, OAuthError};
use crate::rate_limit::device_polls::Poll;
use crate::resources::{self, Granted, Target};
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::accounts::Account;
use crate::store::client_locks;
use crate::store::clients::Client;
use crate::store::device_authorizations;
use crate::store::dpop_proofs::UsedProof;
use crate::store::refresh_tokens::{self, NewGrant, NewToken};

/// Time for a poll. Less than the time for a request, after which the answer is a 503.
const DEADLINE: Duration = Duration::from_secs(20);

/// An exchange of a device code for tokens, by an authenticated client.
#[derive(Debug)]
pub(super) struct DeviceExchange<'a> {
    /// The client.
    pub client: &'a Client,
    /// The device code.
    pub device_code: &'a Secret,
    /// The requested resource.
    pub resource: Option<&'a str>,
    /// The DPoP proof (RFC 9449 §5).
    pub proof: Option<&'a Proof>,
}

/// Answers a poll. An overload, and a database that does not answer in time, is `slow_down`.
///
/// # Errors
/// The codes of RFC 8628 §3.5.
pub(super) async fn answer(
    context: &Context,
    request: DeviceExchange<'_>,
) -> Result<TokenResponse, OAuthError> {
    let answer = poll(context, &request);
    tokio::time::timeout(DEADLINE, answer)
        .await
        .unwrap_or_else(|_| Err(OAuthError::temporarily_unavailable("The database is slow")))
        .map_err(poll_later)
}

/// Loads, checks, signs and commits. Starts again if a concurrent request changed the state first.
async fn poll(
    context: &Context,
    request: &DeviceExchange<'_>,
) -> Result<TokenResponse, OAuthError> {
    let (client, device_code) = (request.client, request.device_code);
    if client.kind == ClientType::Confidential {
        let description = "Client is not authorized for device_code grant";
        let grant = Some(GrantType::DeviceCode.wire_name());
        let error = OAuthError::unauthorized_client(description);
        return Err(error.mistake(MistakeKind::Grant, grant));
    }
    let device_code = device_code.hash();
    let _turn = context.redemptions.turn(&device_code).await?;
    for _ in 0..ATTEMPTS {
        let now = context.clock.now();
        let device = decide(context, client, &device_code, now).await?;
        match redeem(context, request, &device, now).await {
            Ok(Some(tokens)) => return Ok(tokens),
            Ok(None) => {}
            Err(error) => {
                if error.code == ErrorCode::TemporarilyUnavailable {
                    let poll = Poll {
                        at: now,
                        interval_seconds: device.interval_seconds,
                    };
                    context.polls.record(&device.id, poll);
                }
                return Err(error);
            }
        }
    }
    Err(code_already_used())
}

/// Turns an overload into `slow_down`. RFC 8628 §3.5: every code but `authorization_pending` and
/// `slow_down` ends the flow at the device, so a 503 would lose the approval; `slow_down` also reduces
/// load.
fn poll_later(error: OAuthError) -> OAuthError {
    if error.code != ErrorCode::TemporarilyUnavailable {
        return error;
    }
    let mut later = OAuthError::slow_down("The server is busy; increase the interval");
    later.detail = error.detail;
    later
}

/// A device authorization that may be redeemed.
struct ApprovedDevice {
    id: DeviceAuthorizationId,
    /// The granted scope.
    scope: String,
    /// The account that approved.
    account: Account,
    /// The polling interval, in seconds.
    interval_seconds: i64,
}

/// Returns an approved device authorization, or the error for the poll.
async fn decide(
    context: &Context,
    client: &Client,
    device_code: &SecretHash,
    now: Timestamp,
) -> Result<ApprovedDevice, OAuthError> {
    let found = device_authorizations::find_by_device_code(&context.db, device_code).await?;
    let found = found.filter(|device| device.client == client.row_id); // issued to this client
    let device = found.ok_or_else(|| {
        let description = "Device code is invalid or does not match client";
        OAuthError::invalid_grant(description).mistake(MistakeKind::DeviceCode, None)
    })?;
    let mut grant = device.grant;
    if let Some(poll) = context.polls.last(&device.id) {
        grant.last_polled_at = grant.last_polled_at.max(Some(poll.at));
        grant.interval_seconds = grant.interval_seconds.max(poll.interval_seconds);
    }
    let record = |at, interval_seconds| {
        let poll = Poll {
            at,
            interval_seconds,
        };
        context.polls.record(&device.id, poll);
    };
    let interval_seconds = grant.interval_seconds;
    let texts = context.config.policies.responses.error_texts;
    match grant.state(context.config.policies.device.early_polls, now) {
        DeviceState::Consumed => Err(code_already_used()),
        DeviceState::Expired => {
            let error = OAuthError::expired_token("Device code has expired")
                .mistake(MistakeKind::DeviceCode, None);
            let lifetime = context.config.device_code_ttl.whole_seconds();
            Err(texts.explain(error, || format!("device codes live {lifetime} seconds")))
        }
        DeviceState::SlowDown {
            interval_seconds,
            last_polled_at,
        } => {
            record(last_polled_at, interval_seconds);
            let error = OAuthError::slow_down("Polling too frequently; increase the interval")
                .mistake(MistakeKind::Polling, None);
            Err(texts.explain(error, || format!("it is {interval_seconds} seconds now")))
        }
        DeviceState::Pending => {
            record(now, interval_seconds);
            Err(OAuthError::authorization_pending(
                "User has not yet approved the device authorisation",
            ))
        }
        DeviceState::Approved(account) if !account.suspended && account.may_use_clients() => {
            Ok(ApprovedDevice {
                id: device.id,
                scope: device.scope,
                account,
                interval_seconds,
            })
        }
        // an approving account that was suspended, or lost the permission
        DeviceState::Denied | DeviceState::Approved(_) => {
            Err(OAuthError::access_denied("Device authorisation was denied"))
        }
    }
}

/// Redeems the device code and returns the tokens; `None` if a concurrent request changed the state
/// first.
async fn redeem(
    context: &Context,
    request: &DeviceExchange<'_>,
    device: &ApprovedDevice,
    now: Timestamp,
) -> Result<Option<TokenResponse>, OAuthError> {
    let (client, proof) = (request.client, request.proof);
    let (account, granted) = (&device.account, Scope::stored(&device.scope));
    let held = resources::held(context, account, &granted).await?;
    let scope = client.scope.still_granted(&granted, &held);
    let own = Granted {
        resources: None,
        at: now,
    };
    let target = Target::within(context, own, request.resource, &scope).await?;
    let grant = GrantId::generate(now);
    let issue = Issue {
        client,
        account,
        scope: &target.scope,
        grant: &grant,
        for_client_itself: false,
        nonce: None,
        auth_time: None,
        sign_in_method: None,
        claims: &GrantedClaims::default(),
        resources: target.resources.as_deref(),
        key: proof.map(|proof| &proof.key),
        terms: Terms::default(),
    };
    let tokens = issue.sign(context, now).await?;
    let (secret, token) = first_refresh_token(context, &issue, &granted, now).unzip();
    let redemption = Redemption {
        device: device.id.clone(),
        grant: NewGrant {
            id: grant,
            account: account.id.clone(),
            client: client.row_id.clone(),
            code: None,
            access_key: None, // only a session approves a device
            auth_time: None,
            sign_in_method: None,
            claims: GrantedClaims::default(),
            resources: None,
            dpop_jkt: refresh_key(client, proof),
            device: Some(device.id.clone()),
            created_at: now,
        },
        token,
        proof: proof.map(|proof| proof.used.clone()),
    };
    let commit = context
        .db
        .write(redemption, |tx, redemption| Box::pin(redemption.commit(tx)));
    Ok(committed(commit.await)?.then(|| tokens.with_refresh_token(secret.as_ref())))
}

/// Everything that a redemption writes, in one transaction.
struct Redemption {
    device: DeviceAuthorizationId,
    grant: NewGrant,
    token: Option<NewToken>,
    proof: Option<UsedProof>,
}

impl Redemption {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        spend(tx, self.proof.as_ref()).await?;
        client_locks::hold(tx, &self.grant.client, &self.grant.account).await?;
        if !device_authorizations::consume(tx, &self.device, self.grant.created_at).await? {
            return Err(store::Error::RaceLost);
        }
        refresh_tokens::insert_grant(tx, &self.grant).await?;
        if let Some(token) = &self.token {
            refresh_tokens::insert(tx, token).await?;
        }
        Ok(())
    }
}

fn code_already_used() -> OAuthError {
    OAuthError::invalid_grant("Device code has already been used")
        .mistake(MistakeKind::DeviceCode, None)
}
