// The visitor book's page: reads and signs through the service's HTTP API, in the languages that index.html has texts
// for. It must not know how the service works behind /api. Whatever comes from there becomes text and only text: the
// DOM is made with createElement and textContent, so a name can never turn into markup (the CSP allows no Trusted Types
// policy). What a first load does without is loaded later: removal.js (Undo, deleting) and operators.js (their panel).

export const VISITORS = '/api/visitors';
export const ANSWER_MS = 10_000;       // a request without an answer by then counts as lost
export const POLL_S = 10, POLL_MAX_S = 60;   // pause between looks at the first page; doubled by each failure
const RESEND_S = [1, 2, 4, 8, 16];     // pauses between sends of one signature, where the service names none
const RETRY_AFTER_MAX_S = 3600;        // whatever a Retry-After says, the page does not wait longer
const DAY_MS = 24 * 3600_000;          // also how long the service keeps an Idempotency-Key
const UNDO_MS = 600_000;               // how long the service lets a signature be taken back
const CONFIRMED_MS = 10_000;           // how long nothing that comes by itself replaces a confirmation
const PRESS_MS = 500;                  // a second press within this time, nothing typed between, is a double press
const SLOW_MS = 1000, SEARCH_MS = 300, TIMES_MS = 30_000, TICK_MS = 250;
const CLOCK_JUMP_MS = 2000;            // a wall clock that leaves the steady one by more was set, or the machine slept
const NAME_MAX = 50;                   // code points
const ROWS_MAX = 200;                  // rows that live updates pile up, beside those asked for with the button
const SMALL_PAGES = 3, LARGE_PAGE = 100;   // who presses for older rows more often than that wants many
const ROWS_AT_ONCE = 100, NARROW_DIGITS = 7;   // rows shown anew in one task; longer numbers need a wider column
export const $ = id => document.getElementById(id);
const field = $('name'), list = $('list'), olderButton = $('older');
export const search = $('search');
let panel = null, removal = null;      // operators.js and removal.js, once they are loaded

export function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
export const makeButton = (className, textContent, onclick) =>
  make('button', { type: 'button', className, textContent, onclick });
/** Runs a task of its own, after what is more urgent: presses and painting. */
const later = task => window.scheduler?.postTask?.(task, { priority: 'background' }) ?? setTimeout(task);

// Texts. Those in English that are always on the page stand in their places; all others in a block for each language.
let lang = 'en';
const all = selector => document.querySelectorAll(selector);
const fixed = all('[data-text]'), labelled = all('[data-label]'), languageButtons = all('.languages button');
const TEXTS = {};
for (const block of $('texts').content.children) {
  TEXTS[block.lang] = Object.fromEntries(Array.from(block.children, text => [text.dataset.key, text.textContent]));
}
for (const element of fixed) TEXTS.en[element.dataset.text] ??= element.textContent;
for (const element of labelled) TEXTS.en[element.dataset.label] ??= element.ariaLabel;

// Intl formatters are what costs time on a slow phone: each is made once a language, when it is first needed.
const FORMATS = {
  plural: () => new Intl.PluralRules(lang),
  number: () => new Intl.NumberFormat(lang),
  ago: () => new Intl.RelativeTimeFormat(lang, { numeric: 'auto' }),
  clock: () => new Intl.DateTimeFormat(lang, { timeStyle: 'short' }),
  date: () => new Intl.DateTimeFormat(lang, { dateStyle: 'medium' }),
  full: () => new Intl.DateTimeFormat(lang, { dateStyle: 'full', timeStyle: 'long' }),
  utcShort: () => new Intl.DateTimeFormat(lang, { month: 'short', day: 'numeric', timeZone: 'UTC' }),
  utcDay: () => new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeZone: 'UTC' }),
};
const made = {};
const formatter = kind => (made[lang + kind] ??= FORMATS[kind]());
const format = (kind, ...values) => formatter(kind).format(...values);
const number = n => (n < 1000 ? String(n) : format('number', n));   // the same in every language up to there
/** A date that JavaScript does not know (infinity, the year 10000) is shown as it was sent. */
const dated = (kind, date, sent) => (Number.isNaN(date.getTime()) ? sent : format(kind, date));
function textOf(key, n) {
  const texts = TEXTS[lang];
  const plural = n === undefined ? '' : formatter('plural').select(n);
  return texts[`${key}=${n}`] ?? texts[`${key}.${plural}`] ?? texts[key] ?? TEXTS.en[key];
}
/** A text with its {places} filled, in parts. What is text is isolated, so that a right-to-left one does not reorder
    the sentence, and never translated by the browser; {wait} ticks, and a timer is not read out as it does. */
