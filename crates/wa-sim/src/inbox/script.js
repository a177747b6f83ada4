// Shows what the server renders, as it comes, and takes what people do to the control API.
'use strict';

const byId = id => document.getElementById(id);
const NEAR_END = 80; // pixels from the end of a chat that still count as reading its end
const TYPING = 150; // milliseconds without a key before a search starts
const ALERT = 8000; // milliseconds a problem stays on the screen

// Times are rendered on the server, in the zone of whoever looks.
document.cookie = `utc_offset=${-new Date().getTimezoneOffset()}; path=/; max-age=31536000; samesite=strict`;

function toEnd() {
  const log = byId('log');
  if (log) log.scrollTop = log.scrollHeight;
}

function show(parts) {
  const log = byId('log');
  const atEnd = log && log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
  const focused = document.activeElement?.id;
  const menuOpen = byId('menu')?.open;
  const known = new Set([...document.querySelectorAll('#log > li')].map(item => item.id));
  for (const [id, html] of Object.entries(parts)) {
    const element = byId(id);
    if (element) element.innerHTML = html;
  }
  if (parts.log && known.size) {
    for (const item of log.children) if (!known.has(item.id)) item.classList.add('new');
  }
  if (menuOpen && byId('menu')) byId('menu').open = true;
  // What had the focus may have been rendered anew.
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus({ preventScroll: true });
  if (atEnd) toEnd();
}

let source;
function listen() {
  source?.close();
  source = new EventSource(`/inbox/live${location.search}`);
  source.onmessage = event => {
    show(JSON.parse(event.data));
    document.documentElement.dataset.live = 'yes';
    byId('link').textContent = 'live';
  };
  source.onerror = () => {
    document.documentElement.dataset.live = 'no';
    byId('link').textContent = 'reconnecting';
  };
}

let alertEnds;
function trouble(text) {
  const box = byId('trouble');
  box.textContent = text;
  box.hidden = false;
  clearTimeout(alertEnds);
  alertEnds = setTimeout(() => { box.hidden = true; }, ALERT);
}

// Asks the control API. Tells what went wrong, and returns nothing then.
async function control(method, path, body) {
  try {
    const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
    const content = await answer.json();
    if (answer.ok) return content;
    trouble(content.error);
  } catch {
    trouble('The simulator does not answer.');
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// The rule of a switch, as often and for whom the fault panel says.
function scoped(button) {
  const rule = JSON.parse(button.dataset.add);
  const { often, only } = byId('scope').elements;
  if (often.value === 'once') rule.times = 1;
  if (often.value === 'some') rule.probability = 0.2;
  if (only?.checked && button.dataset.phoneIs) rule.match[button.dataset.phoneIs] = only.value;
  return rule;
}

async function switchFault(button) {
  let rules = await control('GET', '/control/faults');
  if (!rules) return;
  if (button.dataset.remove) {
    const gone = JSON.parse(button.dataset.remove);
    rules = rules.filter(rule => !same(rule, gone));
  } else if (button.getAttribute('aria-pressed') === 'true') {
    const preset = JSON.parse(button.dataset.add);
    rules = rules.filter(rule =>
      !(same(rule.action, preset.action) && rule.match.stanza === preset.match.stanza));
  } else {
    rules.push(scoped(button));
  }
  await control('PUT', '/control/faults', rules);
}

document.addEventListener('click', event => {
  const button = event.target.closest('button');
  const menu = byId('menu');
  if (menu?.open && (button?.closest('#menu') || !event.target.closest('#menu'))) menu.open = false;
  if (!button) return;
  const { method, path, body, add, remove } = button.dataset;
  if (path) control(method, path, JSON.parse(body));
  else if (add || remove) switchFault(button);
});

document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && byId('menu')?.open) {
    byId('menu').open = false;
    byId('menu').querySelector('summary').focus();
  }
  const writes = event.target.closest?.('.write textarea');
  if (writes && event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    writes.form.requestSubmit();
  }
});

byId('write')?.addEventListener('submit', async event => {
  event.preventDefault();
  const form = event.target;
  const { from = form.dataset.from, to = form.dataset.to, text } =
    Object.fromEntries(new FormData(form));
  if (!text.trim()) return;
  if (!await control('POST', '/control/messages', { from, to, text })) return;
  form.elements.text.value = '';
  if (form.dataset.from) return toEnd();
  const digits = number => number.replace(/\D/g, '');
  location.search = new URLSearchParams({ phone: digits(from), with: digits(to) });
});

let typed;
byId('search').addEventListener('input', event => {
  clearTimeout(typed);
  typed = setTimeout(() => {
    const place = new URLSearchParams(location.search);
    place.set('q', event.target.value);
    history.replaceState(null, '', `/?${place}`);
    listen();
  }, TYPING);
});

toEnd();
document.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
if (matchMedia('(hover: hover)').matches) document.querySelector('.write textarea')?.focus();
listen();
