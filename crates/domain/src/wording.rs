//! The Indonesian texts of the API. Clients match on these texts: the first group
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
/// A notice that concerns nobody.
pub const NO_RECIPIENTS: &str = "Tidak ada pelanggan yang perlu dikirim notifikasi";
/// A text that is for nobody.
pub const NO_RECIPIENTS_OF_TEXT: &str = "Tidak ada pelanggan yang perlu dikirim pesan";
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
/// A backup was restored in which it was still to be sent.
pub const UNCERTAIN_SINCE_BACKUP: &str = "Belum pasti: data dipulihkan dari cadangan, dan pesan ini mungkin sudah terkirim sejak cadangan itu dibuat. Periksa di WhatsApp, lalu pilih anggap terkirim atau kirim ulang";
/// Not finished yet.
pub const PENDING: &str = "Belum terkirim: masih dalam antrean";
/// The gateway cannot be reached.
pub const GATEWAY_DOWN: &str =
    "WhatsApp Gateway tidak dapat dihubungi. Periksa WA_GATEWAY_URL dan pastikan gateway berjalan";
/// Little room is left on the disk.
pub const DISK_NEARLY_FULL: &str =
    "Disk tempat DATA_DIR hampir penuh. Kosongkan ruang sebelum pengiriman terhenti";
/// The loops that send do not come round.
pub const DISPATCHER_STUCK: &str =
    "Bagian pengirim kabari macet. Periksa log dan database, lalu mulai ulang kabari";
/// This machine's clock, or the database server's, is off.
pub const CLOCK_OFF: &str =
    "Jam mesin ini berbeda dari jam WhatsApp atau database. Aktifkan NTP di keduanya";
/// The gateway wants another key, or serves under other names only.
pub const GATEWAY_DENIED: &str = "WhatsApp Gateway menolak kunci. Isi WA_GATEWAY_KEY dengan API_KEY milik gateway, lalu mulai ulang kabari";

/// Returns the answer to a send whose ODP has no active customer.
pub fn no_recipients_at(odp: &str) -> String {
    format!("Tidak ada pelanggan aktif di ODP {odp}")
}

/// Returns the result of `POST /api/send/notification`.
pub fn notification_processed(customers: u64) -> String {
    format!("Notifikasi berhasil diproses untuk {customers} pelanggan")
}

/// Returns the result of `POST /api/send/by-odp/{odp}`.
pub fn notification_processed_at(customers: u64, odp: &str) -> String {
    format!("{} di ODP {odp}", notification_processed(customers))
}

/// Returns the result of `POST /api/send/custom`.
pub fn message_processed(customers: u64) -> String {
    format!("Pesan berhasil diproses untuk {customers} pelanggan")
}

/// The link is up.
pub fn connected_as(phone: &str) -> String {
    format!("WhatsApp terhubung sebagai {phone}")
}

/// The link is up, as `/qr` says it.
pub const ALREADY_CONNECTED: &str = "WhatsApp sudah terhubung";
/// Nothing is known of the link yet.
pub const WAITING_FOR_GATEWAY: &str = "Menunggu WhatsApp Gateway...";
/// A QR waits to be scanned.
pub const SCAN_QR: &str = "WhatsApp belum login. Scan QR code di /api/whatsapp/qr";
/// The same, as `/connect` says it.
pub const PLEASE_SCAN_QR: &str = "WhatsApp belum login. Silakan scan QR code di /api/whatsapp/qr";
/// There is no QR yet.
pub const QR_NOT_READY: &str = "QR Code belum tersedia, tunggu beberapa detik...";
/// The connection is being renewed.
pub const RESTARTING: &str = "WhatsApp sedang direstart";
/// The phone is unlinked.
pub const LOGGED_OUT: &str = "Berhasil logout";

/// No such path; the words of the replaced system's framework.
pub const NOT_FOUND: &str = "Not Found";
/// The path exists, but not with this method.
pub const METHOD_NOT_ALLOWED: &str = "Method Not Allowed";
/// The body is neither JSON nor anything else that can be read.
pub const UNREADABLE_BODY: &str = "There was an error parsing the body";
/// The body is larger than any request needs.
pub const BODY_TOO_LARGE: &str = "Isi permintaan terlalu besar. Bagi menjadi beberapa permintaan";
/// Something in kabari itself is wrong.
pub const INTERNAL: &str = "Terjadi kesalahan di dalam kabari. Periksa log server, lalu coba lagi";
/// A key is required and missing, or wrong.
pub const UNAUTHORIZED: &str = "Kunci API tidak ada atau salah. Kirim header X-API-Key atau Authorization: Bearer dengan nilai API_KEY, atau dengan kunci yang dibuat dengan kabari key add";
/// A key that is not good for this operation.
pub fn scope_needed(scope: &str) -> String {
    format!(
        "Kunci API ini tidak berlaku untuk permintaan ini, yang memerlukan kunci dengan scope {scope} atau admin. Minta admin membuatnya: kabari key add NAMA --scope {scope}"
    )
}

