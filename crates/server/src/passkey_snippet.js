// kabari: passkey WhatsApp
// Apa yang dilakukan: meminta browser ini menandatangani permintaan WhatsApp dengan passkey Anda, lalu
// menampilkan jawabannya di konsol dan menyalinnya. Tidak ada yang dikirim ke mana pun, tidak ada yang disimpan.
// What this does: asks this browser to sign WhatsApp's request with your passkey, then prints the answer
// in the console and copies it. It sends nothing anywhere, and keeps nothing.
(async () => {
  if (location.origin !== "ORIGIN") {
    return console.error("Buka ORIGIN dulu, lalu tempelkan ini di konsolnya. / Open ORIGIN first, and paste this there.");
  }
  const clipboard = typeof copy === "function" ? copy : undefined;
  const options = OPTIONS;
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  options.challenge = bytes(options.challenge);
  options.allowCredentials = (options.allowCredentials ?? []).map((known) => ({ ...known, id: bytes(known.id) }));
  try {
    const { rawId, type, response } = await navigator.credentials.get({ publicKey: options });
    const answer = JSON.stringify({
      id: base64url(rawId),
      rawId: base64url(rawId),
      type,
      response: {
        clientDataJSON: base64url(response.clientDataJSON),
        authenticatorData: base64url(response.authenticatorData),
        signature: base64url(response.signature),
        userHandle: response.userHandle ? base64url(response.userHandle) : null,
      },
    });
    console.log(answer);
    clipboard?.(answer);
    console.log("Salin baris di atas (mungkin sudah tersalin) ke kabari. / Copy the line above (it may be copied already) into kabari.");
    return answer;
  } catch (error) {
    console.error("Passkey tidak menjawab; jalankan lagi. / The passkey did not answer; run it again.", error);
  }
})();
