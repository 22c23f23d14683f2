// Code snippets with the values of a client. Code is not translated, so its comments are here and not in
// messages/en.json.

import { codeBlock } from "./copyable.js";
import { messages } from "./i18n.js";
import { el } from "./page.js";
import { browserSnippet } from "./snippet-browser.js";

/** Returns the snippets of a client as collapsible sections; the first is open. */
export function snippetTabs(application) {
  const values = snippetValues(application);
  const names = messages.clients.snippetKinds;
  // A page runs neither openid-client without a build step nor Rust.
  const makers = values.kind === "spa" ? { browser: browserSnippet, curl } : { curl, node, rust: rustSnippet };
  const snippets = Object.entries(makers)
    .map(([name, make]) => [names[name], make(values)])
    .filter(([, code]) => code !== null);
  const parts = snippets.map(([name, code], index) =>
    el("details", { name: "snippets", open: index === 0 }, el("summary", {}, name), codeBlock(code, name)),
  );
  return el("div", { class: "snippets" }, ...parts);
}

/** Returns the values to insert into the snippets. */
function snippetValues({ client, kind, issuer, secret }) {
  const redirects = client.redirect_uris ?? [];
  // Prefer a loopback address: the snippet then runs on the developer's computer.
  const redirect = redirects.find(isLoopback) ?? redirects[0] ?? "";
  return {
    kind,
    id: client.client_id,
    issuer: issuer.replace(/\/$/, ""),
    redirect,
    scopes: (client.allowed_scopes ?? []).filter((name) => kind !== "service" || name === name.toUpperCase()),
    secret: secret ?? "PASTE_THE_SECRET_HERE",
    confidential: client.type === "confidential",
    plain: issuer.startsWith("http:"),
  };
}

function isLoopback(uri) {
  return /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])([:/]|$)/.test(uri);
}

// ---- quoting -------------------------------------------------------------------------------

const sh = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const js = (text) => JSON.stringify(text);
const rust = (text) => JSON.stringify(text);

// ---- curl ----------------------------------------------------------------------------------

function curl(values) {
  const { kind, issuer, id, secret, scopes, confidential } = values;
  const head = [`ISSUER=${sh(issuer)}`, `CLIENT_ID=${sh(id)}`];
  if (confidential) head.push(`CLIENT_SECRET=${sh(secret)}`);
  const scope = sh(scopes.join(" "));
  if (kind === "service") {
    const parameter = scopes.length > 0 ? ` \\\n  --data-urlencode scope=${scope}` : "";
    return `${head.join("\n")}

curl -s "$ISSUER/api/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" \\
  -d grant_type=client_credentials${parameter}
`;
  }
  if (kind === "terminal") {
    return `${head.join("\n")}

# 1. Show verification_uri and user_code to the user, and keep device_code.
curl -s "$ISSUER/api/oauth/device_authorization" \\
  -d client_id="$CLIENT_ID" --data-urlencode scope=${scope}

# 2. Poll every five seconds until the response has tokens.
curl -s "$ISSUER/api/oauth/token" \\
  -d grant_type=urn:ietf:params:oauth:grant-type:device_code \\
  -d client_id="$CLIENT_ID" -d device_code=PASTE_IT_HERE
`;
  }
  const query = new URLSearchParams({ response_type: "code", client_id: id, redirect_uri: values.redirect, scope: scopes.join(" ") });
  const authentication = confidential ? '-u "$CLIENT_ID:$CLIENT_SECRET"' : '-d client_id="$CLIENT_ID"';
  return `${head.join("\n")}
REDIRECT_URI=${sh(values.redirect)}
VERIFIER=$(openssl rand -base64 48 | tr '+/' '-_' | tr -d '=\\n')
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=')

# 1. Open this address, sign in and approve.
echo "$ISSUER/api/oauth/authorize?${query}&state=$(openssl rand -hex 16)&code_challenge=$CHALLENGE&code_challenge_method=S256"

# 2. The browser is redirected to an address with ?code=…: exchange the code within a minute.
curl -s "$ISSUER/api/oauth/token" ${authentication} \\
  -d grant_type=authorization_code --data-urlencode redirect_uri="$REDIRECT_URI" \\
  -d code_verifier="$VERIFIER" -d code=PASTE_IT_HERE
`;
}

