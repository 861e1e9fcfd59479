// Taking rows out of the book: one's own, for a while, by the key that added it; any, by the admin token, which
// operators.js has. Loaded when there is something to take out. It must not know more of the page than app.js exports.
import {
  VISITORS, ask, forget, keepOwn, kept, makeButton, own, raise, say, search, settle, t, undoLeft,
} from './app.js';

// What was signed before a reload.
const before = kept('own');
for (const { id, key, at } of Array.isArray(before) ? before : []) {
  if (Number.isSafeInteger(id) && typeof key === 'string' && undoLeft({ at }) > 0) own.set(id, { key, at });
}

/** Deletes a visitor with what gives the right to do so; returns nothing, or the answer that was no success. */
export async function remove(row, headers, word) {
  const answer = await ask(`${VISITORS}/${row.id}`, { method: 'DELETE', headers });
  // 404: somebody else was faster, or an earlier answer was lost. It is gone, which is what was asked for.
  if (answer.status !== 204 && answer.status !== 404) return answer;
  settle('row');
  forget(row);
  say(word, row);
  return null;
}

/** The button that takes an own signature back, for as long as the service lets it. */
export function showUndo(row) {
  const left = undoLeft(own.get(row.id));
  clearTimeout(row.timer);
  if (left <= 0) return dropUndo(row);
  row.undo ??= row.who.appendChild(makeButton('undo', '', () => takeBack(row)));
  row.undo.textContent = t('undo');
  row.undo.ariaLabel = t('undoOf', row);
  row.timer = setTimeout(() => dropUndo(row), left);
}

function dropUndo(row) {
  if (row.undo && row.undo === document.activeElement) search.focus();
  row.undo?.remove();
  keepOwn();
}

async function takeBack(row) {
  if (row.undo.ariaDisabled === 'true') return;
  row.undo.ariaDisabled = 'true';
  const answer = await remove(row, { 'Idempotency-Key': own.get(row.id).key }, 'undone');
  row.undo.ariaDisabled = null;
  if (answer) return failed(row, answer);
  clearTimeout(row.timer);
  own.delete(row.id);
  keepOwn();
}

function failed(row, { body, reference }) {
  const detail = body?.detail;
  const buttons = detail ? [] : [['again', () => takeBack(row)]];
  raise('row', detail ? 'refused' : 'noAnswer', { values: { detail }, buttons, reference });
}
