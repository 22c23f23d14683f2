//! Metrics of connections and of the signing queue, read at the Prometheus endpoint.

use crate::support::{both, free_port};

/// The value of the metric that starts with `name`, labels included.
#[track_caller]
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.trim().parse().unwrap()
}

both! {
    /// connections, signatures and the signing queue have metrics.
    async fn connections_and_signatures_have_metrics(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let metrics = format!("127.0.0.1:{}", free_port());
        let mut program = setup.spawn_with(free_port(), &[("METRICS_ADDR", &metrics)]).await;
        program.says("serving metrics").await;
        let mut server = setup.start().await;
        program.address.clone_into(&mut server.address);
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[("scope", "openid offline_access")]).await;
        server.exchange(&app, &code).await.expect(200);
        let shown = server.http.get(format!("http://{metrics}/metrics"));
        let text = server.send(shown).await.expect(200).body;
        assert!((1.0..100.0).contains(&value(&text, "storyden_auth_http_connections_open ")));
        value(&text, "storyden_auth_http_connections_idle ");
        for (name, expected) in [
            ("storyden_auth_http_connections_refused_total{reason=\"share\"} ", 0.0),
            ("storyden_auth_http_connections_refused_total{reason=\"full\"} ", 0.0),
            ("storyden_auth_http_connections_closed_for_room_total ", 0.0),
            ("storyden_auth_signing_waiting ", 0.0),
            ("storyden_auth_signatures_total ", 2.0),
            ("storyden_auth_signing_wait_seconds_count ", 1.0),
        ] {
            assert!((value(&text, name) - expected).abs() < f64::EPSILON, "{name}: {text}");
        }
        program.kill().await;
    }
}
