// The panel for operators: state of the service, the token and where it must not be, deletion with its dialog, export.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ADMIN_TOKEN, STACK, alertIs, asked, askedFor, focused, hide, noRules, open, pass, rule, sql, statusIs, until } from '../stage.mjs';
import { book, items, names, numbered, shows } from './book.mjs';

const TEXTS = {
  'en': {
    open: 'For operators', reachable: 'Database: reachable', away: 'Database: away', version: /^Version \d/, token: 'Admin token', unlock: 'Unlock', lock: 'Lock',
    csv: 'Download CSV', unlocked: 'Unlocked until you lock it or leave the page.', locked: 'Locked.', wrong: 'This token is not right.',
    none: 'No admin token is configured: deleting and exporting are off.', remove: 'Delete Visitor 2, no. 2', removeAny: /^Delete /,
    ask: 'Delete this visitor?', keep: 'Keep', really: 'Delete', number: 'no. 2', deleted: 'Deleted: Visitor 2.', search: 'Search names',
  },
  'pt-BR': {
    open: 'Administração', reachable: 'Banco de dados: acessível', away: 'Banco de dados: fora do ar', version: /^Versão \d/, token: 'Token de administração',
    unlock: 'Desbloquear', lock: 'Bloquear', csv: 'Baixar CSV', unlocked: 'Desbloqueado até você bloquear ou sair da página.', locked: 'Bloqueado.',
    wrong: 'Token incorreto.', none: 'Nenhum token de administração está configurado: excluir e exportar estão desligados.',
    remove: 'Excluir Visitor 2, nº 2', removeAny: /^Excluir /, ask: 'Excluir este visitante?', keep: 'Manter', really: 'Excluir', number: 'nº 2',
    deleted: 'Excluído: Visitor 2.', search: 'Buscar nomes',
  },
};

async function unlock(page, w, token = ADMIN_TOKEN) {
  await page.getByRole('button', { name: w.open }).click();
  await page.getByLabel(w.token, { exact: true }).fill(token);
  await page.getByLabel(w.token, { exact: true }).press('Enter');
}

for (const [lang, w] of Object.entries(TEXTS)) {
  test(`${lang}: the state of the service, asked only while the panel is open`, async () => {
    await book();
    const page = await open('/', { lang, clock: true });
    const button = page.getByRole('button', { name: w.open });
    await pass(page, 30_000);
    assert.equal(askedFor('GET', '/health').length, 0);
    await button.press('Enter');
    await page.getByText(w.reachable, { exact: true }).waitFor();
    await page.getByText(w.version).waitFor();
    assert.equal(await button.getAttribute('aria-expanded'), 'true');
    rule('GET', '/health', { status: 503 });
    await pass(page, 10_100);
    await page.getByText(w.away, { exact: true }).waitFor();
    noRules();
    await pass(page, 10_100);
    await page.getByText(w.reachable, { exact: true }).waitFor();
    await button.press('Enter');
    assert.equal(await page.getByRole('region', { name: w.open }).count(), 0);
    const before = askedFor('GET', '/health').length;
    await pass(page, 60_000);
    assert.equal(askedFor('GET', '/health').length, before);
    assert.equal(asked.filter(one => one.path === '/api').length, 1);
  });

  test(`${lang}: a wrong token, none configured, the right one, and Lock`, async () => {
    await book(numbered(3));
    const page = await open('/#operators', { lang });
    await shows(page, 3);
    const field = page.getByLabel(w.token, { exact: true });
    for (const wrong of ['nonsense', 'não', '']) {
      await field.fill(wrong);
      await page.getByRole('button', { name: w.unlock, exact: true }).click();
      await alertIs(page, w.wrong);
      assert.equal(await page.getByRole('region', { name: w.open }).getByRole('alert').count(), 1, 'beside the field');
      assert.equal(await field.getAttribute('aria-invalid'), 'true');
      assert.equal(await field.getAttribute('aria-describedby'), await page.getByRole('alert').getAttribute('id'));
      await field.fill('x');
      await alertIs(page, '');
      assert.equal(await field.getAttribute('aria-invalid'), null);
      assert.equal(await field.getAttribute('aria-describedby'), null);
    }
    rule('HEAD', '/api/visitors.csv', { status: 403 }, 1);
    await page.getByRole('button', { name: w.unlock, exact: true }).click();
    await alertIs(page, w.none);
    assert.equal(await page.getByRole('button', { name: w.csv }).count(), 0);
    await field.fill(ADMIN_TOKEN);
    await field.press('Enter');
    await statusIs(page, w.unlocked);
    await alertIs(page, '');
    assert.equal(await focused(page), w.lock, 'the focus is not lost with the field');
    assert.equal(await page.getByRole('button', { name: w.removeAny }).count(), 3);
    const everywhere = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href,
      document.documentElement.outerHTML, [...document.querySelectorAll('input')].map(one => one.value)]));
    assert.ok(!everywhere.includes(ADMIN_TOKEN), 'the token is nowhere in the page');
    assert.ok(asked.every(one => !one.path.includes(ADMIN_TOKEN)));
    await page.getByRole('button', { name: w.lock, exact: true }).click();
    await statusIs(page, w.locked);
    assert.equal(await page.getByRole('button', { name: w.removeAny }).count(), 0);
    assert.equal(await page.getByRole('button', { name: w.csv }).count(), 0);
    await field.waitFor();
  });

  test(`${lang}: deleting asks first, keeps on Escape, and the focus finds its place`, async () => {
    await book(numbered(3));
    const page = await open('/', { lang });
    await shows(page, 3);
    await unlock(page, w);
    const remove = page.getByRole('button', { name: w.remove, exact: true });
    const dialog = page.getByRole('dialog', { name: w.ask });
    for (const refuse of [() => page.keyboard.press('Escape'), () => dialog.getByRole('button', { name: w.keep }).click()]) {
      await remove.press('Enter');
      await dialog.waitFor();
      assert.equal(await focused(page), w.keep);
      await dialog.getByText('Visitor 2', { exact: true }).waitFor();
      await dialog.getByText(w.number, { exact: true }).waitFor();
      await refuse();
      await dialog.waitFor({ state: 'hidden' });
      assert.equal(await focused(page), w.remove);
    }
    assert.equal(askedFor('DELETE', '/').length, 0);
    await remove.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), w.really);
    await page.keyboard.press('Enter');
    await statusIs(page, w.deleted);
    assert.deepEqual(await names(page), ['Visitor 3', 'Visitor 1']);
    assert.equal(await focused(page), w.search);
    assert.equal(await sql('SELECT count(*) FROM visitors WHERE id = 2'), '0');
    await page.getByText(lang === 'en' ? '2 visitors, 2 today' : '2 visitantes, 2 hoje').waitFor();
  });
}

