-- What a consent page showed, and which access key approved. Every new column may be left out, so that
-- the binary before this migration goes on writing its rows.

-- What the consent page of a request showed. An approval grants at most this.
CREATE TABLE auth_shown_consents (
    request_id varchar NOT NULL PRIMARY KEY, -- oauth_authorisation_requests.id or oauth_device_authorisations.id
    scope varchar NOT NULL,              -- scopes that every page so far showed as granted; before the first page, what it would have shown
    client_fingerprint varchar NOT NULL, -- SHA-256 of the client's name, owner and redirect URIs as shown; empty after pages that showed different ones
    shown_at timestamptz NULL            -- when the first page was shown; NULL: none was
);

-- auth_time of this row is unknown: the request was made with an access key, or by a Storyden.
ALTER TABLE auth_request_details ADD COLUMN auth_time_unknown boolean NOT NULL DEFAULT false;
-- authentications.id of the access key that approved the request; NULL: a session did.
ALTER TABLE auth_request_details ADD COLUMN access_key_id varchar NULL;

-- authentications.id of the access key that approved; the grant ends with the key. NULL: a session did.
ALTER TABLE auth_grants ADD COLUMN access_key_id varchar NULL;
CREATE INDEX auth_grants_access_key_id ON auth_grants (access_key_id) WHERE access_key_id IS NOT NULL;
