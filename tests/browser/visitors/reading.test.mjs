// Reading: first load, older pages, search, live updates with their pauses, what is said of them, and that nothing moves
// under the reader's eyes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertIs, asked, askedFor, focused, hide, noRules, open, pass, rule, sql, statusIs, until } from '../stage.mjs';
import { added, book, items, list, names, numbered, others, shows } from './book.mjs';

const TEXTS = {
  'en': {
    loading: 'Loading visitors…', failed: 'The visitors could not be loaded.', again: 'Try again', notLoaded: 'That did not load.',
    older: 'Show older visitors', more: '20 more visitors shown.', everyone: 'That is everyone.', latest: 'Latest visitors', days: 'Visitors per day',
    one: '1 name found.', many: '2 names found.', none: 'No name contains “zzz”.', cameOne: '1 new visitor: Ada.', came: '3 new visitors.',
    stale: /^The service does not answer\. The list is from \d{1,2}:\d\d\s[AP]M\.$/, back: 'Connected again.',
    offline: /^You are offline\. The list is from \d{1,2}:\d\d\s[AP]M\.$/, over: 'More than 20 names found.',
  },
  'pt-BR': {
    loading: 'Carregando visitantes…', failed: 'Não foi possível carregar os visitantes.', again: 'Tentar de novo', notLoaded: 'Não foi possível carregar.',
    older: 'Mostrar visitantes anteriores', more: 'Mais 20 visitantes na lista.', everyone: 'Esses são todos os visitantes.', latest: 'Últimos visitantes', days: 'Visitantes por dia',
    one: '1 nome encontrado.', many: '2 nomes encontrados.', none: 'Nenhum nome contém “zzz”.', cameOne: '1 novo visitante: Ada.', came: '3 novos visitantes.',
    stale: /^O serviço não responde\. Última atualização da lista: \d\d:\d\d\.$/, back: 'Conexão restabelecida.',
    offline: /^Você está sem conexão\. Última atualização da lista: \d\d:\d\d\.$/, over: 'Mais de 20 nomes encontrados.',
  },
};
const gets = () => askedFor('GET', '/api/visitors');
const stats = () => askedFor('GET', '/api/stats');
const POLL = 10_050;