/// Without a key, only this machine may ask.
pub const FOREIGN_HOST: &str = "Tanpa API_KEY, kabari hanya melayani http://localhost dan http://127.0.0.1. Atur API_KEY untuk memakai nama lain";
/// A web page that may not call has made a browser send this.
pub const FOREIGN_PAGE: &str = "Permintaan dari halaman web ini ditolak. Bila halaman itu milik Anda, tambahkan asalnya (misalnya https://billing.contoh.net) ke CORS_ORIGINS, lalu mulai ulang kabari";
/// No campaign has this id.
pub const CAMPAIGN_NOT_FOUND: &str = "Pengiriman tidak ditemukan";
/// No delivery has this id.
pub const DELIVERY_NOT_FOUND: &str = "Penerima tidak ditemukan";
/// The same send was made a moment ago.
pub const DUPLICATE_SEND: &str = "Pesan yang sama baru saja dikirim ke penerima yang sama. Kirim dengan force: true bila memang perlu diulang";
/// A retry of a campaign without failures.
pub const NOTHING_TO_RETRY: &str = "Tidak ada penerima yang gagal untuk dikirim ulang";
/// An `uncertain` decision about a delivery that is not uncertain.
pub const NOT_UNCERTAIN: &str = "Penerima ini tidak menunggu keputusan";

/// A `send_again` for a campaign whose time has run out.
pub const CAMPAIGN_EXPIRED: &str = "Masa berlaku pengiriman ini sudah habis, jadi tidak ada yang dikirim lagi. Anggap terkirim, atau buat pengiriman baru";

/// A text with `{odp}` to those whom a notice has reached.
pub const ODP_UNKNOWN: &str =
    "Tulis pesan tanpa {odp}: ODP penerima saat gangguan tidak disimpan. Pakai {nama} bila perlu";

/// Returns the name of a campaign that tells that a notice is over.
pub fn restored_subject(title: &str) -> String {
    format!("Pulih: {title}")
}

/// Returns the answer to a control that means nothing in this status.
pub fn not_allowed(status: &str) -> String {
    format!("Tidak bisa dilakukan: status pengiriman sekarang {status}")
}

/// Returns the fault of a database that does not answer. `settings` are the variables that say
/// where it is.
pub fn database_unreachable(database: &str, settings: &str) -> String {
    format!(
        "Database {database} tidak dapat dihubungi. Pastikan server database berjalan dan {settings} benar, lalu coba lagi"
    )
}

/// Returns the fault of a database that refuses the account.
pub fn database_denied(database: &str, settings: &str) -> String {
    format!("Database {database} menolak akses. Periksa {settings} dan hak akses akunnya")
}

/// Returns the fault of a database without some tables or columns.
pub fn database_lacks(database: &str, what: &str, settings: &str) -> String {
    format!(
        "Database {database} tidak memiliki {what}. Pastikan {settings} menunjuk database yang benar"
    )
}

/// Returns the fault of a database whose disk is full.
pub fn database_full(database: &str) -> String {
    format!("Disk untuk database {database} penuh. Kosongkan ruang, lalu coba lagi")
}

/// Returns the fault of a database that can only be read.
pub fn database_read_only(database: &str) -> String {
    format!("Database {database} hanya bisa dibaca. Izinkan kabari menulis, lalu coba lagi")
}

/// Returns the fault of a database whose rows others hold.
pub fn database_busy(database: &str) -> String {
    format!("Database {database} sedang sibuk. Coba lagi sebentar lagi")
}

/// With this customer's name in it, the text is longer than WhatsApp takes.
pub const TEXT_TOO_LONG: &str = "Pesan terlalu panjang untuk WhatsApp";

/// The connection to WhatsApp broke and is being made again.
pub const RECONNECTING: &str = "Koneksi ke WhatsApp terputus, sedang menyambung kembali";
/// No connection to WhatsApp can be made.
pub const WHATSAPP_UNREACHABLE: &str =
    "Server WhatsApp tidak dapat dihubungi. Periksa koneksi internet";
/// WhatsApp wants the account's passkey.
pub const PASSKEY_REQUIRED: &str = "WhatsApp meminta passkey akun ini. Ikuti langkahnya di /api/whatsapp/qr (browser) atau dengan perintah kabari link";

/// A browser has to answer. `path` is where the link is found in the API.
pub fn passkey_answer(path: &str) -> String {
    format!(
        "WhatsApp meminta passkey akun ini. Buka https://web.whatsapp.com di browser yang dapat memakai passkey itu, jalankan isi snippet di konsolnya, lalu kirim jawabannya ke POST {path}/passkey"
    )
}

