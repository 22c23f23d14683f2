-- Administration: blocked clients, delivered webhooks, and the audit trail by address. The binary before this
-- migration uses none of these.

-- Clients known by the URL of a metadata document that an administrator blocked: their documents are not fetched.
CREATE TABLE auth_blocked_clients (
    id text NOT NULL PRIMARY KEY,
    client_id text NOT NULL,           -- the URL, oauth_clients.client_id of the deleted client
    blocked_by text NULL,              -- accounts.id of the administrator; NULL: a command
    created_at datetime NOT NULL
);
CREATE UNIQUE INDEX auth_blocked_clients_client_id ON auth_blocked_clients (client_id);

-- Audit entries that the webhook was sent, or failed to be sent. An entry without a row was not sent yet.
CREATE TABLE auth_webhook_deliveries (
    audit_id text NOT NULL PRIMARY KEY, -- auth_audit.id
    attempts integer NOT NULL,           -- failed attempts
    next_at datetime NULL,               -- time of the next attempt; NULL: delivered
    expires_at datetime NOT NULL         -- the row is deleted then
);
CREATE INDEX auth_webhook_deliveries_next_at ON auth_webhook_deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX auth_webhook_deliveries_expires_at ON auth_webhook_deliveries (julianday(expires_at));

-- The audit trail by remote address.
CREATE INDEX auth_audit_address_created_at ON auth_audit (address, created_at) WHERE address IS NOT NULL;
