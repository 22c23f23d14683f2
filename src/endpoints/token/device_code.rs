//! The device grant at the token endpoint (RFC 8628 §3.4 and §3.5).

use super::issue::{Issue, TokenResponse, first_refresh_token};
use super::{ATTEMPTS, won};
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::{DeviceAuthorizationId, GrantId};
use crate::oauth::OAuthError;
use crate::oauth::device_grant::DeviceState;
use crate::oauth::grant_type::ClientType;
use crate::oauth::scope::Scope;
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::Account;
use crate::store::clients::{self, Client};
use crate::store::device_authorizations::{self, PolledDevice};
use crate::store::refresh_tokens::{self, NewGrant, NewToken};

/// Load, decide, sign, commit, answer; once more if somebody else was first.
///
/// # Errors
/// The table of RFC 8628 §3.5.
pub(super) async fn answer(
    app: &App,
    client: &Client,
    device_code: &Secret,
    resource: Option<&str>,
) -> Result<TokenResponse, OAuthError> {
    if client.kind == ClientType::Confidential {
        let description = "Client is not authorized for device_code grant";
        return Err(OAuthError::unauthorized_client(description));
    }
    for _ in 0..ATTEMPTS {
        let now = app.clock.now();
        let (device, account) = decide(app, client, device_code, now).await?;
        if let Some(tokens) = redeem(app, client, (&device, &account), resource, now).await? {
            return Ok(tokens);
        }
    }
    Err(used())
}

/// The approved device authorization and who approved it, or what the device is told instead.
async fn decide(
    app: &App,
    client: &Client,
    device_code: &Secret,
    now: Timestamp,
) -> Result<(PolledDevice, Account), OAuthError> {
    let found = device_authorizations::find_polled(&app.db, &device_code.hash()).await?;
    let found = found.filter(|device| device.client == client.row_id);
    let mut device = found.ok_or_else(|| {
        OAuthError::invalid_grant("Device code is invalid or does not match client")
    })?;
    let last = app.polls.last(&device.id);
    device.grant.last_polled_at = device.grant.last_polled_at.max(last);
    match device.grant.state(app.config.profile, now) {
        DeviceState::Consumed => Err(used()),
        DeviceState::Denied => Err(OAuthError::access_denied("Device authorisation was denied")),
        DeviceState::Expired => Err(OAuthError::expired_token("Device code has expired")),
        DeviceState::SlowDown(interval) => {
            if app.config.profile.early_polls_count() {
                app.polls.record(&device.id, now);
            }
            if interval > device.grant.interval_seconds {
                device_authorizations::slow_down(&app.db, &device.id, interval).await?;
            }
            Err(OAuthError::slow_down(
                "Polling too frequently; increase the interval",
            ))
        }
        DeviceState::Pending => {
            app.polls.record(&device.id, now);
            Err(OAuthError::authorization_pending(
                "User has not yet approved the device authorisation",
            ))
        }
        DeviceState::Approved => match device.account.take() {
            Some(account) if !account.suspended && account.may_use_clients() => {
                Ok((device, account))
            }
            // who approved it gets nothing any more
            _ => Err(OAuthError::access_denied("Device authorisation was denied")),
        },
    }
}

/// The tokens; `None` when somebody else was first.
async fn redeem(
    app: &App,
    client: &Client,
    (device, account): (&PolledDevice, &Account),
    resource: Option<&str>,
    now: Timestamp,
) -> Result<Option<TokenResponse>, OAuthError> {
    let granted = Scope::stored(&device.scope);
    let scope = client.scope.still_granted(&granted, account.permissions);
    let resources = app.resources.within(None, resource)?;
    let grant = GrantId::generate();
    let issue = Issue {
        client,
        account,
        scope: &scope,
        grant: Some(&grant),
        nonce: None,
        auth_time: None,
        resources: resources.as_deref(),
    };
    let tokens = issue.sign(app, now).await?;
    let (secret, token) = first_refresh_token(app, &issue, &granted, now).unzip();
    let redemption = Redemption {
        device: device.id.clone(),
        grant: NewGrant {
            id: grant,
            account: account.id.clone(),
            client: client.row_id.clone(),
            code: None,
            access_key: None, // a device is approved by session alone
            auth_time: None,
            resources: None,
            created_at: now,
        },
        token,
    };
    let commit = app
        .db
        .write(redemption, |tx, redemption| Box::pin(redemption.commit(tx)));
    Ok(won(commit.await)?.then(|| tokens.with_refresh_token(secret.as_ref())))
}

/// What a redemption writes: all of it or nothing.
struct Redemption {
    device: DeviceAuthorizationId,
    grant: NewGrant,
    token: Option<NewToken>,
}

impl Redemption {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        clients::hold(tx, &self.grant.client).await?;
        if !device_authorizations::consume(tx, &self.device, self.grant.created_at).await? {
            return Err(store::Error::Lost);
        }
        refresh_tokens::insert_grant(tx, &self.grant).await?;
        if let Some(token) = &self.token {
            refresh_tokens::insert(tx, token).await?;
        }
        Ok(())
    }
}

fn used() -> OAuthError {
    OAuthError::invalid_grant("Device code has already been used")
}
