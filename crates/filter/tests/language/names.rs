//! Paths and values as they are written (compat/dojot.md 4.1, 4.3, decision 7).

use crate::check;

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
