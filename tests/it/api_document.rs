//! The texts of the OpenAPI document: each operation, body and property is explained for application developers,
//! without traces of the code.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;
use storyden_auth::config::Config;
use storyden_auth::http::router;

/// The documents of both profiles.
fn documents() -> [Value; 2] {
    ["standards", "storyden"].map(|profile| {
        let setting = |name: &str| (name == "OAUTH_PROFILE").then(|| profile.to_owned());
        let config = Config::from_lookup(&setting).unwrap();
        serde_json::to_value(router::document(&config)).unwrap()
    })
}

/// Operations with their method and path.
fn operations(document: &Value) -> Vec<&Value> {
    let paths = document["paths"].as_object().unwrap().values();
    paths
        .flat_map(|item| item.as_object().unwrap().values())
        .collect()
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Media types of the request and the responses, each with a name for messages.
fn contents(operation: &Value) -> Vec<(String, &Value)> {
    let request = [("request", &operation["requestBody"])];
    let responses = operation["responses"].as_object().unwrap();
    let responses = responses
        .iter()
        .map(|(status, response)| (status.as_str(), response));
    let mut found = Vec::new();
    for (place, body) in request.into_iter().chain(responses) {
        for (media_type, content) in body["content"].as_object().into_iter().flatten() {
            found.push((format!("{} {place} {media_type}", id(operation)), content));
        }
    }
    found
}

#[test]
fn every_operation_has_a_summary_and_a_description() {
    for document in documents() {
        let mut summaries = BTreeSet::new();
        for operation in operations(&document) {
            let (summary, description) =
                (text(operation, "summary"), text(operation, "description"));
            let id = id(operation);
            assert!(
                summary.contains(' ') && summary.len() < 80,
                "{id}: {summary}"
            );
            assert!(
                !summary.ends_with('.') && !summary.contains('`'),
                "{id}: {summary}"
            );
            assert!(summaries.insert(summary), "{id}: {summary} twice");
            assert!(
                description.len() > 25 && description.ends_with(['.', ':']),
                "{id}: {description}"
            );
        }
    }
}

#[test]
fn operations_are_grouped_by_audience() {
    for document in documents() {
        let tags = document["tags"].as_array().unwrap();
        let names: BTreeSet<_> = tags.iter().map(|tag| text(tag, "name")).collect();
        assert!(
            tags.iter().all(|tag| text(tag, "description").len() > 40),
            "{tags:?}"
        );
        let mut used = BTreeSet::new();
        for operation in operations(&document) {
            let of = operation["tags"].as_array().unwrap();
            assert_eq!(of.len(), 1, "{}", id(operation));
            used.insert(of[0].as_str().unwrap());
        }
        assert_eq!(used, names);
    }
}

#[test]
fn every_body_has_an_example() {
    for document in documents() {
        for operation in operations(&document) {
            for (place, content) in contents(operation) {
                if content.get("schema").is_none() {
                    assert!(place.ends_with("image/*"), "{place} has no schema");
                    continue;
                }
                let has_example =
                    content.get("example").is_some() || content.get("examples").is_some();
                assert!(has_example, "{place} has no example");
            }
        }
    }
}

#[test]
fn every_response_parameter_and_property_is_described() {
    for document in documents() {
        let mut missing = Vec::new();
        for operation in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if text(response, "description").is_empty() {
                    missing.push(format!("{} {status}", id(operation)));
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if text(parameter, "description").is_empty() {
                    missing.push(format!("{} {}", id(operation), text(parameter, "name")));
                }
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            undescribed(name, schema, &mut missing);
        }
        for (name, scheme) in document["components"]["securitySchemes"]
            .as_object()
            .unwrap()
        {
            if text(scheme, "description").is_empty() {
                missing.push(name.clone());
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

/// Collects the properties without a description, of a schema and its parts.
fn undescribed(name: &str, schema: &Value, missing: &mut Vec<String>) {
    for (property, value) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{name}.{property}");
        if text(value, "description").is_empty() {
            missing.push(place.clone());
        }
        undescribed(&place, value, missing);
        undescribed(&place, &value["items"], missing);
    }
    for part in ["allOf", "oneOf", "anyOf"] {
        for part in schema[part].as_array().into_iter().flatten() {
            undescribed(name, part, missing);
        }
    }
}

/// Every text of a value.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if matches!(name.as_str(), "summary" | "description") => {
                        found.push(text);
                    }
                    member => texts(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

#[test]
fn texts_have_no_traces_of_code_tests_or_contract() {
    let trace = Regex::new(
        r"# Errors|contract|\[`|::|crate|\bA-\d+\b|\breq_\d+|\b[TP]\d+\b|API document|TODO|\b(?:oauth|auth)_\w+\.id\b",
    );
    let trace = trace.unwrap();
    let method = Regex::new("`(?:GET|POST|PUT|PATCH|DELETE) /").unwrap();
    for document in documents() {
        let mut found = Vec::new();
        texts(&document, &mut found);
        assert!(found.len() > 500);
        let wrong: Vec<_> = found.iter().filter(|text| trace.is_match(text)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let wrong: Vec<_> = found.iter().filter(|text| method.is_match(text)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn every_text_and_example_is_used() {
    const OPERATIONS: &str = include_str!("../../src/http/router/operations.md");
    const EXAMPLES: &str = include_str!("../../src/http/router/examples.json");
    let [document, _] = documents();
    let written: BTreeSet<_> = OPERATIONS
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let existing: BTreeSet<_> = operations(&document).into_iter().map(id).collect();
    assert_eq!(written, existing);
    let mut used = Vec::new();
    for operation in operations(&document) {
        for (_, content) in contents(operation) {
            used.extend(content.get("example"));
            let several = content["examples"].as_object().into_iter().flatten();
            used.extend(several.map(|(_, example)| &example["value"]));
        }
    }
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap();
    for (name, example) in examples.as_object().unwrap() {
        let values = if name.ends_with(" request") {
            example.as_object().unwrap().values().collect()
        } else {
            vec![example]
        };
        for value in values {
            assert!(used.contains(&value), "the example of {name} is not used");
        }
    }
}
