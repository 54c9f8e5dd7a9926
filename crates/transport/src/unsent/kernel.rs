//! What a socket has not sent, and how much that may be.

use std::io;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use linux::{set, unsent};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use other::{set, unsent};

/// Whether [`unsent`] can tell, and [`set`] bounds what is unsent alone.
pub const IS_EXACT: bool = cfg!(any(target_os = "linux", target_os = "android"));

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::os::fd::AsFd;

    use rustix::ioctl::{Getter, ioctl};
    use socket2::SockRef;

    use super::io;

    /// `SIOCOUTQNSD` of `linux/sockios.h`, the same number on all architectures.
    const SIOCOUTQNSD: rustix::ioctl::Opcode = 0x894B;

    /// Bytes that a TCP socket has taken and not sent, not even once.
    ///
    /// # Errors
    /// What the kernel says: `ENOTTY` or `EINVAL` of a socket that is none of TCP, or that listens.
    #[expect(unsafe_code, reason = "no crate that is already used wraps this ioctl")]
    pub fn unsent(socket: &impl AsFd) -> io::Result<u64> {
        // SAFETY: `SIOCOUTQNSD` writes one `int` through its pointer and does nothing else (tcp(7) under `SIOCOUTQ`, `tcp_ioctl` in
        // the kernel), which is what `Getter` gives it room for. The descriptor is borrowed for the call.
        let bytes: std::ffi::c_int = unsafe { ioctl(socket, Getter::<SIOCOUTQNSD, _>::new()) }?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Lets `bytes` wait unsent. A nonblocking write then stops early by itself, and the writer is woken when half of them are left. A segment
    /// that is begun is filled, so up to one more may wait: 64 KiB on loopback, a few packets of a slow path.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set(socket: &impl AsFd, bytes: u32) -> io::Result<()> {
        SockRef::from(socket).set_tcp_notsent_lowat(bytes)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod other {
    use socket2::SockRef;
    use tokio::net::TcpStream;

    use super::io;

    /// Not known here.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn unsent(_: &TcpStream) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lets `bytes` wait, those included that are on their way: `SO_SNDBUF`, which caps the rate at this per round trip.
    ///
    /// # Errors
    /// What the system says.
    pub fn set(socket: &TcpStream, bytes: u32) -> io::Result<()> {
        SockRef::from(socket).set_send_buffer_size(bytes as usize)
    }
}