for (const [lang, w] of Object.entries(TEXTS)) {
  test(`${lang}: the first load holds the place of what comes, and says so if it takes long`, async () => {
    await book(numbered(5));
    let release;
    rule('GET', '/api/visitors', { hold: new Promise(done => { release = done; }) }, 1);
    const page = await open('/', { lang, clock: true });
    const busy = page.locator('[aria-busy=true]');
    assert.equal(await busy.getAttribute('role'), 'list');
    const places = busy.locator('li[aria-hidden=true]');
    assert.equal(await places.count(), 5);
    const height = (await places.first().boundingBox()).height;
    const region = await page.getByRole('region', { name: w.latest }).boundingBox();
    assert.ok(region.height >= 900, 'as high as the window');
    assert.equal(await page.getByRole('status').textContent(), '');
    await pass(page, 1100, { waiting: false });
    await statusIs(page, w.loading);
    release();
    await shows(page, 5);
    await statusIs(page, '');
    assert.equal((await items(page).first().boundingBox()).height, height);
    assert.equal(await list(page).getAttribute('aria-busy'), null);
    assert.equal(await places.count(), 0);
  });

  test(`${lang}: a first load that fails shows no list, and Try again loads it`, async () => {
    await book(numbered(3));
    rule('GET', '/api/', { status: 503, headers: { 'Retry-After': '1' } }, 2);
    const page = await open('/', { lang });
    await alertIs(page, new RegExp(`^${w.failed} \\S+ e57e57e57e57`));
    assert.equal(await page.getByRole('list').count(), 0);
    await page.getByRole('alert').getByRole('button', { name: w.again }).press('Enter');
    await shows(page, 3);
    await alertIs(page, '');
    assert.notEqual(await focused(page), '', 'the focus went somewhere');
    await page.getByRole('region', { name: w.days }).getByRole('img').waitFor();
  });

  test(`${lang}: older pages follow, and the focus finds its place when the button goes`, async () => {
    await book(numbered(45));
    const page = await open('/', { lang });
    const button = page.getByRole('button', { name: w.older });
    await button.focus();
    rule('GET', '/api/visitors?', { cut: true }, 1);
    await page.keyboard.press('Enter');
    await alertIs(page, new RegExp(`^${w.notLoaded}`));
    await page.getByRole('alert').getByRole('button', { name: w.again }).press('Enter');
    await shows(page, 40);
    await statusIs(page, w.more);
    await alertIs(page, '');
    assert.equal(await focused(page), w.older);
    await page.keyboard.press('Enter');
    await page.getByText(w.everyone, { exact: true }).waitFor();
    await shows(page, 45);
    assert.match(await focused(page), /^Visitor 5(now|agora)/, 'the first row that it brought');
    assert.deepEqual(await names(page), numbered(45).reverse());
    assert.ok(gets().every(one => !/limit=(?!20)/.test(one.path)));
  });

  test(`${lang}: a search, what it says, and how it ends`, async () => {
    await book(['Grace', 'Ada', 'Adam', 'Zoë', '100%', 'a_b']);
    const page = await open('/', { lang });
    await shows(page, 6);
    const search = page.getByRole('searchbox');
    for (const [q, wanted, text] of [['ADA', ['Adam', 'Ada'], w.many], ['zoË', ['Zoë'], w.one], ['%', ['100%'], w.one], ['_', ['a_b'], w.one]]) {
      await search.fill(q);
      await statusIs(page, text);
      await until(async () => (await names(page)).join() === wanted.join(), wanted.join());
      assert.equal(new URL(page.url()).searchParams.get('q'), q);
    }
    await search.fill('zzz');
    await statusIs(page, w.none);
    assert.equal(await page.locator('main').getByText(w.none).count(), 2, 'in place of the list, too');
    assert.equal(await page.getByRole('list').count(), 0);
    await search.press('Escape');
    await shows(page, 6);
    assert.equal(await search.inputValue(), '');
    assert.equal(new URL(page.url()).searchParams.get('q'), null);
    await statusIs(page, '');
    await page.goto(`/?q=grace&lang=${lang}`);
    await statusIs(page, w.one);
    assert.equal(await search.inputValue(), 'grace');
    assert.deepEqual(await names(page), ['Grace']);
    rule('GET', '/api/visitors?', { status: 503 }, 1);
    await search.fill('ada');
    await alertIs(page, new RegExp(`^${w.notLoaded} `));
    assert.deepEqual(await names(page), ['Grace'], 'the list stays');
    await page.getByRole('alert').getByRole('button', { name: w.again }).click();
    await statusIs(page, w.many);
    await alertIs(page, '');
  });

  test(`${lang}: others' signatures come by themselves and are said once`, async () => {
    await book(['Grace']);
    const page = await open('/', { lang, clock: true });
    await shows(page, 1);
    await others('Ada');
    await pass(page, POLL);
    await shows(page, 2);
    await statusIs(page, w.cameOne);
    await others('B', 'C', 'D');
    await pass(page, POLL);
    await shows(page, 5);
    await statusIs(page, w.came);
    assert.deepEqual(await names(page), ['D', 'C', 'B', 'Ada', 'Grace']);
  });

  test(`${lang}: a service that does not answer is said once, with the list's time, and so is its return`, async () => {
    await book(['Grace']);
    const page = await open('/', { lang, clock: true });
    await shows(page, 1);
    await until(() => stats().length === 1);
    rule('GET', '/api/visitors', { status: 503 });
    const before = gets().length;
    let expected = before;
    for (const pause of [10, 20, 40, 60, 60]) {
      await pass(page, pause * 1000 - 300);
      assert.equal(gets().length, expected, `nothing before ${pause} s`);
      await pass(page, 400);
      expected += 1;
      await until(() => gets().length === expected, `asked after ${pause} s`);
      await statusIs(page, w.stale);
    }
    assert.equal(await items(page).count(), 1, 'the list stays');
    await alertIs(page, '');
    noRules();
    await pass(page, 60_100);
    await statusIs(page, w.back);
  });

  test(`${lang}: offline and back`, async () => {
    await book(['Grace']);
    const page = await open('/', { lang, clock: true });
    await shows(page, 1);
    await page.context().setOffline(true);
    await statusIs(page, w.offline);
    await pass(page, POLL);
    await statusIs(page, w.offline);
    const before = gets().length;
    // Chromium may tell the page before it lets requests out again; what failed then would wait for the clock, which stands still here.
    await until(async () => {
      await page.context().setOffline(true);
      await page.context().setOffline(false);
      return until(() => gets().length > before, 'asked at once', 2000).catch(() => false);
    }, 'asked at once');
    await statusIs(page, w.back);
  });
}

