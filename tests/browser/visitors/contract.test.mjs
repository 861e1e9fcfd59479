// The page's contract, element by element: roles, accessible names and texts in both languages, reading and Tab order,
// the language switch, times, the chart with its table, and the page without JavaScript.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertIs, asked, focused, open, sql, statusIs, until } from '../stage.mjs';
import { LANGUAGES, book, items, numbered, others } from './book.mjs';

const WORDS = {
  'en': {
    skip: 'Skip to the visitors', title: 'Visitor book', language: 'Language', sign: 'Sign the book', name: 'Your name',
    hint: 'Optional. Up to 50 characters.', hintNext: n => `Optional: left empty, you sign as Visitor_${n}. Up to 50 characters.`, perDay: 'Visitors per day', chart: /^Visitors per day for the last 30 days: 1,234 in all, at most 1,200 in one day\.$/,
    asTable: 'Show as table', table: 'Visitors per day (UTC)', day: 'Day', visitors: 'Visitors', latest: 'Latest visitors',
    count: '1,234 visitors, 1,200 today', one: '1 visitor, 1 today', search: 'Search names', live: 'Live updates', number: /^no\. \d+$/,
    older: 'Show older visitors', everyone: 'That is everyone.', api: 'API description', operators: 'For operators',
    reachable: 'Database: reachable', version: /^Version \S+$/, token: 'Admin token', unlock: 'Unlock', counter: /^\d+\/50$/,
    nobody: 'Nobody has signed yet. Be the first.', withoutScript: 'This page needs JavaScript. The visitors are also at /api/visitors.',
    ages: ['now', '3 minutes ago', '2 hours ago', 'yesterday', '6 days ago'], date: /^[A-Z][a-z]{2} \d{1,2}, \d{4}$/,
  },
  'pt-BR': {
    skip: 'Pular para os visitantes', title: 'Livro de visitas', language: 'Idioma', sign: 'Assinar o livro', name: 'Seu nome',
    hint: 'Opcional. Até 50 caracteres.', hintNext: n => `Opcional: em branco, você assina como Visitor_${n}. Até 50 caracteres.`, perDay: 'Visitantes por dia', chart: /^Visitantes por dia nos últimos 30 dias: 1\.234 no total, no máximo 1\.200 em um dia\.$/,
    asTable: 'Mostrar como tabela', table: 'Visitantes por dia (UTC)', day: 'Dia', visitors: 'Visitantes', latest: 'Últimos visitantes',
    count: '1.234 visitantes, 1.200 hoje', one: '1 visitante, 1 hoje', search: 'Buscar nomes', live: 'Atualização automática', number: /^nº \d+$/,
    older: 'Mostrar visitantes anteriores', everyone: 'Esses são todos os visitantes.', api: 'Descrição da API', operators: 'Administração',
    reachable: 'Banco de dados: acessível', version: /^Versão \S+$/, token: 'Token de administração', unlock: 'Desbloquear', counter: /^\d+\/50$/,
    nobody: 'Ninguém assinou ainda. Seja a primeira pessoa a assinar.',
    withoutScript: 'Esta página precisa de JavaScript. Os visitantes também estão em /api/visitors.',
    ages: ['agora', 'há 3 minutos', 'há 2 horas', 'ontem', 'há 6 dias'], date: /^\d{1,2} de [a-zç.]+ de \d{4}$/,
  },
};

// 1,200 of today and 34 of yesterday; made in SQL, for speed.
const bigBook = () => sql(`TRUNCATE visitors, idempotency_keys RESTART IDENTITY;
  INSERT INTO visitors (id, name, created_at)
  SELECT i, 'Visitor ' || i, CASE WHEN i > 34 THEN now() ELSE now() - interval '1 day' END FROM generate_series(1, 1234) AS i;
  SELECT setval('visitors_id_seq', 1234)`);