function parts(key, values = {}) {
  return textOf(key, values.n).split(/\{(\w+)\}/).map((part, i) => {
    if (i % 2 === 0) return part;
    const value = values[part];
    if (part === 'wait') return make('span', { role: 'timer', textContent: t('wait', { n: value() }) });
    if (part === 'detail') return make('bdi', { lang: 'en', textContent: value });   // the service's words are English
    if (value === undefined) return `{${part}}`;   // a title may have braces
    if (part === 'id') return String(value);
    if (typeof value === 'string') return make('bdi', { translate: false, textContent: value });
    return value instanceof Date ? format('clock', value) : number(value);
  });
}
export const t = (key, values) => parts(key, values).map(part => part.textContent ?? part).join('');

// Time: the service's, whatever the visitor's clock says. Its Date header is taken once, and from then on the page's
// steady clock counts; once more if the wall clock was set meanwhile, or the machine slept.
let heard = null;      // { service, steady, wall }
const steady = () => performance.now();
const now = () => (heard ? heard.service + steady() - heard.steady : Date.now());
function hear(date) {
  const service = Date.parse(date), wall = Date.now();
  const jumped = heard && Math.abs(wall - heard.wall - (steady() - heard.steady)) > CLOCK_JUMP_MS;
  if (service && (!heard || jumped)) heard = { service, wall, steady: steady() };
}
const utcDay = () => new Date(now()).toISOString().slice(0, 10);

// A browser may refuse storage (a setting, a sandbox); then the page only forgets sooner.
function storage(store, method, ...values) {
  try { return window[store][method](...values); } catch { return null; }
}
const keep = (name, value) => storage('sessionStorage', value ? 'setItem' : 'removeItem', name, JSON.stringify(value));
export function kept(name) {
  try { return JSON.parse(storage('sessionStorage', 'getItem', name)); } catch { return null; }
}
const asked = name => new URL(location).searchParams.get(name);
function setAddress(name, value) {
  const url = new URL(location);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  history.replaceState(history.state, '', url);
}
/** JSON in which an id that a JavaScript number cannot hold stays what it is: a string, shown and never acted on. */
const parse = text => JSON.parse(text.replace(/"id":\s*(\d{16,})/g, '"id":"$1"'));
const isSafe = visitor => typeof visitor.id === 'number';
/** One request. Never throws: status 0 stands for no answer (no network, too late, or one cut short). */
export async function ask(path, { signal, ...options } = {}) {
  const limit = new AbortController();   // no AbortSignal.timeout(): a long download only has to start in time
  const timer = setTimeout(() => limit.abort(), ANSWER_MS);
  const either = AbortSignal.any([limit.signal, ...(signal ? [signal] : [])]);
  try {
    const response = await fetch(path, { cache: 'no-store', redirect: 'error', ...options, signal: either });
    const { status, headers } = response;
    hear(headers.get('date'));
    const readable = options.method !== 'HEAD' && /json/.test(headers.get('content-type'));
    // A refusal counts whatever its body is; a success that cannot be read is none.
    const body = readable ? await response.text().then(parse).catch(why => { if (status < 400) throw why; }) : null;
    const reference = status >= 500 ? body?.request_id ?? headers.get('x-request-id') : null;
    const after = Math.min(parseInt(headers.get('retry-after'), 10), RETRY_AFTER_MAX_S) || null;
    return { status, headers, body, reference, after, response };
  } catch {
    return { status: 0 };
  } finally {
    clearTimeout(timer);
  }
}

// What the status says: kept as key and values, so that a change of language can say it again. It is heard from the one
// live region, and seen where its cause is: in the form, among what is the operators', or else above the list.
const NOTES = { sending: 'status', added: 'status', unlocked: 'panel-note', locked: 'panel-note', foundNone: 'empty' };
let said = {};
let waiting = null;    // while a confirmation stands: the news that came meanwhile
let confirmed = 0;     // the timer until which it stands
export function say(key, values) {
  clearTimeout(confirmed);
  confirmed = 0;
  waiting = null;
  said = { key, values };
  if (key === 'added') confirmed = setTimeout(() => (waiting ? say(...waiting) : (confirmed = 0)), CONFIRMED_MS);
  showStatus();
}
/** What was not asked for here: it waits until a confirmation has been read. */
function sayLater(...news) {
  if (confirmed) waiting = news;
  else say(...news);
}
const unsay = key => { if (said.key === key) say(); else if (waiting?.[0] === key) waiting = null; };
function showStatus() {
  const { key, values } = said;
  const place = key && (NOTES[key] ?? 'list-note');
  $('status').replaceChildren(...(key ? parts(key, values) : []));
  $('status').classList.toggle('heard', place !== 'status');
  for (const id of ['list-note', 'panel-note']) $(id).dataset.said = id === place ? t(key, values) : '';
}

