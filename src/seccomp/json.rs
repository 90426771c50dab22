//! A reader of JSON (RFC 8259) for profiles, strict: from a text to a tree, or the place where it is none. The library's
//! own because it is small: a crate for it was a twentieth of what users load. Nothing here may panic.

/// Arrays and objects within each other: they are read by recursion.
const DEEPEST: usize = 127;

pub enum Value {
    Null,
    Bool,
    /// The number, where it is a whole one from 0 that has no fraction or exponent and fits.
    Number(Option<u64>),
    String(String),
    Array(Vec<Value>),
    /// Keys, which are strings, and values by turns. Of a key that stands twice the last one counts.
    Object(Vec<Value>),
}

impl Value {
    pub fn string(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// What `text` says; else what is wrong, with its line and its column in bytes, from 1.
pub fn read(text: &[u8]) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    reader.whole().map_err(|what| reader.place(what))
}

/// A failure is one of the byte at `at`.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

type Outcome<T> = Result<T, &'static str>;

impl Reader<'_> {
    #[cold]
    fn place(&self, what: &str) -> String {
        let (mut line, mut column) = (1, 0);
        for byte in self.text.iter().take(self.at + 1) {
            column += 1;
            if *byte == b'\n' {
                (line, column) = (line + 1, 0);
            }
        }
        format!("{what} at line {line} column {column}")
    }

    fn here(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.here() {
            self.at += 1;
        }
        self.here()
    }

