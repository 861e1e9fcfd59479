// The visitor book's page: reads and signs through the service's HTTP API, in English and Brazilian Portuguese.
// It must not know how the service works behind /api. Whatever comes from there becomes text and only text: the DOM is
// made with createElement and textContent, so a name can never turn into markup (the CSP allows no Trusted Types policy).

const VISITORS = '/api/visitors';
const ANSWER_MS = 10_000;              // a request without an answer by then counts as lost
const POLL_S = 10, POLL_MAX_S = 60;    // pause between looks at the first page; doubled by each failure
const RESEND_S = [1, 2, 4, 8, 16];     // pauses between sends of one signature, where the service names none
const RETRY_AFTER_MAX_S = 3600;        // whatever a Retry-After says, the page does not wait longer
const DAY_MS = 24 * 3600_000;          // also how long the service keeps an Idempotency-Key
const PRESS_MS = 500;                  // a second press within this time, nothing typed between, is a double press
const SLOW_MS = 1000, SEARCH_MS = 300, TIMES_MS = 30_000;
const NAME_MAX = 50;                   // code points
const ROWS_MAX = 200;                  // rows that live updates pile up, beside those asked for with the button

const $ = id => document.getElementById(id);
const field = $('name'), list = $('list'), search = $('search'), olderButton = $('older'), dialog = $('dialog');

// Texts stand in index.html, in both languages: those that are always there, and those said now and then.
let lang = 'en';
const inLanguage = pair => pair[lang === 'en' ? 0 : 1];
const pairs = (root, name, read) => [...root.querySelectorAll(`[${name}]`)].map(one => [one, [read(one), one.getAttribute(name)]]);
const fixed = pairs(document, 'data-pt', one => one.textContent);
const labels = pairs(document, 'data-pt-label', one => one.ariaLabel);
const TEXTS = Object.fromEntries(pairs($('texts').content, 'data-pt', one => one.textContent).map(([one, pair]) => [one.id, pair]));

// Intl formatters are what costs time on a slow phone: each is made once a language, when it is first needed.
const FORMATS = {
  number: () => new Intl.NumberFormat(lang),
  ago: () => new Intl.RelativeTimeFormat(lang, { numeric: 'auto' }),
  clock: () => new Intl.DateTimeFormat(lang, { timeStyle: 'short' }),
  date: () => new Intl.DateTimeFormat(lang, { dateStyle: 'medium' }),
  full: () => new Intl.DateTimeFormat(lang, { dateStyle: 'full', timeStyle: 'long' }),
  utcShort: () => new Intl.DateTimeFormat(lang, { month: 'short', day: 'numeric', timeZone: 'UTC' }),
  utcDay: () => new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeZone: 'UTC' }),
};
const made = {};
const format = (kind, ...values) => (made[lang + kind] ??= FORMATS[kind]()).format(...values);
const number = n => (n < 1000 ? String(n) : format('number', n));   // the same in both languages up to there

/** A text with its {places} filled, in parts. What is text is isolated, so that a right-to-left one does not reorder the
    sentence; {wait} ticks, and a timer is not read out as it does. */
function parts(key, values = {}) {
  const text = inLanguage((values.n === 1 && TEXTS[`${key}One`]) || TEXTS[key]);
  return text.split(/\{(\w+)\}/).map((part, i) => {
    if (i % 2 === 0) return part;
    if (part === 'wait') return make('span', { role: 'timer', textContent: t('wait', { n: values.wait() }) });
    const value = values[part];
    if (typeof value === 'string') return make('bdi', { textContent: value });
    if (value instanceof Date) return format('clock', value);
    return typeof value === 'number' && part !== 'id' ? number(value) : String(value);
  });
}
const t = (key, values) => parts(key, values).map(part => part.textContent ?? part).join('');

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// A browser may refuse storage (a setting, a sandbox); then the page only forgets sooner.
function storage(store, method, ...values) {
  try { return window[store][method](...values); } catch { return null; }
}
const asked = name => new URL(location).searchParams.get(name);
function setAddress(name, value) {
  const url = new URL(location);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  history.replaceState(history.state, '', url);
}

