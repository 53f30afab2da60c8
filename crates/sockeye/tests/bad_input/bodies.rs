//! Bodies that are not what they should be: none of it is stored.

use std::io::Write as _;

use sockeye_limits as limits;

use crate::raw::{self, JSON, RawSocket, basic, check, device, publish};
use crate::support::{APP, Server};

/// None of this is in the log afterwards, and what is right still gets there.
#[test]
fn events_that_are_refused_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let mut stream = RawSocket::open(&server, APP, &server.admin());
    let device = device();
    let login = [device.as_str(), JSON];
    let too_long = "1".repeat(limits::EVENT_PAYLOAD + 1);
    let too_deep = "[".repeat(10_000);
    let not_json = "the payload is not JSON at byte";
    for (body, message) in [
        ("{", "at byte 1"),
        ("", "at byte 0"),
        ("{\"a\":1}}", not_json),
        ("{'a':1}", not_json),
        ("NaN", not_json),
        ("01", not_json),
        ("\"\u{1}\"", not_json),
        ("\"\\ud800\"", not_json),
        (&too_deep, not_json),
    ] {
        check(&server, &("POST /v1/c", &login, body, 406, "Rejected", message));
        check(
            &server,
            &("POST /v1/c", &login, body, 406, "Rejected", "`application/json`"),
        );
    }
    let suffixed = [device.as_str(), "content-type: application/vnd.x+json"];
    check(
        &server,
        &(
            "POST /v1/c",
            &suffixed,
            "x",
            406,
            "Rejected",
            "`application/vnd.x+json`",
        ),
    );
    for schema in ["nope", "", "a%20b:c", "//host/path", "http://[::1", "urn:%00"] {
        let call = format!("POST /v1/c?data_schema={schema}");
        check(&server, &(&call, &login, "1", 400, "BadRequest", "`data_schema` must"));
    }
    let batch = [device.as_str(), "content-type: application/cloudevents-batch+json"];
    let good = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":1}"#;
    for (body, status, error, message) in [
        (format!("[{good},"), 406, "Rejected", "JSON"),
        (format!("[{good},{{}}]"), 400, "BadRequest", "event 1"),
        (
            format!("[{good},{}]", good.replace("\"1\"", "\"\"")),
            400,
            "BadRequest",
            "event 1",
        ),
        (
            format!("[{good},{}]", good.replace("\"s\"", "\"s\",\"dataschema\":\"nope\"")),
            400,
            "BadRequest",
            "dataschema",
        ),
        (
            "1".repeat(limits::EVENT_BATCH + 1),
            413,
            "PayloadTooLarge",
            "1048576 bytes",
        ),
    ] {
        check(&server, &("POST /v1/c", &batch, &body, status, error, message));
    }
    let chunked = format!("10001\r\n{too_long}\r\n0\r\n\r\n");
    for case in [
        (
            "POST /v1/c",
            &login[..],
            too_long.as_str(),
            413,
            "PayloadTooLarge",
            "65536 bytes",
        ),
        (
            "POST /v1/c",
            &[&device, JSON, "content-length: 999999999999"],
            "",
            413,
            "PayloadTooLarge",
            "65536 bytes",
        ),
        (
            "POST /v1/c",
            &[&device, "transfer-encoding: chunked"],
            &chunked,
            413,
            "PayloadTooLarge",
            "65536 bytes",
        ),
        (
            "POST /v1/c",
            &[&device, "transfer-encoding: chunked"],
            "no length\r\n",
            400,
            "PayloadError",
            "body",
        ),
        (
            "POST /v1/c",
            &[&device, "content-encoding: gzip"],
            "x",
            415,
            "UnsupportedMediaType",
            "`gzip`",
        ),
        ("POST /v1/c?ct=soon", &login, "1", 400, "BadRequest", "`ct`"),
        (
            "POST /v1/c",
            &[&device, JSON, JSON],
            "1",
            400,
            "BadRequest",
            "`Content-Type` is there twice",
        ),
    ] {
        check(&server, &case);
    }
    // Who breaks off hears nothing.
    let broken = format!("POST /v1/c HTTP/1.1\r\nhost: h\r\n{device}\r\ncontent-length: 5\r\n\r\n1");
    raw::connect(&server).write_all(broken.as_bytes()).unwrap();
    assert_eq!(publish(&server, "\"right\"").status, 202);
    assert_eq!(stream.event(), "right", "nothing came before it");
}

#[test]
fn documents_that_are_refused_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = basic(&server.admin());
    let login = [admin.as_str(), JSON];
    let call = "POST /api/registry/v1alpha1/apps";
    let too_long = format!(
        "{{\"metadata\":{{\"name\":\"x\"}},\"spec\":{{\"a\":\"{}\"}}}}",
        "a".repeat(limits::REGISTRY_DOCUMENT)
    );
    for case in [
        (call, &login[..], "{", 400, "BadRequest", "Json deserialize error"),
        (
            call,
            &login,
            "{\"metadata\":{\"name\":\"x\",\"colour\":1}}",
            400,
            "BadRequest",
            "`colour`",
        ),
        (
            call,
            &login,
            "{\"metadata\":{\"name\":\"x\",\"labels\":7}}",
            400,
            "BadRequest",
            "line 1 column 34",
        ),
        (call, &login, &too_long, 413, "PayloadTooLarge", "65536 bytes"),
        (
            call,
            &[&admin],
            "{\"metadata\":{\"name\":\"x\"}}",
            415,
            "UnsupportedMediaType",
            "`Content-Type: application/json`",
        ),
        (
            call,
            &login,
            "{\"metadata\":{\"name\":\"app\"}}",
            409,
            "Conflict",
            "app",
        ),
    ] {
        check(&server, &case);
    }
    let call = format!("POST /api/registry/v1alpha1/apps/{APP}/devices");
    for section in ["authentication", "credentials"] {
        for (credentials, message) in [
            (r#"[{"pass":7}]"#, "entry 0"),
            (r#"[{"pass":"a"},{"what":1}]"#, "entry 1"),
            (r#"[{"pass":{"bcrypt":"nonsense"}}]"#, "$2b$<cost>$"),
        ] {
            let spec = format!("{{\"{section}\":{{\"credentials\":{credentials}}}}}");
            let document = format!("{{\"metadata\":{{\"application\":\"{APP}\",\"name\":\"x\"}},\"spec\":{spec}}}");
            check(&server, &(&call, &login, &document, 400, "BadRequest", message));
            let field = format!("`spec.{section}.credentials` entry");
            check(&server, &(&call, &login, &document, 400, "BadRequest", &field));
        }
    }
    assert_eq!(server.cli_ok(&["app", "list"]).lines().count(), 1);
    assert_eq!(server.cli_ok(&["device", "list", APP]).lines().count(), 1);
}
