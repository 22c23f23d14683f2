//! The files for operators in `config/`: dashboard, alert rules and documentation use exactly the metrics that
//! exist, and unit, manifests and compose file use existing settings and commands.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;
use storyden_auth::telemetry::catalog::{self, Kind, Metric};

use crate::support::{both, free_port};

const DASHBOARD: &str = include_str!("../../config/grafana-dashboard.json");
const RULES: &str = include_str!("../../config/prometheus-rules.yaml");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const SETTINGS: &str = include_str!("../../config/storyden-auth.env");

/// Labels that Prometheus adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// The metric of a series. A histogram has the series `_bucket`, `_sum` and `_count`.
fn metric_of(series: &str) -> Option<&'static Metric> {
    catalog::ALL.iter().find(|metric| {
        let suffix = series.strip_prefix(metric.name);
        match metric.kind {
            Kind::Histogram => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
            Kind::Counter | Kind::Gauge => suffix == Some(""),
        }
    })
}

/// Series that an expression reads, each with the labels of its selector.
fn series_of(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let series = Regex::new(r#"(storyden_auth_\w+)(\{(?:[^}"]|"[^"]*")*\})?"#).unwrap();
    let label = Regex::new(r"(\w+)\s*(?:=~|!~|!=|=)").unwrap();
    let found = series.captures_iter(expression).map(|found| {
        let selector = found.get(2).map_or("", |text| text.as_str());
        let labels = label
            .captures_iter(selector)
            .map(|label| label[1].to_owned());
        (found[1].to_owned(), labels.collect())
    });
    found.collect()
}

/// Labels that an expression groups by.
fn grouped_by(expression: &str) -> BTreeSet<String> {
    let groups = Regex::new(r"\b(?:by|without) \(([^)]*)\)").unwrap();
    let groups = groups.captures_iter(expression);
    let labels = groups.flat_map(|group| {
        let labels = group[1].split(',').map(|label| label.trim().to_owned());
        labels.collect::<Vec<_>>()
    });
    labels.collect()
}

/// Faults of an expression: unknown metrics, and labels that its metrics lack.
fn faults(expression: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut labels: BTreeSet<&str> = ADDED.into();
    for (series, selected) in series_of(expression) {
        let Some(metric) = metric_of(&series) else {
            faults.push(format!("no metric {series} in {expression}"));
            continue;
        };
        labels.extend(metric.labels);
        let is_known = |label: &String| {
            metric.labels.contains(&label.as_str()) || ADDED.contains(&label.as_str())
        };
        let unknown = selected.iter().filter(|label| !is_known(label));
        faults.extend(unknown.map(|label| format!("{series} has no label {label}: {expression}")));
    }
    let grouped = grouped_by(expression);
    let unknown = grouped
        .iter()
        .filter(|label| !labels.contains(label.as_str()));
    faults.extend(unknown.map(|label| format!("no label {label}: {expression}")));
    faults
}

/// Expressions of the dashboard, with those of its variables.
fn dashboard_expressions() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let texts = ["expr", "definition"]
                    .iter()
                    .filter_map(|key| members.get(*key));
                found.extend(texts.filter_map(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    found
}

/// Expressions of the alert rules: the text between `expr:` and `for:`.
fn rule_expressions() -> Vec<String> {
    let rules = RULES.split("expr:").skip(1);
    let rules = rules.map(|rule| rule.split("for:").next().unwrap().to_owned());
    rules.collect()
}

#[test]
fn metric_names_have_the_prefix_and_the_suffix_of_their_kind() {
    let mut names = BTreeSet::new();
    for metric in catalog::ALL {
        assert!(metric.name.starts_with("storyden_auth_"), "{metric:?}");
        assert!(metric.help.ends_with('.'), "{metric:?}");
        assert!(names.insert(metric.name), "{} twice", metric.name);
        assert_eq!(
            metric.name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{metric:?}"
        );
        if metric.kind == Kind::Histogram {
            assert!(metric.name.ends_with("_seconds"), "{metric:?}");
        }
    }
}

#[test]
fn dashboard_and_rules_use_existing_metrics() {
    let (dashboard, rules) = (dashboard_expressions(), rule_expressions());
    assert!(dashboard.len() > 25 && rules.len() > 10);
    let expressions = dashboard.iter().chain(&rules);
    let faults: Vec<_> = expressions
        .flat_map(|expression| faults(expression))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn faults_of_an_expression_are_found() {
    for wrong in [
        "rate(http_requests_total[5m]) + storyden_auth_requests_total",
        "storyden_auth_http_requests_total{code=\"500\"}",
        "sum by (step) (storyden_auth_signing_waiting)",
        "storyden_auth_signing_wait_seconds",
    ] {
        assert_eq!(faults(wrong).len(), 1, "{wrong}");
    }
}

#[test]
fn every_metric_is_on_the_dashboard_and_in_the_documentation() {
    let shown = dashboard_expressions().join("\n");
    let shown: BTreeSet<_> = series_of(&shown)
        .into_iter()
        .map(|(series, _)| series)
        .collect();
    let shown: BTreeSet<_> = shown
        .iter()
        .filter_map(|series| metric_of(series))
        .map(|metric| metric.name)
        .collect();
    let all: BTreeSet<_> = catalog::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(
        all.difference(&shown).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "not on the dashboard"
    );
    let word = Regex::new(r"storyden_auth_\w+").unwrap();
    let documented: BTreeSet<_> = word
        .find_iter(OPERATIONS)
        .map(|found| found.as_str())
        .collect();
    assert_eq!(documented, all, "docs/operations.md and the metrics");
}

#[test]
fn panels_have_a_title_a_description_and_a_place() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty(), "{panel}");
        let place = &panel["gridPos"];
        assert!(
            place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24,
            "{panel}"
        );
        if panel["type"] != "row" {
            assert!(
                !panel["description"].as_str().unwrap().is_empty(),
                "{panel}"
            );
        }
    }
}

