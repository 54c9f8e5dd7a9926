//! `nyx demo`: a hub, and a game world, a test card and a melody to look at.
//!
//! What is published is made here, by values that are asked for their next item; `producers` asks them at their pace.

pub(crate) mod card;
mod producers;
mod run;
pub(crate) mod world;

pub(crate) use card::Card;
pub(crate) use run::{Args, run};
pub(crate) use world::World;
