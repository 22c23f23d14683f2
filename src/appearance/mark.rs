//! The mark of the community: an image beside its name, and the icon of the pages.

use std::ffi::OsStr;
use std::path::Path;

use bytes::Bytes;

/// The built-in mark.
const BUILT_IN: &[u8] = include_bytes!("../../web/icon.svg");

/// Maximum size of a mark in bytes. Error pages contain the mark.
const SIZE_MAX: usize = 64 * 1024;

/// File extensions with media types and the first bytes of the format.
const FORMATS: &[(&str, &str, &[u8])] = &[
    ("svg", "image/svg+xml", b""),
    ("png", "image/png", b"\x89PNG"),
    ("webp", "image/webp", b"RIFF"),
];

/// An image.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The media type.
    pub media_type: &'static str,
    /// The file.
    pub content: Bytes,
    /// True for the mark that is part of the program.
    pub is_built_in: bool,
}

impl Mark {
    pub(super) fn built_in() -> Self {
        Self {
            media_type: "image/svg+xml",
            content: Bytes::from_static(BUILT_IN),
            is_built_in: true,
        }
    }

    /// Reads the file of the setting. The problem names the file and what to change.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let known = FORMATS
            .iter()
            .find(|(name, ..)| extension.eq_ignore_ascii_case(name));
        let Some((_, media_type, start)) = known else {
            return Err(format!(
                "{shown}: use a file with the ending .svg, .png or .webp"
            ));
        };
        let content = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        if content.len() > SIZE_MAX {
            let size = content.len();
            return Err(format!(
                "{shown}: the file has {size} bytes; at most {SIZE_MAX}"
            ));
        }
        let is_svg = *media_type == "image/svg+xml";
        if is_svg && !contains(&content, b"<svg") || !content.starts_with(start) {
            return Err(format!("{shown}: the content is no {media_type}"));
        }
        Ok(Self {
            media_type,
            content: content.into(),
            is_built_in: false,
        })
    }
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
