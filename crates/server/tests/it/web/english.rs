//! What visitors read who have chosen English, also where the API speaks Indonesian.

use crate::harness::http_browser::Browser;
use crate::harness::served::Served;
use kabari_domain::wording;
use kabari_gateway::SendError;
use serde_json::json;

/// A browser in which English was chosen.
fn english(served: &Served) -> Browser {
    Browser::new(served).with_header("cookie", "kabari_language=en")
}

#[tokio::test]
async fn why_somebody_got_nothing_is_said_in_english() {
    let served = Served::start().await;
    served.gateway.fail("6281234567805", SendError::Permanent(wording::refused("479")));
    let body = json!({ "message": "Halo", "customer_ids": [1, 3, 4, 5] });
    let (status, report) = served.post("/api/send/custom", body).await;
    assert_eq!(status, 200);
    let visitor = english(&served);
    let campaign = visitor.get("/app/campaigns/1").await;
    for said in [
        "The number is missing, 0 or not a phone number.",
        "The number is not on WhatsApp.",
        "WhatsApp has refused the message (code 479).",
    ] {
        campaign.assert_says(said);
    }
    for indonesian in [wording::INVALID_NUMBER, wording::NOT_REGISTERED, "ditolak"] {
        campaign.assert_says_not(indonesian);
        assert!(report.to_string().contains(indonesian), "the API stays as it is: {report}");
    }
    visitor.get("/app/customers/4").await.assert_says("The number is not on WhatsApp.");
}

#[tokio::test]
async fn what_is_refused_is_refused_in_english() {
    let served = Served::start().await;
    let body = json!({ "message": "Halo", "customer_ids": [1] });
    served.post("/api/send/custom", body).await;
    let visitor = english(&served);
    let csrf = visitor.get("/app/access").await.hidden("csrf");
    let refused = async |path: &str, fields: &[(&str, &str)]| {
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        visitor.post_forged(path, &fields).await
    };
    for (path, fields, status, said) in [
        ("/app/campaigns/1/pause", &[][..], 409, "the campaign is now “Completed”"),
        ("/app/campaigns/1/retry", &[], 409, "there is nothing to retry"),
        ("/app/campaigns/9/pause", &[], 404, "There is no such campaign."),
        ("/app/whatsapp", &[("name", "A B")], 400, "only lower case letters"),
        ("/app/whatsapp", &[("name", "default")], 409, "of this name already"),
        ("/app/whatsapp/default/remove", &[], 409, "Unlink its phone instead."),
    ] {
        let page = refused(path, fields).await;
        assert_eq!(page.status, status, "{path}: {}", page.body);
        page.assert_says(said);
    }
}