// What the alert says. It stands where its cause is, and floats while that is out of sight.
const alerts = new Map();   // by what they are about; the newest shows, an older one comes back when it is settled
let shown = null;
// Those that take the place of the hint: what is about the name, and what is no error while it is sent again by itself.
const TONES = { tooLong: 'inline blame', forbidden: 'inline blame', outOfReach: 'inline' };
export function raise(about, key, details) {
  alerts.delete(about);
  alerts.set(about, { key, buttons: [], home: search, place: 'list-place', ...details });
  showAlert();
}
const raiseInForm = (key, details) => raise('signature', key, { home: field, place: 'form-place', ...details });
export const settle = about => { if (alerts.delete(about)) showAlert(); };
function showAlert(again = false) {
  const box = $('alert'), before = shown, focused = box.contains(document.activeElement);
  shown = [...alerts.values()].at(-1) ?? null;
  if (shown === before && !again) return;   // what stands there is not read out a second time
  box.replaceChildren();
  const { key, values, buttons = [], place = 'form-place', reference } = shown ?? {};
  if (box.parentElement !== $(place)) $(place).append(box);
  box.className = TONES[key] ?? '';
  if (shown) {
    const words = make('p', {}, ...parts(key, values));
    if (reference) words.append(' ', make('small', { textContent: t('reference', { id: reference }) }));
    box.append(words, ...buttons.map(([word, onclick]) => makeButton('secondary', t(word), onclick)));
  }
  if (focused) (box.querySelector('button') ?? before.home).focus();   // a focus must not vanish with its button
}
const sight = new IntersectionObserver(places => {
  for (const { target, isIntersecting } of places) target.classList.toggle('out-of-sight', !isIntersecting);
});
all('.place').forEach(place => sight.observe(place));

// Signing: one key from the button to the row.
//   sending   a request is under way
//   pausing   no certain answer; the same key and body are sent again by themselves
//   asking    that was tried often enough; its owner decides
//   held      refused by a limit that is over, or by a defect: the key serves the next press, if the name is the same
//   limited   not before that limit is over
let signature = null;  // { key, name, at, phase, … } or none
let pressedAt = -PRESS_MS;
const isUnderWay = () => ['sending', 'pausing', 'asking'].includes(signature?.phase);
const isLimited = () => signature?.phase === 'limited';
const trim = text => text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, '');
const points = text => [...text].length;
const FORBIDDEN = /[\p{Cc}\p{Cs}\u2028-\u202E\u2066-\u2069\p{Noncharacter_Code_Point}]/u;
const newKey = () => crypto.randomUUID?.() ??   // there in secure contexts only
  Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
