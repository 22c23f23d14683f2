//! Logos of clients (OpenID Connect Registration §2: `logo_uri`), fetched behind the SSRF guard and shown from
//! this server: the host of a logo learns nothing about the member (`req_141`).
//!
//! Only a signed-in member triggers a fetch, and the fetch runs in a task of its own: the page does not wait,
//! and a member who leaves cancels nothing. An image is accepted by its first bytes, not by its media type:
//! PNG, JPEG, WebP and GIF. SVG is a document with scripts and is not accepted.

use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::documents::Requester;
use crate::context::SharedContext;
use crate::egress::{Question, Sent, StatusCode};
use crate::logo_cache::{CachedLogo, Logo};
use crate::rate_limit::{LOGOS_ACCOUNT, LOGOS_ADDRESS, RetryAfter, networks};

/// Maximum size of a logo, in bytes.
const MAX: usize = 256 * 1_024;

/// Returns the logo at a URL; `None` if there is no usable image. An image that is older than a day is
/// returned once more while it is fetched again.
///
/// # Errors
/// Over the limit of fetches, if there is no image to return.
pub async fn find(
    context: &SharedContext,
    url: &Url,
    requester: Requester<'_>,
) -> Result<Option<Logo>, RetryAfter> {
    let cached = context.logos.get(url.as_str());
    if let Some(cached) = &cached
        && cached.is_fresh(context.clock.now())
    {
        return Ok(cached.logo.clone());
    }
    let stale = cached.and_then(|cached| cached.logo);
    if let Err(wait) = spend(context, requester) {
        return stale.map(Some).ok_or(wait);
    }
    let task = tokio::spawn(fetch_once(Arc::clone(context), url.clone()));
    match stale {
        Some(logo) => Ok(Some(logo)),
        None => Ok(task.await.ok().flatten()),
    }
}

fn spend(context: &SharedContext, requester: Requester<'_>) -> Result<(), RetryAfter> {
    let mut limits = networks(LOGOS_ADDRESS, requester.address);
    let account = requester.account.map(ToString::to_string);
    limits.extend(account.map(|account| (LOGOS_ACCOUNT, account)));
    context.limits.spend(&limits)
}

/// Runs the fetch, or joins the fetch in progress.
async fn fetch_once(context: SharedContext, url: Url) -> Option<Logo> {
    let fetch = Box::pin(async {
        // Another fetch may have ended after the caller read the cache.
        let cached = context.logos.get(url.as_str());
        if let Some(cached) = cached.filter(|cached| cached.is_fresh(context.clock.now())) {
            return cached.logo;
        }
        let logo = fetch(&context, &url).await;
        let cached = CachedLogo {
            logo: logo.clone(),
            fetched_at: context.clock.now(),
        };
        context.logos.insert(url.as_str(), cached);
        logo
    });
    context.logos.fetches.run(url.as_str(), fetch).await
}

async fn fetch(context: &SharedContext, url: &Url) -> Option<Logo> {
    let question = Question {
        url,
        max: MAX,
        deadline: context.timeouts.fetch,
    };
    let reply = context.documents_fetch.ask(question, Sent::ForImage).await;
    let refused = |why: &dyn std::fmt::Display| {
        tracing::info!(url = %url, why = %why, "logo of a client cannot be shown");
        None
    };
    match reply {
        Err(error) => refused(&error),
        Ok(reply) if reply.status != StatusCode::OK => refused(&reply.status),
        Ok(reply) => match media_type(&reply.body) {
            None => refused(&"the body is not a PNG, JPEG, WebP or GIF image"),
            Some(media_type) => Some(Logo {
                media_type,
                image: Bytes::from(reply.body),
            }),
        },
    }
}

/// The media type of an image, by its first bytes (WHATWG MIME Sniffing §6.1).
fn media_type(image: &[u8]) -> Option<&'static str> {
    match image {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            b'V',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn only_four_kinds_of_images_are_recognized() {
        for (image, expected) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", None),
            (b"<!doctype html><script>", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(media_type(image), expected, "{image:?}");
        }
    }
}
