// A WhatsApp client by other people (Baileys), driven over JSON lines.
//
//   node client.mjs WEBSOCKET_URL SESSION_DIRECTORY
//
// stdin:  {"command": "send", "to": "6281...", "text": "..."}
//         {"command": "read", "id": "...", "chat": "...@..."}
//         end of input: disconnects and exits
// stdout: {"event": "qr", "qr": "..."}                  scan this
//         {"event": "open", "jid": "...", "lid": "..."} linked and connected
//         {"event": "message", "id", "chat", "phone", "fromMe", "text"}
//         {"event": "undecryptable", "id", "reason"}
//         {"event": "sent", "id", "text"}
//         {"event": "status", "id", "status"}           2 server, 3 delivered, 4 read
//         {"event": "failed", "reason"}                 a command did not work
//         {"event": "closed", "code"}                   gone for good

import { createInterface } from 'node:readline'
import makeWASocket, { DisconnectReason, jidNormalizedUser, useMultiFileAuthState } from 'baileys'

// Given here, the client does not ask for it on the network.
const VERSION = [2, 3000, 1043857760]

const [url, directory] = process.argv.slice(2)
const { state, saveCreds } = await useMultiFileAuthState(directory)

// Its Signal library prints its sessions; stdout is ours.
console.log = console.info = () => {}

// What was sent, for recipients that ask for it again.
const sent = new Map()
let socket

function tell(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

// Whatever matters comes as an event.
const silent = () => {}
const logger = {
  level: 'silent',
  child: () => logger,
  trace: silent, debug: silent, info: silent, warn: silent, error: silent, fatal: silent,
}

function connect() {
  socket = makeWASocket({
    waWebSocketUrl: url,
    version: VERSION,
    auth: state,
    logger,
    // There is no history, and events would be held back until it came.
    syncFullHistory: false,
    shouldSyncHistoryMessage: () => false,
    getMessage: async key => sent.get(key.id),
  })
  socket.ev.on('creds.update', saveCreds)
  socket.ev.on('connection.update', connectionChanged)
  socket.ev.on('messages.upsert', ({ messages }) => messages.forEach(messageCame))
  socket.ev.on('messages.update', updates => {
    for (const { key, update } of updates) {
      if (update.status != null) tell('status', { id: key.id, status: update.status })
    }
  })
}

function connectionChanged({ connection, lastDisconnect, qr }) {
  if (qr) tell('qr', { qr })
  if (connection === 'open') {
    tell('open', { jid: jidNormalizedUser(state.creds.me.id), lid: state.creds.me.lid })
  }
  if (connection === 'close') {
    const code = lastDisconnect?.error?.output?.statusCode
    // The server ends the stream after a pairing: the client is to log in with its new identity.
    if (code === DisconnectReason.restartRequired) connect()
    else tell('closed', { code })
  }
}

function messageCame({ key, message, messageStubParameters }) {
  const text = message?.conversation ?? message?.extendedTextMessage?.text
  if (text != null) {
    const chat = key.remoteJid
    const phone = [chat, key.remoteJidAlt].find(jid => jid?.endsWith('@s.whatsapp.net'))
    tell('message', { id: key.id, chat, phone: phone?.split('@')[0], fromMe: key.fromMe, text })
  } else if (messageStubParameters?.length) {
    tell('undecryptable', { id: key.id, reason: messageStubParameters[0] })
  }
}

const commands = {
  async send({ to, text }) {
    const message = await socket.sendMessage(`${to}@s.whatsapp.net`, { text })
    sent.set(message.key.id, message.message)
    tell('sent', { id: message.key.id, text })
  },
  async read({ id, chat }) {
    await socket.readMessages([{ id, remoteJid: chat, fromMe: false }])
  },
}

connect()
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...fields } = JSON.parse(line)
  await commands[command](fields).catch(error => tell('failed', { reason: String(error) }))
}
await socket.end(undefined)
process.exit(0)