/** Whether the service still knows a key that was made then, as far as a clock that may have been set can tell. */
const isYoung = at => Math.abs(Date.now() - at) < DAY_MS;
function press() {
  if (isUnderWay() || isLimited() || steady() - pressedAt < PRESS_MS) return;
  const name = trim(field.value), n = points(name);
  if (n > NAME_MAX || FORBIDDEN.test(name)) {
    field.ariaInvalid = 'true';
    field.focus();
    return raiseInForm(n > NAME_MAX ? 'tooLong' : 'forbidden', { values: { n } });
  }
  pressedAt = steady();
  settle('signature');
  const again = signature?.name === name && isYoung(signature.at);
  begin(again ? signature : { key: newKey(), name, at: Date.now(), doubtful: false });
}
function begin({ key, name, at, doubtful }) {
  const li = emptyRow('row fresh');
  li.ariaBusy = 'true';
  li.querySelector('bdi').textContent = name || 'Visitor_…';
  signature = { key, name, at, doubtful, phase: 'sending', sends: 0, timer: 0, li };
  keep('signature', { key, name, at });
  list.prepend(li);
  showForm();
  showList();
  send();
}
async function send() {
  const mine = signature;
  clearTimeout(mine.timer);
  // The service may have forgotten the key of a laptop that slept for days: then only its owner can decide.
  if (!isYoung(mine.at)) return end(null);
  mine.sends += 1;
  mine.phase = 'sending';
  showForm();
  if (said.key !== 'sending') say('sending');
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': mine.key };
  const body = JSON.stringify(mine.name ? { name: mine.name } : {});
  const answer = await ask(VISITORS, { method: 'POST', headers, body });
  if (signature === mine) answered(answer);
}
function answered(answer) {
  const { status, body, reference, after } = answer;
  if (status === 201 && body?.id) return signed(body);
  if (status < 400 || [502, 503, 504].includes(status)) return unsure(answer);
  if (body?.type === '/problems/outcome-unknown' || (status === 429 && signature.doubtful)) return unsure(answer);
  if (status === 429) {
    const wait = (after ?? 1) * 1000;
    return end({ phase: 'limited', wait, until: Date.now() + wait });
  }
  // The copy of this tab has signed with this key and another name meanwhile: nothing was added for this one.
  if (body?.type === '/problems/key-reused' && signature.doubtful) {
    signature.li.remove();
    return begin({ ...signature, key: newKey(), doubtful: false });
  }
  end(status >= 500 ? { phase: 'held', doubtful: true } : null);   // the next press must not add a second one
  raiseInForm('refused', { values: { detail: body?.detail ?? String(status) }, reference });
}
function signed(visitor) {
  const { key, name, li } = signature;
  signature = null;
  keep('signature', null);
  settle('signature');
  if (trim(field.value) === name) field.value = '';   // what was typed meanwhile stays
  if (isSafe(visitor)) {
    own.set(visitor.id, { key, at: Date.parse(visitor.created_at) || now() });
    lastId = Math.max(lastId, visitor.id);
  }
  keepOwn();
  loadRemoval();
  // The pending row becomes the real one in place; a poll may have brought its twin before the answer came.
  rows.filter(row => row.id === visitor.id).forEach(dropRow);
  rows = [rowOf(visitor, li), ...rows.filter(row => row.id !== visitor.id)].sort((a, b) => b.id - a.id);
  showRows(rows);
  showForm();
  say('added', visitor);
  bringIntoView(li);
  changed();
}
function bringIntoView(li) {
  const { top, bottom } = li.getBoundingClientRect();
  if (top >= 0 && bottom <= visualViewport.height) return;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  li.scrollIntoView({ block: 'center', behavior: calm ? 'instant' : 'smooth' });
}
/** No certain answer: the same key and body again, until it is certain or has been tried often enough. */
function unsure({ after, reference }) {
  signature.doubtful = true;   // a later 429 refuses that send; this one may have been added all the same
  const pause = RESEND_S[signature.sends - 1];
  signature.phase = pause ? 'pausing' : 'asking';
  showForm();
  if (pause) {
    signature.timer = setTimeout(send, (after ?? pause * (0.8 + 0.4 * Math.random())) * 1000);
    if (!alerts.has('signature')) raiseInForm('outOfReach', { reference });   // said once
  } else {
    unsay('sending');
    raiseInForm('unconfirmed', { buttons: [['again', goOn], ['discard', () => end(null, '')]], reference });
  }
}
/** At once: the connection is back, or its owner says so. */
function goOn() {
  if (!isUnderWay() || signature.phase === 'sending') return;
  if (signature.phase === 'asking') {
    signature.sends = 0;
    raiseInForm('outOfReach');
  }
  send();
}
/** The signature is no longer under way: forgotten, or with a phase held for the next press. */
function end(held, left = field.value) {
  const { key, name, at, doubtful, li } = signature;
  field.value = left;
  li.remove();
  settle('signature');
  signature = held && { key, name, at, doubtful, ...held };
  keep('signature', signature);
  unsay('sending');
  if (isLimited()) countDown();
  showForm();
  showList();
}
function countDown() {
  const mine = signature;
  const free = steady() + mine.wait;   // not by the wall clock, which may be set
  const wait = () => Math.max(1, Math.ceil((free - steady()) / 1000));
  raiseInForm('limited', { values: { wait } });
  const tick = setInterval(() => {
    document.querySelector('[role=timer]')?.replaceChildren(t('wait', { n: wait() }));
    if (steady() < free) return;
    clearInterval(tick);
    if (signature !== mine) return;
    mine.phase = 'held';
    settle('signature');
    showForm();
  }, TICK_MS);
}
/** After a reload or a crash of the tab: goes on with the signature that was under way, with the same key. */
function resume() {
  const { key, name, at, phase, doubtful, until, wait } = kept('signature') ?? {};
  if (typeof key !== 'string' || typeof name !== 'string' || !isYoung(at)) return keep('signature', null);
  field.value = name;
  if (!phase) return begin({ key, name, at, doubtful: true });
  const left = Math.min(until - Date.now(), wait);   // a clock that was set back must not make it longer
  signature = { key, name, at, doubtful, phase: left > 0 ? 'limited' : 'held', wait: left };
  if (isLimited()) countDown();
}

// What was signed here: marked as one's own, and for a while it can be taken back.
export const own = new Map();   // id → { key, at }, in the service's time
export const undoLeft = ({ at }) => UNDO_MS - (now() - at);
export function keepOwn() {
  const still = [...own].filter(([, signed]) => undoLeft(signed) > 0).map(([id, { key, at }]) => ({ id, key, at }));
  keep('own', still.length ? still : null);
}