test('search waits for the last key, and a newer one ends the older request', async () => {
  await book(['Ada', 'Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 2);
  const search = page.getByRole('searchbox');
  await search.pressSequentially('ad');
  await pass(page, 250);
  await search.pressSequentially('a');
  await pass(page, 250);
  assert.equal(askedFor('GET', '/api/visitors?q=').length, 0);
  let release;
  rule('GET', '/api/visitors?q=ada', { hold: new Promise(done => { release = done; }) });
  await pass(page, 100);
  await until(() => askedFor('GET', '/api/visitors?q=ada').length === 1);
  const aborted = page.waitForEvent('requestfailed', one => one.url().includes('q=ada'));
  await search.fill('grace');
  await pass(page, 350, { waiting: false });
  await aborted;
  await statusIs(page, '1 name found.');
  release();
  await pass(page, 1000);
  assert.deepEqual(await names(page), ['Grace']);
  assert.deepEqual(askedFor('GET', '/api/visitors?q=').map(one => one.path), ['/api/visitors?q=ada', '/api/visitors?q=grace']);
});

test('those found are not said to be everyone', async () => {
  await book(['Ada', 'Grace']);
  const page = await open('/?q=ada');
  await shows(page, 1);
  const everyone = page.getByText('That is everyone.');
  assert.equal(await everyone.isVisible(), false);
  await page.getByRole('searchbox').press('Escape');
  await shows(page, 2);
  assert.equal(await everyone.isVisible(), true);
});

test('a search of white space is none; one longer than any name finds nothing without asking', async () => {
  await book(['Ada']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  await page.getByRole('searchbox').fill('   ');
  await pass(page, 400);
  await page.getByRole('searchbox').fill('x'.repeat(51));
  await pass(page, 400);
  await statusIs(page, `No name contains “${'x'.repeat(51)}”.`);
  assert.equal(askedFor('GET', '/api/visitors?q=').length, 0);
});

test('a search with U+0000, which no name has, finds nothing without asking', async () => {
  await book(['Ada']);
  const page = await open('/?q=%00', { clock: true });
  await statusIs(page, 'No name contains “\0”.');
  await page.getByRole('searchbox').fill('a\0d');
  await pass(page, 400);
  await statusIs(page, 'No name contains “a\0d”.');
  await pass(page, POLL);
  await alertIs(page, '');
  assert.equal(gets().length, 0);
  await page.getByRole('searchbox').press('Escape');
  await pass(page, 10);
  await shows(page, 1);
});

test('a search is what is polled while it is active', async () => {
  await book(['Ada', 'Grace']);
  const page = await open('/?q=ada', { clock: true });
  await statusIs(page, '1 name found.');
  await others('Barbara', 'Adam');
  await pass(page, POLL);
  await statusIs(page, '1 new visitor: Adam.');
  assert.deepEqual(await names(page), ['Adam', 'Ada']);
  assert.ok(gets().every(one => one.path === '/api/visitors?q=ada'));
});

test('an own signature stays in the list of a search only if it matches', async () => {
  await book(['Ada']);
  const page = await open('/?q=ada', { clock: true });
  await statusIs(page, '1 name found.');
  const sign = async name => {
    await page.getByLabel('Your name').fill(name);
    await page.getByLabel('Your name').press('Enter');
    await statusIs(page, added(name));
  };
  await sign('Grace');
  await until(async () => (await names(page)).join() === 'Ada', 'only the match');
  await page.getByText('2 visitors, 2 today').waitFor();
  await sign('Adam');
  await page.getByText('3 visitors, 3 today').waitFor();
  assert.deepEqual(await names(page), ['Adam', 'Ada']);
  await page.getByRole('searchbox').fill('zzz');
  await pass(page, 400);
  await statusIs(page, 'No name contains “zzz”.');
  await sign('Barbara');
  await page.locator('main').getByText('No name contains “zzz”.').waitFor();
  assert.equal(await page.getByRole('list').count(), 0);
});

test('an unchanged page costs one 304, and the days are not asked for again', async () => {
  await book(numbered(3));
  const page = await open('/', { clock: true });
  await shows(page, 3);
  await until(() => stats().length === 1);
  for (const times of [2, 3, 4]) {
    await pass(page, POLL);
    await until(() => gets().filter(one => one.status).length === times);
  }
  assert.ok(gets().slice(1).every(one => one.status === 304 && one.headers['if-none-match']), JSON.stringify(gets().map(one => one.status)));
  assert.equal(stats().length, 1);
  assert.equal(await page.getByRole('status').textContent(), '');
  await others('Ada');
  await pass(page, POLL);
  await page.getByText('4 visitors, 4 today').waitFor();
  assert.equal(stats().length, 2);
});

test('rows that were deleted go', async () => {
  await book(numbered(25));
  const page = await open('/', { clock: true });
  await shows(page, 20);
  await sql('DELETE FROM visitors WHERE id IN (25, 20, 10)');
  await pass(page, POLL);
  await until(async () => (await names(page)).join() === numbered(25).filter((_, i) => ![24, 19, 9].includes(i)).reverse().slice(0, 20).join());
  assert.equal(await page.getByRole('status').textContent(), '', 'older rows that moved up are not new');
});

test('older pages stay while new rows come; without overlap the list starts anew', async () => {
  await book(numbered(50));
  const page = await open('/', { clock: true });
  await shows(page, 20);
  await page.getByRole('button', { name: 'Show older visitors' }).click();
  await shows(page, 40);
  await others('Ada');
  await pass(page, POLL);
  await shows(page, 41);
  await others(...numbered(20, 'Other'));
  await pass(page, POLL);
  await shows(page, 20);
  await statusIs(page, '20 new visitors.');
  await page.getByRole('button', { name: 'Show older visitors' }).click();
  await shows(page, 40);
  assert.deepEqual((await names(page)).slice(19, 23), ['Other 1', 'Ada', 'Visitor 50', 'Visitor 49']);
});

test('a list that starts anew ends the request for older rows: it has no gap', async () => {
  await book(numbered(45));
  const page = await open('/', { clock: true });
  await shows(page, 20);
  await pass(page, 5000);   // so that the next poll comes before the older rows are late
  let release;
  rule('GET', '/api/visitors?limit=', { hold: new Promise(done => { release = done; }) }, 1);
  const older = page.getByRole('button', { name: 'Show older visitors' });
  await older.click();
  const held = await until(() => askedFor('GET', '/api/visitors?limit=')[0]);
  await others(...numbered(25, 'Other'));
  await pass(page, 5100, { waiting: false });
  await statusIs(page, '20 new visitors.');
  release();
  await until(() => held.status === 200);
  await pass(page, 0);
  const all = [...numbered(45), ...numbered(25, 'Other')].reverse();
  assert.deepEqual(await names(page), all.slice(0, 20));
  await older.click();
  await shows(page, 40);
  assert.deepEqual(await names(page), all.slice(0, 40));
});

test('a search ends the request for older rows, and nothing is said to have failed', async () => {
  await book(['Ada', ...numbered(44)]);
  const page = await open('/', { clock: true });
  await shows(page, 20);
  let release;
  const hold = new Promise(done => { release = done; });
  rule('GET', '/api/visitors?limit=', { hold });
  rule('GET', '/api/visitors?q=', { hold });   // its answer would take an alert about the older rows away
  await page.getByRole('button', { name: 'Show older visitors' }).click();
  await until(() => askedFor('GET', '/api/visitors?limit=').length === 1);
  const aborted = page.waitForEvent('requestfailed', one => one.url().includes('limit='));
  await page.getByRole('searchbox').fill('ada');
  await pass(page, 350, { waiting: false });
  await aborted;
  await until(() => askedFor('GET', '/api/visitors?q=ada').length === 1);
  assert.equal(await page.getByRole('alert').textContent(), '');
  release();
  await statusIs(page, '1 name found.');
  assert.deepEqual(await names(page), ['Ada']);
  assert.equal(await page.getByRole('alert').textContent(), '');
});

test('the live switch stops and starts it, and is kept', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  const live = page.getByRole('switch', { name: 'Live updates' });
  await live.press('Space');
  assert.equal(await live.isChecked(), false);
  await others('Ada');
  const before = gets().length;
  await pass(page, 120_000);
  assert.equal(gets().length, before);
  await page.reload();
  await shows(page, 2);
  assert.equal(await live.isChecked(), false);
  await others('Barbara');
  await live.press('Space');
  await shows(page, 3);
});

test('the live switch ends a poll that is under way', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  await others('Ada');
  let release;
  rule('GET', '/api/visitors', { hold: new Promise(done => { release = done; }) }, 1);
  await pass(page, POLL);
  const held = await until(() => gets()[1]);
  await page.getByRole('switch').press('Space');
  release();
  await until(() => held.status === 200);
  await pass(page, 1000);
  assert.deepEqual(await names(page), ['Grace']);
  assert.equal(await page.getByRole('status').textContent(), '');
});

test('without live updates an own signature is shown and counted, and nothing else comes', async () => {
  await book(['Grace']);
  const page = await open('/');
  await shows(page, 1);
  await page.getByRole('switch').press('Space');
  await others('Barbara');
  const before = gets().length;
  await page.getByLabel('Your name').fill('Ada');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await statusIs(page, added('Ada'));
  await page.getByText('3 visitors, 3 today').waitFor();
  assert.deepEqual(await names(page), ['Ada', 'Grace']);
  assert.equal(gets().length, before);
});

test('a page left open for days does not grow for ever', async () => {
  await book(numbered(20));
  const page = await open('/', { clock: true });
  await shows(page, 20);
  for (let count = 20; count < 270;) {
    await sql("INSERT INTO visitors (name) SELECT 'Other ' || i FROM generate_series(1, 19) AS i");
    count += 19;
    await pass(page, POLL);
    await shows(page, Math.min(count, 200));
  }
  const last = (await names(page)).at(-1);
  await page.getByRole('button', { name: 'Show older visitors' }).click();
  await shows(page, 220);
  assert.notEqual((await names(page))[200], last, 'the older page begins where the list ended');
});

test('a hidden page asks nothing, and at once when it is seen again', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  await hide(page);
  const before = asked.length;
  await pass(page, 300_000);
  assert.equal(asked.length, before);
  await others('Ada');
  await hide(page, false);
  await shows(page, 2);
});

