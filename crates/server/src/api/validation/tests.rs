use super::*;

struct Everything {
    text: String,
    number: Option<i64>,
    numbers: Option<Vec<i64>>,
    flag: Option<bool>,
    time: Option<Timestamp>,
}

impl FromFields for Everything {
    fn read(fields: &mut Fields) -> Self {
        Everything {
            text: fields.required_text("text", 1, 3),
            number: fields.integer("number"),
            numbers: fields.integers("numbers"),
            flag: fields.boolean("flag"),
            time: fields.time("time"),
        }
    }
}

fn read(body: Value) -> Result<Everything, Vec<(String, Vec<Value>)>> {
    let Value::Object(values) = body else { panic!("not an object") };
    match Fields::new("body", values).read::<Everything>() {
        Ok((everything, _)) => Ok(everything),
        Err(ApiError::Invalid(errors)) => {
            Err(errors.into_iter().map(|error| (error.kind.into_owned(), error.loc)).collect())
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn absent_and_null_are_the_same_but_not_for_what_must_be_there() {
    let read_ = read(json!({"text": "ab", "number": null})).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!((read_.text.as_str(), read_.number, read_.flag), ("ab", None, None));
    assert_eq!((read_.numbers, read_.time), (None, None));
    assert_eq!(
        read(json!({})).err(),
        Some(vec![("missing".into(), vec![json!("body"), json!("text")])])
    );
    let null = read(json!({"text": null})).err();
    assert_eq!(null, Some(vec![("string_type".into(), vec![json!("body"), json!("text")])]));
}

#[test]
fn every_fault_is_reported_at_once_in_order() {
    let errors = read(json!({
        "text": "abcd", "number": "x", "numbers": [1, null, "2", 3.5], "flag": "maybe", "time": "besok"
    }))
    .err()
    .unwrap_or_default();
    let kinds: Vec<_> = errors.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "string_too_long",
            "int_parsing",
            "int_type",
            "int_from_float",
            "bool_parsing",
            "datetime_parsing"
        ]
    );
    assert_eq!(errors[2].1, [json!("body"), json!("numbers"), json!(1)]);
}

#[test]
fn a_long_list_of_faults_is_cut() {
    let nulls = vec![Value::Null; 200_000];
    let errors = read(json!({"text": "a", "numbers": nulls})).err().unwrap_or_default();
    assert_eq!(errors.len(), MAX_ERRORS);
    assert_eq!(errors[MAX_ERRORS - 1].1, [json!("body"), json!("numbers"), json!(99)]);
}

#[test]
fn an_integer_outside_its_bounds_is_a_fault() {
    assert_eq!(within(1, 1, 3).ok(), Some(1));
    assert_eq!(within(3, 1, 3).ok(), Some(3));
    let low = within(0, 1, 3).unwrap_err();
    assert_eq!((low.kind, low.ctx), ("greater_than_equal", Some(json!({"ge": 1}))));
    let high = within(4, 1, 3).unwrap_err();
    assert_eq!((high.kind, high.ctx), ("less_than_equal", Some(json!({"le": 3}))));
}

#[test]
fn times_are_read_in_three_forms() {
    let expected = Some(Timestamp(1_768_007_100_000));
    for time in
        [json!("2026-01-10T08:05:00+07:00"), json!("2026-01-10T01:05:00Z"), json!(1_768_007_100)]
    {
        let read_ = read(json!({"text": "a", "time": time})).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(read_.time, expected);
    }
    for time in [json!("2026-01-10T08:05:00"), json!("1768007100"), json!(-1), json!(1e156)] {
        assert!(read(json!({"text": "a", "time": time})).is_err(), "{time}");
    }
}
