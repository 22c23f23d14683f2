//! `demo`: a complete server in a folder, on loopback only, with example members and applications.

mod seed;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Error, output, serve};
use crate::config::Config;
use crate::context::{Context, Environment};
use crate::telemetry;
use seed::{PEOPLE, Seeded};

/// Run a demo: a server on this computer only, with three members and two applications.
///
/// The first run creates the members odin (administrator), frigg (may authorize applications) and loki
/// (may not) and prints the passwords, once. Later runs use the same data. `DATABASE_URL`,
/// `LISTEN_ADDR` and the public addresses of the environment are ignored.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// The folder of the demo's data: the SQLite file and the signing key.
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    dir: PathBuf,
    /// Address and port; must be loopback, for example 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000", value_parser = loopback)]
    listen: SocketAddr,
    /// Set and print new passwords for the three members.
    #[arg(long)]
    reset_passwords: bool,
}

/// Parses a loopback address: the demo prints passwords on the screen.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: Result<SocketAddr, _> = text.replace("localhost:", "127.0.0.1:").parse();
    match address {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("the demo only listens on this computer; use 127.0.0.1:PORT".to_owned()),
        Err(_) => Err("use ADDRESS:PORT, as in 127.0.0.1:8000".to_owned()),
    }
}

impl Demo {
    /// Creates missing data and serves.
    pub(super) async fn run(self, env_file: Option<&Path>) -> Result<ExitCode, Error> {
        let listener = serve::listen("--listen", self.listen).await?;
        // The chosen port, if port 0 was requested.
        let address = listener.local_addr().unwrap_or(self.listen);
        let config = Config::for_demo(env_file, &self.dir, address).map_err(Error::Settings)?;
        telemetry::start(&config);
        let _lock = serve::lock(&config)?;
        let context = Context::new(config, Environment::machine()).await?;
        serve::migrate(&context).await?;
        context.load_keys().await?;
        let seeded = seed::seed(&context, self.reset_passwords).await?;
        output::print(&self.welcome(&context, &seeded))?;
        serve::serve(Arc::new(context), listener).await
    }

    /// Builds the welcome text: present data and next steps.
    fn welcome(&self, context: &Context, seeded: &Seeded) -> String {
        let (url, program) = (context.config.issuer(), output::program());
        let (login, device) = (
            context.config.login_page(),
            context.config.device_consent_page(),
        );
        let mut parts = vec![format!(
            "The demo of storyden-auth, with its data in {}",
            self.dir.display()
        )];
        let rows = PEOPLE.iter().map(|person| {
            let made = seeded
                .passwords
                .iter()
                .find(|(handle, _)| *handle == person.handle);
            let password = made.map_or("(was shown before)", |(_, password)| password.reveal());
            [
                person.handle.to_owned(),
                password.to_owned(),
                person.may.to_owned(),
            ]
        });
        parts.push(output::table(["HANDLE", "PASSWORD", "MAY"], rows));
        parts.push(if seeded.passwords.len() == PEOPLE.len() {
            "The passwords are shown this once.".to_owned()
        } else {
            format!(
                "For new passwords: {program} demo --reset-passwords\n{}",
                self.command_line(&program)
            )
        });
        let public = [
            "demo-public".to_owned(),
            "public".to_owned(),
            "none".to_owned(),
        ];
        let secret = seeded.client_secret.as_ref();
        let secret = secret
            .map_or("(was shown before)", |secret| secret.reveal())
            .to_owned();
        let confidential = [
            "demo-confidential".to_owned(),
            "confidential".to_owned(),
            secret,
        ];
        parts.push(output::table(
            ["CLIENT ID", "TYPE", "CLIENT SECRET"],
            [public, confidential],
        ));
        parts.push(format!(
            "sign in   {login}\ndevices   {device}\nissuer    {url}\n\
             metadata  {url}/.well-known/openid-configuration"
        ));
        parts.push(format!(
            "Two things to try next:\n\n\
             1. Open {login} and sign in as odin.\n\
             2. In a second terminal:  {program} login --server {url}"
        ));
        parts.push("Ctrl-C stops it.".to_owned());
        parts.join("\n\n") + "\n"
    }

    /// Builds the command line that runs other commands on the demo's data.
    fn command_line(&self, program: &str) -> String {
        let file = self.dir.join("storyden-auth.db");
        format!(
            "One by one:        DATABASE_URL=sqlite://{} {program} account password odin --generate-password",
            file.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_listens_on_this_computer_alone() {
        assert!(loopback("127.0.0.1:8000").is_ok() && loopback("localhost:1").is_ok());
        assert!(loopback("[::1]:8000").is_ok());
        assert!(loopback("0.0.0.0:8000").is_err() && loopback("8000").is_err());
    }
}