/** One request. Never throws: status 0 stands for no answer (no network, too late, or one cut short). */
async function ask(path, { signal, ...options } = {}) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_MS);
  signal?.addEventListener('abort', () => limit.abort());
  try {
    const response = await fetch(path, { cache: 'no-store', redirect: 'error', ...options, signal: limit.signal });
    const { status, headers } = response;
    const readable = options.method !== 'HEAD' && /json/.test(headers.get('content-type'));
    // A refusal counts whatever its body is; a success that cannot be read is none.
    const body = readable ? await response.json().catch(fault => { if (status < 400) throw fault; }) : null;
    const reference = body?.request_id ?? (status >= 500 ? headers.get('x-request-id') : null);
    const after = Math.min(parseInt(headers.get('retry-after'), 10), RETRY_AFTER_MAX_S) || null;
    return { status, headers, body, reference, after, response };
  } catch {
    return { status: 0 };
  } finally {
    clearTimeout(timer);   // a long download only has to start in time
  }
}

// Status and alert: kept as key and values, so that a change of language can say them again.
let said = {};
function say(kind, key, values) {
  said = { kind, key, values };
  $('status').replaceChildren(...(key ? parts(key, values) : []));
  $('messages').classList.toggle('urgent', kind === 'stale');
}
const unsay = kind => { if (said.kind === kind) say(); };
const alerts = new Map();   // by what they are about; the newest shows, an older one comes back when it is settled
let shown = null;
function raise(about, key, { values, buttons = [], home = search, reference } = {}) {
  alerts.delete(about);
  alerts.set(about, { key, values, buttons, home, reference });
  showAlert();
}
function settle(about) {
  if (alerts.delete(about)) showAlert();
}
function showAlert(again = false) {
  const box = $('alert');
  const focused = box.contains(document.activeElement);
  const before = shown;
  shown = [...alerts.values()].at(-1) ?? null;
  if (shown === before && !again) return;   // what stands there is not read out a second time
  box.replaceChildren();
  if (shown) {
    const { key, values, buttons, reference } = shown;
    const end = reference ? [' ', make('span', { className: 'reference', textContent: t('reference', { id: reference }) })] : [];
    box.append(make('p', {}, ...parts(key, values), ...end));
    box.append(...buttons.map(([word, onclick]) => make('button', { type: 'button', className: 'secondary', textContent: t(word), onclick })));
  }
  if (focused) (box.querySelector('button') ?? before.home).focus();   // a focus must not vanish with its button
}

// Who reads far from the form has to see what is wrong, too: messages float while their place is out of sight.
new IntersectionObserver(([place]) => $('messages').classList.toggle('afloat', !place.isIntersecting)).observe($('slot'));

