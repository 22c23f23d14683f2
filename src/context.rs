//! Application state: everything a request needs, built once by `serve`, by every command and by tests.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, RwLock};

use bytes::Bytes;

use crate::appearance::{self, Appearance};
use crate::client_errors::ClientErrors;
use crate::clock::{Clock, MachineInstant};
use crate::config::Config;
use crate::countries::{self, Countries};
use crate::database_url::DatabaseUrl;
use crate::egress::Fetch;
use crate::egress::network::{Network, System};
use crate::ids::AccountId;
use crate::keys::remote_key_sets::RemoteKeySets;
use crate::keys::sealer::Sealer;
use crate::keys::shared_key::SharedKey;
use crate::keys::{self, ConfiguredKeys, KeyEnvironment, Keys, SigningLimits};
use crate::logo_cache::LogoCache;
use crate::oauth::OAuthError;
use crate::oauth::known_resources::KnownResources;
use crate::passwords::{self, Cost, Passwords};
use crate::random::Random;
use crate::rate_limit::Limits;
use crate::rate_limit::connections::{ConnectionLimits, ConnectionSlots};
use crate::rate_limit::device_polls::Polls;
use crate::rate_limit::refusals::RejectionLog;
use crate::rate_limit::requests::{RateLimiter, Size};
use crate::readiness::Readiness;
use crate::redemptions::Redemptions;
use crate::setting_warnings::SettingWarnings;
use crate::single_flight::SingleFlight;
use crate::statistics::Statistics;
use crate::store::audit::{Entry, Event};
use crate::store::cleanup::Retention;
use crate::store::clients::Client;
use crate::store::{self, Db};
use crate::telemetry::traces::{self, Traces};
use crate::timeouts::Timeouts;
use crate::used_proofs::UsedProofs;

/// State shared by all handlers.
pub type SharedContext = Arc<Context>;

/// The server without the routes.
#[derive(Debug)]
pub struct Context {
    /// The settings.
    pub config: Config,
    /// Countries of addresses, for lists of sessions.
    pub countries: Countries,
    /// Texts and look of the pages.
    pub appearance: Appearance,
    /// The database.
    pub db: Db,
    /// Signing keys; `None` if OAuth is off.
    pub keys: Option<Keys>,
    /// The exporter of traces; `None` if off.
    pub traces: Option<Traces>,
    /// The clock.
    pub clock: Clock,
    /// Source of randomness.
    pub random: Random,
    /// Argon2id password hashing.
    pub passwords: Passwords,
    /// Limits on failed attempts.
    pub limits: Limits,
    /// Refusals not written to the audit trail yet.
    pub refusals: RejectionLog,
    /// Errors in requests of clients, not written yet.
    pub client_errors: ClientErrors,
    /// Hourly counts that are not written to the database yet.
    pub statistics: Statistics,
    /// Key of the device cookies.
    pub device_key: SharedKey,
    /// Key of authorization responses on their way through the consent page.
    pub response_key: SharedKey,
    /// Key of the nonces for DPoP proofs.
    pub dpop_nonce_key: SharedKey,
    /// DPoP proofs used at resources of this process.
    pub used_proofs: UsedProofs,
    /// Rate limit per address.
    pub budget: RateLimiter,
    /// Last polls of devices.
    pub polls: Polls,
    /// Redemptions of codes and refresh tokens in progress.
    pub redemptions: Redemptions,
    /// Metadata documents of this server, as sent.
    pub documents: RenderedDocuments,
    /// Known resources (RFC 8707).
    pub resources: KnownResources,
    /// Encryption of remote tokens, with the key loaded at first use.
    pub sealer: Sealer,
    /// Outgoing requests for documents and keys of clients, behind the SSRF guard.
    pub documents_fetch: Fetch,
    /// Outgoing requests to remote servers, behind the SSRF guard.
    pub remote_fetch: Fetch,
    /// Outgoing requests to the webhook, behind the SSRF guard.
    pub webhook_fetch: Fetch,
    /// Single flight for client metadata documents.
    pub document_fetches: SingleFlight<Result<Client, OAuthError>>,
    /// Cache of the key sets of clients.
    pub remote_key_sets: RemoteKeySets,
    /// Cache of the logos of clients.
    pub logos: LogoCache,
    /// Readiness, as reported by `/readyz`.
    pub readiness: Readiness,
    /// Limits of log lines about settings.
    pub warnings: SettingWarnings,
    /// True once an index could not be created: the clean-up then does not wait for indexes.
    pub index_failed: AtomicBool,
    /// Connection timeouts.
    pub timeouts: Timeouts,
    /// Connection slots.
    pub places: Arc<ConnectionSlots>,
}

