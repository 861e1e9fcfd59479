// What holds for the page as a whole: axe in every state, scheme and language; widths, zoom and text size; budgets;
// hostile names; security headers as the browser sees them; print, forced colours and reduced motion.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ADMIN_TOKEN, STACK, alertIs, asked, noRules, open, rule, sql, statusIs, until } from '../stage.mjs';
import { added, book, items, numbered, shows } from './book.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const file = name => readFile(new URL(`../../../html/${name}`, import.meta.url));
const field = page => page.getByRole('textbox', { name: /^(Your name|Seu nome)$/ });

/** In the second scheme only the rules about colour can find anything new. */
async function isAccessible(page, where) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  for (const [colorScheme, only] of [['light', {}], ['dark', { runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] } }]]) {
    await page.emulateMedia({ colorScheme });
    const violations = await page.evaluate(async rules => (await window.axe.run(document, { ...rules, resultTypes: ['violations'] })).violations
      .map(one => `${one.id}: ${one.nodes.map(node => `${node.target} ${node.failureSummary}`).join(' | ')}`), only);
    assert.deepEqual(violations, [], `${where}, ${colorScheme}`);
  }
}

const held = new Promise(() => {});
const STATES = {
  loading: { before: () => rule('GET', '/api/visitors', { hold: held }), reach: page => page.locator('[aria-busy=true]').waitFor() },
  failed: { before: () => rule('GET', '/api/', { status: 503 }), reach: page => page.getByRole('alert').getByRole('button').waitFor() },
  empty: { before: () => book(), reach: page => page.locator('#empty').waitFor() },
  list: { before: () => book(numbered(25)), reach: page => shows(page, 20) },
  everyone: { before: () => book(['Ada', 'مريم', 'W'.repeat(50)]), reach: page => shows(page, 3) },
  table: { before: () => book(['Ada']), reach: page => page.getByRole('button', { name: /^(Show as table|Mostrar como tabela)$/ }).click() },
  signing: {
    before: () => book(['Grace']),
    reach: async page => {
      rule('POST', '/api/visitors', { status: 503, headers: { 'Retry-After': '600' } });
      await field(page).fill('Ada');
      await field(page).press('Enter');
      await page.getByRole('alert').getByText(/e57e57e57e57$/).waitFor();
    },
  },
  limited: {
    before: () => book(['Grace']),
    reach: async page => {
      rule('POST', '/api/visitors', { status: 429, headers: { 'Retry-After': '600' } });
      await field(page).fill('Ada');
      await field(page).press('Enter');
      await page.getByRole('timer').waitFor();
    },
  },
  badName: {
    before: () => book(['Grace']),
    reach: async page => {
      await field(page).fill('x'.repeat(60));
      await field(page).press('Enter');
      await page.locator('[aria-invalid=true]').waitFor();
    },
  },
  noMatch: { before: () => book(['Grace']), path: '/?q=zzz', reach: page => page.locator('#empty').waitFor() },
  operators: { before: () => book(['Grace']), path: '/#operators', reach: page => page.getByText(/^Vers/).waitFor() },
  unlocked: {
    before: () => book(numbered(3)),
    path: '/#operators',
    reach: async page => {
      await page.locator('input[type=password]').fill(ADMIN_TOKEN);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: /^(Delete|Excluir) .+ \d+, (no\.|nº) \d+$/ }).first().waitFor();
    },
  },
  dialog: {
    before: () => book(numbered(3)),
    path: '/#operators',
    reach: async page => {
      await STATES.unlocked.reach(page);
      await page.getByRole('button', { name: /^(Delete|Excluir) .+ \d+, (no\.|nº) \d+$/ }).first().click();
      await page.getByRole('dialog').waitFor();
    },
  },
};

