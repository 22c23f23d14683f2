-- Signature algorithms that a client chose, and the end of what a revoked signing key may have created. Every new
-- column may be left out, so that the binary before this migration goes on.

-- Algorithm of ID tokens: a name of OAUTH_SIGNING_ALGORITHMS; NULL: the first of them.
ALTER TABLE auth_clients ADD COLUMN id_token_signed_response_alg text NULL;
-- The same of access tokens.
ALTER TABLE auth_clients ADD COLUMN access_token_signed_response_alg text NULL;

-- Time from which everything that the revoked key may have created has ended; NULL: not yet, or not revoked. Keys
-- that were revoked before this migration count as done: the command did both.
ALTER TABLE auth_keys ADD COLUMN access_ended_at datetime NULL;
UPDATE auth_keys SET access_ended_at = revoked_at WHERE revoked_at IS NOT NULL;
