//! The messages of the link, the SOCK_SEQPACKET pair between caller and init: one byte of kind, then its data.

/// What init says to the caller. The first byte of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ToCaller {
    /// The joiner made init: carries init's pidfd; its pid is in SCM_CREDENTIALS-free data, as the pidfd tells it.
    Joined = b'J',
    /// Namespaces exist and the root is mounted but not switched: time for the caller's hooks.
    RootReady = b'R',
    /// Carries the listener of a seccomp filter that notifies (seccomp_unotify(2)).
    SeccompListener = b'L',
    /// Everything that `create` promises is done, or `exec` before its program; init waits to be started.
    Ready = b'C',
    /// A [`crate::Failure`] follows; init ends after it.
    Failed = b'F',
}

impl ToCaller {
    /// The message of that first byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Joined, Self::RootReady, Self::SeccompListener, Self::Ready, Self::Failed]
            .into_iter()
            .find(|message| *message as u8 == byte)
    }
}

/// What the caller says to init, one byte each. The end of the link says: the caller is gone, so end too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ToInit {
    /// The id maps of the new user namespace are written (read by the stub, before init is there).
    Mapped = b'm',
    /// The caller's hooks have run.
    Continue = b'c',
    /// The container is recorded: wait at the gate.
    Commit = b'g',
    /// The container is recorded, or the process is one of `exec`, and starts at once: there is no gate.
    Start = b's',
}
