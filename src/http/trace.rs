//! The span and the trace id of a request.

use std::time::SystemTime;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::response::Response;
use tracing::Instrument as _;

use crate::clock::{Timer, machine_time};
use crate::context::Context;
use crate::telemetry::metrics::RequestMetrics;
use crate::telemetry::traces::{AnsweredRequest, Traces};
use crate::trace_id::{Steps, TraceId, with_trace_id};

/// Response extension that names the route of a response in the metrics, for routes of which each would be
/// a series of its own.
#[derive(Clone, Copy, Debug)]
pub struct RouteLabel(pub &'static str);

/// Answers a request in a span with a new trace id, counts the response, and hands a sampled request to the exporter. The caller's trace id (W3C Trace
/// Context) is logged as a separate field: a caller can send any id, and must not choose the id used by
/// the log and the audit trail. Queries are never logged, because they contain `state` and codes.
pub async fn trace<F: Future<Output = Response>>(
    metrics: &RequestMetrics,
    context: &Context,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let trace_id = TraceId::generate(&context.random);
    let exporter = context.traces.as_ref();
    let exporter = exporter.filter(|exporter| exporter.samples(&trace_id));
    let steps = exporter.map(|_| Steps::default());
    let traced = exporter.zip(steps.clone()).map(|(exporter, steps)| Traced {
        exporter,
        steps,
        start: machine_time(),
        caller: caller_trace(request.headers()),
    });
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unknown", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        %method,
        route,
        trace_id = trace_id.as_str(),
        caller_trace_id = caller_trace(request.headers()).map(|caller| caller.0), // `None` is not logged
    );
    let stopwatch = Timer::start();
    let answer = async {
        let response = answer(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    let response = with_trace_id(trace_id, steps, answer.instrument(span)).await;
    let label = response.extensions().get::<RouteLabel>();
    let route = label.map_or(route, |RouteLabel(label)| label);
    metrics.answered(&method, route, response.status(), stopwatch.seconds());
    if let Some(traced) = traced {
        let caller = traced.caller.as_ref();
        traced.exporter.record(AnsweredRequest {
            id: &trace_id,
            caller: caller.map(|(trace, span)| (trace.as_str(), span.as_str())),
            method: method.as_str(),
            route,
            status: response.status().as_u16(),
            start: traced.start,
            end: machine_time(),
            steps: traced.steps.take(),
        });
    }
    response
}

/// A request that is traced.
struct Traced<'a> {
    exporter: &'a Traces,
    steps: Steps,
    start: SystemTime,
    caller: Option<(String, String)>,
}

/// Reads trace id and span id of a single `traceparent` header: `VERSION-TRACE-PARENT-FLAGS` in lower-case hex,
/// and more in later versions (W3C Trace Context §3.2).
fn caller_trace(headers: &HeaderMap) -> Option<(String, String)> {
    let mut given = headers.get_all("traceparent").iter();
    let (Some(header), None) = (given.next(), given.next()) else {
        return None;
    };
    let text = header.to_str().ok()?;
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        let part = parts.next()?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (part.len() == digits && part.bytes().all(is_hex)).then_some(part)
    };
    let (version, trace, parent) = (hex(2)?, hex(32)?, hex(16)?);
    hex(2)?;
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let has_more = parts.next().is_some();
    let fits = version != "ff" && !(version == "00" && has_more);
    (fits && !is_zero(trace) && !is_zero(parent)).then(|| (trace.to_owned(), parent.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_traceparent_is_whole_or_ignored() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const PARENT: &str = "00f067aa0ba902b7";
        let of = |lines: &[String]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("traceparent", HeaderValue::from_str(line).unwrap());
            }
            caller_trace(&headers).map(|caller| caller.0)
        };
        let good = format!("00-{TRACE}-{PARENT}-01");
        assert_eq!(of(std::slice::from_ref(&good)).as_deref(), Some(TRACE));
        let later = format!("cc-{TRACE}-{PARENT}-01-what-comes-later");
        assert_eq!(of(&[later]).as_deref(), Some(TRACE));
        assert_eq!(of(&[good.clone(), good.clone()]), None);
        assert_eq!(of(&[]), None);
        for bad in [
            String::new(),
            "nonsense".to_owned(),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{PARENT}-01", &TRACE[1..]),
        ] {
            assert_eq!(of(std::slice::from_ref(&bad)), None, "{bad}");
        }
    }
}
