//! JSON for administrators (contract 15).
