//! The inbox, over HTTP and in a browser.

use std::time::Duration;

use serde_json::{Value, json};
use wa_sim::{Action, Config, FaultRule, Simulator, Stanza};

use crate::browser::Browser;
use crate::client::{FRIEND, OWN, TestClient};
use crate::control::request;

const HOUR: Duration = Duration::from_secs(3600);

async fn page(simulator: &Simulator, path: &str) -> String {
    let (status, html) = request(simulator.addr(), "GET", path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {html}");
    html
}

#[tokio::test]
async fn chats_ticks_and_refusals_are_shown_and_texts_are_escaped() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    assert!(page(&simulator, "/").await.contains("No messages yet"));
    let client = TestClient::linked(&simulator, OWN).await;
    client.send(FRIEND, "3EB0000000000101", "<b>tebal</b> *Halo*").await;
    client.receipt("3EB0000000000101", "Read").await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::AckError { code: 463 })]);
    client.send(FRIEND, "3EB0000000000102", "ditolak").await;
    assert_eq!(client.ack("3EB0000000000102").await.as_deref(), Some("463"));

    let list = page(&simulator, "/").await;
    assert!(list.contains(&format!("/?phone={FRIEND}&amp;with={OWN}")), "{list}");
    let chat = format!("/?phone={FRIEND}&with={OWN}&panel=faults");
    let chat = page(&simulator, &chat).await;
    assert!(chat.contains("&lt;b&gt;tebal&lt;/b&gt; <strong>Halo</strong>"), "{chat}");
    assert!(!chat.contains("<b>"), "{chat}");
    assert!(chat.contains("class=\"tick read\""), "{chat}");
    assert!(chat.contains("Refused with error 463"), "{chat}");
    assert!(chat.contains("struck 1&times;"), "{chat}");

    assert!(page(&simulator, "/?q=TEBAL").await.contains("<mark>tebal</mark>"));
    assert!(page(&simulator, "/?q=takada").await.contains("Nothing found"));
    let odd = page(&simulator, "/?q=%22%3E%3Cscript%3E&phone=%3Cb%3E&with=%3Cb%3E").await;
    assert!(!odd.contains("<b>") && !odd.contains("<script>"), "{odd}");
}

#[tokio::test]
async fn in_a_browser_messages_come_by_themselves_and_buttons_work() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    simulator.write(OWN, FRIEND, "sebelum").await.unwrap();
    let address = simulator.addr();
    let url = format!("http://{address}/?phone={FRIEND}&with={OWN}&panel=faults");
    let mut browser = Browser::open(&url).await;
    browser.until("document.documentElement.dataset.live === 'yes'").await;
    simulator.write(OWN, FRIEND, "sesudah <b>").await.unwrap();
    browser.until("document.querySelector('#log .new p')?.textContent === 'sesudah <b>'").await;

    let answer = "(form => { form.elements.text.value = 'jawaban'; form.requestSubmit(); \
                  return true; })(document.getElementById('write'))";
    browser.until(answer).await;
    browser.until("document.querySelector('#log .mine p')?.textContent === 'jawaban'").await;
    browser.until("(document.getElementById('fault-463-limit').click(), true)").await;
    let pressed = "document.getElementById('fault-463-limit').ariaPressed === 'true'";
    browser.until(pressed).await;
    let (_, rules) = request(address, "GET", "/control/faults", Value::Null).await;
    assert!(rules.contains("463"), "{rules}");
    browser.until("(document.getElementById('clear').click(), true)").await;
    browser.until("!document.getElementById('clear')").await;
}

#[tokio::test]
async fn ticks_and_the_search_follow_what_happens() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    simulator.go_offline(FRIEND, HOUR);
    client.send(FRIEND, "3EB0000000000101", "*Gangguan* di ODP-1").await;
    simulator.write("6281200000002", OWN, "lain").await.unwrap();
    let url = format!("http://{}/?phone={FRIEND}&with={OWN}", simulator.addr());
    let mut browser = Browser::open(&url).await;
    browser.until("document.documentElement.dataset.live === 'yes'").await;
    browser.until("document.querySelector('#log .lost') !== null").await;
    simulator.advance(HOUR);
    browser.until("document.querySelector('#log .theirs .tick.read') !== null").await;
    browser.until("document.querySelector('#log .lost') === null").await;
    browser.until("document.querySelector('#log strong')?.textContent === 'Gangguan'").await;

    browser.until("document.querySelectorAll('#chats .row').length === 2").await;
    browser
        .until(
            "(search => { search.value = 'odp'; search.dispatchEvent(new Event('input', \
             { bubbles: true })); return true; })(document.querySelector('[type=search]'))",
        )
        .await;
    browser.until("document.querySelectorAll('#chats .row').length === 1").await;
    browser.until("document.querySelector('#chats mark')?.textContent === 'ODP'").await;
    let preview = "document.querySelector('.preview').textContent.endsWith('Gangguan di ODP-1')";
    browser.until(preview).await;
}

#[tokio::test]
async fn it_fits_a_phone_and_is_dark_where_the_system_is() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let long = "https://example.net/".to_owned() + &"a".repeat(200);
    simulator.write(OWN, FRIEND, &long).await.unwrap();
    simulator.set_faults(vec![
        FaultRule::on(Stanza::Message, Action::AckError { code: 463 }).to(FRIEND).times(3),
        FaultRule::on(Stanza::Usync, Action::Delay { ms: 123_456_789, jitter_ms: 987_654_321 }),
    ]);
    let base = format!("http://{}", simulator.addr());
    let mut browser = Browser::open(&base).await;
    let phone = json!({ "width": 375, "height": 720, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", phone).await;
    let chat = format!("/?phone={FRIEND}&with={OWN}");
    for (path, shown) in
        [("/", "#chats .row"), (chat.as_str(), "#log .bubble"), ("/?panel=faults", "#faults li")]
    {
        let page = json!({ "url": format!("{base}{path}") });
        browser.call("Page.navigate", page).await;
        let visible = format!("document.querySelector('{shown}')?.checkVisibility() === true");
        browser.until(&visible).await;
        // Nothing reaches beyond the right edge, be it cut off there or scrolled to.
        let fits = "innerWidth === 375 && document.documentElement.scrollWidth === 375 && \
                    [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()) \
                    .every(e => e.closest('.hidden') || e.getBoundingClientRect().right <= 375)";
        browser.until(fits).await;
    }
    let background = "getComputedStyle(document.body).backgroundColor";
    browser.until(&format!("{background} === 'rgb(255, 255, 255)'")).await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark).await;
    browser.until(&format!("{background} === 'rgb(19, 27, 24)'")).await;
}
