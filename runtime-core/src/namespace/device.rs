//! Network devices that move into the container's network namespace (config-linux.md, "Network Devices").
//!
//! Spoken to the kernel by rtnetlink(7) over two sockets: one in the caller's namespace and one that was made in the
//! container's, which stays there whoever uses it. A device that has moved can be taken back while the container is
//! not made yet.

use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::fs::{Mode, OFlags};

use super::netlink::{Netlink, Reply};
use super::{Kind, NetDevice, around};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// A device that has moved, and what it was.
#[derive(Debug)]
pub(crate) struct Moved {
    theirs: Netlink,
    /// Its index in the container's namespace.
    index: u32,
    name: String,
    was_up: bool,
    addresses: Vec<AddressMessage>,
}

/// Moves every device into the namespace of process `pid`, under its new name, with its lasting global addresses,
/// and sets it up. `moved` is told of each as soon as it has left.
///
/// # Errors
/// There is no such device, its new name is taken, or the kernel does not let it go (a loopback, a bridge).
pub(crate) fn give(devices: &[NetDevice], pid: i32, mut moved: impl FnMut(Moved)) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let namespace = open(&format!("/proc/{pid}/ns/net"))?;
    let ours = Netlink::open()?;
    for device in devices {
        let inside = [(Kind::Network, namespace.try_clone().call(|| "dup(namespace)")?)];
        let theirs = around::inside(&inside, Netlink::open)?;
        give_one(device, &ours, theirs, &namespace, &mut moved)
            .map_err(|error| error.at(device.field.as_str()))?;
    }
    Ok(())
}

fn open(path: &str) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({path})"))
}

fn give_one(
    device: &NetDevice,
    ours: &Netlink,
    theirs: Netlink,
    namespace: &OwnedFd,
    moved: &mut impl FnMut(Moved),
) -> Result<()> {
    let NetDevice { name, new_name, .. } = device;
    let link = find(ours, name)?.ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, format!("there is no network device {name}"))
    })?;
    let template = new_name.contains('%');
    // The kernel would move it first, and then find that it cannot have the name.
    if !template && find(&theirs, new_name)?.is_some() {
        return Err(Error::new(
            ErrorKind::InvalidSpec,
            format!(
                "the container has a network device {new_name} already; a name with %d finds a free one"
            ),
        ));
    }
    let was_up = link.header.flags.contains(LinkFlags::Up);
    let addresses = addresses(ours, link.header.index)?;
    let before = if template { indexes(&theirs)? } else { Vec::new() };
    relocate(ours, link.header.index, namespace, new_name)
        .call(|| format!("moving network device {name} into the container as {new_name}"))?;
    let index = if template {
        indexes(&theirs)?.into_iter().find(|index| !before.contains(index))
    } else {
        find(&theirs, new_name)?.map(|link| link.header.index)
    };
    let index = index.ok_or_else(|| {
        Error::new(ErrorKind::Os, format!("network device {new_name} is not in the container"))
    })?;
    let device = Moved { theirs, index, name: name.clone(), was_up, addresses };
    let configured = device.configure(&device.theirs, index, true);
    moved(device);
    configured
}

impl Moved {
    /// Gives it back to the caller's namespace as it was.
    ///
    /// # Errors
    /// The name is taken meanwhile, or the kernel refused.
    pub(crate) fn take_back(self) -> Result<()> {
        let ours = open("/proc/thread-self/ns/net")?;
        relocate(&self.theirs, self.index, &ours, &self.name)
            .call(|| format!("moving network device {} back", self.name))?;
        let socket = Netlink::open()?;
        let link = find(&socket, &self.name)?;
        link.map_or(Ok(()), |link| self.configure(&socket, link.header.index, self.was_up))
    }

    /// Sets the addresses, which the kernel removes from a device that moves, and the device up.
    fn configure(&self, socket: &Netlink, index: u32, up: bool) -> Result<()> {
        for address in &self.addresses {
            let mut message = address.clone();
            message.header.index = index;
            let what = || format!("setting an address of network device {}", self.name);
            socket.ask(RouteNetlinkMessage::NewAddress(message), Reply::Created).call(what)?;
        }
        if !up {
            return Ok(());
        }
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        let what = || format!("setting network device {} up", self.name);
        socket.ask(RouteNetlinkMessage::SetLink(message), Reply::Nothing).call(what).map(drop)
    }
}

/// Moves and renames in one message.
fn relocate(
    socket: &Netlink,
    index: u32,
    namespace: &OwnedFd,
    name: &str,
) -> Result<(), rustix::io::Errno> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    // The kernel sets it down for the move anyway; said, it stays so until it has its addresses.
    message.header.change_mask = LinkFlags::Up;
    message.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    socket.ask(RouteNetlinkMessage::SetLink(message), Reply::Nothing).map(drop)
}

/// A device by its name.
fn find(socket: &Netlink, name: &str) -> Result<Option<LinkMessage>> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let found = match socket.ask(RouteNetlinkMessage::GetLink(message), Reply::Nothing) {
        Err(rustix::io::Errno::NODEV) => return Ok(None),
        other => other.call(|| format!("asking for network device {name}"))?,
    };
    Ok(found.into_iter().find_map(|message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    }))
}

fn indexes(socket: &Netlink) -> Result<Vec<u32>> {
    let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let links = socket.ask(message, Reply::Everything).call(|| "listing network devices")?;
    let index = |message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
        _ => None,
    };
    Ok(links.into_iter().filter_map(index).collect())
}

/// The addresses that go with a device: those that last and are valid everywhere. What the kernel makes itself (link
/// local) it makes again.
fn addresses(socket: &Netlink, index: u32) -> Result<Vec<AddressMessage>> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Unspec;
    let message = RouteNetlinkMessage::GetAddress(message);
    let all = socket.ask(message, Reply::Everything).call(|| "listing addresses")?;
    let lasting = |message| match message {
        RouteNetlinkMessage::NewAddress(address)
            if address.header.index == index && address.header.scope == AddressScope::Universe =>
        {
            kept(address)
        }
        _ => None,
    };
    Ok(all.into_iter().filter_map(lasting).collect())
}

/// An address as it is set again; none where it is not permanent (IFA_F_PERMANENT).
fn kept(mut address: AddressMessage) -> Option<AddressMessage> {
    let mut permanent = false;
    address.attributes.retain_mut(|attribute| match attribute {
        AddressAttribute::Flags(flags) => {
            permanent = flags.contains(AddressFlags::Permanent);
            // What the kernel says of it, and cannot be told.
            flags.remove(
                AddressFlags::Permanent | AddressFlags::Tentative | AddressFlags::Dadfailed,
            );
            true
        }
        AddressAttribute::Address(_)
        | AddressAttribute::Local(_)
        | AddressAttribute::Broadcast(_)
        | AddressAttribute::RoutePriority(_)
        | AddressAttribute::Protocol(_) => true,
        // A label has the device's old name in it; times of what is permanent are for ever.
        _ => false,
    });
    permanent.then_some(address)
}
