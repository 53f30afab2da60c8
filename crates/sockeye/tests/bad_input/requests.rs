//! Requests that must not be carried out, on every part of the port: devices, clients, operators.

use std::io::Write as _;

use serde_json::Value;
use sockeye_limits as limits;

use crate::raw::{self, JSON, ask, basic, check, device, exchange};
use crate::support::{APP, DEVICE, PASSWORD, Server};

/// What makes a request for a stream a WebSocket handshake.
const UPGRADE: [&str; 3] = [
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[test]
fn paths_and_methods_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = basic(&server.admin());
    let login = [admin.as_str()];
    for case in [
        (
            "POST /",
            &login[..],
            "",
            404,
            "NotFound",
            "devices publish at /v1/<channel>",
        ),
        ("GET /a/b/c", &login, "", 404, "NotFound", "`/a/b/c`"),
        ("GET /v1", &[], "", 404, "NotFound", "POST /v1/<channel>"),
        ("POST /v1/", &[], "", 404, "NotFound", "POST /v1/<channel>"),
        ("GET /api/", &login, "", 404, "NotFound", "the API is below /api"),
        (
            "GET /api/registry/v2/apps",
            &login,
            "",
            404,
            "NotFound",
            "`/api/registry/v2/apps`",
        ),
        ("GET /%ff", &login, "", 404, "NotFound", "/<application>/<channel>"),
        (
            "GET /metrics",
            &login,
            "",
            404,
            "NotFound",
            "`metrics` is no application",
        ),
        ("POST /ttn/v3", &[], "{}", 501, "NotImplemented", "/v1/<channel>"),
        ("GET /v1/c", &[], "", 405, "MethodNotAllowed", "publish with POST"),
        ("BREW /v1/c", &[], "", 405, "MethodNotAllowed", "publish with POST"),
        ("DELETE /app", &login, "", 405, "MethodNotAllowed", "with GET"),
        ("POST /app/c", &login, "{}", 405, "MethodNotAllowed", "with GET"),
        (
            "PATCH /api/registry/v1alpha1/apps",
            &login,
            "",
            405,
            "MethodNotAllowed",
            "`Allow`",
        ),
        ("DELETE /readyz", &[], "", 405, "MethodNotAllowed", "`Allow`"),
    ] {
        check(&server, &case);
    }
}

#[test]
fn credentials_that_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = basic(&server.admin());
    let (name, key) = server
        .admin()
        .split_once(':')
        .map(|(name, key)| (name.to_owned(), key.to_owned()))
        .unwrap();
    let bearer = format!("authorization: Bearer {}", server.admin());
    let app = format!("GET /{APP}");
    let with_key = format!("{app}?username={name}&api_key={key}");
    let with_token = format!("{app}?token={name}:{key}");
    let both = format!("{with_token}&username={name}&api_key={key}");
    let two = "More than one way of authentication";
    for (request, headers, status, message) in [
        (&with_key, &[admin.as_str()][..], 400, two),
        (&with_token, &[&bearer], 400, two),
        (&both, &[], 400, two),
        (&app, &[&admin, &bearer], 400, two),
        (
            &format!("{app}?username={name}"),
            &[],
            400,
            "`username` needs `api_key`",
        ),
        (
            &format!("{with_token}&token=x"),
            &[],
            400,
            "`token` is given more than once",
        ),
        (&app, &["authorization: "], 401, "`Basic` or `Bearer`"),
        (&app, &["authorization: Basic"], 401, "`Basic` or `Bearer`"),
        (&app, &["authorization: Digest x"], 401, "`Basic` or `Bearer`"),
        (&app, &["authorization: Basic !!"], 401, "base64"),
        (&app, &["authorization: Basic YWJj"], 401, "no colon"),
        (&app, &[&basic("admin:")], 401, "No access token provided"),
        (&app, &[&basic(":drg_x")], 401, "no user name"),
        (&app, &["authorization: Bearer abc"], 401, "not accepted"),
        (
            &app,
            &[&basic("admin:drg_012345_01234567890123456789012345678920BetF")],
            401,
            "is wrong",
        ),
    ] {
        let error = if status == 400 { "BadRequest" } else { "Unauthorized" };
        let headers = [&UPGRADE[..], headers].concat();
        check(&server, &(request, &headers, "", status, error, message));
    }
    let apps = "GET /api/registry/v1alpha1/apps";
    for (headers, status, error, message) in [
        (&[][..], 401, "NotAuthorized", "needs credentials"),
        (&["authorization: Basic !!"], 401, "NotAuthorized", "base64"),
        (&[&admin, &bearer], 400, "BadRequest", two),
    ] {
        check(&server, &(apps, headers, "", status, error, message));
    }
    let device = device();
    let failed = "AuthenticationError";
    for (request, headers, message) in [
        ("POST /v1/c", &[][..], "no credentials: use `Authorization: Basic`"),
        ("POST /v1/c", &[device.as_str(), &bearer], "More than one"),
        ("POST /v1/c", &[&bearer], "not with a bearer token"),
        ("POST /v1/c", &["authorization: Basic !!"], "base64"),
        ("POST /v1/c", &[&basic("dev:pw")], "<device>@<application>"),
        ("POST /v1/c?application=app", &[&device], "Authentication failed"),
        ("POST /v1/c?as=other", &[&device], "Authentication failed"),
    ] {
        check(&server, &(request, headers, "1", 403, failed, message));
    }
}

