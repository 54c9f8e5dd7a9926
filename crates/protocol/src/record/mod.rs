//! Recordings: what was published, in a file that can be played again.
//!
//! A [`Writer`] appends records to anything that takes bytes, and a [`Reader`] gives them back from anything that has
//! bytes. Each record carries its length and a checksum, so whatever interrupts the writer, all whole records
//! are read again; the [error](ReadError) after the last of them tells a tail that was cut off from damage.
//! `docs/RECORD.md` specifies the bytes.
//!
//! ```
//! use std::time::Duration;
//!
//! use nyx_protocol::record::{Data, Reader, Record, Topic, Writer};
//! use nyx_protocol::topic::Name;
//! use nyx_protocol::wire::{Kind, codec};
//!
//! let mut writer = Writer::create(Vec::new(), 1_700_000_000_000_000)?;
//! let chat = writer.topic(&Topic::new(Name::new("lobby/chat")?, Kind::Event))?;
//! let at = Duration::from_millis(20);
//! writer.data(&Data { codec: codec::EVENT_TEXT, ..Data::new(chat, at, 0, b"hello") })?;
//! let mut file = writer.into_inner();
//! file.extend_from_slice(b"what a killed recorder leaves");
//!
//! let mut reader = Reader::open(&file[..])?;
//! let mut payloads = Vec::new();
//! let end = loop {
//!     match reader.next_record() {
//!         Ok(Some(Record::Data { topic, data })) => payloads.push((topic.name.clone(), data.payload.to_vec())),
//!         Ok(Some(_)) => {}
//!         Ok(None) => break None,
//!         Err(error) => break Some(error),
//!     }
//! };
//! assert_eq!(payloads, [(Name::new("lobby/chat")?, b"hello".to_vec())]);
//! assert!(end.is_some());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! State is recorded as what a publisher would have sent: a [`Changes`] turns the documents of a subscriber into patches,
//! and [`Data::patch`] reads one.

mod changes;
mod format;
mod item;
mod reader;
mod topic;
mod writer;

pub use changes::Changes;
pub use format::{HEADER_LEN, RECORD_BYTES_MAX, VERSION};
pub use item::{Data, Gap, Missing, Outage, Record, Session};
pub use reader::{OpenError, ReadError, Reader, Tail};
pub use topic::{Topic, TopicId};
pub use writer::{EMPTY_SESSION_BYTES_MAX, WriteError, Writer};
