//! The community's name and colours, and the contrast of the colours (WCAG 2.2 §1.4.3).

use std::fmt;

use super::{Config, Fault};

/// The contrast that normal text needs (WCAG 2.2 level AA).
const CONTRAST_MIN: f64 = 4.5;

/// Maximum length of the name in characters.
const NAME_MAX: usize = 60;

/// Maximum length of the line of text in characters.
const TEXT_MAX: usize = 300;

/// A colour of the sRGB space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

impl Color {
    /// Black.
    pub const BLACK: Self = Self::new(0, 0, 0);

    /// White.
    pub const WHITE: Self = Self::new(255, 255, 255);

    /// Near-black, for text on light colours.
    const INK: Self = Self::new(0x0b, 0x0f, 0x0d);

    const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Mixes in a share of another colour, in percent.
    #[must_use]
    pub fn mixed(self, other: Self, share: u16) -> Self {
        let share = share.min(100);
        let mix = |own: u8, other: u8| {
            let sum = u16::from(own) * (100 - share) + u16::from(other) * share;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self::new(
            mix(self.red, other.red),
            mix(self.green, other.green),
            mix(self.blue, other.blue),
        )
    }

    /// Returns the text colour with the higher contrast on this colour: white or near-black.
    #[must_use]
    pub fn readable_text(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::INK) {
            Self::WHITE
        } else {
            Self::INK
        }
    }

    /// Returns the contrast ratio, from 1 to 21 (WCAG 2.2, "contrast ratio").
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl Color {
    /// Parses `#` and six hexadecimal digits. The problem tells the accepted form.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').unwrap_or_default();
        let is_hex = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16) {
            Ok(value) if is_hex => {
                let [_, red, green, blue] = value.to_be_bytes();
                Ok(Self::new(red, green, blue))
            }
            _ => Err(format!(
                "is {text:?}; use # and six hexadecimal digits, as in #1f6f54"
            )),
        }
    }
}

/// The colours of `web/style.css` that the colours of the settings meet, in one colour scheme.
struct Scheme {
    name: &'static str,
    ground: Color,
    /// The other backgrounds of text in the accent colour: cards, panels, notices.
    surfaces: [Color; 3],
    /// The colours of text on the ground: normal and muted.
    texts: [Color; 2],
    advice: &'static str,
}

const LIGHT: Scheme = Scheme {
    name: "light",
    ground: Color::new(0xf4, 0xf3, 0xee),
    surfaces: [
        Color::WHITE,
        Color::new(0xf7, 0xf8, 0xf5),
        Color::new(0xe9, 0xf5, 0xef),
    ],
    texts: [Color::new(0x1c, 0x23, 0x20), Color::new(0x56, 0x60, 0x5b)],
    advice: "choose a darker accent or a lighter ground",
};

const DARK: Scheme = Scheme {
    name: "dark",
    ground: Color::new(0x10, 0x14, 0x12),
    surfaces: [
        Color::new(0x1a, 0x20, 0x1d),
        Color::new(0x21, 0x28, 0x24),
        Color::new(0x14, 0x30, 0x2a),
    ],
    texts: [Color::new(0xe9, 0xed, 0xea), Color::new(0xa9, 0xb4, 0xae)],
    advice: "choose a lighter accent or a darker ground",
};

impl Scheme {
    /// Returns the fault of the pair with the lowest contrast, if that is too low.
    fn fault(
        &self,
        (variable, accent): (&'static str, Option<Color>),
        (ground_variable, ground): (&'static str, Option<Color>),
    ) -> Option<Fault> {
        let below = ground.unwrap_or(self.ground);
        let of_accent = accent.into_iter().flat_map(|accent| {
            let surfaces = self.surfaces.into_iter().chain([below]);
            surfaces.map(move |surface| (variable, accent, surface))
        });
        let of_ground = ground.into_iter().flat_map(|ground| {
            let texts = self.texts.into_iter();
            texts.map(move |text| (ground_variable, ground, text))
        });
        let worst = of_accent
            .chain(of_ground)
            .min_by(|one, other| one.1.contrast(one.2).total_cmp(&other.1.contrast(other.2)))?;
        let (variable, color, other) = worst;
        let ratio = color.contrast(other);
        (ratio < CONTRAST_MIN).then(|| Fault {
            variable,
            problem: format!(
                "is {color}, with a contrast of {ratio:.2}:1 to {other} of the {} pages; text needs {CONTRAST_MIN}:1 \
                 (WCAG AA): {}",
                self.name, self.advice
            ),
        })
    }
}

impl Config {
    /// Reports a name or a text that is too long, and colours without enough contrast.
    pub(super) fn brand_faults(&self) -> Vec<Fault> {
        let texts = [
            ("BRAND_NAME", &self.brand_name, NAME_MAX),
            ("BRAND_TEXT", &self.brand_text, TEXT_MAX),
        ];
        let unfit = texts.into_iter().filter_map(|(variable, text, most)| {
            let text = text.as_deref()?;
            let is_fit = text.chars().count() <= most && !text.chars().any(char::is_control);
            (!is_fit).then(|| Fault {
                variable,
                problem: format!("must be one line of at most {most} characters"),
            })
        });
        let light = LIGHT.fault(
            ("BRAND_COLOR", self.brand_color),
            ("BRAND_GROUND", self.brand_ground),
        );
        let dark = DARK.fault(
            ("BRAND_COLOR_DARK", self.brand_color_dark),
            ("BRAND_GROUND_DARK", self.brand_ground_dark),
        );
        unfit.chain(light).chain(dark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        let ratio = Color::BLACK.contrast(Color::WHITE);
        assert!((ratio - 21.0).abs() < 0.001, "{ratio}");
        let grey = Color::parse("#777777").unwrap();
        let ratio = grey.contrast(Color::WHITE);
        assert!((ratio - 4.48).abs() < 0.01, "{ratio}");
        assert_eq!(grey.to_string(), "#777777");
    }

    #[test]
    fn the_colours_of_the_style_sheet_are_in_contrast() {
        let style = include_str!("../../web/style.css");
        for (scheme, accent) in [(LIGHT, "#1f6f54"), (DARK, "#74d0aa")] {
            let color = Color::parse(accent).unwrap();
            assert!(
                scheme
                    .fault(("A", Some(color)), ("G", Some(scheme.ground)))
                    .is_none()
            );
            let named = scheme.surfaces.into_iter().chain(scheme.texts);
            for one in named.chain([scheme.ground, color]) {
                assert!(style.contains(&one.to_string()), "{one}");
            }
        }
    }

    #[test]
    fn a_colour_has_six_digits() {
        for wrong in [
            "", "#fff", "1f6f54", "#1f6f5g", "#1f6f540", "green", "#+1f6f5",
        ] {
            assert!(Color::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Color::parse("#FFFFFF"), Ok(Color::WHITE));
    }
}
