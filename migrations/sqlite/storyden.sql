-- The tables of a Storyden database, as Storyden itself makes them, for a server that runs alone.
-- Run only where there is no `accounts` table; never edited, never run beside a Storyden.

-- Members. `deleted_at` set means suspended. `kind` is human or bot.
CREATE TABLE accounts (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    updated_at datetime NOT NULL,
    deleted_at datetime NULL,
    indexed_at datetime NULL,
    handle text NOT NULL,
    name text NOT NULL,
    bio text NULL,
    signature text NULL,
    kind text NOT NULL DEFAULT ('human'),
    verified_status text NOT NULL DEFAULT ('none'),
    admin bool NOT NULL DEFAULT (false),
    links json NULL,
    metadata json NULL,
    invited_by_id text NULL,
    PRIMARY KEY (id),
    CONSTRAINT accounts_invitations_invited FOREIGN KEY (invited_by_id) REFERENCES invitations (id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX accounts_handle_key ON accounts (handle);

-- Invitations to join; here because accounts point at it.
CREATE TABLE invitations (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    updated_at datetime NOT NULL,
    deleted_at datetime NULL,
    message text NULL,
    creator_account_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT invitations_accounts_invitations FOREIGN KEY (creator_account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

-- Addresses of members; only a verified one proves anything.
CREATE TABLE emails (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    email_address text NOT NULL,
    verification_code text NOT NULL,
    verification_code_expires_at datetime NULL,
    verification_attempts integer NOT NULL DEFAULT ('0'),
    verified bool NOT NULL DEFAULT ('false'),
    account_id text NULL,
    PRIMARY KEY (id),
    CONSTRAINT emails_accounts_emails FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX emails_email_address_key ON emails (email_address);

-- Named sets of permissions. Guest, Member and Admin have a row only once edited.
CREATE TABLE roles (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    updated_at datetime NOT NULL,
    name text NOT NULL,
    colour text NOT NULL DEFAULT ('hsl(157, 65%, 44%)'),
    permissions json NOT NULL,
    sort_key real NOT NULL DEFAULT ('0.0'),
    metadata json NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX roles_name_key ON roles (name);

-- Who holds which role. Member and Admin are implied and have no row.
CREATE TABLE account_roles (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    badge bool NULL,
    account_id text NOT NULL,
    role_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT account_roles_accounts_account FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT account_roles_roles_role FOREIGN KEY (role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX unique_account_role ON account_roles (account_id, role_id);
CREATE UNIQUE INDEX accountroles_account_id_badge ON account_roles (account_id, badge);

-- Ways to sign in: passwords (service `password`) and access keys (`access_key`).
CREATE TABLE authentications (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    expires_at datetime NULL,
    service text NOT NULL,
    token_type text NOT NULL,
    identifier text NOT NULL,
    token text NOT NULL,
    name text NULL,
    disabled bool NOT NULL DEFAULT (false),
    metadata json NULL,
    account_authentication text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT authentications_accounts_authentication FOREIGN KEY (account_authentication) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX authentication_service_identifier_account_authentication ON authentications (service, identifier, account_authentication);
CREATE UNIQUE INDEX authentication_token_type_identifier_account_authentication ON authentications (token_type, identifier, account_authentication);

-- Browser sessions; `token_hash` is the lower-case hex SHA-256 of the cookie.
CREATE TABLE sessions (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    token_hash text NOT NULL,
    expires_at datetime NOT NULL,
    revoked_at datetime NULL,
    account_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT sessions_accounts_sessions FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX sessions_token_hash_key ON sessions (token_hash);

-- Applications. Lists are JSON; `null` stands for a list nobody gave.
CREATE TABLE oauth_clients (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    updated_at datetime NOT NULL,
    client_id text NOT NULL,
    client_secret_hash text NULL,
    name text NOT NULL,
    type text NOT NULL DEFAULT ('public'),
    scope_policy text NOT NULL DEFAULT ('explicit'),
    token_endpoint_auth_method text NULL DEFAULT ('client_secret_basic'),
    pkce_required bool NOT NULL DEFAULT (false),
    redirect_uris json NOT NULL,
    allowed_scopes json NOT NULL,
    allowed_grants json NOT NULL,
    account_id text NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_clients_accounts_oauth_clients FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX oauth_clients_client_id_key ON oauth_clients (client_id);
CREATE UNIQUE INDEX oauthclient_client_id ON oauth_clients (client_id);

-- Code flow, waiting for a decision.
CREATE TABLE oauth_authorisation_requests (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    request_id_hash text NOT NULL,
    redirect_uri text NOT NULL,
    scope text NOT NULL,
    state text NULL,
    nonce text NULL,
    code_challenge text NOT NULL,
    code_challenge_method text NOT NULL DEFAULT ('S256'),
    expires_at datetime NOT NULL,
    approved_at datetime NULL,
    denied_at datetime NULL,
    account_id text NOT NULL,
    client_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_authorisation_requests_ac_204df27d13aebe6976a94a0a37f9dad2 FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT oauth_authorisation_requests_oa_b6eafc8948bb17c70711f95ee29d8943 FOREIGN KEY (client_id) REFERENCES oauth_clients (id) ON DELETE NO ACTION
);
CREATE UNIQUE INDEX oauthauthorisationrequest_request_id_hash ON oauth_authorisation_requests (request_id_hash);

-- Code flow, decided; a code is spent when `consumed_at` is set.
CREATE TABLE oauth_authorisation_codes (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    code_hash text NOT NULL,
    redirect_uri text NOT NULL,
    scope text NOT NULL,
    nonce text NULL,
    code_challenge text NOT NULL,
    code_challenge_method text NOT NULL DEFAULT ('S256'),
    expires_at datetime NOT NULL,
    consumed_at datetime NULL,
    account_id text NOT NULL,
    client_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_authorisation_codes_accounts_oauth_authorisation_codes FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT oauth_authorisation_codes_oauth_clients_authorisation_codes FOREIGN KEY (client_id) REFERENCES oauth_clients (id) ON DELETE NO ACTION
);
CREATE UNIQUE INDEX oauthauthorisationcode_code_hash ON oauth_authorisation_codes (code_hash);

-- Device flow, from start to consumption.
CREATE TABLE oauth_device_authorisations (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    device_code_hash text NOT NULL,
    user_code_hash text NOT NULL,
    user_code_display text NOT NULL,
    scope text NOT NULL,
    expires_at datetime NOT NULL,
    poll_interval_seconds integer NOT NULL DEFAULT (5),
    last_polled_at datetime NULL,
    approved_at datetime NULL,
    denied_at datetime NULL,
    consumed_at datetime NULL,
    claimed_by_account_id text NULL,
    approved_by_account_id text NULL,
    client_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_device_authorisations_acc_e583f59d39acbb365528ae2761d27beb FOREIGN KEY (claimed_by_account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT oauth_device_authorisations_acc_4c8dc77d21dff6f0e9f7bd66eb0a355c FOREIGN KEY (approved_by_account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT oauth_device_authorisations_oauth_clients_device_authorisations FOREIGN KEY (client_id) REFERENCES oauth_clients (id) ON DELETE NO ACTION
);
CREATE UNIQUE INDEX oauthdeviceauthorisation_device_code_hash ON oauth_device_authorisations (device_code_hash);
CREATE UNIQUE INDEX oauthdeviceauthorisation_user_code_hash ON oauth_device_authorisations (user_code_hash);

-- Refresh tokens. A rotated one is revoked and names its successor.
CREATE TABLE oauth_refresh_tokens (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    token_hash text NOT NULL,
    scope text NOT NULL,
    expires_at datetime NOT NULL,
    revoked_at datetime NULL,
    last_used_at datetime NULL,
    account_id text NOT NULL,
    client_id text NOT NULL,
    replaced_by_token_id text NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_refresh_tokens_accounts_oauth_refresh_tokens FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT oauth_refresh_tokens_oauth_clients_refresh_tokens FOREIGN KEY (client_id) REFERENCES oauth_clients (id) ON DELETE NO ACTION,
    CONSTRAINT oauth_refresh_tokens_oauth_refresh_tokens_replaced_by FOREIGN KEY (replaced_by_token_id) REFERENCES oauth_refresh_tokens (id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX oauthrefreshtoken_token_hash ON oauth_refresh_tokens (token_hash);

-- This server as a client of others.
CREATE TABLE oauth_remote_connections (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    updated_at datetime NOT NULL,
    resource_url text NOT NULL,
    resource text NULL,
    resource_name text NULL,
    protected_resource_metadata json NULL,
    authorization_server text NULL,
    authorization_server_metadata json NULL,
    mode text NOT NULL DEFAULT ('manual'),
    status text NOT NULL DEFAULT ('pending'),
    client_id text NULL,
    client_secret text NULL,
    authorization_endpoint text NULL,
    token_endpoint text NULL,
    registration_endpoint text NULL,
    token_endpoint_auth_method text NULL,
    redirect_uris json NULL,
    redirect_uri text NULL,
    scope text NULL,
    access_token text NULL,
    refresh_token text NULL,
    token_type text NULL,
    token_expiry datetime NULL,
    token_refresh_started_at datetime NULL,
    last_error text NULL,
    added_by text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_remote_connections_accounts_oauth_remote_connections FOREIGN KEY (added_by) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX oauthremoteconnection_resource_url_authorization_server_added_by ON oauth_remote_connections (resource_url, authorization_server, added_by);

-- A remote connection being authorized.
CREATE TABLE oauth_remote_authorisation_flows (
    id text NOT NULL,
    created_at datetime NOT NULL DEFAULT (CURRENT_TIMESTAMP),
    state_hash text NOT NULL,
    pkce_verifier text NOT NULL,
    redirect_uri text NOT NULL,
    expires_at datetime NOT NULL,
    consumed_at datetime NULL,
    connection_id text NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT oauth_remote_authorisation_flow_7d19bdd65d6de15df32c52f42de2e83b FOREIGN KEY (connection_id) REFERENCES oauth_remote_connections (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX oauth_remote_authorisation_flows_state_hash_key ON oauth_remote_authorisation_flows (state_hash);

-- Instance settings, one JSON document per row.
CREATE TABLE settings (
    id text NOT NULL,
    value text NOT NULL,
    updated_at datetime NOT NULL,
    PRIMARY KEY (id)
);