for (const lang of LANGUAGES) {
  const w = WORDS[lang];

  test(`${lang}: every element has its role and name, in reading order`, async () => {
    await bigBook();
    const page = await open('/#operators', { lang });
    await until(async () => (await items(page).count()) === 20);
    const exact = name => ({ name, exact: true });
    const form = page.getByRole('form', exact(w.sign));
    const days = page.getByRole('region', exact(w.perDay));
    const latest = page.getByRole('region', exact(w.latest));
    const panel = page.getByRole('region', exact(w.operators));
    await panel.getByText(w.version).waitFor();
    await panel.getByText(w.reachable).waitFor();
    await page.getByRole('img', { name: w.chart }).waitFor();
    const inOrder = {
      row1: page.getByRole('link', exact(w.skip)),
      row2: page.getByRole('heading', { ...exact(w.title), level: 1 }),
      row3: page.getByRole('group', exact(w.language)),
      english: page.getByRole('button', exact('English')),
      portuguese: page.getByRole('button', exact('Português')),
      row4: form,
      row5: form.getByRole('textbox', exact(w.name)),
      hint: form.getByText(w.hintNext(1235), { exact: true }),
      counter: form.getByText(w.counter),
      row6: form.getByRole('button', exact(w.sign)),
      row7: page.getByRole('status'),
      row8: page.getByRole('alert'),
      row12: latest,
      '12 heading': latest.getByRole('heading', { ...exact(w.latest), level: 2 }),
      count: latest.getByText(w.count, { exact: true }),
      row13: latest.getByRole('searchbox', exact(w.search)),
      row14: latest.getByRole('switch', exact(w.live)),
      row15: latest.getByRole('list', exact(w.visitors)),
      row17: latest.getByRole('button', exact(w.older)),
      row9: days,
      '9 heading': days.getByRole('heading', { ...exact(w.perDay), level: 2 }),
      row10: days.getByRole('img', { name: w.chart }),
      row11: days.getByRole('button', exact(w.asTable)),
      row18: page.getByRole('contentinfo'),
      api: page.getByRole('contentinfo').getByRole('link', exact(w.api)),
      row19: page.getByRole('contentinfo').getByRole('button', exact(w.operators)),
      '19 region': panel,
      row20: panel.getByText(w.reachable),
      version: panel.getByText(w.version),
      row21: panel.getByLabel(w.token, { exact: true }),
      row22: panel.getByRole('button', exact(w.unlock)),
    };
    const handles = [];
    for (const [row, locator] of Object.entries(inOrder)) {
      assert.equal(await locator.count(), 1, row);
      handles.push(await locator.elementHandle());
    }
    for (let i = 1; i < handles.length; i += 1) {
      const follows = await handles[i - 1].evaluate((one, other) =>
        Boolean(one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING), handles[i]);
      assert.ok(follows, `${Object.keys(inOrder)[i]} comes after ${Object.keys(inOrder)[i - 1]}`);
    }
    assert.equal(await page.title(), w.title);
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    assert.equal(await page.locator('html').getAttribute('lang'), lang);
    assert.equal(await inOrder.api.getAttribute('href'), '/openapi.json');
    assert.equal(await inOrder.english.getAttribute('lang'), 'en');
    assert.equal(await inOrder.portuguese.getAttribute('lang'), 'pt-BR');
    assert.equal(await inOrder.english.getAttribute('aria-pressed'), String(lang === 'en'));
    assert.equal(await inOrder.portuguese.getAttribute('aria-pressed'), String(lang === 'pt-BR'));
    for (const name of ['maxlength', 'required']) assert.equal(await inOrder.row5.getAttribute(name), null);
    assert.equal(await inOrder.row5.getAttribute('autocomplete'), 'name');
    assert.equal(await inOrder.row5.getAttribute('dir'), 'auto');
    assert.equal(await inOrder.row21.getAttribute('type'), 'password');
    assert.equal(await inOrder.row21.getAttribute('autocomplete'), 'off');
    assert.equal(await inOrder.row14.isChecked(), true);
    assert.equal(await inOrder.row11.getAttribute('aria-expanded'), 'false');
    assert.equal(await inOrder.row19.getAttribute('aria-expanded'), 'true');
    assert.equal(await inOrder.row15.getAttribute('role'), 'list');
    const first = items(page).first();
    assert.equal(await first.locator('bdi').textContent(), 'Visitor 1234');
    await first.getByText(w.number).waitFor();
    assert.equal(await page.getByRole('button', { name: /^(Delete|Excluir)/ }).count(), 0, 'no delete buttons without the token');
  });

  test(`${lang}: the form is described, and the counter counts code points after trimming`, async () => {
    await book();
    const page = await open('/', { lang });
    const field = page.getByRole('textbox', { name: w.name });
    const described = () => field.evaluate(one => one.getAttribute('aria-describedby').split(' ').map(id => document.getElementById(id).textContent).join(' '));
    assert.equal(await described(), `${w.hint} 0/50`);
    await field.fill('  👩‍🚀é  ');
    assert.equal(await described(), `${w.hint} 4/50`);
  });

  test(`${lang}: Tab reaches every control in the order in which they are read`, async () => {
    await book(numbered(21));
    const page = await open('/', { lang });
    await page.getByRole('button', { name: w.older }).waitFor();
    const order = [w.skip, 'English', 'Português', w.name, w.sign, w.search, w.live, w.older, w.asTable, w.api, w.operators];
    for (const name of order) {
      await page.keyboard.press('Tab');
      assert.equal(await focused(page), name);
    }
  });

  test(`${lang}: the book by its numbers: nobody, one, everyone`, async () => {
    await book();
    const page = await open('/', { lang });
    await page.getByText(w.nobody).waitFor();
    assert.equal(await page.getByRole('list').count(), 0);
    await others('Ada');
    await page.reload();
    await page.getByText(w.one, { exact: true }).waitFor();
    await page.getByText(w.everyone, { exact: true }).waitFor();
    assert.equal(await page.getByRole('button', { name: w.older }).count(), 0);
  });

  test(`${lang}: times are relative for seven days, then dates, and exact in datetime and title`, async () => {
    const ages = ['8 days', '6 days', '1 day', '2 hours', '3 minutes', '0'];
    await book(ages.map((age, i) => [`Visitor ${i}`, age]));
    const page = await open('/', { lang });
    await until(async () => (await items(page).count()) === ages.length);
    const times = items(page).locator('time');
    const texts = await times.allTextContents();
    assert.deepEqual(texts.slice(0, 5), w.ages);
    assert.match(texts[5], w.date);
    const { visitors } = await page.evaluate(() => fetch('/api/visitors').then(answer => answer.json()));
    assert.deepEqual(await times.evaluateAll(all => all.map(one => one.getAttribute('datetime'))), visitors.map(one => one.created_at));
    const expected = await page.evaluate(([tag, at]) => new Intl.DateTimeFormat(tag, { dateStyle: 'full', timeStyle: 'long' }).format(new Date(at)),
      [lang, visitors[0].created_at]);
    assert.equal(await times.first().getAttribute('title'), expected);
  });

  test(`${lang}: the chart has a bar a day and a table with the same numbers`, async () => {
    await book([['A', '29 days'], ['B', '1 day'], ['C', '1 day'], ['D', '0']]);
    const page = await open('/', { lang });
    const image = page.getByRole('region', { name: w.perDay }).getByRole('img');
    await image.waitFor();
    assert.match(await image.getAttribute('aria-label'), lang === 'en' ? /: 4 in all, at most 2 in one day\.$/ : /: 4 no total, no máximo 2 em um dia\.$/);
    const bars = await image.locator('.bar').evaluateAll(all => all.map(one => Number(one.getAttribute('height'))));
    assert.equal(bars.length, 30);
    assert.deepEqual(bars.map(height => Math.round(2 * height / Math.max(...bars))), [1, ...Array(27).fill(0), 2, 1], 'oldest left');
    assert.equal(await image.locator('.today .mark').count(), 1, 'today is marked by a shape, too');
    const button = page.getByRole('button', { name: w.asTable });
    await button.press('Enter');
    assert.equal(await button.getAttribute('aria-expanded'), 'true');
    const table = page.getByRole('table', { name: w.table, exact: true });
    assert.deepEqual(await table.getByRole('columnheader').allTextContents(), [w.day, w.visitors]);
    const rows = table.locator('tbody').getByRole('row');
    assert.equal(await rows.count(), 30);
    assert.deepEqual((await rows.locator('td').allTextContents()).map(Number), [1, 2, ...Array(27).fill(0), 1], 'newest first');
    const { whole } = await table.evaluate(one => ({ whole: one.parentElement.scrollHeight <= one.parentElement.clientHeight }));
    assert.ok(whole, 'no scrolling box');
    await button.press('Enter');
    assert.equal(await table.count(), 0);
  });

  test(`${lang}: without JavaScript it says so, and cannot be signed`, async () => {
    const page = await open('/', { lang, javaScriptEnabled: false });
    const text = page.locator('noscript p').filter({ hasText: w.withoutScript });   // getByText leaves noscript out
    assert.ok(await text.isVisible());
    assert.equal(await text.getByRole('link').getAttribute('href'), '/api/visitors');
    assert.equal(await page.getByRole('button', { name: 'Sign the book' }).isDisabled(), true);
    for (const dead of ['English', 'Português', 'For operators']) assert.equal(await page.getByRole('button', { name: dead }).count(), 0, dead);
  });

  test(`${lang}: the skip link shows when it has the focus, and leads to the search`, async () => {
    await book();
    const page = await open('/', { lang });
    const link = page.getByRole('link', { name: w.skip });
    await page.keyboard.press('Tab');
    assert.equal(await link.evaluate(one => getComputedStyle(one).clipPath), 'none');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), w.search);
  });
}

