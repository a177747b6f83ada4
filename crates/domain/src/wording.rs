//! What customers of the API read, in Indonesian. Clients match on these texts: the first group
//! is a contract with programs written for the replaced system.

/// A customer without a usable number.
pub const INVALID_NUMBER: &str = "Nomor tidak valid atau 0";
/// `POST /api/send/phone` with an unusable number.
pub const INVALID_PHONE: &str = "Nomor telepon tidak valid atau 0";
/// The gateway contract's answer to an unusable number.
pub const INVALID_GATEWAY_PHONE: &str = "Nomor telepon tidak valid";
/// The number has no WhatsApp account.
pub const NOT_REGISTERED: &str = "Nomor tidak terdaftar di WhatsApp";
/// Nobody has linked a phone.
pub const NOT_LINKED: &str = "WhatsApp belum siap. Silakan scan QR code terlebih dahulu.";
/// The same, as `POST /send-bulk` says it.
pub const NOT_LINKED_BULK: &str = "WhatsApp belum siap";
/// No notice has this id.
pub const NOTICE_NOT_FOUND: &str = "Pemberitahuan tidak ditemukan";
/// A send without a notice id, and no notice is active.
pub const NO_ACTIVE_NOTICE: &str = "Tidak ada pemberitahuan aktif";
/// `by-odp` with neither a notice nor a text.
pub const NOTICE_OR_MESSAGE: &str = "notice_id atau custom_message harus diisi";
/// One message was sent.
pub const SENT: &str = "Pesan berhasil terkirim";
/// A send that concerns nobody.
pub const NO_RECIPIENTS: &str = "Tidak ada pelanggan yang perlu dikirim notifikasi";
/// `send-bulk` without its parameters.
pub const BULK_PARAMETERS: &str = "Parameter recipients (array) dan message diperlukan";

/// Another customer of the same send has the same number.
pub const DUPLICATE_NUMBER: &str = "Nomor sama dengan pelanggan lain dalam pengiriman ini";
/// The time for it ran out.
pub const EXPIRED: &str = "Tidak dikirim: masa berlaku pesan sudah habis";
/// A newer send for the same notice replaced it.
pub const SUPERSEDED: &str =
    "Tidak dikirim: digantikan pengiriman yang lebih baru untuk pemberitahuan yang sama";
/// The operator cancelled the campaign.
pub const CANCELLED: &str = "Tidak dikirim: pengiriman dibatalkan";
/// Sent, but nobody answered.
pub const UNCERTAIN: &str = "Belum pasti: pesan sudah dikirim tetapi WhatsApp tidak menjawab. Periksa di WhatsApp, lalu pilih anggap terkirim atau kirim ulang";
/// Not finished yet.
pub const PENDING: &str = "Belum terkirim: masih dalam antrean";
/// The gateway cannot be reached.
pub const GATEWAY_DOWN: &str =
    "WhatsApp Gateway tidak dapat dihubungi. Periksa WA_GATEWAY_URL dan pastikan gateway berjalan";