test('relative times tick without being said', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  const time = items(page).first().locator('time');
  assert.equal(await time.textContent(), 'now');
  await page.clock.fastForward(210_000);   // whole seconds of the page's clock are no matter then
  await until(async () => (await time.textContent()) === '3 minutes ago');
  assert.equal(await page.getByRole('status').textContent(), '');
});

test('the UTC day changes: the days are asked for again', async () => {
  await book(['Grace']);
  const page = await open('/', { clock: true });
  await shows(page, 1);
  await until(() => stats().length === 1);
  await page.clock.fastForward(24 * 3600_000);
  await until(() => stats().length === 2);
});

test('new rows do not move what is being read', async () => {
  await book(numbered(60));
  for (const viewport of [{ width: 1280, height: 700 }, { width: 390, height: 844 }]) {
    const page = await open('/', { clock: true, viewport });
    await shows(page, 20);
    await items(page).nth(10).evaluate(one => one.scrollIntoView({ block: 'center' }));
    const top = async () => (await items(page).filter({ has: page.getByText(read, { exact: true }) }).boundingBox()).y;
    const read = await items(page).nth(10).locator('bdi').textContent();
    const before = await top();
    const count = await items(page).count();
    await others('Ada', 'Barbara', 'Clarice');
    await pass(page, POLL);
    await shows(page, count + 3);
    await until(async () => Math.abs((await top()) - before) <= 1, 'the row that is being read stands where it stood');
  }
});

