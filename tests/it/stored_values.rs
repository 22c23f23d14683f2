//! Values written into Storyden's tables, column by column, in Storyden's own formats
//! (storyden-contract.md#tables): either server reads the other's rows.

use serde_json::{Value, json};

use crate::support::{Member, PASSWORD, Server, Storyden, both, pair};

/// The format of each written column. Alternatives are separated by spaces: `?` is NULL, `never` is a
/// column that is always NULL, and `in` lists the allowed words.
const FORMS: &[(&str, &str)] = &[
    ("accounts.id", "id"),
    ("accounts.created_at", "time"),
    ("accounts.updated_at", "time"),
    ("accounts.deleted_at", "time ?"),
    ("accounts.indexed_at", "never"),
    ("accounts.handle", "text"),
    ("accounts.name", "text"),
    ("accounts.bio", "never"),
    ("accounts.signature", "never"),
    ("accounts.kind", "in human bot"),
    ("accounts.verified_status", "in none email manual"),
    ("accounts.admin", "flag"),
    ("accounts.links", "never"),
    ("accounts.metadata", "never"),
    ("accounts.invited_by_id", "never"),
    ("emails.id", "id"),
    ("emails.created_at", "time"),
    ("emails.email_address", "text"),
    ("emails.verification_code", "text"),
    ("emails.verification_code_expires_at", "time"),
    ("emails.verification_attempts", "number"),
    ("emails.verified", "flag"),
    ("emails.account_id", "id"),
    ("roles.id", "id"),
    ("roles.created_at", "time"),
    ("roles.updated_at", "time"),
    ("roles.name", "text"),
    ("roles.colour", "text"),
    ("roles.permissions", "list"),
    ("roles.sort_key", "real"),
    ("roles.metadata", "never"),
    ("account_roles.id", "id"),
    ("account_roles.created_at", "time"),
    ("account_roles.badge", "never"),
    ("account_roles.account_id", "id"),
    ("account_roles.role_id", "id"),
    ("authentications.id", "id"),
    ("authentications.created_at", "time"),
    ("authentications.expires_at", "time ?"),
    ("authentications.service", "in password access_key"),
    ("authentications.token_type", "in password_hash"),
    ("authentications.identifier", "text"),
    ("authentications.token", "argon2"),
    ("authentications.name", "text ?"),
    ("authentications.disabled", "flag"),
    ("authentications.metadata", "nil ?"),
    ("authentications.account_authentication", "id"),
    ("sessions.id", "id"),
    ("sessions.created_at", "time"),
    ("sessions.token_hash", "hash"),
    ("sessions.expires_at", "time"),
    ("sessions.revoked_at", "time ?"),
    ("sessions.account_id", "id"),
    ("oauth_clients.id", "id"),
    ("oauth_clients.created_at", "time"),
    ("oauth_clients.updated_at", "time"),
    ("oauth_clients.client_id", "text"),
    ("oauth_clients.client_secret_hash", "argon2 ?"),
    ("oauth_clients.name", "text"),
    ("oauth_clients.type", "in public confidential"),
    ("oauth_clients.scope_policy", "in explicit inherit"),
    (
        "oauth_clients.token_endpoint_auth_method",
        "in none client_secret_basic client_secret_post",
    ),
    ("oauth_clients.pkce_required", "flag"),
    ("oauth_clients.redirect_uris", "list nil"),
    ("oauth_clients.allowed_scopes", "list"),
    ("oauth_clients.allowed_grants", "list"),
    ("oauth_clients.account_id", "id ?"),
    ("oauth_authorisation_requests.id", "id"),
    ("oauth_authorisation_requests.created_at", "time"),
    ("oauth_authorisation_requests.request_id_hash", "hash"),
    ("oauth_authorisation_requests.redirect_uri", "text"),
    ("oauth_authorisation_requests.scope", "text"),
    ("oauth_authorisation_requests.state", "text ?"),
    ("oauth_authorisation_requests.nonce", "text ?"),
    ("oauth_authorisation_requests.code_challenge", "text"),
    (
        "oauth_authorisation_requests.code_challenge_method",
        "in S256",
    ),
    ("oauth_authorisation_requests.expires_at", "time"),
    ("oauth_authorisation_requests.approved_at", "time ?"),
    ("oauth_authorisation_requests.denied_at", "time ?"),
    ("oauth_authorisation_requests.account_id", "id"),
    ("oauth_authorisation_requests.client_id", "id"),
    ("oauth_authorisation_codes.id", "id"),
    ("oauth_authorisation_codes.created_at", "time"),
    ("oauth_authorisation_codes.code_hash", "hash"),
    ("oauth_authorisation_codes.redirect_uri", "text"),
    ("oauth_authorisation_codes.scope", "text"),
    ("oauth_authorisation_codes.nonce", "text ?"),
    ("oauth_authorisation_codes.code_challenge", "text"),
    ("oauth_authorisation_codes.code_challenge_method", "in S256"),
    ("oauth_authorisation_codes.expires_at", "time"),
    ("oauth_authorisation_codes.consumed_at", "time ?"),
    ("oauth_authorisation_codes.account_id", "id"),
    ("oauth_authorisation_codes.client_id", "id"),
    ("oauth_device_authorisations.id", "id"),
    ("oauth_device_authorisations.created_at", "time"),
    ("oauth_device_authorisations.device_code_hash", "hash"),
    ("oauth_device_authorisations.user_code_hash", "hash"),
    ("oauth_device_authorisations.user_code_display", "text"),
    ("oauth_device_authorisations.scope", "text"),
    ("oauth_device_authorisations.expires_at", "time"),
    (
        "oauth_device_authorisations.poll_interval_seconds",
        "number",
    ),
    ("oauth_device_authorisations.last_polled_at", "time ?"),
    ("oauth_device_authorisations.approved_at", "time ?"),
    ("oauth_device_authorisations.denied_at", "time ?"),
    ("oauth_device_authorisations.consumed_at", "time ?"),
    ("oauth_device_authorisations.claimed_by_account_id", "id ?"),
    ("oauth_device_authorisations.approved_by_account_id", "id ?"),
    ("oauth_device_authorisations.client_id", "id"),
    ("oauth_refresh_tokens.id", "id"),
    ("oauth_refresh_tokens.created_at", "time"),
    ("oauth_refresh_tokens.token_hash", "hash"),
    ("oauth_refresh_tokens.scope", "text"),
    ("oauth_refresh_tokens.expires_at", "time"),
    ("oauth_refresh_tokens.revoked_at", "time ?"),
    ("oauth_refresh_tokens.last_used_at", "time ?"),
    ("oauth_refresh_tokens.account_id", "id"),
    ("oauth_refresh_tokens.client_id", "id"),
    ("oauth_refresh_tokens.replaced_by_token_id", "id ?"),
];

