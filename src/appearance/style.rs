//! The style sheet with the colours of the settings.

use crate::config::{Color, Config};

/// Share of the other colour in the colour of a link under the pointer, in percent.
const HOVER_SHARE: u16 = 20;

/// Builds the rules for both colour schemes; empty without colours in the settings.
pub(super) fn colors(config: &Config) -> String {
    let light = scheme(config.brand_color, config.brand_ground, Color::BLACK);
    let dark = scheme(
        config.brand_color_dark,
        config.brand_ground_dark,
        Color::WHITE,
    );
    let rules = [("light", light), ("dark", dark)];
    let rules = rules.iter().filter(|(_, rules)| !rules.is_empty());
    let media = |(name, rules): &(&str, String)| {
        format!("@media(prefers-color-scheme:{name}){{:root{{{rules}}}}}\n")
    };
    rules.map(media).collect()
}

fn scheme(accent: Option<Color>, ground: Option<Color>, towards: Color) -> String {
    let mut rules = String::new();
    if let Some(accent) = accent {
        let strong = accent.mixed(towards, HOVER_SHARE);
        let text = accent.readable_text();
        rules.extend([
            format!("--accent:{accent};--accent-strong:{strong};"),
            format!("--on-accent:{text};"),
        ]);
    }
    if let Some(ground) = ground {
        rules.extend([format!("--ground:{ground};")]);
    }
    rules
}
