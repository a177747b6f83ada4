use super::memory::KNOWN_BYTES;
use super::*;
use crate::MemoryStore;
use whatsapp_rust::Jid;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::wacore::store::traits::{
    AppSyncStore, DeviceListRecord, DeviceStore, LidPnMappingEntry, MsgSecretEntry, MsgSecretStore,
    ProtocolStore, SignalStore, TcTokenEntry,
};
use whatsapp_rust::wacore::types::jid::JidExt;

fn storage() -> (Arc<MemoryStore>, Storage) {
    let store = Arc::new(MemoryStore::default());
    (store.clone(), Storage::new(store))
}

/// Returns what another process finds.
fn reopened(store: &Arc<MemoryStore>) -> Storage {
    Storage::new(store.clone())
}

const ADDRESS: &str = "100000012345678:2@lid";

#[tokio::test]
async fn what_is_changed_is_read_at_once_and_stored_by_a_flush() {
    let (store, storage) = storage();
    storage.put_session(ADDRESS, b"a ratchet").await.unwrap();
    assert_eq!(storage.get_session(ADDRESS).await.unwrap().unwrap(), "a ratchet");
    assert_eq!(reopened(&store).get_session(ADDRESS).await.unwrap(), None);

    storage.flush().await.unwrap();
    assert_eq!(reopened(&store).get_session(ADDRESS).await.unwrap().unwrap(), "a ratchet");
    storage.delete_session(ADDRESS).await.unwrap();
    assert_eq!(storage.get_session(ADDRESS).await.unwrap(), None);
    storage.flush().await.unwrap();
    assert_eq!(reopened(&store).get_session(ADDRESS).await.unwrap(), None);
}

#[tokio::test]
async fn all_changes_go_into_one_batch_and_nothing_is_written_twice() {
    let (store, storage) = storage();
    storage.put_session(ADDRESS, b"a ratchet").await.unwrap();
    storage.put_identity(ADDRESS, [7; 32]).await.unwrap();
    storage.store_prekeys_batch(&[(1, "one".into()), (2, "two".into())], false).await.unwrap();
    storage.flush().await.unwrap();
    assert_eq!(store.writes(), 1);
    storage.put_identity(ADDRESS, [7; 32]).await.unwrap();
    storage.flush().await.unwrap();
    assert_eq!(store.writes(), 1);
}

#[tokio::test]
async fn what_has_been_read_is_not_read_again() {
    let (store, storage) = storage();
    for _ in 0..3 {
        assert_eq!(storage.load_identity(ADDRESS).await.unwrap(), None);
    }
    assert_eq!(store.reads(), 1);
}

#[tokio::test]
async fn more_than_can_be_remembered_is_read_again_and_right() {
    let (store, storage) = storage();
    let record = [1; 2048];
    let remembered = KNOWN_BYTES / (record.len() + ADDRESS.len());
    let addresses: Vec<String> = (0..5 * remembered).map(|n| format!("{n}@lid")).collect();
    for (count, address) in addresses.iter().enumerate() {
        storage.put_sender_key(address, &record).await.unwrap();
        storage.flush().await.unwrap();
        let reads = store.reads();
        for newest in &addresses[count.saturating_sub(remembered - 1)..=count] {
            assert_eq!(storage.get_sender_key(newest).await.unwrap().unwrap(), record);
        }
        assert_eq!(store.reads(), reads, "what came last is remembered");
    }
    assert!(storage.memory().known_bytes < 2 * KNOWN_BYTES);
    for address in &addresses {
        assert_eq!(storage.get_sender_key(address).await.unwrap().unwrap(), record);
    }
    assert!(store.reads() >= 3 * remembered, "the others are read");
}

