//! Clients that mean harm, while a campaign goes out at the settings that users have: messages
//! come no sooner and hardly later for it, by the simulator's ledger, and memory stays bounded.

use super::pace::gaps;
use crate::harness::caller::Caller;
use crate::harness::database::billing_file;
use crate::harness::node::{Node, Setup};
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, billing_sql};
use bytes::Bytes;
use kabari_gateway::http;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_util::task::AbortOnDropHandle;
use wa_sim::{Config, MessageFilter, Simulator};

/// The shortest and the longest time between two messages: `SEND_DELAY_MS`, `SEND_JITTER_MS`.
const DELAY: Duration = Duration::from_secs(2);
const JITTER: Duration = Duration::from_secs(1);
/// How much later one may come on a machine that is busy with other tests: what is promised is that
/// none comes earlier, and that all come.
const LATENESS: Duration = Duration::from_secs(30);
const RECIPIENTS: usize = 6;

/// How long the server waits for the head of a request, and some time to spare.
const LONGEST_HEAD: Duration = Duration::from_secs(60);
const DRIP_EVERY: Duration = Duration::from_secs(1);

const IDLE_CONNECTIONS: usize = 1_000;
const SLOW_CONNECTIONS: usize = 300;
const FLOOD_CLIENTS: usize = 50;
const LARGE_CLIENTS: usize = 40;
/// How often they are to have asked at least, in rounds.
const FLOOD: usize = 200;
const LARGE: usize = 2;

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The most memory, in MiB. This is a debug build, which takes twice that of a released one.
const MEMORY: u64 = 100;
/// The same with large bodies, of which 8 MiB are read at once and become JSON values.
const MEMORY_OF_LARGE_BODIES: u64 = 500;

/// A kabari that sends.
struct Target {
    simulator: Simulator,
    node: Node,
    caller: Caller,
    api: SocketAddr,
    _directory: TempDir,
}

/// A campaign, and what had happened before it.
struct Campaign {
    id: i64,
    messages_before: usize,
    ledger_before: u64,
}

impl Target {
    async fn start() -> Target {
        let simulator = Simulator::start(Config::default()).await.unwrap();
        let directory = TempDir::new().unwrap();
        billing_file(&directory, &billing_sql(CUSTOMERS)).await;
        let setup = Setup::ordinary(directory.path(), &simulator);
        setup.link(&simulator, OWN).await;
        let mut node = setup.start();
        let api = node.address().await.unwrap();
        Target { simulator, node, caller: Caller::of(api), api, _directory: directory }
    }

    async fn begin(&self, key: &str) -> Campaign {
        let messages_before = self.simulator.messages(MessageFilter::default()).len();
        let ledger_before = self.simulator.ledger(0).len() as u64;
        let everybody: Vec<i64> = (1..=RECIPIENTS as i64).collect();
        let id = self.caller.try_send(&everybody, key).await.unwrap();
        Campaign { id, messages_before, ledger_before }
    }

    /// Waits until everybody has the message, and looks at when each went out.
    async fn goes_out_at_its_pace(&self, campaign: &Campaign) {
        let wanted = campaign.messages_before + RECIPIENTS;
        let all = |s: &Simulator| s.messages(MessageFilter::default()).len() == wanted;
        self.simulator.wait_for(all, 2 * PATIENCE).await.unwrap();
        for gap in gaps(&self.simulator.ledger(campaign.ledger_before)) {
            let latest = DELAY + JITTER + LATENESS;
            assert!((DELAY..latest).contains(&gap), "{gap:?} between two messages");
        }
    }

    /// Checks that the API answers, that everybody counts as reached, and that it took no more
    /// memory than this.
    async fn is_well(&mut self, campaign: &Campaign, memory: u64) {
        self.caller.count(campaign.id, "read", RECIPIENTS as u64).await;
        assert!(self.simulator.violations().is_empty());
        let peak = self.node.peak_memory().unwrap();
        println!("{peak} MiB at most");
        assert!(peak <= memory, "{peak} MiB");
        assert!(!self.node.has_ended(), "{}", self.node.log());
    }
}

/// Clients that ask again and again.
struct Attack {
    clients: Vec<AbortOnDropHandle<()>>,
    requests: Arc<AtomicUsize>,
}

