// Signing exactly once, whatever breaks: presses, lost answers, every failure that leaves an outcome unknown, reloads,
// the limit by address, names that are refused. The database says how often a name was added.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { STATE_DIR, alertIs, askedFor, focused, noRules, open, pass, rule, sql, statusIs, until } from '../stage.mjs';
import { added, book, countOf, items, names, numbered, others, shows } from './book.mjs';

const TEXTS = {
  'en': {
    field: 'Your name', sign: 'Sign the book', busy: 'signing…', signing: 'Signing…', added: /^Ada is in the book: no\. (\d+)\.$/, again: 'Try again', discard: 'Discard',
    away: 'The book is out of reach for a moment. Your signature is kept and is sent again by itself.',
    unconfirmed: 'Your signature is not confirmed yet. Trying again adds it only once.',
    tooLong: 'A name has at most 50 characters; this one has 51.',
    forbidden: 'A name cannot contain control or text-direction characters.', reference: 'Reference', refused: 'The service refused this: ',
    limited: s => `Too many signatures from your address. Sign again in ${s === 1 ? '1 second' : `${s} seconds`}.`,
  },
  'pt-BR': {
    field: 'Seu nome', sign: 'Assinar o livro', busy: 'assinando…', signing: 'Assinando…', added: /^Ada está no livro: nº (\d+)\.$/, again: 'Tentar de novo', discard: 'Descartar',
    away: 'O livro está fora do ar por um momento. Sua assinatura está guardada e será reenviada automaticamente.',
    unconfirmed: 'Sua assinatura ainda não foi confirmada. Tentar de novo não a duplica.',
    tooLong: 'O nome pode ter no máximo 50 caracteres; este tem 51.',
    forbidden: 'O nome não pode conter caracteres de controle nem de direção de texto.', reference: 'Referência', refused: 'O serviço recusou: ',
    limited: s => `Muitas assinaturas vieram da sua rede. Tente de novo em ${s === 1 ? '1 segundo' : `${s} segundos`}.`,
  },
};
const posts = () => askedFor('POST', '/api/visitors');
const keys = () => new Set(posts().map(one => one.headers['idempotency-key']));
const stored = page => page.evaluate(() => JSON.parse(sessionStorage.getItem('signature')));
const button = page => page.getByRole('button', { name: /^(Sign the book|Assinar o livro)$/ });
const field = page => page.getByRole('textbox', { name: /^(Your name|Seu nome)$/ });
async function sign(page, name) {
  await field(page).fill(name);
  await field(page).press('Enter');
}
const away = 'The book is out of reach for a moment. Your signature is kept and is sent again by itself.';