test('a first load moves nothing: layout shift at most 0.01', async () => {
  const drawn = page => page.evaluate(() => new Promise(done => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  for (const rows of [20, 2, 0]) {
    await book(numbered(rows));
    for (const viewport of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
      for (const lang of ['en', 'pt-BR']) {
        let listed;
        rule('GET', '/api/stats', { hold: new Promise(done => { listed = done; }) }, 1);
        const page = await open(null, { viewport, lang });
        await page.addInitScript(() => {
          window.shift = 0;
          new PerformanceObserver(all => { for (const one of all.getEntries()) window.shift += one.value; }).observe({ type: 'layout-shift', buffered: true });
        });
        await page.goto('/');
        await page.getByText(rows ? /^That is everyone|^Esses são todos/ : /^Nobody has|^Ninguém assinou/).waitFor();
        await drawn(page);
        listed();
        await page.getByText(/ 30 (days|dias)/).waitFor();
        await drawn(page);
        const shift = await page.evaluate(() => window.shift);
        assert.ok(shift <= 0.01, `${rows} rows, ${viewport.width} ${lang}: ${shift}`);
      }
    }
  }
});

test('a small book leaves no hole above what follows it', async () => {
  await book(['Ada', 'Grace']);
  const page = await open('/', { viewport: { width: 390, height: 844 } });
  await shows(page, 2);
  const gap = async () => (await page.getByRole('region', { name: 'Visitors per day' }).boundingBox()).y
    - await list(page).evaluate(one => one.getBoundingClientRect().bottom + scrollY);
  assert.ok(await gap() < 120, `${await gap()} px`);
});

test('a total that was not counted is said as what is known', async () => {
  await book(numbered(30, 'Ada'));
  const page = await open('/');
  await shows(page, 20);
  // The service counts thirty rows at any time, so the proxy's answer stands for a table of a million.
  await page.route('**/api/visitors?q=*', async route => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), total: null } });
  });
  await page.getByRole('searchbox').fill('a');
  await statusIs(page, TEXTS.en.over);
});

