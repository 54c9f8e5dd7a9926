//! What can be sent.

use bytes::Bytes;

/// Bytes to send. Short ones are copied into the outgoing buffer; of long ones an owner is passed on uncopied.
pub trait Payload: AsRef<[u8]> {
    /// The bytes as a shared owner: without a copy, where the type owns them.
    fn into_bytes(self) -> Bytes;
}

macro_rules! owned {
    ($($type:ty),*) => {
        $(impl Payload for $type {
            fn into_bytes(self) -> Bytes {
                self.into()
            }
        })*
    };
}

owned!(Bytes, Vec<u8>, String, Box<[u8]>);

impl<T: AsRef<[u8]> + ?Sized> Payload for &T {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.as_ref())
    }
}

impl<const N: usize> Payload for [u8; N] {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self)
    }
}