// ---- JavaScript ----------------------------------------------------------------------------

function node(values) {
  switch (values.kind) {
    case "website":
      return nodeWebsite(values);
    case "native":
      return isLoopback(values.redirect) ? nodeNative(values) : null;
    case "terminal":
      return nodeDevice(values);
    default:
      return nodeService(values);
  }
}

function nodeHead({ issuer, id, confidential, plain }, more = []) {
  const lines = ["// npm install openid-client"];
  if (confidential) lines.push("// The secret is in the environment variable CLIENT_SECRET.");
  lines.push(...more, 'import * as client from "openid-client";', "");
  const options = plain ? ["{ execute: [client.allowInsecureRequests] }, // needed because the issuer is not https"] : [];
  const authentication = confidential
    ? ["process.env.CLIENT_SECRET,", "client.ClientSecretBasic(process.env.CLIENT_SECRET),"]
    : ["undefined,", "client.None(),"];
  const parts = [`new URL(${js(issuer)}),`, `${js(id)},`, ...authentication, ...options];
  return `${lines.join("\n")}
const config = await client.discovery(
  ${parts.join("\n  ")}
);
`;
}

const PKCE_AND_STATE = `const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();`;

function authorizeUrl(redirect, scopes) {
  return `client.buildAuthorizationUrl(config, {
  redirect_uri: ${redirect},
  scope: ${js(scopes.join(" "))},
  state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
})`;
}

const indented = (text, by) => text.replaceAll("\n", `\n${" ".repeat(by)}`);

// Without the scope openid there is no ID token and no access to userinfo.
function tokensFrom(address, checks, scopes) {
  const openid = scopes.includes("openid");
  const grant = `const tokens = await client.authorizationCodeGrant(config, ${address}, ${checks});`;
  return openid
    ? [grant, "const person = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);"]
    : [grant];
}

function nodeWebsite(values) {
  const { redirect, scopes } = values;
  const url = new URL(redirect);
  const port = url.port || (isLoopback(redirect) ? "80" : "3000");
  const cookie = `sign-in=\${key}; HttpOnly; SameSite=Lax; Path=/${url.protocol === "https:" ? "; Secure" : ""}`;
  const greeting = scopes.includes("openid") ? "`Hello ${person.name ?? person.sub}`" : '"Signed in"';
  return `${nodeHead(values, ['import { randomUUID } from "node:crypto";', 'import { createServer } from "node:http";'])}
const redirect = ${js(redirect)};
const pending = new Map(); // sign-ins in progress, by the value of a cookie

async function answer(request, response) {
  const address = new URL(request.url, redirect);
  if (address.pathname !== new URL(redirect).pathname || !address.search) {
    ${indented(PKCE_AND_STATE, 4)}
    const key = randomUUID();
    pending.set(key, { pkceCodeVerifier: verifier, expectedState: state });
    const location = ${indented(authorizeUrl("redirect", scopes), 4)};
    response.writeHead(302, { location: location.href, "set-cookie": \`${cookie}\` }).end();
    return;
  }
  const key = /sign-in=([\\w-]+)/.exec(request.headers.cookie)?.[1];
  const checks = pending.get(key);
  pending.delete(key);
  if (!checks) throw new Error("no sign-in in progress in this browser");
  ${tokensFrom("address", "checks", scopes).join("\n  ")}
  response.end(${greeting});
}

createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(400).end(error.message));
}).listen(${port});
`;
}

function nodeNative(values) {
  const { redirect, scopes } = values;
  const url = new URL(redirect);
  // RFC 8252 §7.3: any port of a loopback address is valid, so the operating system chooses a free one.
  const rest = scopes.includes("openid") ? "console.log(person);" : "console.log(tokens);";
  return `${nodeHead(values, ['import { createServer } from "node:http";', 'import { once } from "node:events";'])}
const server = createServer().listen(0, ${js(url.hostname.replace(/^\[|\]$/g, ""))});
await once(server, "listening");
const redirect = \`http://${url.hostname}:\${server.address().port}${url.pathname}\`;

${PKCE_AND_STATE}
const address = ${authorizeUrl("redirect", scopes)};
console.log(\`Open \${address}\`);

const [request, response] = await once(server, "request");
response.end("You can close this window.");
server.close();
${tokensFrom("new URL(request.url, redirect)", "{ pkceCodeVerifier: verifier, expectedState: state }", scopes).join("\n")}
${rest}
`;
}

