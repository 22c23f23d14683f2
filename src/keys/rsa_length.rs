//! The length of an RSA key that the library rejects without saying the length.

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;

/// Returns the bits of the modulus of a private key in PKCS#1 (RFC 8017 §A.1.2) or PKCS#8 (RFC 5208 §5); `None` if
/// the DER is malformed or the key is no RSA key.
pub(super) fn rsa_bits(der: &[u8]) -> Option<usize> {
    let (_, key, _) = element(der)?;
    let (_, _version, rest) = element(key)?;
    let (tag, modulus, rest) = element(rest)?;
    if tag == INTEGER {
        return bits(modulus);
    }
    // PKCS#8: the element is the algorithm, and the next element has the key in PKCS#1.
    let (tag, inner, _) = element(rest)?;
    let (_, key, _) = element(inner).filter(|_| tag == OCTET_STRING)?;
    let (_, _version, rest) = element(key)?;
    let (tag, modulus, _) = element(rest)?;
    bits(modulus).filter(|_| tag == INTEGER)
}

fn bits(number: &[u8]) -> Option<usize> {
    let start = number.iter().position(|byte| *byte != 0)?;
    let number = number.get(start..)?;
    let unused = number.first()?.leading_zeros();
    Some(number.len() * 8 - usize::try_from(unused).ok()?)
}

/// Splits an element off: tag, content, and the bytes behind.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short if short < 0x80 => (short, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            if digits.len() > 4 {
                return None;
            }
            let length = digits
                .iter()
                .fold(0, |length, digit| (length << 8) | usize::from(*digit));
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_keys_have_no_length() {
        for der in [
            &b""[..],
            b"\x30",
            b"\x30\x82",
            b"\x30\x03\x02\x01\x00",
            b"\x30\x85\x01\x01\x01\x01\x01",
        ] {
            assert_eq!(rsa_bits(der), None, "{der:?}");
        }
        let key = b"\x30\x06\x02\x01\x00\x02\x01\x05"; // version 0, modulus 5
        assert_eq!(rsa_bits(key), Some(3));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(der in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = rsa_bits(&der);
        }
    }
}