for (const [lang, w] of Object.entries(TEXTS)) {
  test(`${lang}: a signature, from the key press to the row`, async () => {
    await book(['Grace']);
    const page = await open('/', { lang });
    await shows(page, 1);
    let release;
    rule('POST', '/api/visitors', { hold: new Promise(done => { release = done; }) });
    await sign(page, '  Ada ');
    const pending = items(page).first();
    await pending.getByText(w.busy).waitFor();
    assert.equal(await pending.getAttribute('aria-busy'), 'true');
    assert.equal(await pending.locator('bdi').textContent(), 'Ada');
    await statusIs(page, w.signing);
    assert.equal(await button(page).getAttribute('aria-disabled'), 'true');
    assert.equal(await button(page).isDisabled(), true, 'aria-disabled counts as such for Playwright');
    assert.equal(await button(page).getAttribute('disabled'), null);
    const kept = await stored(page);
    assert.deepEqual({ ...kept, at: typeof kept.at }, { key: kept.key, name: 'Ada', at: 'number' });
    const row = await pending.elementHandle();
    release();
    await statusIs(page, w.added);
    assert.equal(await row.evaluate(one => one.isConnected && !one.hasAttribute('aria-busy') && one.querySelector('bdi').textContent), 'Ada',
      'the pending row became the real one in place');
    await items(page).first().getByText(/^(no\.|nº) 2$/).waitFor();
    assert.equal(await field(page).inputValue(), '');
    assert.equal(await focused(page), w.field, 'the focus was not moved');
    assert.equal(await stored(page), null);
    assert.equal(await button(page).getAttribute('aria-disabled'), 'false');
    assert.equal(posts().length, 1);
    assert.equal(posts()[0].headers['content-type'], 'application/json');
    assert.equal(posts()[0].headers['idempotency-key'], kept.key);
    assert.equal(posts()[0].body, '{"name":"Ada"}');
    await page.getByText(lang === 'en' ? '2 visitors, 2 today' : '2 visitantes, 2 hoje').waitFor();
    assert.equal((await page.getByRole('status').textContent()).match(w.added)[1], '2', 'the poll behind it says nothing about it');
  });

  test(`${lang}: a lost answer: the same key and body again, added once, and the alert stays until then`, async () => {
    await book();
    const page = await open('/', { lang, clock: true });
    rule('POST', '/api/visitors', { lose: true }, 1);
    rule('POST', '/api/visitors', { status: 502 }, 1);
    await sign(page, 'Ada');
    await alertIs(page, w.away);
    assert.equal(await countOf('Ada'), 1, 'it is in the book; the page does not know');
    await pass(page, 1300);
    await until(() => posts().length === 2);
    await alertIs(page, w.away);
    assert.equal(await field(page).inputValue(), 'Ada');
    await pass(page, 2500);
    await statusIs(page, w.added);
    await alertIs(page, '');
    assert.equal(posts().length, 3);
    assert.equal(keys().size, 1);
    assert.equal(new Set(posts().map(one => one.body)).size, 1);
    assert.equal(await countOf('Ada'), 1);
    await shows(page, 1);
  });

  test(`${lang}: after six sends it asks; Try again goes on with the same key`, async () => {
    await book();
    const page = await open('/', { lang, clock: true });
    rule('POST', '/api/visitors', { status: 504 });
    await sign(page, 'Ada');
    for (const [i, pause] of [1, 2, 4, 8, 16].entries()) {
      await alertIs(page, `${w.away} ${w.reference} e57e57e57e57`);
      await until(() => posts().length === i + 1);
      await pass(page, pause * 800 - 100);
      assert.equal(posts().length, i + 1, `not before ${pause} s, less 20 %`);
      await pass(page, pause * 400 + 200);
      await until(() => posts().length === i + 2, `after ${pause} s`);
    }
    await alertIs(page, new RegExp(`^${w.unconfirmed} ${w.reference} e57e57e57e57`));
    assert.notEqual(await page.getByRole('status').textContent(), w.signing);
    await pass(page, 120_000);
    assert.equal(posts().length, 6, 'it stopped');
    await field(page).press('Enter');
    assert.equal(posts().length, 6, 'a second signature begins only after the first has ended');
    noRules();
    await page.getByRole('alert').getByRole('button', { name: w.again }).click();
    await statusIs(page, w.added);
    assert.equal(await focused(page), w.field, 'the focus is not lost with the button');
    assert.equal(keys().size, 1);
    assert.equal(await countOf('Ada'), 1);
  });

  test(`${lang}: Discard ends the signature`, async () => {
    await book();
    const page = await open('/', { lang, clock: true });
    rule('POST', '/api/visitors', { status: 504 });
    await sign(page, 'Ada');
    for (const pause of [1, 2, 4, 8, 16]) {
      const before = posts().length;
      await alertIs(page, new RegExp(w.away));
      await pass(page, pause * 1300);
      await until(() => posts().length === before + 1);
    }
    await page.getByRole('button', { name: w.discard }).click();
    await alertIs(page, '');
    assert.equal(await stored(page), null);
    assert.equal(await page.getByRole('listitem').count(), 0);
    assert.equal(await button(page).getAttribute('aria-disabled'), 'false');
    noRules();
    await sign(page, 'Ada');
    await statusIs(page, w.added);
    assert.equal(keys().size, 2);
  });

  test(`${lang}: 429 counts down, keeps the name, and the next press uses the same key`, async () => {
    await book();
    const page = await open('/', { lang, clock: true });
    rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '42' } }, 1);
    await sign(page, 'Ada');
    const text = w.limited;
    await alertIs(page, text(42));
    assert.equal(await page.getByRole('listitem').count(), 0);
    assert.equal(await field(page).inputValue(), 'Ada');
    await pass(page, 2000);
    await alertIs(page, new RegExp(`${w.limited(40)}|${w.limited(39)}`));
    await field(page).press('Enter');
    assert.equal(await button(page).getAttribute('aria-disabled'), 'true');
    await pass(page, 39_500);
    await alertIs(page, text(1));
    assert.equal(posts().length, 1);
    await pass(page, 2000);
    await alertIs(page, '');
    assert.equal(await button(page).getAttribute('aria-disabled'), 'false');
    assert.equal(posts().length, 1, 'it does not sign by itself');
    await field(page).press('Enter');
    await statusIs(page, w.added);
    assert.equal(keys().size, 1);
  });

  test(`${lang}: 429 to a re-send does not give up: what was sent before may have been added`, async () => {
    await book();
    const page = await open('/', { lang, clock: true });
    rule('POST', '/api/visitors', { lose: true }, 1);
    rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '7' } }, 1);
    await sign(page, 'Ada');
    await alertIs(page, w.away);
    await pass(page, 1250);
    await until(() => posts().length === 2);
    await pass(page, 6000);
    await alertIs(page, w.away);
    assert.equal(await items(page).first().getAttribute('aria-busy'), 'true');
    assert.equal((await stored(page)).until, undefined);
    assert.equal(posts().length, 2, 'not before Retry-After');
    await pass(page, 1100);
    await statusIs(page, w.added);
    await alertIs(page, '');
    assert.equal(posts().length, 3);
    assert.equal(keys().size, 1);
    assert.equal(await countOf('Ada'), 1);
    await shows(page, 1);
  });

  test(`${lang}: any other refusal says why and how to find it, and drops the key`, async () => {
    await book();
    const page = await open('/', { lang });
    for (const status of [400, 403, 413, 415, 422]) {
      rule('POST', '/api/visitors', { status, problem: { detail: `because of ${status}` } }, 1);
      await sign(page, `Ada ${status}`);
      await alertIs(page, `${w.refused}because of ${status}`);
      assert.equal(await page.getByRole('listitem').count(), 0);
      assert.equal(await field(page).inputValue(), `Ada ${status}`);
      assert.equal(await stored(page), null);
    }
    await sign(page, 'Ada');
    await statusIs(page, w.added);
    assert.equal(keys().size, 6);
  });

  test(`${lang}: names that the service would refuse are not sent`, async () => {
    await book();
    const page = await open('/', { lang });
    for (const [name, text] of [['x'.repeat(51), w.tooLong], ['🌿'.repeat(51), w.tooLong], ['a\u202Eb', w.forbidden], ['a\u2066b', w.forbidden],
      ['a\u0007b', w.forbidden], ['a\u0085b', w.forbidden], ['a\u2028b', w.forbidden], ['a\uFFFFb', w.forbidden], ['a\uD800b', w.forbidden]]) {
      await field(page).evaluate((one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }, name);
      await button(page).click();
      await alertIs(page, text);
      assert.equal(await field(page).getAttribute('aria-invalid'), 'true');
      assert.equal(await focused(page), w.field);
      await field(page).pressSequentially('!');
      await alertIs(page, '');
      assert.equal(await field(page).getAttribute('aria-invalid'), null);
    }
    assert.equal(posts().length, 0);
  });
}