test('the switch changes every text at once, asks for nothing and keeps what was typed', async () => {
  await book(numbered(21));
  const page = await open('/');
  await page.getByText('21 visitors').waitFor();
  await page.getByLabel('Your name').fill('Ada');
  await page.getByRole('searchbox').fill('zzz');
  await statusIs(page, 'No name contains “zzz”.');
  const before = asked.length;
  await page.getByRole('button', { name: 'Português' }).click();
  await statusIs(page, 'Nenhum nome contém “zzz”.');
  assert.equal(await page.locator('html').getAttribute('lang'), 'pt-BR');
  assert.equal(await page.title(), 'Livro de visitas');
  assert.equal(await page.getByLabel('Seu nome').inputValue(), 'Ada');
  assert.equal(await page.getByRole('searchbox').inputValue(), 'zzz');
  assert.equal(await focused(page), 'Português');
  await page.getByText('21 visitantes, 21 hoje').waitFor();
  const english = await page.evaluate(() => document.body.innerText.match(/\b(the|visitors?|today|search|show|sign|your)\b/gi));
  assert.equal(english, null);
  assert.equal(asked.length, before);
  await page.reload();
  await page.getByRole('heading', { name: 'Livro de visitas' }).waitFor();
});

test('the alert changes its language, too', async () => {
  await book();
  const page = await open('/');
  await page.getByLabel('Your name').fill('x'.repeat(51));
  await page.keyboard.press('Enter');
  await alertIs(page, 'A name has at most 50 characters; this one has 51.');
  await page.getByRole('button', { name: 'Português' }).click();
  await alertIs(page, 'O nome pode ter no máximo 50 caracteres; este tem 51.');
});

test('the language: the address wins, then the choice, then the browser, then English', async () => {
  await book();
  const heading = async page => (await page.getByRole('heading', { level: 1 }).textContent());
  assert.equal(await heading(await open('/', { lang: 'pt-PT' })), 'Livro de visitas');
  assert.equal(await heading(await open('/', { lang: 'ja' })), 'Visitor book');
  const page = await open('/?lang=pt-BR', { lang: 'en' });
  assert.equal(await heading(page), 'Livro de visitas');
  await page.getByRole('button', { name: 'English' }).click();
  assert.equal(await heading(page), 'Visitor book');
  await page.reload();
  assert.equal(await heading(page), 'Visitor book', 'a reload does not undo the choice');
  await page.goto('/?lang=pt-BR');
  assert.equal(await heading(page), 'Livro de visitas');
});
