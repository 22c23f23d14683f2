//! Issue 19: traces by OTLP, as a collector receives them.

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AttributeValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{Setup, both, free_port};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A collector that keeps what it receives.
struct Collector {
    address: String,
    received: UnboundedReceiver<(HeaderMap, Bytes)>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = unbounded_channel();
        let keep =
            async move |headers: HeaderMap, body: Bytes| sender.send((headers, body)).unwrap();
        let router = Router::new().route("/v1/traces", post(keep));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, received }
    }

    /// Returns the header fields and the spans of everything received until now, with the name of the service.
    fn take(&mut self) -> (HeaderMap, String, Vec<Span>) {
        let (mut headers, mut service, mut spans) = (HeaderMap::new(), String::new(), Vec::new());
        while let Ok((fields, body)) = self.received.try_recv() {
            headers = fields;
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            for resource in request.resource_spans {
                service = format!("{:?}", resource.resource);
                spans.extend(
                    resource
                        .scope_spans
                        .into_iter()
                        .flat_map(|scope| scope.spans),
                );
            }
        }
        (headers, service, spans)
    }
}

/// Sends what waits in the queue of the exporter.
async fn flush(server: &crate::support::Server) {
    let context = server.context.clone();
    let flush = move || context.traces.as_ref().unwrap().shutdown();
    tokio::task::spawn_blocking(flush).await.unwrap();
}

/// The attribute of a span, as text.
fn attribute(span: &Span, name: &str) -> String {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(AttributeValue::StringValue(text)) => text.clone(),
        Some(AttributeValue::IntValue(number)) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let add = |text: String, byte: &u8| format!("{text}{byte:02x}");
    bytes.iter().fold(String::new(), add)
}

both! {
    /// A request is a span with route and status, below which are its steps. The trace id is the one of the log, and
    /// the caller's trace is a link. Neither queries nor credentials are sent.
    async fn a_request_is_a_trace_with_steps(setup: Setup) {
        let mut collector = Collector::start().await;
        let setup = setup
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{}/", collector.address))
            .with("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%2Cb")
            .with("OTEL_SERVICE_NAME", "our-login");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let asked = server.token_request(&app.exchange_form(&code));
        let asked = asked.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        let tokens = server.send(asked).await.expect(200);
        let missing = server.get("/api/no-such-path?secret=x").await.expect(404).text("trace_id");
        flush(&server).await;

        let (headers, service, spans) = collector.take();
        assert_eq!(headers["api-key"], "a,b");
        assert!(service.contains("our-login"), "{service}");
        let root = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
        let token = root("POST /api/oauth/token");
        assert_eq!(attribute(token, "http.response.status_code"), "200");
        assert_eq!(hex(&token.links[0].trace_id), TRACE);
        assert_ne!(hex(&token.trace_id), TRACE);
        let steps = spans.iter().filter(|span| span.parent_span_id == token.span_id);
        let steps: Vec<&str> = steps.map(|span| span.name.as_str()).collect();
        for step in ["database look-up", "signature", "database write"] {
            assert!(steps.contains(&step), "{step}: {steps:?}");
        }
        let unknown = spans.iter().find(|span| hex(&span.trace_id) == missing).unwrap();
        assert_eq!(attribute(unknown, "http.response.status_code"), "404");
        let sent = format!("{spans:?}");
        for secret in [code.as_str(), &tokens.text("access_token"), "secret=x"] {
            assert!(!sent.contains(secret), "{secret}");
        }
    }

    /// A ratio of 0 traces nothing, and a collector that is away does not disturb requests.
    async fn traces_never_disturb(setup: Setup) {
        let mut collector = Collector::start().await;
        let with = |setup: &Setup, address: &str| setup.clone().with("OTEL_EXPORTER_OTLP_ENDPOINT", address);
        let silent = with(&setup, &collector.address).with("OTEL_TRACES_SAMPLER_ARG", "0");
        let server = silent.start().await;
        server.get("/api/oauth/jwks").await.expect(200);
        flush(&server).await;
        assert_eq!(collector.take().2.len(), 0);
        let server = with(&setup, &format!("http://127.0.0.1:{}", free_port())).start().await;
        server.get("/api/oauth/jwks").await.expect(200);
        flush(&server).await;
        server.get("/api/oauth/jwks").await.expect(200);
    }

    /// On SIGTERM the program sends the traces that wait.
    async fn the_last_traces_are_sent(setup: Setup) {
        let mut collector = Collector::start().await;
        let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str())];
        let program = setup.spawn_with(free_port(), &settings).await;
        let http = setup.start().await.http.get(format!("{}/api/oauth/jwks", program.address)).send();
        assert_eq!(http.await.unwrap().status(), 200);
        program.terminate().await;
        let (code, _) = program.wait().await;
        assert_eq!(code, Some(0));
        let (_, _, spans) = collector.take();
        assert!(spans.iter().any(|span| span.name == "GET /api/oauth/jwks"), "{spans:?}");
    }

    /// Each setting is checked, and a fault does not print the credential.
    async fn settings_of_traces_are_checked(setup: Setup) {
        for (name, value, problem) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "use an address"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:b@localhost:4318", "user name"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "geheim", "NAME=VALUE"),
            ("OTEL_TRACES_SAMPLER_ARG", "2", "from 0 to 1"),
        ] {
            let refused = setup.run(&["serve"], &[(name, value)]).await;
            assert_eq!(refused.code, Some(1), "{name}");
            assert!(refused.stderr.contains(name) && refused.stderr.contains(problem), "{}", refused.stderr);
            assert!(!refused.stderr.contains("geheim"), "{}", refused.stderr);
        }
    }
}
