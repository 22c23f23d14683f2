-- Token exchange (RFC 8693), and issuers whose assertions are grants (RFC 7523 §2.1). New tables, and a column that
-- may be left out, so that the binary before this migration goes on.

-- The grants that a derived grant ends with. A derived grant is an ordinary row of auth_grants, of the resource
-- server that exchanged an access token.
CREATE TABLE auth_derived_grants (
    grant_id text NOT NULL,           -- auth_grants.id of the derived grant
    ancestor_id text NOT NULL,        -- auth_grants.id of a grant that the derived grant ends with
    distance integer NOT NULL,        -- 1: the grant of the exchanged token; 2: the grant that this one derives from; …
    PRIMARY KEY (grant_id, ancestor_id)
);
CREATE INDEX auth_derived_grants_ancestor_id ON auth_derived_grants (ancestor_id);

-- The client that is the server of a resource, by its public client_id: it may exchange tokens for this resource.
-- NULL: tokens for the resource are not exchanged.
ALTER TABLE auth_resources ADD COLUMN server_client_id text NULL;
CREATE INDEX auth_resources_server_client_id ON auth_resources (server_client_id);

-- An issuer whose identity assertions (ID-JAG) are accepted as grants.
CREATE TABLE auth_issuers (
    id text NOT NULL PRIMARY KEY,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    url text NOT NULL,                -- the claim iss, compared byte for byte
    name text NULL,                   -- shown to administrators; NULL: the URL is shown
    jwks_uri text NULL,               -- where the keys are; NULL: as the issuer's metadata name
    by_email bool NOT NULL DEFAULT false -- true: a subject is also mapped by the verified e-mail address
);
CREATE UNIQUE INDEX auth_issuers_url ON auth_issuers (url);

-- A subject of an issuer, mapped to an account. Mappings of an account that is gone match nothing.
CREATE TABLE auth_issuer_subjects (
    issuer_id text NOT NULL,          -- auth_issuers.id
    subject text NOT NULL,            -- the claim sub, compared byte for byte
    account_id text NOT NULL,         -- accounts.id
    created_at datetime NOT NULL,
    PRIMARY KEY (issuer_id, subject)
);
CREATE INDEX auth_issuer_subjects_account_id ON auth_issuer_subjects (account_id);
