# A WhatsApp client by other people (whatsmeow, as neonize compiles it), driven over JSON lines.
#
#   .venv/bin/python client.py SIMULATOR SESSION_DIRECTORY
#
# SIMULATOR: where it listens, such as 127.0.0.1:9080
# stdin:  {"command": "send", "to": "6281...", "text": "..."}
#         {"command": "read", "id": "...", "chat": "...@..."}
#         end of input: disconnects and exits
# stdout: {"event": "qr", "qr": "..."}                  scan this
#         {"event": "open"}                             linked and connected
#         {"event": "message", "id", "chat", "phone", "fromMe", "text"}
#         {"event": "undecryptable", "id"}
#         {"event": "sent", "id", "text"}
#         {"event": "receipt", "id", "kind"}            DELIVERED, READ and so on
#         {"event": "warning", "text"}                  what whatsmeow found strange
#         {"event": "failed", "reason"}                 a command did not work
#         {"event": "closed", "reason"}                 gone for good

import ctypes
import json
import os
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

# The modules of the messages. The package around them is not imported: it would load the library
# as it is.
PACKAGE = Path(find_spec("neonize").origin).parent
sys.path.insert(0, str(PACKAGE / "proto"))

import Neonize_pb2 as neonize  # noqa: E402
from waE2E.WAWebProtobufsE2E_pb2 import Message  # noqa: E402

# What whatsmeow is compiled for: the root of the certificates of WhatsApp's servers, and where they
# are. What takes their place must be as long.
WHATSAPP_ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
WHATSAPP_URL = b"wss://web.whatsapp.com/ws/chat"

# The library prints to stdout, which is ours: it gets stderr in its place.
EVENTS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
# Its threads call back whenever they like.
TELLING = threading.Lock()

# The only client of this process, as the library names it.
CLIENT = b"client"
PHONE_SERVER = "s.whatsapp.net"

# The numbers of the events that are asked for.
PAIRED, CONNECTED, LOGGED_OUT, REPLACED, BANNED, FAILED, OUTDATED = 2, 3, 6, 7, 8, 9, 10
MESSAGE, RECEIPT, UNDECRYPTABLE = 17, 18, 44
# What ends the session, with the message that tells why.
ENDS = {
    LOGGED_OUT: neonize.LoggedOut,
    REPLACED: neonize.StreamReplaced,
    BANNED: neonize.TemporaryBan,
    FAILED: neonize.ConnectFailure,
    OUTDATED: neonize.ClientOutdated,
}

StringCallback = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p)
EventCallback = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int
)
LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def main(simulator, directory):
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    library = load(private_copy(simulator, directory))
    # Referenced here for as long as the library may call them.
    callbacks = [
        StringCallback(lambda _, qr: tell("qr", qr=qr.decode())),
        StringCallback(lambda _, status: None),
        EventCallback(event_came),
        LogCallback(log_came),
    ]
    threading.Thread(target=run, args=(library, directory, callbacks), daemon=True).start()
    for line in sys.stdin:
        fields = json.loads(line)
        command = COMMANDS[fields.pop("command")]
        try:
            command(library, **fields)
        except Exception as error:
            tell("failed", reason=str(error))
    library.Disconnect(CLIENT)
    # The library's own threads would keep the process.
    os._exit(0)


def private_copy(simulator, directory):
    """Copies the library with the simulator in the place of WhatsApp's servers."""
    with build_opener(ProxyHandler({})).open(f"http://{simulator}/control/root") as answer:
        root = bytes.fromhex(json.load(answer)["public_key"])
    url = f"ws://%s@{simulator}/ws/chat"
    # A user name, which nobody asks for, makes up the length.
    url = (url % ("x" * (len(WHATSAPP_URL) - len(url % "")))).encode()
    [original] = PACKAGE.glob("neonize-*.so")
    code = original.read_bytes()
    for old, new in [(WHATSAPP_ROOT, root), (WHATSAPP_URL, url)]:
        assert len(old) == len(new), f"{new} is not as long as {old}"
        assert code.count(old) == 1, f"{original.name} does not have {old} once"
        code = code.replace(old, new)
    copy = directory / original.name
    copy.write_bytes(code)
    return copy


