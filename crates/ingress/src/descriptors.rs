//! How many connections the system lets this process hold.
//!
//! *Invariant:* the door never takes the descriptors that the log, the records and the HTTP port
//! need: without one the log could not begin its next segment, and the process would end.

/// Descriptors that are left to everything else.
const KEPT_MIN: usize = 128;

/// One in so many is left to everything else, for the HTTP port grows with the door.
const KEPT_SHARE: usize = 4;

/// The limit on connections, lowered to what the system gives.
pub(crate) fn at_most(connections_max: usize) -> usize {
    let Some(open_max) = limit() else { return connections_max };
    let room = room(open_max);
    if room < connections_max {
        tracing::info!(
            open_max,
            connections_max = room,
            "fewer connections, as descriptors are few"
        );
    }
    connections_max.min(room)
}

fn room(open_max: usize) -> usize {
    open_max.saturating_sub(KEPT_MIN.max(open_max / KEPT_SHARE)).max(1)
}

/// Descriptors this process may hold; `None` where the system does not say, or there is no limit.
fn limit() -> Option<usize> {
    parse(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn parse(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read_and_part_of_it_kept() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             7823                 7823                 processes \n\
                    Max open files            1024                 4096                 files     \n";
        assert_eq!(parse(text), Some(1024));
        assert_eq!(parse("Max open files            unlimited            unlimited"), None);
        assert_eq!((room(1024), room(64), room(1_048_576)), (768, 1, 786_432));
    }
}