const hold = () => {
  let release;
  const promise = new Promise(done => { release = done; });
  return { promise, release };
};
const signAs = async (page, name) => {
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Your name').press('Enter');
};
const latest = page => page.getByRole('region', { name: 'Latest visitors' });

test('without live updates a slow first read does not hide an own signature', async () => {
  await book(['Grace']);
  const page = await open(null);
  await page.addInitScript(() => localStorage.setItem('live', 'off'));
  const { promise, release } = hold();
  rule('GET', '/api/visitors', { stale: promise }, 1);
  await page.goto('/');
  await signAs(page, 'Ada');
  await statusIs(page, added('Ada'));
  release();
  await shows(page, 2);
  assert.deepEqual(await names(page), ['Ada', 'Grace']);
  await page.getByText('2 visitors, 2 today').waitFor();
});

test('a slow read does not bring back a row that was taken back', async () => {
  await book(numbered(25));
  const page = await open('/');
  await shows(page, 20);
  await page.getByRole('switch').press('Space');
  await signAs(page, 'Ada');
  await statusIs(page, added('Ada'));
  const { promise, release } = hold();
  rule('GET', '/api/visitors?q=', { stale: promise }, 1);
  await page.getByRole('searchbox').fill('ada');
  await until(() => askedFor('GET', '/api/visitors?q=').some(one => one.read));
  await page.getByRole('button', { name: 'Undo signing Ada' }).click();
  await until(() => askedFor('DELETE', '/api/visitors/').some(one => one.status === 204));
  release();
  await latest(page).getByText('No name contains “ada”.').waitFor();
  assert.deepEqual(await names(page), []);
});

