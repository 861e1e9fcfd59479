// The panel for operators: state of the service, the admin token, deletion with its dialog, export. Loaded when it is
// opened first. It must not keep the token anywhere but in its own variable, nor know more of the page than what app.js
// exports.
import {
  $, ANSWER_MS, POLL_S, VISITORS, ask, make, makeButton, on, raise, say, search, setText, settle, showAllRows,
  t,
} from './app.js';
import { remove } from './removal.js';

let token = null;      // the admin token lives here and nowhere else
let healthTimer = 0, reachable = null, version = null, deleting = null;
const dialog = $('dialog');
const bearer = value => ({ Authorization: `Bearer ${value}` });

/** What was wrong with the token is described at its field, and settled by whatever comes next. */
function blameToken() {
  $('token').ariaInvalid = 'true';
  $('token').setAttribute('aria-describedby', 'alert');
}
function settleToken() {
  $('token').ariaInvalid = null;
  $('token').removeAttribute('aria-describedby');
  settle('admin');
}

/** Asks how the service is, again and again while the panel is open and seen. */
export async function look() {
  clearTimeout(healthTimer);
  if ($('operators').hidden) settleToken();
  if ($('operators').hidden || document.hidden) return;
  const [health, index] = await Promise.all([ask('/health'), version ? null : ask('/api')]);
  reachable = health.status === 200;
  version ??= index?.body?.version ?? null;
  show();
  clearTimeout(healthTimer);
  healthTimer = setTimeout(look, POLL_S * 1000);
}

export function show() {
  $('database').textContent = reachable === null ? '' : t(reachable ? 'reachable' : 'away');
  $('database').className = reachable === false ? 'away' : '';
  $('version').textContent = version && t('version', { version });
  $('token-box').hidden = Boolean(token);
  $('csv').hidden = $('csv-hint').hidden = !token;
  $('unlock').dataset.text = token ? 'lock' : 'unlock';
  setText($('unlock'));
}

/** An id that JavaScript rounds would delete somebody else. */
export function showRow(row) {
  if (!token || typeof row.id !== 'number') return row.remove?.remove();
  row.remove ??= makeButton('remove', '', () => offerDeletion(row));
  row.remove.textContent = t('delete');
  row.remove.ariaLabel = t('deleteOf', row);
  if (!row.remove.isConnected) row.li.append(row.remove);
}

function setToken(value) {
  token = value;
  $('token').value = '';
  settleToken();
  $('list').classList.toggle('unlocked', Boolean(token));
  showAllRows();
  show();
}
export function lock() {
  if (token) setToken(null);
}

async function unlock(candidate) {
  // A header carries visible ASCII; anything else cannot be the token, and fetch would not send it.
  const answer = /^[\x21-\x7e]+$/.test(candidate)
    ? await ask(`${VISITORS}.csv`, { method: 'HEAD', headers: bearer(candidate) }) : { status: 401 };
  if (answer.status !== 200) return failed('admin', answer, () => unlock(candidate));
  const focused = $('token-box').contains(document.activeElement);
  setToken(candidate);
  if (focused) $('unlock').focus();
  say('unlocked');
}

function failed(about, { status, body, reference }, again) {
  const key = { 401: 'wrongToken', 403: 'noToken' }[status] ?? (body?.detail ? 'refused' : 'noAnswer');
  if (key === 'wrongToken' && about === 'admin') blameToken();
  raise(about, key, {
    values: { detail: body?.detail }, buttons: key === 'noAnswer' ? [['again', again]] : [], reference,
    home: $('unlock'), place: about === 'admin' ? 'token-place' : 'list-place',
  });
  if (about === 'admin') $('unlock').scrollIntoView({ block: 'nearest' });   // it went down by what is said above
}

async function downloadCsv() {
  const answer = await ask(`${VISITORS}.csv`, { headers: bearer(token) });
  const blob = answer.status === 200 && await answer.response.blob().catch(() => null);
  if (!blob) return failed('admin', answer, downloadCsv);
  settleToken();
  const href = URL.createObjectURL(blob);
  make('a', { href, download: 'visitors.csv' }).click();
  setTimeout(() => URL.revokeObjectURL(href), ANSWER_MS);
}

function offerDeletion(row) {
  deleting = row;
  $('dialog-name').textContent = row.name;
  $('dialog-number').textContent = t('number', row);
  dialog.returnValue = '';   // Escape leaves it as it is
  dialog.showModal();
}

async function deleteRow(row) {
  const answer = await remove(row, bearer(token), 'deleted');
  if (answer) failed('row', answer, () => deleteRow(row));
}

/** What a press in its form does; app.js hears the press, as it may come before this file. */
export function pressed() {
  if (!token) return unlock($('token').value.trim());
  setToken(null);
  say('locked');
}
on($('token'), 'input', settleToken);
on($('csv'), 'click', downloadCsv);
on(dialog, 'close', () => {
  if (dialog.returnValue === 'delete') deleteRow(deleting);
  if (!deleting.li.isConnected) search.focus();   // its row went meanwhile
});
