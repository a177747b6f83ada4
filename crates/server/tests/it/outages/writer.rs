//! The database server that takes the writes dies, and another takes its place: a replica that is
//! promoted, or another node of a Galera cluster.

use super::{Installation, RECIPIENTS, until_reasons};
use crate::harness::mariadb_server::{MariaDb, url};
use crate::harness::ports::free_port;
use sqlx::Row;
use std::convert::Infallible;

/// The primary tells nobody of a commit before its replica has it, however long that takes.
const SEMI_SYNCHRONOUS: &str = "SET GLOBAL rpl_semi_sync_master_timeout = 3600000; \
     SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC; \
     SET GLOBAL rpl_semi_sync_master_enabled = ON";
/// How many transactions a node has refused because of what others have written.
const CONFLICTS: &str = "SELECT CAST(SUM(variable_value) AS SIGNED) \
     FROM information_schema.global_status \
     WHERE variable_name IN ('wsrep_local_cert_failures', 'wsrep_local_bf_aborts')";
const GALERA: &str = "--wsrep-provider=/usr/lib/galera/libgalera_smm.so";

async fn replica_of(primary: &MariaDb) -> MariaDb {
    let replica = MariaDb::start(&[
        "--server-id=2",
        "--log-bin",
        "--log-slave-updates",
        "--read-only",
        "--rpl-semi-sync-slave-enabled",
    ])
    .await;
    let (port, follow) = (primary.port(), "MASTER_USER = 'root', MASTER_USE_GTID = slave_pos");
    replica
        .execute(&format!(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, {follow}; START SLAVE"
        ))
        .await;
    primary.execute(SEMI_SYNCHRONOUS).await;
    let clients = "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'";
    primary.wait_for(clients, |row| row.get::<String, _>(1) == "1").await;
    replica
}

/// Does what a failover manager does: applies what has arrived, and lets the replica take writes.
async fn promote(replica: &MariaDb) {
    replica.execute("STOP SLAVE IO_THREAD").await;
    let applied = |row: &sqlx::mysql::MySqlRow| {
        row.get::<u64, _>("Read_Master_Log_Pos") == row.get::<u64, _>("Exec_Master_Log_Pos")
    };
    replica.wait_for("SHOW SLAVE STATUS", applied).await;
    replica.execute("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_is_followed() {
    let mut primary = MariaDb::start(&["--server-id=1", "--log-bin"]).await;
    primary.make_account().await;
    let replica = replica_of(&primary).await;
    let state = url(&[&primary, &replica]);
    let installation = Installation::linked(|setup| setup.on_server(state)).await;
    let mut node = installation.setup.start();
    let caller = node.caller().await.unwrap();
    let campaign = installation.send_half(&caller).await;

    primary.kill().await;
    node.logged("is read-only").await;
    let readiness = until_reasons(&caller, &["state_database"]).await;
    let said = readiness["reasons"][0]["message"].as_str().unwrap();
    assert!(said.contains("none of its servers takes writes"), "{said}");
    assert!(installation.reached() < RECIPIENTS, "nothing goes out unwritten");
    promote(&replica).await;
    node.logged("another server takes the writes now").await;
    installation.finish(&mut node, campaign).await;
}

/// The primary is alive, and takes no more writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_switch_is_followed() {
    let primary = MariaDb::start(&["--server-id=1", "--log-bin"]).await;
    primary.make_account().await;
    let replica = replica_of(&primary).await;
    let state = url(&[&primary, &replica]);
    let installation = Installation::linked(|setup| setup.on_server(state)).await;
    let mut node = installation.setup.start();
    let campaign = installation.send_half(&node.caller().await.unwrap()).await;

    primary.execute("SET GLOBAL read_only = ON").await;
    node.logged("read-only").await;
    promote(&replica).await;
    installation.finish(&mut node, campaign).await;
    node.logged("another server takes the writes now").await;
}

/// Starts a node of a Galera cluster; without an address of another one, it is the first.
async fn galera_node(cluster: u16, first: Option<u16>) -> MariaDb {
    let [transfer, increments] = [free_port(), free_port()];
    let options = format!(
        "--wsrep-provider-options=base_port={cluster};gmcast.listen_addr=tcp://127.0.0.1:{cluster};\
         ist.recv_addr=127.0.0.1:{increments};gcache.size=16M"
    );
    let transfer = format!("--wsrep-sst-receive-address=127.0.0.1:{transfer}");
    let others = first.map(|port| format!("127.0.0.1:{port}")).unwrap_or_default();
    let others = format!("--wsrep-cluster-address=gcomm://{others}");
    let mut arguments = vec![
        "--wsrep-on=ON",
        GALERA,
        &options,
        &others,
        "--wsrep-node-address=127.0.0.1",
        "--wsrep-sst-method=rsync",
        &transfer,
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
    ];
    if first.is_some() {
        return MariaDb::join(&arguments).await;
    }
    arguments.push("--wsrep-new-cluster");
    MariaDb::start(&arguments).await
}

/// Changes, in the rows that kabari changes, what nothing depends on.
async fn contradict(node: &MariaDb) -> Infallible {
    let mut connection = node.connect().await;
    loop {
        let sql = "UPDATE kabari.sessions SET history = 1 - COALESCE(history, 0)";
        // It may lose as well.
        let _ = sqlx::raw_sql(sql).execute(&mut connection).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_of_a_galera_cluster_takes_over() {
    let cluster = free_port();
    let mut writer = galera_node(cluster, None).await;
    writer.make_account().await;
    // One after the other: a node that copies its database to one is not there for another.
    let second = galera_node(free_port(), Some(cluster)).await;
    let third = galera_node(free_port(), Some(cluster)).await;
    let state = url(&[&writer, &second, &third]);
    let installation = Installation::linked(|setup| setup.on_server(state)).await;
    let mut node = installation.setup.start();
    let campaign = installation.send_half(&node.caller().await.unwrap()).await;

    // Another client writes to another node, which refuses what kabari is about to commit.
    tokio::select! {
        () = installation.until_more(8) => {}
        never = contradict(&third) => match never {},
    }
    writer.wait_for(CONFLICTS, |row| row.get::<i64, _>(0) > 0).await;

    writer.kill().await;
    node.logged("another server takes the writes now").await;
    installation.finish(&mut node, campaign).await;
    third
        .wait_for("SELECT status FROM kabari.campaigns", |row| {
            row.get::<String, _>(0) == "completed"
        })
        .await;
}