test('the count agrees with the list, also where one signed during the first read', async () => {
  await book(['Grace']);
  const page = await open(null, { clock: true });
  const { promise, release } = hold();
  rule('GET', '/api/stats', { stale: promise }, 1);
  rule('GET', '/api/visitors', { stale: promise }, 1);
  await page.goto('/');
  await until(() => asked.filter(one => one.path.startsWith('/api/') && one.read).length === 2);
  await signAs(page, 'Ada');
  await statusIs(page, added('Ada'));
  release();
  await shows(page, 2);
  await page.getByText('2 visitors, 2 today').waitFor();
});

test('times are right on a machine whose clock is years off', async () => {
  await book([['Old', '3 days'], ['Grace', '3 minutes'], ['Ada', '0']]);
  for (const years of [-3, 3]) {
    const page = await open(null);
    await page.clock.install({ time: Date.now() + years * 365 * 24 * 3600_000 });
    await page.goto('/');
    await shows(page, 3);
    assert.deepEqual(await items(page).locator('time').allTextContents(), ['now', '3 minutes ago', '3 days ago']);
    assert.match(await page.locator('main').getByText(/, today$/).textContent(), /^[A-Z][a-z]{2} \d/);
  }
});

/** Answers reads of the list with what no test could put into the table. */
const answersWith = (page, visitors) => page.route('**/api/visitors', route => route.request().method() === 'GET'
  ? route.fulfill({ json: visitors, contentType: 'application/json' }) : route.continue());

test('dates that JavaScript does not know are shown as they came, and the page lives', async () => {
  await book(['Ada']);
  const page = await open(null);
  const odd = ['infinity', '-infinity', '10000-01-01T00:00:00.000000Z', 'nonsense'];
  await answersWith(page, { visitors: odd.map((created_at, i) => ({ id: 9 - i, name: `Visitor ${i}`, created_at })), total: 4, next: null });
  await page.goto('/');
  await shows(page, 4);
  assert.deepEqual(await items(page).locator('time').allTextContents(), odd);
  await page.getByRole('button', { name: 'Português' }).click();
  await items(page).first().getByText('nº 9').waitFor();
  await signAs(page, 'Grace').catch(() => {});
});

test('ids that a JavaScript number cannot hold are shown exactly and never acted on', async () => {
  await book(['Ada']);
  const page = await open('/');
  const ids = ['9223372036854775807', '9007199254740993', '9007199254740992'];
  const visitors = ids.map(id => `{"id":${id},"name":"\\"id\\":${id}","created_at":"2026-01-01T00:00:00.000000Z"}`);
  await page.route('**/api/visitors', route => (route.request().method() === 'GET'
    ? route.fulfill({ body: `{"visitors":[${visitors}],"total":3,"next":null}`, contentType: 'application/json' }) : route.continue()));
  await page.reload();
  await shows(page, 3);
  assert.deepEqual(await names(page), ids.map(id => `"id":${id}`));
  for (const id of ids) await items(page).getByText(`no. ${id}`, { exact: true }).waitFor();
  await page.getByText('Optional. Up to 50 characters.').waitFor();
});

