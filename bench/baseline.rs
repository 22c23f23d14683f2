//! Baselines: a handler without work, and RSA signatures of one thread.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use axum::serve::ListenerExt as _;

use crate::Result;
use crate::drive::now;

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

/// Serves `{"status":"ok"}` until stdin closes, which happens when the parent exits.
pub(crate) async fn serve_bare() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let handler = || async { axum::Json(serde_json::json!({ "status": "ok" })) };
    let router = axum::Router::new().route("/", axum::routing::get(handler));
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served?,
        _ = parent => {}
    }
    Ok(())
}

/// RSA-2048 signatures per second of one thread.
pub(crate) fn signatures_per_second(duration: Duration) -> Result<f64> {
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key")?;
    let chance = SystemRandom::new();
    let mut signature = vec![0; key.public_modulus_len()];
    let text = [b'x'; 700]; // approximate length of an access token's text
    let begun = now();
    let mut count = 0_u32;
    while now() - begun < duration {
        key.sign(&RSA_PKCS1_SHA256, &chance, &text, &mut signature)
            .map_err(|_| "no signature")?;
        count += 1;
    }
    Ok(f64::from(count) / (now() - begun).as_secs_f64())
}
