//! Everything a request needs, built once: by `serve`, by every command and by tests.

use std::sync::Arc;

use crate::accounts::device_cookie::DeviceKey;
use crate::accounts::passwords::{self, Cost, Passwords};
use crate::clients::assertion::RemoteKeys;
use crate::clients::documents::DocumentFlights;
use crate::clock::{Clock, MachineInstant};
use crate::config::Config;
use crate::endpoints::token::polls::Polls;
use crate::endpoints::token::redemptions::Redemptions;
use crate::endpoints::well_known::Documents;
use crate::fetch::Fetch;
use crate::fetch::network::{Network, System};
use crate::ids::AccountId;
use crate::keys::{self, Keys, SigningKey, SigningLimits};
use crate::limits::Limits;
use crate::limits::budget::{Budget, Size};
use crate::limits::refusals::Refusals;
use crate::oauth::resource::KnownResources;
use crate::random::Random;
use crate::remote::seal::Sealer;
use crate::server::{ConnectionLimits, Patience, Places};
use crate::store::audit::{Entry, Event};
use crate::store::url::DatabaseUrl;
use crate::store::{self, Db};

/// What handlers share.
pub type Shared = Arc<App>;

/// The server without its routes.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// The signer; none when OAuth is off.
    pub keys: Option<Keys>,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
    /// Argon2id.
    pub passwords: Passwords,
    /// Counts of failures.
    pub limits: Limits,
    /// Refusals on their way to the audit trail.
    pub refusals: Refusals,
    /// The key of device cookies.
    pub device_key: DeviceKey,
    /// What addresses may ask for.
    pub budget: Budget,
    /// When devices polled last.
    pub polls: Polls,
    /// Codes and refresh tokens that are being redeemed.
    pub redemptions: Redemptions,
    /// The server's metadata, as it is sent.
    pub documents: Documents,
    /// What tokens may be for (RFC 8707).
    pub resources: KnownResources,
    /// What seals the tokens of remote connections, once it was needed.
    pub sealer: Sealer,
    /// The way out to the documents and keys of clients.
    pub documents_fetch: Fetch,
    /// The way out to remote servers.
    pub remote_fetch: Fetch,
    /// Documents of clients that are being read.
    pub flights: DocumentFlights,
    /// Keys of clients that were fetched.
    pub remote_keys: RemoteKeys,
    /// Whether `/readyz` says yes.
    pub readiness: Readiness,
    /// How long peers are waited for.
    pub patience: Patience,
    /// The connections.
    pub places: Arc<Places>,
}

/// Whether new requests are welcome.
#[derive(Debug, Default)]
pub struct Readiness(std::sync::atomic::AtomicBool);

