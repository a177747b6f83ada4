# Penulisan angka dan waktu.
number = { $number }
months = Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des

# Kerangka halaman.
skip-to-content = Langsung ke isi
nav-label = Menu utama
nav-home = Beranda
nav-send = Kirim
nav-campaigns = Kampanye
nav-notices = Gangguan
nav-customers = Pelanggan
nav-numbers = WhatsApp
nav-log = Catatan
nav-access = Akses

# Kesalahan.
error-title = Halaman ini tidak dapat ditampilkan
error-back = Kembali ke beranda
error-not-found = Alamat ini tidak ada. Periksa alamatnya, atau pilih dari menu.
error-for-senders = Anda hanya boleh melihat. Minta admin memberi Anda peran pengirim.
error-for-admins = Hanya admin yang boleh melakukan ini. Minta admin melakukannya untuk Anda.
error-forged = Formulir ini tidak berlaku lagi. Muat ulang halaman, lalu kirim lagi. Tidak ada yang diubah.
error-too-large = Isi formulir terlalu besar. Bagi menjadi beberapa bagian.

# Beranda.
home-title = Beranda
home-empty = Belum ada apa-apa di sini.

# Keadaan pengiriman.


# Nomor WhatsApp.


# Kirim.


# Kampanye.


# Gangguan dan pemeliharaan.


# Pelanggan dan ODP.


# Impor dari CSV.


# Masuk.
login-title = Masuk
login-name = Nama pengguna
login-password = Kata sandi
login-submit = Masuk
login-wrong = Nama atau kata sandi salah. Periksa keduanya, lalu coba lagi.
login-wait = Terlalu banyak percobaan yang salah. Tunggu { $seconds } detik, lalu coba lagi.
login-busy = Server sedang memeriksa banyak kata sandi. Tunggu sebentar, lalu coba lagi.
login-forgotten = Lupa kata sandi? Minta admin membuat yang baru di halaman Akses, atau di server: kabari user password NAMA
log-out = Keluar
no-users = Belum ada pengguna.
no-users-add = Tambah pengguna
error-no-users = Belum ada pengguna, jadi halaman ini tertutup dari sini. Tambahkan yang pertama di server: kabari user add NAMA. Setelah itu muat ulang halaman ini dan masuk.

# Akun sendiri.
account-title = Akun saya
account-who = Anda masuk sebagai { $name }.
account-browsers = Perangkat tempat Anda masuk
account-browser = Masuk { $began } dari { $address }
account-seen = Terakhir dipakai { $time }
account-this = Perangkat ini
account-end = Keluarkan
account-end-others = Keluarkan semua perangkat lain
account-password = Ganti kata sandi
password-current = Kata sandi sekarang
password-new = Kata sandi baru
password-again = Ulangi kata sandi baru
password-hint = Paling sedikit { $characters } karakter. Beberapa kata yang tidak berhubungan mudah diingat dan sulit ditebak.
password-differs = Kedua kata sandi baru tidak sama. Ketik lagi.
password-too-short = Kata sandi terlalu pendek. Pakai paling sedikit { $characters } karakter.
password-too-long = Kata sandi terlalu panjang. Pakai yang lebih pendek.
password-is-name = Kata sandi tidak boleh sama dengan nama pengguna.
password-wrong = Kata sandi sekarang salah. Ketik lagi.
password-changed = Kata sandi sudah diganti. Perangkat lain harus masuk lagi.
role-viewer = Pengamat
role-viewer-hint = Hanya melihat
role-sender = Pengirim
role-sender-hint = Melihat, mengirim, dan mengatur kampanye
role-admin = Admin
role-admin-hint = Semuanya, juga nomor WhatsApp, pengguna, dan kunci

# Pengguna dan kunci.
access-title = Akses
access-users = Pengguna
access-first = Pengguna pertama harus admin. Setelah ditambahkan, semua orang harus masuk, juga di komputer ini.
access-you = Anda
access-never = belum pernah
access-last-login = Terakhir masuk: { $time }
access-add-user = Tambah pengguna
access-name = Nama
access-name-hint = Huruf kecil, angka, titik, garis bawah, dan tanda hubung, paling banyak 64
access-name-taken = Nama ini sudah dipakai. Pilih nama lain.
access-role = Peran
access-added = Ditambahkan
access-login = Terakhir masuk
access-password-set = Kata sandi diganti
access-browsers = Perangkat tempat masuk
access-self = Ini akun Anda sendiri. Admin lain dapat mengubah peran Anda.
access-change-role = Ubah peran
access-change-password = Buat kata sandi baru
access-ends-logins = Pengguna ini harus masuk lagi setelahnya.
access-remove = Hapus pengguna
access-remove-confirm = Ya, hapus { $name } dan keluarkan dari semua perangkat.
access-keys = Kunci API
access-keys-hint = Setiap program mendapat kunci sendiri, dengan hak yang diperlukannya saja. Kunci dapat dicabut kapan saja.
access-add-key = Buat kunci
access-scope = Untuk apa
scope-read = Membaca saja
scope-send = Membaca, mengirim, dan mengatur kampanye
scope-whatsapp = Membaca, menautkan dan mengatur nomor WhatsApp
scope-admin = Semuanya
access-key-made = Dibuat { $time } oleh { $name }
access-key-used = Terakhir dipakai: { $time }
access-revoked = Dicabut { $time }
access-revoke = Cabut
access-revoke-confirm = Program yang memakai { $name } langsung ditolak. Kunci yang dicabut tidak dapat dipulihkan.
access-key-title = Kunci baru
access-key-once = Salin kunci ini sekarang. Kunci hanya ditampilkan sekali ini.
access-key-header = Program mengirimnya dalam header

# Catatan.
log-title = Catatan
log-empty = Tidak ada catatan yang cocok.
log-time = Waktu
log-actor = Oleh
log-action = Tindakan
log-subject = Terhadap
log-by = Oleh (nama pengguna atau kunci)
log-all = Semua
log-filter = Tampilkan
log-pages = Halaman catatan
log-newest = Terbaru
log-older = Lebih lama
log-csv = Unduh CSV
actor-key = kunci { $name }
actor-local = komputer ini
actor-console = baris perintah ({ $name })
actor-stranger = tanpa masuk
action-send = Mengirim
action-pause-campaign = Menjeda kampanye
action-resume-campaign = Melanjutkan kampanye
action-cancel-campaign = Membatalkan kampanye
action-retry-campaign = Mengirim ulang yang gagal
action-resolve-delivery = Memutuskan pesan yang belum pasti
action-create-session = Menambah nomor WhatsApp
action-change-session = Mengubah pengaturan nomor
action-delete-session = Menghapus nomor WhatsApp
action-pair-session = Meminta kode tautan
action-answer-passkey = Menjawab permintaan passkey
action-confirm-passkey = Membenarkan kode passkey
action-restart-session = Menyambungkan ulang nomor
action-logout-session = Memutuskan tautan nomor
action-pause-session = Menjeda nomor
action-resume-session = Melanjutkan nomor
action-log-in = Masuk
action-fail-log-in = Gagal masuk
action-log-out = Keluar
action-add-user = Menambah pengguna
action-remove-user = Menghapus pengguna
action-change-role = Mengubah peran
action-change-password = Mengganti kata sandi
action-add-key = Membuat kunci
action-revoke-key = Mencabut kunci
