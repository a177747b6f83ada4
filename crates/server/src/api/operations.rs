//! What each operation of the API needs and leaves behind: the scope that a key must have to call
//! it, and what the audit says about it.

use crate::store::state::Action;
use axum::http::Method;
use kabari_domain::Scope;
use std::collections::HashMap;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;

/// What one operation needs and leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The scope that a key must have; `None` where none is asked for.
    pub scope: Option<Scope>,
    /// What the audit calls it, if [`audit::record`](super::audit::record) records it.
    pub action: Option<Action>,
}

const fn open() -> Rule {
    Rule { scope: None, action: None }
}

/// For what only reads, and for what makes something new and records that itself.
const fn needs(scope: Scope) -> Rule {
    Rule { scope: Some(scope), action: None }
}

const fn does(scope: Scope, action: Action) -> Rule {
    Rule { scope: Some(scope), action: Some(action) }
}

/// Every operation, by its id in the documentation.
///
/// Whoever sees a QR code can link a phone of their own, so that takes more than reading.
/// `connect_whatsapp` only reports. The dialects of other gateways have a key of their own.
const RULES: [(&str, Rule); 49] = [
    ("get_service", open()),
    ("get_health", open()),
    ("get_liveness", open()),
    ("get_readiness", open()),
    ("get_metrics", needs(Scope::Read)),
    ("list_notices", needs(Scope::Read)),
    ("get_notice", needs(Scope::Read)),
    ("list_customers", needs(Scope::Read)),
    ("list_campaigns", needs(Scope::Read)),
    ("get_campaign", needs(Scope::Read)),
    ("follow_campaign", needs(Scope::Read)),
    ("list_deliveries", needs(Scope::Read)),
    ("get_campaign_report", needs(Scope::Read)),
    ("send_notification", needs(Scope::Send)),
    ("send_custom", needs(Scope::Send)),
    ("send_phone", needs(Scope::Send)),
    ("send_by_odp", needs(Scope::Send)),
    ("send_restored", needs(Scope::Send)),
    ("pause_campaign", does(Scope::Send, Action::PauseCampaign)),
    ("resume_campaign", does(Scope::Send, Action::ResumeCampaign)),
    ("cancel_campaign", does(Scope::Send, Action::CancelCampaign)),
    ("retry_campaign", does(Scope::Send, Action::RetryCampaign)),
    ("resolve_delivery", does(Scope::Send, Action::ResolveDelivery)),
    ("resolve_campaign", does(Scope::Send, Action::ResolveCampaign)),
    ("get_whatsapp_status", needs(Scope::Read)),
    ("connect_whatsapp", needs(Scope::Whatsapp)),
    ("get_whatsapp_qr", needs(Scope::Whatsapp)),
    ("pair_whatsapp", does(Scope::Whatsapp, Action::PairSession)),
    ("restart_whatsapp", does(Scope::Whatsapp, Action::RestartSession)),
    ("logout_whatsapp", does(Scope::Whatsapp, Action::LogoutSession)),
    ("get_whatsapp_passkey", needs(Scope::Read)),
    ("answer_whatsapp_passkey", does(Scope::Whatsapp, Action::AnswerPasskey)),
    ("confirm_whatsapp_passkey", does(Scope::Whatsapp, Action::ConfirmPasskey)),
    ("list_sessions", needs(Scope::Read)),
    ("get_session", needs(Scope::Read)),
    ("create_session", needs(Scope::Whatsapp)),
    ("change_session", does(Scope::Whatsapp, Action::ChangeSession)),
    ("delete_session", does(Scope::Whatsapp, Action::DeleteSession)),
    ("get_session_qr", needs(Scope::Whatsapp)),
    ("pair_session", does(Scope::Whatsapp, Action::PairSession)),
    ("restart_session", does(Scope::Whatsapp, Action::RestartSession)),
    ("logout_session", does(Scope::Whatsapp, Action::LogoutSession)),
    ("pause_session", does(Scope::Whatsapp, Action::PauseSession)),
    ("resume_session", does(Scope::Whatsapp, Action::ResumeSession)),
    ("get_session_passkey", needs(Scope::Read)),
    ("answer_session_passkey", does(Scope::Whatsapp, Action::AnswerPasskey)),
    ("confirm_session_passkey", does(Scope::Whatsapp, Action::ConfirmPasskey)),
    ("compat_phpnuxbill", open()),
    ("compat_fonnte_send", open()),
];

/// What holds for an operation that the table lacks.
const MISSING: Rule = Rule { scope: Some(Scope::Admin), action: None };

/// The rules by method and path.
#[derive(Debug, Default)]
pub struct OperationRules(HashMap<(Method, String), Rule>);

impl OperationRules {
    /// Returns the rules for the operations of this document.
    pub fn of(document: &OpenApi) -> OperationRules {
        let paths = document.paths.paths.iter();
        let rules = paths.flat_map(|(path, item)| {
            operations(item).map(move |(method, one)| ((method, path.clone()), rule(one)))
        });
        OperationRules(rules.collect())
    }

    /// Returns the rule for a path as it is written in the routes.
    pub fn rule(&self, method: &Method, path: &str) -> Rule {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path.to_owned())).copied().unwrap_or(MISSING)
    }
}

fn rule(operation: &Operation) -> Rule {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    RULES.iter().find(|(known, _)| *known == id).map_or(MISSING, |(_, rule)| *rule)
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

/// Returns what the documentation says about who may call an operation: with `API_KEY` set, a key
/// in either header, of the scope that stands with it.
pub fn security(operation: &Operation) -> Vec<SecurityRequirement> {
    let Some(scope) = rule(operation).scope else { return vec![] };
    let with = |scheme: &str| SecurityRequirement::new(scheme, [scope.as_str()]);
    vec![SecurityRequirement::default(), with("api_key"), with("bearer")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_a_rule_and_every_rule_an_operation() {
        let document = crate::api::openapi();
        let documented = document.paths.paths.values().flat_map(operations);
        let documented: BTreeSet<_> =
            documented.filter_map(|(_, one)| one.operation_id.as_deref()).collect();
        let known: BTreeSet<_> = RULES.iter().map(|(id, _)| *id).collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn what_needs_a_key_needs_a_scope_and_changes_need_more_than_read() {
        let document = crate::api::openapi();
        let operations = OperationRules::of(&document);
        for ((method, path), rule) in &operations.0 {
            let needs_key = path.starts_with("/api/") || path == "/metrics";
            assert_eq!(rule.scope.is_some(), needs_key, "{method} {path}");
            let reads = matches!(rule.scope, Some(Scope::Read));
            assert!(!reads || *method == Method::GET, "{method} {path}");
            assert!(!reads || rule.action.is_none(), "{method} {path}");
        }
        let rule = |method, path| operations.rule(&method, path);
        assert_eq!(rule(Method::HEAD, "/api/campaigns").scope, Some(Scope::Read));
        assert_eq!(rule(Method::POST, "/api/nowhere"), MISSING);
    }
}
