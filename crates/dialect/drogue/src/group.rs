//! What a request wants of a group (compat/drogue.md, decisions 5 and 9).

use std::time::Duration;

use bytestring::ByteString;
use sockeye_delivery::{Balance, Receipts};
use sockeye_limits as limits;

use crate::refusal::Refusal;
use crate::request::Query;

/// A group, and how the client takes part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The `group_id`.
    pub(crate) id: ByteString,
    pub(crate) receipts: Receipts,
    pub(crate) balance: Balance,
}

// ----------------------------------------------------------------------------------------------

impl Group {
    /// Reads the parameters; `None` if the request names no group.
    pub(crate) fn of(query: &Query<'_>) -> Result<Option<Self>, Refusal> {
        let receipts = receipts(query)?;
        let balance = balance(query)?;
        let Some(id) = query.value("group_id")? else {
            return match (receipts, balance) {
                (Some(_), _) => Err(Refusal::lone("ack", "group_id")),
                (None, Some(_)) => Err(Refusal::lone("balance", "group_id")),
                (None, None) => Ok(None),
            };
        };
        if id.is_empty() {
            return Err(Refusal::wrong(
                "group_id",
                "is empty: leave it out to get every event, or give the group a name",
            ));
        }
        if id.len() > limits::GROUP_ID {
            let most = limits::GROUP_ID;
            return Err(Refusal::wrong("group_id", &format!("is longer than {most} bytes")));
        }
        if id.chars().any(char::is_control) {
            return Err(Refusal::wrong("group_id", "has control characters"));
        }
        for name in ["from", "until"] {
            if query.value(name)?.is_some() {
                return Err(Refusal::not_for_groups(name));
            }
        }
        Ok(Some(Self {
            id: id.into(),
            receipts: receipts.unwrap_or(Receipts::Pong),
            balance: balance.unwrap_or(Balance::Any),
        }))
    }
}

fn receipts(query: &Query<'_>) -> Result<Option<Receipts>, Refusal> {
    let time = query.value("ack_timeout")?.map(ack_time).transpose()?;
    match (query.value("ack")?, time) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Refusal::lone("ack_timeout", "ack=client")),
        (Some("client"), time) => Ok(Some(Receipts::Client {
            time: time.unwrap_or(limits::GROUP_ACK_TIME),
        })),
        (Some(_), _) => Err(Refusal::wrong(
            "ack",
            "is not `client`: leave it out to have receipts given by your WebSocket library",
        )),
    }
}

/// Whole seconds, with or without an `s` behind them.
fn ack_time(text: &str) -> Result<Duration, Refusal> {
    let most = limits::GROUP_ACK_TIME_MOST.as_secs();
    let seconds = text.strip_suffix('s').unwrap_or(text).parse();
    match seconds {
        Ok(seconds @ 1..) if seconds <= most => Ok(Duration::from_secs(seconds)),
        _ => Err(Refusal::wrong(
            "ack_timeout",
            &format!("is no number of seconds from 1 to {most}"),
        )),
    }
}

fn balance(query: &Query<'_>) -> Result<Option<Balance>, Refusal> {
    match query.value("balance")? {
        None => Ok(None),
        Some("device") => Ok(Some(Balance::Device)),
        Some(_) => Err(Refusal::wrong(
            "balance",
            "is not `device`: leave it out to have events given to members in turn",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Option<Group>) {
        assert_eq!(Group::of(&Query::of(Some(query))), Ok(expected), "{query}");
    }

    fn check_refused(query: &str, expected: &str) {
        let refusal = Group::of(&Query::of(Some(query))).unwrap_err();
        assert_eq!(refusal.status(), 400, "{query}");
        assert!(refusal.to_string().contains(expected), "{query}: {refusal}");
    }

    #[test]
    fn what_can_be_asked_of_a_group() {
        let plain = |id: &str| Group {
            id: id.into(),
            receipts: Receipts::Pong,
            balance: Balance::Any,
        };
        let client = |seconds| Receipts::Client {
            time: Duration::from_secs(seconds),
        };
        check("", None);
        check("device=d&from=earliest&until=x", None);
        check("group_id=g", Some(plain("g")));
        check("group_id=K%C3%BCche+1", Some(plain("Küche 1")));
        let long = "g".repeat(limits::GROUP_ID);
        check(&format!("group_id={long}&cursor=true"), Some(plain(&long)));
        let strict = Group {
            receipts: client(30),
            ..plain("g")
        };
        check("group_id=g&ack=client", Some(strict.clone()));
        let strict = Group {
            receipts: client(5),
            balance: Balance::Device,
            ..strict
        };
        check(
            "balance=device&ack_timeout=5&ack=client&group_id=g",
            Some(strict.clone()),
        );
        check("balance=device&ack_timeout=5s&ack=client&group_id=g", Some(strict));
    }

    #[test]
    fn what_cannot_is_refused_with_the_remedy() {
        check_refused("group_id=", "`group_id` is empty: leave it out");
        let long = "g".repeat(limits::GROUP_ID + 1);
        check_refused(&format!("group_id={long}"), "`group_id` is longer than 128 bytes");
        check_refused("group_id=a%0Ab", "`group_id` has control characters");
        check_refused("group_id=%ff", "`group_id` is not UTF-8");
        check_refused("group_id=g&from=earliest", "`sockeye group create --from`");
        check_refused("group_id=g&from=earliest", "`sockeye group seek`");
        check_refused(
            "group_id=g&until=2030-01-01T00:00:00Z",
            "`until` is not for a `group_id`",
        );
        check_refused("ack=client", "`ack` needs `group_id`");
        check_refused("balance=device", "`balance` needs `group_id`");
        check_refused("group_id=g&ack=server", "`ack` is not `client`");
        check_refused("group_id=g&balance=any", "`balance` is not `device`");
        check_refused("group_id=g&ack_timeout=5", "`ack_timeout` needs `ack=client`");
        for time in ["", "0", "-1", "x", "1.5", "3601", "99999999999999999999", "5m"] {
            check_refused(
                &format!("group_id=g&ack=client&ack_timeout={time}"),
                "`ack_timeout` is no number of seconds from 1 to 3600",
            );
        }
        for name in ["group_id", "ack", "ack_timeout", "balance"] {
            check_refused(
                &format!("{name}=1&{name}=1"),
                &format!("`{name}` is given more than once"),
            );
        }
    }
}
