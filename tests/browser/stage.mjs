// What every browser test stands on: the running stack's address and database, a proxy in front of it that can lose,
// delay and replace answers, and pages that fail their test on any console error, CSP report or request to another host.
// It must not know what the page shows; the tests say that.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { afterEach, before, after, beforeEach } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const run = promisify(execFile);
const setting = name => process.env[name] ?? assert.fail(`${name} is not set: start the tests by tests/browser/run`);
export const STATE_DIR = setting('STATE_DIR');
const NAME = readFileSync(`${STATE_DIR}/release/local/name`, 'utf8').trim();
export const STACK = `http://127.0.0.1:${setting('HTTP_PORT')}`;
export const ADMIN_TOKEN = readFileSync(setting('ADMIN_TOKEN_FILE'), 'utf8').trim();
const PATIENCE_MS = 20_000;    // for a condition that comes in milliseconds on an idle machine

/** Runs SQL as the database's superuser, over the socket, and returns what it prints. */
export async function sql(text) {
  const psql = ['psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', `${STATE_DIR}/run`,
    '-p', setting('POSTGRES_PORT'), '-d', NAME, '-c', text];
  const command = process.getuid() === 0 ? ['runuser', '-u', 'postgres', '--', ...psql] : psql;
  return (await run(command[0], command.slice(1))).stdout.trim();
}

/** Waits until `condition` gives something true, and returns that. */
export async function until(condition, what = condition.toString(), patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`waited in vain: ${what}`);
    await new Promise(done => setTimeout(done, 15));
  }
}

// The proxy between the browser and the real nginx.

const rules = [];
export const asked = [];     // every request to the service since the test began: { method, path, headers, body, status }
export const askedFor = (method, start) => asked.filter(one => one.method === method && one.path.startsWith(start));

/** What happens to the next `times` requests of a method whose path begins so; the first rule that fits counts:
  { status, headers, problem }  answered by the proxy itself; nothing reaches the service
  { lose: true }                answered by the service, but half of the answer is lost on the way
  { cut: true }                 neither
  { hold: promise }             passed on when the promise is fulfilled; goes with the others
  { stale: promise }            answered by the service, which sets `read`; passed on when the promise is fulfilled */
export function rule(method, start, action, times = Infinity) {
  rules.push({ method, start, times, ...action });
}
export const noRules = () => { rules.length = 0; };

function problem(status, { type = 'about:blank', detail = 'made by the test', request_id = 'e57e57e57e57' } = {}) {
  return JSON.stringify({ type, title: 'Test', status, detail, request_id });
}

const proxy = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const entry = { method: request.method, path: request.url, headers: request.headers, body: body.toString() };
  asked.push(entry);
  const found = rules.find(one => one.method === request.method && request.url.startsWith(one.start) && one.times > 0);
  if (found) found.times -= 1;
  await found?.hold;
  if (found?.cut) return request.socket.destroy();
  if (found?.status) {
    entry.status = found.status;
    response.writeHead(found.status, { 'Content-Type': 'application/problem+json', ...found.headers });
    return response.end(problem(found.status, found.problem));
  }
  const passed = http.request(STACK + request.url, { method: request.method, headers: request.headers }, answer => {
    const parts = [];
    answer.on('data', part => parts.push(part));
    answer.on('end', async () => {
      entry.read = true;
      await found?.stale;
      entry.status = answer.statusCode;
      const { connection, ...headers } = answer.headers;
      const whole = Buffer.concat(parts);
      response.writeHead(answer.statusCode, headers);
      if (!found?.lose) return response.end(whole);
      response.write(whole.subarray(0, whole.length / 2), () => request.socket.destroy());
    });
  });
  passed.on('error', () => request.socket.destroy());
  passed.end(body);
});

// Chromium sends a request again by itself, a POST too, if a connection that it used before is closed on it. That would
// hide what the page does, so each request has a connection of its own here.
proxy.maxRequestsPerSocket = 1;

// Pages.

export let ORIGIN;
let browser;
let contexts = [];
let complaints = [];
const pending = new Map();   // page → its requests under way

/** A page in a browser context of its own. `path` is opened unless it is null; `clock: true` gives it a clock that stands
    still until the test moves it (pass). */
export async function open(path = '/', { clock = false, lang = 'en', allow = () => false, ...options } = {}) {
  const context = await browser.newContext({ baseURL: ORIGIN, locale: lang, viewport: { width: 1280, height: 900 }, ...options });
  contexts.push(context);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on('console', message => {
    // The browser's own line for a failed request is not the page's to avoid.
    if (!['error', 'warning'].includes(message.type()) || /^Failed to load resource/.test(message.text())) return;
    if (!allow(message.text())) complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', error => complaints.push(`exception: ${error.stack}`));
  pending.set(page, new Set());
  for (const event of ['requestfinished', 'requestfailed']) page.on(event, request => pending.get(page).delete(request));
  page.on('request', request => {
    pending.get(page).add(request);
    const url = request.url();
    if (!url.startsWith(ORIGIN) && !/^(blob|data):/.test(url)) complaints.push(`request to another host: ${url}`);
  });
  if (clock) {
    const now = Date.now();
    await page.clock.install({ time: now });
    await page.clock.pauseAt(now + 1000);
  }
  if (path !== null) await page.goto(path);
  return page;
}

/** Lets time pass on a page's clock, once the answers to what it asked before have come: it would run out of patience
    with them otherwise. `waiting` leaves that out, for requests that the test holds back. */
export async function pass(page, ms, { waiting = true } = {}) {
  if (waiting) {
    await until(() => pending.get(page).size === 0, 'the answers have come');
    await page.evaluate(() => {});   // and have been dealt with
  }
  await page.clock.runFor(ms);
}

/** Hides a page, as another tab in front of it does, or shows it again. */
export const hide = (page, hidden = true) => page.evaluate(value => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
  document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

const textOf = role => async (page, wanted) => {
  let last;
  const fits = () => (wanted instanceof RegExp ? wanted.test(last) : last === wanted);
  await until(async () => { last = (await page.getByRole(role).textContent()).trim(); return fits(); }, `${role} ${wanted}`)
    .catch(error => assert.fail(`${error.message}; it says: ${last}`));
};
export const statusIs = textOf('status');
export const alertIs = textOf('alert');
export const focused = page => page.evaluate(() => {
  const one = document.activeElement;
  return one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent.trim();
});

before(async () => {
  await new Promise(done => proxy.listen(0, '127.0.0.1', done));
  ORIGIN = `http://127.0.0.1:${proxy.address().port}`;
  browser = await chromium.launch({
    executablePath: setting('CHROMIUM'),
    args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
  });
});
beforeEach(() => {
  noRules();
  asked.length = 0;
  complaints = [];
});
afterEach(async () => {
  await Promise.all(contexts.map(context => context.close()));
  contexts = [];
  assert.deepEqual(complaints, []);
});
after(async () => {
  await browser?.close();
  proxy.closeAllConnections();
  proxy.close();
});
