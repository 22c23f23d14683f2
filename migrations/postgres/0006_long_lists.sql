-- Lists and sessions of any length.

-- The audit trail, found by each filter of its list, in the order of the list.
CREATE INDEX auth_audit_event_created_at ON auth_audit (event, created_at);
CREATE INDEX auth_audit_actor_created_at ON auth_audit (actor_id, created_at) WHERE actor_id IS NOT NULL;
CREATE INDEX auth_audit_account_created_at ON auth_audit (account_id, created_at);
CREATE INDEX auth_audit_client_created_at ON auth_audit (client_id, created_at);
DROP INDEX auth_audit_account_id;
DROP INDEX auth_audit_client_id;

-- sessions.id of the session that stays, for a revocation of kind session: the sessions of the account
-- that were made until cut_off are ended.
ALTER TABLE auth_revocations ADD COLUMN session_id varchar NULL;