    /// Whether the next byte is this one, which is then read.
    fn takes(&mut self, byte: u8) -> bool {
        let found = self.here() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn whole(&mut self) -> Outcome<Value> {
        let value = self.value(0)?;
        if self.peek().is_some() { Err("trailing characters") } else { Ok(value) }
    }

    fn value(&mut self, depth: usize) -> Outcome<Value> {
        match self.peek() {
            None => Err("EOF while parsing a value"),
            Some(b'n') => self.word(b"null", Value::Null),
            Some(b't') => self.word(b"true", Value::Bool),
            Some(b'f') => self.word(b"false", Value::Bool),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'[' | b'{') if depth == DEEPEST => Err("recursion limit exceeded"),
            Some(b'[') => self.items(b']', depth + 1).map(Value::Array),
            Some(b'{') => self.items(b'}', depth + 1).map(Value::Object),
            Some(_) => Err("expected value"),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Outcome<Value> {
        for byte in word {
            if !self.takes(*byte) {
                return Err(if self.here().is_none() { "EOF while parsing a value" } else { "expected ident" });
            }
        }
        Ok(value)
    }

    /// The rest of an array or object, by the sign that ends it.
    fn items(&mut self, end: u8, depth: usize) -> Outcome<Vec<Value>> {
        let is_array = end == b']';
        let cut = if is_array { "EOF while parsing a list" } else { "EOF while parsing an object" };
        let mut items = Vec::new();
        self.at += 1;
        loop {
            let first = self.peek().ok_or(cut)?;
            if first == end {
                if items.is_empty() {
                    break;
                }
                return Err("trailing comma");
            }
            if !is_array {
                if first != b'"' {
                    return Err("key must be a string");
                }
                items.push(Value::String(self.string()?));
                self.peek().ok_or(cut)?;
                if !self.takes(b':') {
                    return Err("expected `:`");
                }
            }
            items.push(self.value(depth)?);
            let behind = self.peek().ok_or(cut)?;
            if behind == end {
                break;
            }
            if behind != b',' {
                return Err(if is_array { "expected `,` or `]`" } else { "expected `,` or `}`" });
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(items)
    }

    fn digits(&mut self) -> Outcome<()> {
        let start = self.at;
        while self.here().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.here() {
            _ if self.at > start => Ok(()),
            None => Err("EOF while parsing a value"),
            Some(_) => Err("invalid number"),
        }
    }

    fn number(&mut self) -> Outcome<Option<u64>> {
        let start = self.at;
        self.takes(b'-');
        if self.takes(b'0') {
            if self.here().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err("invalid number"); // a zero leads no other digits
            }
        } else {
            self.digits()?;
        }
        let whole = self.text.get(start..self.at).unwrap_or(b"");
        let mut is_whole = true;
        if self.takes(b'.') {
            self.digits()?;
            is_whole = false;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
            is_whole = false;
        }
        let add = |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?));
        Ok(if is_whole { whole.iter().try_fold(0, add) } else { None })
    }

    fn string(&mut self) -> Outcome<String> {
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            match self.here().ok_or("EOF while parsing a string")? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    let character = self.escaped()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                0..=0x1f => return Err("control character (\\u0000-\\u001F) found while parsing a string"),
                byte => bytes.push(byte),
            }
            self.at += 1;
        }
        let text = String::from_utf8(bytes).map_err(|_| "invalid unicode code point")?;
        self.at += 1;
        Ok(text)
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Outcome<char> {
        let byte = self.here().ok_or("EOF while parsing a string")?;
        let character = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(),
            _ => return Err("invalid escape"),
        };
        self.at += 1;
        Ok(character.into())
    }

    /// Beyond 16 bits a character is two escapes, the surrogates of UTF-16.
    fn unicode(&mut self) -> Outcome<char> {
        let mut code = self.unit()?;
        if code & 0xfc00 == 0xd800 {
            if !(self.takes(b'\\') && self.here() == Some(b'u')) {
                return Err(if self.here().is_none() { "EOF while parsing a string" } else { "unexpected end of hex escape" });
            }
            let low = self.unit()?;
            code = if low & 0xfc00 == 0xdc00 { 0x1_0000 + ((code & 0x3ff) << 10) + (low & 0x3ff) } else { code };
        }
        char::from_u32(code).ok_or("lone leading surrogate in hex escape")
    }

    /// "u" and four hexadecimal digits.
    fn unit(&mut self) -> Outcome<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            self.at += 1;
            let byte = self.here().ok_or("EOF while parsing a string")?;
            unit = unit << 4 | char::from(byte).to_digit(16).ok_or("invalid escape")?;
        }
        self.at += 1;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::policy::tests::samples;

    /// As another reader has it.
    fn is_same(ours: &Value, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) | (Value::Bool, serde_json::Value::Bool(_)) => true,
            (Value::Number(ours), serde_json::Value::Number(theirs)) => *ours == theirs.as_u64(),
            (Value::String(ours), serde_json::Value::String(theirs)) => ours == theirs,
            (Value::Array(ours), serde_json::Value::Array(theirs)) => ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs)),
            (Value::Object(ours), serde_json::Value::Object(theirs)) => theirs.iter().all(|(key, theirs)| {
                ours.chunks(2).rfind(|pair| pair[0].string() == Some(key)).is_some_and(|pair| is_same(&pair[1], theirs))
            }) && ours.chunks(2).all(|pair| theirs.contains_key(pair[0].string().unwrap())),
            _ => false,
        }
    }

    #[track_caller]
    fn compared(text: &[u8]) -> bool {
        match (read(text), serde_json::from_slice::<serde_json::Value>(text)) {
            (Ok(ours), Ok(theirs)) => assert!(is_same(&ours, &theirs), "{}", text.escape_ascii()),
            // A number too large for a float is one by the grammar.
            (Ok(_), Err(error)) => assert!(error.to_string().starts_with("number out of range"), "{error}: {}", text.escape_ascii()),
            (Err(error), Ok(_)) => panic!("{error}: {}", text.escape_ascii()),
            (Err(_), Err(_)) => return false,
        }
        true
    }

    #[test]
    fn another_reader_takes_and_refuses_the_same() {
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"\\", "\\u00e9", "\\ud83d", "\\udE00", "\\n", "\\x", "null", "nul", "true", "false", "0", "-0", "01",
            "1", "-1", "1.", ".5", "1.5", "1e3", "1E+", "2e-2", "18446744073709551615", "18446744073709551616", " ", "\n", "\t", "\u{e9}",
            "\u{1}", "\u{7f}", "\u{feff}", "[1,2]", "{\"a\":1}", "{\"a\":1,\"a\":[]}", "[[],{}]", "\"\\ud83d\\ude00\"", "\"\\/\\b\\f\\r\\t\"",
        ];
        let mut state = 1u64;
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as usize % limit
        };
        let mut taken = 0;
        for _ in 0..100_000 {
            let text: String = (0..below(7)).map(|_| pieces[below(pieces.len())]).collect();
            taken += usize::from(compared(text.as_bytes()));
        }
        assert!(taken > 2000, "{taken}");
        for name in ["docker.json", "runtime-spec.json"] {
            let sample = std::fs::read(samples().join(name)).unwrap();
            assert!(compared(&sample));
            for _ in 0..2000 {
                let mut text = sample.clone();
                let at = below(text.len());
                text[at] = below(256) as u8;
                compared(&text);
            }
            compared(&sample[..below(sample.len())]);
        }
        for depth in [126, 127, 128] {
            assert_eq!(compared(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes()), depth < 128);
        }
    }

    #[test]
    fn an_error_tells_what_and_where() {
        for (text, expected) in [
            (&b""[..], "EOF while parsing a value at line 1 column 0"),
            (b"[1, 2", "EOF while parsing a list at line 1 column 5"),
            (b"{\"a\": 1", "EOF while parsing an object at line 1 column 7"),
            (b"\"a", "EOF while parsing a string at line 1 column 2"),
            (b"[\n 1 2]", "expected `,` or `]` at line 2 column 4"),
            (b"{\"a\": 1;}", "expected `,` or `}` at line 1 column 8"),
            (b"{\"a\"; 1}", "expected `:` at line 1 column 5"),
            (b"{1: 1}", "key must be a string at line 1 column 2"),
            (b"[1,]", "trailing comma at line 1 column 4"),
            (b"[1]]", "trailing characters at line 1 column 4"),
            (b"nil", "expected ident at line 1 column 2"),
            (b"?", "expected value at line 1 column 1"),
            (b"01", "invalid number at line 1 column 2"),
            (b"-x", "invalid number at line 1 column 2"),
            (b"\"\\q\"", "invalid escape at line 1 column 3"),
            (b"\"\\ud800\"", "unexpected end of hex escape at line 1 column 8"),
            (b"\"\xff\"", "invalid unicode code point at line 1 column 3"),
            (b"\"\n\"", "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0"),
        ] {
            assert_eq!(read(text).err().as_deref(), Some(expected), "{}", text.escape_ascii());
        }
    }
}
