//! Dictionaries: what a topic's records have in common, said once.
//!
//! - A [`Trainer`] samples a topic's own records and hands out a [`Job`] when it pays to train; the job takes milliseconds and
//!   runs wherever its caller likes. What it [trained](Trained) was compared on records that it had not seen.
//! - A [`Shelf`] is the sender's: the versions of a topic, and which of them something under way refers to.
//! - A [`Store`] is the receiver's: what it was sent, bounded.
//!
//! # From birth to retirement
//!
//! A dictionary has a [`Name`]: an id, which is its topic's or publisher's, and a version that counts up. It is sent once per session,
//! before the first block that refers to it. It may be retired in a session when nothing that refers to it will be sent
//! there any more: when the last item that does has been written or dropped. The retirement then travels behind all those blocks on
//! the same ordered stream, so whoever receives it needs the dictionary no more, but for blocks that it has received and not
//! yet decompressed: those hold a clone, which is cheap.
//!
//! ```
//! use nyx_protocol::compress::dictionary::{Config, Shelf, Store, Trainer};
//! use nyx_protocol::compress::{Block, Compressor, Decompressor, Method, Reference};
//!
//! let record = |n: u32| format!(r#"{{"entity":{n},"x":{},"y":{},"team":"north","state":"walking"}}"#, n * 7 % 501, n * 11 % 499);
//! let mut trainer = Trainer::new(1, Config::default());
//! (0..4000).for_each(|n| trainer.observe(record(n).as_bytes()));
//!
//! let job = trainer.job().expect("there are samples enough");
//! let trained = std::thread::spawn(|| job.run()).join().expect("training does not panic")?;
//! let dictionary = trained.dictionary.clone();
//! trainer.handle_trained(&trained);
//! assert!(trained.with_bytes * 2 < trained.without_bytes);
//!
//! // Sent once, then blocks that refer to it.
//! let mut shelf = Shelf::new(4);
//! shelf.adopt(dictionary.clone())?;
//! let mut store = Store::new(4, 16 * 1024);
//! store.insert(&dictionary.to_message())?;
//!
//! let payload = record(77_777);
//! let bytes = Compressor::new().compress(payload.as_bytes(), Method::Dictionary(&dictionary)).to_vec();
//! assert!(bytes.len() * 2 < payload.len());
//! let block = Block::parse(&bytes, 1024)?;
//! let mut content = Vec::new();
//! Decompressor::new().decompress(&block, store.reference(&block), &mut content)?;
//! assert_eq!(content, payload.as_bytes());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod content;
mod job;
mod sample;
mod shelf;
mod store;
mod trainer;

pub(super) use content::is_zstd_dictionary;
pub use content::{Dictionary, DictionaryError, MessageError, Name};
pub use job::{Job, TrainError, Trained};
pub use shelf::{AdoptError, Shelf};
pub use store::{InsertError, Store};
pub use trainer::{Config, Trainer};
