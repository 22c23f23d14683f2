// A browser that visits an application and the server, with the cookies of each origin.
import assert from 'node:assert/strict';

import { server } from './server.mjs';

/** A page after all redirects. */
class Page {
  constructor(url, status, text) {
    Object.assign(this, { url, status, text });
  }
}

/** Fetches, and waits up to a minute for a program that does not listen yet. */
async function patiently(url, init) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (error.cause?.code !== 'ECONNREFUSED' || tries === 600) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export class Visitor {
  #cookies = new Map();

  /** Follows redirects until an origin where no server listens. */
  until(url, origin) {
    return this.open(url, {}, origin);
  }

  /** Opens an address and follows redirects; signs in and approves at the server on the way. */
  async open(url, init = {}, end = undefined) {
    let [next, sent] = [new URL(url), init];
    for (let hops = 0; hops < 30; hops += 1) {
      const { issuer } = await server();
      if (next.origin === end) return next;
      if (next.origin === issuer && !next.pathname.startsWith('/api/')) {
        next = await this.#actAtServer(next);
        continue;
      }
      const answer = await this.fetch(next, sent);
      if (![301, 302, 303, 307, 308].includes(answer.status)) {
        return new Page(next, answer.status, await answer.text());
      }
      next = new URL(answer.headers.get('location'), next);
      sent = {};
    }
    throw new Error(`too many redirects at ${next}`);
  }

  /** Posts a form and follows redirects. */
  submit(url, form) {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return this.open(url, { method: 'POST', headers, body: new URLSearchParams(form).toString() });
  }

  async fetch(url, { headers, ...init } = {}) {
    const { origin } = new URL(url);
    const jar = this.#cookies.get(origin) ?? new Map();
    this.#cookies.set(origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const sent = { ...headers, ...(cookie && { cookie }) };
    const answer = await patiently(url, { ...init, headers: sent, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value === '' || /max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return answer;
  }

  /** The pages of the server: sign-in and consent. Returns the next address. */
  async #actAtServer(url) {
    const { account } = await server();
    if (url.pathname === '/login') {
      await this.#post(url, '/api/auth/password/signin', { identifier: account.handle, token: account.password });
      return new URL(url.searchParams.get('return_url'), url);
    }
    assert.equal(url.pathname, '/oauth/authorize/consent', `${url}`);
    const request_id = url.searchParams.get('request_id');
    const shown = await this.fetch(new URL(`/api/oauth/authorize/consent?request_id=${request_id}`, url));
    const text = await shown.text();
    assert.equal(shown.status, 200, text);
    if (JSON.parse(text).location) return new URL(JSON.parse(text).location);
    const decided = await this.#post(url, '/api/oauth/authorize/consent', { request_id, decision: 'approve' });
    return new URL(decided.location);
  }

  /** Signs in and approves a device by its user code. */
  async approveDevice(user_code) {
    const { issuer, account } = await server();
    const at = new URL(issuer);
    await this.#post(at, '/api/auth/password/signin', { identifier: account.handle, token: account.password });
    const shown = await this.fetch(new URL(`/api/oauth/device/consent?user_code=${user_code}`, at));
    assert.equal(shown.status, 200, await shown.text());
    await this.#post(at, '/api/oauth/device/consent', { user_code, decision: 'approve' });
  }

  async #post({ origin }, path, body) {
    const headers = { 'content-type': 'application/json', origin };
    const answer = await this.fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await answer.text();
    assert.equal(answer.status, 200, `${path}: ${text}`);
    return JSON.parse(text);
  }
}

/** Signs in at a running application: its page names the member afterwards. */
export async function assertSignsIn(address, path = '/login') {
  const visitor = new Visitor();
  assert.match((await visitor.open(address)).text, /Not signed in/);
  const page = await visitor.open(`${address}${path}`);
  assert.equal(page.status, 200, page.text);
  assert.match((await visitor.open(address)).text, /Signed in as frigg/);
}
