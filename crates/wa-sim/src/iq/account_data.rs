//! The small requests about the client's own account, most of which need no more than a polite
//! answer.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::connection::ClientConnection;
use crate::media;
use crate::stanza;

/// Seconds until a client may ask for these again.
const REFRESH_S: u32 = 86_400;
/// The setting by which clients send tokens with their messages.
const SEND_TOKENS: u32 = 10_518;

impl ClientConnection {
    pub(super) fn account_data(&mut self, namespace: &str, node: &Node) -> Node {
        let set = stanza::attr(node, "type").as_deref() == Some("set");
        match namespace {
            "abt" | "w" => {
                let tokens = NodeBuilder::new("prop")
                    .attr("config_code", SEND_TOKENS)
                    .attr("config_value", "true")
                    .build();
                let props = NodeBuilder::new("props")
                    .attr("protocol", 1)
                    .attr("hash", "sim")
                    .attr("refresh", REFRESH_S)
                    .children([tokens])
                    .build();
                stanza::result(node, [props])
            }
            "blocklist" => stanza::result(node, [NodeBuilder::new("list").build()]),
            "privacy" if set => {
                if let Some(tokens) = node.get_optional_child("tokens") {
                    self.set_tokens(tokens);
                }
                stanza::result(node, [])
            }
            "privacy" => {
                let categories =
                    ["last", "online", "profile", "status", "groupadd", "readreceipts", "calladd"]
                        .map(|name| {
                            NodeBuilder::new("category")
                                .attr("name", name)
                                .attr("value", "all")
                                .build()
                        });
                stanza::result(node, [NodeBuilder::new("privacy").children(categories).build()])
            }
            "w:sync:app:state" => stanza::result(node, [app_state(node)]),
            "w:m" => {
                let host =
                    NodeBuilder::new("host").attr("hostname", self.core.media_host()).build();
                let connection = NodeBuilder::new("media_conn")
                    .attr("auth", media::AUTH)
                    .attr("ttl", REFRESH_S)
                    .children([host])
                    .build();
                stanza::result(node, [connection])
            }
            "w:profile:picture" if !set => stanza::error(node, 404, "item-not-found"),
            "w:biz" => stanza::result(node, [NodeBuilder::new("business_profile").build()]),
            _ => stanza::result(node, []),
        }
    }
}

/// Answers that every collection is empty: the simulated phones have no contacts, stars or archived
/// chats.
fn app_state(node: &Node) -> Node {
    let collections = node
        .get_optional_child("sync")
        .into_iter()
        .flat_map(|sync| sync.get_children_by_tag("collection"))
        .map(|collection| {
            let version = collection.get_optional_child("patch").map_or(0, |_| 1);
            let asked: u64 =
                stanza::attr(collection, "version").and_then(|text| text.parse().ok()).unwrap_or(0);
            NodeBuilder::new("collection")
                .attr("name", stanza::attr(collection, "name").unwrap_or_default())
                .attr("version", asked.saturating_add(version))
                .attr("type", "result")
                .build()
        });
    NodeBuilder::new("sync").children(collections.collect::<Vec<_>>()).build()
}
