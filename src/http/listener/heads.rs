//! Framing: the start and end of each request in the bytes of a connection.
//!
//! hyper accepts a bare LF as a line terminator in a request head (RFC 9112 §2.2). A proxy in front may
//! not, and the two would see different headers (request smuggling, A-71). So a bare LF is rejected, in
//! every request of a connection.
//!
//! Finding the heads needs no second parser: hyper gets the bytes up to the end of a head, reports the
//! length of the body, and then gets the rest. The end of a chunked body is known to hyper only, so
//! such a request is the last of a connection.

use crate::rate_limit::connections::BodyLength;

/// The part of a request that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The request head.
    Head,
    /// The head is complete, and hyper has not reported the body length yet.
    AwaitingLength,
    /// The body, with the number of remaining bytes.
    Body(u64),
    /// A chunked body; the last request of the connection.
    ChunkedBody,
    /// A head with a bare LF; the connection ends.
    Refused,
}

/// The position in the byte stream of a connection.
#[derive(Debug)]
pub(super) struct RequestFraming {
    part: Part,
    last: u8,
    has_started: bool,
    line_is_empty: bool,
}

impl Default for RequestFraming {
    fn default() -> Self {
        Self {
            part: Part::Head,
            last: 0,
            has_started: false,
            line_is_empty: false,
        }
    }
}

impl RequestFraming {
    /// True in a head, and before the first byte of a head.
    pub(super) fn in_head(&self) -> bool {
        self.part == Part::Head
    }

    /// True from the end of a head until [`RequestFraming::set_body`].
    pub(super) fn needs_body(&self) -> bool {
        self.part == Part::AwaitingLength
    }

    /// True after a bare LF in a head.
    pub(super) fn is_refused(&self) -> bool {
        self.part == Part::Refused
    }

    /// Continues with the body of the request.
    pub(super) fn set_body(&mut self, length: BodyLength) {
        match length {
            BodyLength::Known(0) => *self = Self::default(),
            BodyLength::Known(left) => self.part = Part::Body(left),
            BodyLength::Chunked => self.part = Part::ChunkedBody,
        }
    }

    /// Processes the next bytes, and returns the number of bytes that hyper may read now. A bare LF in
    /// a head is replaced by NUL, which makes hyper reject the request with 400.
    pub(super) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        match self.part {
            Part::Head => self.advance_head(bytes),
            Part::AwaitingLength => 0,
            Part::Body(left) => {
                let passed =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.set_body(BodyLength::Known(left - passed as u64));
                passed
            }
            Part::ChunkedBody | Part::Refused => bytes.len(),
        }
    }

    fn advance_head(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = &rest[..end.unwrap_or(rest.len())];
            if line.iter().any(|byte| *byte != b'\r') {
                (self.has_started, self.line_is_empty) = (true, false);
            }
            self.last = line.last().copied().unwrap_or(self.last);
            at += line.len();
            if end.is_none() {
                break;
            }
            let last = std::mem::replace(&mut self.last, b'\n');
            if last != b'\r' {
                bytes[at] = 0;
                self.part = Part::Refused;
                return at + 1;
            }
            if self.has_started && self.line_is_empty {
                self.part = Part::AwaitingLength;
                return at + 1;
            }
            self.line_is_empty = true;
            at += 1;
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// framing does not depend on the size of the reads.
    #[test]
    fn framing_is_independent_of_read_size() {
        let head = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n";
        let stream = [&head[..], b"\n\n\n", &head[..], b"rest"].concat();
        for size in 1..=stream.len() {
            let (mut heads, mut ends, mut at) = (RequestFraming::default(), Vec::new(), 0);
            while at < stream.len() && ends.len() < 2 {
                let mut piece = stream[at..stream.len().min(at + size)].to_vec();
                at += heads.pass(&mut piece);
                if heads.needs_body() {
                    ends.push(at);
                    heads.set_body(BodyLength::Known(3));
                }
            }
            assert_eq!(ends, [head.len(), 2 * head.len() + 3], "{size}");
        }
    }

    /// a bare LF is replaced in heads only.
    #[test]
    fn bare_lf_is_rejected_in_heads_only() {
        let mut heads = RequestFraming::default();
        let mut bytes = b"GET / HTTP/1.1\nX: y\r\n\r\n".to_vec();
        assert_eq!(heads.pass(&mut bytes), 15);
        assert_eq!(bytes, b"GET / HTTP/1.1\0X: y\r\n\r\n");
        assert!(heads.is_refused());
        let mut heads = RequestFraming::default();
        let mut bytes = b"GET / HTTP/1.1\r\n\r\n\n\n\nX".to_vec();
        assert_eq!(heads.pass(&mut bytes), 18);
        heads.set_body(BodyLength::Known(2));
        let mut bytes = b"\n\n\nX".to_vec();
        assert_eq!(heads.pass(&mut bytes), 2);
        assert_eq!(bytes, b"\n\n\nX");
        assert_eq!(heads.pass(&mut bytes[2..]), 1);
        assert_eq!(bytes, b"\n\n\0X");
        let mut heads = RequestFraming::default();
        heads.set_body(BodyLength::Chunked);
        let mut bytes = b"0\n\n".to_vec();
        assert_eq!((heads.pass(&mut bytes), &bytes[..]), (3, &b"0\n\n"[..]));
    }
}