/// WhatsApp looks at the answer.
pub const PASSKEY_CHECK: &str =
    "Jawaban passkey sudah diterima WhatsApp. Tunggu kode muncul di sini dan di ponsel";

/// There is a code on both sides. `path` is where the link is found in the API.
pub fn passkey_compare(path: &str) -> String {
    format!(
        "Cocokkan kode ini dengan kode di ponsel. Bila sama, konfirmasi dengan POST {path}/passkey/confirm. Bila berbeda, jangan lanjutkan: mulai ulang dengan POST {path}/restart"
    )
}

/// Somebody has confirmed the code.
pub const PASSKEY_FINISH: &str =
    "Kode sudah dikonfirmasi. Selesaikan juga di ponsel, lalu tunggu sampai tertaut";
/// The same link behind a gateway that has to be given the passkey itself.
pub const PASSKEY_ELSEWHERE: &str = "WhatsApp meminta passkey, dan gateway tidak dapat menerimanya dari sini. Jalankan kabari serve tanpa WA_GATEWAY_URL pada DATA_DIR gateway, tautkan di sana, lalu jalankan gateway lagi";

/// Nothing asks for a passkey. `path` is where the link is found in the API.
pub fn passkey_not_asked(path: &str) -> String {
    format!(
        "WhatsApp sedang tidak meminta passkey. Bila nomor belum tertaut, pindai dulu kode QR di {path}/qr"
    )
}

/// An answer or a confirmation for another step than the one that waits.
pub const PASSKEY_OTHER_STEP: &str =
    "Bukan langkah yang sedang ditunggu. Lihat langkah yang sekarang, lalu lanjutkan dari sana";
/// WhatsApp did not take the answer.
pub const PASSKEY_REFUSED: &str = "WhatsApp menolak jawaban passkey ini. Salin snippet sekali lagi, jalankan dengan passkey milik nomor yang memindai, lalu kirim jawaban yang baru";
/// The answer is no JSON object.
pub const ASSERTION_NOT_AN_OBJECT: &str = "Jawaban passkey harus berupa objek JSON. Salin seluruh baris yang ditampilkan konsol, dari { sampai }";
/// The answer is longer than any.
pub const ASSERTION_TOO_LARGE: &str =
    "Jawaban passkey terlalu panjang. Salin hanya baris JSON yang ditampilkan konsol";
/// The answer was made on another page.
pub const ASSERTION_OTHER_ORIGIN: &str = "Jawaban ini tidak dibuat di https://web.whatsapp.com. Buka halaman itu, lalu jalankan snippet di konsolnya";
/// The answer is to an older request.
pub const ASSERTION_OTHER_REQUEST: &str = "Jawaban ini untuk permintaan yang lama. Salin snippet yang sekarang, jalankan lagi, lalu kirim jawaban yang baru";

/// A field of the answer is missing or wrong.
pub fn assertion_field(field: &str) -> String {
    format!(
        "Jawaban passkey tidak lengkap: {field} tidak ada atau salah. Salin seluruh baris yang ditampilkan konsol, dari {{ sampai }}"
    )
}

/// A field of the answer is not encoded as browsers do.
pub fn assertion_not_base64(field: &str) -> String {
    format!(
        "Jawaban passkey rusak: {field} bukan base64url. Salin lagi seluruh baris yang ditampilkan konsol"
    )
}

/// Nobody answered in time.
pub const PASSKEY_EXPIRED: &str =
    "Waktu untuk passkey habis. Pindai kode QR yang baru, lalu ulangi";
/// The connection ended before the link was finished.
pub const PASSKEY_INTERRUPTED: &str =
    "Sambungan terputus sebelum passkey selesai. Pindai kode QR yang baru, lalu ulangi";
/// WhatsApp, the phone and kabari did not come to terms.
pub const PASSKEY_FAILED: &str =
    "Penautan dengan passkey gagal. Pindai kode QR yang baru, lalu ulangi";
/// WhatsApp asked once more after it had taken an answer.
pub const PASSKEY_ASKED_AGAIN: &str = "WhatsApp meminta passkey sekali lagi, dan permintaan yang pertama batal. Pindai kode QR yang baru, lalu ulangi";
/// Why a link that wanted a passkey begins anew; each stays in sight until somebody links again.
pub const PASSKEY_BEGINS_ANEW: [&str; 4] =
    [PASSKEY_EXPIRED, PASSKEY_INTERRUPTED, PASSKEY_FAILED, PASSKEY_ASKED_AGAIN];
/// The phone unlinked us.
pub const UNLINKED: &str = "Perangkat ini dikeluarkan dari WhatsApp. Silakan scan QR code baru";
/// The same session runs elsewhere.
pub const REPLACED: &str =
    "Sesi WhatsApp ini dibuka di tempat lain. Tutup yang lain, lalu restart WhatsApp di sini";
