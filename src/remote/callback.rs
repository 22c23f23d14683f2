//! The end of an authorization at a remote server (storyden-contract.md#remote-callback). The issuer is
//! checked before the code is sent anywhere.

use super::authorize::state_hash;
use super::metadata::ServerMetadata;
use super::token_endpoint::{self, NoTokens};
use super::{Error, find, renewal};
use crate::context::Context;
use crate::ids::AccountId;
use crate::keys::sealer::Place;
use crate::store::audit::{self, Entry};
use crate::store::remote::Connection;
use crate::store::remote_flows::{self, Flow};
use crate::store::remote_tokens;

/// The authorization response, brought back by the browser.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The state, which identifies the flow.
    pub state: &'a str,
    /// The code.
    pub code: Option<&'a str>,
    /// The issuer of the response (RFC 9207 §2).
    pub iss: Option<&'a str>,
    /// The error (RFC 6749 §4.1.2.1).
    pub error: Option<&'a str>,
    /// The same in words.
    pub error_description: Option<&'a str>,
}

/// Completes a flow for the account that started it. A flow is completed once.
///
/// # Errors
/// The reason of the failure.
pub async fn finish(
    context: &Context,
    answer: &Answer<'_>,
    account: &AccountId,
    entry: Entry,
) -> Result<Connection, Error> {
    let flow = remote_flows::find(&context.db, &state_hash(answer.state)).await?;
    let unknown = Error::Missing("There is no authorization with this state");
    let flow = flow.ok_or(unknown)?;
    let now = context.clock.now();
    // a flow of another account stays untouched.
    if flow
        .account_id
        .as_ref()
        .is_some_and(|began| began != account)
    {
        return Err(Error::refused(
            "This authorization was started by another account",
        ));
    }
    if flow.consumed_at.is_some() || now >= flow.expires_at {
        return Err(Error::refused(
            "This authorization is over; authorize the connection again",
        ));
    }
    let connection = find(context, &flow.connection_id).await?;
    if !remote_flows::consume(&context.db, &flow.id, now).await? {
        return Err(Error::refused("This authorization was answered already"));
    }
    let failure = match conclude(context, answer, &flow, &connection, entry).await {
        Ok(()) => return find(context, &connection.id).await,
        Err(failure) => failure,
    };
    let (why, client_is_known) = match failure {
        NoTokens::Here(error) => return Err(error),
        NoTokens::Refused(why) | NoTokens::InvalidScope(why) | NoTokens::Away(why) => (why, true),
        NoTokens::InvalidClient(why) => {
            let why = Box::pin(renewal::after_rejection(context, &connection, why)).await;
            (format!("{why}; authorize the connection again"), false)
        }
    };
    tracing::warn!(connection = %connection.id, why, "remote connection not authorized");
    // SEP-2350: a failed authorization leaves the tokens of an earlier one.
    let keeps_tokens = client_is_known && !context.config.policies.remote.failure_ends_connection;
    if keeps_tokens {
        remote_tokens::note(&context.db, &connection.id, &why, now).await?;
    } else {
        remote_tokens::fail(&context.db, &connection.id, &why, now).await?;
    }
    Err(Error::Refused(why))
}

async fn conclude(
    context: &Context,
    answer: &Answer<'_>,
    flow: &Flow,
    connection: &Connection,
    entry: Entry,
) -> Result<(), NoTokens> {
    check_issuer(answer, flow, connection).map_err(NoTokens::Refused)?;
    if flow.client_id.is_some() && flow.client_id != connection.client_id {
        // a concurrent attempt replaced the registration: the code belongs to the former client
        let why = "The registration was replaced meanwhile; authorize the connection again";
        return Err(NoTokens::Refused(why.to_owned()));
    }
    if let Some(error) = answer.error {
        let text =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(200).collect() };
        let description = answer.error_description.map(text).unwrap_or_default();
        let why = format!(
            "The authorization server refused: {} {description}",
            text(error)
        );
        return Err(NoTokens::Refused(why.trim_end().to_owned()));
    }
    let code = answer.code.filter(|code| !code.trim().is_empty());
    let code = code.ok_or_else(|| NoTokens::Refused("The answer has no code".to_owned()))?;
    let place = Place {
        row: flow.id.as_str(),
        column: "pkce_verifier",
    };
    let verifier = context.sealer.open(place, &flow.pkce_verifier)?;
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", flow.redirect_uri.as_str()),
        ("code_verifier", verifier.reveal()),
    ];
    let tokens = token_endpoint::ask(context, connection, &grant).await?;
    let kept = tokens.authorized(context, connection, flow.scope.clone())?;
    let entry = entry.subject(&connection.id);
    let saved = context.db.write((kept, entry), |tx, (kept, entry)| {
        Box::pin(async move {
            if remote_tokens::save_tokens(tx, kept).await? {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    saved.await.map_err(Error::from)?;
    Ok(())
}

/// RFC 9207 §2.4, `req_197`: mix-up defence, before the code is sent anywhere, and for errors too. A
/// server whose metadata promises `iss` must send `iss`.
fn check_issuer(answer: &Answer<'_>, flow: &Flow, connection: &Connection) -> Result<(), String> {
    let metadata = connection.authorization_server_metadata.as_ref();
    let always = metadata.is_some_and(|metadata| ServerMetadata::names_itself(&metadata.0));
    match (answer.iss, &flow.issuer) {
        (Some(iss), Some(issuer)) if iss != issuer => Err(format!(
            "The response is from another authorization server; expected {issuer:?}"
        )),
        (None, Some(_)) if always => {
            Err("The answer lacks iss, which this authorization server always sends".to_owned())
        }
        _ => Ok(()),
    }
}
