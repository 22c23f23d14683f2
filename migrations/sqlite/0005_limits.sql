-- Limits that hold from many addresses.

-- Random keys that every replica uses, so that each accepts what another one signed.
CREATE TABLE auth_shared_keys (
    name text NOT NULL PRIMARY KEY,  -- device_cookie: signs device cookies
    secret text NOT NULL,            -- 32 random bytes, hex
    created_at datetime NOT NULL
);

-- Wrong passwords from browsers with a device cookie. After ten, the cookie proves nothing any more.
CREATE TABLE auth_device_failures (
    device_id text NOT NULL PRIMARY KEY, -- the random id in the cookie
    failures integer NOT NULL,
    expires_at datetime NOT NULL            -- of the cookie; the row is deleted then
);
CREATE INDEX auth_device_failures_expires_at ON auth_device_failures (julianday(expires_at));

-- The network that registered a client: an IPv4 /24 or an IPv6 /48. NULL: unknown, or not registered here.
ALTER TABLE auth_clients ADD COLUMN registered_from text NULL;
CREATE INDEX auth_clients_registered_from ON auth_clients (registered_from) WHERE registered_from IS NOT NULL;

-- The number of equal events that a line stands for.
ALTER TABLE auth_audit ADD COLUMN occurrences integer NOT NULL DEFAULT 1;