/// Storyden's tables that this test does not write.
const NOT_WRITTEN: &[&str] = &[
    "invitations",
    "oauth_remote_authorisation_flows",
    "oauth_remote_connections",
    "posts",
    "settings",
];

/// True if a value with this database type has the format.
fn has_form(form: &str, (kind, value): (&str, &str)) -> bool {
    let is_text = matches!(kind, "text" | "character varying");
    let all = |alphabet: &str| value.chars().all(|symbol| alphabet.contains(symbol));
    match form {
        "?" => kind == "null",
        "id" => is_text && value.len() == 20 && all("0123456789abcdefghijklmnopqrstuv"),
        "hash" => is_text && value.len() == 64 && all("0123456789abcdef"),
        "argon2" => is_text && value.starts_with("$argon2id$v=19$m=") && value.contains(",p="),
        "text" => is_text,
        // An instant in Storyden's format and in UTC; PostgreSQL has a type for instants.
        "time" if kind == "text" => is_storydens_time(value),
        "time" => kind == "timestamp with time zone",
        "flag" if kind == "integer" => matches!(value, "0" | "1"),
        "flag" => kind == "boolean",
        "number" => matches!(kind, "integer" | "bigint"),
        "real" => matches!(kind, "real" | "double precision"),
        "list" => is_json(kind, value) && value.starts_with('['),
        "nil" => is_json(kind, value) && value == "null",
        _ => false,
    }
}

