// A simulated browser, and the test data of `run`: issuer, members, clients.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** Issuer: the only configuration of clients. */
export const issuer = process.env.PEERS_ISSUER;

/** Directory of the test data. */
export const setup = process.env.PEERS_SETUP;

/** Reads the output of the command that created a member or a client. */
export function made(name) {
  return JSON.parse(readFileSync(`${setup}/${name}.json`, 'utf8'));
}

/** Redirect URI of the clients; no server listens there. */
export const callback = 'http://127.0.0.1/callback';

/** A browser with cookies that follows redirects one at a time. */
export class Browser {
  #cookies = new Map();

  get isNew() {
    return this.#cookies.size === 0;
  }

  async fetch(url, { headers, ...init } = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const sent = { ...init, headers: { ...headers, cookie }, redirect: 'manual' };
    const answer = await fetch(url, sent);
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.#cookies.set(name, value);
    }
    return answer;
  }

  /** Opens an address and returns the redirect target. */
  async follow(url, init) {
    const answer = await this.fetch(url, init);
    assert.ok([302, 303].includes(answer.status), await answer.text());
    return new URL(answer.headers.get('location'), url);
  }
}

/** Follows redirects and posts decisions through the public API, like the pages. */
export class Person extends Browser {
  /** A member of the server under test, or of the given server. */
  constructor(handle, { origin = issuer, account = made(handle) } = {}) {
    super();
    this.account = account;
    this.origin = origin;
  }

  /** Opens an authorization URL, signs in if needed, decides, and returns the final address. */
  async decide(url, decision) {
    const requestId = await this.#arrive(url);
    if (requestId instanceof URL) return requestId;
    const body = { request_id: requestId, decision };
    const { location } = await this.post('/api/oauth/authorize/consent', body);
    return new URL(location);
  }

  approve(url) {
    return this.decide(url, 'approve');
  }

  deny(url) {
    return this.decide(url, 'deny');
  }

  /** Enters a user code, loads the consent, and decides. */
  async decideDevice(userCode, decision) {
    if (this.isNew) await this.signIn();
    const path = `/api/oauth/device/consent?user_code=${encodeURIComponent(userCode)}`;
    const shown = await this.fetch(new URL(path, this.origin));
    assert.equal(shown.status, 200);
    await this.post('/api/oauth/device/consent', { user_code: userCode, decision });
  }

  signIn() {
    const { handle, password } = this.account;
    return this.post('/api/auth/password/signin', { identifier: handle, token: password });
  }

  /** Returns the id of the pending request, or the redirect target. */
  async #arrive(url) {
    const answer = await this.fetch(url);
    assert.equal(answer.status, 302, await answer.text());
    const location = new URL(answer.headers.get('location'));
    if (location.origin !== this.origin) return location;
    const returnUrl = location.searchParams.get('return_url');
    if (returnUrl === null) return location.searchParams.get('request_id');
    await this.signIn();
    return new URL(returnUrl, this.origin).searchParams.get('request_id');
  }

  async post(path, body) {
    const answer = await this.fetch(new URL(path, this.origin), {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: this.origin },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    assert.equal(answer.status, 200, `${path}: ${text}`);
    return JSON.parse(text);
  }
}