// Rows.
let rows = [];         // newest first: { id, name, created_at, when, li, … }
let listPhase = 'loading';   // then 'shown', for good; before it 'missing' while the first load has failed
const isShown = () => listPhase === 'shown';
let shownQuery = '';   // the search that the rows answer
let next = null;       // the path of the next older page
let newest = 0;        // the newest id of the last page that came: tells others' signatures from older rows
let lastId = 0;        // the newest id that was ever seen
let olderRows = 0, olderPages = 0;   // what was asked for with the button
let datesReady = false;   // formats of dates are made, after the first rows have been painted
const printing = matchMedia('print');
const gone = new Set();   // deleted from here: what was asked before does not bring them back
const emptyRow = className => Object.assign($('row').content.firstElementChild.cloneNode(true), { className, lang });
function rowOf({ id, name, created_at }, li) {
  const [who, time, number] = li.children;
  const row = { id, name, created_at, when: new Date(created_at), li, who, time, number };
  who.firstElementChild.textContent = name;
  time.dateTime = created_at;
  li.ariaBusy = null;
  showRow(row);
  return row;
}
function showRow(row) {
  row.li.lang = lang;   // its own, so that a change of the page's does not style thousands anew at once
  row.number.textContent = t('number', row);
  if (datesReady) row.time.title = dated('full', row.when, row.created_at);
  if (own.has(row.id)) showOwn(row);
  panel?.showRow(row);
  showTime(row);
}
function showTime(row) {
  const text = printing.matches ? dated('full', row.when, row.created_at) : ago(row);
  if (row.time.textContent !== text) row.time.textContent = text;
}
const showTimes = () => rows.forEach(showTime);
function showOwn(row) {
  row.li.classList.add('own');
  row.li.ariaLabel = t('yours', row);
  row.you ??= row.who.appendChild(make('span', { className: 'you' }));
  row.you.textContent = t('you');
  removal?.showUndo(row);
}
async function loadRemoval() {
  removal ??= await import('/removal.js').catch(() => null);   // then there is no Undo
  rows.filter(row => own.has(row.id)).forEach(showOwn);
}
/** Takes a row that was deleted from here out of the list. */
export function forget({ id }) {
  gone.add(id);
  showRows(rows.filter(row => row.id !== id));
  changed();
}
function ago({ when, created_at }) {
  const ms = Math.max(0, now() - when);   // nothing was signed in the future
  if (Number.isNaN(ms)) return created_at;
  if (ms < 60_000) return format('ago', 0, 'second');
  if (ms < 3600_000) return format('ago', -Math.floor(ms / 60_000), 'minute');
  if (ms < DAY_MS) return format('ago', -Math.floor(ms / 3600_000), 'hour');
  if (ms >= 7 * DAY_MS) return format('date', when);
  // "Yesterday" is a matter of the calendar, not of 24 hours; rounding takes care of days with 23 or 25.
  const midnight = date => new Date(date).setHours(0, 0, 0, 0);
  return format('ago', -Math.round((midnight(now()) - midnight(when)) / DAY_MS), 'day');
}
/** Shows rows anew, a hundred in a task: thousands must not hold up a press. */
export function showAllRows(all = rows) {
  all.slice(0, ROWS_AT_ONCE).forEach(showRow);
  if (all.length > ROWS_AT_ONCE) later(() => showAllRows(all.slice(ROWS_AT_ONCE)));
}
/** Makes the list show `wanted`, newest first, with as few changes as can be: a row that stays is not touched. */
function showRows(wanted, className = 'row') {
  const old = new Map(rows.map(row => [row.id, row]));
  const stays = new Set(wanted.map(visitor => visitor.id));
  rows.filter(row => !stays.has(row.id)).forEach(dropRow);
  // Browsers hold what is being read in place by themselves, but for one; there the page scrolls by what came in above.
  const anchors = scrollY && !CSS.supports('overflow-anchor', 'auto') ? rows : [];
  const anchor = anchors.find(row => row.li.getBoundingClientRect().bottom > 0);
  const before = anchor?.li.getBoundingClientRect().top;
  let at = isUnderWay() ? signature.li.nextElementSibling : list.firstElementChild;
  rows = wanted.map(visitor => {
    const row = old.get(visitor.id) ?? rowOf(visitor, emptyRow(className));
    if (row.li === at) at = at.nextElementSibling;
    else list.insertBefore(row.li, at);
    return row;
  });
  if (anchor) scrollBy(0, anchor.li.getBoundingClientRect().top - before);
  showList();
}
function dropRow({ li }) {
  if (li.contains(document.activeElement)) search.focus();
  li.remove();
}
/** What the form shows: all of it follows from the field, the signature and the newest number. */
function showForm() {
  const n = points(trim(field.value));
  $('sign').ariaDisabled = String(isUnderWay() || isLimited());
  $('counter').textContent = `${number(n)}/${NAME_MAX}`;
  $('counter').classList.toggle('over', n > NAME_MAX);
  $('hint').textContent = t(lastId ? 'hintNext' : 'hint', { id: lastId + 1 });
  if (isUnderWay()) signature.li.children[1].textContent = t(signature.phase === 'asking' ? 'waiting' : 'signing');
}
/** What stands around the rows: all of it follows from them, from the search and from the signature. */
function showList() {
  document.body.dataset.list = listPhase;
  document.body.classList.toggle('searching', Boolean(query));
  if (listPhase !== 'loading') list.querySelectorAll('.placeholder').forEach(item => item.remove());
  const none = !rows.length && !isUnderWay();
  list.hidden = none && list.ariaBusy !== 'true';
  list.classList.toggle('long', rows.length > ROWS_MAX);
  list.classList.toggle('wide', String(rows[0]?.id ?? '').length > NARROW_DIGITS);
  $('empty').hidden = !(isShown() && none);
  $('empty').replaceChildren(...parts(shownQuery ? 'foundNone' : 'nobody', { q: shownQuery }));
  olderButton.hidden = !next;
  $('end').hidden = !isShown() || Boolean(next) || !rows.length || Boolean(shownQuery);
  if (total === 0) $('days').hidden = true;   // known before the days have come
  showCount();
}

