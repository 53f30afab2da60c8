//! A Kafka of the test's own starts, dies, and comes back with what it had.

use std::net::TcpStream;

use sockeye_parts::kafka::{self, Kafka};

#[test]
fn a_killed_kafka_comes_back_with_its_topics() {
    let Some(mut kafka) = Kafka::start_or_say().unwrap() else {
        return;
    };
    let topics = |kafka: &Kafka, arguments: &[&str]| {
        let mut command = kafka.tool("org.apache.kafka.tools.TopicCommand");
        let output = command
            .args(["--bootstrap-server", &kafka.bootstrap()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    topics(&kafka, &["--create", "--topic", "kept"]);
    kafka.kill().unwrap();
    TcpStream::connect(kafka.bootstrap()).expect_err("it is gone");
    kafka.start_again().unwrap();
    assert!(topics(&kafka, &["--list"]).lines().any(|line| line == "kept"));
}

#[test]
fn tests_share_one() {
    let Some(one) = kafka::shared().unwrap() else { return };
    let two = kafka::shared().unwrap().expect("it is there");
    assert_eq!(one.bootstrap(), two.bootstrap());
    TcpStream::connect(one.bootstrap()).expect("it runs");
}
