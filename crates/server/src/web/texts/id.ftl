# Penulisan angka dan waktu.
number = { $number }
months = Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des

# Kerangka halaman.
skip-to-content = Langsung ke isi
page-stale = Halaman ini mungkin tidak terbaru: kabari atau databasenya tidak menjawab. Halaman ini terus mencoba.
nav-label = Menu utama
nav-home = Beranda
nav-send = Kirim
nav-campaigns = Kampanye
nav-notices = Gangguan
nav-customers = Pelanggan
nav-numbers = WhatsApp
nav-log = Catatan
nav-access = Akses

pages-label = Halaman daftar
pages-first = Dari awal
pages-next = Berikutnya
curl-title = Lakukan yang sama lewat API (curl)
curl-copy = Salin
curl-copied = Tersalin

# Kesalahan.
error-title = Halaman ini tidak dapat ditampilkan
error-back = Kembali ke beranda
error-not-found = Alamat ini tidak ada. Periksa alamatnya, atau pilih dari menu.
error-draft-gone = Rancangan pesan ini sudah tidak ada: ia disimpan sehari. Mulai lagi dari Kirim.
error-for-senders = Anda hanya boleh melihat. Minta admin memberi Anda peran pengirim.
error-for-admins = Hanya admin yang boleh melakukan ini. Minta admin melakukannya untuk Anda.
error-forged = Formulir ini tidak berlaku lagi. Muat ulang halaman, lalu kirim lagi. Tidak ada yang diubah.
error-too-large = Isi formulir terlalu besar. Bagi menjadi beberapa bagian.

# Beranda.
home-title = Beranda
home-first-title = Tiga langkah pertama
home-first-link = Tautkan WhatsApp pada ponsel yang akan mengirim.
home-first-link-go = Tautkan sekarang
home-first-customers = Periksa apakah pelanggan dan ODP Anda terbaca.
home-first-customers-go = Lihat pelanggan
home-first-send = Kirim satu pesan uji coba ke nomor Anda sendiri, dari halaman Kirim.
home-numbers = Nomor WhatsApp
home-all-numbers = Semua { $count } nomor
home-campaigns = Sedang berjalan
home-campaign-done = { $done } dari { $total } selesai
home-campaign-eta = selesai sekitar { $time }
home-campaign-waits = Menunggu: { $what }.
home-scheduled = Terjadwal
home-running = Berjalan
home-paused = Dijeda
home-paused-by-breaker = Dihentikan karena banyak gagal
home-setbacks = Perlu dilihat
home-uncertain = { $count } belum pasti: tentukan apakah dikirim lagi.
home-failed = { $count } gagal: lihat sebabnya, lalu ulangi yang gagal.
home-notices = Gangguan dan pemeliharaan aktif
home-no-notices = Tidak ada gangguan aktif.
home-no-notices-hint = Begitu ada yang dicatat di database penagihan, ia muncul di sini.
home-notice-concerned = pelanggan terdampak
home-notice-told = sudah dikabari
home-notice-send = Kirim pemberitahuan

# Keadaan pengiriman.
state-queued = Menunggu
state-sent = Terkirim
state-delivered = Sampai
state-read = Dibaca
state-failed = Gagal
state-skipped = Dilewati
state-uncertain = Belum pasti


