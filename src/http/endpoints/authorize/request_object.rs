//! Request objects of authorization requests (RFC 9101): only the parameters of a verified object count.

use std::borrow::Cow;

use super::parameters::{INVALID_OBJECT, KNOWN, PARAMETERS_BYTES_MAX, REQUEST_ID, SIGNED};
use crate::clients::request_object;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::http::extract::{Decoded, limit_of};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::Parameters;
use crate::oauth::request_object::{Fault, RequestObject};
use crate::store::clients::Client;

/// Parameters of the error response. For a rejected object, the values come from the unverified object: the redirect
/// URI must be registered in any case, and `prompt=none` forbids a page.
const OF_ERRORS: &[&str] = &["redirect_uri", "response_mode", "state", "prompt"];

/// Replaces the parameters of a request with a request object by the parameters of the object (RFC 9101 §6.3), which
/// arrived at `presented_at`. The result for a rejected object has the marker [`INVALID_OBJECT`] and the parameters
/// of the error response.
///
/// # Errors
/// `invalid_request` if the object's parameters are too long; `temporarily_unavailable` if the client's keys are
/// unavailable.
pub(super) async fn expand(
    context: &Context,
    client: &Client,
    parameters: Decoded,
    presented_at: Timestamp,
) -> Result<Decoded, OAuthError> {
    let object = parameters.get("request");
    let Some(object) = object.filter(|_| context.config.protects_requests()) else {
        return Ok(parameters);
    };
    // RFC 9101 §5: either the object or its URI
    let verified = if parameters.get("request_uri").is_some() {
        Err("cannot be combined with request_uri".into())
    } else {
        request_object::verify(context, client, object, presented_at, KNOWN).await?
    };
    let mut values = match verified.and_then(checked) {
        Ok(mut values) => {
            values.insert(SIGNED.to_owned(), String::new());
            values
        }
        Err(fault) => {
            let mut values = for_error(&parameters, object);
            values.insert(INVALID_OBJECT.to_owned(), fault.into_owned());
            values
        }
    };
    values.insert("client_id".to_owned(), client.client_id.clone());
    let expanded = Decoded {
        values,
        repeated: Vec::new(),
    };
    expanded.within(PARAMETERS_BYTES_MAX)
}

/// Checks that the parameters are as short as those of a query, and storable.
fn checked(mut values: Parameters) -> Result<Parameters, Fault> {
    values.remove(REQUEST_ID); // resumes a request of a browser, and is no parameter of a client
    for (name, value) in &values {
        let limit = limit_of(name);
        if value.len() > limit {
            return Err(format!("has {name} of more than {limit} bytes").into());
        }
        if value.contains('\0') {
            return Err(format!("has {name} with U+0000").into());
        }
    }
    Ok(values)
}

/// Returns the parameters of the error response: values of the unverified object, and of the request for a parameter
/// that the object lacks.
fn for_error(parameters: &Decoded, object: &str) -> Parameters {
    let unverified = RequestObject::decode(object);
    let in_object = |name: &str| {
        unverified
            .as_ref()
            .and_then(|object| object.unverified(name))
    };
    let is_short =
        |name: &str, value: &&str| value.len() <= limit_of(name) && !value.contains('\0');
    let mut values = Parameters::new();
    for name in OF_ERRORS {
        let value = in_object(name).filter(|value| is_short(name, value));
        if let Some(value) = value.or_else(|| parameters.get(name)) {
            values.insert((*name).to_owned(), value.to_owned());
        }
    }
    values
}

/// Returns the error of a request whose object was rejected.
pub(super) fn fault(parameters: &Decoded) -> Result<(), OAuthError> {
    match parameters.get(INVALID_OBJECT) {
        None => Ok(()),
        Some(fault) => {
            let description: Cow<'static, str> = format!("The request object {fault}").into();
            Err(OAuthError::invalid_request_object(description))
        }
    }
}
