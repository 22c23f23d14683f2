//! Processor time and memory of a process on Linux, `None` on systems without `/proc`; and the time of a start.

use std::fs::read_to_string;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::drive::now;
use crate::http::{Connection, get};

/// A server that is not running, with a migrated database.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) program: String,
}

impl Start {
    /// Starts and stops the server several times. Returns the median time until it is ready, in milliseconds.
    pub(crate) async fn measure(&self, runs: usize) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(self.once().await?);
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    async fn once(&self) -> Result<f64> {
        const READY_MAX: Duration = Duration::from_secs(30);
        let begun = now();
        let mut child = Command::new(&self.program)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let ready = loop {
            if let Ok(mut connection) = Connection::open(&self.address).await
                && let Ok(answer) = connection.send(&get("/readyz", "")).await
                && answer.status == 200
            {
                break Some((now() - begun).as_secs_f64() * 1_000.0);
            }
            if now() - begun > READY_MAX || child.try_wait()?.is_some() {
                break None;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        // SIGKILL: the next start also finds a database that was not closed.
        child.kill()?;
        child.wait()?;
        ready.ok_or_else(|| format!("the server on {} did not start", self.name).into())
    }
}

/// `USER_HZ`: ticks per second in `/proc/PID/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// Processor time of a process, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let fields = stat(pid)?;
    Some(ticks(&fields, [11, 12]) / TICKS)
}

/// Processor time of a process and its children, including terminated children, in seconds.
pub(crate) fn family_cpu_seconds(pid: u32) -> Option<f64> {
    let own = ticks(&stat(pid)?, [11, 12]) + ticks(&stat(pid)?, [13, 14]);
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(stat).filter(|fields| {
        let parent = fields.get(1).and_then(|text| text.parse().ok());
        parent == Some(pid)
    });
    let children: f64 = children.map(|fields| ticks(&fields, [11, 12])).sum();
    Some((own + children) / TICKS)
}

/// Resident memory of a process, in MiB.
pub(crate) fn rss_mib(pid: u32) -> Option<f64> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024.0)
}

/// Fields of `/proc/PID/stat` after the process name, which may contain any characters.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = line.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], of: [usize; 2]) -> f64 {
    let field = |at: usize| fields.get(at)?.parse::<f64>().ok();
    of.into_iter().filter_map(field).sum()
}