for (const [name, state] of Object.entries(STATES)) {
  test(`accessible: ${name}`, async () => {
    await book(['Grace']);
    await state.before();
    for (const lang of ['en', 'pt-BR']) {
      const page = await open(state.path ?? '/', { lang, reducedMotion: 'reduce' });
      await state.reach(page);
      await isAccessible(page, lang);
      for (const width of [320, 390, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(over <= 0, `${lang}: ${over} px too wide at ${width}`);
      }
      await page.close();
    }
  });
}

test('accessible on a phone, by touch: every target is at least 44 by 44, and 24 by 24 elsewhere', async () => {
  await book(numbered(25));
  for (const [hasTouch, least] of [[true, 44], [false, 24]]) {
    const page = await open('/#operators', { viewport: { width: 390, height: 844 }, hasTouch, isMobile: hasTouch });
    await STATES.unlocked.reach(page);
    await isAccessible(page, 'phone');
    const small = await page.locator('button, a, input, label:has([role=switch])').evaluateAll((all, min) => all
      .filter(one => one.checkVisibility() && one.type !== 'checkbox' && !one.classList.contains('skip'))
      .map(one => [one.getBoundingClientRect(), one]).filter(([box]) => Math.min(box.width, box.height) < min)
      .map(([box, one]) => `${one.textContent || one.id} ${box.width}×${box.height}`), least);
    assert.deepEqual(small, []);
  }
});

test('no sideways scrolling at 400 % zoom or with the text size doubled, and one column there', async () => {
  await book(['W'.repeat(50), 'مريم', 'Z̷̢̛̛͇̻̳̳̏̿͛͌̈́͋'].concat(numbered(25)));
  for (const [viewport, size] of [[{ width: 320, height: 256 }, '100%'], [{ width: 1280, height: 900 }, '200%'], [{ width: 390, height: 844 }, '200%'], [{ width: 320, height: 568 }, '200%']]) {
    const page = await open('/#operators', { viewport });
    const session = await page.context().newCDPSession(page);
    if (size !== '100%') await session.send('Emulation.setEmulatedMedia', { media: 'screen' });
    if (size !== '100%') await page.evaluate(value => { document.documentElement.style.fontSize = value; }, size);
    await STATES.unlocked.reach(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(over <= 0, `${over} px too wide at ${viewport.width}, text ${size}`);
  }
});

test('one column up to 800 px, two from there', async () => {
  await book(['Ada']);
  const page = await open('/');
  await shows(page, 1);
  for (const [width, beside] of [[800, false], [801, true], [1280, true]]) {
    await page.setViewportSize({ width, height: 900 });
    const form = await page.getByRole('form').boundingBox();
    const latest = await page.getByRole('region', { name: 'Latest visitors' }).boundingBox();
    assert.equal(latest.x >= form.x + form.width, beside, `at ${width}`);
  }
});

for (const viewport of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) test(`at ${viewport.width} px a row does not grow for its delete button, and clips what would paint outside it`, async () => {
  await book(['Z' + '\u0300'.repeat(49), 'Ada 1']);
  const page = await open('/', { viewport });
  await shows(page, 2);
  const before = (await items(page).first().boundingBox()).height;
  await page.getByRole('button', { name: 'For operators' }).click();
  await STATES.unlocked.reach(page);
  assert.equal((await items(page).first().boundingBox()).height, before);
  assert.equal(await items(page).last().evaluate(one => getComputedStyle(one).overflow), 'clip');
});

test('budgets: size, lines, requests of a first load, and everything compressed', async () => {
  const files = ['index.html', 'app.js', 'style.css', 'icon.svg', 'robots.txt'];
  const sizes = await Promise.all(files.map(async name => gzipSync(await file(name)).length));
  const sum = sizes.reduce((all, one) => all + one, 0);
  assert.ok(sum < 24_000, `${sum} bytes: ${files.map((name, i) => `${name} ${sizes[i]}`)}`);
  const lines = (await file('app.js')).toString().trimEnd().split('\n');
  assert.ok(lines.length < 800, `app.js has ${lines.length} lines`);
  assert.deepEqual(lines.filter(line => line.length > 120), []);
  await book(numbered(25));
  asked.length = 0;
  const page = await open('/');
  await shows(page, 20);
  await page.getByRole('img').waitFor();
  await page.waitForLoadState('load');
  const paths = asked.map(one => one.path).filter(path => path !== '/icon.svg').sort();
  assert.deepEqual(paths, ['/', '/api/stats?days=30', '/api/visitors', '/app.js', '/style.css'].sort());
  for (const path of ['/', '/app.js', '/style.css', '/icon.svg']) {
    const answer = await fetch(STACK + path, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(answer.headers.get('content-encoding'), 'gzip', path);
    assert.equal(answer.headers.get('cache-control'), 'no-cache', path);
    assert.ok(answer.headers.get('etag'), path);
  }
});

test('hostile names are text, the policy is the one agreed on, and nothing is stored but the choices', async () => {
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
  const hostile = ['<img src=x onerror=alert(1)>', '<script>alert(1)</script>', 'javascript:alert(1)', '{{7*7}}', '{name} {n} {wait}', '"><svg onload=alert(1)>'];
  await book(hostile);
  const page = await open(null);
  page.on('dialog', () => assert.fail('a dialog'));
  const answer = await page.goto('/?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&lang=%3Cb%3E');
  assert.equal(answer.headers()['content-security-policy'], policy);
  await statusIs(page, '1 name found.');
  await page.goto('/');
  await shows(page, hostile.length);
  assert.deepEqual((await items(page).locator('bdi').allTextContents()).reverse(), hostile);
  assert.equal(await page.locator('main img, main script, main svg[onload]').count(), 0);
  await field(page).fill('{name} {n}');
  await field(page).press('Enter');
  await statusIs(page, added('{name} {n}'));
  assert.equal(await page.locator('[style], [onclick], [onload], [onerror]').count(), 0);
  const kept = await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
  assert.deepEqual(kept, [[], ['own'], '']);   // for Undo
});

test('print: title, count and rows, nothing to press, black on white', async () => {
  await book(numbered(3));
  const page = await open('/', { colorScheme: 'dark' });
  await shows(page, 3);
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  assert.equal(await page.locator('button:visible, input:visible, form:visible, footer:visible, a:visible').count(), 0);
  // The page hears of the other medium a moment later.
  await until(async () => (await items(page).locator('time').evaluateAll(all => all.every(one => one.textContent === one.title))),
    'dates, not how long ago');
  for (const text of ['Visitor book', '3 visitors, 3 today', 'Visitor 1']) assert.ok(await page.getByText(text, { exact: true }).isVisible());
  const colours = await page.locator('.row').first().evaluate(one => [getComputedStyle(one).color, getComputedStyle(document.documentElement).backgroundColor]);
  assert.deepEqual(colours, ['rgb(0, 0, 0)', 'rgb(255, 255, 255)']);
  await page.setViewportSize({ width: 460, height: 680 });   // A5 within its margins
  const [name] = await page.locator('.row .who').evaluateAll(all => all.map(one => one.getBoundingClientRect().width));
  assert.ok(name >= 150, `on narrow paper a name has ${name} px`);
});

test('forced colours: what is pressed, checked and today can be told', async () => {
  await book(['Ada']);
  const page = await open('/', { forcedColors: 'active' });
  await shows(page, 1);
  await page.getByRole('img').waitFor();
  const look = selector => page.locator(selector).first().evaluate(one => `${getComputedStyle(one).backgroundColor} ${getComputedStyle(one).fill}`);
  assert.notEqual(await look('[aria-pressed=true]'), await look('[aria-pressed=false]'));
  assert.notEqual(await look('.today .bar'), await look('.day .bar'));
  const on = await look('[role=switch]');
  await page.getByRole('switch').click();
  assert.notEqual(await look('[role=switch]'), on);
});

test('motion only where it is welcome', async () => {
  await book(['Ada']);
  for (const [reducedMotion, animation] of [['no-preference', 'appear'], ['reduce', 'none']]) {
    const page = await open('/', { reducedMotion });
    await shows(page, 1);
    assert.equal(await items(page).first().evaluate(one => getComputedStyle(one).animationName), 'none', 'not at first load');
    rule('POST', '/api/visitors', { hold: held }, 1);
    await field(page).fill('Grace');
    await field(page).press('Enter');
    await page.locator('li[aria-busy=true]').waitFor();
    assert.equal(await page.locator('li[aria-busy=true]').evaluate(one => getComputedStyle(one).animationName), animation);
  }
});

test('by keyboard alone: sign, search, read older, unlock, delete', async () => {
  await book(numbered(21));
  const page = await open('/');
  await shows(page, 20);
  const keys = async (...all) => { for (const key of all) await page.keyboard.press(key); };
  await keys('Tab', 'Tab', 'Tab', 'Tab');
  await page.keyboard.type('Ada');
  await keys('Enter');
  await statusIs(page, added('Ada'));
  await keys('Tab', 'Tab');
  await page.keyboard.type('ada');
  await statusIs(page, '1 name found.');
  await keys('Escape');
  await shows(page, 20);
  await keys('Tab', 'Tab', 'Tab', 'Enter');   // past Undo
  await page.getByText('That is everyone.').waitFor();
  await shows(page, 22);
  await keys('Tab', 'Tab', 'Tab', 'Enter', 'Tab');
  await page.keyboard.type(ADMIN_TOKEN);
  await keys('Enter');
  await statusIs(page, 'Unlocked until you lock it or leave the page.');
  await page.getByRole('link', { name: 'API description' }).focus();
  await keys('Shift+Tab', 'Shift+Tab', 'Enter', 'Tab', 'Enter');
  await statusIs(page, 'Deleted: Visitor 1.');
  await shows(page, 21);
});

test('an alert is seen from wherever one reads', async () => {
  await book(numbered(21));
  const page = await open('/', { viewport: { width: 390, height: 844 } });
  await shows(page, 20);
  rule('GET', '/api/visitors?', { cut: true }, 1);
  await page.getByRole('button', { name: 'Show older visitors' }).click();
  await alertIs(page, /^That did not load\./);
  await until(() => page.getByRole('alert').evaluate(one => {
    const box = one.getBoundingClientRect();
    return box.top >= 0 && box.bottom <= window.innerHeight;
  }), 'the alert is in view');
  noRules();
  await page.getByRole('alert').getByRole('button', { name: 'Try again' }).click();
  await shows(page, 21);
});

test('on a phone two visitors are in view at once, and the form comes before the list, the list before the chart', async () => {
  await book(numbered(25));
  const page = await open('/', { viewport: { width: 390, height: 844 }, lang: 'pt-BR' });
  await shows(page, 20);
  const { y, height } = await items(page).nth(1).boundingBox();
  assert.ok(y + height <= 844, `the second ends at ${y + height}`);
  const tops = await page.locator('main > form, main > section').evaluateAll(all => all.map(one => one.getBoundingClientRect().top));
  assert.deepEqual(tops, tops.toSorted((a, b) => a - b));
});

test('times end in one line in all rows, and numbers in another', async () => {
  await book([['A', '400 days'], ['B', '59 minutes'], ['C', '1 day'], ['W'.repeat(50), '0'], ['E', '0']]);
  await sql('UPDATE visitors SET id = 1234567 WHERE id = 1');
  for (const [i, width] of [320, 390, 1280].entries()) {
    const page = await open('/', { viewport: { width, height: 900 }, lang: 'pt-BR' });
    await shows(page, 5 + i);
    await field(page).fill('Ada');
    await field(page).press('Enter');
    await page.getByRole('button', { name: /^Desfazer/ }).waitFor();
    for (const part of ['time', '.number']) {
      const ends = await items(page).locator(part).evaluateAll(all => all.map(one => {
        const range = document.createRange();
        range.selectNodeContents(one);
        return Math.round(range.getBoundingClientRect().right);
      }));
      assert.equal(new Set(ends).size, 1, `${part} at ${width}: ${ends}`);
    }
    const gaps = await items(page).evaluateAll(all => all.map(one => one.querySelector('.number').getBoundingClientRect().top
      - one.querySelector('time').getBoundingClientRect().bottom));
    assert.ok(gaps.every(gap => gap < 1), `a number stands under its time or beside it at ${width}: ${gaps}`);
    await page.close();
  }
});

test('a name is never translated, wherever it stands', async () => {
  await book(['Grace']);
  const page = await open('/');
  await shows(page, 1);
  await field(page).fill('Ada');
  await field(page).press('Enter');
  await page.getByRole('button', { name: 'Undo signing Ada' }).waitFor();
  await page.getByRole('button', { name: 'For operators' }).click();
  await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
  await page.getByLabel('Admin token').press('Enter');
  await page.getByRole('button', { name: 'Delete Grace, no. 1' }).click();
  await page.getByRole('dialog').waitFor();
  const around = await page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      if (/^(Ada|Grace)$/.test(walker.currentNode.data)) found.push(walker.currentNode.parentElement.translate);
    }
    return found;
  });
  assert.deepEqual(around, [false, false, false]);
});