test('names at the edge of what is allowed are kept exactly', async () => {
  await book();
  const page = await open('/');
  for (const name of ['🌿'.repeat(50), 'مريم', 'a  b', 'e\u0301', '<img src=x onerror=alert(1)>', 'O\u200BK \u200E\u200F\uFEFF', '"; DROP TABLE visitors']) {
    await sign(page, name);
    await statusIs(page, added(name));
    assert.equal((await names(page))[0], name);
  }
  assert.equal(await page.locator('li img').count(), 0);
});

test('no name: the body is {}, and the row waits as Visitor_…', async () => {
  await book();
  const page = await open('/');
  let release;
  rule('POST', '/api/visitors', { hold: new Promise(done => { release = done; }) });
  await sign(page, ' \u3000 ');
  await until(async () => (await names(page))[0] === 'Visitor_…');
  release();
  await statusIs(page, added('Visitor_1'));
  assert.equal(posts()[0].body, '{}');
});

test('a double click, Enter with a click, and a key held down add one', async () => {
  await book();
  const page = await open('/', { clock: true });
  await field(page).fill('Ada');
  await button(page).dblclick();
  await statusIs(page, added('Ada'));
  await field(page).fill('Grace');
  await field(page).press('Enter');
  await button(page).click();
  await statusIs(page, added('Grace'));
  await field(page).fill('Barbara');
  for (let i = 0; i < 20; i += 1) await page.keyboard.down('Enter');   // Playwright sends repeats
  await page.keyboard.up('Enter');
  await statusIs(page, added('Barbara'));
  await shows(page, 3);
  await field(page).fill('Clarice');
  await button(page).focus();
  for (let i = 0; i < 20; i += 1) await page.keyboard.down('Enter');
  await until(() => countOf('Clarice'));
  await pass(page, 2000);
  for (let i = 0; i < 20; i += 1) await page.keyboard.down('Enter');
  await page.keyboard.up('Enter');
  await shows(page, 4);
  assert.equal(await sql('SELECT count(*) FROM visitors'), '4');
});

