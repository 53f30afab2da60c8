//! Tickets.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use sockeye_limits as limits;

use super::Fixture;
use crate::{Registry, Ticket, TicketError};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn ticket(number: usize, owner: &str) -> Ticket {
    Ticket {
        hash: format!("hash of {number}"),
        owner: owner.into(),
        admits: format!("{{\"number\":{number},\"text\":\"ü'\"}}"),
        expires: now() + MINUTE,
    }
}

async fn taken(registry: &dyn Registry, number: usize, at: Timestamp) -> Option<String> {
    let hash = format!("hash of {number}");
    let shown = registry.ticket(&hash, at).await.unwrap();
    let taken = registry.take_ticket(&hash, at).await.unwrap();
    assert_eq!(shown, taken, "who only looks sees the same");
    taken
}

pub async fn a_ticket_is_taken_once(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    assert_eq!(taken(registry, 1, now()).await, None);
    let [one, two] = [1, 2].map(|number| ticket(number, "eve"));
    for ticket in [&one, &two] {
        registry.keep_ticket(ticket.clone(), now()).await.unwrap();
    }
    assert_eq!(taken(registry, 1, now()).await, Some(one.admits));
    assert_eq!(taken(registry, 1, now()).await, None);
    assert_eq!(taken(registry, 2, now()).await, Some(two.admits));
    assert_eq!(registry.take_ticket("", now()).await, Ok(None));
    assert_eq!(registry.take_ticket("\0'", now()).await, Ok(None));
}

pub async fn of_many_who_take_a_ticket_one_gets_it(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    for round in 0..20 {
        let ticket = ticket(round, "eve");
        registry.keep_ticket(ticket.clone(), now()).await.unwrap();
        let takers = (0..8).map(|_| registry.take_ticket(&ticket.hash, now()));
        let got: Vec<_> = join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(got, [ticket.admits]);
    }
}

pub async fn an_expired_ticket_admits_nobody(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let before = now() + MINUTE - SignedDuration::from_nanos(1);
    for (number, at, counts) in [(1, before, true), (2, now() + MINUTE, false)] {
        registry.keep_ticket(ticket(number, "eve"), now()).await.unwrap();
        assert_eq!(taken(registry, number, at).await.is_some(), counts);
        assert_eq!(
            taken(registry, number, now()).await,
            None,
            "it was used up all the same"
        );
    }
}

pub async fn expired_tickets_are_forgotten(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    for number in 0..limits::TICKETS_FORGOTTEN {
        registry.keep_ticket(ticket(number, "eve"), now()).await.unwrap();
    }
    let after = Ticket {
        expires: now() + MINUTE * 2,
        ..ticket(limits::TICKETS_FORGOTTEN, "bob")
    };
    registry.keep_ticket(after, now() + MINUTE).await.unwrap();
    for number in 0..limits::TICKETS_FORGOTTEN {
        assert_eq!(taken(registry, number, now()).await, None);
    }
    assert!(taken(registry, limits::TICKETS_FORGOTTEN, now()).await.is_some());
}

pub async fn an_owner_has_so_many_tickets_and_no_more(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    const TOGETHER: usize = 200;
    for first in (0..limits::TICKETS_OF_OWNER).step_by(TOGETHER) {
        let kept = (first..first + TOGETHER).map(|number| registry.keep_ticket(ticket(number, "eve"), now()));
        for kept in join_all(kept).await {
            kept.unwrap();
        }
    }
    let beyond = ticket(limits::TICKETS_OF_OWNER, "eve");
    assert_eq!(
        registry.keep_ticket(beyond.clone(), now()).await,
        Err(TicketError::TooMany)
    );
    let other = Ticket {
        owner: "bob".into(),
        ..beyond.clone()
    };
    registry.keep_ticket(other, now()).await.unwrap();
    assert!(taken(registry, limits::TICKETS_OF_OWNER, now()).await.is_some());
    assert!(taken(registry, 0, now()).await.is_some());
    registry.keep_ticket(beyond, now()).await.unwrap();
}

pub async fn tickets_survive_a_restart(fixture: &mut impl Fixture) {
    fixture.registry().keep_ticket(ticket(1, "eve"), now()).await.unwrap();
    fixture.restart().await;
    assert_eq!(taken(fixture.registry(), 1, now()).await, Some(ticket(1, "eve").admits));
}
