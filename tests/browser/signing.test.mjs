// Signing exactly once, whatever breaks: presses, lost answers, every failure that leaves an outcome unknown, reloads,
// the limit by address, names that are refused. The database says how often a name was added.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { STATE_DIR, alertIs, askedFor, book, countOf, focused, items, names, noRules, open, pass, others, rule, shows, sql, statusIs, until } from './stage.mjs';

const TEXTS = {
  'en': {
    field: 'Your name', sign: 'Sign the book', busy: 'signing…', signing: 'Signing…', added: 'Ada is in the book.', again: 'Try again', discard: 'Discard',
    away: 'The book is out of reach for a moment. Your signature is kept and is sent again by itself.',
    unconfirmed: 'Your signature is not confirmed yet. Trying again adds it only once.',
    tooLong: 'A name has at most 50 characters; this one has 51.',
    forbidden: 'A name cannot contain control or text-direction characters.', reference: 'Reference', refused: 'The service refused this: ',
    limited: s => `Too many signatures from your address. Sign again in ${s === 1 ? '1 second' : `${s} seconds`}.`,
  },
  'pt-BR': {
    field: 'Seu nome', sign: 'Assinar o livro', busy: 'assinando…', signing: 'Assinando…', added: 'Ada está no livro.', again: 'Tentar de novo', discard: 'Descartar',
    away: 'O livro está fora do ar por um momento. Sua assinatura está guardada e será enviada de novo sozinha.',
    unconfirmed: 'Sua assinatura ainda não foi confirmada. Tentar de novo não a repete.',
    tooLong: 'Um nome tem no máximo 50 caracteres; este tem 51.',
    forbidden: 'Um nome não pode conter caracteres de controle ou de direção de texto.', reference: 'Referência', refused: 'O serviço recusou: ',
    limited: s => `Assinaturas demais do seu endereço. Assine de novo em ${s === 1 ? '1 segundo' : `${s} segundos`}.`,
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
    assert.equal(await page.getByRole('status').textContent(), w.added, 'the poll behind it says nothing about it');
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
    const text = s => new RegExp(`^${w.limited(s)} ${w.reference} e57e57e57e57$`);
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
      await alertIs(page, `${w.refused}because of ${status} ${w.reference} e57e57e57e57`);
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
    await statusIs(page, `${name} is in the book.`);
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
  await statusIs(page, 'Visitor_1 is in the book.');
  assert.equal(posts()[0].body, '{}');
});

test('a double click, Enter with a click, and a key held down add one', async () => {
  await book();
  const page = await open('/', { clock: true });
  await field(page).fill('Ada');
  await button(page).dblclick();
  await statusIs(page, 'Ada is in the book.');
  await field(page).fill('Grace');
  await field(page).press('Enter');
  await button(page).click();
  await statusIs(page, 'Grace is in the book.');
  await field(page).fill('Barbara');
  for (let i = 0; i < 20; i += 1) await page.keyboard.down('Enter');   // Playwright sends repeats
  await page.keyboard.up('Enter');
  await statusIs(page, 'Barbara is in the book.');
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
    await statusIs(page, 'Ada is in the book.');
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
    await alertIs(page, `${away} Reference e57e57e57e57`);
    assert.equal(await items(page).first().getAttribute('aria-busy'), 'true');
    await pass(page, 7100);
    await statusIs(page, 'Ada is in the book.');
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
  await statusIs(page, 'Ada is in the book.');
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
  await statusIs(page, 'Ada is in the book.');
  assert.equal(await countOf('Ada'), 1);
});

test('a reload in the middle goes on with the same key; the lost one is not added twice', async () => {
  await book();
  const page = await open('/', { clock: true });
  rule('POST', '/api/visitors', { lose: true }, 1);
  await sign(page, 'Ada');
  await alertIs(page, away);
  await page.reload();
  await statusIs(page, 'Ada is in the book.');
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
  await statusIs(page, 'Ada is in the book.');
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
  await statusIs(page, 'Ada is in the book.');
  assert.equal(keys().size, 1);
});

test('storage that holds something else, or is refused, does no harm', async () => {
  await book();
  const page = await open(null);
  await page.addInitScript(() => sessionStorage.setItem('signature', '{"not":"ours'));
  await page.goto('/');
  await sign(page, 'Ada');
  await statusIs(page, 'Ada is in the book.');
  const refusing = await open(null);
  await refusing.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
  });
  await refusing.goto('/');
  await sign(refusing, 'Grace');
  await statusIs(refusing, 'Grace is in the book.');
});

test('a page without crypto.randomUUID (plain http) makes keys all the same', async () => {
  await book();
  const page = await open(null);
  await page.addInitScript(() => { delete Crypto.prototype.randomUUID; });
  await page.goto('/');
  await sign(page, 'Ada');
  await statusIs(page, 'Ada is in the book.');
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
  await statusIs(page, 'Ada is in the book.');
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
  await statusIs(page, 'Ada is in the book.');
  await shows(page, 1);
});

test('PostgreSQL killed under it: the signature arrives once', async () => {
  await book();
  const page = await open('/');
  await page.getByText('Nobody has signed yet').waitFor();
  process.kill(Number(readFileSync(`${STATE_DIR}/run/postgres.pid`, 'utf8')), 'SIGQUIT');
  await sign(page, 'Ada');
  const said = () => page.getByRole('status').textContent();
  await until(async () => (await said()) === 'Ada is in the book.', 'signed', 30_000);   // the database has to recover first
  assert.equal(keys().size, 1);
  assert.equal(await countOf('Ada'), 1);
  await page.getByText('1 visitor, 1 today').waitFor();
});
