//! JSON as a tree, in which every property stands once. serde_json lets the last one win; who else reads the file may
//! see the first (glossary.md, "JSON": names MUST NOT be duplicated).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{broken, syntax};
use crate::error::Result;

/// Parses a whole file.
///
/// # Errors
/// It is no JSON, or a property is there twice; the error has its place.
pub(super) fn parse(json: &[u8]) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let tree = match Unique::deserialize(tracked) {
        Ok(Unique(tree)) => tree,
        Err(error) if error.is_data() => {
            return Err(broken(&serde_path_to_error::Error::new(track.path(), error)));
        }
        Err(error) => return Err(syntax(&error)),
    };
    deserializer.end().map_err(|error| syntax(&error))?;
    Ok(tree)
}

/// Whether every property stands once. Without values: they cost more than the rest of reading a configuration.
pub(super) fn is_unique(json: &[u8]) -> bool {
    serde_json::from_slice::<Names>(json).is_ok()
}

/// The names in a value of any type, compared and forgotten.
struct Names;

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Names {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(Name(name)) = object.next_key()? {
            object.next_value::<Self>()?;
            if !names.insert(name) {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(self)
    }
}

/// A name, in the file's own memory unless it has an escape in it.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value of any type.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(Self)?;
            if values.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name:?} is there twice")));
            }
            values.insert(name, value);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_serde_json_except_for_a_property_that_is_there_twice() {
        let same = br#"{"a":[1,-2,3.5,"x",true,null,{}],"b":{"c":18446744073709551615}}"#;
        assert_eq!(parse(same).unwrap(), serde_json::from_slice::<Value>(same).unwrap());
        for (bad, says) in [
            (br#"{"a":{"b":1,"c":2,"b":3}}"#.as_slice(), "\"b\" is there twice"),
            (br#"{"a":1} x"#, "trailing characters"),
            (br#"{"a":"#, "EOF"),
            (b"{\"a\":\"\xff\"}", "unicode"),
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(parse(br#"{"a":{"b":1,"b":3}}"#).unwrap_err().path(), Some("a"));
    }

    #[test]
    fn names_are_compared_as_they_are_meant() {
        for (json, unique) in [
            (r#"[{"a":1,"b":{"a":[null,true,-1,0.5,"a"]}},{"a":1}]"#, true),
            (r#"{"a":1,"b":2,"a":3}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"[[{"b":{"c":1,"c":1}}]]"#, false),
        ] {
            assert_eq!(is_unique(json.as_bytes()), unique, "{json}");
            assert_eq!(parse(json.as_bytes()).is_ok(), unique, "{json}");
        }
        // One object with many names, and every one of them in an object of its own.
        let many: Vec<String> = (0..200_000).map(|n| format!("\"{n}\":{{\"{n}\":0}}")).collect();
        assert!(is_unique(format!("{{{}}}", many.join(",")).as_bytes()));
    }
}