/// The name in `auth_shared_keys` of the key that signs device cookies.
pub const DEVICE_COOKIE_KEY: &str = "device_cookie";

/// The name in `auth_shared_keys` of the key that seals authorization responses.
pub const RESPONSE_KEY: &str = "authorization_response";

/// The name in `auth_shared_keys` of the key of the nonces for DPoP proofs.
pub const DPOP_NONCE_KEY: &str = "dpop_nonce";

/// Documents that depend on settings and keys alone, as sent. Each is rendered at its first request, and the key
/// set again when the keys change.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each field is the document of the same name")]
pub struct RenderedDocuments {
    pub openid_configuration: OnceLock<RenderedDocument>,
    pub oauth_authorization_server: OnceLock<RenderedDocument>,
    pub protected_resource: OnceLock<RenderedDocument>,
    pub protected_api: OnceLock<RenderedDocument>,
    pub client_metadata: OnceLock<RenderedDocument>,
    pub openapi: OnceLock<RenderedDocument>,
    pub jwks: RwLock<Option<RenderedDocument>>,
}

/// A document as sent. Clones share the text.
#[derive(Clone, Debug)]
pub struct RenderedDocument {
    /// The text.
    pub body: Bytes,
    /// The entity tag (RFC 9110 §8.8.3); `None` for a document of Storyden, which has none.
    pub tag: Option<Bytes>,
}

