//! Registered metadata without a column in Storyden's `oauth_clients`: `auth_clients`.

use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::row::row;
use super::value::{JsonColumn, Names, Value};
use crate::ids::ClientRowId;
use crate::oauth::client_metadata::{About, PageChanges};
use crate::oauth::request_object;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::secret::SecretHash;

/// The details of a client.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// True if the client registered dynamically with this server (RFC 7591).
    pub registered: bool,
    /// Scope of a request without `scope`.
    pub default_scope: Option<String>,
    /// Allowed `post_logout_redirect_uri` values, compared byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// Informational metadata, such as logo and home page.
    pub about: About,
    /// Hash of the registration access token (RFC 7592), if the client has any.
    pub registration_token: Option<SecretHash>,
    /// The only algorithm of request objects (`request_object_signing_alg`), if the client chose any.
    pub request_object_algorithm: Option<SigningAlgorithm>,
}

/// Inserts or replaces the details of a client. Other columns of the row are unchanged.
pub async fn save(tx: &mut Tx, client: &ClientRowId, details: &Details) -> Result<()> {
    let uris = details.post_logout_redirect_uris.iter().map(String::as_str);
    tx.execute(
        "INSERT INTO auth_clients \
         (client_id, registered, default_scope, post_logout_redirect_uris, about, \
         registration_token_hash, request_object_signing_alg) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (client_id) DO UPDATE SET \
         registered = excluded.registered, default_scope = excluded.default_scope, \
         post_logout_redirect_uris = excluded.post_logout_redirect_uris, about = excluded.about, \
         registration_token_hash = excluded.registration_token_hash, \
         request_object_signing_alg = excluded.request_object_signing_alg",
        &[
            client.into(),
            details.registered.into(),
            details.default_scope.clone().into(),
            Value::names(uris),
            stored_about(&details.about)?,
            details
                .registration_token
                .as_ref()
                .map(|hash| hash.as_str().to_owned())
                .into(),
            Value::Text(
                details
                    .request_object_algorithm
                    .map(|algorithm| algorithm.name().to_owned()),
            ),
        ],
    )
    .await?;
    Ok(())
}

/// Changes the pages and the logo of a client. Other informational metadata stay.
pub async fn change_pages(tx: &mut Tx, client: &ClientRowId, changes: &PageChanges) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let before: Option<Option<JsonColumn<About>>> = tx
        .fetch_optional(
            "SELECT about FROM auth_clients WHERE client_id = $1",
            &[client.into()],
        )
        .await?;
    let about = changes.applied_to(before.flatten().unwrap_or_default().0);
    tx.execute(
        "INSERT INTO auth_clients (client_id, about) VALUES ($1, $2) \
         ON CONFLICT (client_id) DO UPDATE SET about = excluded.about",
        &[client.into(), stored_about(&about)?],
    )
    .await?;
    Ok(())
}

fn stored_about(about: &About) -> Result<Value> {
    let about = serde_json::to_value(about);
    let about = about.map_err(|error| Error::from(sqlx::Error::Encode(error.into())))?;
    Ok(Value::Json(about))
}

struct DetailsRow {
    registered: super::value::Flag,
    default_scope: Option<String>,
    post_logout_redirect_uris: Option<Names>,
    about: Option<JsonColumn<About>>,
    registration_token_hash: Option<String>,
    request_object_signing_alg: Option<String>,
}

row!(DetailsRow:
    registered, default_scope, post_logout_redirect_uris, about, registration_token_hash,
    request_object_signing_alg
);

/// Finds the details of a client; defaults if there is no row.
pub async fn find(db: &Db, client: &ClientRowId) -> Result<Details> {
    let row: Option<DetailsRow> = db
        .fetch_optional(
            "SELECT registered, default_scope, post_logout_redirect_uris, about, \
             registration_token_hash, request_object_signing_alg FROM auth_clients WHERE client_id = $1",
            &[client.into()],
        )
        .await?;
    Ok(row.map_or_else(Details::default, |row| Details {
        registered: row.registered.0,
        default_scope: row.default_scope,
        post_logout_redirect_uris: row.post_logout_redirect_uris.unwrap_or_default().0,
        about: row.about.unwrap_or_default().0,
        registration_token: row.registration_token_hash.map(SecretHash::stored),
        request_object_algorithm: row
            .request_object_signing_alg
            .and_then(|name| request_object::algorithm(&name)),
    }))
}

/// True if the number of dynamically registered clients, from any network, has reached `max`. The check
/// takes no lock, so concurrent registrations may exceed the limit slightly.
pub async fn is_registration_limit_reached(db: &Db, max: i64) -> Result<bool> {
    let count: i64 = db
        .fetch_one(
            "SELECT COUNT(*) AS n FROM (SELECT c.id FROM oauth_clients c \
             WHERE c.account_id IS NULL AND c.client_id LIKE 'sdoak\\_%' ESCAPE '\\' LIMIT $1) x",
            &[max.into()],
        )
        .await?;
    Ok(count >= max)
}

/// Stores the network that registered a client.
pub async fn set_registration_network(
    tx: &mut Tx,
    client: &ClientRowId,
    network: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE auth_clients SET registered_from = $2 WHERE client_id = $1",
        &[client.into(), network.into()],
    )
    .await?;
    Ok(())
}

/// Counts the clients that a network registered, at most `most`. The check takes no lock, so concurrent
/// registrations may exceed the limit slightly.
pub async fn count_registrations_from(db: &Db, network: &str, most: i64) -> Result<i64> {
    db.fetch_one(
        "SELECT COUNT(*) AS n FROM (SELECT c.id FROM auth_clients d \
             JOIN oauth_clients c ON c.id = d.client_id WHERE d.registered_from = $1 LIMIT $2) x",
        &[network.into(), most.into()],
    )
    .await
}
