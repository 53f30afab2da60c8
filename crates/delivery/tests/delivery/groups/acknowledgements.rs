//! What clients acknowledge themselves, and what fails.

use sockeye_limits as limits;
use sockeye_log::NewRecord;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message as Received;

use super::{SETTLED, acknowledging, kill, member_of, say, take, take_all};
use crate::world::{World, next, numbers, position};

#[tokio::test(start_paused = true)]
async fn acknowledgements_are_receipts_and_pongs_are_not() {
    let world = World::new();
    let (mut one, end) = member_of(&world, acknowledging("g")).await;
    world.log.append("a", numbers(3));
    assert_eq!(take(&mut one, 3).await, [0, 1, 2]);
    say(&mut one, "ack 1").await;
    say(&mut one, "ack 7").await;
    say(&mut one, "nack 2").await;
    assert_eq!(take(&mut one, 1).await, [2], "returned at once");
    say(&mut one, "ack 2").await;
    sleep(SETTLED).await;
    let counts = world.delivery.groups()[0].counts;
    assert_eq!((counts.receipted, counts.unknown_acks, counts.nacks), (2, 1, 1));
    let mark = world.positions.of("g").unwrap();
    assert_eq!((mark.position, mark.receipted.is_empty()), (position(0), false));
    // What is stored beside the position holds for the next owner.
    kill(one, end).await;
    sleep(SETTLED).await;
    let (mut two, _end) = member_of(&world, acknowledging("g")).await;
    assert_eq!(take_all(&mut two).await[..1], [0]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_too_often_goes_to_the_dead_letters() {
    let world = World::new();
    let (mut one, _end) = member_of(&world, acknowledging("g")).await;
    world.log.append("a", ["bad".into(), "good".into()]);
    assert_eq!(next(&mut one).await, Received::text("bad"));
    assert_eq!(next(&mut one).await, Received::text("good"));
    say(&mut one, "ack good").await;
    for _ in 1..limits::GROUP_FAILURES {
        say(&mut one, "nack bad").await;
        assert_eq!(next(&mut one).await, Received::text("bad"));
    }
    // The log is away: the event is offered once more.
    world.log.unavailable();
    say(&mut one, "nack bad").await;
    assert_eq!(next(&mut one).await, Received::text("bad"));
    world.log.fail(None);
    assert_eq!((world.log.dead().len(), world.positions.low("g")), (0, 0));
    say(&mut one, "nack bad").await;
    sleep(SETTLED).await;
    let dead = world.log.dead();
    let [NewRecord { headers, payload }] = &dead[..] else {
        panic!("{dead:?}")
    };
    assert_eq!(
        (headers.get("ce_id"), payload.as_deref()),
        (Some(&b"bad"[..]), Some(&b"bad"[..]))
    );
    assert_eq!(headers.get("sockeye-dead-group"), Some(&b"g"[..]));
    assert_eq!(world.positions.low("g"), 2);
    assert_eq!(world.delivery.groups()[0].counts.dead_letters, 1);
}
