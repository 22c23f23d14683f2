//! Variables of this process and of an `--env-file`.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;

use url::Url;

use super::{Config, Fault, env_file};

/// Length of a name from which two letters may differ.
const SHORT_NAME: usize = 10;

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
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let variables = env_file::parse(&text).map_err(|error| fault(error.to_string()))?;
    Ok(variables.into_iter().collect())
}

/// Returns a variable of this process that is no setting, such as a secret that a file refers to.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the environment"
    )]
    std::env::var(name).ok()
}

/// Names that operators use for a setting, and that no spelling error explains.
const SYNONYMS: [(&str, &str); 8] = [
    ("DB_URL", "DATABASE_URL"),
    ("LISTEN_ADDRESS", "LISTEN_ADDR"),
    ("OAUTH_SECRET", "OAUTH_KEYS_SECRET"),
    ("PUBLIC_ADDRESS", "PUBLIC_API_ADDRESS"),
    ("PUBLIC_URL", "PUBLIC_API_ADDRESS"),
    ("ISSUER", "PUBLIC_API_ADDRESS"),
    ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
    ("METRICS_ADDRESS", "METRICS_ADDR"),
];

/// The first parts of names that a Storyden reads, and this server does not.
const STORYDENS: [&str; 34] = [
    "AMQP_",
    "ANTHROPIC_",
    "ASKER_",
    "ASSET_",
    "BLEVE_",
    "CACHE_",
    "CHROMEM_",
    "DEV_",
    "EMAIL_",
    "FRONTEND_",
    "GOOGLE_",
    "JWT_SECRET",
    "LANGUAGE_MODEL_",
    "MCP_",
    "OAUTH_DISCORD_",
    "OAUTH_GITHUB_",
    "OAUTH_GOOGLE_",
    "OAUTH_KEYCLOAK_",
    "OPENAI_",
    "OTEL_",
    "PERPLEXITY_",
    "PINECONE_",
    "PLUGIN_",
    "PROXY_FRONTEND_",
    "QUEUE_",
    "REDIS_",
    "RUN_FRONTEND",
    "S3_",
    "SEARCH_",
    "SEMDEX_",
    "SENDGRID_",
    "SMTP_",
    "SMS_",
    "WEAVIATE_",
];

/// A variable without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// The name.
    pub name: String,
    /// The setting that is probably meant.
    pub setting: Option<&'static str>,
}

/// Returns the variables of this process that are nearly the name of a setting, and every variable of an `--env-file`
/// that neither this server nor a Storyden reads, in order.
#[must_use]
pub fn unknown_variables(env_file: Option<&Path>) -> Vec<UnknownVariable> {
    let file = env_file.and_then(|path| read_env_file(path).ok());
    let file: BTreeSet<String> = file.unwrap_or_default().into_keys().collect();
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the environment"
    )]
    let own = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let names: BTreeSet<String> = own.chain(file.iter().cloned()).collect();
    let unknown = names.into_iter().filter_map(|name| {
        let setting = nearest_setting(&name);
        let is_unknown = setting.is_some() || file.contains(&name) && is_of_no_server(&name);
        is_unknown.then_some(UnknownVariable { name, setting })
    });
    unknown.collect()
}

/// True if neither this server nor a Storyden reads the variable.
fn is_of_no_server(name: &str) -> bool {
    let is_setting = Config::VARIABLES.iter().any(|setting| setting.name == name);
    !is_setting && !STORYDENS.iter().any(|start| name.starts_with(start))
}

/// Returns the setting that a variable is nearly named after: at most two letters differ, or one in a short name.
fn nearest_setting(name: &str) -> Option<&'static str> {
    let settings = || Config::VARIABLES.iter().map(|variable| variable.name);
    if settings().any(|setting| setting == name) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    if let Some((_, setting)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == upper) {
        return Some(setting);
    }
    let distances = settings().map(|setting| (strsim::osa_distance(&upper, setting), setting));
    let (distance, setting) = distances.min()?;
    let most = if setting.len() < SHORT_NAME { 1 } else { 2 };
    (distance <= most).then_some(setting)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_near_a_setting() {
        for (name, setting) in [
            ("LISTEN_ADR", "LISTEN_ADDR"),
            ("data_dir", "DATA_DIR"),
            ("DATADIR", "DATA_DIR"),
            ("TRUSTED_PROXYS", "TRUSTED_PROXIES"),
            (
                "OAUTH_AUTHORIZATION_CODE_TTL",
                "OAUTH_AUTHORISATION_CODE_TTL",
            ),
            ("OAUTH_KEY_SECRET", "OAUTH_KEYS_SECRET"),
            ("LISTEN_ADDRESS", "LISTEN_ADDR"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("PUBLIC_URL", "PUBLIC_API_ADDRESS"),
            ("DB_URL", "DATABASE_URL"),
            ("OAUTH_SECRET", "OAUTH_KEYS_SECRET"),
        ] {
            assert_eq!(nearest_setting(name), Some(setting), "{name}");
        }
        for name in [
            "LISTEN_ADDR",
            "PATH",
            "HOSTNAME",
            "POSTGRES_PASSWORD",
            "OAUTH_GOOGLE_ENABLED",
            "DATE",
        ] {
            assert_eq!(nearest_setting(name), None, "{name}");
        }
        assert!(is_of_no_server("POSTGRES_PASSWORD"));
        assert!(!is_of_no_server("DATA_DIR") && !is_of_no_server("OAUTH_GOOGLE_ENABLED"));
    }
}
