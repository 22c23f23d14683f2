// A person with a browser of their own, and what `run` has set up: the issuer, members, clients.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** All that a client is told about the server. */
export const issuer = process.env.PEERS_ISSUER;

/** The folder with what `run` has set up. */
export const setup = process.env.PEERS_SETUP;

/** What the command line printed when it made a member or a client. */
export function made(name) {
  return JSON.parse(readFileSync(`${setup}/${name}.json`, 'utf8'));
}

/** Where the clients want people to be sent back to; nothing listens there. */
export const callback = 'http://127.0.0.1/callback';

/** A browser: it keeps cookies, and goes where it is sent one step at a time. */
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

  /** Opens an address and says where it sends them. */
  async follow(url, init) {
    const answer = await this.fetch(url, init);
    assert.ok([302, 303].includes(answer.status), await answer.text());
    return new URL(answer.headers.get('location'), url);
  }
}

/** Follows redirects and posts decisions as the pages do, through the public API. */
export class Person extends Browser {
  /** A member of the server under test, or of the one that is named. */
  constructor(handle, { origin = issuer, account = made(handle) } = {}) {
    super();
    this.account = account;
    this.origin = origin;
  }

  /** Opens an authorization URL, signs in if asked to, decides, and says where they end up. */
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

  /** Types in the code that a device shows, reads who asks, and decides. */
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

  /** The request that waits for a decision, or where the server has sent the person instead. */
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
