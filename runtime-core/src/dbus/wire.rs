//! Messages as bytes (D-Bus specification, "Marshaling" and "Message Protocol"). Pure.

use serde::Serialize;

/// Messages of systemd that we read are small; whatever claims to be larger is not for us.
const LONGEST: usize = 1 << 20;

const METHOD_CALL: u8 = 1;
pub(super) const METHOD_RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const SIGNAL: u8 = 4;

/// A value of the types that are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    Signed(i32),
    /// `t`
    Number(u64),
    /// `s`
    Text(String),
    /// `ay`
    Bytes(Vec<u8>),
    /// `as`
    Texts(Vec<String>),
    /// `au`
    Words(Vec<u32>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::Signed(_) => "i",
            Self::Number(_) => "t",
            Self::Text(_) => "s",
            Self::Bytes(_) => "ay",
            Self::Texts(_) => "as",
            Self::Words(_) => "au",
            Self::Pairs(_) => "a(ss)",
        }
    }
}

/// The arguments of a call while they are written.
#[derive(Debug, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(crate) fn word(&mut self, word: u32) {
        self.align(4);
        self.0.extend(word.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.word(value.into());
    }

    fn number(&mut self, number: u64) {
        self.align(8);
        self.0.extend(number.to_le_bytes());
    }

    /// Strings and object paths.
    pub(crate) fn text(&mut self, text: &str) {
        self.word(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// An array whose items are aligned to `align`: its length in bytes goes before the padding of the first.
    pub(crate) fn array(&mut self, align: usize, items: impl FnOnce(&mut Self)) {
        self.word(0);
        let place = self.0.len() - 4;
        self.align(align);
        let start = self.0.len();
        items(self);
        let written = length(self.0.len() - start).to_le_bytes();
        if let Some(bytes) = self.0.get_mut(place..place + 4) {
            bytes.copy_from_slice(&written);
        }
    }

    /// Structures begin at a multiple of eight.
    pub(crate) fn structure(&mut self) {
        self.align(8);
    }

    pub(crate) fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Bool(value) => self.bool(*value),
            Value::Signed(number) => self.word(number.cast_unsigned()),
            Value::Number(number) => self.number(*number),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.array(1, |body| body.0.extend(bytes)),
            Value::Texts(texts) => self.array(4, |body| texts.iter().for_each(|t| body.text(t))),
            Value::Words(words) => self.array(4, |body| words.iter().for_each(|w| body.word(*w))),
            Value::Pairs(pairs) => self.array(8, |body| {
                for (first, second) in pairs {
                    body.structure();
                    body.text(first);
                    body.text(second);
                }
            }),
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A method call.
#[derive(Debug, Default)]
pub(crate) struct Call<'a> {
    /// The service; none to a peer without a bus between.
    pub destination: Option<&'a str>,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    /// The types of the body.
    pub signature: &'a str,
    pub body: Body,
}

impl Call<'_> {
    /// The message.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut message = Body(vec![b'l', METHOD_CALL, 0, 1]);
        message.word(length(self.body.0.len()));
        message.word(serial);
        message.array(8, |fields| {
            let mut field = |code: u8, kind: &str, text: &str| {
                fields.structure();
                fields.0.push(code);
                fields.signature(kind);
                if kind == "g" { fields.signature(text) } else { fields.text(text) }
            };
            field(1, "o", self.path);
            field(2, "s", self.interface);
            field(3, "s", self.member);
            if let Some(destination) = self.destination {
                field(6, "s", destination);
            }
            if !self.signature.is_empty() {
                field(8, "g", self.signature);
            }
        });
        message.align(8);
        message.0.extend(&self.body.0);
        message.0
    }
}

/// A message that came in, as far as it is of interest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(super) kind: u8,
    pub(super) reply_to: u32,
    pub(crate) member: String,
    pub(super) error: String,
    body: Vec<u8>,
}

/// Bytes that are no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The first message of `bytes` and its length; none while it is not there as a whole.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, Malformed> {
    let Some(header) = bytes.get(..16) else { return Ok(None) };
    // The host is little-endian (x86-64), and so is everybody on its buses.
    if header[0] != b'l' || header[3] != 1 {
        return Err(Malformed);
    }
    let mut head = Reader { bytes: header, at: 4 };
    let (body, _serial, fields) = (head.word()?, head.word()?, head.word()?);
    let (body, fields) = (body as usize, fields as usize);
    if body > LONGEST || fields > LONGEST {
        return Err(Malformed);
    }
    let start = (16 + fields).next_multiple_of(8);
    let Some(whole) = bytes.get(..start + body) else { return Ok(None) };
    let mut message =
        Message { kind: header[1], body: whole[start..].to_vec(), ..Message::default() };
    let mut reader = Reader { bytes: &whole[..16 + fields], at: 16 };
    while reader.at < reader.bytes.len() {
        reader.align(8)?;
        let code = reader.byte()?;
        let kind = reader.signature()?;
        match (code, kind.as_str()) {
            (5, "u") => message.reply_to = reader.word()?,
            (3, "s") => message.member = reader.text()?,
            (4, "s") => message.error = reader.text()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.word()?),
            _ => return Err(Malformed),
        }
    }
    Ok(Some((message, start + body)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) -> Result<(), Malformed> {
        self.at = self.at.next_multiple_of(to);
        if self.at > self.bytes.len() { Err(Malformed) } else { Ok(()) }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    fn word(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        self.take(4)?.try_into().map(u32::from_le_bytes).map_err(|_| Malformed)
    }

    /// Text of `count` bytes and its NUL.
    fn ended(&mut self, count: usize) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.take(count)?).map_err(|_| Malformed)?.to_owned();
        if self.byte()? == 0 { Ok(text) } else { Err(Malformed) }
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let count = self.word()? as usize;
        self.ended(count)
    }

    fn signature(&mut self) -> Result<String, Malformed> {
        let count = self.byte()?;
        self.ended(count.into())
    }
}

