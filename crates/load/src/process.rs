//! What a server on this machine used, from `/proc` (proc(5)).

use std::time::Duration;

use anyhow::{Context as _, Result};

/// A process on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pid: u32,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, by the program and by the system for it.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub resident: u64,
}

// ----------------------------------------------------------------------------------------------

impl Process {
    /// The process with this number.
    ///
    /// # Errors
    /// There is none, or the system tells nothing of it.
    pub fn new(pid: u32) -> Result<Self> {
        let process = Self { pid };
        process.usage()?;
        Ok(process)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has used so far, threads included.
    pub fn usage(&self) -> Result<Usage> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: is it running here?"))?;
        let page = rustix::param::page_size() as u64;
        parse(&stat, rustix::param::clock_ticks_per_second(), page).with_context(|| format!("unknown form of {path}"))
    }
}

/// Fields 14 and 15 are the CPU time in ticks, field 24 is the resident memory in pages.
fn parse(stat: &str, ticks_per_second: u64, page: u64) -> Option<Usage> {
    // The name of the program may hold blanks and parentheses; what follows its last one does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    Some(Usage {
        cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64),
        resident: field(24)? * page,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 3 0 99 1000000 12 18446744073709551615";
        let usage = parse(stat, 100, 4096).unwrap();
        assert_eq!(usage.cpu, Duration::from_secs(2));
        assert_eq!(usage.resident, 12 * 4096);
        assert_eq!(parse("7 (a) S 1", 100, 4096), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Process::new(std::process::id()).unwrap().usage().unwrap().resident > 0);
        assert!(Process::new(u32::MAX).is_err());
    }
}
