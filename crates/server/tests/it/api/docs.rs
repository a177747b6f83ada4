//! The documentation: complete, stable, and without a request to anywhere else.

use crate::harness::served::{Served, Setup};
use flate2::read::GzDecoder;
use kabari::api;
use reqwest::Response;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;

fn openapi() -> Value {
    serde_json::to_value(api::openapi()).unwrap()
}

#[test]
fn the_openapi_document_changes_only_on_purpose() {
    let mut document = openapi();
    // It changes with every release.
    document["info"]["version"] = "the version".into();
    insta::assert_json_snapshot!("openapi", document);
}

/// Every operation: its name and its description.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((format!("{method} {path}"), operation.clone()));
        }
    }
    assert!(operations.len() > 20);
    operations
}

#[test]
fn every_operation_shows_examples_of_what_goes_in_and_what_comes_out() {
    let document = openapi();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{name} says nothing about itself");
        if let Some(body) = operation.get("requestBody") {
            assert!(has_example(&document, &body["content"]), "{name}: no example of its body");
        }
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            assert!(response["description"].is_string(), "{name}: {status} is not described");
            let is_empty = ["204", "414"].contains(&status.as_str());
            let shown = is_empty || has_example(&document, &response["content"]);
            assert!(shown, "{name}: no example of {status}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" {
                assert!(parameter.get("example").is_some(), "{name}: no example of {parameter}");
            }
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let names: Vec<_> = operations(&openapi())
        .iter()
        .map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

/// Whether an example stands at the content or somewhere in its schema.
fn has_example(document: &Value, content: &Value) -> bool {
    let mut media_types = content.as_object().into_iter().flat_map(|content| content.values());
    media_types.any(|media_type| {
        media_type.get("example").is_some()
            || media_type.get("examples").is_some()
            || schema_has_example(document, &media_type["schema"])
    })
}

fn schema_has_example(document: &Value, schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().any(|(key, value)| match (key.as_str(), value) {
            ("example" | "examples", _) => true,
            ("$ref", Value::String(path)) => {
                let target = document.pointer(path.trim_start_matches('#')).unwrap();
                schema_has_example(document, target)
            }
            _ => schema_has_example(document, value),
        }),
        Value::Array(items) => items.iter().any(|item| schema_has_example(document, item)),
        _ => false,
    }
}

#[tokio::test]
async fn the_pages_load_what_this_server_serves_and_nothing_else() {
    let served = Served::with(Setup { dispatching: false, ..Setup::default() }).await;
    for page in ["/docs", "/redoc"] {
        let response = served.client.get(served.url(page)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{page}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"));
        assert!(!policy.contains("http"), "{page} allows another host");
        let html = response.text().await.unwrap();
        let mut loaded = 0;
        for attribute in ["src=\"", "href=\"", "spec-url=\""] {
            for (_, rest) in
                html.match_indices(attribute).map(|(at, text)| html.split_at(at + text.len()))
            {
                let address = rest.split('"').next().unwrap();
                if address.starts_with("data:") {
                    continue;
                }
                assert!(address.starts_with('/'), "{page} loads {address}");
                let response = served.client.get(served.url(address)).send().await.unwrap();
                assert_eq!(response.status(), 200, "{page} loads {address}");
                let text = plain_text(response).await;
                for host in
                    ["cdn.redoc.ly", "fonts.googleapis.com", "validator.swagger.io/validator\""]
                {
                    let allowed = address.ends_with("swagger-ui-bundle.js");
                    assert!(allowed || !text.contains(host), "{address} names {host}");
                }
                loaded += 1;
            }
        }
        assert!(loaded >= 2, "{page} loads only {loaded} files");
    }
    let initializer = served.client.get(served.url("/docs/swagger-initializer.js"));
    let initializer = initializer.send().await.unwrap().text().await.unwrap();
    assert!(initializer.contains("/openapi.json"), "{initializer}");
    assert!(initializer.contains(r#""validatorUrl": "none""#), "{initializer}");
}

/// What a browser makes of the body.
async fn plain_text(response: Response) -> String {
    let gzipped = response.headers().get("content-encoding").is_some_and(|name| name == "gzip");
    let bytes = response.bytes().await.unwrap();
    if !gzipped {
        return String::from_utf8(bytes.into()).unwrap();
    }
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn the_document_served_is_the_one_in_the_snapshot() {
    let served = Served::with(Setup { dispatching: false, ..Setup::default() }).await;
    let (status, document) = served.get("/openapi.json").await;
    assert_eq!((status, document), (200, openapi()));
}
