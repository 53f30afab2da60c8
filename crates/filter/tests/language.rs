//! The language, row by row: what the decisions of compat/dojot.md make of its sections 3.4, 4.1-4.5, and the marks "do not
//! copy".

use std::borrow::Cow;

use sockeye_filter::{Code, Fields, Filter, Scratch, Shape, View};
use sockeye_limits as limits;

fn check(filter: &str, message: &str, passes: bool) {
    let filter = Filter::parse(filter, Shape::Document).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let passed = filter.passes(message.as_bytes(), &mut Scratch::default());
    assert_eq!(passed, passes, "{filter} of {message}");
}

fn check_all(filter: &str, messages: &[(&str, bool)]) {
    for (message, passes) in messages {
        check(filter, message, *passes);
    }
}

#[test]
fn numbers_compare_as_javascript_converts_them() {
    check_all(
        "t=eq:5;",
        &[
            (r#"{"t":5}"#, true),
            (r#"{"t":5.0}"#, true),
            (r#"{"t":0.5e1}"#, true),
            (r#"{"t":"5"}"#, true),
            (r#"{"t":" 0x5\n"}"#, true),
            (r#"{"t":"\u0035"}"#, true),
            (r#"{"t":"5x"}"#, false),
            (r#"{"t":[5]}"#, false),
            (r#"{"t":{"t":5}}"#, false),
            (r#"{"t":null}"#, false),
            ("{}", false),
            ("[5]", false),
            ("5", false),
            ("", false),
        ],
    );
    check_all(
        "t=0;",
        &[
            (r#"{"t":""}"#, true),
            (r#"{"t":[]}"#, true),
            (r#"{"t":[ ]}"#, true),
            (r#"{"t":false}"#, true),
        ],
    );
    check_all(
        "t=neq:5;",
        &[
            (r#"{"t":4}"#, true),
            (r#"{"t":"x"}"#, false),
            ("{}", false),
            (r#"{"t":true}"#, true),
        ],
    );
    check_all("t=lt: ;", &[(r#"{"t":-1}"#, true), (r#"{"t":0}"#, false)]);
    check_all("t=gte:9007199254740993;", &[(r#"{"t":9007199254740992}"#, true)]);
}

/// The original compiles them as regular expressions, and takes 0 and false for missing (4.5).
#[test]
fn texts_are_contained_literally() {
    check_all(
        "t=in:fail,.*,0;",
        &[
            (r#"{"t":"has failed"}"#, true),
            (r#"{"t":"Fail"}"#, false),
            (r#"{"t":"a.*b"}"#, true),
            (r#"{"t":"ab"}"#, false),
            (r#"{"t":10}"#, true),
            (r#"{"t":0}"#, true),
            (r#"{"t":"\u0066ail"}"#, true),
            (r#"{"t":["fail"]}"#, false),
            (r#"{"t":null}"#, false),
            ("{}", false),
        ],
    );
    check_all("t=in:als;", &[(r#"{"t":false}"#, true), (r#"{"t":true}"#, false)]);
    check_all("t=in:object;", &[(r#"{"t":{}}"#, false)]);
    check_all(
        "t=nin:a,b;",
        &[
            (r#"{"t":"xay"}"#, false),
            (r#"{"t":"x"}"#, true),
            (r#"{"t":null}"#, true),
            ("{}", true),
            (r#"{"t":["a"]}"#, true),
        ],
    );
    check_all("t=nin:0;", &[(r#"{"t":0}"#, false), (r#"{"t":false}"#, true)]);
    check_all("t=in:(;", &[(r#"{"t":"f(x)"}"#, true)]);
    check_all("t=in:1.0;", &[(r#"{"t":1.0}"#, true), (r#"{"t":1}"#, false)]);
}

#[test]
fn truth_values() {
    check_all(
        "t=bool:true;",
        &[
            (r#"{"t":true}"#, true),
            (r#"{"t":1}"#, true),
            (r#"{"t":1.0}"#, true),
            (r#"{"t":" TRUE\t"}"#, true),
            (r#"{"t":"1"}"#, true),
            (r#"{"t":2}"#, false),
            (r#"{"t":false}"#, false),
            (r#"{"t":null}"#, false),
            (r#"{"t":""}"#, false),
            ("{}", false),
        ],
    );
    check_all(
        "t=bool:0;",
        &[
            (r#"{"t":false}"#, true),
            (r#"{"t":-0}"#, true),
            (r#"{"t":"no"}"#, false),
            ("{}", false),
        ],
    );
}

#[test]
fn additions() {
    check_all(
        "t=is:a,\"b;\";",
        &[
            (r#"{"t":"a"}"#, true),
            (r#"{"t":"b;"}"#, true),
            (r#"{"t":"ab"}"#, false),
            ("{}", false),
        ],
    );
    check_all(
        "t=is:5;",
        &[(r#"{"t":5}"#, true), (r#"{"t":"5"}"#, true), (r#"{"t":5.0}"#, false)],
    );
    check_all("t=is:\"\";", &[(r#"{"t":""}"#, true), (r#"{"t":null}"#, false)]);
    check_all(
        r"t=re:^\d+$;",
        &[
            (r#"{"t":"42"}"#, true),
            (r#"{"t":42}"#, true),
            (r#"{"t":"4x"}"#, false),
            ("{}", false),
        ],
    );
    check_all(
        r#"t=re:"^a{1,2}$";"#,
        &[(r#"{"t":"aa"}"#, true), (r#"{"t":"aaa"}"#, false)],
    );
    check_all(
        "t=has:true;",
        &[
            (r#"{"t":null}"#, true),
            (r#"{"t":{"a":1}}"#, true),
            (r#"{"u":1}"#, false),
            ("[1]", false),
        ],
    );
    check_all("t=has:false;", &[(r#"{"t":null}"#, false), (r#"{"u":1}"#, true)]);
}

/// Names of one character and of any letters, unlike the original (section 0).
#[test]
fn paths() {
    check("a=1", r#"{"a":1}"#, true);
    check("größe °C=1", r#"{"größe °C":1}"#, true);
    check("größe=1", r#"{"gr\u00f6\u00dfe":1}"#, true);
    check("a-b_c d=1", r#"{"a-b_c d":1}"#, true);
    check(" a=1", r#"{"a":1}"#, false);
    check("a.b.c=1", r#"{"a":{"b":{"c":1}}}"#, true);
    check("a.b=1", r#"{"a.b":1}"#, false);
    check("\"a.b\"=1", r#"{"a.b":1}"#, true);
    check(r#""/:@$+;=,\"\\"=1"#, r#"{"/:@$+;=,\"\\":1}"#, true);
    check("\"\".\"\"=1", r#"{"":{"":1}}"#, true);
    check("a[1].b=1", r#"{"a":[0,{"b":1}]}"#, true);
    check("a[0][1]=1", r#"{"a":[[0,1]]}"#, true);
    check("a[0]=1", r#"{"a":{"0":1}}"#, false);
    check("a[0]=1", r#"{"a[0]":1}"#, false);
    check("a.0.b=1", r#"{"a":[{"b":1}]}"#, true);
    check("a.0=1", r#"{"a":{"0":1}}"#, true);
    check("a.00=1", r#"{"a":[1]}"#, false);
    check("a.0=1;a[0]=1", r#"{"a":[1]}"#, true);
    check("[0].a=1", r#"[{"a":1}]"#, true);
    check("0=1", "[1]", true);
    // Inherited names of JavaScript (4.5, do not copy).
    check("constructor=nin:x", "{}", true);
    check("constructor=has:true", "{}", false);
}

/// As a client reads them that parses the text.
#[test]
fn of_members_with_the_same_name_the_last_counts() {
    check("a=2", r#"{"a":1,"b":0,"a":2}"#, true);
    check("a=1", r#"{"a":1,"b":0,"\u0061":2}"#, false);
    check("a.b=1", r#"{"a":{"b":1},"a":{"c":1}}"#, false);
    check("a.b=1;a=has:true", r#"{"a":{"b":1},"a":5}"#, false);
}

#[test]
fn values() {
    check("t=is:a\"b\"", r#"{"t":"a\"b\""}"#, true);
    check(r#"t=in:\"a""#, r#"{"t":"x\\\"a\"x"}"#, true);
    check(r#"t=is:"a;b,c=d:e""#, r#"{"t":"a;b,c=d:e"}"#, true);
    check(r#"t=is:"\"\\\b\f\n\r\t""#, r#"{"t":"\"\\\b\f\n\r\t"}"#, true);
    check(r#"t=is:"ends with \\""#, r#"{"t":"ends with \\"}"#, true);
    check(r"t=is:a\n", r#"{"t":"a\\n"}"#, true);
    check("t=is:=x:y", r#"{"t":"=x:y"}"#, true);
    check("t=is:A:b", r#"{"t":"A:b"}"#, true);
    check("t=is:a,b:c", r#"{"t":"b:c"}"#, true);
    check("t=is:\"in:x\"", r#"{"t":"in:x"}"#, true);
    check("t=is: x ", r#"{"t":" x "}"#, true);
    check("t=in:\"\"", r#"{"t":"x"}"#, true);
    check("", "anything", true);
}

fn check_error(text: &str, code: Code, at: usize, found: &str, expected: &str) {
    let error = Filter::parse(text, Shape::Document).expect_err(text);
    assert_eq!(
        (error.code, error.at, &*error.found),
        (code, at, found),
        "{text}: {error}"
    );
    assert!(error.expected.contains(expected), "{text}: {error}");
}

#[test]
fn errors_against_the_grammar() {
    use Code::Syntax;
    let name = "a name";
    for text in ["=5;", ";", "=eq:1000;"] {
        check_error(text, Syntax, 0, &format!("'{}'", &text[..1]), name);
    }
    check_error("a=1;;", Syntax, 4, "';'", name);
    check_error("a.=1", Syntax, 2, "'='", name);
    check_error("a..b=1", Syntax, 2, "'.'", name);
    check_error("te$mp=5", Syntax, 2, "'$'", "double quotes");
    check_error("temp", Syntax, 4, "the end", "`=`");
    check_error("eq:5;", Syntax, 2, "':'", "`=`");
    check_error("a=1; ", Syntax, 5, "the end", "`=`");
    check_error("a[x]=1", Syntax, 2, "'x'", "`[0]`");
    check_error("a[]=1", Syntax, 2, "']'", "`[0]`");
    check_error("a[99999999999]=1", Syntax, 2, "'9'", "`[0]`");
    check_error("a[0=1", Syntax, 3, "'='", "`]`");
    check_error("a[0]b=1", Syntax, 4, "'b'", "`=`");
    check_error("a=", Syntax, 2, "the end", "a value");
    check_error("a=;", Syntax, 2, "';'", "a value");
    check_error("a=eq:", Syntax, 5, "the end", "a value");
    check_error("a=in:x,,y", Syntax, 7, "','", "`\"\"` is the empty text");
    check_error("a=in:x,;", Syntax, 7, "';'", "a value");
    check_error("a=in:\"x", Syntax, 7, "the end", "a closing `\"` for that at 5");
    check_error("a=in:\"x\\", Syntax, 8, "the end", "a closing `\"` for that at 5");
    check_error("a=in:\"x\\\"", Syntax, 9, "the end", "a closing `\"` for that at 5");
    check_error("\"a=1", Syntax, 4, "the end", "a closing `\"` for that at 0");
    check_error("a=in:\"x\"y", Syntax, 8, "'y'", "`,` or `;`");
    check_error(
        "a=eq:in:x",
        Syntax,
        5,
        "'in:'",
        "in double quotes if it begins like an operator",
    );
    for (line_end, shown) in [
        ("\n", r"'\n'"),
        ("\r", r"'\r'"),
        ("\u{2028}", r"'\u{2028}'"),
        ("\u{2029}", r"'\u{2029}'"),
    ] {
        check_error(&format!("a=in:x{line_end}y"), Syntax, 6, shown, "`\\n` stands for one");
    }
}

#[test]
fn errors_in_conditions() {
    let operators = "one of eq neq gt gte lt lte in nin bool is re has";
    check_error("temp=foo:5", Code::Operator, 5, "'foo'", operators);
    check_error("temp=constructor:5", Code::Operator, 5, "'constructor'", operators);
    check_error("temp=in:http://x", Code::Operator, 8, "'http'", "needs double quotes");
    check_error(
        r#"a=in:"\q""#,
        Code::Escape,
        6,
        r"'\q'",
        r#"one of \" \\ \b \f \n \r \t"#,
    );
    check_error(r#"a=in:"x\/""#, Code::Escape, 7, r"'\/'", r"one of");
    check_error(r#"a=in:"\u0041""#, Code::Escape, 6, r"'\u'", r"one of");
    check_error(r#""a\x"=1"#, Code::Escape, 2, r"'\x'", r"one of");
    for operator in ["eq", "neq", "gt", "gte", "lt", "lte", "bool", "re", "has"] {
        check_error(
            &format!("a={operator}:1,2"),
            Code::Arity,
            2,
            &format!("2 values for '{operator}'"),
            "one",
        );
    }
    for operator in ["eq", "neq", "gt", "gte", "lt", "lte"] {
        for value in ["abc", "true", "5 5", "Infinity", "NaN", "-0x10", "1_0", "٥"] {
            let at = 3 + operator.len();
            check_error(
                &format!("a={operator}:{value}"),
                Code::Value,
                at,
                &format!("'{value}'"),
                "a number",
            );
        }
    }
    check_error("a=eq:\"\"", Code::Value, 6, "''", "a number");
    for operator in ["bool", "has"] {
        for value in ["yes", "10", "1.0", "", "tru"] {
            let at = 4 + operator.len();
            check_error(
                &format!("a={operator}:\"{value}\""),
                Code::Value,
                at,
                &format!("'{value}'"),
                "true or false",
            );
        }
    }
    check_error(
        "a=re:a(b",
        Code::Value,
        5,
        "'a(b'",
        "a regular expression: unclosed group",
    );
}

/// Errors against the grammar come first, wherever they are; then conditions from left to right, and inside one escapes, number
/// and kind of the values (3.4).
#[test]
fn the_first_error_in_the_order_of_the_original() {
    for (text, code) in [
        ("a=x;b=\"\\q\";c=,", Code::Syntax),
        ("a=x;b=foo:1;", Code::Operator),
        ("a=x;b=in:\"\\q\";", Code::Value),
        ("b=in:\"\\q\";a=x;", Code::Escape),
        ("a=gt:\"\\q\",x;", Code::Escape),
        ("a=gt:x,y;", Code::Arity),
    ] {
        assert_eq!(Filter::parse(text, Shape::Document).unwrap_err().code, code, "{text}");
    }
    assert_eq!((Code::Syntax.number(), Code::Value.number()), (4000, 4004));
}

#[test]
fn filters_are_bounded() {
    let bounded = |text: &str| Filter::parse(text, Shape::Document).map_err(|error| (error.code, error.expected));
    let syntax = |expected: &str| Err((Code::Syntax, expected.to_owned()));
    let most = limits::FILTER_CONDITIONS;
    assert!(bounded(&"a=1;".repeat(most)).is_ok());
    assert_eq!(
        bounded(&"a=1;".repeat(most + 1)),
        syntax("the end: at most 100 conditions")
    );
    assert_eq!(bounded(&"a=1;".repeat(100_000)), syntax("at most 8192"));
    let values = format!("a=in:{}", vec!["x"; limits::FILTER_VALUES].join(","));
    assert!(bounded(&values).is_ok());
    assert_eq!(bounded(&format!("{values},x")), syntax("`;`: at most 1000 values"));
    let path = vec!["a"; limits::FILTER_STEPS].join(".");
    assert!(bounded(&format!("{path}=1")).is_ok());
    assert_eq!(
        bounded(&format!("{path}.a=1")),
        syntax("`=`: at most 32 steps of a path")
    );
    let longest = format!("a=is:{};", "x".repeat(limits::FILTER_TEXT - 5));
    assert!(bounded(&longest).is_ok());
    assert_eq!(bounded(&format!("{longest};")), syntax("at most 8192"));
    assert!(bounded(&"a=re:x;".repeat(limits::FILTER_PATTERNS)).is_ok());
    assert_eq!(
        bounded(&"a=re:x;".repeat(limits::FILTER_PATTERNS + 1)),
        syntax("at most 4 in one `where`")
    );
}

#[test]
fn regular_expressions_are_bounded() {
    let error = |pattern: &str| {
        Filter::parse(&format!("a=re:\"{pattern}\""), Shape::Document)
            .unwrap_err()
            .to_string()
    };
    assert!(error("((x{99}){99}){99}").contains("a smaller regular expression"));
    assert!(error(&"(".repeat(4_000)).contains("a regular expression"));
    assert!(error(&format!("{}x{}", "(".repeat(100), ")".repeat(100))).contains("nest"));
    // It takes a backtracking engine 2^60 steps to find that this does not match.
    let text = format!("{{\"a\":\"{}!\"}}", "a".repeat(60_000));
    check("a=re:^(a+)+$", &text, false);
    check("a=re:^(a|aa)+$", &text, false);
}

#[test]
fn nesting_of_a_message_harms_nobody() {
    let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
    check("b=1", &deep, true);
    check("a.0.0.0.0=has:true;b=1", &deep, true);
    check("b=1", &deep[..100_000], false);
    let wide = format!("[{}{{\"a\":1}}]", "{\"a\":0},".repeat(100_000));
    check("[100000].a=1", &wide, true);
}

struct Event<'a>(&'a [u8]);

impl View for Event<'_> {
    fn document(&self) -> &[u8] {
        self.0
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "device" => Some("pump-1".into()),
            "path" => Some(r"C:\u0041".into()),
            "number" => Some(Cow::Owned(5.to_string())),
            _ => None,
        }
    }
}

#[test]
fn of_an_event_the_attributes_are_seen_too() {
    let document = br#"{"t":5,"ce":{"device":"mine","other":1}}"#;
    let check = |text: &str, document: &[u8], passes: bool| {
        let filter = Filter::parse(text, Shape::Event).unwrap();
        let passed = filter.passes(&Event(document), &mut Scratch::default());
        assert_eq!(passed, passes, "{text}");
    };
    check("ce.device=is:pump-1", document, true);
    check("ce.device=in:mine", document, false);
    check("ce.other=has:true", document, false);
    check("ce.number=gte:5;t=5", document, true);
    check("t=5;ce.number=gte:6", document, false);
    check(r#"ce.path=is:"C:\\u0041""#, document, true);
    check("ce.device.name=has:true", document, false);
    check("ce=has:true", document, true);
    check("ce.device=has:true;t=nin:x", b"", true);
    assert!(!Filter::parse("ce.a=1", Shape::Event).unwrap().reads_document());
    assert!(Filter::parse("ce.a=1", Shape::Document).unwrap().reads_document());
    self::check("ce.device=is:mine", r#"{"ce":{"device":"mine"}}"#, true);
}

#[test]
fn filters_in_words() {
    let filter = Filter::parse(
        "a.b=gt:5;s=in:x,\"y,z\";s=nin:q;f=bool:0;g=has:true;h=re:^a;i=is:x",
        Shape::Document,
    );
    assert_eq!(
        filter.unwrap().explain(),
        "events of which all of this is true:\n  \
           - `a.b` is a number above 5\n  \
           - the text of `s` contains \"x\" or \"y,z\"\n  \
           - there is no text of `s` that contains \"q\"\n  \
           - `f` is false\n  \
           - there is a `g`\n  \
           - the text of `h` matches the regular expression ^a\n  \
           - the text of `i` is \"x\"\n"
    );
    assert_eq!(Filter::parse("", Shape::Document).unwrap().explain(), "every event\n");
    let fields = Fields::parse("a(b,c/d),*").unwrap();
    assert_eq!(
        fields.explain(),
        "of each, these fields are sent:\n  - a/b\n  - a/c/d\n  - *\n"
    );
}
