//! The pages and assets of `web/`, and the paths at which each is served.

/// The document of every page: `{{title}}`, `{{script}}` and `{{body}}` differ.
const LAYOUT: &str = include_str!("../../../web/layout.html");

/// The link to the front page: `{{brand}}` in the body of a page.
const BRAND: &str = include_str!("../../../web/brand.html");

/// The body of the settings and administration pages.
const SETTINGS: &str = include_str!("../../../web/settings.html");

/// A page, made of [`LAYOUT`].
pub(super) struct Page {
    pub(super) path: &'static str,
    /// The title until the script sets the translated title.
    title: &'static str,
    /// The name of the script in `web/`.
    script: &'static str,
    body: &'static str,
}

impl Page {
    pub(super) fn html(&self) -> String {
        LAYOUT
            .replace("{{body}}", self.body)
            .replace("{{brand}}", BRAND.trim_end())
            .replace("{{title}}", self.title)
            .replace("{{script}}", self.script)
    }
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
    page!("/", "index", "Applications and sign-in"),
    page!("/login", "login", "Sign in"),
    page!("/logout", "logout", "Sign out?"),
    page!(
        "/oauth/authorize/consent",
        "consent",
        "Allow an application?"
    ),
    page!("/oauth/consent", "device", "Connect a device"),
    page!(
        "/oauth/remote/callback",
        "remote-callback",
        "Connecting a service"
    ),
    settings(
        "/settings/applications",
        "applications",
        "Applications you allowed",
    ),
    settings("/settings/clients", "clients", "Applications you made"),
    settings("/settings/access-keys", "access-keys", "Access keys"),
    settings("/settings/security", "security", "Security"),
    settings("/admin/oauth", "admin", "Administration"),
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
    script!("admin-keys.js"),
    script!("admin-list.js"),
    script!("admin-member.js"),
    script!("admin-members.js"),
    script!("admin-resources.js"),
    script!("admin-table.js"),
    script!("admin-tokens.js"),
    script!("admin.js"),
    script!("api.js"),
    script!("applications.js"),
    script!("client-details.js"),
    script!("client-form.js"),
    script!("client-kinds.js"),
    script!("client-protection.js"),
    script!("clients.js"),
    script!("confirm.js"),
    script!("consent.js"),
    script!("copyable.js"),
    script!("device.js"),
    script!("docs.js"),
    script!("dialog.js"),
    script!("guard.js"),
    script!("i18n.js"),
    script!("index.js"),
    script!("layout.js"),
    script!("login.js"),
    script!("logout.js"),
    script!("messages/en.js"),
    script!("navigation.js"),
    script!("page.js"),
    script!("people.js"),
    script!("remote-callback.js"),
    script!("scopes.js"),
    script!("security.js"),
    script!("snippets.js"),
    script!("swagger-ui/swagger-ui-bundle.js"),
    asset!("swagger-ui/swagger-ui.css", "text/css; charset=utf-8"),
    script!("text.js"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml; charset=utf-8"),
];
