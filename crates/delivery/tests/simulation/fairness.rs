//! One application floods, another is quiet: what the quiet one has to say does not wait for the flood.

use std::sync::Arc;
use std::time::Duration;

use sockeye_delivery::{Delivery, MemoryLimits, Metrics, Selection, Subscription};
use sockeye_log::Topic;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dialect::{Form, Plain};
use crate::log::SimLog;
use crate::pipe::{ClientEnd, pipe};
use sockeye_seeds::Random;

/// Batches of the flood that are read, at most, between the append of a quiet event and its arrival: a few turns of each
/// reader of the flood. Time would tell nothing, for it stands still while there is work.
const TURNS: u64 = 200;
/// Clients that read the flood from its beginning.
const READERS: usize = 5;
/// Clients that read it from places far apart.
const FAR_APART: u64 = 100;
/// Reads of the flood's past, at most, while one read of the quiet application's is under way: one takes 0 to 20 ms.
const PAST_TURNS: u64 = 30;

// ----------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_hold_up_a_quiet_application() {
    let (flood, quiet) = (Topic::events_of("flood"), Topic::events_of("quiet"));
    let log = SimLog::new(Random::new(1), &[flood.clone(), quiet.clone()]);
    log.lock().hesitates = false;
    let delivery = Delivery::new(
        Arc::new(log.clone()),
        Metrics::default(),
        TaskTracker::new(),
        CancellationToken::new(),
    );
    let delivery = Arc::new(delivery);
    let start = log.lock().span(&flood).unwrap().end;
    let live = connect(&delivery, &log, &quiet, None);
    let readers: Vec<_> = (0..READERS)
        .map(|_| connect(&delivery, &log, &flood, Some(start.clone())))
        .collect();
    sleep(Duration::from_secs(1)).await;
    // From now on all of them have to do.
    log.change(|log| (0..50_000).for_each(|_| log.append(&flood, 10, true)));

    let mut longest = 0;
    for _ in 0..20 {
        let before = log.change(|log| {
            log.append(&quiet, 10, true);
            log.given
        });
        timeout(Duration::from_secs(1), live.readable())
            .await
            .expect("it comes");
        live.take(usize::MAX).expect("the connection stays");
        longest = longest.max(log.lock().given - before);
        for reader in &readers {
            reader.take(usize::MAX).expect("the connection stays");
        }
        yield_now().await;
    }
    assert!(longest > 0, "the flood was there all the time");
    assert!(
        longest <= TURNS,
        "a quiet event waited for {longest} batches of the flood"
    );
}

/// Many readers all over the past of one application read apart; one of another application waits for few of them.
#[tokio::test(start_paused = true)]
async fn the_past_of_one_application_does_not_hold_up_that_of_another() {
    let (flood, quiet) = (Topic::events_of("flood"), Topic::events_of("quiet"));
    let log = SimLog::new(Random::new(1), &[flood.clone(), quiet.clone()]);
    let nothing = MemoryLimits {
        bytes: 0,
        ..MemoryLimits::default()
    };
    let delivery = Delivery::new(
        Arc::new(log.clone()),
        Metrics::default(),
        TaskTracker::new(),
        CancellationToken::new(),
    );
    let delivery = Arc::new(delivery.with_memory(nothing));
    let start = log.lock().span(&quiet).unwrap().end;
    log.change(|log| {
        log.append(&quiet, 10, true);
    });
    let mut floods = Vec::new();
    for _ in 0..FAR_APART {
        floods.push(log.lock().span(&flood).unwrap().end);
        log.change(|log| (0..100).for_each(|_| log.append(&flood, 10, true)));
    }
    let _far_apart: Vec<_> = floods
        .into_iter()
        .map(|start| connect(&delivery, &log, &flood, Some(start)))
        .collect();
    while log.lock().reads < 3 {
        sleep(Duration::from_millis(1)).await;
    }
    let before = log.lock().reads;
    let late = connect(&delivery, &log, &quiet, Some(start));
    late.readable().await;
    let waited = log.lock().reads - before;
    assert!(log.lock().reads < FAR_APART / 2, "the flood was there all the time");
    assert!(waited <= PAST_TURNS, "{waited} reads were first");
}

/// A client that has a large socket and reads everything of a topic.
fn connect(delivery: &Arc<Delivery>, log: &SimLog, topic: &Topic, start: Option<sockeye_log::Position>) -> ClientEnd {
    let end = log.lock().span(topic).unwrap().end;
    let subscription = Subscription {
        topic: topic.clone(),
        selection: Selection::default(),
        start: start.unwrap_or_else(|| end.clone()),
        end,
        what_is_left: false,
        until: None,
    };
    let (server_end, client_end) = pipe(1 << 24, 0, true);
    let serving = Arc::clone(delivery);
    delivery.spawn(async move {
        let end = serving.serve(server_end, subscription, Plain(Form::Plain), false).await;
        panic!("a connection ended: {end:?}");
    });
    client_end
}
