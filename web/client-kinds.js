// Kinds of clients: the metadata of each kind, and the kind of an existing client.

/** The grant type of the device flow (RFC 8628 §3.4). */
export const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

/** Metadata of a new client: type, application type, grant types, client authentication method, preselected scopes, and
 *  an example of a redirect URI (absent: no redirect URI). */
export const KINDS = {
  website: {
    type: "confidential",
    application: "web",
    grants: ["authorization_code", "refresh_token"],
    method: "client_secret_basic",
    scopes: ["openid", "profile", "offline_access"],
    redirect: "https://app.example/callback",
  },
  spa: {
    type: "public",
    application: "web",
    grants: ["authorization_code", "refresh_token"],
    method: "none",
    scopes: ["openid", "profile"],
    redirect: "https://app.example/",
  },
  native: {
    type: "public",
    application: "native",
    grants: ["authorization_code", "refresh_token"],
    method: "none",
    scopes: ["openid", "profile", "offline_access"],
    redirect: "http://127.0.0.1/callback",
  },
  terminal: {
    type: "public",
    grants: [DEVICE, "refresh_token"],
    method: "none",
    scopes: ["openid", "profile", "offline_access"],
  },
  service: {
    type: "confidential",
    grants: ["client_credentials"],
    method: "client_secret_basic",
    scopes: [],
  },
};

/** Returns whether a client needs PKCE, or undefined if it has no choice: only a client with a secret that uses the
 *  code grant may be exempt. The profile storyden does not report the setting. */
export function pkceChoice({ type, allowed_grants: grants, pkce_required: required }) {
  return type === "confidential" && (grants ?? []).includes("authorization_code") ? required : undefined;
}

/** Returns whether the requests of a client must be pushed, or undefined if it has no choice: only the code grant has
 *  such requests, and a server without pushed requests does not report the setting. */
export function pushingChoice({ allowed_grants: grants, require_pushed_authorization_requests: required }) {
  return (grants ?? []).includes("authorization_code") ? required : undefined;
}

/** Returns the kind of any client: as chosen, or for a client that this page did not create as its metadata tell. */
export function kindOf({ type, application_type: application, allowed_grants: grants, redirect_uris: redirects }) {
  const has = (name) => (grants ?? []).includes(name);
  if (!has("authorization_code")) return has(DEVICE) || has("device_code") ? "terminal" : "service";
  if (type === "confidential") return "website";
  if (application) return application === "web" ? "spa" : "native";
  const isWeb = (redirects ?? []).some((uri) => uri.startsWith("https://"));
  return isWeb ? "spa" : "native";
}