/// True for JSON: bytes without spaces on SQLite, any `jsonb` on PostgreSQL.
fn is_json(kind: &str, value: &str) -> bool {
    let read = serde_json::from_str::<Value>(value);
    match kind {
        "blob" => serde_json::to_vec(&read.unwrap()).unwrap() == value.as_bytes(),
        kind => kind == "jsonb",
    }
}

/// True for `2026-11-21 08:24:50.43150596+00:00`: no trailing zero in the fraction, and no point
/// without a fraction.
fn is_storydens_time(text: &str) -> bool {
    let Some(instant) = text.strip_suffix("+00:00") else {
        return false;
    };
    let (seconds, fraction) = instant.split_once('.').unwrap_or((instant, "1"));
    let figures: String = seconds
        .chars()
        .map(|symbol| if symbol.is_ascii_digit() { '0' } else { symbol })
        .collect();
    let is_fraction = (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && !fraction.ends_with('0');
    figures == "0000-00-00 00:00:00" && is_fraction
}

/// Fails if a value of the column has a format outside the list, or if the column was never written.
async fn assert_format(storyden: &mut Storyden, name: &str, forms: &str) {
    let (table, column) = name.split_once('.').unwrap();
    let sqlite = format!(
        "SELECT DISTINCT typeof({column}) || ':' || COALESCE(CAST({column} AS text), '') FROM {table}"
    );
    let postgres = format!(
        "SELECT DISTINCT CASE WHEN {column} IS NULL THEN 'null:' \
         ELSE pg_typeof({column})::text || ':' || {column}::text END FROM {table}"
    );
    let found = match storyden {
        Storyden::Sqlite(_) => storyden.texts(&sqlite).await,
        Storyden::Postgres(_) => storyden.texts(&postgres).await,
    };
    assert!(!found.is_empty(), "{table} has no rows");
    let mut shown = false;
    for stored in found.iter().flatten() {
        let (kind, value) = stored.split_once(':').unwrap();
        shown |= kind != "null";
        let fits = match forms.strip_prefix("in ") {
            Some(words) => words.split(' ').any(|word| word == value),
            None => forms.split(' ').any(|form| has_form(form, (kind, value))),
        };
        let never = forms == "never" && kind == "null";
        assert!(fits || never, "{name}: {kind} {value:?} is not {forms}");
    }
    assert!(shown || forms == "never", "{name} was never written");
}

/// Writes rows of the protocol's tables.
async fn use_the_protocol(server: &Server) {
    let (frigg, app) = pair(server, "frigg").await;
    let given = [("nonce", "n"), ("scope", "openid offline_access")];
    let first = server.tokens(&frigg, &app, &given).await;
    let refresh_token = first.text("refresh_token");
    server.refresh(&app, &refresh_token).await.expect(200);
    server.code(&frigg, &app, &[("state", "")]).await;
    let denied = server.pending(&frigg, &app, &[]).await;
    server.decide(&frigg, &denied, "deny").await.expect(200);

    let device = server.approved_device(&frigg, &app, "openid").await;
    server.poll(&app, &device).await.expect(200);
    let denied = server.start_device(&app, "openid").await.expect(200);
    let user_code = denied.text("user_code");
    server.open_device(&frigg, &user_code).await.expect(200);
    let decided = server.decide_device(&frigg, &user_code, "deny").await;
    decided.expect(200);
    let pending = server.start_device(&app, "openid").await.expect(200);
    for _ in 0..2 {
        let early = server.poll(&app, &pending.text("device_code")).await;
        early.expect(400);
    }
}

/// Creates clients in every way.
async fn make_applications(server: &Server, odin: &Member) {
    let document =
        json!({ "client_name": "Registered", "redirect_uris": ["https://a.example/cb"] });
    for method in ["none", "client_secret_basic"] {
        let mut document = document.clone();
        document["token_endpoint_auth_method"] = json!(method);
        let register = server
            .request("POST", "/api/oauth/register")
            .json(&document);
        server.send(register).await.expect(201);
    }
    let own = json!({
        "name": "Own", "type": "confidential", "allowed_grants": ["client_credentials"],
        "allowed_scopes": ["READ_PROFILE"], "pkce_required": false,
    });
    let made = server.post_as(odin, "/api/auth/oauth/clients", &own).await;
    let id = made.expect(200).json()["client"]["id"].clone();
    let path = format!("/api/auth/oauth/clients/{}", id.as_str().unwrap());
    let change = json!({ "name": "Changed", "allowed_scopes": ["READ_PROFILE", "CREATE_POST"] });
    let changed = server.call_as(odin, ("PATCH", &path), Some(&change)).await;
    changed.expect(200);
    let public = json!({
        "name": "Device", "type": "public", "allowed_scopes": [], "pkce_required": false,
        "allowed_grants": ["urn:ietf:params:oauth:grant-type:device_code"],
    });
    let made = server
        .post_as(odin, "/api/auth/oauth/clients", &public)
        .await;
    made.expect(200);
    let anybodys = json!({
        "account_id": odin.id.as_str(), "client_id": "anybody's", "name": "Admin's",
        "type": "public", "scope_policy": "inherit", "redirect_uris": [],
        "allowed_scopes": ["openid"], "allowed_grants": ["refresh_token", "authorization_code"],
    });
    let path = "/api/admin/oauth/clients";
    server.post_as(odin, path, &anybodys).await;
}

/// Writes rows of members' tables.
async fn use_accounts(server: &Server, person: &Member) {
    let signed_in = server.sign_in_again(person).await;
    let logout = "/api/auth/logout";
    server.post_as(&signed_in, logout, &json!({})).await;
    let keys = "/api/auth/access-keys";
    let key = json!({ "name": "ends", "expires_at": "2027-01-01T00:00:00Z" });
    server.post_as(person, keys, &key).await.expect(200);
    let made = server
        .post_as(person, keys, &json!({ "name": "lasts" }))
        .await;
    let path = format!("{keys}/{}", made.expect(200).text("id"));
    let deleted = server.call_as(person, ("DELETE", &path), None).await;
    deleted.expect(204);
    let new = json!({ "identifier": "sif", "token": PASSWORD });
    let signup = server
        .request("POST", "/api/auth/password/signup")
        .json(&new);
    server.send(signup).await.expect(200);
    server.suspend(&server.plain_member("hela").await).await;
}

both! {
    /// P8: each written column has Storyden's format, with times in UTC and JSON without spaces.
    async fn every_column_is_written_as_a_storyden_writes_it(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let setup = setup
            .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
            .with("SIGNUP_ENABLED", "true");
        let server = setup.start().await;
        use_the_protocol(&server).await;
        let odin = server.admin("odin").await;
        make_applications(&server, &odin).await;
        use_accounts(&server, &odin).await;

        for (name, forms) in FORMS {
            assert_format(&mut storyden, name, forms).await;
        }
        for column in storyden.schema().await.0 {
            let Some((name, _)) = column.split_once(' ') else { continue };
            let (table, _) = name.split_once('.').unwrap();
            let known = FORMS.iter().any(|(known, _)| *known == name) || NOT_WRITTEN.contains(&table);
            assert!(known, "what form has {name}?");
        }
    }
}
