//! What makes a device one of an account's: an identity that both have signed.

use buffa::Message;
use wacore_libsignal::protocol::PublicKey;
use waproto::whatsapp as wa;

use crate::account::Account;
use crate::phone::Phone;
use crate::seed::Seed;

const ACCOUNT_SIGNATURE_PREFIX: &[u8] = &[6, 0];
const DEVICE_SIGNATURE_PREFIX: &[u8] = &[6, 1];

/// Returns the identity of a device, signed by the account. The device's own signature is to be
/// added.
pub(crate) fn signed_by_account(
    account: &Account,
    seed: Seed,
    key_index: u32,
    identity: &[u8; 32],
    now_s: u64,
) -> anyhow::Result<wa::ADVSignedDeviceIdentity> {
    let details = wa::ADVDeviceIdentity {
        raw_id: Some(account.raw_id(seed)),
        timestamp: Some(now_s),
        key_index: Some(key_index),
        ..Default::default()
    }
    .encode_to_vec();
    let mut phone = account.lock_phone();
    let signature = phone.sign(&[ACCOUNT_SIGNATURE_PREFIX, &details, identity].concat())?;
    Ok(wa::ADVSignedDeviceIdentity {
        details: Some(details),
        account_signature_key: Some(phone.identity_public().to_vec()),
        account_signature: Some(signature),
        ..Default::default()
    })
}

/// Adds the signature of a simulated device.
pub(crate) fn sign(
    signed: &mut wa::ADVSignedDeviceIdentity,
    device: &mut Phone,
) -> anyhow::Result<()> {
    let message = [
        DEVICE_SIGNATURE_PREFIX,
        signed.details.as_deref().unwrap_or_default(),
        &device.identity_public(),
        signed.account_signature_key.as_deref().unwrap_or_default(),
    ]
    .concat();
    signed.device_signature = Some(device.sign(&message)?);
    Ok(())
}

/// Returns the identity that an account gave a companion, if the companion has signed it. Fills in
/// the account's key where the companion left it out, as some do.
pub(crate) fn countersigned(
    bytes: &[u8],
    companion: &[u8; 32],
    account: &[u8; 32],
) -> Option<Vec<u8>> {
    let mut signed = wa::ADVSignedDeviceIdentity::decode_from_slice(bytes).ok()?;
    let details = signed.details.as_deref()?;
    let message = [DEVICE_SIGNATURE_PREFIX, details, companion, account].concat();
    let key = PublicKey::from_djb_public_key_bytes(companion).ok()?;
    if !key.verify_signature(&message, signed.device_signature.as_deref()?) {
        return None;
    }
    signed.account_signature_key = Some(account.to_vec());
    Some(signed.encode_to_vec())
}