def load(path):
    library = ctypes.CDLL(str(path))
    library.Neonize.restype = library.MarkRead.restype = ctypes.c_char_p
    library.SendMessage.restype = ctypes.POINTER(Bytes)
    return library


def run(library, directory, callbacks):
    """Connects, links if nothing is linked yet, and calls back until the process ends."""
    qr_came, status_came, event, log = callbacks
    database = str(directory / "session.db").encode()
    events = bytes([PAIRED, CONNECTED, MESSAGE, RECEIPT, UNDECRYPTABLE, *ENDS])
    no_jid = no_properties = no_phone = (b"", 0)
    error = library.Neonize(
        database, CLIENT, *no_jid, 0, b"WARN", qr_came, status_came, event, log,
        events, len(events), *no_properties, *no_phone, None,
    )
    tell("closed", reason=error.decode())


def event_came(_, data, size, kind):
    content = ctypes.string_at(data, size)
    if kind == CONNECTED:
        tell("open")
    elif kind == PAIRED:
        paired = neonize.PairStatus.FromString(content)
        if paired.Error:
            tell("failed", reason=paired.Error)
    elif kind == MESSAGE:
        message_came(neonize.Message.FromString(content))
    elif kind == RECEIPT:
        receipt = neonize.Receipt.FromString(content)
        for id in receipt.MessageIDs:
            tell("receipt", id=id, kind=neonize.Receipt.ReceiptType.Name(receipt.Type))
    elif kind == UNDECRYPTABLE:
        tell("undecryptable", id=neonize.UndecryptableMessage.FromString(content).Info.ID)
    elif kind in ENDS:
        reason = ENDS[kind].FromString(content)
        tell("closed", reason=f"{type(reason).__name__} {reason}".strip())


def message_came(message):
    text = message.Message.conversation or message.Message.extendedTextMessage.text
    if not text:
        return
    source = message.Info.MessageSource
    alternative = source.RecipientAlt if source.IsFromMe else source.SenderAlt
    phones = [jid.User for jid in (source.Chat, alternative) if jid.Server == PHONE_SERVER]
    chat = f"{source.Chat.User}@{source.Chat.Server}"
    phone = phones[0] if phones else None
    tell("message", id=message.Info.ID, chat=chat, phone=phone, fromMe=source.IsFromMe, text=text)


def log_came(data, size):
    entry = neonize.LogEntry.FromString(ctypes.string_at(data, size))
    tell("warning", text=f"{entry.Name}: {entry.Message}")


def jid(user, server=PHONE_SERVER):
    jid = neonize.JID(User=user, RawAgent=0, Device=0, Integrator=0, Server=server)
    return jid.SerializeToString()


def send(library, to, text):
    to, message = jid(to), Message(conversation=text).SerializeToString()
    answer = library.SendMessage(CLIENT, to, len(to), message, len(message)).contents
    answer = ctypes.string_at(answer.data, answer.size)
    answer = neonize.SendMessageReturnFunction.FromString(answer)
    if answer.Error:
        raise RuntimeError(answer.Error)
    tell("sent", id=answer.SendResponse.ID, text=text)


def read(library, id, chat):
    chat = jid(*chat.split("@"))
    receipt = (id.encode(), int(time.time()), chat, len(chat), chat, len(chat), b"read")
    error = library.MarkRead(CLIENT, *receipt)
    if error:
        raise RuntimeError(error.decode())


COMMANDS = {"send": send, "read": read}


def tell(event, **fields):
    line = json.dumps({"event": event, **fields})
    with TELLING:
        print(line, file=EVENTS, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
