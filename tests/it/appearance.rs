//! Languages of the pages, the operator's texts, name, mark and colours, and pages for errors.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Answer, Server, both};

/// The built-in languages.
const LANGUAGES: &[&str] = &["ar", "de", "en", "es", "fr", "ja", "pt-BR", "zh-Hans"];

/// Fetches a page with `Accept-Language` and the member's choice.
async fn page(server: &Server, path: &str, accepted: &str, chosen: Option<&str>) -> Answer {
    let mut request = server.request("GET", path);
    request = request.header("accept-language", accepted);
    if let Some(language) = chosen {
        request = request.header("cookie", format!("storyden-auth-language={language}"));
    }
    server.send(request.header("accept", "text/html")).await
}

/// Returns the start tag of the document.
fn html_tag(page: &Answer) -> &str {
    let start = page.body.find("<html").expect("a document");
    page.body[start..].split('>').next().expect("a tag")
}

/// Returns the paths of all messages of a catalogue; plural forms count as one message.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(parts) if !parts.contains_key("other") || parts.len() > 6 => {
            for (key, part) in parts {
                paths(part, &format!("{path}.{key}"), found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

both! {
    /// The language is the member's choice, else the best match of `Accept-Language` (RFC 9110 §12.5.4).
    async fn the_language_of_a_page_is_negotiated(setup: Setup) {
        let server = setup.start().await;
        for (accepted, chosen, language, direction) in [
            ("de-AT, en;q=0.5", None, "de", "ltr"),
            ("xx, ar;q=0.4", None, "ar", "rtl"),
            ("zh-CN", None, "zh-Hans", "ltr"),
            ("de", Some("fr"), "fr", "ltr"),
            ("de", Some("klingon"), "de", "ltr"),
            ("", None, "en", "ltr"),
        ] {
            let page = page(&server, "/login", accepted, chosen).await.expect(200);
            assert_eq!(html_tag(&page), format!("<html lang=\"{language}\" dir=\"{direction}\""));
            assert_eq!(page.header("content-language"), language);
            assert_eq!(page.header("vary"), "accept-language, cookie");
            let catalogue = format!("/web/messages/{language}.json");
            assert!(page.body.contains(&format!("href=\"{catalogue}\" as=\"fetch\"")), "{}", page.body);
            server.get(&catalogue).await.expect(200);
        }
        let german = page(&server, "/login", "de", None).await;
        assert!(german.body.contains("<title>Anmelden</title>"), "{}", german.body);
        assert!(german.body.contains("Diese Seite braucht JavaScript."));
        let english = page(&server, "/login", "en", None).await;
        assert_ne!(german.header("etag"), english.header("etag"));
    }

    /// Every page offers every language, in the language itself; the catalogues have the same messages.
    async fn every_language_is_complete_and_offered(setup: Setup) {
        let server = setup.start().await;
        let page = server.get("/").await.expect(200);
        let mut english = BTreeSet::new();
        paths(&server.get("/web/messages/en.json").await.json(), "", &mut english);
        assert!(english.len() > 600);
        for language in LANGUAGES {
            assert!(page.body.contains(&format!("<option value=\"{language}\" lang=\"{language}\"")), "{language}");
            let answer = server.get(&format!("/web/messages/{language}.json")).await.expect(200);
            assert_eq!(answer.header("content-type"), "application/json");
            let mut found = BTreeSet::new();
            paths(&answer.json(), "", &mut found);
            assert_eq!(found, english, "{language}");
        }
    }

    /// `MESSAGES_DIR` adds languages and replaces texts without a new build.
    async fn an_operator_adds_and_changes_languages(setup: Setup) {
        let folder = setup.folder.join("messages");
        let italian = json!({ "common": { "languageName": "Italiano" }, "login": { "title": "Accedi" } });
        write(&folder, "it.json", &italian.to_string());
        write(&folder, "de.json", &json!({ "login": { "title": "Hereinspaziert" } }).to_string());
        write(&folder, "README.md", "not a catalogue");
        let server = setup.with("MESSAGES_DIR", folder.to_str().unwrap()).start().await;
        let italian = page(&server, "/login", "it", None).await.expect(200);
        assert!(italian.body.contains("<title>Accedi</title>"), "{}", italian.body);
        assert!(italian.body.contains("lang=\"it\" dir=\"ltr\" selected>Italiano</option>"), "{}", italian.body);
        let messages = server.get("/web/messages/it.json").await.expect(200).json();
        assert_eq!(messages["login"]["password"], "Password"); // from English
        let messages = server.get("/web/messages/de.json").await.expect(200).json();
        assert_eq!(messages["login"]["title"], "Hereinspaziert");
        assert_eq!(messages["login"]["password"], "Passwort"); // from the built-in German
    }

    /// Errors of the operator's files stop the start, and name the file and the message.
    async fn errors_of_an_operators_texts_stop_the_start(setup: Setup) {
        let named = json!({ "common": { "languageName": "Italiano" } }).to_string();
        for (name, text, problem) in [
            ("it.json", "{ \"login\": ", "it.json: invalid JSON: EOF"),
            ("it.json", "{}", "it.json: common.languageName is missing"),
            ("en.json", "{ \"login\": { \"titel\": \"x\" } }", "en.json: login.titel is an unknown key"),
            ("en.json", "{ \"login\": { \"title\": \"{x}\" } }", "login.title has the unknown placeholder {x}"),
            ("italiano.json", &named, "the name must be a language tag"),
        ] {
            let folder = setup.folder.join(format!("wrong-{}", problem.len()));
            write(&folder, name, text);
            let ended = setup.run(&["serve"], &[("MESSAGES_DIR", folder.to_str().unwrap())]).await;
            assert_ne!(ended.code, Some(0), "{problem}");
            assert!(ended.stderr.contains("MESSAGES_DIR"), "{}", ended.stderr);
            assert!(ended.stderr.contains(problem), "{problem}: {}", ended.stderr);
        }
        let missing = setup.folder.join("nowhere");
        let ended = setup.run(&["serve"], &[("MESSAGES_DIR", missing.to_str().unwrap())]).await;
        assert!(ended.stderr.contains("the folder cannot be read"), "{}", ended.stderr);
    }

    /// The community's name, mark, colours and line of text are on every page, as text (XSS).
    async fn the_pages_have_the_look_of_the_community(setup: Setup) {
        let mark = setup.folder.join("mark.svg");
        std::fs::write(&mark, "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
        let server = setup
            .with("BRAND_NAME", "Yggdrasil & <friends>")
            .with("BRAND_TEXT", "Run by {{body}} of Asgard")
            .with("BRAND_MARK", mark.to_str().unwrap())
            .with("BRAND_COLOR", "#8a1c5c")
            .with("BRAND_GROUND_DARK", "#000000")
            .start().await;
        let page = server.get("/settings/security").await.expect(200);
        assert!(page.body.contains("<bdi>Yggdrasil &amp; &lt;friends&gt;</bdi>"), "{}", page.body);
        assert!(page.body.contains("<p>Run by &#123;&#123;body}} of Asgard</p>"), "{}", page.body);
        assert!(page.body.contains("<img src=\"/web/mark\""), "{}", page.body);
        let image = server.get("/web/mark").await.expect(200);
        assert_eq!(image.header("content-type"), "image/svg+xml");
        assert!(image.header("content-security-policy").contains("sandbox"));
        let colors = server.get("/web/colors.css").await.expect(200).body;
        assert!(colors.contains("@media(prefers-color-scheme:light){:root{--accent:#8a1c5c;"), "{colors}");
        assert!(colors.contains("@media(prefers-color-scheme:dark){:root{--ground:#000000;}}"), "{colors}");
        let request = server.request("GET", "/nowhere").header("accept", "text/html");
        let error = server.send(request).await.expect(404);
        assert!(error.body.contains("Yggdrasil &amp; &lt;friends&gt;") && error.body.contains("--accent:#8a1c5c"));
    }

    /// Colours without the contrast of WCAG AA stop the start, and the error has the ratio.
    async fn colours_without_contrast_stop_the_start(setup: Setup) {
        for (name, value, problem) in [
            ("BRAND_COLOR", "#8fbfae", "with a contrast of 1.8"),
            ("BRAND_COLOR_DARK", "#1f6f54", "of the dark pages; text needs 4.5:1"),
            ("BRAND_GROUND", "#808080", "BRAND_GROUND is #808080, with a contrast of 1."),
            ("BRAND_COLOR", "green", "use # and six hexadecimal digits"),
            ("BRAND_NAME", "Long name Long name Long name Long name Long name Long name Long name", "at most 60 characters"),
        ] {
            let ended = setup.run(&["serve"], &[(name, value)]).await;
            assert_ne!(ended.code, Some(0), "{name}");
            assert!(ended.stderr.contains(problem), "{name}: {}", ended.stderr);
        }
        let text = setup.folder.join("mark.png");
        std::fs::write(&text, "not an image").unwrap();
        let ended = setup.run(&["serve"], &[("BRAND_MARK", text.to_str().unwrap())]).await;
        assert!(ended.stderr.contains("the content is no image/png"), "{}", ended.stderr);
    }

    /// A path that nothing is at: a page for a browser, in its language; a problem for other clients (RFC 9457).
    async fn a_browser_gets_a_page_for_a_path_that_is_nothing(setup: Setup) {
        let server = setup.start().await;
        let page = page(&server, "/nowhere", "ar", None).await.expect(404);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
        assert_eq!(html_tag(&page), "<html lang=\"ar\" dir=\"rtl\"");
        assert!(page.body.contains("<a href=\"https://auth.example/\">"), "{}", page.body); // a way home
        assert!(page.body.contains("<img src=\"data:image/svg+xml;base64,"), "{}", page.body); // the mark
        let trace = page.body.split("<code dir=\"ltr\">").nth(1).and_then(|rest| rest.split('<').next());
        assert_eq!(trace.map(str::len), Some(32), "{}", page.body);
        let problem = server.get("/nowhere").await.expect(404);
        assert_eq!(problem.header("content-type"), "application/problem+json");
    }

    /// An authorization request that is not redirected (RFC 6749 §3.1.2.4): the page explains the code in its language.
    async fn an_error_page_explains_a_known_code(setup: Setup) {
        let server = setup.start().await;
        let path = "/api/oauth/authorize?client_id=nobody&response_type=code&redirect_uri=https://app.example/cb";
        let page = page(&server, path, "de", None).await.expect(400);
        assert!(page.body.contains("Diese Anwendung kann dich nicht anmelden"), "{}", page.body);
        assert!(page.body.contains("<p lang=\"en\" dir=\"ltr\">"), "{}", page.body);
        assert!(page.body.contains("Trace-ID:"), "{}", page.body);
    }
}