test('two thousand rows: a press does not wait for them', async () => {
  await sql(`TRUNCATE visitors, idempotency_keys RESTART IDENTITY;
    INSERT INTO visitors (name, created_at) SELECT 'V ' || i, now() - i * interval '1 minute' FROM generate_series(1, 2100) AS i`);
  const page = await open('/');
  const older = page.getByRole('button', { name: 'Show older visitors' });
  for (let n = 40; n < 2000; n += n < 80 ? 20 : 100) {
    await older.press('Enter');
    await shows(page, n);
  }
  const inOneTask = await page.evaluate(() => {
    document.querySelector('[lang="pt-BR"]').click();
    return [...document.querySelectorAll('.number')].filter(one => one.textContent.startsWith('nº')).length;
  });
  assert.equal(inOneTask, 100);
  await until(() => items(page).last().locator('.number').textContent().then(text => text.startsWith('nº')));
  assert.equal(await items(page).last().evaluate(one => getComputedStyle(one).contentVisibility), 'auto');
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await until(() => page.getByRole('contentinfo').evaluate(one => one.getBoundingClientRect().top < innerHeight));
});

test('an address that leads nowhere is a page, in both languages', async () => {
  const page = await open('/nope', { allow: () => true });
  await page.getByRole('heading', { name: 'There is nothing here.' }).waitFor();
  await isAccessible(page, 'nowhere');
  await page.getByRole('link', { name: 'Ir para o livro de visitas' }).click();
  await page.getByRole('heading', { name: 'Livro de visitas' }).waitFor();
});

test('what others see of a link to the page is there', async () => {
  const page = await open('/');
  for (const path of await page.locator('meta[property="og:image"], link[rel="apple-touch-icon"]')
    .evaluateAll(all => all.map(one => one.content ?? one.getAttribute('href')))) {
    const answer = await fetch(STACK + path);
    assert.equal(answer.headers.get('content-type'), 'image/png', path);
    assert.ok((await answer.arrayBuffer()).byteLength < 30_000, `${path} is small`);
  }
  assert.equal(await page.locator('meta[name="theme-color"]').count(), 2);
});
