//! The configuration: every wrong value in one answer, what counts more than what, and the template.
//!
//! Runs once: no server runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};
use sockeye_server::{Config, ConfigErrors, Flags, LogFormat, Sources, template};

/// Sources as text: a file, variables, flags.
fn read(folder: &Path, file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigErrors> {
    let path = folder.join("sockeye.toml");
    std::fs::write(&path, file).unwrap();
    Config::read(&Sources {
        file: Some(path),
        environment: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        other_variables: ["SOCKEYE_URL", "SOCKEYE_DATA"].map(str::to_owned).into(),
        flags: parse(flags),
    })
}

fn parse(flags: &[&str]) -> Flags {
    let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
    Flags::from_arg_matches(&command.try_get_matches_from(flags).unwrap()).unwrap()
}

#[test]
fn nothing_configured_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(folder.path(), "", &[], &[]).unwrap(), Config::default());
    assert_eq!(Config::read(&Sources::default()).unwrap(), Config::default());
}

#[test]
fn flags_count_more_than_the_environment_and_that_more_than_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[http]\nbind = \"127.0.0.1:1\"\n";
    let variable: &[_] = &[("SOCKEYE_HTTP_BIND", "127.0.0.1:2")];
    let flag: &[_] = &["--http-bind", "127.0.0.1:3"];
    for (file, variables, flags, port) in [
        ("", &[][..], &[][..], 8080),
        (file, &[], &[], 1),
        (file, variable, &[], 2),
        (file, variable, flag, 3),
        (file, &[], flag, 3),
        ("", variable, flag, 3),
        ("", &[], &["--http-bind", "127.0.0.1:3", "--http-bind=127.0.0.1:4"], 4),
    ] {
        let config = read(folder.path(), file, variables, flags).unwrap();
        assert_eq!(config.http_bind.port(), port, "{file:?} {variables:?} {flags:?}");
    }
}

