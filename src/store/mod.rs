//! Database access: the only module with SQL. Each file covers a noun and keeps row types next to the
//! queries. [`db`] opens and queries the two engines, SQLite and PostgreSQL.
//!
//! Tables without a prefix belong to Storyden and keep Storyden's definition; `auth_*` tables belong to
//! this server.

pub mod access_keys;
pub mod account_passwords;
pub mod accounts;
pub mod administrators;
pub mod applications;
pub mod apply_revocations;
mod approver;
pub mod assertions;
pub mod audit;
pub mod audit_list;
pub mod authorization_codes;
pub mod authorization_requests;
pub mod blocked_clients;
pub mod cleanup;
pub mod client_changes;
pub mod client_deletion;
pub mod client_details;
pub mod client_documents;
pub mod client_keys;
pub mod client_list;
pub mod clients;
pub mod closing;
pub mod consents;
pub mod copy;
pub mod db;
mod delete_by_id;
pub mod device_authorizations;
pub mod device_failures;
pub mod device_list;
pub mod dpop_proofs;
mod error;
pub mod forged_access;
pub mod index_creation;
pub mod indexes;
pub mod inspect;
pub mod leases;
pub mod lock;
pub mod members;
pub mod migrate;
pub mod new_accounts;
mod open_revocations;
pub mod origins;
pub mod own_grants;
pub mod paging;
pub mod profiles;
pub mod pushed_requests;
pub mod refresh_token_family;
pub mod refresh_token_list;
pub mod refresh_tokens;
pub mod remote;
pub mod remote_flows;
pub mod remote_tokens;
pub mod resources;
pub mod revocation;
mod revocation_kinds;
pub mod revoked_tokens;
pub mod roles;
pub mod row;
pub mod schema;
pub mod sessions;
pub mod shared_keys;
pub mod shown_consents;
pub mod signing_keys;
mod sql;
pub mod userinfo_terms;
pub mod value;
pub mod webhook_deliveries;

pub use db::{Db, Tx};
pub use error::{Error, Result};
pub use sql::Sql;
