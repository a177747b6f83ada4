//! Reads the file in which an earlier kabari kept its WhatsApp session.

use super::error::StoreError;
use kabari_gateway::embedded::{LegacyDevice, LegacySession};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, FromRow, Row};
use std::path::Path;

/// Reads the session, unless no phone was linked to it. The file is not changed.
pub async fn read_legacy_session(file: &Path) -> Result<Option<LegacySession>, StoreError> {
    read(file).await.map_err(|error| StoreError::LegacySession {
        file: file.display().to_string(),
        reason: error.to_string(),
    })
}

async fn read(file: &Path) -> Result<Option<LegacySession>, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.disable_statement_logging().connect().await?;
    let device = sqlx::query("SELECT * FROM device ORDER BY id LIMIT 1");
    let Some(row) = device.fetch_optional(&mut connection).await? else { return Ok(None) };
    let device = device_of(&row)?;
    if device.pn.is_empty() {
        return Ok(None);
    }
    let id: i64 = row.try_get("id")?;
    let db = &mut connection;
    let session = LegacySession {
        device,
        identities: rows(db, "SELECT address, key FROM identities", id).await?,
        sessions: rows(db, "SELECT address, record FROM sessions", id).await?,
        prekeys: rows(db, "SELECT id, key FROM prekeys", id).await?,
        signed_prekeys: rows(db, "SELECT id, record FROM signed_prekeys", id).await?,
        sender_keys: rows(db, "SELECT address, record FROM sender_keys", id).await?,
        sync_keys: sync_keys(db, id).await?,
        lid_mappings: rows(
            db,
            "SELECT lid, phone_number, created_at, updated_at, learning_source FROM lid_pn_mapping",
            id,
        )
        .await?,
        tokens: rows(db, "SELECT jid, token, token_timestamp, sender_timestamp FROM tc_tokens", id)
            .await?,
        sent_messages: rows(
            db,
            "SELECT chat_jid, message_id, payload, created_at FROM sent_messages",
            id,
        )
        .await?,
        secrets: secrets(db, id).await?,
    };
    connection.close().await?;
    Ok(Some(session))
}

/// Reads all rows of the device.
async fn rows<T>(
    connection: &mut SqliteConnection,
    select: &'static str,
    device: i64,
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let sql = sqlx::AssertSqlSafe(format!("{select} WHERE device_id = ?"));
    sqlx::query_as(sql).bind(device).fetch_all(connection).await
}

/// Reads the keys by id: the last is the newest.
async fn sync_keys(
    connection: &mut SqliteConnection,
    device: i64,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, sqlx::Error> {
    let select = "SELECT key_id, key_data FROM app_state_keys";
    let mut keys: Vec<(Vec<u8>, Vec<u8>)> = rows(connection, select, device).await?;
    keys.sort();
    Ok(keys)
}

type Secret = ((String, String, String), Vec<u8>, i64, i64);

async fn secrets(
    connection: &mut SqliteConnection,
    device: i64,
) -> Result<Vec<Secret>, sqlx::Error> {
    let select = "SELECT chat, sender, msg_id, secret, expires_at, message_ts FROM msg_secrets";
    let stored: Vec<(String, String, String, Vec<u8>, i64, i64)> =
        rows(connection, select, device).await?;
    let secret = |(chat, sender, id, secret, expires_at, message_ts)| {
        ((chat, sender, id), secret, expires_at, message_ts)
    };
    Ok(stored.into_iter().map(secret).collect())
}

fn device_of(row: &SqliteRow) -> Result<LegacyDevice, sqlx::Error> {
    Ok(LegacyDevice {
        pn: row.try_get("pn")?,
        lid: row.try_get("lid")?,
        registration_id: row.try_get("registration_id")?,
        noise_key: row.try_get("noise_key")?,
        identity_key: row.try_get("identity_key")?,
        signed_pre_key: row.try_get("signed_pre_key")?,
        signed_pre_key_id: row.try_get("signed_pre_key_id")?,
        signed_pre_key_signature: row.try_get("signed_pre_key_signature")?,
        adv_secret_key: row.try_get("adv_secret_key")?,
        account: row.try_get("account")?,
        push_name: row.try_get("push_name")?,
        edge_routing_info: row.try_get("edge_routing_info")?,
        next_pre_key_id: row.try_get("next_pre_key_id")?,
        first_unupload_pre_key_id: row.try_get("first_unupload_pre_key_id")?,
        server_has_prekeys: row.try_get("server_has_prekeys")?,
        nct_salt: row.try_get("nct_salt")?,
        login_counter: row.try_get("login_counter")?,
        lid_migrated: row.try_get("lid_migrated")?,
        last_signed_pre_key_rotation_ms: row.try_get("last_signed_pre_key_rotation_ms")?,
        read_receipts_disabled: row.try_get("read_receipts_disabled")?,
    })
}
