//! The streams of `kubectl exec`, `attach` and `port-forward`: the CRI gives an address, and one speaks to that over
//! a web socket (apimachinery's wsstream, `v4.channel.k8s.io`): a byte that says which stream, then the bytes.

use std::collections::HashMap;
use std::net::TcpStream;

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::support::private::Private;
use crate::support::process::DEADLINE;

const STDIN: u8 = 0;
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
/// How it ended, as a Status of the Kubernetes API.
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// A connection to the streaming server.
#[derive(Debug)]
pub(crate) struct Streams {
    socket: WebSocket<TcpStream>,
    said: HashMap<u8, String>,
}

impl Streams {
    /// Connects where the server listens: on the loopback interface of containerd's network namespace.
    pub(crate) fn open(place: &Private, url: &str) -> Self {
        let path = url.strip_prefix("http://").expect("the streaming server has no TLS");
        let (address, _) = path.split_once('/').expect("a path");
        let namespace = std::fs::File::open(place.network()).expect("the holder's namespace");
        let connect = || {
            // A thread has the namespace for itself, and ends.
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)
                .expect("setns");
            TcpStream::connect(address).expect("the streaming server listens")
        };
        let stream = std::thread::scope(|scope| scope.spawn(connect).join()).expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        let mut request = format!("ws://{path}").into_client_request().expect("an address");
        let protocol = HeaderValue::from_static("v4.channel.k8s.io");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = tungstenite::client(request, stream).expect("a web socket");
        Self { socket, said: HashMap::new() }
    }

    fn send(&mut self, stream: u8, text: &str) {
        let bytes = [&[stream], text.as_bytes()].concat();
        self.socket.send(Message::binary(bytes)).expect("the streaming server reads");
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.send(STDIN, text);
    }

    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.send(RESIZE, &format!("{{\"Width\":{columns},\"Height\":{rows}}}"));
    }

    /// What a stream has said so far.
    pub(crate) fn said(&self, stream: u8) -> &str {
        self.said.get(&stream).map_or("", String::as_str)
    }

    /// Reads one message; false at the end.
    fn read(&mut self) -> bool {
        match self.socket.read() {
            Ok(Message::Binary(bytes)) => {
                let (stream, bytes) = bytes.split_first().expect("the byte of the stream");
                let text = String::from_utf8_lossy(bytes);
                self.said.entry(*stream).or_default().push_str(&text);
                true
            }
            Ok(Message::Close(_)) => false,
            Ok(_) => true,
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => false,
            Err(error) => panic!("{error}; so far: {:?}", self.said),
        }
    }

    /// Reads until a stream has said this.
    pub(crate) fn until(&mut self, stream: u8, text: &str) {
        while !self.said(stream).contains(text) {
            assert!(self.read(), "ended before {text:?}: {:?}", self.said);
        }
    }

    /// Reads to the end; the exit code.
    pub(crate) fn finish(&mut self) -> i32 {
        while self.said(ERROR).is_empty() && self.read() {}
        let status: Value = serde_json::from_str(self.said(ERROR)).expect("a Status");
        if status["status"] == "Success" {
            return 0;
        }
        let cause = &status["details"]["causes"][0];
        assert_eq!(cause["reason"], "ExitCode", "{status}");
        cause["message"].as_str().and_then(|code| code.parse().ok()).expect("a number")
    }
}
