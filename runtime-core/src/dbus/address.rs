//! Addresses of buses (D-Bus specification, "Server Addresses"). Pure.

/// Where a bus listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// A socket in the file system.
    Path(String),
    /// One of the abstract namespace (unix(7)), without the leading NUL.
    Abstract(Vec<u8>),
}

/// The unix sockets of an address list, in order; what is not one is passed over.
pub(super) fn sockets(list: &str) -> Vec<Socket> {
    list.split(';')
        .filter_map(|address| {
            let pairs = address.strip_prefix("unix:")?.split(',');
            pairs.filter_map(|pair| pair.split_once('=')).find_map(|(key, value)| match key {
                "path" => String::from_utf8(unescape(value)?).ok().map(Socket::Path),
                "abstract" => unescape(value).map(Socket::Abstract),
                _ => None,
            })
        })
        .collect()
}

/// `%` and two hexadecimal digits stand for a byte.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = more;
            continue;
        }
        let digits = std::str::from_utf8(more.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = more.get(2..)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_addresses_in_their_order() {
        let list = "tcp:host=localhost,port=1;unix:path=/run/user/1000/bus,guid=0a;unix:abstract=/tmp/a%3bb";
        let wanted =
            [Socket::Path("/run/user/1000/bus".into()), Socket::Abstract(b"/tmp/a;b".to_vec())];
        assert_eq!(sockets(list), wanted);
        for bad in ["", "unix:", "unix:path=%zz", "unix:path=%4", "unix:runtime=yes", "/run/bus"] {
            assert_eq!(sockets(bad), [], "{bad}");
        }
    }
}
