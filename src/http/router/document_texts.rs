//! Texts and examples of the OpenAPI document, for application developers: summary, description and tag of each
//! operation from `operations.md`, examples of the bodies from `examples.json`.
//!
//! Doc comments of the handlers are for readers of the code, and do not reach the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::openapi::example::Example;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::tag::Tag;
use utoipa::openapi::{Components, Content, OpenApi, RefOr};

use super::documented_routes::operations;

/// A heading of level 1 and a paragraph for each tag. Below, for each operation, a heading of level 2 with the
/// operation id, the summary, and the description.
const OPERATIONS: &str = include_str!("operations.md");

/// Examples by the name of a schema or a media type, followed by a status if examples differ by status.
/// `OPERATION request` has several examples of a request, each with a name.
const EXAMPLES: &str = include_str!("examples.json");

/// The texts of an operation.
struct Text {
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
}

/// Adds tags, texts and examples to a document.
pub(super) fn add(document: &mut OpenApi) {
    let (tags, texts) = parse();
    document.tags = Some(tags);
    let examples = examples();
    let schemas = document.components.get_or_insert_default();
    lift_descriptions(schemas);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let id = operation.operation_id.clone().unwrap_or_default();
        if let Some(text) = texts.get(id.as_str()) {
            operation.tags = Some(vec![text.tag.to_owned()]);
            operation.summary = Some(text.summary.to_owned());
            operation.description = Some(text.description.to_owned());
        }
        add_examples(operation, &id, &examples);
        describe_responses(operation, schemas);
    }
}

/// Parses `operations.md` into the tags, and the texts by operation id.
fn parse() -> (Vec<Tag>, BTreeMap<&'static str, Text>) {
    let (mut tags, mut texts) = (Vec::new(), BTreeMap::new());
    for section in OPERATIONS.trim_start_matches("# ").split("\n# ") {
        let mut parts = section.split("\n## ");
        let (name, description) = heading(parts.next().unwrap_or_default());
        let mut tag = Tag::new(name);
        tag.description = Some(description.to_owned());
        tags.push(tag);
        for part in parts {
            let (id, text) = heading(part);
            let (summary, description) = heading(text);
            let text = Text {
                tag: name,
                summary,
                description,
            };
            texts.insert(id, text);
        }
    }
    (tags, texts)
}

/// Splits a text into its first line and the rest.
fn heading(text: &'static str) -> (&'static str, &'static str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    (first.trim(), rest.trim())
}

fn examples() -> Map<String, Value> {
    serde_json::from_str(EXAMPLES).unwrap_or_default() // a test reads every example
}

/// Adds examples to the request body and the responses of an operation.
fn add_examples(operation: &mut Operation, id: &str, examples: &Map<String, Value>) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let several = examples.get(&format!("{id} request"));
        for (media_type, content) in &mut body.content {
            match (several.and_then(Value::as_object), content) {
                (Some(several), RefOr::T(content)) => content.examples = named(several),
                (None, RefOr::T(content)) => add_example(content, media_type, "", examples),
                (_, RefOr::Ref(_)) => {}
            }
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        for (media_type, content) in &mut response.content {
            if let RefOr::T(content) = content {
                add_example(content, media_type, status, examples);
            }
        }
    }
}

fn named(examples: &Map<String, Value>) -> BTreeMap<String, RefOr<Example>> {
    let examples = examples.iter().map(|(name, value)| {
        let mut example = Example::new();
        example.value = Some(value.clone());
        (name.clone(), RefOr::T(example))
    });
    examples.collect()
}

/// Adds the example for the schema or the media type of a body.
fn add_example(
    content: &mut Content,
    media_type: &str,
    status: &str,
    examples: &Map<String, Value>,
) {
    if media_type.starts_with("image/") {
        content.schema = None; // bytes, which JSON Schema does not describe
        return;
    }
    let schema = content.schema.as_ref().and_then(schema_name);
    let name = schema.unwrap_or(media_type);
    let example = examples
        .get(&format!("{name} {status}"))
        .or_else(|| examples.get(name));
    content.example = example.cloned();
}

/// The name of a referenced schema, also if `null` is allowed beside.
fn schema_name(schema: &RefOr<Schema>) -> Option<&str> {
    match schema {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next(),
        RefOr::T(Schema::OneOf(choices)) => choices.items.iter().find_map(schema_name),
        RefOr::T(_) => None,
    }
}

/// Gives each response without a description the description of its schema.
fn describe_responses(operation: &mut Operation, components: &Components) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else {
            continue;
        };
        if !response.description.is_empty() {
            continue;
        }
        let contents = response.content.values();
        let schema = contents
            .filter_map(|content| match content {
                RefOr::T(content) => schema_name(content.schema.as_ref()?),
                RefOr::Ref(_) => None,
            })
            .find_map(|name| components.schemas.get(name));
        let description = schema.and_then(description);
        description
            .unwrap_or("Success")
            .clone_into(&mut response.description);
    }
}

fn description(schema: &RefOr<Schema>) -> Option<&str> {
    match schema {
        RefOr::Ref(reference) => Some(reference.description.as_str()),
        RefOr::T(Schema::Array(array)) => array.description.as_deref(),
        RefOr::T(Schema::Object(object)) => object.description.as_deref(),
        RefOr::T(Schema::OneOf(choices)) => choices.description.as_deref(),
        RefOr::T(Schema::AllOf(parts)) => parts.description.as_deref(),
        RefOr::T(_) => None,
    }
}

/// Moves the description of an optional reference from the reference to the property, where viewers show it.
fn lift_descriptions(components: &mut Components) {
    components.schemas.values_mut().for_each(lift);
}

fn lift(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            for property in object.properties.values_mut() {
                lift(property);
                if let RefOr::T(Schema::OneOf(choices)) = property
                    && choices.description.is_none()
                {
                    choices.description = choices.items.iter_mut().find_map(take_description);
                }
            }
        }
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter_mut().for_each(lift),
        RefOr::T(Schema::OneOf(choices)) => choices.items.iter_mut().for_each(lift),
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn take_description(schema: &mut RefOr<Schema>) -> Option<String> {
    match schema {
        RefOr::Ref(reference) if !reference.description.is_empty() => {
            Some(std::mem::take(&mut reference.description))
        }
        _ => None,
    }
}