// Reading.
let query = trim(asked('q') ?? '');
let reading = null, readingOlder = null;   // { controller, byHand } of a first page; the controller of an older one
let trouble = null;    // why it was said that the list is old
let pollTimer = 0, searchTimer = 0, failures = 0, etag = null, listedAt = null;
let total = null;      // how many are in the book, as the list without a search said last
const live = () => $('live').checked && !document.hidden;
/** After an own signature or deletion: what was asked before it may not know of it, so it is asked anew. */
function changed() {
  etag = null;
  total = null;
  loadStats();
  if (live() || reading?.byHand) read();
}
/** What comes by itself may fail: the list stays, with its time. Said once. */
function stale() {
  const key = navigator.onLine ? 'stale' : 'offline';
  if (!isShown() || trouble === key) return;
  trouble = key;
  sayLater(key, { time: listedAt });
}
function connected() {
  if (trouble && waiting?.[0] === trouble) waiting = null;   // over before it could be said
  else if (trouble) sayLater('back');
  trouble = null;
}
/** Says that it is loading if that takes long; the answer takes the words back. */
function slowly(answer) {
  const timer = setTimeout(sayLater, SLOW_MS, 'loading');
  return answer.finally(() => {
    clearTimeout(timer);
    unsay('loading');
  });
}
/** What the service would refuse to look for: no name has it. */
const isHopeless = q => points(q) > NAME_MAX || q.includes('\0') || /^[\u0300-\u036F]+$/.test(q);
/** Reads the first page: by hand (first load, search, Try again) or as a poll. A newer one ends an older one. */
async function read(byHand = false) {
  byHand ||= Boolean(reading?.byHand);
  reading?.controller.abort();
  clearTimeout(pollTimer);
  reading = { controller: new AbortController(), byHand };
  const { signal } = reading.controller;
  const q = query, day = utcDay();
  const headers = !byHand && etag && q === shownQuery ? { 'If-None-Match': etag } : {};
  if (byHand) list.ariaBusy = 'true';
  showList();
  const asking = isHopeless(q) ? Promise.resolve({ status: 200, body: { visitors: [], total: 0, next: null } })
    : ask(q ? `${VISITORS}?${new URLSearchParams({ q })}` : VISITORS, { signal, headers });
  const answer = await (byHand ? slowly(asking) : asking);
  if (signal.aborted) return;
  reading = null;
  list.ariaBusy = null;
  const { status, body } = answer;
  if (status === 304 || (status === 200 && Array.isArray(body?.visitors))) readWell(answer, q, day);
  else readBadly(answer, byHand);
  if (live()) pollTimer = setTimeout(read, Math.min(POLL_S * 2 ** failures, POLL_MAX_S) * 1000);
}
function readBadly({ body, reference }, byHand) {
  failures += 1;
  if (!isShown()) listPhase = 'missing';
  if (!byHand) stale();
  else if (body?.type === '/problems/search-too-broad') raise('load', 'refused', { values: body });
  else raise('load', isShown() ? 'notLoaded' : 'noVisitors', { buttons: [['again', () => read(true)]], reference });
  showList();
}
function readWell({ status, headers, body }, q, day) {
  const searched = q !== shownQuery || !isShown();
  failures = 0;
  listedAt = new Date(now());
  settle('load');
  connected();
  if (!isShown() && kept('own')) loadRemoval();
  if (status === 200) {
    etag = headers?.get('etag');
    if (!q) total = body.total;
    merge(body, q, searched);
    const n = body.total ?? body.visitors.length;   // a total that would take too long to count is null
    if (q && searched) say(body.total === null && next ? 'foundOver' : n ? 'found' : 'foundNone', { n, q, over: n });
    else if (searched && /^found/.test(said.key)) say();
  }
  const outdated = stats && (statsDay !== day || (total !== null && stats.total !== total));
  if ((status === 200 && !searched) || statsFailed || outdated) loadStats();
}
/** Joins the first page with the rows on screen. Where the two no longer overlap, the list starts anew. */
function merge(page, q, searched) {
  const visitors = page.visitors.filter(({ id }) => !gone.has(id));
  if (!q) lastId = Math.max(lastId, ...visitors.filter(isSafe).map(({ id }) => id));
  const have = new Set(rows.map(row => row.id));
  const last = page.visitors.at(-1)?.id;
  const overlap = !searched && page.next && visitors.some(({ id }) => have.has(id));
  const room = ROWS_MAX + olderRows - visitors.length;   // a page left open for days must not grow for ever
  const below = overlap ? rows.filter(row => row.id < last) : [];
  const tail = below.slice(0, room);
  const cut = { limit: 20, before: tail.at(-1)?.id, ...(q && { q }) };
  if (tail.length < below.length) next = `${VISITORS}?${new URLSearchParams(cut)}`;
  else if (!tail.length) next = page.next;
  if (!overlap) {
    readingOlder?.abort();
    settle('older');
    olderRows = olderPages = 0;
  }
  // A signature still on its way may be among the new: it announces itself when its answer comes.
  const fresh = visitors.filter(({ id, name }) => !searched && id > newest && !have.has(id) && !own.has(id) &&
    !(isUnderWay() && name === (signature.name || `Visitor_${id}`)));
  newest = page.visitors[0]?.id ?? 0;
  shownQuery = q;
  if (!isShown()) later(makeDates);
  listPhase = 'shown';
  showRows([...visitors, ...tail], searched ? 'row' : 'row fresh');
  showForm();
  if (fresh.length) sayLater('came', { n: fresh.length, name: fresh[0].name });
}
/** The formats of dates cost a slow phone a third of a second, and the first rows can do without. */
function makeDates() {
  datesReady = true;
  showAllRows();
  later(showStats);
}
async function readOlder() {
  if (readingOlder || !next) return;
  const { signal } = readingOlder = new AbortController();
  const url = new URL(next, location);
  if (olderPages >= SMALL_PAGES) url.searchParams.set('limit', LARGE_PAGE);
  const { status, body, reference } = await slowly(ask(url.pathname + url.search, { signal }));
  readingOlder = null;
  if (signal.aborted) return;
  if (status !== 200 || !Array.isArray(body?.visitors)) {
    const details = { buttons: [['again', readOlder]], home: olderButton, place: 'older-place', reference };
    return raise('older', 'notLoaded', details);
  }
  settle('older');
  const focused = document.activeElement === olderButton;
  const more = body.visitors.filter(({ id }) => !(id >= rows.at(-1)?.id) && !gone.has(id));
  next = body.next;
  olderRows += more.length;
  olderPages += 1;
  showRows([...rows, ...more]);
  if (more.length) say('more', { n: more.length });
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
async function loadStats() {
  askingStats?.abort();
  const { signal } = askingStats = new AbortController();
  const { status, body } = await ask('/api/stats?days=30', { signal });
  if (signal.aborted) return;
  statsFailed = status !== 200 || !body?.days?.length;   // then the next poll that succeeds asks again
  if (statsFailed) return;
  stats = body;
  statsDay = utcDay();
  showCount();
  showStats();
}
/** The count is the list's; where the days know of a visitor more or less, that was today. */
function showCount() {
  if (!stats) return;
  const n = total ?? stats.total;
  const today = Math.min(n, Math.max(0, stats.today + n - stats.total));
  $('count').textContent = t('count', { n, today });
}
function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
function showStats() {
  if (!stats || !datesReady) return;
  const { days } = stats;
  const max = Math.max(...days.map(day => day.count));
  const sum = days.reduce((before, day) => before + day.count, 0);
  const nameOf = (day, kind = 'utcShort') => dated(kind, new Date(`${day.day}T00:00Z`), day.day);
  $('summary').textContent = t(sum ? 'summary' : 'noDays', { sum, max });
  $('days').hidden = !sum;
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
  if ($('table').hidden) return;
  $('table-body').replaceChildren(...days.map(day => make('tr', {},
    make('th', { scope: 'row', textContent: nameOf(day, 'utcDay') }), make('td', { textContent: number(day.count) }))));
}

// Language.
const primary = tag => String(tag).toLowerCase().split('-')[0];
const languageOf = tag => Object.keys(TEXTS).find(known => primary(known) === primary(tag));
export const setText = element => { element.textContent = t(element.dataset.text); };
function setLanguage(choice) {
  lang = choice;
  document.documentElement.lang = lang;
  fixed.forEach(setText);
  for (const element of labelled) element.ariaLabel = t(element.dataset.label);
  for (const button of languageButtons) button.ariaPressed = String(button.lang === lang);
  document.title = t('title');
  search.placeholder = search.ariaLabel;
  showAllRows();
  showStatus();
  showAlert(true);
  showForm();
  showList();
  showStats();
  panel?.show();
}

// What starts what.
export const on = (target, type, handler) => target.addEventListener(type, handler);
export const prevent = handler => event => {
  event.preventDefault();
  handler();
};
/** A key that chooses among an input method's proposals is not meant for the page. */
const composes = event => event.isComposing || event.keyCode === 229;
for (const button of languageButtons) {
  on(button, 'click', () => {
    storage('localStorage', 'setItem', 'lang', button.lang);
    if (asked('lang')) setAddress('lang', button.lang);   // or a reload would undo the choice
    setLanguage(button.lang);
  });
}
on($('skip'), 'click', prevent(() => search.focus()));
on($('form'), 'submit', prevent(press));
on($('form'), 'keydown', event => {
  if (event.key === 'Enter' && (event.repeat || composes(event))) event.preventDefault();
});
on(field, 'input', () => {
  pressedAt = -PRESS_MS;
  field.ariaInvalid = null;
  if (!isUnderWay() && !isLimited()) settle('signature');
  showForm();
});
on(search, 'input', () => searchIn(SEARCH_MS));
on(search, 'keydown', event => {
  if (composes(event)) return;
  if (event.key === 'Escape') search.value = '';
  if (['Escape', 'Enter'].includes(event.key)) searchIn(0);
});
on(olderButton, 'click', readOlder);
on($('live'), 'change', () => {
  storage('localStorage', 'setItem', 'live', $('live').checked ? 'on' : 'off');
  if (live()) return read();
  clearTimeout(pollTimer);
  if (reading && !reading.byHand) reading.controller.abort();
});
for (const [button, box, fill] of [['table-button', 'table', showStats], ['panel-button', 'operators', openPanel]]) {
  on($(button), 'click', () => {
    $(box).hidden = !$(box).hidden;
    $(button).ariaExpanded = String(!$(box).hidden);
    fill();
  });
}
async function openPanel() {
  $('operators').scrollIntoView({ block: 'nearest' });   // it opens below what is in view
  panel ??= await import('/operators.js').catch(() => null);
  if (panel) panel.look();
  else raise('admin', 'notLoaded', { buttons: [['again', openPanel]], place: 'token-place' });
}
on($('token-form'), 'submit', prevent(() => openPanel().then(() => panel?.pressed())));   // loaded or not
on(document, 'visibilitychange', () => {
  clearTimeout(pollTimer);
  if (document.hidden) return;
  showTimes();
  if (live()) read();
  panel?.look();
});
on(window, 'pagehide', () => panel?.lock());   // a page kept for the back button would keep the token, too
on(window, 'offline', stale);
on(window, 'online', () => {
  goOn();
  if (live()) read();
  else connected();
});
on(window, 'beforeprint', showTimes);   // on paper "3 minutes ago" says nothing
on(printing, 'change', showTimes);
setInterval(() => { if (!document.hidden) showTimes(); }, TIMES_MS);

// The two requests first, so that they are under way while the rest is made ready.
loadStats();
const first = read(true);
search.value = query;
$('live').checked = storage('localStorage', 'getItem', 'live') !== 'off';
const wishes = [asked('lang'), storage('localStorage', 'getItem', 'lang'), ...navigator.languages];
setLanguage(wishes.map(languageOf).find(Boolean) ?? 'en');
$('sign').disabled = false;
resume();
showForm();
if (location.hash === '#operators') {
  $('panel-button').click();
  first.then(() => $('operators').scrollIntoView());   // the list grows above it
}
