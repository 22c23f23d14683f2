//! Processor time and memory of a process on Linux; `None` on systems without `/proc`.

use std::fs::read_to_string;

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
