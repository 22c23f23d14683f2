// A page in a browser, without a browser.
import assert from 'node:assert/strict';

/**
 * The parts of a browser that a page uses: address, storage, and requests that are subject to CORS. A navigation
 * ends in `left`.
 */
export function openPage(origin) {
  const entries = new Map();
  const storage = {
    get length() {
      return entries.size;
    },
    key: (index) => [...entries.keys()][index] ?? null,
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => entries.set(key, `${value}`),
    removeItem: (key) => entries.delete(key),
  };
  const page = { storage, fetches: 0 };
  const place = new URL(origin);
  page.left = new Promise((resolve) => (page.leave = resolve));
  const location = {
    get href() {
      return place.href;
    },
    get origin() {
      return place.origin;
    },
    get pathname() {
      return place.pathname;
    },
    assign: (url) => page.leave(new URL(url)),
    replace: (url) => page.leave(new URL(url)),
  };
  page.arrive = (url) => (place.href = url);
  const window = { location, localStorage: storage, sessionStorage: storage };
  const history = { replaceState: (_, __, path) => (place.href = new URL(path, place)) };
  Object.assign(window, { addEventListener() {}, removeEventListener() {} });
  window.parent = window.top = window.self = window;
  const { fetch: real } = globalThis;
  const fetch = async (url, init = {}) => {
    page.fetches += 1;
    const headers = { ...Object.fromEntries(new Headers(init.headers)), origin };
    const named = Object.keys(headers).filter((name) => !['accept', 'content-type', 'origin'].includes(name));
    if (named.length > 0) {
      const asked = { 'access-control-request-method': init.method ?? 'GET', origin };
      asked['access-control-request-headers'] = named.join(',');
      const allowed = await real(url, { method: 'OPTIONS', headers: asked });
      assert.ok(allowed.ok && [origin, '*'].includes(allowed.headers.get('access-control-allow-origin')));
      const list = allowed.headers.get('access-control-allow-headers').toLowerCase();
      for (const name of named) assert.ok(list === '*' || list.includes(name), `${url}: ${name}`);
    }
    const answer = await real(url, { ...init, headers });
    const readable = answer.headers.get('access-control-allow-origin');
    assert.ok([origin, '*'].includes(readable), `${url} is not readable in a browser`);
    return answer;
  };
  Object.assign(globalThis, { window, location, history, localStorage: storage, sessionStorage: storage, fetch });
  page.close = () => {
    globalThis.fetch = real;
    for (const name of ['window', 'location', 'history', 'localStorage', 'sessionStorage']) delete globalThis[name];
  };
  return page;
}
