//! The pages and assets of `web/`, and the paths at which each is served.

use super::escape;
use crate::appearance::{Appearance, Catalogue};

/// The document of every page, with placeholders such as `{{title}}`.
const LAYOUT: &str = include_str!("../../../web/layout.html");

/// The link to the front page: `{{brand}}` in the body of a page.
const BRAND: &str = include_str!("../../../web/brand.html");

/// The body of the settings and administration pages.
const SETTINGS: &str = include_str!("../../../web/settings.html");

/// The path of the community's mark.
pub(super) const MARK: &str = "/web/mark";

/// The path of the built-in mark.
const BUILT_IN_MARK: &str = "/web/icon.svg";

/// The path of the style sheet with the community's colours.
pub(super) const COLORS: &str = "/web/colors.css";

/// A page, made of [`LAYOUT`].
pub(super) struct Page {
    pub(super) path: &'static str,
    /// The message with the title, until the script sets the title of the view.
    title: &'static str,
    /// The name of the script in `web/`.
    script: &'static str,
    body: &'static str,
}

impl Page {
    /// Renders the page in the language of a catalogue. Values of the operator are inserted last, as text.
    pub(super) fn html(&self, appearance: &Appearance, catalogue: &Catalogue) -> String {
        let colors = if appearance.colors.is_empty() {
            String::new()
        } else {
            format!("  <link rel=\"stylesheet\" href=\"{COLORS}\">\n")
        };
        let mark = if appearance.mark.is_built_in {
            BUILT_IN_MARK
        } else {
            MARK
        };
        // Without a name, a script inserts the host.
        let (name, host) = match &appearance.name {
            Some(name) => (escape(name), ""),
            None => ("Storyden".to_owned(), " data-host"),
        };
        let line = appearance.text.as_deref().map(escape);
        LAYOUT
            .replace("{{body}}", self.body)
            .replace("{{brand}}", BRAND.trim_end())
            .replace("{{language}}", catalogue.language())
            .replace("{{direction}}", catalogue.direction().attribute())
            .replace("{{colors}}", &colors)
            .replace("{{mark}}", mark)
            .replace("{{host}}", host)
            .replace("{{script}}", self.script)
            .replace("{{languages}}", &languages(appearance, catalogue))
            .replace(
                "{{chooseLanguage}}",
                &escape(catalogue.text("common.language")),
            )
            .replace(
                "{{needsScript}}",
                &escape(catalogue.text("common.needsScript")),
            )
            .replace("{{title}}", &escape(catalogue.text(self.title)))
            .replace(
                "{{line}}",
                &line.map_or_else(String::new, |line| format!("<p>{line}</p>")),
            )
            .replace("{{name}}", &name)
    }
}

/// Renders the choice of languages, each in its own language.
fn languages(appearance: &Appearance, current: &Catalogue) -> String {
    let option = |one: &Catalogue| {
        let selected = if one.language() == current.language() {
            " selected"
        } else {
            ""
        };
        let (language, name) = (one.language(), escape(one.name()));
        let direction = one.direction().attribute();
        format!(
            "<option value=\"{language}\" lang=\"{language}\" dir=\"{direction}\"{selected}>{name}</option>"
        )
    };
    appearance.catalogues().iter().map(option).collect()
}

/// A page with the body and the script of this name in `web/`.
macro_rules! page {
    ($path:literal, $name:literal, $title:literal) => {
        Page {
            path: $path,
            title: $title,
            script: $name,
            body: include_str!(concat!("../../../web/", $name, ".html")),
        }
    };
}

/// A page with the body [`SETTINGS`].
const fn settings(path: &'static str, script: &'static str, title: &'static str) -> Page {
    Page {
        path,
        title,
        script,
        body: SETTINGS,
    }
}

/// All pages.
pub(super) const PAGES: &[Page] = &[
    page!("/", "index", "index.title"),
    page!("/login", "login", "login.title"),
    page!("/logout", "logout", "logout.title"),
    page!("/oauth/authorize/consent", "consent", "consent.title"),
    page!("/oauth/consent", "device", "device.title"),
    page!(
        "/oauth/remote/callback",
        "remote-callback",
        "remote.loading"
    ),
    settings(
        "/settings/applications",
        "applications",
        "applications.heading",
    ),
    settings("/settings/clients", "clients", "clients.heading"),
    settings("/settings/access-keys", "access-keys", "accessKeys.heading"),
    settings("/settings/security", "security", "security.heading"),
    settings("/admin/oauth", "admin", "admin.heading"),
];

/// An asset: a file of `web/` that is served as it is.
pub(super) struct Asset {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: &'static [u8],
}

/// The viewer of the API document. Not a [`Page`]: the styles of the layout and of the viewer conflict.
pub(super) const DOCS: Asset = Asset {
    path: "/api/docs",
    content_type: "text/html; charset=utf-8",
    body: include_bytes!("../../../web/docs.html"),
};

/// An asset, served at `/web/` and the path of the file.
macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            path: concat!("/web/", $name),
            content_type: $content_type,
            body: include_bytes!(concat!("../../../web/", $name)),
        }
    };
}

macro_rules! script {
    ($name:literal) => {
        asset!($name, "text/javascript; charset=utf-8")
    };
}

/// All assets.
pub(super) const ASSETS: &[Asset] = &[
    script!("access-keys.js"),
    script!("account.js"),
    script!("admin-audit.js"),
    script!("admin-blocked.js"),
    script!("admin-clients.js"),
    script!("admin-connections.js"),
    script!("admin-devices.js"),
    script!("admin-issuers.js"),
    script!("admin-keys.js"),
    script!("admin-list.js"),
    script!("admin-member.js"),
    script!("admin-members.js"),
    script!("admin-overview.js"),
    script!("admin-resources.js"),
    script!("admin-table.js"),
    script!("admin-tokens.js"),
    script!("admin.js"),
    script!("api.js"),
    script!("applications.js"),
    script!("charts.js"),
    script!("client-details.js"),
    script!("client-errors.js"),
    script!("client-form.js"),
    script!("client-kinds.js"),
    script!("client-pages.js"),
    script!("client-protection.js"),
    script!("clients.js"),
    script!("confirm.js"),
    script!("consent.js"),
    script!("copyable.js"),
    script!("device.js"),
    script!("docs.js"),
    script!("drafts.js"),
    script!("dialog.js"),
    script!("guard.js"),
    script!("i18n.js"),
    script!("index.js"),
    script!("layout.js"),
    script!("login.js"),
    script!("logout.js"),
    script!("navigation.js"),
    script!("origins.js"),
    script!("page.js"),
    script!("people.js"),
    script!("remote-callback.js"),
    script!("scopes.js"),
    script!("security.js"),
    script!("snippet-browser.js"),
    script!("snippets.js"),
    script!("swagger-ui/swagger-ui-bundle.js"),
    asset!("swagger-ui/swagger-ui.css", "text/css; charset=utf-8"),
    script!("text.js"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml; charset=utf-8"),
];
