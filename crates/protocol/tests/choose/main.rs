//! The adaptive choice beside every fixed one, on traces and over links that change.

mod bounds;
mod changes;
mod operator;
mod simulation;
mod steady;
mod traces;