// Signing: one key from the button to the row.
let signing = null;   // the signature under way: { key, name, at, inDoubt, sends, sending, timer, li }
let held = null;      // one that was refused for now: { key, name, at, until }; its key serves the next press
let pressedAt = 0;
const trim = text => text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, '');
const points = text => [...text].length;
const FORBIDDEN = /[\p{Cc}\p{Cs}\u2028-\u202E\u2066-\u2069\p{Noncharacter_Code_Point}]/u;
const newKey = () => crypto.randomUUID?.() ??   // there in secure contexts only
  [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('');
const remember = signature => (signature ? storage('sessionStorage', 'setItem', 'signature', JSON.stringify(signature))
  : storage('sessionStorage', 'removeItem', 'signature'));
const limited = () => held?.until > Date.now();

function press() {
  const now = Date.now();
  if (signing || limited() || now - pressedAt < PRESS_MS) return;
  const name = trim(field.value), n = points(name);
  if (n > NAME_MAX || FORBIDDEN.test(name)) {
    field.ariaInvalid = 'true';
    field.focus();
    return raise('signature', n > NAME_MAX ? 'tooLong' : 'forbidden', { values: { n }, home: field });
  }
  pressedAt = now;
  settle('signature');
  if (held && now - held.at > DAY_MS) held = null;
  begin({ key: held?.key ?? newKey(), name, at: held?.at ?? now, inDoubt: held?.until === 0 });
}

function begin({ key, name, at, inDoubt }) {
  held = null;
  remember({ key, name, at });
  const li = make('li', { className: 'row fresh', ariaBusy: 'true' },
    make('bdi', { className: 'name', textContent: name || 'Visitor_…' }), make('span', { className: 'time', textContent: t('signing') }));
  signing = { key, name, at, inDoubt, sends: 0, sending: false, timer: 0, li };
  list.prepend(li);
  show();
  send();
}

async function send() {
  const mine = signing;
  if (!mine || mine.sending) return;
  clearTimeout(mine.timer);
  // The service may have forgotten the key of a laptop that slept for days: then only its owner can decide.
  if (Date.now() - mine.at > DAY_MS) { settle('signature'); return giveUp(null); }
  mine.sends += 1;
  mine.sending = true;
  if (said.kind !== 'sending') say('sending', 'sending');
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': mine.key };
  const answer = await ask(VISITORS, { method: 'POST', headers, body: JSON.stringify(mine.name ? { name: mine.name } : {}) });
  mine.sending = false;
  if (signing !== mine) return;
  const { status, body, reference, after } = answer;
  if (status === 201 && body?.id) return signed(body);
  if (status < 400 || [502, 503, 504].includes(status) || body?.type === '/problems/outcome-unknown') return unsure(answer);
  if (status === 429) return mine.inDoubt ? unsure(answer) : giveUp(Date.now() + (after ?? 1) * 1000, reference);
  giveUp(status >= 500 ? 0 : null);   // after a 500 nobody knows: the next press must not add a second one
  raise('signature', 'refused', { values: { detail: body?.detail ?? status }, home: field, reference });
}

function signed(visitor) {
  const { name, li } = signing;
  signing = null;
  remember(null);
  settle('signature');
  if (trim(field.value) === name) field.value = '';   // what was typed meanwhile stays
  // The pending row becomes the real one in place; a poll may have brought its twin before the answer came.
  rows.filter(row => row.id === visitor.id).forEach(dropRow);
  rows = [rowOf(visitor, li), ...rows.filter(row => row.id !== visitor.id)].sort((a, b) => b.id - a.id);
  showRows(rows);
  say('added', 'added', visitor);
  refresh();
}

/** No certain answer: the same key and body again, until it is certain or has been tried often enough. */
function unsure({ after, reference }) {
  signing.inDoubt = true;   // a later 429 refuses that send; this one may have been added all the same
  const pause = RESEND_S[signing.sends - 1];
  if (!pause) {
    unsay('sending');
    const buttons = [['again', goOn], ['discard', () => { field.value = ''; giveUp(null); settle('signature'); }]];
    return raise('signature', 'unconfirmed', { buttons, home: field, reference });
  }
  signing.timer = setTimeout(send, (after ?? pause * (0.8 + 0.4 * Math.random())) * 1000);
  if (!alerts.has('signature')) raise('signature', 'outOfReach', { home: field, reference });   // said once
}

function goOn() {
  if (!signing || signing.sending) return;
  if (signing.sends > RESEND_S.length) {
    signing.sends = 0;
    raise('signature', 'outOfReach', { home: field });
  }
  send();
}

/** The signature is no longer under way. With a time its key is held for the next press, not before that time. */
function giveUp(until, reference) {
  const { key, name, at, li } = signing;
  li.remove();
  signing = null;
  held = until === null ? null : { key, name, at, until };
  remember(held);
  unsay('sending');
  if (limited()) countDown(reference);
  show();
}

function countDown(reference) {
  const { until } = held;
  const wait = () => Math.max(1, Math.ceil((until - Date.now()) / 1000));
  raise('signature', 'limited', { values: { wait }, home: field, reference });
  const tick = setInterval(() => {
    const timer = document.querySelector('[role=timer]');
    if (timer) timer.textContent = t('wait', { n: wait() });
    if (Date.now() < until) return;
    clearInterval(tick);
    if (held?.until === until) settle('signature');
    show();
  }, 250);
}

/** After a reload or a crash of the tab: goes on with the signature that was under way, with the same key. */
function resume() {
  let stored = null;
  try { stored = JSON.parse(storage('sessionStorage', 'getItem', 'signature')); } catch { /* not ours */ }
  const { key, name, at, until } = stored ?? {};
  if (typeof key !== 'string' || typeof name !== 'string' || !(Date.now() - at < DAY_MS)) return remember(null);
  field.value = name;
  if (until === undefined) return begin({ ...stored, inDoubt: true });
  held = stored;
  if (limited()) countDown();
  show();
}

// Rows.
let rows = [];         // newest first: { id, name, created_at, li, time, number, remove }
let loaded = false;    // a first page has been shown
let shownQuery = '';   // the search that the rows answer
let next = null;       // the path of the next older page
let newest = 0;        // the newest id of the last page that came: tells others' signatures from older rows
let olderRows = 0;     // how many rows were asked for with the button

function rowOf({ id, name, created_at }, li) {
  const row = { id, name, created_at, li };
  row.time = make('time', { className: 'time', dateTime: created_at });
  row.number = make('span', { className: 'number' });
  row.remove = make('button', { type: 'button', className: 'remove', onclick: () => offerDeletion(row) });
  li.ariaBusy = null;
  li.replaceChildren(make('bdi', { className: 'name', textContent: name }), row.time, row.number);
  showRow(row);
  return row;
}

function showRow(row) {
  row.number.textContent = t('number', row);
  row.time.title = format('full', new Date(row.created_at));
  row.remove.textContent = t('delete');
  row.remove.ariaLabel = t('deleteOf', row);
  if (!token) row.remove.remove();
  else if (!row.remove.isConnected) row.li.append(row.remove);
  showTime(row);
}
const showTime = row => { row.time.textContent = ago(new Date(row.created_at)); };

function ago(then) {
  const now = new Date();
  const ms = Math.max(0, now - then);   // a clock that is behind does not see the future
  if (ms < 60_000) return format('ago', 0, 'second');
  if (ms < 3600_000) return format('ago', -Math.floor(ms / 60_000), 'minute');
  if (ms < DAY_MS) return format('ago', -Math.floor(ms / 3600_000), 'hour');
  if (ms >= 7 * DAY_MS) return format('date', then);
  // "Yesterday" is a matter of the calendar, not of 24 hours; rounding takes care of days with 23 or 25.
  const midnight = date => new Date(date).setHours(0, 0, 0, 0);
  return format('ago', -Math.round((midnight(now) - midnight(then)) / DAY_MS), 'day');
}

/** Makes the list show `wanted`, newest first, with as few changes as can be: a row that stays is not touched. */
function showRows(wanted, className = 'row') {
  const old = new Map(rows.map(row => [row.id, row]));
  const stays = new Set(wanted.map(visitor => visitor.id));
  rows.filter(row => !stays.has(row.id)).forEach(dropRow);
  // Browsers hold what is being read in place by themselves, but for one; there the page scrolls by what came in above.
  const anchor = scrollY && !CSS.supports('overflow-anchor', 'auto') ? rows.find(row => row.li.getBoundingClientRect().bottom > 0) : null;
  const before = anchor?.li.getBoundingClientRect().top;
  let at = signing ? signing.li.nextElementSibling : list.firstElementChild;
  rows = wanted.map(visitor => {
    const row = old.get(visitor.id) ?? rowOf(visitor, make('li', { className }));
    if (row.li === at) at = at.nextElementSibling;
    else list.insertBefore(row.li, at);
    return row;
  });
  if (anchor) scrollBy(0, anchor.li.getBoundingClientRect().top - before);
  show();
}

function dropRow({ li }) {
  const focused = li.contains(document.activeElement);
  li.remove();
  if (focused) search.focus();
}

/** What follows from the rows and from the signature: the form's state, what stands in place of rows, and after them. */
function show() {
  const n = points(trim(field.value));
  $('sign').ariaDisabled = String(Boolean(signing) || limited());
  $('counter').textContent = `${number(n)}/${NAME_MAX}`;
  $('counter').classList.toggle('over', n > NAME_MAX);
  if (loaded || failures) list.querySelectorAll('.placeholder').forEach(item => item.remove());
  const none = !rows.length && !signing;
  list.hidden = none && list.ariaBusy !== 'true';
  $('empty').hidden = !(loaded && none);
  $('empty').replaceChildren(...parts(shownQuery ? 'foundNone' : 'nobody', { q: shownQuery }));
  olderButton.hidden = !next;
  $('end').hidden = !loaded || Boolean(next) || !rows.length;
}

// Reading.
let query = trim(asked('q') ?? '');
let reading = null;    // the request for a first page: { controller, byHand }
let readingOlder = null;
let pollTimer = 0, searchTimer = 0, failures = 0, etag = null, listedAt = null;
const live = () => $('live').checked && !document.hidden;
const poll = () => read(false);
const refresh = () => { etag = null; return live() ? poll() : loadStats(); };   // an own row is listed whether it matches the search or not

/** What comes by itself may fail: the list stays, with its time. Said once. */
function stale() {
  const key = navigator.onLine ? 'stale' : 'offline';
  if (loaded && said.key !== key) say('stale', key, { time: listedAt });
}

/** Says that it is loading if that takes long; the answer takes the words back. */
function slowly() {
  const timer = setTimeout(() => say('loading', 'loading'), SLOW_MS);
  return () => { clearTimeout(timer); unsay('loading'); };
}

/** Reads the first page: by hand (first load, search, Try again) or as a poll. A newer one ends an older one. */
async function read(byHand) {
  byHand ||= Boolean(reading?.byHand);
  reading?.controller.abort();
  clearTimeout(pollTimer);
  reading = { controller: new AbortController(), byHand };
  const { signal } = reading.controller;
  const q = query;
  const headers = !byHand && etag && q === shownQuery ? { 'If-None-Match': etag } : {};
  if (byHand) list.ariaBusy = 'true';
  show();
  const done = byHand ? slowly() : () => {};
  // No name is longer than NAME_MAX or has U+0000, so neither is a search that finds one; the service would refuse it.
  const answer = points(q) > NAME_MAX || q.includes('\0') ? { status: 200, body: { visitors: [], total: 0, next: null } }
    : await ask(q ? `${VISITORS}?${new URLSearchParams({ q })}` : VISITORS, { signal, headers });
  done();
  if (signal.aborted) return;
  reading = null;
  list.ariaBusy = null;
  if (answer.status === 304 || (answer.status === 200 && Array.isArray(answer.body?.visitors))) readWell(answer, q);
  else {
    failures += 1;
    if (byHand) raise('load', loaded ? 'notLoaded' : 'noVisitors', { buttons: [['again', () => read(true)]], reference: answer.reference });
    else stale();
    show();
  }
  if (live()) pollTimer = setTimeout(poll, Math.min(POLL_S * 2 ** failures, POLL_MAX_S) * 1000);
}

function readWell({ status, headers, body }, q) {
  const searched = q !== shownQuery || !loaded;
  failures = 0;
  listedAt = new Date();
  settle('load');
  if (said.kind === 'stale') say('back', 'back');
  if (status === 200) {
    etag = headers?.get('etag');
    merge(body, q, searched);
    const n = body.total ?? body.visitors.length;   // a total that would take too long to count is null
    if (q && searched) say('found', body.total === null && next ? 'foundOver' : n ? 'found' : 'foundNone', { n, q, over: n });
    else if (searched) unsay('found');
  }
  if ((status === 200 && !searched) || statsFailed || (stats && statsDay !== utcDay())) loadStats();
}

/** Joins the first page with the rows on screen. Where the two no longer overlap, the list starts anew. */
function merge(page, q, searched) {
  const have = new Set(rows.map(row => row.id));
  const last = page.visitors.at(-1)?.id;
  const overlap = !searched && page.next && page.visitors.some(visitor => have.has(visitor.id));
  const room = ROWS_MAX + olderRows - page.visitors.length;   // a page left open for days must not grow for ever
  const below = overlap ? rows.filter(row => row.id < last) : [];
  const tail = below.slice(0, room);
  if (tail.length < below.length) next = `${VISITORS}?${new URLSearchParams({ limit: 20, before: tail.at(-1).id, ...(q && { q }) })}`;
  else if (!tail.length) next = page.next;
  if (!overlap) {
    readingOlder?.abort();
    settle('older');
    olderRows = 0;
  }
  // A signature still on its way may be among the new: it announces itself when its answer comes.
  const fresh = page.visitors.filter(({ id, name }) => !searched && id > newest && !have.has(id) &&
    !(signing && name === (signing.name || `Visitor_${id}`)));
  newest = page.visitors[0]?.id ?? 0;
  shownQuery = q;
  loaded = true;
  showRows([...page.visitors, ...tail], searched ? 'row' : 'row fresh');
  if (fresh.length) say('came', 'came', { n: fresh.length, name: fresh[0].name });
}

async function readOlder() {
  if (readingOlder || !next) return;
  const { signal } = readingOlder = new AbortController();
  const done = slowly();
  const { status, body, reference } = await ask(next, { signal });
  done();
  readingOlder = null;
  if (signal.aborted) return;
  if (status !== 200 || !Array.isArray(body?.visitors)) {
    return raise('older', 'notLoaded', { buttons: [['again', readOlder]], home: olderButton, reference });
  }
  settle('older');
  const focused = document.activeElement === olderButton;
  const more = body.visitors.filter(visitor => !(visitor.id >= rows.at(-1)?.id));
  next = body.next;
  olderRows += more.length;
  showRows([...rows, ...more]);
  if (more.length) say('more', 'more', { n: more.length });
  if (focused && !next) {   // the button is gone: the focus goes to the first row that it brought
    const { li } = rows.at(-more.length) ?? rows.at(-1);
    li.tabIndex = -1;
    li.focus();
  }
}

function searchIn(ms) {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => {
    if (trim(search.value) === query) return;
    query = trim(search.value);
    setAddress('q', query);
    readingOlder?.abort();
    read(true);
  }, ms);
}

