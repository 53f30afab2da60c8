//! `sockeye filter`.

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Output, Stdio},
};

use support::{APP, DEVICE, PASSWORD, Server, sockeye};

fn filter(words: &[&str], lines: &[u8]) -> Output {
    let mut command = sockeye();
    command.arg("filter").args(words);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let lines = lines.to_vec();
    // What it does not read is no error here.
    let writer = std::thread::spawn(move || stdin.write_all(&lines).is_ok());
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    output
}

fn check(words: &[&str], lines: &str, printed: &str, said: &str) {
    let output = filter(words, lines.as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{words:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), said, "{words:?}");
    assert_eq!(output.status.code(), Some(0), "{words:?}");
}

#[test]
fn what_would_be_sent_is_printed_as_it_came() {
    let lines = "{ \"a\": 1.50 }\n\n{\"a\":2}\r\n{}\n[]\n1\n[{\"a\":3}]\n{\"b\":1e3}";
    check(
        &["--where", "a=nin:2"],
        lines,
        "{ \"a\": 1.50 }\n[{\"a\":3}]\n{\"b\":1e3}\n",
        "",
    );
    check(&["--where", "a=1.5", "--fields", "a,b"], lines, "{\"a\":1.50}\n", "");
    check(&["--fields", "a"], lines, "{\"a\":1.50}\n{\"a\":2}\n[{\"a\":3}]\n", "");
    check(&["--where", "-a=1"], "{\"-a\":1}", "{\"-a\":1}\n", "");
}

#[test]
fn lines_that_are_no_json_are_left_out_and_told() {
    let deep = "[".repeat(10_000);
    let lines = format!("{{\"a\":1}}\nno\n{{\"a\":1}}\n{deep}\n{{\"a\":\"\\ud800\"}}\n");
    let said = "3 of 5 lines were left out; line 2 is not JSON at byte 0: expected `null`\n";
    check(&["--where", "a=has:true"], &lines, "{\"a\":1}\n{\"a\":1}\n", said);
    let output = filter(&["--where", "a=has:true"], b"{\"a\":\"\xff\"}\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected UTF-8"));
}

#[test]
fn a_large_message_harms_nobody() {
    let lines = format!("{{\"a\":\"{}\",\"b\":1}}\n", "x".repeat(10 << 20));
    check(&["--where", "a=re:(x+x+)+y;b=1"], &lines, "", "");
    check(&["--where", "a=re:^x+$", "--fields", "b"], &lines, "{\"b\":1}\n", "");
}

/// Of a stream that goes on, what has come is printed.
#[test]
fn what_comes_slowly_is_printed_at_once() {
    let mut command = sockeye();
    command.args(["filter", "--where", "a=has:true"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut printed = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for number in 0..3 {
        writeln!(stdin, "{{\"a\":{number}}}").expect("it reads");
        assert_eq!(
            printed.next().expect("a line").expect("text"),
            format!("{{\"a\":{number}}}")
        );
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_filter_that_is_wrong_ends_with_status_2_and_shows_the_place() {
    for (words, said) in [
        (
            &["--where", "a="][..],
            "4000 INVALID_SYNTAX: the end at 2, expected a value; `\"\"` is the empty text\n--where a=\n          ^\n",
        ),
        (
            &["--where", "é=gt:1,2"],
            "4003 INVALID_OPERATOR_ARITY: 2 values for 'gt' at 3, expected one; a `,` within a value needs double quotes around it\n\
             --where é=gt:1,2\n          ^\n",
        ),
        (
            &["--where", "a=1", "--fields", "a,,b"],
            "4000 INVALID_SYNTAX: ',' at 2, expected a name or `*`\n--fields a,,b\n           ^\n",
        ),
        (
            &["--explain", "--where", "a=in:\"\\q\""],
            "4002 INVALID_ESCAPE_VALUE: '\\q' at 6, expected one of \\\" \\\\ \\b \\f \\n \\r \\t\n--where a=in:\"\\q\"\n              ^\n",
        ),
    ] {
        let output = filter(words, b"{\"a\":1}\n");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), said, "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

/// The same language at the server: which events, and what of them.
#[test]
fn a_stream_is_filtered_by_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_device(folder.path());
    let publish = [
        "publish",
        APP,
        "c",
        r#"{"n":1.50,"m":1}"#,
        r#"{"n":7,"m":2}"#,
        r#"{"n":"8","o":3}"#,
    ];
    server.cli_ok(&[&publish[..], &["--device", DEVICE, "--password", PASSWORD]].concat());
    let stream = ["stream", APP, "--from", "earliest", "--events", "2"];
    let of_both = ["--where", "n=gt:5;ce.device=is:dev", "--fields", "n"];
    let events = server.cli_ok(&[&stream[..], &of_both].concat());
    let data: Vec<_> = events
        .lines()
        .map(|line| line.split_once("\"data\":").expect("it has a payload").1)
        .map(|rest| rest.split_once('}').expect("it is an object").0)
        .collect();
    assert_eq!(data, [r#"{"n":7"#, r#"{"n":"8""#], "{events}");

    let refused = server.cli(&["stream", APP, "--where", "n=over:5"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("`where` is wrong: INVALID_OPERATOR: 'over' at 2"),
        "{said}"
    );
    assert!(!refused.status.success());
}
