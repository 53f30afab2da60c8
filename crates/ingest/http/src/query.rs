//! The query parameters of a publish request (compat/drogue.md 5.1).

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// What the query says. Names that are not known are ignored: devices in the field send all sorts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// `application`
    pub(crate) application: Option<Cow<'a, str>>,
    /// `device`
    pub(crate) device: Option<Cow<'a, str>>,
    /// `as`: the device in whose name a gateway publishes.
    pub(crate) publish_as: Option<Cow<'a, str>>,
    /// `data_schema`: becomes the attribute `dataschema`.
    pub(crate) data_schema: Option<Cow<'a, str>>,
    /// `ct`, or `commandTimeout`: how long to wait for a command, in seconds.
    pub(crate) command_timeout: Option<u64>,
}

/// A parameter that cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("the query parameter `{0}` is given more than once: give it once")]
    Repeated(&'static str),
    #[error("the query parameter `{0}` is not UTF-8 after percent-decoding")]
    NotUtf8(&'static str),
    #[error("the query parameter `{0}` must be a whole number of seconds, 0 or more")]
    NotSeconds(&'static str),
}

// ----------------------------------------------------------------------------------------------

impl<'a> Query<'a> {
    /// Reads the query of a request; `None` is one without.
    pub(crate) fn parse(query: Option<&'a str>) -> Result<Self, QueryError> {
        let mut found = Self::default();
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for (name, value) in pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            match name {
                "application" => set(&mut found.application, "application", text("application", value)?)?,
                "device" => set(&mut found.device, "device", text("device", value)?)?,
                "as" => set(&mut found.publish_as, "as", text("as", value)?)?,
                "data_schema" => set(&mut found.data_schema, "data_schema", text("data_schema", value)?)?,
                "ct" => set(&mut found.command_timeout, "ct", seconds("ct", value)?)?,
                "commandTimeout" => {
                    set(
                        &mut found.command_timeout,
                        "commandTimeout",
                        seconds("commandTimeout", value)?,
                    )?;
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn set<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), QueryError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(QueryError::Repeated(name)),
    }
}

/// `application/x-www-form-urlencoded`: `+` is a space. Text that needs no decoding is not copied.
fn text<'a>(name: &'static str, value: &'a str) -> Result<Cow<'a, str>, QueryError> {
    if !value.contains(['+', '%']) {
        return Ok(Cow::Borrowed(value));
    }
    let spaced = value.replace('+', " ");
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => Err(QueryError::NotUtf8(name)),
    }
}

fn seconds(name: &'static str, value: &str) -> Result<u64, QueryError> {
    text(name, value)?.parse().map_err(|_| QueryError::NotSeconds(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_and_the_rest_ignored() {
        let all = "application=a%20b&device=d+1&as=x%2By&data_schema=urn:x&ct=30&other=%ff&flag&&=";
        let query = Query::parse(Some(all)).unwrap();
        assert_eq!(query.application.as_deref(), Some("a b"));
        assert_eq!(query.device.as_deref(), Some("d 1"));
        assert_eq!(query.publish_as.as_deref(), Some("x+y"));
        assert_eq!(query.data_schema.as_deref(), Some("urn:x"));
        assert_eq!(query.command_timeout, Some(30));
        assert_eq!(Query::parse(None), Ok(Query::default()));
        assert_eq!(Query::parse(Some("as=")).unwrap().publish_as.as_deref(), Some(""));
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        let cases = [
            ("ct=soon", QueryError::NotSeconds("ct")),
            ("ct=-1", QueryError::NotSeconds("ct")),
            ("ct=", QueryError::NotSeconds("ct")),
            ("commandTimeout=1.5", QueryError::NotSeconds("commandTimeout")),
            ("ct=1&commandTimeout=1", QueryError::Repeated("commandTimeout")),
            (
                "application=a&device=d&application=b",
                QueryError::Repeated("application"),
            ),
            ("as=%ff", QueryError::NotUtf8("as")),
        ];
        for (query, error) in cases {
            assert_eq!(Query::parse(Some(query)), Err(error), "{query}");
        }
    }
}
