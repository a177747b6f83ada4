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
    timeLeft: "Sisa waktu",
    copied: "Tersalin.",
    selected: "Terpilih: tekan Ctrl+C.",
    noJson: "Itu bukan JSON. Salin seluruh baris yang ditampilkan konsol, dari { sampai }.",
    states: {
      starting: "Sedang mulai…",
      not_linked: "Belum tertaut: pindai kode QR, atau pakai kode.",
      passkey_required: "WhatsApp meminta passkey akun ini",
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
    passkeyTitle: "One more step: the passkey",
    passkeyWhy: "This account is protected by a passkey: a key that your phone or computer keeps, unlocked by fingerprint, face or PIN. Only a browser that can use that key can answer, and only on WhatsApp's own page.",
    passkeyOpen: "On a computer, open WhatsApp's page; you need not log in there:",
    passkeyConsole: "Open the console of that page: press F12 (on a Mac: Option+Command+J), then the tab Console. If Chrome wants it, type allow pasting first.",
    passkeySnippet: "Copy this script, paste it into the console, and press Enter.",
    passkeyPromise: "The script asks the browser to answer with the passkey, and shows the answer in the console. It sends nothing anywhere; you can read it below.",
    passkeyCopy: "Copy the script",
    passkeyRead: "Read the script",
    passkeyChoose: "Choose the passkey that the browser offers. If it is on the phone only, choose to use a phone, and scan the browser's QR code with that phone's camera; Bluetooth must be on at both.",
    passkeyPaste: "Paste here the line {…} that the console shows",
    passkeySend: "Send the answer",
    passkeyCheck: "WhatsApp looks at the answer. A code will appear here and on the phone…",
    passkeyCompare: "Compare this code with the one on the phone:",
    passkeySame: "The same, go on",
    passkeyDifferent: "Another, stop",
    passkeyFinish: "Confirmed. Finish on the phone as well; this page waits.",
    passkeyElsewhere: "A gateway in another process has this number, and cannot be given a passkey from here. Run kabari serve without WA_GATEWAY_URL on the gateway's DATA_DIR, link there, then run the gateway again.",
    passkeyFailed: "That did not work. Look at the step shown now, and try again.",
    reason: "The last attempt to link did not end well. Scan the new code; the log of kabari says why.",
    timeLeft: "Time left",
    copied: "Copied.",
    selected: "Selected: press Ctrl+C.",
    noJson: "That is no JSON. Copy the whole line that the console shows, from { to }.",
    states: {
      starting: "Starting…",
      not_linked: "Not linked: scan the QR code, or use a code.",
      passkey_required: "WhatsApp wants the passkey of this account",
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

const waiting = ["starting", "not_linked", "passkey_required", "connecting"];
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
  // The API gives its reasons in Indonesian.
  element("reason").textContent = words.reason ?? status?.last_error ?? "";
  element("reason").hidden = element("linking").hidden || !status.last_error;
  showPasskey(status?.passkey);
}

function showPasskey(passkey) {
  element("passkey").hidden = !passkey;
  if (!passkey) return;
  const step = passkey.step ?? "elsewhere";
  for (const name of ["answer", "check", "compare", "finish", "elsewhere"]) {
    element(`passkey-${name}`).hidden = name !== step;
  }
  if (element("passkey").dataset.step !== step) {
    element("passkey").dataset.step = step;
    element("passkey-error").hidden = true;
  }
  if (passkey.snippet && element("snippet").textContent !== passkey.snippet) {
    element("snippet").textContent = passkey.snippet;
    element("assertion").value = element("copied").textContent = "";
  }
  element("passkey-code").textContent = passkey.code ?? "";
  const seconds = Math.max(0, Math.round((new Date(passkey.until) - Date.now()) / 1000));
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  element("time-left").textContent = passkey.until ? `${texts[language].timeLeft}: ${left}` : "";
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

// Sends what was done at a step, and shows what came of it.
async function take(path, body, button) {
  let answer = {};
  button.disabled = true;
  try {
    const headers = { "content-type": "application/json" };
    answer = await ask(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) });
  } catch {
    // Said below, like any other reason.
  }
  button.disabled = false;
  await look();
  const said = answer.message ?? answer.detail?.[0]?.msg;
  showFault(answer.success ? "" : texts[language].passkeyFailed ?? said ?? texts.id.silent);
}

function showFault(text) {
  element("passkey-error").textContent = text;
  element("passkey-error").hidden = !text;
}

function answer(event) {
  event.preventDefault();
  let assertion;
  try {
    assertion = JSON.parse(element("assertion").value);
  } catch {
    return showFault(texts[language].noJson);
  }
  take("passkey", { assertion }, event.target.querySelector("button"));
}

async function copySnippet() {
  let done = "copied";
  try {
    await navigator.clipboard.writeText(element("snippet").textContent);
  } catch {
    // Browsers let a page copy only over https or on this machine; a person may select anywhere.
    element("snippet").parentElement.open = true;
    getSelection().selectAllChildren(element("snippet"));
    done = "selected";
  }
  element("copied").textContent = texts[language][done];
}

element("answer").addEventListener("submit", answer);
element("copy").addEventListener("click", copySnippet);
element("same").addEventListener("click", (event) => take("passkey/confirm", {}, event.target));
element("different").addEventListener("click", (event) => take("restart", {}, event.target));
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
