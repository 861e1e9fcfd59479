// The plain page: shows the newest, adds one, and asks for older ones. An addition whose answer was lost is sent again with the same
// key, so that it is added once.
const element = (id) => document.getElementById(id);
const list = element('list');
// Not randomUUID(): a page that did not come over TLS has none, but on this very machine.
const newKey = () => crypto.getRandomValues(new Uint8Array(16)).join('-');
let key = newKey();
let next = null;

const line = ({ text }) => {
  const item = document.createElement('li');
  item.dir = 'auto';
  item.textContent = text;
  return item;
};

async function show(path, replace) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error('The list cannot be loaded just now.');
  const page = await answer.json();
  const lines = page.notes.map(line);
  if (replace) list.replaceChildren(...lines);
  else list.append(...lines);
  element('total').textContent = `${page.total} in all`;
  next = page.next;
  element('more').hidden = next === null;
}

async function add(text) {
  const answer = await fetch('/api/notes', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify({ text }),
  });
  // Only a failure of ours can have added it all the same.
  if (answer.status < 500) key = newKey();
  if (!answer.ok) throw new Error((await answer.json()).detail);
}

async function attempt(action) {
  try {
    await action();
    element('status').textContent = '';
  } catch (error) {
    element('status').textContent = error instanceof TypeError ? 'The service does not answer; try again.' : error.message;
  }
}

element('form').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    await add(element('text').value);
    element('form').reset();
    await show('/api/notes', true);
  });
});
element('more').addEventListener('click', () => attempt(() => show(next, false)));
attempt(() => show('/api/notes', true));
