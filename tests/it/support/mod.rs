//! Test support: servers, accounts, clients and responses.

mod admin;
mod answer;
mod begun;
mod browser;
mod client;
mod database;
mod detour;
mod device;
pub(crate) mod forgery;
mod growth;
mod jar;
pub(crate) mod journal;
mod member;
pub(crate) mod outside;
mod postgres;
mod process;
pub(crate) mod race;
pub(crate) mod relying_party;
mod rounds;
mod server;
mod storyden;

pub(crate) use answer::{Answer, refused, told};
pub(crate) use begun::{Begun, pair};
pub(crate) use client::{CHALLENGE, Client, NewClient, VERIFIER, challenge_of};
pub(crate) use database::Engine;

pub(crate) use detour::{Detour, stored, to_consent, to_login};
pub(crate) use growth::Tokens;
pub(crate) use jar::Jar;
pub(crate) use member::{Member, PASSWORD};
pub(crate) use postgres::OwnPostgres;
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
