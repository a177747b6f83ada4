// What htmx does not do by itself.

// A form that is on its way is not sent a second time.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  event.target.dataset.sent = "yes";
  event.target.setAttribute("aria-busy", "true");
});

// The page can be looked at again with the Back button: then its forms are new.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  // A part that renews itself stays as it was, and the page says that it may be old.
  if (event.target.matches(".live")) {
    document.getElementById("stale").hidden = event.detail.successful;
  }
  delete event.target.dataset.sent;
  event.target.removeAttribute("aria-busy");
});

// Parts that renew themselves. The server tells when something may have changed, and each part then
// asks, as often as it says at most. Without events, parts ask as if something always had.
const TURN_MS = 250;
const loaded = Date.now();
const asked = new Map();
let changed = Infinity;
let events;
function listen() {
  events?.close();
  changed = Infinity;
  // A page that nobody sees asks nothing.
  if (document.hidden || !document.querySelector(".live")) return;
  events = new EventSource("/app/events");
  events.addEventListener("message", () => { changed = Date.now(); });
  events.addEventListener("error", () => { changed = Infinity; });
}
listen();
document.addEventListener("visibilitychange", listen);
setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  for (const part of document.querySelectorAll(".live")) {
    const last = asked.get(part.id) ?? loaded;
    if (last > changed || now - last < part.dataset.every) continue;
    asked.set(part.id, now);
    htmx.trigger(part, "renew");
  }
}, TURN_MS);

// An error answer of a part of a page is shown in its place.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400 && !event.target.matches(".live")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// What only works with this script is shown by it. Browsers let pages copy only over TLS and on
// this machine.
const shown = navigator.clipboard ? "[data-needs-script], [data-copy]" : "[data-needs-script]";
function prepare(root) {
  for (const element of root.querySelectorAll(shown)) element.hidden = false;
}
prepare(document);
document.addEventListener("htmx:load", (event) => prepare(event.target));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  button.textContent = button.dataset.copied;
});

// A file is read into a field of the form, where it can be seen before it is sent.
document.addEventListener("change", async (event) => {
  const into = event.target.dataset.readsInto;
  const file = event.target.files?.[0];
  if (!into || !file) return;
  document.getElementById(into).value = await file.text();
});

// A field above a list leaves what has its text in it.
document.addEventListener("input", (event) => {
  const list = document.getElementById(event.target.dataset.filter ?? "");
  const wanted = event.target.value?.trim().toLowerCase();
  for (const choice of list?.querySelectorAll("label") ?? []) {
    choice.hidden = !choice.textContent.toLowerCase().includes(wanted);
  }
});

// Where a search shows what it finds by itself, Enter must not send the form around it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[type=search][data-filter], [type=search][hx-post]")) {
    event.preventDefault();
  }
});
