//! Whatever a client sends is answered, or noted as a violation, and the server goes on.

use super::*;
use crate::candidate::{Candidate, ClientRegistration};
use crate::phone::PublicPreKey;
use crate::seed::Seed;
use crate::state::ServerState;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::runtime::Runtime;
use wacore_binary::{NodeContent, marshal};

/// The account whose client sends.
const OURS: &str = "6281299990000";
/// The account it writes to, which wants its passkey when a client is linked.
const THEIRS: &str = "6281234567890";

/// The tags that the server looks for.
const TAGS: [&str; 50] = [
    "iq",
    "message",
    "receipt",
    "ack",
    "presence",
    "ib",
    "call",
    "xmlstreamend",
    "enc",
    "to",
    "participants",
    "device-identity",
    "tctoken",
    "list",
    "item",
    "user",
    "key",
    "skey",
    "id",
    "value",
    "signature",
    "identity",
    "registration",
    "type",
    "rotate",
    "digest",
    "count",
    "usync",
    "query",
    "contact",
    "devices",
    "lid",
    "status",
    "tokens",
    "token",
    "sync",
    "collection",
    "patch",
    "active",
    "ref",
    "passkey_request_options",
    "passkey_prologue",
    "companion_nonce",
    "encrypted_pairing_request",
    "link_code_companion_reg",
    "remove-companion-device",
    "pair-device-sign",
    "credential_id",
    "companion_identity_public",
    "error",
];
/// The names of attributes that it reads.
const NAMES: [&str; 18] = [
    "id",
    "type",
    "to",
    "from",
    "xmlns",
    "jid",
    "category",
    "class",
    "version",
    "name",
    "stage",
    "query_id",
    "recipient",
    "participant",
    "t",
    "v",
    "error",
    "sid",
];
/// What these may be.
const VALUES: [&str; 44] = [
    "",
    "0",
    "1",
    "-1",
    "18446744073709551615",
    "get",
    "set",
    "result",
    "error",
    "md",
    "w:p",
    "encrypt",
    "usync",
    "passive",
    "privacy",
    "w:sync:app:state",
    "w:mex",
    "w:m",
    "w:g2",
    "abt",
    "urn:xmpp:ping",
    "pkmsg",
    "msg",
    "text",
    "retry",
    "read",
    "inactive",
    "peer",
    "message",
    "receipt",
    "companion_hello",
    "companion_finish",
    "contact",
    "@",
    "@lid",
    "s.whatsapp.net",
    "6281299990000@s.whatsapp.net",
    "6281299990000:1@s.whatsapp.net",
    "6281234567890@s.whatsapp.net",
    "6281234567890:7@s.whatsapp.net",
    "6281234567899@s.whatsapp.net",
    "100000000000001@lid",
    "120363000000000000@g.us",
    "3EB0C767D26A1B1C0F3C",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![9 => select(&VALUES[..]).prop_map(str::to_owned), 1 => "\\PC{0,12}"]
}

/// Bytes of the lengths that keys, ids and signatures have, and of others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    select(vec![0, 1, 3, 4, 12, 31, 32, 33, 64, 96, 140]).prop_flat_map(|n| vec(any::<u8>(), n))
}

fn stanza() -> impl Strategy<Value = Node> {
    let node = |content: BoxedStrategy<Option<NodeContent>>| {
        let attributes = vec((select(&NAMES[..]), text()), 0..5);
        (select(&TAGS[..]), attributes, content).prop_map(|(tag, attributes, content)| {
            let with = |node: NodeBuilder, (name, value)| node.attr(name, value);
            let node = attributes.into_iter().fold(NodeBuilder::new(tag), with).build();
            Node { content, ..node }
        })
    };
    let leaf = prop_oneof![
        Just(None),
        bytes().prop_map(|bytes| Some(NodeContent::Bytes(bytes))),
        text().prop_map(|text| Some(NodeContent::String(text.into()))),
    ];
    node(leaf.boxed()).prop_recursive(3, 12, 4, move |inner| {
        node(vec(inner, 0..4).prop_map(|nodes| Some(NodeContent::Nodes(nodes))).boxed())
    })
}