/// WhatsApp banned the number for a time.
pub const BANNED: &str = "Nomor ini diblokir sementara oleh WhatsApp";
/// WhatsApp wants a newer client.
pub const CLIENT_OUTDATED: &str = "WhatsApp menolak versi ini. Perbarui kabari";
/// WhatsApp let nobody in, for a reason of its own.
pub const CONNECTION_REFUSED: &str = "WhatsApp menolak koneksi";
/// Another node has taken the number.
pub const HELD_BY_ANOTHER_NODE: &str = "Nomor ini sekarang dipegang oleh node kabari lain";
/// The session cannot be read or written.
pub const SESSION_STORAGE: &str = "Data sesi WhatsApp tidak dapat dibaca atau ditulis. Periksa database kabari (STATE_DATABASE_URL atau DATA_DIR) dan SESSION_KEY";
/// WhatsApp's limit for people who never wrote to us.
pub const REACH_OUT_LIMIT: &str =
    "Ditunda: WhatsApp membatasi pesan ke nomor yang belum pernah menghubungi nomor ini";
/// The server wants a token that the recipient has not given us.
pub const MISSING_TOKEN: &str = "WhatsApp belum mengizinkan pesan ke nomor ini. Minta pelanggan mengirim pesan ke nomor ini lebih dulu";
/// The server said not now.
pub const TRY_LATER: &str = "WhatsApp meminta menunggu. Coba lagi nanti";
/// The server said no for good. `code` is its own number for the reason.
pub fn refused(code: &str) -> String {
    format!("Pesan ditolak oleh WhatsApp (kode {code})")
}

/// `POST /send` without its parameters.
pub const SEND_PARAMETERS: &str = "Parameter phone dan message diperlukan";
/// `POST /send` with a `message_id` that cannot be one.
pub const INVALID_MESSAGE_ID: &str =
    "Parameter message_id hanya boleh berisi huruf, angka, - dan _, paling banyak 64";
/// `POST /send` with a `message_id` that has gone to another number.
pub const MESSAGE_ID_REUSED: &str =
    "message_id ini sudah dipakai untuk nomor lain. Pakai message_id baru untuk setiap pesan";

/// The dialects of other gateways are off.
pub const COMPAT_OFF: &str = "Alamat ini belum diaktifkan: COMPAT_KEY belum diatur. Buat kuncinya dengan openssl rand -hex 16, isi COMPAT_KEY, lalu mulai ulang kabari";
/// The key for the dialects of other gateways is missing or wrong.
pub const COMPAT_DENIED: &str = "Kunci tidak ada atau salah. Isi key dengan COMPAT_KEY dari kabari";
/// A call without a number or a text.
pub const COMPAT_PARAMETERS: &str = "Parameter to dan text diperlukan";
/// A message in another gateway's dialect is recorded.
pub const COMPAT_RECORDED: &str = "Pesan diterima dan akan dikirim";
/// More messages at once than are taken.
pub const COMPAT_TOO_MANY: &str = "Terlalu banyak permintaan. Coba lagi sebentar lagi";
/// A request for more than a text.
pub const COMPAT_TEXT_ONLY: &str =
    "kabari hanya mengirim teks. Kirim tanpa url, file, lokasi, polling, dan tombol";

/// The link is in no state for what was asked.
pub const LINK_BUSY: &str =
    "Tidak dapat dilakukan pada keadaan WhatsApp sekarang. Lihat statusnya, lalu coba lagi";
/// WhatsApp or the gateway gave no answer in time.
pub const NO_ANSWER: &str =
    "WhatsApp atau gateway tidak menjawab. Periksa koneksi dan gateway, lalu coba lagi";

/// The phone is linked under another name already.
pub fn number_taken(session: &str) -> String {
    format!("Nomor ini sudah tertaut pada sesi {session}. Hubungkan nomor lain di sini")
}
/// No session has this name.
pub const SESSION_NOT_FOUND: &str = "Sesi WhatsApp tidak ditemukan";
/// A session of this name is there already.
pub const SESSION_EXISTS: &str = "Sesi WhatsApp dengan nama ini sudah ada";
/// A name that no session can have.
pub const SESSION_NAME: &str =
    "Nama sesi hanya boleh berisi huruf kecil, angka, - dan _, paling banyak 64";
/// The session that the replaced system's endpoints act on stays.
pub const DEFAULT_SESSION_STAYS: &str =
    "Sesi default tidak dapat dihapus. Lepaskan nomornya dengan POST /api/whatsapp/logout";
/// The session is paused.
pub const SESSION_PAUSED: &str = "Sesi WhatsApp dijeda";
/// The session goes on.
pub const SESSION_RESUMED: &str = "Sesi WhatsApp dilanjutkan";
