//! Variables of this process and of an `--env-file`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use url::Url;

use super::{Config, Fault};

impl Config {
    /// Reads and checks the settings of this process; the environment wins over the file.
    ///
    /// # Errors
    /// As [`Config::from_lookup`], and when the file cannot be read.
    pub fn from_environment(env_file: Option<&Path>) -> Result<Self, Vec<Fault>> {
        Self::from_lookup(&environment(env_file)?)
    }

    /// Returns the settings of `demo`: log format, lifetimes and limits come from the environment;
    /// addresses, data folder and names do not.
    ///
    /// # Errors
    /// As [`Config::from_environment`].
    pub fn for_demo(
        env_file: Option<&Path>,
        folder: &Path,
        listen_addr: SocketAddr,
    ) -> Result<Self, Vec<Fault>> {
        let ours = [
            ("LISTEN_ADDR", listen_addr.to_string()),
            (
                "PUBLIC_API_ADDRESS",
                format!("http://localhost:{}", listen_addr.port()),
            ),
            ("DATA_DIR", folder.display().to_string()),
        ];
        let environment = environment(env_file)?;
        Self::from_lookup(&|name| {
            let from_outside = matches!(name, "LOG_LEVEL" | "LOG_FORMAT" | "RATE_LIMIT")
                || name.ends_with("_TTL")
                || matches!(
                    name,
                    "OAUTH_DEVICE_POLL_EVERY" | "OAUTH_REFRESH_TOKEN_REUSE_WINDOW"
                );
            let ours = ours.iter().find(|(ours, _)| *ours == name);
            match ours {
                Some((_, value)) => Some(value.clone()),
                None if from_outside => environment(name),
                None => None,
            }
        })
    }
}

/// Reads variables of this process; the environment wins over the file.
fn environment(
    env_file: Option<&Path>,
) -> Result<impl Fn(&str) -> Option<String> + use<>, Vec<Fault>> {
    let file = match env_file {
        Some(path) => read_env_file(path)?,
        None => HashMap::new(),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the environment"
    )]
    Ok(move |name: &str| std::env::var(name).ok().or_else(|| file.get(name).cloned()))
}

fn read_env_file(path: &Path) -> Result<HashMap<String, String>, Vec<Fault>> {
    let fault = |problem: String| {
        vec![Fault {
            variable: "--env-file",
            problem: format!("{}: {problem}", path.display()),
        }]
    };
    let lines = dotenvy::from_path_iter(path).map_err(|error| fault(error.to_string()))?;
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))
}

/// Returns the variables with a secret, of this server or of a Storyden, in a file, in order; empty if
/// the file cannot be read.
#[must_use]
pub fn secrets_in(path: &Path) -> Vec<String> {
    let is_secret = |(name, value): &(&String, &String)| {
        let has_password = || Url::parse(value).is_ok_and(|url| url.password().is_some());
        let ends = [
            "_KEY",
            "_KEYS",
            "_KEY_BASE64",
            "_SECRET",
            "_PASSWORD",
            "_TOKEN",
        ];
        let is_named_so = ends.iter().any(|end| name.ends_with(end));
        !value.is_empty() && (is_named_so || name.ends_with("_URL") && has_password())
    };
    let variables = read_env_file(path).unwrap_or_default();
    let mut names: Vec<String> = variables
        .iter()
        .filter(is_secret)
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}
