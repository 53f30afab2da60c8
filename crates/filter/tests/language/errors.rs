//! What is wrong, where, and what was expected there (compat/dojot.md 3.4, decision 4).

use sockeye_filter::{Code, Filter, Shape};

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
