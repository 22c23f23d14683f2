-- OpenID Connect: how a person signed in, claims that a client requests one by one, response modes, and signed
-- userinfo responses. Every new column may be left out, so that the binary before this migration goes on writing
-- its rows.

-- How a session began. A session without a row here was made by a Storyden, by a command, or by an earlier binary.
CREATE TABLE auth_sessions (
    session_id varchar NOT NULL PRIMARY KEY, -- sessions.id
    method varchar NOT NULL              -- password: a handle or e-mail address with a password, at this server
);

-- auth_sessions.method of the session that made the request; NULL: unknown, or an access key.
ALTER TABLE auth_request_details ADD COLUMN sign_in_method varchar NULL;
-- How the client gets the response: form_post; NULL: query.
ALTER TABLE auth_request_details ADD COLUMN response_mode varchar NULL;
-- The request's `claims` about the person, by place: id_token, userinfo; and the essential ones. NULL: none.
ALTER TABLE auth_request_details ADD COLUMN requested_claims jsonb NULL;
-- What the approval allowed of requested_claims, by place, and the claims that the page showed one by one. NULL: none.
ALTER TABLE auth_request_details ADD COLUMN granted_claims jsonb NULL;

-- The same of the grant, for refreshed ID tokens and userinfo.
ALTER TABLE auth_grants ADD COLUMN sign_in_method varchar NULL;
ALTER TABLE auth_grants ADD COLUMN claims jsonb NULL;

-- Algorithm of signed userinfo responses: RS256; NULL: plain JSON.
ALTER TABLE auth_clients ADD COLUMN userinfo_signed_response_alg varchar NULL;
