//! What operators hold for (compat/dojot.md 4.2, 4.4, 4.5, decision 8).

use crate::check_all;

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
