// What the tests of the visitors' page have in common: the book in the database, and where the page shows it.
import assert from 'node:assert/strict';
import { STACK, sql, until } from '../stage.mjs';

export const LANGUAGES = ['en', 'pt-BR'];

/** Empties the book, then fills it with `names`, oldest first; each may be [name, age as an SQL interval]. An age is 2 s more: the page's
 * clock, taken from a header of whole seconds, may be 1 s behind, and would make of 3 minutes 2. */
export async function book(names = []) {
  const literal = value => `'${value.replaceAll("'", "''")}'`;
  const rows = names.map((one, i) => {
    const [name, age] = Array.isArray(one) ? one : [one, '0'];
    const seconds = age === '0' ? 0 : 2;
    return `(${i + 1}, ${literal(name)}, now() - interval ${literal(age)} - interval '${seconds} s')`;
  });
  await sql(`TRUNCATE visitors, idempotency_keys RESTART IDENTITY; ${rows.length
    ? `INSERT INTO visitors (id, name, created_at) VALUES ${rows}; SELECT setval('visitors_id_seq', ${rows.length});` : ''}`);
}
export const numbered = (n, name = 'Visitor') => Array.from({ length: n }, (_, i) => `${name} ${i + 1}`);
export const countOf = async name => Number(await sql(`SELECT count(*) FROM visitors WHERE name = '${name}'`));

/** Adds visitors past the page, as other people do. */
export async function others(...names) {
  for (const name of names) {
    const answer = await fetch(`${STACK}/api/visitors`,
      { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name }) });
    assert.equal(answer.status, 201);
  }
}

export const list = page => page.locator('main').getByRole('list');
export const items = page => list(page).getByRole('listitem');
export const names = page => items(page).locator('bdi').allTextContents();
export const shows = (page, n) => until(async () => (await items(page).count()) === n, `${n} rows`);

/** What the status says of a signature of that name, in English. */
export const added = name => new RegExp(`^${name.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)} is in the book: no${String.raw`\. \d+\.$`}`);
