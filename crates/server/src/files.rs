//! File descriptors: as many as the process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sockeye_limits as limits;

/// Raises the number of files that this process may open to what the system allows, and gives the number of connections
/// that can be taken: those that are wanted, or fewer.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => limit.current,
    };
    let possible = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let possible = possible.saturating_sub(limits::FILES_RESERVED).max(1);
    if possible < wanted {
        tracing::warn!(
            "the process may open {} files: {possible} connections are taken, not {wanted}; \
             raise the limit (`ulimit -n`, `LimitNOFILE=`) or lower limits.connections",
            possible + limits::FILES_RESERVED
        );
    }
    wanted.min(possible)
}
