//! Which core a thread runs on: a server and its load must not share one while they are measured.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

// ----------------------------------------------------------------------------------------------

/// The cores that this thread may use.
pub fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("cannot ask for the cores of this thread")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Keeps this thread, and the children that it starts from now on, on these cores.
pub fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot use the cores {cores:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_its_core_only() {
        std::thread::spawn(|| {
            let all = cores().unwrap();
            pin(&all[..1]).unwrap();
            assert_eq!(cores().unwrap(), all[..1]);
        })
        .join()
        .unwrap();
    }
}