for (const [what, action, elapsed] of [
  ['502', { status: 502 }, 1300], ['504', { status: 504 }, 1300],
  ['503 with Retry-After', { status: 503, headers: { 'Retry-After': '7' } }, 7100],
  ['an outcome unknown', { status: 500, problem: { type: '/problems/outcome-unknown' } }, 1300],
  ['a cut connection', { cut: true }, 1300],
  ['no answer in 10 s', { hold: new Promise(() => {}) }, 11_400],
]) {
  test(`${what} is sent again by itself`, async () => {
    await book();
    const page = await open('/', { clock: true });
    rule('POST', '/api/visitors', action, 1);
    await sign(page, 'Ada');
    await until(() => posts().length === 1);
    if (elapsed > 10_000) await pass(page, 10_100, { waiting: false });
    await alertIs(page, new RegExp(`^${away}`));
    assert.equal((await stored(page)).name, 'Ada');
    if (elapsed === 7100) {
      await pass(page, 6500);
      assert.equal(posts().length, 1, 'not before Retry-After');
    }
    await pass(page, elapsed % 10_000, { waiting: elapsed < 10_000 });
    await statusIs(page, added('Ada'));
    await alertIs(page, '');
    assert.equal(keys().size, 1);
    assert.equal(await countOf('Ada'), 1);
  });
}

for (const [what, action, again] of [
  ['a reload in the middle', { lose: true }, async page => {
    await alertIs(page, away);
    await page.reload();
  }],
  ['a defect of the service', { status: 500 }, async page => {
    await alertIs(page, /^The service refused this/);
    await pass(page, 600);   // or it would be a double press
    await field(page).press('Enter');
  }],
]) {
  test(`429 to the first send after ${what} does not give up either`, async () => {
    await book();
    const page = await open('/', { clock: true });
    rule('POST', '/api/visitors', action, 1);
    rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '7' } }, 1);
    await sign(page, 'Ada');
    await again(page);
    await alertIs(page, away);
    assert.equal(await items(page).first().getAttribute('aria-busy'), 'true');
    await pass(page, 7100);
    await statusIs(page, added('Ada'));
    await alertIs(page, '');
    assert.equal(keys().size, 1);
    assert.equal(await countOf('Ada'), 1);
  });
}

test('a Retry-After of months is cut to an hour', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { status: 503, headers: { 'Retry-After': '9999999' } }, 1);
  await sign(page, 'Ada');
  await alertIs(page, new RegExp(`^${away}`));
  await pass(page, 60_000);
  await pass(page, 0);
  assert.equal(posts().length, 1);
  await page.clock.fastForward(3_541_000);
  await statusIs(page, added('Ada'));
  assert.equal(keys().size, 1);
});

test('offline: kept, and sent at once when the connection is back', async () => {
  await book();
  const page = await open('/', { clock: true });
  await page.getByText('Nobody has signed yet').waitFor();
  await page.context().setOffline(true);
  await sign(page, 'Ada');
  await alertIs(page, away);
  await page.context().setOffline(false);
  await statusIs(page, added('Ada'));
  assert.equal(await countOf('Ada'), 1);
});

