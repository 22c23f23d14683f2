//! User codes of the device flow (RFC 8628 §6.1): eight symbols, shown `XXXX-XXXX`.

use crate::random::Random;
use crate::secret::{Secret, SecretHash};

/// Crockford's base 32: digits and letters without I, L, O and U. 40 bits in eight symbols.
const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The longest input, in bytes; checked before any other work.
const INPUT_MAX: usize = 32;

/// A user code in its canonical form: eight symbols of the alphabet.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// A fresh code.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.symbols(ALPHABET, 8))
    }

    /// Parses a typed code: ignores case, hyphens and outer white space; O is 0, I and L are 1 (RFC
    /// 8628 §6.1; storyden-contract.md#device-consent). `None` if the text cannot be a code.
    #[must_use]
    pub fn parse(input: &str) -> Option<Self> {
        if input.len() > INPUT_MAX {
            return None;
        }
        let symbols: String = input
            .trim()
            .chars()
            .filter(|symbol| *symbol != '-')
            .map(|symbol| match symbol.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                symbol => symbol,
            })
            .collect();
        let fits = symbols.len() == 8 && symbols.bytes().all(|symbol| ALPHABET.contains(&symbol));
        fits.then_some(Self(symbols))
    }

    /// The form for people: `XXXX-XXXX`.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}-{}", &self.0[..4], &self.0[4..])
    }

    /// The stored form: the hash of the eight symbols.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        Secret::new(self.0.as_str()).hash()
    }
}

impl std::fmt::Debug for UserCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// T18, req_091: a code is found in every spelling.
        #[test]
        fn a_code_reads_back_however_it_is_typed(seed: u64, cut in 0..8_usize, pad in 0..4_usize) {
            let code = UserCode::generate(&Random::seeded(seed));
            let symbols = code.display().replace('-', "");
            let typed = format!("{}{}-{}", " ".repeat(pad), &symbols[..cut], &symbols[cut..]);
            prop_assert_eq!(UserCode::parse(&typed.to_lowercase()), Some(code.clone()));
            let look_alike = symbols.replace('0', "o").replace('1', "l");
            prop_assert_eq!(UserCode::parse(&look_alike), Some(code));
        }

        /// T18, A-36: any other input is rejected or has a canonical form.
        #[test]
        fn any_input_is_a_code_or_is_refused(input in ".{0,40}") {
            if let Some(code) = UserCode::parse(&input) {
                prop_assert_eq!(UserCode::parse(&code.display()), Some(code));
            }
        }
    }

    /// every kind of invalid input.
    #[test]
    fn what_is_no_code_is_refused() {
        for input in [
            "",
            "ABCD-EFG",
            "ABCD-EFGHJ",
            "ABCD-EFGU",
            "ABCD_EFGH",
            "ＡBCD-EFGH",
            "AB CD-EFGH",
        ] {
            assert_eq!(UserCode::parse(input), None, "{input:?}");
        }
        assert_eq!(
            UserCode::parse(&format!("{}ABCD-EFGH", " ".repeat(25))),
            None,
            "33 bytes and more"
        );
    }
}