#[test]
fn names_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let (admin, device) = (basic(&server.admin()), device());
    let long = |most: usize| "x".repeat(most + 1);
    let too_long = long(limits::APPLICATION_NAME);
    let mut applications = vec![
        ("", "1 to 63"),
        ("Upper", "lower-case"),
        ("a_b", "hyphens"),
        ("a-", "either end"),
    ];
    applications.push((&too_long, "1 to 63"));
    applications.extend(
        limits::RESERVED_APPLICATION_NAMES
            .iter()
            .map(|name| (*name, "a path of the server itself")),
    );
    for (name, message) in applications {
        let document = format!("{{\"metadata\":{{\"name\":\"{name}\"}}}}");
        let call = "POST /api/registry/v1alpha1/apps";
        check(&server, &(call, &[&admin, JSON], &document, 400, "BadRequest", message));
        check(
            &server,
            &(call, &[&admin, JSON], &document, 400, "BadRequest", "`metadata.name`"),
        );
    }
    for name in ["", "a\\u0000b", "\\n", &long(limits::DEVICE_NAME)] {
        let document = format!("{{\"metadata\":{{\"application\":\"{APP}\",\"name\":\"{name}\"}}}}");
        let call = format!("POST /api/registry/v1alpha1/apps/{APP}/devices");
        check(
            &server,
            &(
                &call,
                &[&admin, JSON],
                &document,
                400,
                "BadRequest",
                "`metadata.name`: the name of a device",
            ),
        );
    }
    for name in ["%00", "%0a", "%ff", &long(limits::CHANNEL_NAME)] {
        let call = format!("POST /v1/{name}");
        check(&server, &(&call, &[&device, JSON], "1", 400, "BadRequest", "channel"));
    }
    // Nothing is called so, and whoever asks learns no more.
    for name in ["Upper", "api", &too_long] {
        let headers = [&UPGRADE[..], &[admin.as_str()]].concat();
        let message = match name {
            "api" => "`api` is no application".to_owned(),
            name => format!("Resource not found: Application / {name}"),
        };
        check(
            &server,
            &(&format!("GET /{name}"), &headers, "", 404, "NotFound", &message),
        );
    }
}

/// What is not even HTTP, or is over its limits: the connection ends, at best with a status, and the server goes on.
#[test]
fn bytes_that_are_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let long = "a".repeat(2 * limits::HTTP_HEAD);
    for (bytes, status) in [
        (&b"nonsense\r\n\r\n"[..], 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), // TLS
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nhost: h\r\na b: c\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nhost: h\r\nx: \0\r\n\r\n", 400),
        (
            b"POST /v1/c HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
            400,
        ),
        (b"POST /v1/c HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n", 400),
        (
            format!("GET /healthz HTTP/1.1\r\nhost: h\r\nx: {long}\r\n\r\n").as_bytes(),
            431,
        ),
        // 64 KiB are no URI for hyper, which says so; fewer are a head that is too long.
        (format!("GET /{long} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes(), 414),
        (
            format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", &long[..limits::HTTP_HEAD]).as_bytes(),
            431,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nhost: h\r\n{}\r\n", "x: y\r\n".repeat(200)).as_bytes(),
            431,
        ),
    ] {
        let answer = exchange(&server, bytes);
        let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert_eq!(answer.status, status, "{sent}");
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{sent}: {}", answer.body));
        assert!(
            body["error"].is_string() && body["message"].is_string(),
            "{sent}: {body}"
        );
    }
    // Two lengths that contradict each other are how requests are smuggled (RFC 9112 section 6.1): only one is obeyed, and
    // the connection ends behind the request.
    let smuggled = format!(
        "POST /v1/c HTTP/1.1\r\nhost: h\r\n{}\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n",
        device()
    );
    assert!(
        !exchange(&server, smuggled.as_bytes()).body.contains("alive"),
        "one answer"
    );
    let mut http2 = raw::connect(&server);
    http2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    raw::rest(&mut http2);
    let login = basic(&format!("{DEVICE}@{APP}:{PASSWORD}"));
    assert_eq!(
        ask(&server, "POST /v1/c", &[&login], b"1").status,
        202,
        "the server goes on"
    );
}