impl Message {
    /// The arguments of the body as far as they are strings, object paths, 32-bit numbers (as text) and variants
    /// of those; `types` says which, a letter each.
    pub(crate) fn arguments(&self, types: &str) -> Option<Vec<String>> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut read = |kind: char| -> Result<String, Malformed> {
            match kind {
                'u' => Ok(reader.word()?.to_string()),
                'v' => match reader.signature()?.as_str() {
                    "s" | "o" => reader.text(),
                    _ => Err(Malformed),
                },
                _ => reader.text(),
            }
        };
        types.chars().map(|kind| read(kind).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of dbus-send(1) for the same call, without its own serial and flags.
    #[test]
    fn a_call_byte_by_byte() {
        let mut body = Body::default();
        body.text("x.scope");
        let call = Call {
            destination: Some("o.f"),
            path: "/o",
            interface: "o.M",
            member: "Get",
            signature: "s",
            body,
        };
        let wanted: &[u8] = b"l\x01\x00\x01\x0c\x00\x00\x00\x07\x00\x00\x00\x47\x00\x00\x00\
            \x01\x01o\x00\x02\x00\x00\x00/o\x00\x00\x00\x00\x00\x00\
            \x02\x01s\x00\x03\x00\x00\x00o.M\x00\x00\x00\x00\x00\
            \x03\x01s\x00\x03\x00\x00\x00Get\x00\x00\x00\x00\x00\
            \x06\x01s\x00\x03\x00\x00\x00o.f\x00\x00\x00\x00\x00\
            \x08\x01g\x00\x01s\x00\x00\
            \x07\x00\x00\x00x.scope\x00";
        assert_eq!(call.encode(7), wanted);
    }

    #[test]
    fn values_are_aligned_by_their_types() {
        let bytes = |value: &Value| {
            let mut body = Body::default();
            body.variant(value);
            body.0
        };
        assert_eq!(bytes(&Value::Bool(true)), b"\x01b\x00\x00\x01\x00\x00\x00");
        assert_eq!(
            bytes(&Value::Number(258)),
            b"\x01t\x00\x00\x00\x00\x00\x00\x02\x01\x00\x00\x00\x00\x00\x00"
        );
        assert_eq!(bytes(&Value::Bytes(vec![9])), b"\x02ay\x00\x01\x00\x00\x00\x09");
        assert_eq!(bytes(&Value::Words(vec![5])), b"\x02au\x00\x04\x00\x00\x00\x05\x00\x00\x00");
        let pair = Value::Pairs(vec![("a".into(), "rw".into())]);
        let wanted = b"\x05a(ss)\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x02\x00\x00\x00rw\x00";
        assert_eq!(bytes(&pair), wanted);
        // The length of an empty array of structures does not count the padding behind it.
        assert_eq!(bytes(&Value::Pairs(Vec::new()))[8..], [0; 8]);
    }

    /// JobRemoved as systemd sends it.
    fn job_removed() -> Vec<u8> {
        let mut body = Body::default();
        body.word(12);
        for text in ["/org/freedesktop/systemd1/job/12", "a.scope", "done"] {
            body.text(text);
        }
        let call = Call {
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            member: "JobRemoved",
            signature: "uoss",
            body,
            ..Call::default()
        };
        let mut bytes = call.encode(3);
        bytes[1] = SIGNAL;
        bytes
    }

    #[test]
    fn what_comes_in_is_read_back() {
        let bytes = job_removed();
        let (message, length) = decode(&bytes).unwrap().unwrap();
        assert_eq!(
            (message.kind, message.member.as_str(), length),
            (SIGNAL, "JobRemoved", bytes.len())
        );
        let wanted = ["12", "/org/freedesktop/systemd1/job/12", "a.scope", "done"];
        assert_eq!(message.arguments("uoss").unwrap(), wanted);
        assert_eq!(message.arguments("uosss"), None);
    }

    #[test]
    fn a_part_is_waited_for_and_rubbish_is_refused() {
        let bytes = job_removed();
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end}");
        }
        // Whatever byte is changed, reading neither panics nor runs away.
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[place] = value;
                if let Ok(Some((message, _))) = decode(&bytes) {
                    drop(message.arguments("uoss"));
                }
            }
        }
        let mut big = bytes.clone();
        big[0] = b'B';
        assert_eq!(decode(&big), Err(Malformed));
    }
}
