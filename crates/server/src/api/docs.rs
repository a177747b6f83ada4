//! The API's documentation: `/openapi.json`, Swagger UI at `/docs`, ReDoc at `/redoc`. Nothing of
//! it is loaded from elsewhere, so it also works on a machine without internet.

use super::error::{ErrorBody, InvalidBody};
use super::operations;
use super::send::IDEMPOTENCY_KEY;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, openapi};

/// No page may load or send anything elsewhere, whatever a description may hold. Both viewers
/// style their elements inline, and ReDoc searches in a worker made from a blob.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the viewers change only with kabari itself.
const CACHE: &str = "public, max-age=3600";

// With gzip, as every browser takes it: a third of its size in the program.
const REDOC_SCRIPT: &[u8] = include_bytes!("../../assets/redoc.standalone.js.gz");
const SWAGGER_SCRIPT: &[u8] = include_bytes!("../../assets/swagger-ui-bundle.js.gz");
const SWAGGER_STYLE: &[u8] = include_bytes!("../../assets/swagger-ui.css.gz");

/// Its default asks validator.swagger.io whether the document is valid.
const SWAGGER_INITIALIZER: &str = r##"window.ui = SwaggerUIBundle({
  "url": "/openapi.json",
  "dom_id": "#swagger-ui",
  "deepLinking": true,
  "tryItOutEnabled": true,
  "validatorUrl": "none"
});
"##;

const SWAGGER_PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kabari API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<style>body { margin: 0; }</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

const REDOC_PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kabari API</title>
<link rel="icon" href="data:,">
<style>body { margin: 0; }</style>
</head>
<body>
<redoc spec-url="/openapi.json"></redoc>
<script src="/redoc/redoc.standalone.js"></script>
</body>
</html>
"#;

/// What the documentation says before the first operation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "kabari",
        description = "Tells an internet provider's customers on WhatsApp that their network is down, in \
            maintenance, or back.\n\nA send is recorded as a **campaign** with one **delivery** per recipient \
            before anything goes out; it survives restarts and lost callers. Failures of single recipients \
            answer 200: read `success`.",
        license(name = "MIT"),
    ),
    modifiers(&Security),
    components(schemas(ErrorBody, InvalidBody)),
    tags(
        (name = "service", description = "Is it up?"),
        (name = "whatsapp", description = "The link to WhatsApp"),
        (name = "billing", description = "Notices and customers, as the billing database has them"),
        (name = "send", description = "Send to customers, and wait for the report or not"),
        (name = "campaigns", description = "What was sent, how far it is, and control over it"),
        (name = "compat", description = "The dialects of other gateways, for billing systems that speak them. Only with `COMPAT_KEY`, which is good for nothing else"),
    ),
)]
pub struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                "X-API-Key",
                "Needed when API_KEY is set: its value, or a key made by `kabari key add`, of the scope that the operation names",
            ))),
        );
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

const FORBIDDEN: &str = "Asked with a key of another scope, by a web page that is not in CORS_ORIGINS or, without API_KEY, under a foreign name";

/// Returns what a 422 of this operation means.
fn invalid(operation: &Operation) -> &'static str {
    let is_key = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(one) if one.name == IDEMPOTENCY_KEY);
    if operation.parameters.iter().flatten().any(is_key) {
        "Fields are missing or wrong, or the Idempotency-Key was used for another request"
    } else {
        "Fields are missing or wrong"
    }
}

/// Adds the answers that follow from what an operation takes, and so are the same everywhere, and
/// who may call it.
pub fn with_common_answers(mut document: openapi::OpenApi) -> openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in all.into_iter().flatten() {
            operation.security = Some(operations::security(operation));
            let mut common = Vec::new();
            if operation.request_body.is_some() {
                common.push(("400", "The body cannot be read", "ErrorBody"));
                common.push(("413", "The body is too large", "ErrorBody"));
            }
            if operation.request_body.is_some() || operation.parameters.is_some() {
                common.push(("422", invalid(operation), "InvalidBody"));
            }
            if path.starts_with("/api/") {
                common.push(("401", "With API_KEY set: no key, or a wrong one", "ErrorBody"));
                common.push(("403", FORBIDDEN, "ErrorBody"));
            }
            if path.starts_with("/compat/") {
                common.push(("403", FORBIDDEN, "ErrorBody"));
                common.push(("503", "A database is down; nothing was done", "ErrorBody"));
            }
            if path.starts_with("/api/") && !path.starts_with("/api/whatsapp/") {
                common.push(("503", "A database is down; nothing was done", "ErrorBody"));
            }
            for (status, description, body) in common {
                let schema = openapi::Ref::from_schema_name(body);
                let content = openapi::ContentBuilder::new().schema(Some(schema)).build();
                let answer = openapi::ResponseBuilder::new()
                    .description(description)
                    .content("application/json", content)
                    .build();
                let known = &mut operation.responses.responses;
                known.entry(status.to_owned()).or_insert(answer.into());
            }
        }
    }
    document
}

/// Serves the three documents and the files they load.
pub fn routes<S: Clone + Send + Sync + 'static>(openapi: &openapi::OpenApi) -> Router<S> {
    let json = Bytes::from(openapi.to_pretty_json().unwrap_or_default());
    Router::new()
        .route(
            "/openapi.json",
            get(
                move || async move { ([(CONTENT_TYPE, "application/json")], json).into_response() },
            ),
        )
        .route("/docs", get(|| async { page(Html(SWAGGER_PAGE)) }))
        .route(
            "/docs/swagger-ui-bundle.js",
            get(|| async { file("text/javascript", SWAGGER_SCRIPT) }),
        )
        .route("/docs/swagger-ui.css", get(|| async { file("text/css", SWAGGER_STYLE) }))
        .route(
            "/docs/swagger-initializer.js",
            get(|| async { page(([(CONTENT_TYPE, "text/javascript")], SWAGGER_INITIALIZER)) }),
        )
        .route("/redoc", get(|| async { page(Html(REDOC_PAGE)) }))
        .route(
            "/redoc/redoc.standalone.js",
            get(|| async { file("text/javascript", REDOC_SCRIPT) }),
        )
}

/// Answers with a file that has gzip on it already.
fn file(content_type: &'static str, compressed: &'static [u8]) -> Response {
    let headers =
        [(CONTENT_TYPE, content_type), (CACHE_CONTROL, CACHE), (CONTENT_ENCODING, "gzip")];
    page((headers, compressed))
}

fn page(content: impl IntoResponse) -> Response {
    ([(CONTENT_SECURITY_POLICY, CONTENT_POLICY)], content).into_response()
}