test('the panel opens in view, and what is wrong with the token stands in view with it', async () => {
  await book(numbered(25));
  for (const viewport of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
    const page = await open('/', { viewport });
    await shows(page, 20);
    await page.getByRole('button', { name: 'For operators' }).click();
    const field = page.getByLabel('Admin token'), unlock = page.getByRole('button', { name: 'Unlock' });
    const seen = one => until(() => one.evaluate(box => box.getBoundingClientRect().bottom <= innerHeight), 'in view');
    await seen(unlock);
    await field.fill('wrong');
    await field.press('Enter');
    await alertIs(page, 'This token is not right.');
    for (const one of [page.getByRole('alert'), field, unlock]) await seen(one);
    await page.close();
  }
});

test('a hidden page with the panel open asks nothing, and at once when it is seen again', async () => {
  await book(numbered(1));
  const page = await open('/#operators', { clock: true });
  await shows(page, 1);
  await page.getByText('Database: reachable', { exact: true }).waitFor();
  await pass(page, 0);
  await hide(page);
  const before = asked.length;
  await pass(page, 60_000);
  assert.equal(asked.length, before);
  rule('GET', '/health', { status: 503 });
  await hide(page, false);
  await page.getByText('Database: away', { exact: true }).waitFor();
});

test('the export is saved byte for byte', async () => {
  await book(['Ada', '"quoted", and more', '=1+1', 'José 🌿', 'مريم']);
  const page = await open('/');
  await unlock(page, TEXTS.en);
  await page.getByText('a spreadsheet may take one that begins with = for a formula').waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download CSV' }).click();
  const saved = await download;
  assert.equal(saved.suggestedFilename(), 'visitors.csv');
  const answer = await fetch(`${STACK}/api/visitors.csv`, { headers: { Authorization: `Bearer ${ADMIN_TOKEN}` } });
  assert.deepEqual(await readFile(await saved.path()), Buffer.from(await answer.arrayBuffer()));
});

test('a deletion whose row went meanwhile, or whose answer was lost, ends well', async () => {
  await book(numbered(3));
  const page = await open('/');
  await shows(page, 3);
  await unlock(page, TEXTS.en);
  await page.getByRole('switch').press('Space');
  await sql('DELETE FROM visitors WHERE id = 2');
  await page.getByRole('button', { name: 'Delete Visitor 2, no. 2' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await statusIs(page, 'Deleted: Visitor 2.');
  await shows(page, 2);
  rule('DELETE', '/api/visitors/1', { lose: true }, 1);
  await page.getByRole('button', { name: 'Delete Visitor 1, no. 1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await alertIs(page, /^The service did not answer\./);
  await page.getByRole('alert').getByRole('button', { name: 'Try again' }).click();
  await statusIs(page, 'Deleted: Visitor 1.');
  assert.equal(await focused(page), 'Lock');
  await shows(page, 1);
});

test('a row deleted by others while the dialog is open: the focus goes to the search', async () => {
  await book(numbered(2));
  const page = await open('/', { clock: true });
  await shows(page, 2);
  await unlock(page, TEXTS.en);
  await page.getByRole('button', { name: 'Delete Visitor 2, no. 2' }).click();
  await sql('DELETE FROM visitors WHERE id = 2');
  await pass(page, 10_100);
  await until(async () => (await page.locator('main li').count()) === 1);
  await page.keyboard.press('Escape');
  await until(async () => (await focused(page)) === 'Search names');
});

test('a token that is taken away meanwhile is not right any more', async () => {
  await book(numbered(1));
  const page = await open('/');
  await shows(page, 1);
  await unlock(page, TEXTS.en);
  rule('DELETE', '/api/visitors/', { status: 401 }, 1);
  rule('DELETE', '/api/visitors/', { status: 503, problem: { detail: 'the database is away' } }, 1);
  for (const text of ['This token is not right.', 'The service refused this: the database is away Reference e57e57e57e57']) {
    await page.getByRole('button', { name: 'Delete Visitor 1, no. 1' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await alertIs(page, text);
  }
  await shows(page, 1);
});

test('leaving the page forgets the token, also where the page is kept for the back button', async () => {
  await book(numbered(1));
  const page = await open('/');
  await shows(page, 1);
  await unlock(page, TEXTS.en);
  await page.getByRole('button', { name: /^Delete / }).waitFor();
  await page.goto('/robots.txt');
  await page.goBack();
  await shows(page, 1);
  assert.equal(await page.getByRole('button', { name: /^Delete / }).count(), 0);
});