/// Stanzas as clients send them, but for their keys.
fn usual() -> Vec<Node> {
    let node = NodeBuilder::new;
    let leaf = |tag, length: usize| node(tag).bytes(vec![7; length]).build();
    let theirs = format!("{THEIRS}@s.whatsapp.net");
    let request = |kind: &'static str, namespace: &'static str, child: Node| {
        let iq = node("iq").attr("id", "1").attr("type", kind).attr("xmlns", namespace);
        iq.attr("to", "s.whatsapp.net").children([child]).build()
    };
    let enc = || node("enc").attr("v", "2").attr("type", "pkmsg").bytes(vec![0x33; 80]).build();
    let message = || node("message").attr("id", "3EB0").attr("type", "text").attr("to", &theirs);
    let copy = node("to").attr("jid", &theirs).children([enc()]).build();
    let prekey = || [leaf("id", 3), leaf("value", 32)];
    let skey =
        || node("skey").children(prekey().into_iter().chain([leaf("signature", 64)])).build();
    let upload = [leaf("registration", 4), leaf("identity", 32), skey()];
    let keys = node("list").children([node("key").children(prekey()).build()]).build();
    let user = || node("user").attr("jid", &theirs).build();
    let query = node("query").children(["contact", "lid", "devices"].map(|tag| node(tag).build()));
    let token = node("token").attr("jid", &theirs).attr("type", "trusted_contact").build();
    let collection = node("collection").attr("name", "regular").attr("version", u64::MAX);
    let collection = collection.children([leaf("patch", 40)]).build();
    let sealed = "link_code_pairing_wrapped_companion_ephemeral_pub";
    let code = |stage: &'static str, children: Vec<Node>| {
        let code = node("link_code_companion_reg").attr("stage", stage).attr("jid", &theirs);
        request("set", "md", code.children(children).build())
    };
    let prologue = ["credential_id", "webauthn_assertion", "prologue_payload"];
    let bundle =
        [leaf("link_code_pairing_wrapped_key_bundle", 140), leaf("companion_identity_public", 32)];
    vec![
        message().children([enc(), leaf("device-identity", 40)]).build(),
        message().children([node("participants").children([copy]).build()]).build(),
        node("receipt").attr("id", "3EB0").attr("to", &theirs).attr("type", "retry").build(),
        node("ack").attr("id", "3EB0").attr("class", "message").attr("to", &theirs).build(),
        request("get", "encrypt", node("key").children([user()]).build()),
        request("set", "encrypt", node("rotate").children([skey()]).build()),
        node("iq")
            .attr("id", "1")
            .attr("type", "set")
            .attr("xmlns", "encrypt")
            .children(upload.into_iter().chain([keys]))
            .build(),
        request(
            "get",
            "usync",
            node("usync")
                .children([query.build(), node("list").children([user()]).build()])
                .build(),
        ),
        request("set", "privacy", node("tokens").children([token]).build()),
        request("set", "w:sync:app:state", node("sync").children([collection]).build()),
        code("companion_hello", vec![leaf(sealed, 80)]),
        code("companion_finish", bundle.to_vec()),
        request("get", "md", node("passkey_request_options").build()),
        request(
            "set",
            "md",
            node("passkey_prologue").children(prologue.map(|tag| leaf(tag, 40))).build(),
        ),
        request("set", "md", leaf("companion_nonce", 32)),
        request("set", "md", leaf("encrypted_pairing_request", 96)),
    ]
}