impl Attack {
    fn start<A: Future<Output = ()> + Send + 'static>(
        clients: usize,
        request: impl Fn() -> A + Clone + Send + Sync + 'static,
    ) -> Attack {
        let requests = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let (request, requests) = (request.clone(), requests.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    request().await;
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            }))
        };
        Attack { clients: (0..clients).map(client).collect(), requests }
    }

    /// Ends it. Each client has got what it expected, and they have asked as often as they should.
    fn end(self, at_least: usize) {
        assert!(!self.clients.iter().any(AbortOnDropHandle::is_finished), "another answer");
        let requests = self.requests.load(Ordering::Relaxed);
        println!("{requests} requests");
        assert!(requests >= at_least, "no attack, but {requests} requests");
    }
}

/// Lets this process, and those that it starts, open as many files as they may.
fn open_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

async fn connect(api: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(TcpStream::connect(api).await.unwrap());
    }
    streams
}

/// Waits until the server has closed these.
async fn closed(streams: impl IntoIterator<Item = impl AsyncRead + Unpin>) {
    for mut stream in streams {
        let end = async { while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {} };
        timeout(LONGEST_HEAD, end).await.expect("a connection stays open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_hold_up_nothing_and_are_closed() {
    open_many_files();
    let mut target = Target::start().await;
    let campaign = target.begin("idle").await;
    let idle = connect(target.api, IDLE_CONNECTIONS).await;
    target.goes_out_at_its_pace(&campaign).await;
    closed(idle).await;
    target.is_well(&campaign, MEMORY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_head_never_ends_hold_up_nothing_and_are_closed() {
    open_many_files();
    let mut target = Target::start().await;
    let campaign = target.begin("slow").await;
    let (mut readers, mut writers) = (vec![], vec![]);
    for mut stream in connect(target.api, SLOW_CONNECTIONS).await {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
        let (reader, writer) = stream.into_split();
        readers.push(reader);
        writers.push(writer);
    }
    let _drip = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut ticks = interval(DRIP_EVERY);
        loop {
            ticks.tick().await;
            for writer in &mut writers {
                // It may be closed by now.
                let _ = writer.write_all(b"a").await;
            }
        }
    }));
    target.goes_out_at_its_pace(&campaign).await;
    closed(readers).await;
    target.is_well(&campaign, MEMORY).await;
}

/// One after the other: either takes all of the processor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_and_huge_and_deep_bodies_leave_the_pace_alone() {
    let mut target = Target::start().await;
    let campaign = target.begin("flood").await;
    let caller = target.caller.clone();
    let flood = Attack::start(FLOOD_CLIENTS, move || {
        let caller = caller.clone();
        async move {
            caller.get("/api/campaigns").await;
            caller.get("/api/whatsapp/status").await;
            caller.get("/api/customers").await;
        }
    });
    target.goes_out_at_its_pace(&campaign).await;
    flood.end(FLOOD);
    target.is_well(&campaign, MEMORY).await;

    let url = target.caller.url("/api/send/custom");
    let client = http::client(&url).build().unwrap();
    let null_ids = format!(r#"{{"message": "x", "customer_ids": [{}]}}"#, list("null"));
    let ids = format!(r#"{{"message": "", "customer_ids": [{}]}}"#, list("1"));
    let deep = "[".repeat(MAX_BODY_BYTES);
    let bodies = [(null_ids, 422), (ids, 422), (deep, 400)];
    let bodies = bodies.map(|(body, status)| (Bytes::from(body), status));
    let campaign = target.begin("large").await;
    let large = Attack::start(LARGE_CLIENTS, move || {
        let (client, url, bodies) = (client.clone(), url.clone(), bodies.clone());
        async move {
            for (body, status) in bodies {
                let request = client.post(&url).header("content-type", "application/json");
                let answer = request.body(body).send().await.unwrap();
                assert_eq!(answer.status(), status);
            }
        }
    });
    target.goes_out_at_its_pace(&campaign).await;
    large.end(LARGE);
    target.is_well(&campaign, MEMORY_OF_LARGE_BODIES).await;
}

/// As many of an item as a body may have.
fn list(item: &str) -> String {
    let items = (MAX_BODY_BYTES - 100) / (item.len() + 1);
    vec![item; items].join(",")
}
