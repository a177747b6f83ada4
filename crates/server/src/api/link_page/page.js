"use strict";

// How often the state is asked for, in milliseconds.
const LOOK_EVERY = 2000;
// Where the browser keeps a typed key until the tab is closed.
const KEY = "kabari-api-key";

// The addresses of the same link beside this page's own.
const base = location.pathname.replace(/qr\/?$/, "");

const texts = {
  // The other Indonesian texts are those of the page itself.
  id: {
    loading: "Memuat status…",
    silent: "kabari tidak menjawab. Pastikan kabari serve berjalan.",
    locked: "Kunci API diperlukan untuk melihat status.",
    wrongKey: "Kunci API salah. Periksa nilai API_KEY di server.",
    noCode: "Kode tidak dapat dibuat. Periksa nomornya, lalu coba lagi.",
    until: "sampai",
    states: {
      starting: "Sedang mulai…",
      not_linked: "Belum tertaut: pindai kode QR, atau pakai kode.",
      connecting: "Tertaut, sedang menyambung ke WhatsApp…",
      connected: "Terhubung",
      unreachable: "Gateway WhatsApp tidak menjawab. Periksa WA_GATEWAY_URL.",
      logged_out: "Perangkat ini dikeluarkan dari ponsel. Tautkan lagi.",
      replaced: "Sesi ini dibuka di tempat lain. Tutup yang lain, lalu restart WhatsApp di sini.",
      banned: "Nomor ini diblokir sementara oleh WhatsApp",
      client_outdated: "WhatsApp menolak versi ini. Perbarui kabari.",
    },
  },
  en: {
    title: "Link WhatsApp",
    loading: "Loading the state…",
    silent: "kabari does not answer. Make sure that kabari serve runs.",
    locked: "The API key is needed to see the state.",
    wrongKey: "The API key is wrong. Look at API_KEY on the server.",
    key: "API key (API_KEY)",
    keyButton: "Open",
    linkedHint: "Messages can be sent. You may close this page.",
    noQr: "The QR code is being prepared…",
    qrTitle: "Scan the QR code",
    step1: "Open WhatsApp on the phone that is to send the messages.",
    step2: "Open Settings (iPhone) or the ⋮ menu (Android), then Linked devices.",
    step3: "Tap Link a device, and point the camera at this code.",
    renewed: "The code renews itself; there is no need to reload.",
    codeTitle: "No camera: link with a code",
    phone: "WhatsApp number of that phone",
    codeButton: "Get a code",
    codeHint: "On the phone: Linked devices, Link a device, Link with phone number. Type this code there; it holds for a few minutes.",
    noCode: "There is no code. Check the number, then try again.",
    until: "until",
    states: {
      starting: "Starting…",
      not_linked: "Not linked: scan the QR code, or use a code.",
      connecting: "Linked, connecting to WhatsApp…",
      connected: "Connected",
      unreachable: "The WhatsApp gateway does not answer. Check WA_GATEWAY_URL.",
      logged_out: "This device was removed on the phone. Link it again.",
      replaced: "The session was opened elsewhere. Close the other one, then restart WhatsApp here.",
      banned: "WhatsApp has banned the number for a time",
      client_outdated: "WhatsApp refuses this version. Update kabari.",
    },
  },
};

const waiting = ["starting", "not_linked", "connecting"];
const linkable = ["starting", "not_linked", "logged_out"];

const element = (id) => document.getElementById(id);
for (const translated of document.querySelectorAll("[data-text]")) {
  texts.id[translated.dataset.text] = translated.textContent;
}

let language = navigator.languages.some((name) => /^(id|ms|jv|su)\b/.test(name)) ? "id" : "en";
// What is shown: the link's status, or one of the texts above when it is not known.
let shown = { text: "loading" };

function show() {
  const words = texts[language];
  document.documentElement.lang = language;
  document.title = `${words.title} · kabari`;
  for (const translated of document.querySelectorAll("[data-text]")) {
    translated.textContent = words[translated.dataset.text];
  }
  for (const button of document.querySelectorAll(".language")) {
    button.ariaPressed = String(button.value === language);
  }
  const { text, status } = shown;
  let said = status ? words.states[status.state] ?? status.message : words[text];
  if (status?.banned_until) {
    said += ` ${words.until} ${new Date(status.banned_until).toLocaleString(language)}`;
  }
  element("state-text").textContent = said;
  const isWaiting = status ? waiting.includes(status.state) : text === "loading";
  element("state").className = status?.connected ? "good" : isWaiting ? "waiting" : "bad";
  element("linked").hidden = !status?.connected;
  element("number").textContent = status?.phone_number ? `+${status.phone_number}` : "";
  element("linking").hidden = !status || !linkable.includes(status.state);
  element("key").hidden = text !== "locked" && text !== "wrongKey";
}

function showQr(address) {
  const image = element("qr");
  if (address && image.src !== address) image.src = address;
  image.hidden = !address;
  element("no-qr").hidden = Boolean(address);
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { accept: "application/json", ...options.headers };
  if (key) headers["x-api-key"] = key;
  const answer = await fetch(base + path, { cache: "no-store", ...options, headers });
  if (answer.status === 401) throw key ? "wrongKey" : "locked";
  return answer.json();
}

let timer;
async function look() {
  clearTimeout(timer);
  try {
    const status = await ask("status");
    if (linkable.includes(status.state)) showQr((await ask("qr")).qr);
    shown = { status };
  } catch (fault) {
    shown = { text: typeof fault === "string" ? fault : "silent" };
  }
  show();
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, LOOK_EVERY);
}

async function pair(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  let answer = {};
  button.disabled = true;
  try {
    const body = JSON.stringify({ phone: element("phone").value });
    const headers = { "content-type": "application/json" };
    answer = await ask("pair", { method: "POST", headers, body });
  } catch {
    // Said below, like any other reason.
  }
  button.disabled = false;
  element("code").textContent = answer.code ?? "";
  element("code").hidden = element("code-hint").hidden = !answer.code;
  // The API gives its reasons in Indonesian.
  const reason = language === "id" ? answer.error : undefined;
  element("pair-error").textContent = reason ?? texts[language].noCode;
  element("pair-error").hidden = Boolean(answer.code);
}

element("pair").addEventListener("submit", pair);
element("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, element("key-field").value.trim());
  look();
});
for (const button of document.querySelectorAll(".language")) {
  button.addEventListener("click", () => {
    language = button.value;
    show();
  });
}
document.addEventListener("visibilitychange", look);
show();
look();
