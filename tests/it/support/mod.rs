//! Test support: servers, accounts, clients and responses.

mod admin;
mod answer;
mod browser;
mod client;
mod client_key;
mod cookie_jar;
mod database;
mod device;
pub(crate) mod dpop;
pub(crate) mod fapi;
pub(crate) mod forgery;
mod in_progress_flows;
mod issued;
pub(crate) mod journal;
mod large_tables;
mod member;
mod pending_browser;
mod postgres;
mod process;
mod pushed_requests;
pub(crate) mod race;
pub(crate) mod registration;
pub(crate) mod relying_party;
mod server;
pub(crate) mod simulated_internet;
mod soak;
pub(crate) mod statements;
mod storyden;

pub(crate) use answer::{Answer, consent_page, refused, told};
pub(crate) use client::{CHALLENGE, Client, NewClient, VERIFIER, challenge_of};
pub(crate) use client_key::{ClientKey, ISSUER};
pub(crate) use database::Engine;
pub(crate) use in_progress_flows::{InProgressFlows, pair};
pub(crate) use issued::{Issued, assert_live, assert_revoked};

pub(crate) use cookie_jar::CookieJar;
pub(crate) use large_tables::{GROWING, Tokens};
pub(crate) use member::{Member, PASSWORD};
pub(crate) use pending_browser::{
    BrowserRequest, assert_redirect_to_consent, assert_redirect_to_login, redirected_errors, stored,
};
pub(crate) use postgres::PostgresCluster;
pub(crate) use process::{Process, free_port};
pub(crate) use server::{Server, Setup, run};
pub(crate) use storyden::Storyden;

/// Defines each test for both engines, as `sqlite::name` and `postgres::name`.
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident($setup:ident: Setup) $body:block)*) => {
        $($(#[$meta])* async fn $name($setup: crate::support::Setup) $body)*

        mod sqlite {
            $(#[test]
            fn $name() {
                crate::support::run(crate::support::Engine::Sqlite, |setup| Box::pin(super::$name(setup)));
            })*
        }

        mod postgres {
            $(#[test]
            fn $name() {
                crate::support::run(crate::support::Engine::Postgres, |setup| Box::pin(super::$name(setup)));
            })*
        }
    };
}

pub(crate) use both;
