//! Browser and operating system of a `User-Agent` (RFC 9110 §10.1.5), for display only: any client can send any value.

/// Browser and operating system, as far as known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Name of the browser.
    pub browser: Option<&'static str>,
    /// Name of the operating system.
    pub system: Option<&'static str>,
}

/// Products of browsers with their names, the most specific first: most browsers also name Chrome and Safari.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
];

/// Parts of the platform with the names of the systems, the most specific first.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

impl Program {
    /// Recognizes the common browsers and systems.
    #[must_use]
    pub fn of(user_agent: &str) -> Self {
        let is_browser = user_agent.starts_with("Mozilla/");
        let named = |list: &[(&str, &'static str)]| {
            let found = list.iter().find(|(part, _)| user_agent.contains(part));
            found.map(|(_, name)| *name)
        };
        Self {
            browser: named(BROWSERS).filter(|_| is_browser),
            system: named(SYSTEMS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_are_recognized() {
        for (user_agent, browser, system) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                Some("Firefox"),
                Some("Linux"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 \
                 Safari/537.36 Edg/126.0",
                Some("Edge"),
                Some("Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Mobile/15E148 Safari/604.1",
                Some("Safari"),
                Some("iPhone"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile \
                 Safari/537.36",
                Some("Chrome"),
                Some("Android"),
            ),
            ("storyden-auth/1.0 (Linux)", None, Some("Linux")),
            ("curl/8.5.0", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                Program::of(user_agent),
                Program { browser, system },
                "{user_agent}"
            );
        }
    }
}
