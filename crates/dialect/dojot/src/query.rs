//! The query of the topic route, as real clients send it: filters are not encoded (compat/dojot.md 3.2 and 10).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::close::Close;

/// What the query says. An empty parameter is as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// The ticket. One that is given twice is none.
    pub ticket: Option<Cow<'a, str>>,
    /// The text of the `where`.
    pub filter: Parameter<'a>,
    /// The text of the `fields`.
    pub fields: Parameter<'a>,
}

/// A parameter that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parameter<'a> {
    /// It is not there.
    #[default]
    None,
    /// Its text.
    Text(Cow<'a, str>),
    /// It is there more than once, or as a list (`where[]=`): which one is meant cannot be known.
    Repeated,
}

// ----------------------------------------------------------------------------------------------

impl<'a> Query<'a> {
    /// Takes a query apart: what is behind the first `?` of an address. A `;`, a `?` or a `]=` is part of a value, the first `=`
    /// separates it from its name. Names are compared as they stand, those that are not known are ignored.
    pub fn of(query: &'a str) -> Self {
        let mut parsed = Self::default();
        let mut ticket = Parameter::None;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name);
            let (name, list) = match name.split_once('[') {
                Some((name, _)) => (name, true),
                None => (&*name, false),
            };
            let parameter = match name {
                "ticket" => &mut ticket,
                "where" => &mut parsed.filter,
                "fields" => &mut parsed.fields,
                _ => continue,
            };
            *parameter = match parameter {
                Parameter::None if !list => Parameter::Text(decode(value)),
                _ => Parameter::Repeated,
            };
        }
        if let Parameter::Text(text) = ticket
            && !text.is_empty()
        {
            parsed.ticket = Some(text);
        }
        parsed
    }
}

impl Parameter<'_> {
    /// Its text, if it has one.
    ///
    /// # Errors
    /// [`Close::Repeated`]. At the original a repeated `fields` is a connection that stays open without data for ever (3.2).
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, Close> {
        match self {
            Self::None => Ok(None),
            Self::Text(text) => Ok(Some(&**text).filter(|text| !text.is_empty())),
            Self::Repeated => Err(Close::Repeated(name)),
        }
    }
}

/// `+` is a blank, `%XX` a byte. A value of which some of that cannot be decoded stays as it is, but for its blanks.
fn decode(text: &str) -> Cow<'_, str> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    if !spaced.contains('%') || !is_encoded(&spaced) {
        return spaced;
    }
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => decoded.into_owned().into(),
        Err(_) => spaced,
    }
}

/// Whether two hexadecimal digits follow every `%`.
fn is_encoded(text: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    text.split('%').skip(1).all(|rest| {
        let rest = rest.as_bytes();
        is_digit(rest.first()) && is_digit(rest.get(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Parameter<'_> {
        Parameter::Text(text.into())
    }

    fn check(query: &str, filter: Parameter<'_>, fields: Parameter<'_>) {
        let query = format!("{query}&ticket=t");
        let parsed = Query::of(&query);
        let expected = Query {
            ticket: Some("t".into()),
            filter,
            fields,
        };
        assert_eq!(parsed, expected, "{query}");
    }

    #[test]
    fn parameters_as_clients_send_them() {
        check("", Parameter::None, Parameter::None);
        check(
            "where=a=1;b=in:x,y;&fields=a(b,c)/d",
            text("a=1;b=in:x,y;"),
            text("a(b,c)/d"),
        );
        check("where=a%3D1%3B&fields=a%28b%2Cc%29", text("a=1;"), text("a(b,c)"));
        check(
            "where=s=in:x+y,\"z;%C3%BC\";",
            text("s=in:x y,\"z;ü\";"),
            Parameter::None,
        );
        check("other=1&other=2&Where=x&fieldsx=y", Parameter::None, Parameter::None);
    }

    /// The original applies no filter, cuts it off, or takes the text apart elsewhere (3.2).
    #[test]
    fn no_part_of_a_filter_is_lost() {
        check("where=list[0]=5;", text("list[0]=5;"), Parameter::None);
        check("where=a=is:what?;&fields=a", text("a=is:what?;"), text("a"));
    }

    #[test]
    fn what_cannot_be_decoded_stays() {
        check("where=a=lt:50%;", text("a=lt:50%;"), Parameter::None);
        check("where=a+b=in:%41%zz", text("a b=in:%41%zz"), Parameter::None);
        check("where=a=in:%ff%41", text("a=in:%ff%41"), Parameter::None);
    }

    #[test]
    fn a_parameter_that_is_repeated_is_an_error() {
        for query in [
            "where=a=1&where=a=1",
            "where[]=a=1",
            "where[x]=a=1",
            "where%5B%5D=a",
            "where=a=1&where[]=b=1",
        ] {
            check(query, Parameter::Repeated, Parameter::None);
        }
        check("fields=a&fields=b", Parameter::None, Parameter::Repeated);
        check("fields[]=a", Parameter::None, Parameter::Repeated);
        assert_eq!(Parameter::Repeated.text("fields"), Err(Close::Repeated("fields")));
        for query in ["", "ticket=", "ticket=a&ticket=a", "ticket[]=a", "Ticket=a"] {
            assert_eq!(Query::of(query).ticket, None, "{query}");
        }
        assert_eq!(text("").text("where"), Ok(None));
    }
}
