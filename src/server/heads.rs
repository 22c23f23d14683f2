//! The beginning and the end of each request in the bytes of a connection.
//!
//! hyper takes a bare line feed in a head for the end of a line, as RFC 9112 §2.2 permits; a proxy in
//! front may not, and then the two see different headers (request smuggling, A-71). So a bare line feed
//! is refused, in every request of a connection. That needs to know where each head begins. No second
//! parser decides that: the parser gets the bytes up to the end of one head, says how long the body
//! is, and gets the rest after that. The end of a body in chunks is known to the parser alone, so such a
//! request is the last of its connection.

use super::places::BodyLength;

/// The part of a request that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The head.
    Head,
    /// Unknown: the head is complete, and the parser has not said how long the body is.
    Unknown,
    /// The body, of which so many bytes are left.
    Body(u64),
    /// A body in chunks, and nothing after it.
    Last,
    /// A head with a bare line feed, and nothing after it.
    Refused,
}

/// The position in the bytes of a connection.
#[derive(Debug)]
pub(super) struct Heads {
    part: Part,
    last: u8,
    begun: bool,
    line_is_empty: bool,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            part: Part::Head,
            last: 0,
            begun: false,
            line_is_empty: false,
        }
    }
}

impl Heads {
    /// True in a head, and before one.
    pub(super) fn in_head(&self) -> bool {
        self.part == Part::Head
    }

    /// True between a head and [`Heads::set_body`].
    pub(super) fn needs_body(&self) -> bool {
        self.part == Part::Unknown
    }

    /// True after a bare line feed in a head.
    pub(super) fn is_refused(&self) -> bool {
        self.part == Part::Refused
    }

    /// Goes on with the body of the request whose head is complete.
    pub(super) fn set_body(&mut self, length: BodyLength) {
        match length {
            BodyLength::Known(0) => *self = Self::default(),
            BodyLength::Known(left) => self.part = Part::Body(left),
            BodyLength::Chunked => self.part = Part::Last,
        }
    }

    /// Goes through the next bytes, and returns how many of them the parser may have now. In a head,
    /// a line feed without a carriage return before it becomes a zero, which the parser refuses with 400,
    /// and ends the head.
    pub(super) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        match self.part {
            Part::Head => self.pass_head(bytes),
            Part::Unknown => 0,
            Part::Body(left) => {
                let passed =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.set_body(BodyLength::Known(left - passed as u64));
                passed
            }
            Part::Last | Part::Refused => bytes.len(),
        }
    }

    fn pass_head(&mut self, bytes: &mut [u8]) -> usize {
        for (at, byte) in bytes.iter_mut().enumerate() {
            let last = std::mem::replace(&mut self.last, *byte);
            match *byte {
                b'\n' if last != b'\r' => {
                    *byte = 0;
                    self.part = Part::Refused;
                    return at + 1;
                }
                b'\n' if self.begun && self.line_is_empty => {
                    self.part = Part::Unknown;
                    return at + 1;
                }
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => (self.begun, self.line_is_empty) = (true, false),
            }
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pieces of any size come to the same, and end where the head and the body end.
    #[test]
    fn a_request_ends_where_it_ends_however_it_arrives() {
        let head = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n";
        let stream = [&head[..], b"\n\n\n", &head[..], b"rest"].concat();
        for size in 1..=stream.len() {
            let (mut heads, mut ends, mut at) = (Heads::default(), Vec::new(), 0);
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

    /// a line feed is spoilt in a head and nowhere else.
    #[test]
    fn a_bare_line_feed_is_spoilt_in_a_head_alone() {
        let mut heads = Heads::default();
        let mut bytes = b"GET / HTTP/1.1\nX: y\r\n\r\n".to_vec();
        assert_eq!(heads.pass(&mut bytes), 15);
        assert_eq!(bytes, b"GET / HTTP/1.1\0X: y\r\n\r\n");
        assert!(heads.is_refused());
        let mut heads = Heads::default();
        let mut bytes = b"GET / HTTP/1.1\r\n\r\n\n\n\nX".to_vec();
        assert_eq!(heads.pass(&mut bytes), 18);
        heads.set_body(BodyLength::Known(2));
        let mut bytes = b"\n\n\nX".to_vec();
        assert_eq!(heads.pass(&mut bytes), 2);
        assert_eq!(bytes, b"\n\n\nX");
        assert_eq!(heads.pass(&mut bytes[2..]), 1);
        assert_eq!(bytes, b"\n\n\0X");
        let mut heads = Heads::default();
        heads.set_body(BodyLength::Chunked);
        let mut bytes = b"0\n\n".to_vec();
        assert_eq!((heads.pass(&mut bytes), &bytes[..]), (3, &b"0\n\n"[..]));
    }
}