test('older pages grow to a hundred after the third press', async () => {
  await sql("TRUNCATE visitors, idempotency_keys RESTART IDENTITY; INSERT INTO visitors (name) SELECT 'V ' || i FROM generate_series(1, 300) AS i");
  const page = await open('/');
  const older = page.getByRole('button', { name: 'Show older visitors' });
  for (const n of [40, 60, 80, 180, 280]) {
    await older.click();
    await shows(page, n);
  }
  await statusIs(page, '100 more visitors shown.');
  assert.deepEqual(await names(page), Array.from({ length: 280 }, (_, i) => `V ${300 - i}`));
});

test('an input method has Escape and Enter for itself', async () => {
  await book(['Ada']);
  const page = await open('/');
  await shows(page, 1);
  const search = page.getByRole('searchbox');
  await search.fill('ad');
  const prevented = (locator, key) => locator.evaluate((one, value) =>
    !one.dispatchEvent(new KeyboardEvent('keydown', { key: value, isComposing: true, bubbles: true, cancelable: true })), key);
  await prevented(search, 'Escape');
  assert.equal(await search.inputValue(), 'ad');
  assert.equal(await prevented(page.getByLabel('Your name'), 'Enter'), true, 'it does not sign');
});

test('a message stands where its cause is', async () => {
  await book(numbered(45));
  const page = await open('/');
  await shows(page, 20);
  assert.equal(await page.getByRole('form', { name: 'Sign the book' }).getByRole('alert').count(), 1);
  rule('GET', '/api/visitors?', { status: 503 }, 2);
  await page.getByRole('searchbox').fill('v');
  await latest(page).getByRole('alert').getByText(/^That did not load\./).waitFor();
  await page.getByRole('searchbox').press('Escape');
  await alertIs(page, '');
  await page.getByRole('button', { name: 'Show older visitors' }).click();
  await latest(page).getByRole('alert').getByText(/^That did not load\./).waitFor();
  assert.equal(await page.getByRole('alert').count(), 1);
  assert.equal(await page.getByRole('status').count(), 1);
});

test('what is said of a name, or calmly of a signature, takes the place of the hint and moves nothing', async () => {
  await book(['Grace']);
  for (const viewport of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
    const page = await open('/', { viewport });
    await shows(page, 1);
    const name = page.getByRole('textbox', { name: 'Your name' }), button = page.getByRole('button', { name: 'Sign the book' });
    const top = async one => (await one.boundingBox()).y;
    const before = await top(button);
    await name.fill('x'.repeat(51));
    await name.press('Enter');
    await alertIs(page, /^A name has at most/);
    assert.ok(await top(page.getByRole('alert')) < before, 'it stands above the button');
    assert.equal(await top(button), before);
    rule('POST', '/api/visitors', { cut: true });
    await name.fill('Ada');
    await name.press('Enter');
    await alertIs(page, /^The book is out of reach/);
    assert.ok(await top(page.getByRole('alert')) < await top(button), 'it stands above the button');
    assert.equal(await page.getByText('Signing…', { exact: true }).evaluate(one => getComputedStyle(one).clipPath), 'inset(50%)', 'one is enough for the eyes');
    noRules();
    await page.close();
  }
});

test('an empty book invites, and has no chart', async () => {
  await book([['Ada', '40 days']]);
  const page = await open('/');
  const days = page.getByRole('region', { name: 'Visitors per day' });
  await days.getByText('No visitors in 30 days.').waitFor();
  assert.equal(await days.getByRole('img').count(), 0);
  assert.equal(await days.getByRole('button').count(), 0);
  await book();
  await page.reload();
  await page.getByText('Nobody has signed yet. Be the first.').waitFor();
  await days.getByText('No visitors in 30 days.').waitFor();
});