test('a reload in the middle goes on with the same key; the lost one is not added twice', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { lose: true }, 1);
  await sign(page, 'Ada');
  await alertIs(page, away);
  await page.reload();
  await statusIs(page, added('Ada'));
  assert.equal(keys().size, 1);
  assert.equal(await countOf('Ada'), 1);
  await shows(page, 1);
});

test('a signature older than the service keeps keys is not sent by a reload', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { cut: true });
  await sign(page, 'Ada');
  await alertIs(page, away);
  await page.evaluate(() => {
    const kept = JSON.parse(sessionStorage.getItem('signature'));
    sessionStorage.setItem('signature', JSON.stringify({ ...kept, at: kept.at - 25 * 3600_000 }));
  });
  noRules();
  await page.reload();
  await page.getByText('Nobody has signed yet').waitFor();
  assert.equal(posts().length, 1);
  assert.equal(await stored(page), null);
});

test('a signature older than the service keeps keys is not sent again by itself', async () => {
  await book();
  const page = await open('/', { clock: true });
  await page.getByText('Nobody has signed yet').waitFor();
  rule('POST', '/api/visitors', { status: 504 });
  await sign(page, 'Ada');
  await alertIs(page, new RegExp(`^${away}`));
  await page.clock.fastForward(25 * 3600_000);
  await until(async () => (await stored(page)) === null, 'the key is dropped');
  await alertIs(page, '');
  await pass(page, 60_000);
  assert.equal(posts().length, 1);
  assert.equal(await field(page).inputValue(), 'Ada', 'its owner decides');
});

test('a key older than the service keeps it does not serve the press after a 429', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '42' } }, 1);
  await sign(page, 'Ada');
  await alertIs(page, /^Too many signatures/);
  await page.clock.fastForward(25 * 3600_000);
  await alertIs(page, '');
  await field(page).press('Enter');
  await statusIs(page, added('Ada'));
  assert.equal(keys().size, 2);
});

test('a reload during a 429 keeps the name and the key, and waits', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '30' } }, 1);
  await sign(page, 'Ada');
  await alertIs(page, /^Too many signatures/);
  await page.reload();
  await alertIs(page, /^Too many signatures/);
  assert.equal(await field(page).inputValue(), 'Ada');
  await pass(page, 31_000);
  await field(page).press('Enter');
  await statusIs(page, added('Ada'));
  assert.equal(keys().size, 1);
});

test('storage that holds something else, or is refused, does no harm', async () => {
  await book();
  const page = await open(null);
  await page.addInitScript(() => sessionStorage.setItem('signature', '{"not":"ours'));
  await page.goto('/');
  await sign(page, 'Ada');
  await statusIs(page, added('Ada'));
  const refusing = await open(null);
  await refusing.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
  });
  await refusing.goto('/');
  await sign(refusing, 'Grace');
  await statusIs(refusing, added('Grace'));
});

test('a page without crypto.randomUUID (plain http) makes keys all the same', async () => {
  await book();
  const page = await open(null);
  await page.addInitScript(() => { delete Crypto.prototype.randomUUID; });
  await page.goto('/');
  await sign(page, 'Ada');
  await statusIs(page, added('Ada'));
  assert.match(posts()[0].headers['idempotency-key'], /^[0-9a-f]{32}$/);
});

test('what is typed while a signature is under way is not taken away', async () => {
  await book();
  const page = await open('/');
  let release;
  rule('POST', '/api/visitors', { hold: new Promise(done => { release = done; }) }, 1);
  await sign(page, 'Ada');
  await field(page).fill('Grace');
  release();
  await statusIs(page, added('Ada'));
  assert.equal(await field(page).inputValue(), 'Grace');
});

test('an alert about a signature outlives what succeeds meanwhile; the newest shows', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  rule('POST', '/api/visitors', { status: 503, headers: { 'Retry-After': '300' } }, 1);
  await sign(page, 'Ada');
  await alertIs(page, new RegExp(`^${away}`));
  await others('Barbara');
  await pass(page, 10_100);
  await statusIs(page, '1 new visitor: Barbara.');
  await alertIs(page, new RegExp(`^${away}`));
  rule('GET', '/api/visitors?q=', { cut: true }, 1);
  await page.getByRole('searchbox').fill('gra');
  await pass(page, 400);
  await alertIs(page, /^That did not load\./);
  await page.getByRole('alert').getByRole('button', { name: 'Try again' }).click();
  await statusIs(page, '1 name found.');
  await alertIs(page, new RegExp(`^${away}`));
});

