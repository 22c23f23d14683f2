// The kinds of applications that people make: what each is to the API, and which kind one is.

/** How the device grant is called on the wire (RFC 8628 §3.4). */
export const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

/** What a new application of a kind is: its type, its grants, how it authenticates, the scopes that are
 *  chosen to begin with, and what its redirect addresses may look like (none: it has none). */
export const KINDS = {
  website: {
    type: "confidential",
    grants: ["authorization_code", "refresh_token"],
    method: "client_secret_basic",
    scopes: ["openid", "profile", "offline_access"],
    redirect: "https://app.example/callback",
  },
  spa: {
    type: "public",
    grants: ["authorization_code", "refresh_token"],
    method: "none",
    scopes: ["openid", "profile"],
    redirect: "https://app.example/",
  },
  native: {
    type: "public",
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

/** Which kind an application is that was made in whatever way. */
export function kindOf({ type, allowed_grants: grants, redirect_uris: redirects }) {
  const has = (name) => (grants ?? []).includes(name);
  if (!has("authorization_code")) return has(DEVICE) || has("device_code") ? "terminal" : "service";
  if (type === "confidential") return "website";
  const isWeb = (redirects ?? []).some((uri) => uri.startsWith("https://"));
  return isWeb ? "spa" : "native";
}