#[tokio::test]
async fn a_failed_batch_is_written_with_the_next() {
    let (store, storage) = storage();
    storage.put_session(ADDRESS, b"old").await.unwrap();
    storage.put_identity(ADDRESS, [7; 32]).await.unwrap();
    store.fail_with(Some(SessionStoreError::Unavailable("away".into())));
    // Given up in the middle, as when a client is cut off.
    let given_up = tokio::time::timeout(Duration::from_millis(50), storage.flush()).await;
    assert!(given_up.is_err());
    storage.put_session(ADDRESS, b"new").await.unwrap();

    store.fail_with(None);
    storage.flush().await.unwrap();
    let reopened = reopened(&store);
    assert_eq!(reopened.get_session(ADDRESS).await.unwrap().unwrap(), "new");
    assert_eq!(reopened.load_identity(ADDRESS).await.unwrap(), Some([7; 32]));
}

#[tokio::test]
async fn a_fenced_session_stays_fenced() {
    let (store, storage) = storage();
    storage.flush().await.unwrap();
    store.fail_with(Some(SessionStoreError::Fenced));
    storage.put_identity(ADDRESS, [7; 32]).await.unwrap();
    assert_eq!(storage.flush().await, Err(SessionStoreError::Fenced));
    store.fail_with(None);
    assert_eq!(storage.flush().await, Err(SessionStoreError::Fenced));
    storage.fenced().await;
}

#[tokio::test]
async fn a_closed_session_writes_nothing_more() {
    let (store, storage) = storage();
    storage.put_identity(ADDRESS, [7; 32]).await.unwrap();
    storage.close().await.unwrap();
    assert_eq!(store.len(collection::IDENTITIES), 1);
    storage.put_session(ADDRESS, b"too late").await.unwrap();
    assert!(storage.flush().await.is_err());
    assert_eq!(store.len(collection::SESSIONS), 0);
}

#[tokio::test]
async fn the_device_survives() {
    let (store, storage) = storage();
    assert!(!storage.exists().await.unwrap());
    storage.create().await.unwrap();
    let mut device = storage.load().await.unwrap().unwrap();
    device.pn = Some("6281299990000:3@s.whatsapp.net".parse().unwrap());
    device.next_pre_key_id = 813;
    storage.save(&device).await.unwrap();
    storage.flush().await.unwrap();

    let loaded = reopened(&store).load().await.unwrap().unwrap();
    assert_eq!((loaded.pn, loaded.next_pre_key_id), (device.pn, 813));
    let private = |device: &whatsapp_rust::wacore::store::Device| {
        [&device.noise_key, &device.identity_key, &device.signed_pre_key]
            .map(|pair| pair.private_key.serialize().to_vec())
    };
    let before = storage.load().await.unwrap().unwrap();
    assert_eq!(private(&reopened(&store).load().await.unwrap().unwrap()), private(&before));
}

#[tokio::test]
async fn keys_are_found_by_id_and_the_largest_is_known() {
    let (store, storage) = storage();
    storage.store_prekeys_batch(&[(1, "one".into()), (300, "last".into())], false).await.unwrap();
    storage.flush().await.unwrap();
    let storage = reopened(&store);
    storage.store_prekey(2, b"two", true).await.unwrap();
    storage.remove_prekey(1).await.unwrap();
    let mut loaded = storage.load_prekeys_batch(&[1, 2, 3, 300]).await.unwrap();
    loaded.sort_by_key(|(id, _)| *id);
    assert_eq!(loaded, [(2, Bytes::from("two")), (300, Bytes::from("last"))]);
    assert_eq!(storage.get_max_prekey_id().await.unwrap(), 300);
    storage.mark_prekeys_uploaded(&[1]).await.unwrap();
    assert_eq!(storage.load_prekey(1).await.unwrap(), None, "a used key stays used");
}

#[tokio::test]
async fn a_user_has_signal_state_once_a_device_has() {
    let (store, storage) = storage();
    assert!(!storage.has_signal_state_for_user("100000012345678").await.unwrap());
    storage.put_session(ADDRESS, b"a ratchet").await.unwrap();
    storage.flush().await.unwrap();
    let storage = reopened(&store);
    assert!(storage.has_signal_state_for_user("100000012345678").await.unwrap());
    assert!(!storage.has_signal_state_for_user("10000001234567").await.unwrap());
}