#[test]
fn alerts_have_a_severity_a_summary_and_a_remedy() {
    let rules: Vec<&str> = RULES.split("- alert: ").skip(1).collect();
    for rule in rules {
        for part in [
            "\n        for: ",
            "severity: ",
            "summary: ",
            "description: ",
        ] {
            assert!(rule.contains(part), "no {part}: {rule}");
        }
    }
}

#[test]
fn unit_manifests_and_compose_use_existing_settings() {
    let setting = Regex::new(r"(?m)^# ([A-Z][A-Z0-9_]+)=").unwrap();
    let known: BTreeSet<&str> = setting
        .captures_iter(SETTINGS)
        .map(|found| found.extract::<1>().1[0])
        .collect();
    let used = Regex::new(r"(?m)^(?:\s+|Environment=)([A-Z][A-Z0-9_]+)(?:: |=)").unwrap();
    let files = BTreeMap::from([
        ("unit", include_str!("../../config/storyden-auth.service")),
        (
            "manifest",
            include_str!("../../config/kubernetes/settings.yaml"),
        ),
        ("compose", include_str!("../../config/compose.yaml")),
    ]);
    for (name, text) in files {
        let found: Vec<&str> = used
            .captures_iter(text)
            .map(|found| found.extract::<1>().1[0])
            .collect();
        assert!(!found.is_empty(), "{name}");
        for setting in found {
            assert!(
                known.contains(setting) || setting.starts_with("POSTGRES_"),
                "{name}: no setting {setting}"
            );
        }
    }
}

/// On PostgreSQL, generated signing keys need a common secret; each example of a deployment names it.
#[test]
fn examples_with_postgresql_name_the_secret_of_the_signing_keys() {
    for (name, text) in [
        ("unit", include_str!("../../config/storyden-auth.service")),
        (
            "manifest",
            include_str!("../../config/kubernetes/settings.yaml"),
        ),
        ("compose", include_str!("../../config/compose.yaml")),
        ("settings", SETTINGS),
        ("README", include_str!("../../README.md")),
        ("operations", OPERATIONS),
    ] {
        assert!(text.contains("OAUTH_KEYS_SECRET"), "{name}");
    }
    let steps = OPERATIONS.split("kubectl create secret").nth(1).unwrap();
    let steps = steps.split("```").next().unwrap();
    assert!(
        steps.contains("OAUTH_KEYS_SECRET=\"$(openssl rand -base64 32)\""),
        "{steps}"
    );
    assert!(!steps.contains("OAUTH_SIGNING_KEY_BASE64"), "{steps}");
}

both! {
    /// Every series of a running server is in the catalog, with its labels and a help text; pages and their
    /// files share two routes.
    async fn metrics_match_the_catalog(setup: Setup) {
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
        for path in ["/login", "/", "/web/style.css", "/web/login.js", "/absent"] {
            let address = &server.address;
            server.http.get(format!("{address}{path}")).send().await.unwrap();
        }
        let shown = server.http.get(format!("http://{metrics}/metrics"));
        let text = server.send(shown).await.expect(200).body;
        let label = Regex::new(r#"(\w+)=""#).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let series = line.split(['{', ' ']).next().unwrap();
            let metric = metric_of(series).unwrap_or_else(|| panic!("not in the catalog: {line}"));
            let labels: BTreeSet<_> = label.captures_iter(line).map(|found| found.extract::<1>().1[0]).collect();
            let expected = metric.labels.iter().copied();
            let bucket = series.ends_with("_bucket").then_some("le");
            assert_eq!(labels, expected.chain(bucket).collect(), "{line}");
            assert!(text.contains(&format!("# HELP {} ", metric.name)), "no help text: {line}");
        }
        let version = env!("CARGO_PKG_VERSION");
        assert!(text.contains(&format!("storyden_auth_build_info{{version=\"{version}\"")), "{text}");
        for (route, count) in [("pages", 2), ("files", 2), ("unknown", 1)] {
            let status = if route == "unknown" { 404 } else { 200 };
            let line = format!("storyden_auth_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"{status}\"}} {count}");
            assert!(text.contains(&line), "{line}: {text}");
        }
        assert!(!text.contains("/web/") && !text.contains("\"/login\""), "{text}");
        program.kill().await;
    }
}