// The days.
let stats = null, statsFailed = false, statsDay = '', askingStats = null;
const utcDay = () => new Date().toISOString().slice(0, 10);

async function loadStats() {
  askingStats?.abort();
  const { signal } = askingStats = new AbortController();
  const { status, body } = await ask('/api/stats?days=30', { signal });
  if (signal.aborted) return;
  statsFailed = status !== 200 || !body?.days?.length;   // then the next poll that succeeds asks again
  if (statsFailed) return;
  stats = body;
  statsDay = utcDay();
  showStats();
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function showStats() {
  if (!stats) return;
  const { total, today, days } = stats;
  const max = Math.max(...days.map(day => day.count));
  const sum = days.reduce((before, day) => before + day.count, 0);
  const nameOf = (day, kind = 'utcShort') => format(kind, new Date(`${day.day}T00:00Z`));
  $('count').textContent = t('count', { n: total, today });
  $('summary').textContent = t('summary', { sum, max });
  $('first-day').textContent = nameOf(days.at(-1));
  $('last-day').textContent = t('isToday', { day: nameOf(days[0]) });
  const step = 300 / days.length;
  const bars = days.toReversed().map((day, i) => {
    const height = day.count && Math.max(2, 92 * day.count / max);
    const box = { x: i * step + step * 0.12, width: step * 0.76 };
    return svg('g', { class: day === days[0] ? 'today' : 'day' },
      svg('title', {}, `${nameOf(day)}: ${number(day.count)}`),
      svg('rect', { class: 'hover', x: i * step, width: step, y: 0, height: 100 }),
      svg('rect', { class: 'bar', ...box, y: 94 - height, height }),
      svg('rect', { class: 'mark', ...box, y: 96, height: 4 }));   // shown under today
  });
  $('chart').replaceChildren(...bars, svg('rect', { class: 'ground', x: 0, width: 300, y: 94, height: 1 }));
  $('chart').ariaHidden = null;
  $('chart').ariaLabel = t('chart', { sum, max });
  if ($('table-box').hidden) return;
  $('table-body').replaceChildren(...days.map(day => make('tr', {},
    make('th', { scope: 'row', textContent: nameOf(day, 'utcDay') }), make('td', { textContent: number(day.count) }))));
}

// For operators.
let token = null;      // the admin token lives here and nowhere else
let healthTimer = 0, reachable = null, version = null, deleting = null;
const bearer = value => ({ Authorization: `Bearer ${value}` });

async function lookAtHealth() {
  clearTimeout(healthTimer);
  if ($('operators').hidden || document.hidden) return;
  const [health, index] = await Promise.all([ask('/health'), version ? null : ask('/api')]);
  reachable = health.status === 200;
  version ??= index?.body?.version ?? null;
  showOperators();
  clearTimeout(healthTimer);
  healthTimer = setTimeout(lookAtHealth, POLL_S * 1000);
}

function showOperators() {
  $('database').textContent = reachable === null ? '' : t(reachable ? 'reachable' : 'away');
  $('database').className = reachable === false ? 'away' : '';
  $('version').textContent = version && t('version', { version });
  $('token-box').hidden = Boolean(token);
  $('csv').hidden = !token;
  $('unlock').textContent = t(token ? 'lock' : 'unlock');
}

function setToken(value) {   // null locks
  token = value;
  $('token').value = '';
  settle('admin');
  rows.forEach(showRow);
  showOperators();
}

async function unlock(candidate) {
  // A header carries visible ASCII; anything else cannot be the token, and fetch would not send it.
  const answer = /^[\x21-\x7e]+$/.test(candidate)
    ? await ask(`${VISITORS}.csv`, { method: 'HEAD', headers: bearer(candidate) }) : { status: 401 };
  if (answer.status !== 200) return adminFailed(answer, () => unlock(candidate));
  const focused = $('token-box').contains(document.activeElement);
  setToken(candidate);
  if (focused) $('unlock').focus();
  say('lock', 'unlocked');
}

function adminFailed({ status, body, reference }, again) {
  const key = { 401: 'wrongToken', 403: 'noToken' }[status] ?? (body?.detail ? 'refused' : 'notLoaded');
  const buttons = key === 'notLoaded' ? [['again', again]] : [];
  raise('admin', key, { values: { detail: body?.detail }, buttons, home: $('unlock'), reference });
}

async function downloadCsv() {
  const answer = await ask(`${VISITORS}.csv`, { headers: bearer(token) });
  const blob = answer.status === 200 && await answer.response.blob().catch(() => null);
  if (!blob) return adminFailed(answer, downloadCsv);
  settle('admin');
  const href = URL.createObjectURL(blob);
  make('a', { href, download: 'visitors.csv' }).click();
  setTimeout(() => URL.revokeObjectURL(href), ANSWER_MS);
}

function offerDeletion(row) {
  deleting = row;
  $('dialog-name').textContent = row.name;
  $('dialog-number').textContent = t('number', row);
  dialog.showModal();
}

async function deleteRow(row) {
  const answer = await ask(`${VISITORS}/${row.id}`, { method: 'DELETE', headers: bearer(token) });
  // 404: somebody else was faster, or an earlier answer was lost. It is gone, which is what was asked for.
  if (answer.status !== 204 && answer.status !== 404) return adminFailed(answer, () => deleteRow(row));
  settle('admin');
  showRows(rows.filter(({ id }) => id !== row.id));
  say('deleted', 'deleted', row);
  refresh();
}

// Language.
const languageOf = tag => ({ en: 'en', pt: 'pt-BR' })[String(tag).toLowerCase().split('-')[0]];
const languageButtons = document.querySelectorAll('.languages button');
function setLanguage(choice) {
  lang = choice;
  document.documentElement.lang = lang;
  for (const [element, texts] of fixed) element.textContent = inLanguage(texts);
  for (const [element, texts] of labels) element.ariaLabel = inLanguage(texts);
  for (const button of languageButtons) button.ariaPressed = String(button.lang === lang);
  document.title = document.querySelector('h1').textContent;
  search.placeholder = search.ariaLabel;
  rows.forEach(showRow);
  if (signing) signing.li.lastChild.textContent = t('signing');
  if (said.key) say(said.kind, said.key, said.values);
  showAlert(true);
  show();
  showStats();
  showOperators();
}

// What starts what.
const on = (target, type, handler) => target.addEventListener(type, handler);
const prevent = handler => event => { event.preventDefault(); handler(); };
for (const button of languageButtons) on(button, 'click', () => {
  storage('localStorage', 'setItem', 'lang', button.lang);
  if (asked('lang')) setAddress('lang', button.lang);   // or a reload would undo the choice
  setLanguage(button.lang);
});
on($('skip'), 'click', prevent(() => search.focus()));
on($('form'), 'submit', prevent(press));
on($('form'), 'keydown', event => { if (event.key === 'Enter' && event.repeat) event.preventDefault(); });
on(field, 'input', () => {
  pressedAt = 0;
  field.ariaInvalid = null;
  if (!signing && !limited()) settle('signature');
  show();
});

on(search, 'input', () => searchIn(SEARCH_MS));
on(search, 'keydown', event => {
  if (event.key === 'Escape') search.value = '';
  if (['Escape', 'Enter'].includes(event.key)) searchIn(0);
});
on(olderButton, 'click', readOlder);
on($('live'), 'change', () => {
  storage('localStorage', 'setItem', 'live', $('live').checked ? 'on' : 'off');
  if (live()) return poll();
  clearTimeout(pollTimer);
  if (reading && !reading.byHand) reading.controller.abort();
});
for (const [button, box, fill] of [['table-button', 'table-box', showStats], ['operators-button', 'operators', lookAtHealth]]) {
  on($(button), 'click', () => {
    $(box).hidden = !$(box).hidden;
    $(button).ariaExpanded = String(!$(box).hidden);
    fill();
  });
}
on($('token-form'), 'submit', prevent(() => {
  if (!token) return unlock($('token').value.trim());
  setToken(null);
  say('lock', 'locked');
}));
on($('token'), 'input', () => settle('admin'));
on($('csv'), 'click', downloadCsv);
on($('keep'), 'click', () => dialog.close());
on($('delete'), 'click', () => { dialog.close(); deleteRow(deleting); });
on(dialog, 'close', () => { if (!deleting.remove.isConnected) search.focus(); });   // its row went meanwhile

on(document, 'visibilitychange', () => {
  clearTimeout(pollTimer);
  if (document.hidden) return;
  rows.forEach(showTime);
  if (live()) poll();
  lookAtHealth();
});
on(window, 'pagehide', () => { if (token) setToken(null); });   // a page kept for the back button would keep it, too
on(window, 'offline', stale);
on(window, 'online', () => {
  goOn();
  if (live()) poll();
  else if (said.kind === 'stale') say('back', 'back');
});
setInterval(() => { if (!document.hidden) rows.forEach(showTime); }, TIMES_MS);

// The two requests first, so that they are under way while the rest is made ready.
loadStats();
const first = read(true);
search.value = query;
$('live').checked = storage('localStorage', 'getItem', 'live') !== 'off';
setLanguage([asked('lang'), storage('localStorage', 'getItem', 'lang'), ...navigator.languages].map(languageOf).find(Boolean) ?? 'en');
$('sign').disabled = false;
resume();
if (location.hash === '#operators') {
  $('operators-button').click();
  first.then(() => $('operators').scrollIntoView());   // the list grows above it
}