# Nomor WhatsApp.
numbers-title = Nomor WhatsApp
numbers-all = Semua nomor
numbers-add = Tambah nomor
numbers-name = Nama nomor
numbers-name-hint = Huruf kecil, angka, - dan _; misalnya kantor. Nama { $example } sudah ada.
number-title = Nomor { $name }
number-back = Kembali ke nomor ini
number-ready = Siap mengirim
number-passkey = Menunggu passkey
number-passkey-advice = WhatsApp meminta passkey akun ini. Ikuti langkah di halaman nomor ini.
number-unreachable = Gateway tidak menjawab
number-unreachable-advice = Pastikan gateway berjalan, lalu periksa WA_GATEWAY_URL.
number-connecting = Sedang menyambung
number-connecting-advice = Ponsel sudah tertaut; WhatsApp sedang disambungkan.
number-disconnected = Terputus
number-disconnected-advice = kabari menyambung lagi dengan sendirinya. Bila lama, periksa internet server ini.
number-unlinked = Belum tertaut
number-unlinked-advice = Tautkan ponsel di halaman nomor ini. Pesan menunggu sampai itu selesai.
number-replaced = Dibuka di tempat lain
number-replaced-advice = Tutup yang lain, lalu mulai ulang nomor ini.
number-banned = Diblokir WhatsApp
number-banned-advice = Berakhir { $until }. Jangan tautkan ulang; kurangi laju sesudahnya.
number-outdated = kabari perlu diperbarui
number-outdated-advice = WhatsApp menolak versi ini. Perbarui kabari.
number-paused = Dijeda
number-paused-advice = Nomor ini tidak mengirim sampai Anda melanjutkannya.
number-quiet = Jam tenang
number-quiet-advice = Pesan biasa menunggu sampai { $until }; yang mendesak tetap dikirim.
number-cap = Kuota hari ini habis
number-cap-advice = Dilanjutkan { $until }.
number-reach-out = Batas chat baru
number-reach-out-advice = Sampai { $until } WhatsApp hanya menerima pesan untuk orang yang pernah menulis ke nomor ini.
number-waiting-since = Tidak mengirim sejak { $time }
number-linked-since = Tertaut sejak { $time }
number-sent-today = terkirim hari ini
number-left-today = sisa kuota hari ini
number-no-cap = tanpa batas harian
number-use = Pemakaian
number-contacts = Orang yang pernah menulis ke nomor ini
number-linked-at = Tertaut sejak
number-history = Riwayat chat dari ponsel
number-today = Pesan hari ini
number-today-none = Belum ada pesan hari ini.
number-today-label = { $total } pesan hari ini; paling banyak pukul { $hour }: { $most }.
number-actions = Tindakan
number-pause = Jeda
number-resume = Lanjutkan
number-restart = Mulai ulang
number-logout = Keluarkan ponsel
number-remove = Hapus nomor
number-keep = Batal
number-done-added = Nomor ditambahkan. Tautkan ponselnya sekarang.
number-done-removed = Nomor dihapus.
number-done-restarting = WhatsApp sedang dimulai ulang.
number-done-paused = Nomor dijeda. Tidak ada yang dikirim darinya.
number-done-resumed = Nomor mengirim lagi.
number-done-logged-out = Ponsel dikeluarkan. QR baru segera muncul.
number-done-changed = Laju disimpan.
number-done-answered = Diterima. WhatsApp melanjutkan.
number-done-failed = Tidak berhasil. Lihat keadaan yang ditampilkan, lalu coba lagi.
link-title = Tautan ke WhatsApp
link-connected = terhubung; pesan dapat dikirim
link-reason = Sebabnya
link-for-admins = Hanya admin yang boleh menautkan ponsel.
link-step-open = Buka WhatsApp di ponsel yang akan mengirim.
link-step-menu = Buka Setelan (iPhone) atau menu ⋮ (Android), lalu Perangkat tertaut.
link-step-scan = Ketuk Tautkan perangkat, lalu arahkan kamera ke kode ini.
link-qr = Kode QR untuk dipindai dengan WhatsApp
link-qr-renewed = Kode ini memperbarui dirinya; halaman tidak perlu dimuat ulang.
link-qr-wait = Kode QR sedang disiapkan…
link-code-title = Tanpa kamera: tautkan dengan kode
link-code-phone = Nomor WhatsApp ponsel itu
link-code-hint = Misalnya 0812 3456 7801.
link-code-button = Minta kode
link-code-type = Di ponsel: Perangkat tertaut, Tautkan perangkat, Tautkan dengan nomor telepon. Ketik kode ini di sana; berlaku beberapa menit.
link-code-none = Kode tidak dapat dibuat. Periksa nomornya, lalu coba lagi.
passkey-until = Berlaku sampai { $time }.
passkey-why = Akun ini dilindungi passkey: kunci yang disimpan ponsel atau komputer Anda, dibuka dengan sidik jari, wajah, atau PIN. Hanya browser yang dapat memakai kunci itu yang bisa menjawab, dan hanya di halaman WhatsApp sendiri.
passkey-open = Di komputer, buka halaman WhatsApp; tidak perlu masuk di sana:
passkey-console = Buka konsol di halaman itu: tekan F12 (di Mac: Option+Command+J), lalu tab Console. Bila Chrome memintanya, ketik allow pasting dulu.
passkey-snippet = Salin skrip ini, tempelkan di konsol, lalu tekan Enter.
passkey-promise = Skrip ini meminta browser menjawab dengan passkey, lalu menampilkan jawabannya di konsol. Tidak ada yang dikirim ke mana pun.
passkey-read = Skripnya
passkey-copy = Salin skrip
passkey-copied = Tersalin
passkey-choose = Pilih passkey yang ditawarkan browser. Bila passkey hanya ada di ponsel, pilih memakai ponsel, lalu pindai kode QR dari browser dengan kamera ponsel itu; Bluetooth harus menyala di keduanya.
passkey-paste = Tempelkan di sini baris yang ditampilkan konsol, dari tanda kurung kurawal pembuka sampai penutup
passkey-send = Kirim jawaban
passkey-check = WhatsApp memeriksa jawaban itu. Sebuah kode akan muncul di sini dan di ponsel…
passkey-compare = Bandingkan kode ini dengan yang ada di ponsel:
passkey-same = Sama, lanjutkan
passkey-different = Berbeda, hentikan
passkey-finish = Dikonfirmasi. Selesaikan juga di ponsel; halaman ini menunggu.
passkey-elsewhere = Gateway di proses lain memegang nomor ini dan tidak dapat diberi passkey dari sini. Jalankan kabari serve tanpa WA_GATEWAY_URL pada DATA_DIR gateway itu, tautkan di sana, lalu jalankan lagi gateway-nya.
pace-title = Laju dan batas
pace-why = Laju yang lambat melindungi nomor dari blokir. Yang dikosongkan mengikuti pengaturan server.
pace-delay = Jeda antar pesan (detik)
pace-jitter = Tambahan acak paling lama (detik)
pace-cap = Paling banyak per hari
pace-usual = Kosong: { $usual }
pace-save = Simpan laju
pace-fault = Tulis detik dari 0 sampai 3600, dan batas harian sebagai bilangan bulat. Tidak ada yang diubah.
logout-title = Keluarkan ponsel dari { $name }?
logout-consequence = Nomor ini tidak dapat mengirim sampai sebuah ponsel ditautkan lagi. Pesan yang belum terkirim menunggu.
remove-title = Hapus nomor { $name }?
remove-consequence = Ponselnya dikeluarkan dan nomor ini hilang dari kabari. Laporan yang ada tetap. Pesan yang jawabannya belum datang menjadi belum pasti.

