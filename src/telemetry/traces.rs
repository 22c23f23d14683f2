//! Traces of requests, sent to an OpenTelemetry collector by OTLP over HTTP.
//!
//! A trace has the trace id of the log and of the audit trail. Its first span is the request, with the route and never
//! the query; below are the steps of the request: reads and writes of the database, signatures, password hashes and
//! outgoing requests. A caller's `traceparent` becomes a link, not the parent: a caller can send any id.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId as OtelTraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};

use crate::config::Config;
use crate::random::Random;
use crate::trace_id::{Step, TraceId};

/// Maximum time of a request to the collector, and of the last one at the shutdown.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The exporter of traces: a thread with a bounded queue, which drops spans when the collector is too slow.
#[derive(Debug)]
pub struct Traces {
    processor: BatchSpanProcessor,
    /// Part of the requests that is traced, from 0 to 1.
    ratio: f64,
    random: Random,
    scope: InstrumentationScope,
}

/// The exporter of traces cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("OTEL_EXPORTER_OTLP_ENDPOINT: traces cannot be sent: {0}")]
pub struct Error(#[from] opentelemetry_otlp::ExporterBuildError);

/// An answered request.
#[derive(Debug)]
pub struct AnsweredRequest<'a> {
    /// The trace id.
    pub id: &'a TraceId,
    /// Trace and span of the caller (W3C Trace Context), if sent.
    pub caller: Option<(&'a str, &'a str)>,
    /// The method.
    pub method: &'a str,
    /// The path of the route, with the names of its parameters.
    pub route: &'a str,
    /// The status of the response.
    pub status: u16,
    /// The beginning.
    pub start: SystemTime,
    /// The end.
    pub end: SystemTime,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Traces {
    /// Starts the exporter, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn start(config: &Config, random: &Random) -> Result<Option<Self>, Error> {
        let Some(collector) = &config.otlp_endpoint else {
            return Ok(None);
        };
        let headers: HashMap<String, String> = config
            .otlp_headers
            .0
            .iter()
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!(
                "{}/v1/traces",
                collector.as_str().trim_end_matches('/')
            ))
            .with_timeout(EXPORT_TIMEOUT)
            .with_headers(headers)
            .build()?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource::builder_empty()
            .with_service_name(config.otel_service_name.clone())
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        processor.set_resource(&resource);
        Ok(Some(Self {
            processor,
            ratio: config.trace_ratio.0,
            random: random.clone(),
            scope: InstrumentationScope::builder("storyden-auth")
                .with_version(version)
                .build(),
        }))
    }

    /// Returns true if a request with this trace id is traced: the same requests on every replica.
    #[must_use]
    pub fn samples(&self, id: &TraceId) -> bool {
        let first = id.as_str().get(..8).unwrap_or_default();
        let place = u32::from_str_radix(first, 16).unwrap_or(0);
        f64::from(place) < self.ratio * f64::from(u32::MAX) + 1.0 && self.ratio > 0.0
    }

    /// Hands a request to the exporter.
    pub fn record(&self, request: AnsweredRequest<'_>) {
        let trace = OtelTraceId::from_hex(request.id.as_str()).unwrap_or(OtelTraceId::INVALID);
        let root = self.span_id();
        let link = request.caller.and_then(|(trace, span)| {
            let (trace, span) = (OtelTraceId::from_hex(trace), SpanId::from_hex(span));
            let state = TraceState::default();
            let context =
                SpanContext::new(trace.ok()?, span.ok()?, TraceFlags::SAMPLED, true, state);
            Some(Link::with_context(context))
        });
        let AnsweredRequest {
            method,
            route,
            status,
            ..
        } = request;
        let mut links = SpanLinks::default();
        links.links.extend(link);
        self.processor.on_end(SpanData {
            span_kind: SpanKind::Server,
            attributes: vec![
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("http.route", route.to_owned()),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ],
            links,
            // Semantic conventions: only a fault of the server is an error of the span.
            status: match status {
                500.. => Status::error(""),
                _ => Status::Unset,
            },
            ..self.span(
                trace,
                root,
                format!("{method} {route}"),
                (request.start, request.end),
            )
        });
        for Step { name, start, end } in request.steps {
            self.processor.on_end(SpanData {
                parent_span_id: root,
                ..self.span(trace, self.span_id(), name, (start, end))
            });
        }
    }

    /// Sends what is queued, and ends the thread. Blocks for some seconds at most.
    pub fn shutdown(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }

    fn span_id(&self) -> SpanId {
        SpanId::from_bytes(self.random.bytes::<8>())
    }

    fn span(
        &self,
        trace: OtelTraceId,
        id: SpanId,
        name: impl Into<std::borrow::Cow<'static, str>>,
        (start_time, end_time): (SystemTime, SystemTime),
    ) -> SpanData {
        SpanData {
            span_context: SpanContext::new(
                trace,
                id,
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time,
            end_time,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}