#[test]
fn each_source_sets_every_kind_of_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"
        data = "/var/lib/sockeye"
        cores = 3
        drain = "1m"
        metrics.bind = "off"
        groups.expire = "30d"
        limits = { connections = 1_000 }
        oidc = { issuers = "https://id.example/a https://id.example/b", shapes = "keycloak dex", token_grace = "5s" }
        kafka.brokers = "kafka-1:9092,kafka-2:9092"
        kafka.partitions = 12
        metrics.tls = "on"
        tls = { certificate = "a.pem, b.pem", key = "a.key,b.key" }
        proxy = { trusted = "10.0.0.0/8 ::1", speaks = "proxy-protocol" }
        kafka.topics = "{application}.device-data"
        kafka.json = "device=@key channel='c'"
        postgres = { url = "postgresql://u:hush@db/sockeye", ca = "ca.pem" }
        [retention]
        age = "1d12h"
        bytes = "2GB"
        [log]
        format = "json"
        level = "info,sockeye_delivery=debug"
    "#;
    let from_file = read(folder.path(), file, &[], &[]).unwrap();
    let variables = [
        ("SOCKEYE_DATA", "/var/lib/sockeye"),
        ("SOCKEYE_CORES", "3"),
        ("SOCKEYE_DRAIN", "60s"),
        ("SOCKEYE_METRICS_BIND", "off"),
        ("SOCKEYE_GROUPS_EXPIRE", "30d"),
        ("SOCKEYE_LIMITS_CONNECTIONS", "1000"),
        ("SOCKEYE_OIDC_ISSUERS", "https://id.example/a https://id.example/b"),
        ("SOCKEYE_OIDC_SHAPES", "keycloak  dex"),
        ("SOCKEYE_OIDC_TOKEN_GRACE", "5s"),
        ("SOCKEYE_KAFKA", "kafka-1:9092,kafka-2:9092"),
        ("SOCKEYE_KAFKA_PARTITIONS", "12"),
        ("SOCKEYE_METRICS_TLS", "on"),
        ("SOCKEYE_TLS_CERTIFICATE", "a.pem,b.pem"),
        ("SOCKEYE_TLS_KEY", "a.key,b.key"),
        ("SOCKEYE_PROXY_TRUSTED", "10.0.0.0/8  ::1"),
        ("SOCKEYE_PROXY_SPEAKS", "proxy-protocol"),
        ("SOCKEYE_KAFKA_TOPICS", "{application}.device-data"),
        ("SOCKEYE_KAFKA_JSON", "device=@key  channel='c'"),
        ("SOCKEYE_POSTGRES", "postgresql://u:hush@db/sockeye"),
        ("SOCKEYE_POSTGRES_CA", "ca.pem"),
        ("SOCKEYE_RETENTION_AGE", "36h"),
        ("SOCKEYE_RETENTION_BYTES", "2000000000"),
        ("SOCKEYE_LOG_FORMAT", "json"),
        ("SOCKEYE_LOG_LEVEL", "info,sockeye_delivery=debug"),
    ];
    let from_environment = read(folder.path(), "", &variables, &[]).unwrap();
    let flags: Vec<_> = variables
        .iter()
        .map(|(name, value)| {
            format!(
                "{}={value}",
                name.replace("SOCKEYE_", "--").replace('_', "-").to_lowercase()
            )
        })
        .collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let from_flags = read(folder.path(), "", &[], &flags).unwrap();
    assert_eq!(from_file, from_environment);
    assert_eq!(from_file, from_flags);
    assert_eq!(from_file.cores, Some(3));
    assert_eq!(from_file.metrics_bind, None);
    assert_eq!(from_file.groups_expire.map(|time| time.as_secs()), Some(30 * 24 * 3600));
    assert_eq!(from_file.oidc.issuers[1], "https://id.example/b");
    assert_eq!(from_file.log.format, LogFormat::Json);
    assert_eq!(from_file.tls.keys.len(), 2);
    assert_eq!(from_file.proxy.trusted.len(), 2);
    assert_eq!(from_file.kafka.partitions, Some(12));
    assert_eq!(from_file.kafka.topics.as_deref(), Some("{application}.device-data"));
    assert!(from_file.kafka.plain.is_some());
    assert_eq!(from_file.postgres.url, "postgresql://u:hush@db/sockeye");
    assert!(!format!("{from_file:?}").contains("hush"), "no secret is shown");
    assert_eq!(from_file.retention.age.as_secs(), 36 * 3600);
}

#[test]
fn a_value_that_may_hold_a_password_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [("SOCKEYE_POSTGRES", "mysql://u:hush@db/sockeye")];
    let said = read(folder.path(), "", &wrong, &[]).unwrap_err().to_string();
    assert!(
        said.contains("SOCKEYE_POSTGRES") && said.contains("postgresql://"),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");
}