impl Readiness {
    /// Whether the server is on its way out.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Says no from now on.
    pub fn drain(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Why there is no [`App`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("DATABASE_URL: the database cannot be opened")]
    Database(#[source] store::Error),
    /// The signing key cannot be used.
    #[error("OAUTH_SIGNING_KEY_BASE64 {0}")]
    Key(#[source] keys::Error),
    /// There is no key, and none is made beside a PostgreSQL.
    #[error(
        "OAUTH_SIGNING_KEY_BASE64 is not set, and with PostgreSQL no key is generated, since every \
         replica must have the same. Make one with `storyden-auth key generate --json` and set its \
         `base64`, or set OAUTH_ENABLED=false"
    )]
    NoKey,
    /// Argon2 failed.
    #[error("passwords cannot be hashed")]
    Passwords(#[from] passwords::Error),
}

/// What tests choose and `serve` does not.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
    /// What hashes cost.
    pub cost: Cost,
    /// How long peers are waited for.
    pub patience: Patience,
    /// Limits of the signing queue.
    pub signing: SigningLimits,
    /// Bounds on connections.
    pub connections: ConnectionLimits,
    /// The network that the way out goes over.
    pub network: Arc<dyn Network>,
}

impl Sources {
    /// The machine's clock and chance.
    #[must_use]
    pub fn machine() -> Self {
        Self {
            clock: Clock::machine(),
            random: Random::system(),
            cost: Cost::Standard,
            patience: Patience::default(),
            signing: SigningLimits::default(),
            connections: ConnectionLimits::of_process(),
            network: Arc::new(System),
        }
    }
}

impl App {
    /// Opens the database and puts everything together, without a signer.
    ///
    /// # Errors
    /// [`Error::Database`] when the database cannot be opened.
    pub async fn without_keys(config: Config, sources: Sources) -> Result<Self, Error> {
        let Sources {
            clock,
            random,
            cost,
            patience,
            signing: _, // there is no signer here
            connections,
            network,
        } = sources;
        let db = Db::open(&config.database())
            .await
            .map_err(Error::Database)?;
        follow_database_clock(&db, &clock)
            .await
            .map_err(Error::Database)?;
        let documents_fetch = Fetch::new(config.document_rules(), Arc::clone(&network));
        let remote_fetch = Fetch::new(config.remote_rules(), network);
        Ok(Self {
            resources: config.known_resources(),
            sealer: Sealer::default(),
            documents_fetch,
            remote_fetch,
            flights: DocumentFlights::default(),
            remote_keys: RemoteKeys::new(),
            passwords: Passwords::new(cost, &random)?,
            refusals: Refusals::default(),
            device_key: DeviceKey::default(),
            limits: Limits::new(clock.clone(), config.rate_limit),
            budget: Budget::new(clock.clone(), budget_of(&config)),
            polls: Polls::new(),
            redemptions: Redemptions::default(),
            documents: Documents::default(),
            readiness: Readiness::default(),
            patience,
            places: Arc::new(Places::new(connections)),
            keys: None,
            config,
            db,
            clock,
            random,
        })
    }

    /// The same with the signing key of the settings, unless OAuth is off.
    ///
    /// # Errors
    /// Also when there is no key, or it cannot be used.
    pub async fn new(config: Config, sources: Sources) -> Result<Self, Error> {
        let key = if config.oauth_enabled {
            Some(signing_key(&config)?)
        } else {
            None
        };
        let signing = sources.signing;
        let mut app = Self::without_keys(config, sources).await?;
        app.keys = key.map(|key| Keys::new(key, signing));
        Ok(app)
    }
}

impl App {
    /// Records a refusal of the request in progress.
    pub fn refused(&self, event: Event) {
        self.refusals.record(Entry::new(event, self.clock.now()));
    }

    /// Records a refusal that concerns an account.
    pub fn refused_account(&self, event: Event, account: &AccountId) {
        let entry = Entry::new(event, self.clock.now());
        self.refusals.record(entry.of(account));
    }

    /// Records a refusal that concerns a client, by its public id.
    pub fn refused_client(&self, event: Event, client_id: &str) {
        let entry = Entry::new(event, self.clock.now());
        self.refusals.record(entry.client(client_id));
    }
}

fn budget_of(config: &Config) -> Size {
    Size {
        units: config.rate_limit,
        period: config.rate_limit_period,
        bucket: config.rate_limit_bucket,
    }
}

/// The signing key that the settings name, or the generated one of `DATA_DIR`.
///
/// # Errors
/// [`Error::Key`] when it cannot be used, [`Error::NoKey`] when there is none beside a PostgreSQL.
pub fn signing_key(config: &Config) -> Result<SigningKey, Error> {
    let kid = config.signing_key_id.as_deref();
    match (&config.signing_key, config.database()) {
        (Some(key), _) => SigningKey::from_base64(key, kid).map_err(Error::Key),
        (None, DatabaseUrl::Sqlite(_)) => {
            SigningKey::from_folder(&config.data_dir, kid).map_err(Error::Key)
        }
        (None, DatabaseUrl::Postgres(_)) => Err(Error::NoKey),
    }
}

/// Makes a clock follow PostgreSQL's, so that replicas agree on what has expired.
///
/// # Errors
/// When the database does not answer.
pub async fn follow_database_clock(db: &Db, clock: &Clock) -> Result<(), store::Error> {
    let asked = MachineInstant::now();
    if let Some(theirs) = db.clock().await? {
        clock.follow(theirs, asked);
    }
    Ok(())
}
