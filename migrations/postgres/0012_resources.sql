-- Resources beside the API of the community (RFC 8707), with scopes of their own. New tables alone, so
-- that the binary before this migration goes on.

-- A resource that tokens may be for, in addition to OAUTH_RESOURCES.
CREATE TABLE auth_resources (
    id varchar NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    url varchar NOT NULL,             -- as registered; the audience of its tokens
    name varchar NULL                 -- shown on the consent page; NULL: the URL is shown
);
CREATE UNIQUE INDEX auth_resources_url ON auth_resources (url);

-- A scope of a resource. No two resources have the same scope, because a scope parameter does not name
-- the resource.
CREATE TABLE auth_resource_scopes (
    scope varchar NOT NULL PRIMARY KEY, -- has a colon, a dot or a slash, as in tools:read
    resource_id varchar NOT NULL,     -- auth_resources.id
    description varchar NOT NULL      -- sentence on the consent page
);
CREATE INDEX auth_resource_scopes_resource_id ON auth_resource_scopes (resource_id);

-- The scopes of resources that a role gives to its accounts.
CREATE TABLE auth_role_scopes (
    role_id varchar NOT NULL,         -- roles.id, or the id of a built-in role
    scope varchar NOT NULL,           -- auth_resource_scopes.scope
    PRIMARY KEY (role_id, scope)
);
CREATE INDEX auth_role_scopes_scope ON auth_role_scopes (scope);
