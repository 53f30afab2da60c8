//! One connection from its ticket to its first event: the order of checks of compat/dojot.md 3.4, and its end.

use jiff::Timestamp;
use sockeye_filter::{Fields, Filter, Shape};

use crate::close::Close;
use crate::lifetime::Lifetime;
use crate::query::Query;
use crate::topic::owner_of;

/// What a connection asks for.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The topic, decoded.
    pub topic: &'a str,
    /// The parameters.
    pub query: &'a Query<'a>,
}

/// Whom a ticket admits. It is used up by being looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The tenant of the user who fetched it.
    pub tenant: String,
    /// When the token expires with which it was fetched; `None`: never.
    pub token: Option<Timestamp>,
}

/// What a connection gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Only messages that pass this.
    pub filter: Filter,
    /// What of them; `None`: all of it.
    pub fields: Option<Fields>,
    /// When it ends; `None`: never.
    pub end: Option<Timestamp>,
}

// ----------------------------------------------------------------------------------------------

impl Opening<'_> {
    /// What the client gets, once its ticket was looked at: `None` if it admits nobody. `tenants` are all that there are.
    ///
    /// # Errors
    /// How the connection is closed: the first that applies of ticket, topic, lifetime, `where`, `fields`.
    pub fn open<'t>(
        &self,
        admission: Option<&'t Admission>,
        tenants: impl IntoIterator<Item = &'t str>,
        lifetime: &Lifetime,
        now: Timestamp,
    ) -> Result<Opened, Close> {
        let Admission { tenant, token } = admission.ok_or(Close::Ticket)?;
        let own = [tenant.as_str()].into_iter().chain(tenants);
        if owner_of(self.topic, own).is_none_or(|owner| owner.to_lowercase() != tenant.to_lowercase()) {
            return Err(Close::ForbiddenTopic);
        }
        let end = lifetime.end(now, *token)?;
        let filter = self.query.filter.text("where")?.unwrap_or_default();
        let filter = Filter::parse(filter, Shape::Document)?;
        let fields = self.query.fields.text("fields")?.map(Fields::parse).transpose()?;
        Ok(Opened { filter, fields, end })
    }
}

impl Opened {
    /// Whether its time is over.
    ///
    /// # Errors
    /// [`Close::Expired`].
    pub fn check(&self, now: Timestamp) -> Result<(), Close> {
        match self.end {
            Some(end) if end <= now => Err(Close::Expired),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIFETIME: Lifetime = Lifetime {
        most: Some(Duration::from_hours(2)),
        of_token: true,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn open(topic: &str, query: &str, token: i64) -> Result<Opened, Close> {
        let query = Query::of(query);
        let opening = Opening { topic, query: &query };
        let admission = Admission {
            tenant: "admin".to_owned(),
            token: Some(at(token)),
        };
        let admission = query.ticket.as_ref().map(|_| &admission);
        opening.open(admission, ["admin", "admin.sub", "other"], &LIFETIME, at(1_000))
    }

    /// The address of the documentation, with its filter as it stands there.
    #[test]
    fn the_documented_example() {
        let query = "fields=sensor/status,temperature&where=sensor.status=in:failed,stopped;&ticket=t";
        let opened = open("admin.topic.example", query, 2_000).unwrap();
        assert_eq!(opened.filter.to_string(), "sensor.status=in:failed,stopped;");
        assert_eq!(
            opened.fields.as_ref().map(ToString::to_string).as_deref(),
            Some("sensor/status,temperature")
        );
        assert_eq!(opened.end, Some(at(8_200)));
        assert_eq!(opened.check(at(8_199)), Ok(()));
        assert_eq!(opened.check(at(8_200)), Err(Close::Expired));
        let plain = open("admin.device-data", "ticket=t", 9_000).unwrap();
        assert!(plain.filter.is_empty() && plain.fields.is_none());
        assert_eq!(plain.end, Some(at(9_000)));
    }

    /// The first that applies is told (3.4), and nothing is left behind by a connection that is refused.
    #[test]
    fn the_order_of_checks() {
        let wrong = "where=a=foo:1&where=b&fields=,";
        for (topic, query, token, code) in [
            ("other.x", wrong.to_owned(), 10, 4401),
            ("other.x", format!("{wrong}&ticket=t"), 10, 4403),
            ("admin.sub.x", "ticket=t".to_owned(), 2_000, 4403),
            ("admin.x", format!("{wrong}&ticket=t"), 10, 4408),
            ("admin.x", format!("{wrong}&ticket=t"), 2_000, 4000),
            ("admin.x", "where=a=foo:1&fields=,&ticket=t".to_owned(), 2_000, 4001),
            ("admin.x", "where=a=\"\\q\"&ticket=t".to_owned(), 2_000, 4002),
            ("admin.x", "where=a=1,2&ticket=t".to_owned(), 2_000, 4003),
            ("admin.x", "where=a=x&fields=,&ticket=t".to_owned(), 2_000, 4004),
            ("admin.x", "where=a=1&fields=,&ticket=t".to_owned(), 2_000, 4000),
        ] {
            let close = open(topic, &query, token).expect_err(&query);
            assert_eq!(close.code(), code, "{topic} {query}: {close}");
        }
        assert!(open("ADMIN.x", "where=&fields=&ticket=t", 2_000).is_ok());
    }
}
