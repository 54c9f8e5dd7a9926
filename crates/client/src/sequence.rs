//! Sequences travel as their low 32 bits.

/// The number nearest to `near` that has these low 32 bits.
pub(crate) const fn extend(near: u64, low: u32) -> u64 {
    let distance = low.wrapping_sub(near as u32) as i32 as i64;
    match near.checked_add_signed(distance) {
        Some(number) => number,
        None => low as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_whole_across_the_wrap() {
        let near = u64::from(u32::MAX) + 5;
        assert_eq!(extend(near, 3), near - 1);
        assert_eq!(extend(near, u32::MAX), u64::from(u32::MAX));
        assert_eq!(extend(3, u32::MAX), u64::from(u32::MAX));
    }
}
