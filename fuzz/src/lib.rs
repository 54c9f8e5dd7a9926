//! How the fuzz targets read an input: as a script.

#![forbid(unsafe_code)]

/// The steps of a script: what to do, and bytes to do it with. Any input is a script.
///
/// A step is a byte that names it, a byte with the length, and that many bytes or what is left.
pub fn steps(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [step, len, rest @ ..] = input else { return None };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        input = rest;
        Some((*step, bytes))
    })
}
