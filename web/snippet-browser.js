// Code sample of a single-page app: a page that signs a member in with PKCE and WebCrypto, without a library.

// A text as JavaScript within HTML: "</script>" must not end the script.
const js = (text) => JSON.stringify(text).replaceAll("<", "\\u003c");

/** Returns the page for these values of a client. */
export function browserSnippet({ id, issuer, redirect, scopes }) {
  const openid = scopes.includes("openid");
  const { hostname, port, protocol } = new URL(redirect);
  const isLocal = protocol === "http:" && ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const serve = isLocal ? `, for example with: python3 -m http.server ${port || "80"}` : "";
  return `<!doctype html>
<!-- Serve this file at ${redirect.replaceAll("--", "%2D%2D")}${serve} -->
<meta charset="utf-8">
<title>Sign-in</title>
<button id="sign-in" type="button">Sign in</button>
<p id="result" role="status"></p>
<script type="module">
const issuer = ${js(issuer)};
const client_id = ${js(id)};
const redirect_uri = ${js(redirect)};
const scope = ${js(scopes.join(" "))};

const metadata = await (await fetch(\`\${issuer}/.well-known/openid-configuration\`)).json();

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// Keeps state and verifier in this tab, and leaves for the consent page.
async function signIn() {
  const [state, verifier] = [random(), random()];
  sessionStorage.setItem("sign-in", JSON.stringify({ state, verifier }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const request = { response_type: "code", client_id, redirect_uri, scope, state, code_challenge: base64url(digest), code_challenge_method: "S256" };
  location.assign(\`\${metadata.authorization_endpoint}?\${new URLSearchParams(request)}\`);
}

// Exchanges the code of the answer for tokens. Keep the tokens in memory, not in storage.
async function finish(answer) {
  const { state, verifier } = JSON.parse(sessionStorage.getItem("sign-in") ?? "{}");
  sessionStorage.removeItem("sign-in"); // a code works once
  history.replaceState(null, "", location.pathname);
  if (!state || answer.get("state") !== state) throw new Error("no sign-in in progress in this tab");
  if ((answer.get("iss") ?? metadata.issuer) !== metadata.issuer) throw new Error("the answer is from another server");
  if (answer.has("error")) throw new Error(answer.get("error_description") ?? answer.get("error"));
  const form = { grant_type: "authorization_code", client_id, redirect_uri, code: answer.get("code"), code_verifier: verifier };
  const response = await fetch(metadata.token_endpoint, { method: "POST", body: new URLSearchParams(form) });
  const tokens = await response.json();
  if (!response.ok) throw new Error(tokens.error_description ?? tokens.error);
  return tokens;
}

const result = document.getElementById("result");
document.getElementById("sign-in").addEventListener("click", signIn);
const answer = new URLSearchParams(location.search);
if (answer.has("code") || answer.has("error")) {
  try {
    const tokens = await finish(answer);
${openid ? userinfo : signedIn}
  } catch (error) {
    result.textContent = error.message;
  }
}
</script>
`;
}

const userinfo = `    const headers = { authorization: \`Bearer \${tokens.access_token}\` };
    const person = await (await fetch(metadata.userinfo_endpoint, { headers })).json();
    result.textContent = \`Signed in as \${person.name ?? person.sub}\`;`;

const signedIn = `    result.textContent = \`Signed in for \${tokens.expires_in} seconds\`;`;