# Kirim.
send-title = Kirim pesan
send-steps = Langkah
send-step-what = Apa
send-step-to = Kepada siapa
send-step-check = Periksa
send-what = Apa yang dikirim?
send-no-notices = Tidak ada gangguan atau pemeliharaan yang aktif.
send-own-text = Teks sendiri
send-own-text-hint = Untuk kabar lain, misalnya tagihan atau libur.
send-text = Teks pesan
send-text-hint = Nama, ODP, dan id pelanggan diisikan untuk {"{nama}"}, {"{odp}"}, dan {"{id}"}. *tebal*, _miring_, ~coret~.
send-preview = Yang dibaca pelanggan
send-preview-for = Seperti yang akan diterima { $name }.
send-preview-empty = Tulis teks untuk melihatnya di sini.
send-preview-nobody = Belum ada pelanggan aktif yang nomornya dapat dipakai.
send-next-to = Lanjut: kepada siapa
send-next-check = Lanjut: periksa
send-back = Kembali
send-to = Kepada siapa?
send-to-concerned = Yang terdampak gangguan ini ({ $count })
send-to-everybody = Semua pelanggan aktif ({ $count })
send-to-odps = ODP yang dipilih
send-to-customers = Pelanggan yang dipilih
send-to-numbers = Nomor yang ditempel
send-no-odps = Belum ada ODP: kolom odp pelanggan kosong.
send-odp-filter = Saring ODP
send-odp-count = { $count } pelanggan
send-search = Cari nama atau nomor
send-search-button = Cari
send-search-none = Tidak ada pelanggan aktif yang cocok.
send-search-more = Masih ada yang lain: tulis lebih lengkap.
send-numbers = Nomor telepon
send-numbers-hint = Satu per baris, atau dipisah koma. Nomor yang tidak dapat dipakai dilewati dan disebutkan.
send-lacks-text = Belum ada yang dikirim: pilih gangguan atau tulis teks.
send-lacks-recipients = Belum ada penerima: pilih setidaknya satu.
send-lacks-names = Teks ini berisi tempat untuk nama, ODP, atau id, tetapi nomor yang ditempel tidak mempunyainya. Pilih pelanggan, atau ubah teksnya.
check-recipients = Penerima
check-change-to = Ubah penerima
check-get-it = akan menerima
check-skipped = dilewati
check-warm = pernah menulis ke Anda
check-cold = belum pernah
check-cold-hint = WhatsApp membatasi pesan kepada orang yang belum pernah menulis ke nomor Anda. Kirim perlahan, dan minta pelanggan menyimpan nomor Anda.
check-invalid-number = tanpa nomor yang dapat dipakai
check-duplicate-number = bernomor sama dengan penerima lain
check-text-too-long = dengan teks yang terlalu panjang
check-changed = Penerima berubah sejak Anda memeriksa: tadi { $before }, sekarang { $now }. Belum ada yang dikirim; periksa lagi.
check-message = Pesan
check-time = Waktu
check-ends-at = Bila dikirim sekarang, selesai sekitar { $time }.
check-ends-unknown = Kapan selesai belum dapat diperkirakan.
check-quota = Sisa kuota hari ini { $left }: selebihnya dikirim pada hari berikutnya.
check-quiet = Sekarang jam tenang: pesan menunggu sampai { $time }, kecuali mendesak.
check-quiet-urgent = Sekarang jam tenang sampai { $time }; karena mendesak, pesan ini tetap dikirim.
check-urgent = Jadikan mendesak
check-urgent-hint = Dikirim lebih dulu dari yang lain, juga pada jam tenang.
check-is-urgent = Mendesak: lebih dulu, juga pada jam tenang.
check-not-urgent = Tidak mendesak
test-title = Uji coba ke nomor Anda dulu
test-number = Nomor WhatsApp Anda
test-send = Kirim uji coba
test-under-way = Uji coba sedang dikirim…
test-bad-number = Nomor ini tidak dapat dibaca. Tulis misalnya 0812 3456 7801.
check-final = Kirim
check-sent = Pesan ini sudah dikirim.
check-sent-see = Lihat kampanyenya
check-nobody = Tidak ada penerima yang dapat dikirimi.
check-unlinked = Tidak ada ponsel yang tertaut: pesan tidak dapat dikirim.
check-duplicate = Pesan yang sama baru saja dikirim ke penerima yang sama.
check-send = Kirim ke { $count } pelanggan
check-send-again = Kirim sekali lagi ke { $count } pelanggan

# Kampanye.


# Gangguan dan pemeliharaan.


# Pelanggan dan ODP.


# Impor dari CSV.


# Masuk.


# Pengguna dan kunci.


# Catatan.

