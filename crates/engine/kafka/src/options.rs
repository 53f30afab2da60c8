//! What an operator says about Kafka.

use std::fmt;

use crate::PlainJson;

/// How Kafka is reached, and what new topics are like.
#[derive(Clone, Default)]
pub struct KafkaOptions {
    /// `host:port` of some brokers, separated by commas.
    pub bootstrap: String,
    /// Further properties of librdkafka, for instance `security.protocol`, `sasl.username`, `ssl.ca.location`. What the
    /// engine depends on (acknowledgements, isolation, time-outs) cannot be changed here.
    pub properties: Vec<(String, String)>,
    /// What topics are called: a name with `{application}` in it; as in Drogue Cloud if `None`.
    pub topics: Option<String>,
    /// How records that are plain JSON become events; `None`: they are none.
    pub plain: Option<PlainJson>,
    /// Partitions of new topics; the brokers' default if `None`.
    pub partitions: Option<u16>,
    /// Replicas of new topics; the brokers' default if `None`.
    pub replicas: Option<u16>,
}

/// A property that librdkafka does not take; the text names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka's options are wrong: {0}")]
pub struct OptionsError(pub(crate) String);

// ----------------------------------------------------------------------------------------------

impl fmt::Debug for KafkaOptions {
    /// Values of properties may be passwords: only their names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("KafkaOptions")
            .field("bootstrap", &self.bootstrap)
            .field("properties", &names)
            .field("topics", &self.topics)
            .field("plain", &self.plain)
            .field("partitions", &self.partitions)
            .field("replicas", &self.replicas)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KafkaLog;

    #[test]
    fn secrets_are_not_shown() {
        let options = KafkaOptions {
            properties: vec![("sasl.password".to_owned(), "secret".to_owned())],
            ..KafkaOptions::default()
        };
        let shown = format!("{options:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_wrong_property_is_named() {
        let options = KafkaOptions {
            properties: vec![("no.such.property".to_owned(), "1".to_owned())],
            ..KafkaOptions::default()
        };
        let error = KafkaLog::new(&options).err().expect("it is wrong");
        assert!(error.to_string().contains("`no.such.property`"), "{error}");
    }
}