#[tokio::test]
async fn a_number_leads_to_its_newest_lid() {
    let (_store, storage) = storage();
    storage.put_lid_mapping(&mapping("1", "6281")).await.unwrap();
    storage.put_lid_mapping(&mapping("2", "6282")).await.unwrap();
    assert_eq!(storage.get_pn_mapping("6281").await.unwrap().unwrap().lid, "1");
    storage.put_lid_mapping(&mapping("1", "6283")).await.unwrap();
    assert!(storage.get_pn_mapping("6281").await.unwrap().is_none());
    assert_eq!(storage.get_pn_mapping("6283").await.unwrap().unwrap().lid, "1");
    assert_eq!(storage.get_all_lid_mappings().await.unwrap().len(), 2);
}

#[tokio::test]
async fn old_messages_and_secrets_expire() {
    let (_store, storage) = storage();
    let secret = |id: &str, expires_at| MsgSecretEntry {
        chat: "c".into(),
        sender: "s".into(),
        msg_id: id.into(),
        secret: [1; 32],
        expires_at,
        message_ts: 0,
    };
    storage.store_sent_message("c", "m", b"text").await.unwrap();
    storage.put_msg_secrets(vec![secret("ever", 0), secret("old", 50)]).await.unwrap();
    storage.put_msg_secrets(vec![secret("later", 50), secret("later", 99)]).await.unwrap();
    storage.flush().await.unwrap();

    assert_eq!(storage.delete_expired_sent_messages(seconds_ago(60)).await.unwrap(), 0);
    assert_eq!(storage.delete_expired_msg_secrets(50).await.unwrap(), 1);
    for (id, there) in [("ever", true), ("old", false), ("later", true)] {
        let found = storage.get_msg_secret("c", "s", id).await.unwrap();
        assert_eq!(found.is_some(), there, "{id}");
    }
    assert_eq!(storage.take_sent_message("c", "m").await.unwrap().as_deref(), Some(&b"text"[..]));
    assert_eq!(storage.take_sent_message("c", "m").await.unwrap(), None, "taken is taken");
}

fn seconds_ago(seconds: u64) -> i64 {
    let then = std::time::SystemTime::now() - Duration::from_secs(seconds);
    then.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

#[tokio::test]
async fn tokens_live_as_long_as_either_side_uses_them() {
    let (_store, storage) = storage();
    let token = |token_timestamp, sender_timestamp| TcTokenEntry {
        token: vec![1],
        token_timestamp,
        sender_timestamp,
    };
    storage.put_tc_token("received", &token(100, None)).await.unwrap();
    storage.put_tc_token("sent", &token(1, Some(100))).await.unwrap();
    storage.put_tc_token("neither", &token(1, Some(1))).await.unwrap();
    assert_eq!(storage.delete_expired_tc_tokens(50, 50).await.unwrap(), 1);
    let mut left = storage.get_all_tc_token_jids().await.unwrap();
    left.sort();
    assert_eq!(left, ["received", "sent"]);
}

#[tokio::test]
async fn macs_are_cleared_by_collection() {
    use whatsapp_rust::wacore::appstate::processor::AppStateMutationMAC;
    let (_store, storage) = storage();
    let mac = |n: u8| AppStateMutationMAC { index_mac: vec![n; 32], value_mac: vec![n] };
    storage.put_mutation_macs("regular", 1, &[mac(1), mac(2)]).await.unwrap();
    storage.put_mutation_macs("regular_low", 1, &[mac(1)]).await.unwrap();
    storage.flush().await.unwrap();
    storage.delete_mutation_macs("regular", &[vec![2; 32]]).await.unwrap();
    let found = storage.get_mutation_macs("regular", &[[1; 32], [2; 32]]).await.unwrap();
    assert_eq!(found.len(), 1);
    storage.clear_mutation_macs("regular").await.unwrap();
    assert_eq!(storage.get_mutation_mac("regular", &[1; 32]).await.unwrap(), None);
    assert_eq!(storage.get_mutation_mac("regular_low", &[1; 32]).await.unwrap(), Some(vec![1]));
}

#[tokio::test]
async fn a_frame_waits_for_what_whatsapp_would_not_tell_again() {
    let (store, storage) = storage();
    let holds_up = || [Before::Everything, Before::Messages].map(|f| storage.memory().holds_up(f));
    storage.store_sent_message("62812@c.us", "3EB0", b"text").await.unwrap();
    assert_eq!(holds_up(), [false, true], "only a frame with a message");
    storage.write_ahead(true).await.unwrap();
    assert_eq!((store.writes(), holds_up()), (1, [false, false]));

    storage.update_device_list(devices(1)).await.unwrap();
    assert_eq!(holds_up(), [false, false], "it can be asked for again");
    storage.put_session(ADDRESS, b"a ratchet").await.unwrap();
    assert_eq!(holds_up(), [true, true]);
    storage.write_ahead(false).await.unwrap();
    assert!(reopened(&store).get_devices("62812").await.unwrap().is_some(), "it goes along");

    storage.update_device_list(devices(2)).await.unwrap();
    assert_eq!(holds_up(), [true, true], "a change of it is told once");
}

fn mapping(lid: &str, phone: &str) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.into(),
        phone_number: phone.into(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".into(),
    }
}

