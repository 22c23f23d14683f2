//! Baselines: handlers without work in a process of their own, and the signatures of the library alone.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use serde_json::json;

use crate::Result;
use crate::drive::now;
use crate::process::cpu_seconds;

/// A bare axum server in a separate process, so that its processor time can be measured.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: String,
}

impl Bare {
    /// Starts this program again as the bare server and reads the address from its output.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bare")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a form like that of a device poll, and answers with JSON of the length of a pending poll.
async fn read_form(body: String) -> axum::Json<serde_json::Value> {
    let mut form = url::form_urlencoded::parse(body.as_bytes());
    let code = form.find(|(name, _)| name == "device_code");
    let length = code.map_or(0, |(_, value)| value.len());
    axum::Json(json!({
        "error": "authorization_pending", "error_description": "User has not yet approved", "read": length,
    }))
}

/// Reads the header of a userinfo request, and answers with JSON of the length of the claims.
async fn read_header(headers: HeaderMap) -> axum::Json<serde_json::Value> {
    let header = headers.get(AUTHORIZATION);
    let length = header.map_or(0, |value| value.as_bytes().len());
    axum::Json(json!({
        "email": "bench@example.com", "email_verified": false, "name": "bench", "preferred_username": "bench",
        "sub": "00000000000000000000", "read": length,
    }))
}

/// Serves the bare handlers until stdin closes, which happens when the parent exits.
pub(crate) async fn serve_bare() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let router = axum::Router::new()
        .route("/form", post(read_form))
        .route("/header", get(read_header));
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served?,
        _ = parent => {}
    }
    Ok(())
}

/// Operations of the library alone, per second of processor time, with a thread on each core.
pub(crate) struct Ceilings {
    /// RSA-2048 signatures.
    pub(crate) rsa: f64,
    /// ES256 signatures.
    pub(crate) es256: f64,
    /// RSA-2048 verifications.
    pub(crate) rsa_verified: f64,
}

/// Approximate length of the signed text of an access token.
const TEXT: [u8; 700] = [b'x'; 700];

impl Ceilings {
    pub(crate) fn measure(duration: Duration) -> Result<Self> {
        let rsa = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no RSA key")?;
        let es256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let es256 = es256.map_err(|_| "no EC key")?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref());
        let public = public.map_err(|_| "no public key")?;
        let rng = SystemRandom::new();
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &rng, &TEXT, &mut signature)
            .map_err(|_| "no signature")?;
        let sign_rsa = || {
            let mut signature = vec![0; rsa.public_modulus_len()];
            let signed = rsa.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                &TEXT,
                &mut signature,
            );
            signed.is_ok()
        };
        Ok(Self {
            rsa: per_core_second(duration, sign_rsa)?,
            es256: per_core_second(duration, || es256.sign(&SystemRandom::new(), &TEXT).is_ok())?,
            rsa_verified: per_core_second(duration, || {
                public.verify_sig(&TEXT, &signature).is_ok()
            })?,
        })
    }
}

/// Runs an operation on all cores, and returns the number per second of processor time.
fn per_core_second(duration: Duration, operation: impl Fn() -> bool + Sync) -> Result<f64> {
    let threads = std::thread::available_parallelism()?.get();
    let cpu = || cpu_seconds(std::process::id());
    let (begun, before) = (now(), cpu());
    let count = || {
        let mut count = 0_u32;
        while now() - begun < duration && operation() {
            count += 1;
        }
        count
    };
    let total: u32 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        running.into_iter().filter_map(|one| one.join().ok()).sum()
    });
    let cores = f64::from(u32::try_from(threads)?);
    let wall = (now() - begun).as_secs_f64() * cores; // without /proc
    let spent = before
        .zip(cpu())
        .map_or(wall, |(before, after)| after - before);
    Ok(f64::from(total) / spent)
}
