//! Every setting, once: the documented template, the flags of `serve`, the environment variables and the keys of the file
//! all come from this table.

use std::time::Duration;

use sockeye_dialect_dojot::TicketErrors;
use sockeye_engine_kafka::PlainJson;
use sockeye_limits as limits;

use crate::config::{Config, LogFormat, ProxySpeaks};
use crate::value;

/// One setting.
pub(crate) struct Setting {
    /// Its key in the file: `http.bind` is `bind` in the table `[http]`.
    pub(crate) key: &'static str,
    /// Used if it is given nowhere.
    pub(crate) default: &'static str,
    /// Which values there are.
    pub(crate) allowed: &'static str,
    /// What it is for, in a sentence or two.
    pub(crate) doc: &'static str,
    /// Puts a value into the configuration; `None` if it is not allowed.
    pub(crate) set: fn(&mut Config, &str) -> Option<()>,
}

/// All settings, in the order of the template: those without a table first, as TOML demands.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "data",
        default: "sockeye-data",
        allowed: "a path",
        doc: "Folder of the data file and of the administrator's key. It is made if it is not there.",
        set: |config, text| put(&mut config.data, value::path(text)),
    },
    Setting {
        key: "instance",
        default: "drogue",
        allowed: "1 to 63 letters, digits, dots, dashes and underscores",
        doc: "Name of this installation: the extension `instance` of every event.",
        set: |config, text| put(&mut config.instance, value::instance(text)),
    },
    Setting {
        key: "cores",
        default: "auto",
        allowed: "`auto` or a number from 1 to 256",
        doc: "Threads that serve connections. `auto` is one for each core that the process may use.",
        set: |config, text| {
            put(
                &mut config.cores,
                value::or("auto", text, |text| value::number(text, 1, limits::CORES)),
            )
        },
    },
    Setting {
        key: "drain",
        default: "10s",
        allowed: "a duration such as `10s` or `1m30s`, at most one hour",
        doc: "How long open requests and sockets may take to end when the server is asked to stop.",
        set: |config, text| put(&mut config.drain, value::seconds(text, 0..=3600)),
    },
    Setting {
        key: "http.bind",
        default: "127.0.0.1:8080",
        allowed: "an IP address and a port, such as `127.0.0.1:8080` or `[::]:8080`; port 0 takes a free one",
        doc: "Where devices, clients and operators connect. Only this machine can, unless you give another address: \
              `0.0.0.0:8080` is every IPv4 address of the machine. Without `tls.certificate` it is plain HTTP.",
        set: |config, text| put(&mut config.http_bind, text.parse().ok()),
    },
    Setting {
        key: "http.url",
        default: "off",
        allowed: "`off`, or the beginning of a URL such as `https://events.example.com`, without a path",
        doc: "How clients reach the server, for those that ask where everything is (`drg login`): needed behind a proxy that ends TLS. \
              Without it they are told what they asked.",
        set: |config, text| put(&mut config.http_url, value::or("off", text, value::origin)),
    },
    Setting {
        key: "tls.certificate",
        default: "off",
        allowed: "`off`, or paths of PEM files with commas between them, at most 64",
        doc: "Certificates of the server, each with those behind it that lead to its authority. With one, `http.bind` speaks TLS \
              (https, wss), and nothing else. Of several a client gets the first for the name that it asks for; if none is, the \
              first of all. Files that change are read again within seconds; if they cannot be used, the old ones stay.",
        set: |config, text| {
            put(
                &mut config.tls.certificates,
                value::or("off", text, value::paths).map(Option::unwrap_or_default),
            )
        },
    },
    Setting {
        key: "tls.key",
        default: "off",
        allowed: "`off`, or paths of PEM files with commas between them, at most 64",
        doc: "Keys of `tls.certificate`, in the same order, not encrypted: files that only the server's user can read.",
        set: |config, text| {
            put(
                &mut config.tls.keys,
                value::or("off", text, value::paths).map(Option::unwrap_or_default),
            )
        },
    },
    Setting {
        key: "proxy.trusted",
        default: "off",
        allowed: "`off`, or up to 64 addresses or networks with spaces between them, such as `10.0.0.0/8 ::1`",
        doc: "Proxies that are believed when they tell the address of a client, which is what stands in the log. Nobody else is.",
        set: |config, text| {
            put(
                &mut config.proxy.trusted,
                value::or("off", text, value::networks).map(Option::unwrap_or_default),
            )
        },
    },
    Setting {
        key: "proxy.speaks",
        default: "x-forwarded-for",
        allowed: "`x-forwarded-for`, `forwarded` or `proxy-protocol`",
        doc: "How `proxy.trusted` tell it: in the header of a request that is named so, or in the first bytes of a connection (PROXY \
              protocol, version 1 or 2, before TLS). The last one has to be on every connection of theirs.",
        set: |config, text| {
            let speaks = match text {
                "x-forwarded-for" => ProxySpeaks::XForwardedFor,
                "forwarded" => ProxySpeaks::Forwarded,
                "proxy-protocol" => ProxySpeaks::ProxyProtocol,
                _ => return None,
            };
            put(&mut config.proxy.speaks, Some(speaks))
        },
    },
    Setting {
        key: "oidc.issuers",
        default: "off",
        allowed: "`off`, or up to 8 URLs of providers with spaces between them, as `iss` of their tokens says: https, or http on \
                  this machine",
        doc: "Whose tokens are accepted, beside access keys: OpenID Connect providers such as Keycloak, Dex or Entra ID.",
        set: |config, text| put(&mut config.oidc.issuers, value::issuers(text)),
    },
    Setting {
        key: "oidc.audiences",
        default: "drogue",
        allowed: "names with spaces between them",
        doc: "For whom tokens have to be: clients or audiences of the providers. One of them has to be in `aud`, or be `azp`.",
        set: |config, text| put(&mut config.oidc.audiences, value::words(text)),
    },
    Setting {
        key: "oidc.shapes",
        default: "keycloak",
        allowed: "`keycloak`, `dex` or `entra`: one for all issuers, or one for each with spaces between them",
        doc: "Where tokens have the names and roles of users. `keycloak`: `preferred_username`, `realm_access.roles` and the roles \
              of `resource_access` for `oidc.audiences`. `dex`: `preferred_username` or a verified `email`, `groups`. `entra`: \
              `preferred_username`, `upn` or `oid`, `roles`.",
        set: |config, text| put(&mut config.oidc.shapes, value::shapes(text)),
    },
    Setting {
        key: "oidc.admin_role",
        default: "drogue-admin",
        allowed: "`off`, or the name of a role",
        doc: "Who has this role at a provider may do everything here.",
        set: |config, text| put(&mut config.oidc.admin_role, value::or("off", text, value::word)),
    },
    Setting {
        key: "oidc.ca",
        default: "off",
        allowed: "`off`, or the path of a PEM file",
        doc: "Certificates that lead to the providers, if their authority is not one that the system trusts.",
        set: |config, text| put(&mut config.oidc.ca, value::or("off", text, value::path)),
    },
    Setting {
        key: "oidc.token_grace",
        default: "0s",
        allowed: "a duration such as `0s` or `30s`, at most one hour",
        doc: "How long a socket lives on after its token has expired. A client that sends a new one in time never notices.",
        set: |config, text| put(&mut config.oidc.token_grace, value::seconds(text, 0..=3600)),
    },
    Setting {
        key: "dojot.tenant_claim",
        default: "service",
        allowed: "the name of a claim",
        doc: "Clients of dojot's Kafka WS: the claim of their tokens that names their tenant. Whoever has one that is accepted may \
              read the events of the application of this name. Without the claim a token counts for what its user may read.",
        set: |config, text| put(&mut config.dojot.tenant_claim, value::word(text)),
    },
    Setting {
        key: "dojot.secrets",
        default: "off",
        allowed: "`off`, or the path of a file with a JSON object",
        doc: "Keys by the claim `iss`, such as `{\"<iss>\": \"<key>\"}`: tokens that are signed with them (HS256) are accepted for \
              tickets. dojot's own service for users signs so. A file that only the server's user can read.",
        set: |config, text| put(&mut config.dojot.secrets, value::or("off", text, value::path)),
    },
    Setting {
        key: "dojot.gateway",
        default: "off",
        allowed: "`off`, or an IP address and a port, such as `127.0.0.1:8081`; port 0 takes a free one",
        doc: "Where a gateway connects that has verified the tokens of such clients, and nobody else can: only these clients are \
              served there, and their tokens are believed as they are.",
        set: |config, text| {
            put(
                &mut config.dojot.gateway,
                value::or("off", text, |text| text.parse().ok()),
            )
        },
    },
    Setting {
        key: "dojot.gateway_tls",
        default: "off",
        allowed: "`on` or `off`",
        doc: "Whether `dojot.gateway` speaks TLS too, with the certificates of `tls.certificate`.",
        set: |config, text| put(&mut config.dojot.gateway_tls, value::switch(text)),
    },
    Setting {
        key: "dojot.ticket_life",
        default: "60s",
        allowed: "a duration such as `60s` or `5m`, from one second to one hour",
        doc: "How long a ticket can be used.",
        set: |config, text| {
            let life = value::duration(text);
            let life = life.filter(|life| (Duration::from_secs(1)..=limits::TICKET_LIFE_CONFIGURED).contains(life));
            put(&mut config.dojot.ticket_life, life)
        },
    },
    Setting {
        key: "dojot.ticket_errors",
        default: "close",
        allowed: "`close` or `http`",
        doc: "How a client is told that its ticket does not count: `close` is a WebSocket that closes at once with 4401, which \
              browsers can see, `http` the status 401.",
        set: |config, text| {
            let errors = match text {
                "close" => TicketErrors::Close,
                "http" => TicketErrors::Http,
                _ => return None,
            };
            put(&mut config.dojot.ticket_errors, Some(errors))
        },
    },
    Setting {
        key: "dojot.connection_life",
        default: "2h",
        allowed: "`off`, or a duration such as `2h` or `1d12h`, from one second to 100 years",
        doc: "How long a connection of such a client lives; then it is closed with 4408.",
        set: |config, text| {
            put(
                &mut config.dojot.connection_life,
                value::or("off", text, value::retention_age),
            )
        },
    },
    Setting {
        key: "dojot.token_expiry",
        default: "off",
        allowed: "`on` or `off`",
        doc: "Whether it lives until the token expires that its ticket was fetched with. With `dojot.connection_life` the later of \
              the two counts.",
        set: |config, text| {
            let on = match text {
                "on" => true,
                "off" => false,
                _ => return None,
            };
            put(&mut config.dojot.token_expiry, Some(on))
        },
    },
    Setting {
        key: "metrics.bind",
        default: "127.0.0.1:9090",
        allowed: "`off`, or an IP address and a port, such as `127.0.0.1:9090`; port 0 takes a free one",
        doc: "Where `/metrics` is served, and `/healthz` and `/readyz` once more. It asks for no credentials.",
        set: |config, text| {
            put(
                &mut config.metrics_bind,
                value::or("off", text, |text| text.parse().ok()),
            )
        },
    },
    Setting {
        key: "metrics.tls",
        default: "off",
        allowed: "`on` or `off`",
        doc: "Whether `metrics.bind` speaks TLS too, with the certificates of `tls.certificate`.",
        set: |config, text| put(&mut config.metrics_tls, value::switch(text)),
    },
    Setting {
        key: "limits.connections",
        default: "19000",
        allowed: "a number from 1 to 1000000",
        doc: "Most open connections; more are answered with 503. Fewer are taken if the process may not open as many files.",
        set: |config, text| {
            put(
                &mut config.connections,
                value::number(text, 1, limits::CONNECTIONS_CONFIGURED),
            )
        },
    },
    Setting {
        key: "retention.age",
        default: "7d",
        allowed: "a duration such as `7d`, `12h` or `1d12h`, from one second to 100 years",
        doc: "How long the events of an application are kept, unless `retention.bytes` is reached before.",
        set: |config, text| put(&mut config.retention.age, value::retention_age(text)),
    },
    Setting {
        key: "retention.bytes",
        default: "1GiB",
        allowed: "a size such as `512MiB`, `1GiB` or `2GB`, at least 1MiB",
        doc: "How many bytes of events are kept of each application. The oldest go first.",
        set: |config, text| {
            put(
                &mut config.retention.bytes,
                value::size(text).filter(|bytes| *bytes >= limits::RETAIN_BYTES_LEAST),
            )
        },
    },
    Setting {
        key: "retention.deleted",
        default: "1h",
        allowed: "`off`, or a duration such as `1h`, `30m` or `7d`, from one second to 100 years",
        doc: "How long the log of a deleted application, and over Kafka its topic and what Kafka's tools know of its groups, stay before \
              they are removed. Nobody can read it here meanwhile; it goes at once when an application of the same name is made. With \
              `off` it goes with its application.",
        set: |config, text| {
            let kept = value::or("off", text, value::retention_age).map(Option::unwrap_or_default);
            put(&mut config.retention_deleted, kept)
        },
    },
    Setting {
        key: "groups.expire",
        default: "7d",
        allowed: "`off`, or a duration such as `7d`, `12h` or `1d12h`, from one second to 100 years",
        doc: "How long a group may be without members until it is forgotten. A member that comes later makes a new one, which \
              begins at the end of the log.",
        set: |config, text| put(&mut config.groups_expire, value::or("off", text, value::retention_age)),
    },
    Setting {
        key: "streams.outage",
        default: "5m",
        allowed: "a duration such as `5m`, `30s` or `1h`, from one second to one day",
        doc: "How long streams stay open, with their pings, while events cannot be read (Kafka is away), before they are closed with 1013.",
        set: |config, text| put(&mut config.stream_outage, value::seconds(text, 1..=86_400)),
    },
    Setting {
        key: "octave.session",
        default: "1m",
        allowed: "a duration such as `1m` or `30s`, from one second to one hour",
        doc: "How long a session that `POST /session` has made counts before its first connection, and after its last one.",
        set: |config, text| put(&mut config.octave.session_time, value::seconds(text, 1..=3600)),
    },
    Setting {
        key: "octave.sessions",
        default: "1000",
        allowed: "a number from 1 to 100000",
        doc: "Sessions of one application at once.",
        set: |config, text| put(&mut config.octave.sessions, value::number(text, 1, 100_000)),
    },
    Setting {
        key: "octave.sockets",
        default: "16",
        allowed: "a number from 1 to 1000",
        doc: "Sockets of one session at once.",
        set: |config, text| put(&mut config.octave.connections, value::number(text, 1, 1_000)),
    },
    Setting {
        key: "octave.subscriptions",
        default: "1000",
        allowed: "a number from 1 to 1000",
        doc: "Subscriptions of one socket at once.",
        set: |config, text| {
            put(
                &mut config.octave.subscriptions,
                value::number(text, 1, limits::WS_SUBSCRIPTIONS),
            )
        },
    },
    Setting {
        key: "kafka.brokers",
        default: "off",
        allowed: "`off`, or `host:port` of one or more brokers with commas between them",
        doc: "Keeps events in Apache Kafka instead of the data file: one topic for each application, made if it is not there.",
        set: |config, text| put(&mut config.kafka.brokers, value::or("off", text, value::brokers)),
    },
    Setting {
        key: "kafka.properties",
        default: "off",
        allowed: "`off`, or the path of a file with lines such as `security.protocol=SASL_SSL`",
        doc: "Further properties of the connection, by the names of librdkafka: TLS, passwords. A file that only the server's user \
              can read.",
        set: |config, text| put(&mut config.kafka.properties, value::or("off", text, value::path)),
    },
    Setting {
        key: "kafka.topics",
        default: "drogue",
        allowed: "`drogue`, or a name with `{application}` in it, such as `{application}.device-data`: letters, digits, dots, dashes and \
                  underscores",
        doc: "What topics are called. `drogue` is `events-` and the application, as in Drogue Cloud. With a name of your own, topics \
              that are there already can be read, and several installations can share one Kafka.",
        set: |config, text| put(&mut config.kafka.topics, value::or("drogue", text, value::topics)),
    },
    Setting {
        key: "kafka.json",
        default: "off",
        allowed: "`off`, or where things are, such as `device=metadata.deviceid channel='device-data' time=metadata.timestamp data=attrs`: \
                  paths of fields, texts in quotes, `@key` for the key of the record",
        doc: "Makes events of records that are plain JSON, from programs that know nothing of CloudEvents. Without it such records are \
              skipped and counted.",
        set: |config, text| put(&mut config.kafka.plain, value::or("off", text, PlainJson::parse)),
    },
    Setting {
        key: "kafka.partitions",
        default: "auto",
        allowed: "`auto` or a number from 1 to 1000",
        doc: "Partitions of new topics. `auto` is what the brokers are configured for.",
        set: |config, text| {
            put(
                &mut config.kafka.partitions,
                value::or("auto", text, |text| value::number(text, 1, limits::KAFKA_PARTITIONS)),
            )
        },
    },
    Setting {
        key: "kafka.replicas",
        default: "auto",
        allowed: "`auto` or a number from 1 to 100",
        doc: "Replicas of each partition of new topics. `auto` is what the brokers are configured for.",
        set: |config, text| {
            put(
                &mut config.kafka.replicas,
                value::or("auto", text, |text| value::number(text, 1, limits::KAFKA_REPLICAS)),
            )
        },
    },
    Setting {
        key: "postgres.url",
        default: "off",
        allowed: "`off`, or `postgresql://user@host:port/database`; `?sslmode=disable` behind it for one without TLS",
        doc: "Keeps applications, devices, users and keys in PostgreSQL instead of the data file. A password may be in it \
              (`user:password@`), if it is given by variable or file. One on another machine has to speak TLS.",
        set: |config, text| {
            put(
                &mut config.postgres.url,
                value::or("off", text, value::postgres).map(Option::unwrap_or_default),
            )
        },
    },
    Setting {
        key: "postgres.password",
        default: "off",
        allowed: "`off`, or the path of a file",
        doc: "The password, in a file that only the server's user can read.",
        set: |config, text| put(&mut config.postgres.password, value::or("off", text, value::path)),
    },
    Setting {
        key: "postgres.ca",
        default: "off",
        allowed: "`off`, or the path of a PEM file",
        doc: "Certificates that lead to the one of PostgreSQL, if its authority is not one that the system trusts.",
        set: |config, text| put(&mut config.postgres.authority, value::or("off", text, value::path)),
    },
    Setting {
        key: "postgres.certificate",
        default: "off",
        allowed: "`off`, or the path of a PEM file",
        doc: "A certificate by which PostgreSQL knows this server.",
        set: |config, text| put(&mut config.postgres.certificate, value::or("off", text, value::path)),
    },
    Setting {
        key: "postgres.key",
        default: "off",
        allowed: "`off`, or the path of a PEM file",
        doc: "Key of `postgres.certificate`, not encrypted: a file that only the server's user can read.",
        set: |config, text| put(&mut config.postgres.key, value::or("off", text, value::path)),
    },
    Setting {
        key: "log.format",
        default: "text",
        allowed: "`text` or `json`",
        doc: "Form of the log on standard error.",
        set: |config, text| {
            let format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return None,
            };
            put(&mut config.log.format, Some(format))
        },
    },
    Setting {
        key: "log.level",
        default: "info",
        allowed: "`error`, `warn`, `info`, `debug`, `trace` or `off`, and exceptions such as `info,sockeye_delivery=debug`",
        doc: "How much is logged.",
        set: |config, text| put(&mut config.log.level, value::log_level(text)),
    },
];

// ----------------------------------------------------------------------------------------------

impl Setting {
    /// Its environment variable: `SOCKEYE_HTTP_BIND`.
    pub(crate) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name().replace('.', "_").to_uppercase())
    }

    /// Its flag, without the dashes before it: `http-bind`.
    pub(crate) fn flag(&self) -> String {
        self.name().replace(['.', '_'], "-")
    }

    /// Whether its value may hold a password: then no message repeats it.
    pub(crate) fn is_secret(&self) -> bool {
        self.key == "postgres.url"
    }

    /// What a table is mainly about is called like the table outside the file: `--kafka`, `--postgres`.
    fn name(&self) -> &'static str {
        match self.key {
            "kafka.brokers" => "kafka",
            "postgres.url" => "postgres",
            key => key,
        }
    }
}

/// What the names of all environment variables of Sockeye begin with.
pub(crate) const VARIABLE_PREFIX: &str = "SOCKEYE_";

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}