test('an answer that comes after a poll showed the row leaves one row, announced once', async () => {
  await book();
  const page = await open('/', { clock: true });
  await page.getByText('Nobody has signed yet').waitFor();
  rule('POST', '/api/visitors', { lose: true }, 1);
  await sign(page, 'Ada');
  await alertIs(page, away);
  rule('POST', '/api/visitors', { status: 503, headers: { 'Retry-After': '30' } }, 1);
  await pass(page, 1300);
  await until(() => posts().length === 2);
  await pass(page, 10_100);
  await shows(page, 2);
  assert.equal(await page.getByRole('status').textContent(), 'Signing…');
  for (let i = 0; i < 3; i += 1) await pass(page, 9_000);
  await statusIs(page, added('Ada'));
  await shows(page, 1);
});

test('PostgreSQL killed under it: the signature arrives once', async () => {
  await book();
  const page = await open('/');
  await page.getByText('Nobody has signed yet').waitFor();
  process.kill(Number(readFileSync(`${STATE_DIR}/run/postgres.pid`, 'utf8')), 'SIGQUIT');
  await sign(page, 'Ada');
  const said = () => page.getByRole('status').textContent();
  await until(async () => added('Ada').test(await said()), 'signed', 30_000);   // the database has to recover first
  assert.equal(keys().size, 1);
  assert.equal(await countOf('Ada'), 1);
  await page.getByText('1 visitor, 1 today').waitFor();
});

const undo = page => page.getByRole('button', { name: /^(Undo signing|Desfazer a assinatura de) / });
const ownRow = page => items(page).filter({ has: page.getByText(/^(you|você)$/) });

for (const [lang, you, undoOf, undone, search] of [['en', 'you', 'Undo signing Ada', 'Taken back.', 'Search names'],
  ['pt-BR', 'você', 'Desfazer a assinatura de Ada', 'Assinatura desfeita.', 'Buscar nomes']]) {
  test(`${lang}: you see your name: marked, in view on a phone, and it can be taken back`, async () => {
    await book(numbered(5));
    const page = await open('/', { lang, viewport: { width: 320, height: 480 } });
    await shows(page, 5);
    await sign(page, 'Ada');
    await ownRow(page).getByText(you, { exact: true }).waitFor();
    assert.match(await ownRow(page).getAttribute('aria-label'), new RegExp(`^Ada\\b.*${you}$`));
    await until(() => ownRow(page).evaluate(one => {
      const { top, bottom } = one.getBoundingClientRect();
      return top >= 0 && bottom <= window.innerHeight;
    }), 'the own row is in view');
    const kept = await page.evaluate(() => JSON.parse(sessionStorage.getItem('own')));
    assert.deepEqual(kept.map(one => Object.keys(one).sort()), [['at', 'id', 'key']]);
    await page.reload();
    await page.getByRole('button', { name: undoOf, exact: true }).click();
    await statusIs(page, undone);
    await shows(page, 5);
    assert.equal(await focused(page), search);
    assert.equal(await countOf('Ada'), 0);
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    const { headers } = askedFor('DELETE', '/api/visitors/6')[0];
    assert.equal(headers['idempotency-key'], kept[0].key);
    assert.equal(headers.authorization, undefined);
    await page.getByText(lang === 'en' ? '5 visitors, 5 today' : '5 visitantes, 5 hoje').waitFor();
  });
}

test('Undo is there for ten minutes, and the focus does not go with it', async () => {
  await book();
  const page = await open('/', { clock: true });
  await sign(page, 'Ada');
  await undo(page).focus();
  await pass(page, 590_000);
  assert.equal(await undo(page).count(), 1);
  await pass(page, 20_000);
  assert.equal(await undo(page).count(), 0);
  assert.equal(await focused(page), 'Search names');
  await ownRow(page).waitFor();
  await page.reload();
  await shows(page, 1);
  assert.equal(await undo(page).count(), 0);
});