fn devices(timestamp: i64) -> DeviceListRecord {
    DeviceListRecord { user: "62812".into(), devices: vec![], timestamp, phash: None, raw_id: None }
}

#[tokio::test]
async fn what_is_read_ahead_is_not_read_again_and_never_stale() {
    let (store, storage) = storage();
    let jid = Jid::pn("6281234567801");
    let address = jid.to_protocol_address_string();
    storage.put_session(&address, b"old").await.unwrap();
    storage.flush().await.unwrap();

    let storage = reopened(&store);
    storage.read_ahead(&[jid.clone(), Jid::pn("6281234567802")]).await.unwrap();
    // Of those who are asked for once more nothing is read, and nothing forgotten.
    storage.read_ahead(std::slice::from_ref(&jid)).await.unwrap();
    let reads = store.reads();
    assert_eq!(storage.get_session(&address).await.unwrap().unwrap(), "old");
    assert_eq!(storage.load_identity(&address).await.unwrap(), None);
    assert!(storage.get_devices(&jid.user).await.unwrap().is_none());
    assert_eq!(store.reads(), reads);

    storage.put_session(&address, b"new").await.unwrap();
    storage.flush().await.unwrap();
    assert_eq!(storage.get_session(&address).await.unwrap().unwrap(), "new");

    storage.read_ahead(std::slice::from_ref(&jid)).await.unwrap();
    storage.forget_read_ahead();
    let reads = store.reads();
    assert_eq!(storage.get_session(&address).await.unwrap().unwrap(), "new");
    assert_eq!(store.reads(), reads + 1);
}

#[tokio::test]
async fn what_is_asked_about_a_new_lid_is_read_at_once() {
    let (store, storage) = storage();
    storage.put_lid_mapping(&mapping("1", "6281")).await.unwrap();
    assert!(storage.get_devices("1").await.unwrap().is_none());
    assert!(!storage.has_signal_state_for_user("1").await.unwrap());
    assert_eq!(store.reads(), 1);

    storage.put_session("2@lid", b"new").await.unwrap();
    storage.flush().await.unwrap();
    let storage = reopened(&store);
    storage.put_lid_mapping(&mapping("2", "6289")).await.unwrap();
    assert!(storage.has_signal_state_for_user("2").await.unwrap());
    assert!(storage.get_pn_mapping("6282").await.unwrap().is_none());
}
