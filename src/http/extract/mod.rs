//! Request input: parameters, bodies, client credentials, client addresses.
//!
//! A single decoder reads all queries and forms. Parameter names are compared after decoding, an empty
//! value counts as absent (RFC 6749 §3.1), a repeated known parameter is rejected, and all sizes are
//! limited (A-62…A-66).

mod address;
mod body;
mod credentials;
mod form;
mod media_type;
mod origin;
mod parameters;
mod path;

pub use address::ClientAddress;
pub use body::{JsonBody, read_json};
pub use credentials::{credentials, named_client, refuse_two_methods};
pub use form::{is_form, read_form, read_form_as_sent, read_form_of};
pub use origin::printable;
pub use parameters::{Decoded, TOKEN_PARAMETERS, decode, decode_leniently, decode_query, limit_of};
pub use path::{PathId, PathName, PathNames};