test('Undo that is refused or gets no answer says so, and can be tried again', async () => {
  await book();
  const page = await open('/');
  await sign(page, 'Ada');
  rule('DELETE', '/api/visitors/1', { status: 403, problem: { detail: 'It is too late.' } }, 1);
  await undo(page).click();
  await alertIs(page, 'The service refused this: It is too late.');
  rule('DELETE', '/api/visitors/1', { lose: true }, 1);
  await undo(page).click();
  await alertIs(page, /^The service did not answer\./);
  await page.getByRole('region', { name: 'Latest visitors' }).getByRole('alert').getByRole('button', { name: 'Try again' }).click();
  await statusIs(page, 'Taken back.');
  await alertIs(page, '');
  await page.getByText('Nobody has signed yet').waitFor();
});

test('what is confirmed stands for ten seconds, whatever others do', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  await others('Barbara');
  await sign(page, 'Ada');
  await shows(page, 3);
  await statusIs(page, added('Ada'));
  rule('GET', '/api/visitors', { status: 503 }, 1);
  await pass(page, 9_900);
  await statusIs(page, added('Ada'));
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await statusIs(page, added('Ada'));
  await others('Clarice');
  await pass(page, 25_000);
  await statusIs(page, '1 new visitor: Clarice.');
});

test('while it is sent again by itself nothing looks wrong; then the row waits, and it does', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { status: 504 });
  await sign(page, 'Ada');
  const look = role => page.getByRole(role).evaluate(one => {
    const { color, backgroundColor, borderTopStyle, borderInlineStartColor, borderInlineStartWidth } = getComputedStyle(one);
    return [color, backgroundColor, borderTopStyle, borderInlineStartColor, borderInlineStartWidth];
  });
  await alertIs(page, new RegExp(away));
  assert.deepEqual(await look('alert'), await look('status'));
  await items(page).first().getByText('signing…').waitFor();
  for (const pause of [1, 2, 4, 8, 16]) {
    const before = posts().length;
    await pass(page, pause * 1300);
    await until(() => posts().length === before + 1);
  }
  await alertIs(page, /^Your signature is not confirmed yet\./);
  assert.notDeepEqual(await look('alert'), await look('status'));
  await items(page).first().getByText('waiting', { exact: true }).waitFor();
});

test('a clock that is set back does not make the wait longer', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '20' } }, 1);
  await sign(page, 'Ada');
  await alertIs(page, /in 20 seconds/);
  await page.clock.setSystemTime(Date.now() - 365 * 24 * 3600_000);
  await pass(page, 2000);
  await alertIs(page, /in 1\d seconds/);
  await page.evaluate(() => {   // as if it had been set back before the reload
    const kept = JSON.parse(sessionStorage.getItem('signature'));
    sessionStorage.setItem('signature', JSON.stringify({ ...kept, at: Date.now(), until: Date.now() + 31_536_000_000 }));
  });
  await page.reload();
  await alertIs(page, /in (20|1\d) seconds/);
});

test('the copy of a tab signs for itself: no key is said to be reused', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '1' } }, 1);
  await sign(page, 'Ada');
  await alertIs(page, /^Too many/);
  const copied = await page.evaluate(() => sessionStorage.getItem('signature'));
  await pass(page, 1500);
  await field(page).press('Enter');
  await statusIs(page, added('Ada'));
  const copy = await open(null);
  await copy.addInitScript(value => sessionStorage.setItem('signature', value), copied);
  await copy.goto('/');
  await until(async () => (await field(copy).inputValue()) === 'Ada');
  await until(async () => (await copy.getByRole('timer').count()) === 0, 'the second that the service asked for is over');
  await sign(copy, 'Grace');
  await statusIs(copy, added('Grace'));
  assert.equal(await countOf('Grace'), 1);
  // And where the copy was made while a signature was under way.
  const late = await open(null);
  await late.addInitScript(value => sessionStorage.setItem('signature', value),
    JSON.stringify({ key: JSON.parse(copied).key, name: 'Barbara', at: Date.now() }));
  await late.goto('/');
  await statusIs(late, added('Barbara'));
});
