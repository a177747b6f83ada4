//! Network notices and the message made from one.

use chrono::NaiveDateTime;

/// One row of the billing table `network_notices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The billing database's id.
    pub id: i64,
    /// Headline.
    pub title: String,
    /// What happened, for customers; may hold placeholders.
    pub message: String,
    /// `gangguan` (outage) or `maintenance`.
    pub kind: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Whether it concerns everybody; shown, never acted upon.
    pub is_mass: bool,
    /// The area in words.
    pub affected_area: Option<String>,
    /// Comma-separated ODP names. See [`NoticeAudience`].
    pub affected_odp: Option<String>,
    /// Naive local times: the billing database has no zone.
    pub start_time: Option<NaiveDateTime>,
    /// Expected end, naive local.
    pub end_time: Option<NaiveDateTime>,
    /// Whether it still applies.
    pub is_active: bool,
    /// When it was written, naive local.
    pub created_at: Option<NaiveDateTime>,
}

/// Whom a notice is for, among the active customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeAudience {
    /// Every active customer: the notice names no ODP at all.
    Everybody,
    /// The active customers of these ODPs. Empty means nobody, never everybody: the notice had a
    /// list, but with nothing in it.
    Odps(Vec<String>),
}

impl Notice {
    /// Returns whom this notice is for. A null or empty `affected_odp` means everybody; blank
    /// entries in a list are ignored.
    pub fn audience(&self) -> NoticeAudience {
        match self.affected_odp.as_deref() {
            None | Some("") => NoticeAudience::Everybody,
            Some(list) => NoticeAudience::Odps(
                list.split(',').map(str::trim).filter(|o| !o.is_empty()).map(Into::into).collect(),
            ),
        }
    }

    /// Returns the WhatsApp message for this notice, placeholders still in it.
    ///
    /// `status_page` is the address customers can follow progress at; without one, the two lines
    /// about it are left out.
    pub fn to_message(&self, status_page: Option<&str>) -> String {
        let emoji = self.emoji();
        let heading =
            if self.kind == "maintenance" { "MAINTENANCE TERJADWAL" } else { "GANGGUAN JARINGAN" };
        let mut text =
            format!("{emoji} *{heading}* {emoji}\n\n*{}*\n\n{}\n\n", self.title, self.message);
        if let Some(area) = self.affected_area.as_deref().filter(|area| !area.is_empty()) {
            text.push_str(&format!("📍 *Area Terdampak:* {area}\n"));
        }
        if let Some(start) = self.start_time {
            text.push_str(&format!("🕐 *Mulai:* {}\n", start.format(TIME_FORMAT)));
        }
        if let Some(end) = self.end_time {
            text.push_str(&format!("🕐 *Estimasi Selesai:* {}\n", end.format(TIME_FORMAT)));
        }
        if let Some(url) = status_page {
            text.push_str(&format!(
                "\nUntuk informasi perkembangan terbaru, silakan cek melalui link berikut:\n👉 {url}\n"
            ));
        }
        text.push_str("\nMohon maaf atas ketidaknyamanan ini.\nTerima kasih atas pengertiannya.\n\n_Pesan ini dikirim otomatis_");
        text
    }

    /// The WhatsApp message that this notice is over, placeholders still in it. `status_page` is as
    /// for [`to_message`](Notice::to_message).
    pub fn to_restored_message(&self, status_page: Option<&str>) -> String {
        let (heading, over) = if self.kind == "maintenance" {
            ("MAINTENANCE SELESAI", "Maintenance yang kami beritahukan sebelumnya sudah selesai.")
        } else {
            (
                "JARINGAN SUDAH PULIH",
                "Gangguan yang kami beritahukan sebelumnya sudah selesai ditangani.",
            )
        };
        let mut text = format!(
            "✅ *{heading}* ✅\n\n*{}*\n\n{over} Bila internet Anda belum normal, matikan modem selama 1 menit, nyalakan lagi, lalu hubungi kami bila masih bermasalah.\n",
            self.title
        );
        if let Some(url) = status_page {
            text.push_str(&format!("\n👉 {url}\n"));
        }
        text.push_str("\nTerima kasih atas kesabarannya.\n\n_Pesan ini dikirim otomatis_");
        text
    }

    fn emoji(&self) -> &'static str {
        match self.severity.as_str() {
            "low" => "ℹ️",
            "high" => "🔴",
            "critical" => "🚨",
            _ => "⚠️",
        }
    }
}

const TIME_FORMAT: &str = "%d/%m/%Y %H:%M";

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            id: 1,
            title: "Kabel FO Putus".into(),
            message: "Kabel putus.".into(),
            kind: "gangguan".into(),
            severity: "critical".into(),
            is_mass: false,
            affected_area: Some("Jl. Merdeka".into()),
            affected_odp: None,
            start_time: "2026-01-10T08:05:00".parse().ok(),
            end_time: "2026-01-10T17:30:59".parse().ok(),
            is_active: true,
            created_at: None,
        }
    }

    // The exact texts of the replaced system are checked against its recorded answers, in the
    // server's contract test. Here: what those recordings do not show.
    #[test]
    fn without_a_status_page_its_two_lines_are_left_out() {
        let text = notice().to_message(None);
        assert_eq!(
            text,
            "🚨 *GANGGUAN JARINGAN* 🚨\n\n*Kabel FO Putus*\n\nKabel putus.\n\n📍 *Area Terdampak:* Jl. Merdeka\n🕐 *Mulai:* 10/01/2026 08:05\n🕐 *Estimasi Selesai:* 10/01/2026 17:30\n\nMohon maaf atas ketidaknyamanan ini.\nTerima kasih atas pengertiannya.\n\n_Pesan ini dikirim otomatis_"
        );
    }

    #[test]
    fn the_end_of_maintenance_is_told_as_such() {
        let outage = notice().to_restored_message(Some("https://status.example"));
        assert!(outage.starts_with("✅ *JARINGAN SUDAH PULIH* ✅\n\n*Kabel FO Putus*\n\n"));
        assert!(outage.contains("👉 https://status.example\n"));
        let maintenance = Notice { kind: "maintenance".into(), ..notice() };
        let text = maintenance.to_restored_message(None);
        assert!(text.starts_with("✅ *MAINTENANCE SELESAI* ✅") && !text.contains("👉"));
    }

    #[test]
    fn the_audience_is_everybody_only_when_no_list_was_given() {
        let of = |list: Option<&str>| {
            Notice { affected_odp: list.map(Into::into), ..notice() }.audience()
        };
        assert_eq!(of(None), NoticeAudience::Everybody);
        assert_eq!(of(Some("")), NoticeAudience::Everybody);
        assert_eq!(of(Some(" , ")), NoticeAudience::Odps(vec![]));
        assert_eq!(of(Some(",")), NoticeAudience::Odps(vec![]));
        assert_eq!(of(Some("A,")), NoticeAudience::Odps(vec!["A".into()]));
        assert_eq!(of(Some(" A , B 1")), NoticeAudience::Odps(vec!["A".into(), "B 1".into()]));
    }
}
