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
error-for-senders = Anda hanya boleh melihat. Minta admin memberi Anda peran pengirim.
error-for-admins = Hanya admin yang boleh melakukan ini. Minta admin melakukannya untuk Anda.
error-forged = Formulir ini tidak berlaku lagi. Muat ulang halaman, lalu kirim lagi. Tidak ada yang diubah.
error-too-large = Isi formulir terlalu besar. Bagi menjadi beberapa bagian.

# Beranda.
home-title = Beranda
home-empty = Belum ada apa-apa di sini.

# Keadaan pengiriman.
state-queued = Menunggu
state-sent = Terkirim
state-delivered = Sampai
state-read = Dibaca
state-failed = Gagal
state-skipped = Dilewati
state-uncertain = Belum pasti


# Nomor WhatsApp.


# Kirim.


# Kampanye.


# Gangguan dan pemeliharaan.


# Pelanggan dan ODP.


# Impor dari CSV.


# Masuk.


# Pengguna dan kunci.


# Catatan.