/// The reason why an [`Context`] could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened: the setting with its place, and the reason.
    #[error("{0}: the database cannot be opened")]
    Database(String, #[source] store::Error),
    /// A configured key cannot be used.
    #[error("{0} {1}")]
    Key(&'static str, #[source] keys::Error),
    /// No signing key is set, and no secret to seal generated keys with.
    #[error(
        "OAUTH_KEYS_SECRET is not set, and with PostgreSQL no secret is generated, because all replicas need \
         the same secret. Set OAUTH_KEYS_SECRET to the output of `openssl rand -base64 32`; then keys are \
         generated and rotate. Or, for a key that does not rotate, set OAUTH_SIGNING_KEY_BASE64 to the \
         `base64` of `storyden-auth key generate --json`, or set OAUTH_ENABLED=false"
    )]
    NoKey,
    /// The database has sealed keys, and no secret to open them is set.
    #[error(
        "OAUTH_KEYS_SECRET is not set, and the database has signing keys (kid {0}): set OAUTH_KEYS_SECRET to the value \
         of the other replicas or of your copy. If it is lost, see \"Keys\" in docs/operations.md; another value cannot \
         open these keys"
    )]
    NoSecret(String),
    /// The generated keys cannot be read or created.
    #[error("{0}")]
    RotatedKeys(#[source] keys::Error),
    /// The operator's texts or mark of the pages cannot be used.
    #[error("{0}")]
    Appearance(#[from] appearance::Error),
    /// The file with the countries of addresses cannot be used.
    #[error("{0}")]
    Countries(#[from] countries::Error),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// Argon2id failed.
    #[error("passwords cannot be hashed")]
    Passwords(#[from] passwords::Error),
}

/// Dependencies that tests replace; `serve` uses [`Environment::machine`].
#[derive(Clone, Debug)]
pub struct Environment {
    /// The clock.
    pub clock: Clock,
    /// Source of randomness.
    pub random: Random,
    /// Cost of password hashes.
    pub cost: Cost,
    /// Connection timeouts.
    pub timeouts: Timeouts,
    /// Limits of the signing queue.
    pub signing: SigningLimits,
    /// Connection limits.
    pub connections: ConnectionLimits,
    /// The network of outgoing requests.
    pub network: Arc<dyn Network>,
}

impl Environment {
    /// Returns the machine's clock and randomness, and the standard limits.
    #[must_use]
    pub fn machine() -> Self {
        Self {
            clock: Clock::machine(),
            random: Random::system(),
            cost: Cost::Standard,
            timeouts: Timeouts::default(),
            signing: SigningLimits::default(),
            connections: ConnectionLimits::of_process(),
            network: Arc::new(System),
        }
    }
}

impl Context {
    /// Opens the database and builds the state without signing keys.
    ///
    /// # Errors
    /// [`Error::Database`] if the database cannot be opened.
    pub async fn without_keys(config: Config, sources: Environment) -> Result<Self, Error> {
        let appearance = Appearance::built_in(&config);
        Box::pin(Self::with_appearance(config, sources, appearance)).await
    }

    async fn with_appearance(
        config: Config,
        sources: Environment,
        appearance: Appearance,
    ) -> Result<Self, Error> {
        let Environment {
            clock,
            random,
            cost,
            timeouts,
            signing: _, // unused without signing keys
            connections,
            network,
        } = sources;
        let place = config.database_setting();
        let failed = |error| Error::Database(place.clone(), error);
        let db = Db::open(&config.database()).await.map_err(failed)?;
        follow_database_clock(&db, &clock).await.map_err(failed)?;
        let documents_fetch = Fetch::new(config.document_rules(), Arc::clone(&network));
        let remote_fetch = Fetch::new(config.remote_rules(), Arc::clone(&network));
        let webhook_fetch = Fetch::new(config.webhook_rules(), network);
        Ok(Self {
            appearance,
            countries: Countries::default(),
            resources: config.known_resources(),
            sealer: Sealer::new(&config, random.clone()),
            documents_fetch,
            remote_fetch,
            webhook_fetch,
            document_fetches: SingleFlight::default(),
            remote_key_sets: RemoteKeySets::new(),
            logos: LogoCache::default(),
            passwords: Passwords::new(cost, &random)?,
            refusals: RejectionLog::default(),
            client_errors: ClientErrors::default(),
            statistics: Statistics::new(clock.clone(), config.counts_events()),
            device_key: SharedKey::new(DEVICE_COOKIE_KEY),
            response_key: SharedKey::new(RESPONSE_KEY),
            dpop_nonce_key: SharedKey::new(DPOP_NONCE_KEY),
            used_proofs: UsedProofs::default(),
            limits: Limits::new(clock.clone(), config.rate_limit),
            budget: RateLimiter::new(clock.clone(), rate_limit_size(&config)),
            polls: Polls::new(),
            redemptions: Redemptions::default(),
            documents: RenderedDocuments::default(),
            readiness: Readiness::default(),
            warnings: SettingWarnings::default(),
            index_failed: AtomicBool::new(false),
            timeouts,
            places: Arc::new(ConnectionSlots::new(connections)),
            keys: None,
            traces: None,
            config,
            db,
            clock,
            random,
        })
    }

    /// Builds the state with the configured keys, unless OAuth is off. [`Context::load_keys`] reads the keys
    /// in the database, after the migrations.
    ///
    /// # Errors
    /// As [`Context::without_keys`], and if there is no signing key or the key cannot be used.
    pub async fn new(config: Config, sources: Environment) -> Result<Self, Error> {
        let configured = if config.oauth_enabled {
            match configured_keys(&config) {
                Err(Error::NoKey) => return Err(no_key(config, sources).await),
                configured => Some(configured?),
            }
        } else {
            None
        };
        let limits = sources.signing;
        let appearance = if config.web_enabled {
            Appearance::load(&config)?
        } else {
            Appearance::built_in(&config)
        };
        let countries = Countries::read(config.geoip_db.as_deref())?;
        let made = Box::pin(Self::with_appearance(config, sources, appearance));
        let mut context = made.await?;
        context.traces = Traces::start(&context.config, &context.random)?;
        context.countries = countries;
        if let Some(configured) = configured {
            let environment = KeyEnvironment {
                db: context.db.clone(),
                clock: context.clock.clone(),
                random: context.random.clone(),
                limits,
            };
            let keys = Keys::new(&context.config, configured, environment);
            context.keys = Some(keys.map_err(Error::RotatedKeys)?);
        }
        Ok(context)
    }

    /// Reads the keys in the database, and generates the first key of each algorithm.
    ///
    /// # Errors
    /// [`Error::RotatedKeys`] if a key cannot be opened, and if the database is unavailable.
    pub async fn load_keys(&self) -> Result<(), Error> {
        match &self.keys {
            Some(keys) => keys.load().await.map_err(Error::RotatedKeys),
            None => Ok(()),
        }
    }
}

impl Context {
    /// Returns the retentions of the settings, for the clean-up.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            audit: self.config.audit_retention,
            statistics: self.config.statistics_retention,
        }
    }

    /// Records a refusal of the request in progress.
    pub fn refused(&self, event: Event) {
        self.record_refusal(Entry::new(event, self.clock.now()));
    }

    /// Records a refusal that concerns an account.
    pub fn record_account_refusal(&self, event: Event, account: &AccountId) {
        let entry = Entry::new(event, self.clock.now());
        self.record_refusal(entry.of(account));
    }

    /// Records a refusal that concerns a client, by public id.
    pub fn record_client_refusal(&self, event: Event, client_id: &str) {
        let entry = Entry::new(event, self.clock.now());
        self.record_refusal(entry.client(client_id));
    }

    /// Records a refusal in the audit trail, the log, the metrics and the statistics.
    pub fn record_refusal(&self, entry: Entry) {
        self.statistics.event(entry.event);
        self.refusals.record(entry);
    }

    /// Records an error in a request of a client, for its developer. `endpoint` is the path without the path of the
    /// issuer.
    pub fn record_client_error(&self, endpoint: &'static str, client: &Client, error: &OAuthError) {
        let now = self.clock.now();
        self.client_errors
            .record(endpoint, &client.row_id, error, now);
    }
}

fn rate_limit_size(config: &Config) -> Size {
    Size {
        units: config.rate_limit,
        period: config.rate_limit_period,
        bucket: config.rate_limit_bucket,
    }
}

/// Returns the error for settings without a signing key: with keys in the database, a new secret would not help.
pub async fn no_key(config: Config, sources: Environment) -> Error {
    let Ok(context) = Box::pin(Context::without_keys(config, sources)).await else {
        return Error::NoKey; // the database has a finding of its own in `doctor`
    };
    match store::signing_keys::list(&context.db).await {
        Ok(rows) => {
            let sealed = rows.into_iter().filter(|row| row.sealed.is_some());
            let kids: Vec<String> = sealed.map(|row| row.kid).collect();
            if kids.is_empty() {
                return Error::NoKey;
            }
            Error::NoSecret(kids.join(", "))
        }
        Err(_) => Error::NoKey, // before the first migration
    }
}

/// Reads the keys of the settings.
///
/// # Errors
/// [`Error::Key`] if a key cannot be used, [`Error::NoKey`] if no key is set and no key can be generated.
pub fn configured_keys(config: &Config) -> Result<ConfiguredKeys, Error> {
    let keys = ConfiguredKeys::read(config);
    let keys = keys.map_err(|(variable, error)| Error::Key(variable, error))?;
    let is_postgres = matches!(config.database(), DatabaseUrl::Postgres(_));
    let is_rotated = !config.rotated_algorithms().is_empty();
    let has_secret = !is_postgres || config.keys_secret.is_some();
    if is_rotated && !has_secret || !is_rotated && keys.signing.is_none() {
        return Err(Error::NoKey);
    }
    Ok(keys)
}

/// Makes a clock follow PostgreSQL's clock, so that replicas agree on expiry.
///
/// # Errors
/// If the database does not answer.
pub async fn follow_database_clock(db: &Db, clock: &Clock) -> Result<(), store::Error> {
    let asked = MachineInstant::now();
    if let Some(theirs) = db.clock().await? {
        clock.follow(theirs, asked);
    }
    Ok(())
}