/// One line of the answer for each thing that is wrong, in one go, by the name and place at which it was given.
#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        "dta = \"x\"\ncores = 0\n[http]\nbind = \"localhost\"\nport = 1\n[retention]\nage = [1]\nbytes = 0xFFFFFFF\n";
    let variables = [
        ("SOCKEYE_DRAIN", "10"),
        ("SOCKEYE_HTTP_BIN", "127.0.0.1:1"),
        ("SOCKEYE_ZZZ", "1"),
        ("SOCKEYE_OIDC_ISSUERS", "http://id.example"),
        ("SOCKEYE_OIDC_SHAPES", "keycloak okta"),
        ("SOCKEYE_URL", "another command's"),
        ("SOCKEYE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("SOCKEYE_SERVICE_HOST", "10.0.0.1"),
        ("HOME", "not ours"),
    ];
    let flags = [
        "--log-level",
        "inof",
        "--metrics-bind",
        "9090",
        "--limits-connections",
        "-1",
        "--oidc-admin-role",
        "two words",
        "--oidc-token-grace",
        "5",
    ];
    let said = read(folder.path(), file, &variables, &flags).unwrap_err().to_string();
    let path = folder.path().join("sockeye.toml");
    let in_file = |line: usize, rest: &str| format!("{}:{line}: {rest}", path.display());
    let expected = [
        in_file(1, "dta: there is no such setting; did you mean `data`?"),
        in_file(2, "cores: `0` is not allowed; give `auto` or a number from 1 to 256"),
        in_file(
            4,
            "http.bind: `localhost` is not allowed; give an IP address and a port",
        ),
        in_file(5, "http.port: there is no such setting"),
        in_file(7, "retention.age: `[1]` is not allowed; give a duration"),
        in_file(8, "retention.bytes: `0xFFFFFFF` is not allowed; give a size"),
        "SOCKEYE_DRAIN: `10` is not allowed; give a duration such as `10s`".to_owned(),
        "SOCKEYE_HTTP_BIN: there is no such setting; did you mean `SOCKEYE_HTTP_BIND`?".to_owned(),
        "SOCKEYE_ZZZ: there is no such setting\n".to_owned(),
        "SOCKEYE_OIDC_ISSUERS: `http://id.example` is not allowed; give `off`, or up to 8 URLs".to_owned(),
        "SOCKEYE_OIDC_SHAPES: `keycloak okta` is not allowed; give `keycloak`, `dex` or `entra`".to_owned(),
        "--oidc-admin-role: `two words` is not allowed; give `off`, or the name of a role".to_owned(),
        "--oidc-token-grace: `5` is not allowed; give a duration such as `0s`".to_owned(),
        "--log-level: `inof` is not allowed; give `error`, `warn`".to_owned(),
        "--metrics-bind: `9090` is not allowed; give `off`, or an IP address".to_owned(),
        "--limits-connections: `-1` is not allowed; give a number from 1".to_owned(),
    ];
    for line in &expected {
        assert!(said.contains(&format!("\n  {line}")), "`{line}` is missing in:\n{said}");
    }
    assert_eq!(
        said.lines().count(),
        expected.len() + 2,
        "nothing else is wrong:\n{said}"
    );
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let said = read(folder.path(), "cores = 1\ndrain = 10s\n= 3\n", &[], &[])
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("sockeye.toml:2: ") && said.contains("sockeye.toml:3: "),
        "{said}"
    );
    let missing = Sources {
        file: Some(folder.path().join("none.toml")),
        ..Sources::default()
    };
    let said = Config::read(&missing).unwrap_err().to_string();
    assert!(said.contains("none.toml: the file cannot be read"), "{said}");
}

#[test]
fn a_wrong_value_is_said_even_if_another_source_overrides_it() {
    let folder = tempfile::tempdir().unwrap();
    let said = read(folder.path(), "cores = \"many\"", &[], &["--cores", "2"])
        .unwrap_err()
        .to_string();
    assert!(said.contains("cores: `many`"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_said() {
    use std::os::unix::ffi::OsStringExt as _;

    let environment = vec![("SOCKEYE_DATA".into(), std::ffi::OsString::from_vec(vec![b'x', 0xFF]))];
    let said = Config::read(&Sources {
        environment,
        ..Sources::default()
    })
    .unwrap_err()
    .to_string();
    assert!(said.contains("SOCKEYE_DATA: the value is not UTF-8"), "{said}");
}

/// The template with every setting switched on says the same as the template as it is: nothing.
#[test]
fn the_template_shows_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let template = template();
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let settings = template.lines().filter(is_setting).count();
    assert!(settings > 30, "{template}");
    assert!(template.lines().all(|line| line.len() <= 100), "{template}");
    let switch_on = |line| if is_setting(&line) { &line[1..] } else { line };
    let on = template.lines().map(switch_on).collect::<Vec<_>>().join("\n");
    for file in [&template, &on] {
        assert_eq!(
            read(folder.path(), file, &[], &[]).unwrap(),
            Config::default(),
            "{file}"
        );
    }
}
