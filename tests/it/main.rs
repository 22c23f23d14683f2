//! Black-box tests over HTTP, against the real server with a real database, on both engines.
//!
//! A test is written once, in `both!`, and runs on SQLite and on PostgreSQL. The clock is fixed until a
//! test advances the time. The doc comment of a test names the requirement ids that the test covers.

#![expect(clippy::unwrap_used, reason = "a missing value fails the test")]
#![expect(
    clippy::doc_markdown,
    reason = "requirement ids in prose have the form that tests/requirements reads"
)]

mod support;

mod access_key_grants;
mod access_token;
mod accounts_of_browser;
mod admin_access;
mod admin_access_keys;
mod admin_clients;
mod admin_lists;
mod admin_members;
mod admin_revocation;
mod api_document;
mod audit;
mod audit_export;
mod authorization_code;
mod authorize;
mod authorize_by_form;
mod backup;
mod bad_input;
mod beside_storyden;
mod blocked_clients;
mod chains;
mod claims_request;
mod cleanup;
mod client_address;
mod client_algorithms;
mod client_assertions;
mod client_authentication;
mod client_credentials;
mod client_documents;
mod client_logo;
mod client_names;
mod client_reports;
mod client_reports_openid;
mod client_reports_registration;
mod client_reports_tokens;
mod database_outage;
mod request_rate_limit;
mod secret_leaks;
// Only Linux has more than one IPv4 loopback address.
mod architecture;
#[cfg(target_os = "linux")]
mod connection_limits;
mod connections;
mod consent;
mod consent_facts;
mod content_types;
mod cookies;
mod crash;
mod database_locked;
mod declared;
mod device_authorization;
mod device_code;
mod device_consent;
mod device_cookie;
#[cfg(target_os = "linux")]
mod disk_full;
mod doctor;
mod documents;
mod dpop_clients;
mod dpop_proofs;
mod dpop_replay;
mod dpop_tokens;
mod drain;
mod error_texts;
mod error_uri;
mod failure_limits;
mod fapi;
mod fapi_clients;
mod fetch_guard;
mod final_slashes;
mod form_post;
mod growth;
mod headers;
mod indexes;
mod integrations;
mod introspection;
mod key_commands;
mod key_interruptions;
mod key_rotations;
mod large_revocations;
mod left_out_scopes;
mod login_detour;
mod logout;
mod member_access_keys;
mod member_clients;
mod member_grants;
mod member_secrets;
mod member_sign_up;
mod metadata;
mod metrics;
mod oauth2_client;
mod openapi;
mod openid_client;
mod openid_hints;
mod openid_prompt;
mod openid_tokens;
mod operator_resource_grants;
mod operator_resources;
mod operators_kit;
mod pages;
mod password_forms;
mod permission_at_use;
mod pkce_exemption;
mod pkce_exemption_setting;
mod process;
mod profile_storyden;
mod protected_resource;
mod pushed_request_keys;
mod pushed_request_rules;
mod pushed_requests;
mod query_plans;
mod races;
mod refresh_token;
mod refresh_token_family;
mod refusals;
mod registration;
mod registration_faults;
mod registration_management;
mod remembered_consent;
mod remembered_consent_attacks;
mod remembered_consent_ends;
mod remote_connections;
mod remote_discovery;
mod remote_guard;
mod remote_loopback;
mod remote_registrations;
mod remote_scopes;
mod remote_tokens;
mod request_object_attacks;
mod request_objects;
mod resource_changes;
mod resources;
mod revocation;
mod scopes;
mod shown_consent;
mod sign_in;
mod sign_in_method;
mod signing_keys;
mod signing_queue;
mod state_changes;
mod stored_values;
mod storyden_cli;
mod storyden_sqlite_file;
mod token_request;
mod userinfo;
mod webhook;
