//! Renewal of a registration that the remote server no longer knows. Servers delete unused registrations
//! and expire secrets (RFC 7591 §3.2.1) without notice, and the authorization endpoint then shows an error page
//! that never returns here. Each authorization, callback or refresh registers at most once.

use time::Duration;

use super::connect::{requested_scope, seal_secret};
use super::discovery::Mode;
use super::metadata::ServerMetadata;
use super::registration::{self, Registration};
use super::token_endpoint::{self, NoTokens};
use super::{Error, find};
use crate::context::Context;
use crate::store::remote::Connection;
use crate::store::remote_tokens::{self, NewRegistration};

/// Age up to which a registration is not checked.
const NEW: Duration = Duration::minutes(10);

/// Returns the connection with a registration that the server knows, before the browser goes there.
///
/// # Errors
/// If the server rejects a new registration.
pub(super) async fn before_authorization(
    context: &Context,
    row: Connection,
) -> Result<Connection, Error> {
    if !is_renewable(context, &row) {
        return Ok(row);
    }
    let now = context.clock.now();
    let callback = context.config.remote_callback_page();
    let is_over = row.details.registration_rejected_at.is_some()
        || row.details.secret_expires_at.is_some_and(|end| end <= now)
        || row.redirect_uri.as_deref() != Some(callback.as_str());
    let registered_at = row.details.registered_at.unwrap_or(row.created_at);
    let is_new = now < registered_at + NEW;
    if is_over || !is_new && is_unknown(context, &row).await {
        return renew(context, &row).await;
    }
    Ok(row)
}

/// Registers anew after the token endpoint rejected the client. Returns the reason for the caller: tokens
/// and codes of the rejected client are lost in any case.
pub(super) async fn after_rejection(context: &Context, row: &Connection, why: String) -> String {
    if !is_renewable(context, row) {
        return if row.mode == Mode::Manual.name() {
            format!("{why}; check the client id and the secret of the connection")
        } else {
            why
        };
    }
    match renew(context, row).await {
        Ok(_) => format!("{why}; this server registered there anew"),
        Err(error) => {
            let now = context.clock.now();
            let marked = remote_tokens::reject_registration(&context.db, &row.id, now).await;
            if let Err(error) = marked {
                tracing::warn!(connection = %row.id, %error, "a rejected registration cannot be marked");
            }
            format!("{why}; registering anew failed: {error}")
        }
    }
}

/// True for a connection by registration, in the profile `standards`.
fn is_renewable(context: &Context, row: &Connection) -> bool {
    let has = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    row.mode == Mode::Dcr.name()
        && has(&row.registration_endpoint)
        && has(&row.client_id)
        && !context.config.policies.remote.registration_never_renewed
}

/// Asks the token endpoint, with a code that does not exist: `invalid_client` instead of `invalid_grant`
/// means that the registration is gone (RFC 6749 §5.2). Every other response leaves the registration.
async fn is_unknown(context: &Context, row: &Connection) -> bool {
    let (code, verifier) = (
        context.random.base64url::<32>(),
        context.random.base64url::<48>(),
    );
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        (
            "redirect_uri",
            row.redirect_uri.as_deref().unwrap_or_default(),
        ),
        ("code_verifier", verifier.as_str()),
    ];
    let asked = token_endpoint::ask(context, row, &grant).await;
    matches!(asked, Err(NoTokens::InvalidClient(_)))
}

/// Registers, and stores the registration unless a concurrent attempt did so.
async fn renew(context: &Context, row: &Connection) -> Result<Connection, Error> {
    let metadata = row.authorization_server_metadata.as_ref();
    let methods = metadata.map(|metadata| ServerMetadata::auth_methods(&metadata.0));
    let methods = methods.unwrap_or_default();
    let callback = context.config.remote_callback_page();
    let scope = requested_scope(context, row);
    let registration = Registration {
        endpoint: row.registration_endpoint.as_deref().unwrap_or_default(),
        redirect_uri: callback.as_str(),
        scope: scope.as_deref(),
        server_methods: &methods,
    };
    let registered = registration::register(context, &registration).await?;
    let new = NewRegistration {
        id: row.id.clone(),
        replaced: row.client_id.clone().unwrap_or_default(),
        client_secret: seal_secret(context, row, registered.client_secret.as_ref())?,
        client_id: registered.client_id,
        redirect_uri: callback.into(),
        auth_method: registered.auth_method.name(),
        secret_expires_at: registered.secret_expires_at,
        now: context.clock.now(),
    };
    let stored = context.db.write(new, |tx, new| {
        Box::pin(remote_tokens::replace_registration(tx, new))
    });
    let stored = stored.await?;
    tracing::info!(connection = %row.id, stored, "registered anew at a remote server");
    find(context, &row.id).await
}
