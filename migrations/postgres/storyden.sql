-- The tables of a Storyden database, as Storyden itself makes them, for a server that runs alone.
-- Run only where there is no `accounts` table; never edited, never run beside a Storyden.

-- Members. `deleted_at` set means suspended. `kind` is human or bot.
CREATE TABLE accounts (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    indexed_at timestamp with time zone,
    handle character varying NOT NULL,
    name character varying NOT NULL,
    bio character varying,
    signature character varying,
    kind character varying DEFAULT 'human'::character varying NOT NULL,
    verified_status character varying DEFAULT 'none'::character varying NOT NULL,
    admin boolean DEFAULT false NOT NULL,
    links jsonb,
    metadata jsonb,
    invited_by_id character varying,
    CONSTRAINT accounts_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX accounts_handle_key ON accounts (handle);

-- Invitations to join; here because accounts point at it.
CREATE TABLE invitations (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    message character varying,
    creator_account_id character varying NOT NULL,
    CONSTRAINT invitations_pkey PRIMARY KEY (id)
);

-- Addresses of members; only a verified one proves anything.
CREATE TABLE emails (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    email_address character varying NOT NULL,
    verification_code character varying NOT NULL,
    verification_code_expires_at timestamp with time zone,
    verification_attempts bigint DEFAULT '0'::bigint NOT NULL,
    verified boolean DEFAULT false NOT NULL,
    account_id character varying,
    CONSTRAINT emails_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX emails_email_address_key ON emails (email_address);

-- Named sets of permissions. Guest, Member and Admin have a row only once edited.
CREATE TABLE roles (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    name character varying NOT NULL,
    colour character varying DEFAULT 'hsl(157, 65%, 44%)'::character varying NOT NULL,
    permissions jsonb NOT NULL,
    sort_key double precision DEFAULT '0'::double precision NOT NULL,
    metadata jsonb,
    CONSTRAINT roles_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX roles_name_key ON roles (name);

-- Who holds which role. Member and Admin are implied and have no row.
CREATE TABLE account_roles (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    badge boolean,
    account_id character varying NOT NULL,
    role_id character varying NOT NULL,
    CONSTRAINT account_roles_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX accountroles_account_id_badge ON account_roles (account_id, badge);
CREATE UNIQUE INDEX unique_account_role ON account_roles (account_id, role_id);

-- Ways to sign in: passwords (service `password`) and access keys (`access_key`).
CREATE TABLE authentications (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    expires_at timestamp with time zone,
    service character varying NOT NULL,
    token_type character varying NOT NULL,
    identifier character varying NOT NULL,
    token character varying NOT NULL,
    name character varying,
    disabled boolean DEFAULT false NOT NULL,
    metadata jsonb,
    account_authentication character varying NOT NULL,
    CONSTRAINT authentications_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX authentication_service_identifier_account_authentication ON authentications (service, identifier, account_authentication);
CREATE UNIQUE INDEX authentication_token_type_identifier_account_authentication ON authentications (token_type, identifier, account_authentication);

-- Browser sessions; `token_hash` is the lower-case hex SHA-256 of the cookie.
CREATE TABLE sessions (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    token_hash character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    account_id character varying NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX sessions_token_hash_key ON sessions (token_hash);

-- Applications. Lists are JSON; `null` stands for a list nobody gave.
CREATE TABLE oauth_clients (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    client_id character varying NOT NULL,
    client_secret_hash character varying,
    name character varying NOT NULL,
    type character varying DEFAULT 'public'::character varying NOT NULL,
    scope_policy character varying DEFAULT 'explicit'::character varying NOT NULL,
    token_endpoint_auth_method character varying DEFAULT 'client_secret_basic'::character varying,
    pkce_required boolean DEFAULT false NOT NULL,
    redirect_uris jsonb NOT NULL,
    allowed_scopes jsonb NOT NULL,
    allowed_grants jsonb NOT NULL,
    account_id character varying,
    CONSTRAINT oauth_clients_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauth_clients_client_id_key ON oauth_clients (client_id);
CREATE UNIQUE INDEX oauthclient_client_id ON oauth_clients (client_id);

-- Code flow, waiting for a decision.
CREATE TABLE oauth_authorisation_requests (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    request_id_hash character varying NOT NULL,
    redirect_uri character varying NOT NULL,
    scope character varying NOT NULL,
    state character varying,
    nonce character varying,
    code_challenge character varying NOT NULL,
    code_challenge_method character varying DEFAULT 'S256'::character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    approved_at timestamp with time zone,
    denied_at timestamp with time zone,
    account_id character varying NOT NULL,
    client_id character varying NOT NULL,
    CONSTRAINT oauth_authorisation_requests_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauthauthorisationrequest_request_id_hash ON oauth_authorisation_requests (request_id_hash);

-- Code flow, decided; a code is spent when `consumed_at` is set.
CREATE TABLE oauth_authorisation_codes (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    code_hash character varying NOT NULL,
    redirect_uri character varying NOT NULL,
    scope character varying NOT NULL,
    nonce character varying,
    code_challenge character varying NOT NULL,
    code_challenge_method character varying DEFAULT 'S256'::character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    consumed_at timestamp with time zone,
    account_id character varying NOT NULL,
    client_id character varying NOT NULL,
    CONSTRAINT oauth_authorisation_codes_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauthauthorisationcode_code_hash ON oauth_authorisation_codes (code_hash);

-- Device flow, from start to consumption.
CREATE TABLE oauth_device_authorisations (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    device_code_hash character varying NOT NULL,
    user_code_hash character varying NOT NULL,
    user_code_display character varying NOT NULL,
    scope character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    poll_interval_seconds bigint DEFAULT 5 NOT NULL,
    last_polled_at timestamp with time zone,
    approved_at timestamp with time zone,
    denied_at timestamp with time zone,
    consumed_at timestamp with time zone,
    claimed_by_account_id character varying,
    approved_by_account_id character varying,
    client_id character varying NOT NULL,
    CONSTRAINT oauth_device_authorisations_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauthdeviceauthorisation_device_code_hash ON oauth_device_authorisations (device_code_hash);
CREATE UNIQUE INDEX oauthdeviceauthorisation_user_code_hash ON oauth_device_authorisations (user_code_hash);

-- Refresh tokens. A rotated one is revoked and names its successor.
CREATE TABLE oauth_refresh_tokens (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    token_hash character varying NOT NULL,
    scope character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    account_id character varying NOT NULL,
    client_id character varying NOT NULL,
    replaced_by_token_id character varying,
    CONSTRAINT oauth_refresh_tokens_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauthrefreshtoken_token_hash ON oauth_refresh_tokens (token_hash);

-- This server as a client of others.
CREATE TABLE oauth_remote_connections (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    resource_url character varying NOT NULL,
    resource character varying,
    resource_name character varying,
    protected_resource_metadata jsonb,
    authorization_server character varying,
    authorization_server_metadata jsonb,
    mode character varying DEFAULT 'manual'::character varying NOT NULL,
    status character varying DEFAULT 'pending'::character varying NOT NULL,
    client_id character varying,
    client_secret character varying,
    authorization_endpoint character varying,
    token_endpoint character varying,
    registration_endpoint character varying,
    token_endpoint_auth_method character varying,
    redirect_uris jsonb,
    redirect_uri character varying,
    scope character varying,
    access_token character varying,
    refresh_token character varying,
    token_type character varying,
    token_expiry timestamp with time zone,
    token_refresh_started_at timestamp with time zone,
    last_error character varying,
    added_by character varying NOT NULL,
    CONSTRAINT oauth_remote_connections_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauthremoteconnection_resource_b43381c35ec93f28833ac5c3d8e68ec2 ON oauth_remote_connections (resource_url, authorization_server, added_by);

-- A remote connection being authorized.
CREATE TABLE oauth_remote_authorisation_flows (
    id character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    state_hash character varying NOT NULL,
    pkce_verifier character varying NOT NULL,
    redirect_uri character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    consumed_at timestamp with time zone,
    connection_id character varying NOT NULL,
    CONSTRAINT oauth_remote_authorisation_flows_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX oauth_remote_authorisation_flows_state_hash_key ON oauth_remote_authorisation_flows (state_hash);

-- Instance settings, one JSON document per row.
CREATE TABLE settings (
    id character varying NOT NULL,
    value character varying NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT settings_pkey PRIMARY KEY (id)
);

-- Last, since accounts and invitations point at each other.
ALTER TABLE accounts ADD CONSTRAINT accounts_invitations_invited
    FOREIGN KEY (invited_by_id) REFERENCES invitations(id) ON DELETE SET NULL;
ALTER TABLE invitations ADD CONSTRAINT invitations_accounts_invitations
    FOREIGN KEY (creator_account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE emails ADD CONSTRAINT emails_accounts_emails
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE account_roles ADD CONSTRAINT account_roles_accounts_account
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE account_roles ADD CONSTRAINT account_roles_roles_role
    FOREIGN KEY (role_id) REFERENCES roles(id) ON DELETE CASCADE;
ALTER TABLE authentications ADD CONSTRAINT authentications_accounts_authentication
    FOREIGN KEY (account_authentication) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE sessions ADD CONSTRAINT sessions_accounts_sessions
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_clients ADD CONSTRAINT oauth_clients_accounts_oauth_clients
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_authorisation_requests ADD CONSTRAINT oauth_authorisation_requests_a_204df27d13aebe6976a94a0a37f9dad2
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_authorisation_requests ADD CONSTRAINT oauth_authorisation_requests_o_b6eafc8948bb17c70711f95ee29d8943
    FOREIGN KEY (client_id) REFERENCES oauth_clients(id);
ALTER TABLE oauth_authorisation_codes ADD CONSTRAINT oauth_authorisation_codes_accounts_oauth_authorisation_codes
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_authorisation_codes ADD CONSTRAINT oauth_authorisation_codes_oauth_clients_authorisation_codes
    FOREIGN KEY (client_id) REFERENCES oauth_clients(id);
ALTER TABLE oauth_device_authorisations ADD CONSTRAINT oauth_device_authorisations_ac_4c8dc77d21dff6f0e9f7bd66eb0a355c
    FOREIGN KEY (approved_by_account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_device_authorisations ADD CONSTRAINT oauth_device_authorisations_ac_e583f59d39acbb365528ae2761d27beb
    FOREIGN KEY (claimed_by_account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_device_authorisations ADD CONSTRAINT oauth_device_authorisations_oauth_clients_device_authorisations
    FOREIGN KEY (client_id) REFERENCES oauth_clients(id);
ALTER TABLE oauth_refresh_tokens ADD CONSTRAINT oauth_refresh_tokens_accounts_oauth_refresh_tokens
    FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_refresh_tokens ADD CONSTRAINT oauth_refresh_tokens_oauth_clients_refresh_tokens
    FOREIGN KEY (client_id) REFERENCES oauth_clients(id);
ALTER TABLE oauth_refresh_tokens ADD CONSTRAINT oauth_refresh_tokens_oauth_refresh_tokens_replaced_by
    FOREIGN KEY (replaced_by_token_id) REFERENCES oauth_refresh_tokens(id) ON DELETE SET NULL;
ALTER TABLE oauth_remote_connections ADD CONSTRAINT oauth_remote_connections_accounts_oauth_remote_connections
    FOREIGN KEY (added_by) REFERENCES accounts(id) ON DELETE CASCADE;
ALTER TABLE oauth_remote_authorisation_flows ADD CONSTRAINT oauth_remote_authorisation_flo_7d19bdd65d6de15df32c52f42de2e83b
    FOREIGN KEY (connection_id) REFERENCES oauth_remote_connections(id) ON DELETE CASCADE;