/// What may be wrong with a usual stanza.
#[derive(Debug, Clone)]
enum Change {
    Attribute(&'static str, String),
    NoAttribute(Index),
    Bytes(Vec<u8>),
    Child(Node),
    NoChild(Index),
    Twice(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (select(&NAMES[..]), text()).prop_map(|(name, value)| Change::Attribute(name, value)),
        2 => any::<Index>().prop_map(Change::NoAttribute),
        2 => bytes().prop_map(Change::Bytes),
        1 => stanza().prop_map(Change::Child),
        2 => any::<Index>().prop_map(Change::NoChild),
        1 => any::<Index>().prop_map(Change::Twice),
    ]
}

/// Makes the change in the node that the path leads to.
fn apply(change: Change, node: &mut Node, path: &[Index]) {
    if let (Some(NodeContent::Nodes(children)), [next, rest @ ..]) = (&mut node.content, path)
        && !children.is_empty()
    {
        let at = next.index(children.len());
        return apply(change, &mut children[at], rest);
    }
    match (change, &mut node.content) {
        (Change::Attribute(name, value), _) => node.attrs.insert(name, value),
        (Change::NoAttribute(at), _) if !node.attrs.is_empty() => {
            node.attrs.0.remove(at.index(node.attrs.len()));
        }
        (Change::Bytes(bytes), content) => *content = Some(NodeContent::Bytes(bytes)),
        (Change::Child(child), Some(NodeContent::Nodes(children))) => children.push(child),
        (Change::NoChild(at), Some(NodeContent::Nodes(children))) if !children.is_empty() => {
            children.remove(at.index(children.len()));
        }
        (Change::Twice(at), Some(NodeContent::Nodes(children))) if !children.is_empty() => {
            children.push(children[at.index(children.len())].clone());
        }
        _ => {}
    }
}

fn changed() -> impl Strategy<Value = Node> {
    let changes = vec((change(), vec(any::<Index>(), 0..4)), 0..4);
    (select(usual()), changes).prop_map(|(mut node, changes)| {
        changes.into_iter().for_each(|(change, path)| apply(change, &mut node, &path));
        node
    })
}

/// A server with one client, linked or not.
struct Server {
    client: ClientConnection,
    orders: mpsc::UnboundedReceiver<ConnectionCommand>,
}

impl Server {
    fn new(is_linked: bool) -> Server {
        let core = Core::new(ServerState::new(Seed(1), 0), Duration::ZERO, None).unwrap();
        let core = Arc::new(core);
        core.set_passkey(THEIRS, true).unwrap();
        let device = core.add_device(OURS).unwrap().unwrap();
        let device = DeviceId { number: OURS.to_owned(), device };
        let (outgoing, orders) = mpsc::unbounded_channel();
        let mut state = core.state();
        state.account(THEIRS, 0).unwrap().unwrap();
        let id = state.next_connection();
        state.connections.insert(id, outgoing);
        let companion = state.companion(&device).unwrap();
        // A client at the other end of this connection, and no simulated device.
        companion.simulated = None;
        (companion.connection, companion.active) = (is_linked.then_some(id), is_linked);
        if !is_linked {
            let signed_prekey = PublicPreKey { id: 1, key: [9; 32] };
            let (identity, signature) = ([9; 32], vec![9; 64]);
            let platform = String::new();
            let registration =
                ClientRegistration { id: 1, identity, signed_prekey, signature, platform };
            let (noise_key, refs) = ([9; 32], vec![]);
            let (link_code, shortcake, offered) = (None, None, None);
            let candidate =
                Candidate { refs, noise_key, registration, link_code, shortcake, offered };
            state.candidates.insert(id, candidate);
        }
        drop(state);
        if !is_linked {
            core.take_on(id, THEIRS, &[9; 32]).unwrap();
        }
        let device = is_linked.then_some(device);
        Server { client: ClientConnection { core, id, device }, orders }
    }

    /// Takes a stanza as it comes from the wire; answers whether the client hears anything more.
    fn take(&mut self, node: &Node) -> bool {
        let Ok(wire) = marshal(node) else { return true };
        // What cannot be read ends the connection.
        let Ok(node) = read_stanza(BytesMut::from(&wire[..])) else { return false };
        let violations = self.client.core.state().violations.len();
        while self.orders.try_recv().is_ok() {}
        let asked = matches!(stanza::attr(&node, "type").as_deref(), Some("get" | "set"));
        let id = stanza::attr(&node, "id").filter(|_| node.tag == "iq" && asked);
        let flow = self.client.handle(node.clone(), 0);
        if let (Flow::Continue, Some(id)) = (&flow, id) {
            let noted = self.client.core.state().violations.len() > violations;
            assert!(noted || self.answers().contains(&id), "neither answered nor noted: {node:?}");
        }
        matches!(flow, Flow::Continue)
    }

    /// The ids of the requests that have been answered.
    fn answers(&mut self) -> Vec<String> {
        let sent = std::iter::from_fn(|| self.orders.try_recv().ok());
        let nodes = sent.filter_map(|order| match order {
            ConnectionCommand::Send(node) if node.tag == "iq" => Some(node),
            _ => None,
        });
        nodes.filter_map(|node| stanza::attr(&node, "id")).collect()
    }
}

proptest! {
    #[test]
    fn any_stanza_is_answered_or_noted_and_the_next_one_too(
        stanzas in vec(prop_oneof![stanza(), changed(), changed()], 1..8),
        is_linked in any::<bool>(),
    ) {
        let runtime = Runtime::new().unwrap();
        let _entered = runtime.enter();
        let mut server = Server::new(is_linked);
        if stanzas.iter().all(|stanza| server.take(stanza)) {
            let ping = NodeBuilder::new("iq").attr("id", "ping").attr("type", "get");
            prop_assert!(server.take(&ping.attr("xmlns", "w:p").build()));
        }
    }

    #[test]
    fn any_bytes_are_a_stanza_or_an_error(
        noise in vec(any::<u8>(), 0..200),
        node in changed(),
        damage in vec((any::<Index>(), any::<u8>()), 0..6),
    ) {
        let _ = read_stanza(BytesMut::from(&noise[..]));
        let _ = after_greeting(&noise);
        let _ = after_greeting(&[EDGE_ROUTING, &noise].concat());
        let identity = crate::noise::ServerIdentity::new(Seed(1)).unwrap();
        let _ = identity.responder(1).hello(&noise, false);
        if let Ok(mut wire) = marshal(&node) {
            for (at, byte) in damage {
                let at = at.index(wire.len());
                wire[at] = byte;
            }
            let _ = read_stanza(BytesMut::from(&wire[..]));
        }
    }
}