function nodeDevice(values) {
  const { scopes } = values;
  const output = scopes.includes("openid")
    ? "console.log(await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));"
    : "console.log(tokens);";
  return `${nodeHead(values)}
const started = await client.initiateDeviceAuthorization(config, { scope: ${js(scopes.join(" "))} });
console.log(\`Open \${started.verification_uri} and enter \${started.user_code}\`);

const tokens = await client.pollDeviceAuthorizationGrant(config, started);
${output}
`;
}

function nodeService(values) {
  const scope = values.scopes.length > 0 ? `, { scope: ${js(values.scopes.join(" "))} }` : "";
  return `${nodeHead(values)}
const tokens = await client.clientCredentialsGrant(config${scope});
console.log(tokens.access_token);
`;
}

// ---- Rust ----------------------------------------------------------------------------------

function rustSnippet(values) {
  const { kind, scopes, issuer, id, confidential, redirect } = values;
  // The library always requests openid, so it cannot be used by a client without that scope.
  if (kind !== "service" && !scopes.includes("openid")) return null;
  const names = scopes.filter((name) => name !== "openid");
  const added = names.map((name) => `\n        .add_scope(Scope::new(${rust(name)}.into()))`).join("");
  const secret = confidential ? 'Some(ClientSecret::new(std::env::var("CLIENT_SECRET")?))' : "None";
  const more = {
    terminal: `\n        .set_device_authorization_url(DeviceAuthorizationUrl::new(${rust(`${issuer}/api/oauth/device_authorization`)}.into())?)`,
    service: "",
  };
  const also = more[kind] ?? `\n        .set_redirect_uri(RedirectUrl::new(${rust(redirect)}.into())?)`;
  return `// cargo add openidconnect --features reqwest-blocking && cargo add anyhow
use openidconnect::core::*;
use openidconnect::*;

fn main() -> anyhow::Result<()> {
    let http = reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let issuer = IssuerUrl::new(${rust(issuer)}.into())?;
    let metadata = CoreProviderMetadata::discover(&issuer, &http)?;
    let id = ClientId::new(${rust(id)}.into());
    let client = CoreClient::from_provider_metadata(metadata, id, ${secret})${also};

${rustFlow(kind, added)}
    Ok(())
}
`;
}

function rustFlow(kind, added) {
  if (kind === "service") {
    return `    let tokens = client
        .exchange_client_credentials()?${added}
        .request(&http)?;
    println!("{}", tokens.access_token().secret());`;
  }
  if (kind === "terminal") {
    return `    let started: CoreDeviceAuthorizationResponse = client
        .exchange_device_code()${added}
        .request(&http)?;
    let code = started.user_code().secret();
    println!("Open {} and enter {code}", started.verification_uri().as_str());
    let tokens = client
        .exchange_device_access_token(&started)?
        .request(&http, std::thread::sleep, None)?;
    println!("signed in for {:?}", tokens.expires_in());`;
  }
  return `    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state, nonce) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )${added}
        .set_pkce_challenge(challenge)
        .url();
    println!("Open {address}");

    println!("and paste the address of the page that you end up on:");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let back = url::Url::parse(line.trim())?;
    let get = |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    anyhow::ensure!(get("state").as_ref() == Some(state.secret()), "state does not match");
    let code = get("code").ok_or_else(|| anyhow::anyhow!("no code"))?;
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))?
        .set_pkce_verifier(verifier)
        .request(&http)?;
    let id_token = tokens.id_token().ok_or_else(|| anyhow::anyhow!("no ID token"))?;
    let claims = id_token.claims(&client.id_token_verifier(), &nonce)?;
    println!("signed in as {}", claims.subject().as_str());`;
}
